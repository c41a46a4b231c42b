# SPDX-License-Identifier: Apache-2.0
"""Ledger cases 15–30, downstream: request lines, header fields, limits, and connections that misbehave."""

import time

import pytest
from hostile import SMUGGLED, head, post, with_field

from PythonKit.client import Connection, ConnectionEnded, chunked, request
from PythonKit.upstream import BODY, READ_TO_END, response

delivery = pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
PROTOCOL_ERROR = "downstream_cx_protocol_error"
BAD_HEAD = r"http1\.(codec_error|invalid_characters|invalid_url)"


@delivery
@pytest.mark.parametrize(
    "value", [b"a\rb", b"a\x00b", b"\x00", b"a\x01b", b"a\x1fb", b"a\x7fb", b"a\r", b"\x0ba"], ids=repr
)
def test_case_15_control_bytes_in_a_header_value(proxy, value, bytewise):
    proxy.refused(
        with_field(b"X: " + value),
        400,
        r"http1\.(invalid_characters|codec_error)",
        stat=PROTOCOL_ERROR,
        flags="DPE",
        bytewise=bytewise,
    )


def test_case_15_line_feed_in_a_header_value(proxy):
    proxy.refused(
        with_field(b"X: a\nX-Injected: b"), 400, r"http1\.(invalid_characters|codec_error)", stat=PROTOCOL_ERROR
    )


@delivery
@pytest.mark.parametrize("line", [b"X : a", b"X\t: a", b"X: a\r\n b", b"X: a\r\n\tb", b"X: a\r\n \r\nY: b"], ids=repr)
def test_case_16_blank_before_colon_and_folded_lines(proxy, line, bytewise):
    proxy.refused(with_field(line), 400, BAD_HEAD, bytewise=bytewise)


@pytest.mark.parametrize("blank", [b" ", b"\t"], ids=repr)
def test_case_16_first_field_starts_with_a_blank(proxy, blank):
    proxy.refused(head(b"GET /x HTTP/1.1", blank + b"Host: h.test"), 400, BAD_HEAD)


@delivery
@pytest.mark.parametrize(
    "line",
    [b"no colon here", b"nocolon", b": empty", b":", b" : x", b":authority: other.test", b":path: /other"],
    ids=repr,
)
def test_case_17_field_without_a_name(proxy, line, bytewise):
    proxy.refused(with_field(line), 400, BAD_HEAD, bytewise=bytewise)


_NOT_TOKEN = [*b'"(),/;<=>?@[\\]{}', *range(0x01, 0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F, 0x80, 0xA0, 0xE9, 0xFF]


@pytest.mark.parametrize("byte", _NOT_TOKEN, ids=lambda b: f"{b:02x}")
def test_case_18_bytes_not_allowed_in_a_name(proxy, byte):
    proxy.refused(with_field(b"X" + bytes([byte]) + b"Y: v"), 400, BAD_HEAD)


@delivery
@pytest.mark.parametrize(
    "line",
    [
        b"G@T /x HTTP/1.1",
        b"GE(T /x HTTP/1.1",
        b"G\xc9T /x HTTP/1.1",
        b" GET /x HTTP/1.1",
        b"GET  /x HTTP/1.1",
        b"GET /x  HTTP/1.1",
        b"GET /x HTTP/1.1 ",
        b"GET\t/x\tHTTP/1.1",
        b"GET /x HTTP/1.32",
        b"GET /x HTTP/4294967295.255",
        b"GET /x HTTP/1",
        b"GET /x HTTP/1.",
        b"GET /x HTTP/.1",
        b"GET /x HTTP/01.1",
        b"GET /x http/1.1",
        b"GET /x HTP/1.1",
        b"GET /x HTTP/1.1x",
        b"GET /x HTTP/1,1",
        b"GET /x HTTP 1.1",
        b"GET /x",
        b"GET",
        b"GET /x y HTTP/1.1",
        b"GET /x\x00 HTTP/1.1",
        b"GET /\x7f HTTP/1.1",
        b"GET /\x01 HTTP/1.1",
    ],
    ids=repr,
)
def test_case_19_request_line(proxy, line, bytewise):
    status = (400, 505) if b"4294967295" in line else 400
    proxy.refused(
        head(line, b"Host: h.test"),
        status,
        r"http1\.(codec_error|invalid_characters|invalid_url)|low_version|path_normalization_failed",
        bytewise=bytewise,
    )


@pytest.mark.parametrize("line", [b"GET /x HTTP/2.0", b"GET /x HTTP/3.0", b"GET /x HTTP/9.9"], ids=repr)
def test_case_19_major_version_above_1(proxy, line):
    proxy.refused(head(line, b"Host: h.test"), 505, r"http1\.codec_error|low_version|http1\.\w+")


@pytest.mark.parametrize(
    "data", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /x\r\n\r\n", b"GET /x HTTP/0.9\r\nHost: h\r\n\r\n"], ids=repr
)
def test_case_19_other_protocols(proxy, data):
    proxy.refused(data, (400, 505) if data.startswith(b"PRI") else (400, 426), r"http1\.\w+|low_version")


def test_case_20_missing_host(proxy):
    outcome = proxy.send(b"GET /x HTTP/1.1\r\n\r\n")
    assert outcome.statuses == [400] and outcome.log[0][1] == "missing_host_header"
    assert proxy.stat_moved("http.main.downstream_rq_4xx") == 1
    proxy.saw_nothing()


@pytest.mark.parametrize("second", [b"Host: h.test", b"Host: other.test", b"host:"], ids=repr)
def test_case_20_two_hosts(proxy, second):
    proxy.refused(with_field(second), 400, r"http1\.\w+", stat="downstream_rq_4xx")


@pytest.mark.parametrize(
    "host",
    [
        b"user@h.test",
        b"user:pw@h.test",
        b"h.test:65536",
        b"h.test:99999",
        b"h.test:8o",
        b"h.test:-1",
        b"h.test\x00",
        b"h\x00.test",
        b"a b.test",
        b"h.test/path",
        b"h.test?q",
        b"h.test#f",
        b"[::1",
        b"h\\test",
    ],
    ids=repr,
)
def test_case_20_host_that_is_none(proxy, host):
    proxy.refused(
        head(b"GET /x HTTP/1.1", b"Host: " + host), 400, r"http\.invalid_authority|http1\.\w+", stat="downstream_rq_4xx"
    )


def test_case_21_absolute_form_against_host(proxy):
    """The target wins; the other host appears nowhere upstream."""
    outcome = proxy.send(head(b"GET http://right.test/x HTTP/1.1", b"Host: wrong.test"), responses=1)
    assert outcome.statuses in ([200], [400])
    for record in proxy.upstream.requests:
        assert record.line == "GET /x HTTP/1.1" and record.values("host") == ["right.test"]
        assert not any("wrong.test" in value for _, value in record.headers)


@pytest.mark.parametrize(
    "target",
    [
        b"http://user@right.test/x",
        b"http:///x",
        b"http://right.test:99999/x",
        b"http://right.test\\@wrong.test/x",
        b"//right.test/x x",
        b"http://",
    ],
    ids=repr,
)
def test_case_21_absolute_form_that_is_none(proxy, target):
    proxy.refused(head(b"GET " + target + b" HTTP/1.1", b"Host: h.test"), 400, r"http1?\.\w+|missing_host_header|\w+")


@pytest.mark.parametrize("method", [b"GET", b"POST", b"HEAD"])
def test_case_21_asterisk_is_for_options_only(proxy, method):
    outcome = proxy.send(head(method + b" * HTTP/1.1", b"Host: h.test"), methods=(method.decode(),))
    assert outcome.statuses == [400]
    proxy.saw_nothing()


@pytest.mark.parametrize("target", [b"/x#f", b"/x?q#f", b"/#", b"/admin-only#", b"http://h.test/x#f"], ids=repr)
def test_case_22_fragment(proxy, target):
    outcome = proxy.send(head(b"GET " + target + b" HTTP/1.1", b"Host: h.test"))
    assert outcome.statuses == [400]
    assert outcome.log[0][1] in ("path_normalization_failed", "http1.invalid_url", "http1.codec_error")
    proxy.saw_nothing()


@pytest.mark.parametrize(
    "target",
    [
        b"/admin-only",
        b"//admin-only",
        b"/./admin-only",
        b"/x/../admin-only",
        b"//x/../admin-only",
        b"/x%2f..%2fadmin-only",
        b"/%2e/admin-only",
        b"/x/%2e%2e/admin-only",
        b"\\admin-only".replace(b"\\", b"/x\\..\\"),
        b"/x%5c..%5cadmin-only",
        b"/%61dmin-only",
        b"/x/..//admin-only",
        b"/%2Fadmin-only",
    ],
    ids=repr,
)
def test_case_23_path_tricks_reach_the_same_route(proxy, target):
    """Normalised once: the route that denies is found under every spelling."""
    outcome = proxy.send(head(b"GET " + target + b" HTTP/1.1", b"Host: h.test"), "normal", responses=1)
    assert outcome.statuses == [403], f"{target!r} got past the route"
    proxy.saw_nothing()


@pytest.mark.parametrize(
    "target, seen",
    [(b"/a/./b/../c", "/a/c"), (b"/a%2fb", "/a/b"), (b"//a///b", "/a/b"), (b"/a/..;/b", None), (b"/a;x=y/../b", None)],
    ids=repr,
)
def test_case_23_route_log_and_upstream_see_the_same_path(proxy, target, seen):
    outcome = proxy.send(head(b"GET " + target + b" HTTP/1.1", b"Host: h.test"), "normal", responses=1)
    assert outcome.statuses == [200]
    path = proxy.upstream.requests[0].path
    assert outcome.log[0][4] == path and (seen is None or path == seen)


def test_case_23_escaped_slash_refused_where_asked(proxy):
    outcome = proxy.send(request("/x%2fadmin"), "reject_escaped")
    assert outcome.statuses == [400] and outcome.log[0][1] == "path_normalization_failed"
    proxy.saw_nothing()


def test_case_24_underscore_forwarded_by_default(proxy):
    """`transfer_encoding` is just a name: it frames nothing."""
    outcome = proxy.send(with_field(b"transfer_encoding: chunked"), responses=1)
    assert outcome.statuses == [200]
    assert (
        proxy.upstream.requests[0].header("transfer_encoding") == "chunked"
        and proxy.upstream.requests[0].framing == "none"
    )


def test_case_24_underscore_rejected(proxy):
    before = proxy.proxy.stats("http1.").get("http1.requests_rejected_with_underscores_in_headers", 0)
    proxy.refused(with_field(b"content_length: 5"), 400, r"http1\.unexpected_underscore", listener="underscore_reject")
    assert proxy.proxy.stats("http1.").get("http1.requests_rejected_with_underscores_in_headers", 0) == before + 1


def test_case_24_underscore_dropped(proxy):
    before = proxy.proxy.stats("http1.").get("http1.dropped_headers_with_underscores", 0)
    outcome = proxy.send(
        head(b"GET /x HTTP/1.1", b"Host: h.test", b"x_real_ip: 1", b"x-real-ip: 2"), "underscore_drop", responses=1
    )
    assert outcome.statuses == [200]
    assert (
        proxy.upstream.requests[0].header("x_real_ip") is None and proxy.upstream.requests[0].header("x-real-ip") == "2"
    )
    assert proxy.proxy.stats("http1.").get("http1.dropped_headers_with_underscores", 0) == before + 1


@pytest.mark.parametrize(
    "values", [[b"guest"], [b"root", b"guest"], [b"guest", b"root"], [b"x", b"y", b"guest"]], ids=repr
)
def test_case_25_each_value_of_a_header_is_matched(proxy, values):
    """A second field does not hide the first from a matcher (the route that denies is chosen)."""
    outcome = proxy.send(
        head(b"GET /by-value HTTP/1.1", b"Host: h.test", *(b"x-role: " + v for v in values)), responses=1
    )
    assert outcome.statuses == [403]
    proxy.saw_nothing()


@pytest.mark.parametrize(
    "field, details",
    [
        (b"Content-Length: 1", r"http1\.(content_length_not_allowed|body_disallowed)"),
        (
            b"Transfer-Encoding: chunked",
            r"http1\.(transfer_encoding_not_allowed|body_disallowed|invalid_transfer_encoding)",
        ),
    ],
    ids=["content-length", "transfer-encoding"],
)
def test_case_26_connect_with_a_body(proxy, field, details):
    proxy.refused(
        head(b"CONNECT h.test:443 HTTP/1.1", b"Host: h.test:443", field, body=b"x"), 400, details, listener="connect"
    )


@pytest.mark.parametrize(
    "target", [b"/path", b"h.test", b"h.test:", b"h.test:0x50", b"http://h.test:443/", b"*", b":443"], ids=repr
)
def test_case_26_connect_target_that_is_none(proxy, target):
    outcome = proxy.send(
        head(b"CONNECT " + target + b" HTTP/1.1", b"Host: h.test:443"), "connect", methods=("CONNECT",)
    )
    assert outcome.statuses and outcome.statuses[0] in (400, 404), outcome
    proxy.saw_nothing()


@pytest.mark.parametrize("one_field", [True, False], ids=["one field", "many fields"])
def test_case_27_header_block_too_large(proxy, one_field):
    fields = [b"X: " + b"v" * 62000] if one_field else [b"X-%d: " % i + b"v" * 1000 for i in range(62)]
    proxy.refused(head(b"GET /x HTTP/1.1", b"Host: h.test", *fields), 431, r"http1\.headers_too_large")


def test_case_27_one_field_of_a_megabyte(proxy):
    proxy.refused(with_field(b"X: " + b"v" * 1_000_000), 431, r"http1\.headers_too_large")


def test_case_27_one_name_of_a_megabyte(proxy):
    proxy.refused(with_field(b"X" * 1_000_000 + b": v"), 431, r"http1\.headers_too_large")


def test_case_27_request_line_of_a_megabyte(proxy):
    proxy.refused(
        head(b"GET /" + b"p" * 1_000_000 + b" HTTP/1.1", b"Host: h.test"), 431, r"http1\.headers_too_large|http1\.\w+"
    )


def test_case_27_header_block_without_end(proxy):
    """More bytes keep coming and no line ends: refused at the limit."""
    with Connection(proxy.ports["main"]) as connection:
        connection.send(b"GET /x HTTP/1.1\r\nHost: h.test\r\n")
        for _ in range(200):
            connection.send(b"X-Endless: " + b"v" * 1000 + b"\r\n")
        assert connection.read_response().status == 431
    proxy.saw_nothing()


@pytest.mark.parametrize("count, status", [(99, 200), (101, 431), (5000, 431)])
def test_case_27_header_count(proxy, count, status):
    """100 fields with Host; the 101st is too many."""
    data = head(b"GET /x HTTP/1.1", b"Host: h.test", *(b"X: v" for _ in range(count)))
    if status == 200:
        assert proxy.send(data, responses=1).statuses == [200]
    else:
        proxy.refused(data, 431, r"http1\.too_many_headers")


def test_case_27_cookie_crumbs_count(proxy):
    proxy.refused(
        head(b"GET /x HTTP/1.1", b"Host: h.test", *(b"Cookie: a=%d" % i for i in range(101))),
        431,
        r"http1\.too_many_headers",
    )


def test_case_27_trailers_count_and_are_limited(proxy):
    trailers = [(f"x-{i}", "v") for i in range(150)]
    proxy.refused(
        post(b"Transfer-Encoding: chunked", body=chunked(b"x", trailers=trailers)),
        (400, 431),
        r"http1\.(too_many_headers|headers_too_large|codec_error)",
        listener="trailers",
        upstream_head=True,
    )


def test_case_27_trailers_too_large(proxy):
    proxy.refused(
        post(b"Transfer-Encoding: chunked", body=chunked(b"x", trailers=[("x", "v" * 70000)])),
        (400, 431),
        r"http1\.(headers_too_large|codec_error)",
        upstream_head=True,
    )


def test_case_27_head_that_never_ends_times_out(proxy):
    outcome = proxy.send(b"GET /x HTTP/1.1\r\nHost: h.test\r\n", "slow_head", wait=2.0)
    assert outcome.statuses == [408] and outcome.closed
    assert outcome.log[0][1] == "request_header_timeout"
    assert proxy.stat_moved("http.slow_head.downstream_rq_header_timeout") == 1
    proxy.saw_nothing()


def test_case_27_head_fed_slowly_times_out(proxy):
    """A byte now and then does not keep it alive: the timeout is for the whole head."""
    with Connection(proxy.ports["slow_head"]) as connection:
        started = time.monotonic()
        connection.send(b"GET /x HTTP/1.1\r\nHost: h.test\r\n")
        while time.monotonic() - started < 3 and not connection.buffer and not connection.ended:
            connection.send(b"X")
            try:
                connection._fill(0.05)
            except TimeoutError:
                pass
        assert connection.read_response().status == 408
    proxy.saw_nothing()


def test_case_27_body_that_stalls_times_out(proxy):
    proxy.upstream.reset_records((READ_TO_END,))
    outcome = proxy.send(post(b"Content-Length: 100", body=b"x"), "slow_body", wait=2.0)
    assert outcome.statuses == [408] and outcome.closed
    assert outcome.log[0][1:3] == ("stream_idle_timeout", "SI")
    assert proxy.stat_moved("http.slow_body.downstream_rq_idle_timeout") == 1


def test_case_27_body_fed_slowly_times_out(proxy):
    proxy.upstream.reset_records((READ_TO_END,))
    with Connection(proxy.ports["slow_request"]) as connection:
        started = time.monotonic()
        connection.send(post(b"Content-Length: 100000"))
        while time.monotonic() - started < 3 and not connection.buffer and not connection.ended:
            connection.send(b"x")
            try:
                connection._fill(0.05)
            except TimeoutError:
                pass
        assert connection.read_response().status == 408
    assert proxy.stat_moved("http.slow_request.downstream_rq_timeout") == 1


def test_case_28_expect_other_than_100_continue_is_harmless(proxy):
    outcome = proxy.send(post(b"Expect: 200-maybe", b"Content-Length: 2", body=b"ok"), responses=1)
    assert outcome.statuses[0] in (200, 417)


def test_case_28_expect_twice(proxy):
    """At most one 100 per request, whatever is asked."""
    outcome = proxy.send(
        post(b"Expect: 100-continue", b"Expect: 100-continue", b"Content-Length: 2", body=b"ok"), responses=1
    )
    assert outcome.statuses[0] in (200, 400, 417) and len(outcome.responses[0].interim) <= 1


def test_case_29_invalid_second_request_leaves_the_first_alone(proxy):
    outcome = proxy.send(request("/first") + b"GET  bad\r\n\r\n" + SMUGGLED, log=2)
    assert outcome.statuses == [200, 400] and outcome.responses[0].body == b"a" and outcome.closed
    assert [r.path for r in proxy.upstream.requests] == ["/first"]


def test_case_29_invalid_second_request_while_the_first_is_slow(proxy):
    proxy.upstream.reset_records((BODY, 0.2, response(200, b"slow")))
    outcome = proxy.send(request("/first") + b"BAD\x00\r\n\r\n" + SMUGGLED, log=2)
    assert outcome.statuses == [200, 400] and outcome.responses[0].body == b"slow" and outcome.closed
    proxy.saw_nothing_smuggled()


def test_case_29_many_pipelined_requests_are_answered_in_order(proxy):
    """All of them, or those before the proxy says that it is a flood: never a wrong one."""
    count = 500
    with Connection(proxy.ports["main"]) as connection:
        connection.send(
            b"".join(
                request(f"/by-value/{i}", headers=[("x-role", "guest")]) if i % 3 else request("/direct")
                for i in range(count)
            )
        )
        for i in range(count):
            try:
                assert connection.read_response().body == (b"guest" if i % 3 else b"direct")
            except ConnectionEnded:
                assert proxy.proxy.stats("http1.").get("http1.response_flood", 0) > 0, f"ended after {i} answers"
                break


def test_case_29_pipelining_without_reading_is_bounded(proxy):
    """A client that only writes stops being read: the proxy holds no more than its buffers."""
    with Connection(proxy.ports["main"]) as connection:
        connection.socket.settimeout(0.3)
        block = request("/direct", headers=[("x-fill", "f" * 500)]) * 200
        sent = 0
        try:
            while sent < 200 * 1024 * 1024:
                sent += connection.socket.send(block)
        except (TimeoutError, BrokenPipeError, ConnectionResetError):
            pass
        assert sent < 64 * 1024 * 1024, "the proxy read on without bound"
    assert proxy.proxy.resident_kilobytes() < 400_000


@pytest.mark.parametrize(
    "value",
    [b"close, transfer-encoding, host", b"host", b"transfer-encoding", b"content-length", b":authority", b":path"],
    ids=repr,
)
def test_case_30_connection_nominates_what_frames_or_routes(proxy, value):
    proxy.refused(
        post(b"Connection: " + value, b"Content-Length: 2", body=b"ok"), 400, r"http1\.connection_header_rejected"
    )


def test_case_30_nominated_headers_are_stripped(proxy):
    outcome = proxy.send(
        post(b"Connection: x-one, X-Two", b"X-One: 1", b"x-two: 2", b"x-three: 3", b"Content-Length: 2", body=b"ok"),
        responses=1,
    )
    assert outcome.statuses == [200]
    seen = proxy.upstream.requests[0]
    assert seen.header("x-one") is None and seen.header("x-two") is None and seen.header("x-three") == "3"
    assert seen.header("connection") is None and seen.body == b"ok"
