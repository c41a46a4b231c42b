# SPDX-License-Identifier: Apache-2.0
"""Ledger cases 1–14, downstream: who decides where a request ends."""

import pytest
from hostile import SMUGGLED, head, post

from PythonKit.client import Connection, request
from PythonKit.upstream import ECHO, response

delivery = pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
CHUNKED = b"Transfer-Encoding: chunked"
PROTOCOL_ERROR = "downstream_cx_protocol_error"


@delivery
@pytest.mark.parametrize(
    "fields",
    [
        (b"Content-Length: 5", CHUNKED),
        (CHUNKED, b"Content-Length: 5"),
        (b"content-length: 0", b"transfer-encoding: chunked"),
        (b"Content-Length: 5", b"Transfer-Encoding: Chunked"),
    ],
    ids=["CL.TE", "TE.CL", "CL 0", "TE in other case"],
)
def test_case_01_content_length_and_chunked(proxy, fields, bytewise):
    proxy.refused(
        post(*fields, body=b"0\r\n\r\n" + SMUGGLED),
        details=r"http1\.content_length_and_chunked_not_allowed",
        stat=PROTOCOL_ERROR,
        flags="DPE",
        bytewise=bytewise,
    )


@delivery
@pytest.mark.parametrize("values", [(b"5", b"6"), (b"5", b"0"), (b"5", b"5")], ids=["differ", "second is 0", "equal"])
def test_case_02_two_content_lengths(proxy, values, bytewise):
    """Equal ones are refused too: one policy for both."""
    fields = [b"Content-Length: " + v for v in values]
    proxy.refused(
        post(*fields, body=b"hello" + SMUGGLED), details=r"http1\.codec_error", stat=PROTOCOL_ERROR, bytewise=bytewise
    )


@pytest.mark.parametrize("value", [b"5, 5", b"5,6", b"5,"], ids=repr)
def test_case_02_content_length_list(proxy, value):
    proxy.refused(
        post(b"Content-Length: " + value, body=b"hello" + SMUGGLED), details=r"http1\.codec_error", stat=PROTOCOL_ERROR
    )


@delivery
@pytest.mark.parametrize(
    "value",
    [b"+10", b"-48", b"0x10", b"1_0", b"1Z", b"", b"1 0", b"0 10", b"\x0b5", b"5\x0c", b"1.0", b"1e1", b"\xb2"],
    ids=repr,
)
def test_case_03_content_length_not_a_number(proxy, value, bytewise):
    proxy.refused(
        post(b"Content-Length: " + value, body=b"0123456789" + SMUGGLED),
        details=r"http1\.(codec_error|invalid_characters)",
        stat=PROTOCOL_ERROR,
        bytewise=bytewise,
    )


def test_case_03_content_length_with_a_leading_zero(proxy):
    """`010` is 10 in every reading but the octal one, so that it is refused as ambiguous."""
    proxy.refused(post(b"Content-Length: 010", body=b"0123456789" + SMUGGLED), details=r"http1\.codec_error")


@pytest.mark.parametrize(
    "value",
    [
        b"9223372036854775808",
        b"18446744073709551615",
        b"18446744073709551616",
        b"18446744073709551621",
        b"99999999999999999999999",
        b"1" * 400,
    ],
    ids=lambda v: v.decode()[:24],
)
def test_case_04_content_length_overflow(proxy, value):
    proxy.refused(
        post(b"Content-Length: " + value, body=b"hello" + SMUGGLED), details=r"http1\.codec_error", stat=PROTOCOL_ERROR
    )


@delivery
@pytest.mark.parametrize(
    "value, status",
    [
        (b",chunked", 400),
        (b"chunked,", 400),
        (b"chunked, chunked", 400),
        (b"chunked;q=1", (400, 501)),
        (b"chunked, identity", (400, 501)),
        (b"", 400),
        (b"xchunked", 501),
        (b"identity", 501),
        (b"gzip", 501),
        (b"gzip, chunked", 501),
        (b"cow", 501),
        (b'"chunked"', (400, 501)),
    ],
    ids=repr,
)
def test_case_05_transfer_encoding_other_than_chunked(proxy, value, status, bytewise):
    proxy.refused(
        post(b"Transfer-Encoding: " + value, body=b"0\r\n\r\n" + SMUGGLED),
        status,
        r"http1\.invalid_transfer_encoding",
        bytewise=bytewise,
    )


@pytest.mark.parametrize(
    "second", [CHUNKED, b"Transfer-Encoding: identity", b"Transfer-Encoding: cow", b"Transfer-Encoding:"], ids=repr
)
def test_case_06_two_transfer_encodings(proxy, second):
    proxy.refused(post(CHUNKED, second, body=b"0\r\n\r\n" + SMUGGLED), 400, r"http1\.invalid_transfer_encoding")


@pytest.mark.parametrize("listener", ["main", "http10"])
def test_case_07_transfer_encoding_in_http_1_0(proxy, listener):
    proxy.refused(
        head(b"POST /x HTTP/1.0", b"Host: h.test", CHUNKED, body=b"0\r\n\r\n" + SMUGGLED),
        (400, 426) if listener == "main" else 400,
        r"low_version|http1\.\w+"
        if listener == "main"
        else r"http1\.(transfer_encoding_not_allowed|invalid_transfer_encoding)",
        listener=listener,
    )


_PADS = [bytes([byte]) for byte in (*range(0x01, 0x09), *range(0x0B, 0x0D), *range(0x0E, 0x20), 0x7F)]


@pytest.mark.parametrize(
    "line",
    [
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding\t: chunked",
        b" Transfer-Encoding: chunked",
        b"\tTransfer-Encoding: chunked",
        b"X: X\nTransfer-Encoding: chunked",
        b"X: X\rTransfer-Encoding: chunked",
        b"Transfer-Encoding:\n chunked",
        b"Transfer-Encoding:\r\n chunked",
        b"Transfer Encoding: chunked",
        b"\x00Transfer-Encoding: chunked",
        b"Transfer-Encoding\x00: chunked",
        b"Transfer-Encoding: chunked\x00",
        *(pad + b"Transfer-Encoding: chunked" for pad in _PADS),
        *(b"Transfer-Encoding" + pad + b": chunked" for pad in _PADS),
        *(b"Transfer-Encoding:" + pad + b"chunked" for pad in _PADS),
        *(b"Transfer-Encoding: chunked" + pad for pad in _PADS),
        b"\xffTransfer-Encoding: chunked",
        b"Transfer-Encoding\xa0: chunked",
    ],
    ids=repr,
)
def test_case_08_transfer_encoding_obfuscated(proxy, line):
    proxy.refused(
        head(b"POST /x HTTP/1.1", b"Host: h.test", line, b"Content-Length: 5", body=b"0\r\n\r\n" + SMUGGLED),
        400,
        r"http1\.(codec_error|invalid_characters|invalid_transfer_encoding|content_length_and_chunked_not_allowed)",
    )


@pytest.mark.parametrize("line", [b"Transfer-Encoding:\xa0chunked", b"Transfer-Encoding: chunked\xff"], ids=repr)
def test_case_08_transfer_encoding_with_8_bit_padding(proxy, line):
    """Such bytes are legal in a value, so that it is an unknown coding: refused either way."""
    proxy.refused(
        post(line, body=b"0\r\n\r\n" + SMUGGLED),
        (400, 501),
        r"http1\.(codec_error|invalid_characters|invalid_transfer_encoding)",
    )


@delivery
@pytest.mark.parametrize(
    "size",
    [
        b"0x5",
        b"+5",
        b" 5",
        b"5_",
        b"-0x0",
        b"",
        b"-5",
        b"5 5",
        b"G",
        b"5\x00",
        b"00000000000000005",
        b"10000000000000005",
        b"FFFFFFFFFFFFFFFF",
        b"8000000000000005",
    ],
    ids=repr,
)
def test_case_09_chunk_size_not_a_number(proxy, size, bytewise):
    body = size + b"\r\nhello\r\n0\r\n\r\n" + SMUGGLED
    proxy.refused(
        post(CHUNKED, body=body),
        details=r"http1\.codec_error",
        stat=PROTOCOL_ERROR,
        flags="DPE",
        bytewise=bytewise,
        upstream_head=True,
    )


@delivery
@pytest.mark.parametrize(
    "body",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello\r\n0\n\r\n",
        b"5\rXhello\r\n0\r\n\r\n",
        b"5;a=\rb\r\nhello\r\n0\r\n\r\n",
        b"5;a=\nb\r\nhello\r\n0\r\n\r\n",
        b"5;a=\x00\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\nX-T: a\n\r\n",
        b"5\r\nhello\r\n0\r\n\rX",
    ],
    ids=repr,
)
def test_case_10_bare_line_ends_in_a_chunked_body(proxy, body, bytewise):
    proxy.refused(
        post(CHUNKED, body=body + SMUGGLED),
        details=r"http1\.(codec_error|invalid_characters)",
        upstream_head=True,
        bytewise=bytewise,
    )


@delivery
@pytest.mark.parametrize(
    "data",
    [
        b"GET /x HTTP/1.1\nHost: h.test\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: h.test\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: h.test\r\n\n",
        b"GET /x HTTP/1.1\nHost: h.test\n\n",
        b"GET /x HTTP/1.1\r\nHost: h.test\r\n\rX",
        b"GET /x HTTP/1.1\rHost: h.test\r\n\r\n",
    ],
    ids=repr,
)
def test_case_10_bare_line_ends_in_a_head(proxy, data, bytewise):
    proxy.refused(data + SMUGGLED, details=r"http1\.(codec_error|invalid_characters|invalid_url)", bytewise=bytewise)


def test_case_11_oversized_chunk_extension(proxy):
    body = b"5;" + b"e" * 20000 + b"\r\nhello\r\n0\r\n\r\n"
    proxy.refused(post(CHUNKED, body=body), details=r"http1\.codec_error", upstream_head=True)


def test_case_11_chunk_extensions_oversized_together(proxy):
    """16 KiB cumulative over the whole body, not per chunk."""
    body = b"".join(b"1;" + b"e" * 200 + b"\r\nx\r\n" for _ in range(120)) + b"0\r\n\r\n"
    proxy.refused(post(CHUNKED, body=body), details=r"http1\.codec_error", upstream_head=True)


def test_case_11_small_chunk_extensions_pass(proxy):
    body = b"".join(b"1;a=b\r\nx\r\n" for _ in range(10)) + b"0\r\n\r\n"
    outcome = proxy.send(post(CHUNKED, body=body), responses=1)
    assert outcome.statuses == [200] and proxy.upstream.requests[0].body == b"x" * 10


@delivery
@pytest.mark.parametrize(
    "body",
    [
        b"5\r\nhelloXX0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello!\r\n0\r\n\r\n",
        b"5\r\nhello\r\r0\r\n\r\n",
        b"5\r\nhello\n\n0\r\n\r\n",
        b"0\r\nX\r\n\r\n",
    ],
    ids=repr,
)
def test_case_12_wrong_bytes_after_a_chunk(proxy, body, bytewise):
    proxy.refused(
        post(CHUNKED, body=body + SMUGGLED),
        details=r"http1\.(codec_error|invalid_characters)",
        upstream_head=True,
        bytewise=bytewise,
    )


def test_case_12_missing_final_crlf_is_never_resynchronised(proxy):
    """`0\\r\\n` and then a request: its line is a bad trailer line, not a request."""
    proxy.refused(post(CHUNKED, body=b"5\r\nhello\r\n0\r\n" + SMUGGLED), details=r"http1\.\w+", upstream_head=True)


@pytest.mark.parametrize("target", [b"/direct", b"/early"])
def test_case_13_body_left_after_an_early_response_is_no_request(proxy, target):
    """The answer comes before the body; what follows is body (then the connection may serve on) or the connection closes."""
    proxy.upstream.reset_records((response(200, b"early"),))
    data = b"POST " + target + b" HTTP/1.1\r\nHost: h.test\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED)
    with Connection(proxy.ports["main"]) as connection:
        connection.send(data)
        assert connection.read_response().status == 200
        connection.send(SMUGGLED)
        rest = connection.read_available(quiet=0.3)
    assert b"HTTP/1.1" not in rest, f"the body was answered as a request: {rest!r}"
    assert all(r.path != "/smuggled" for r in proxy.upstream.requests)


def test_case_13_drained_or_closed_with_a_request_after_the_body(proxy):
    body = SMUGGLED
    data = (
        b"POST /direct HTTP/1.1\r\nHost: h.test\r\nContent-Length: %d\r\n\r\n" % len(body)
        + body
        + request("/direct/second")
    )
    outcome = proxy.send(data, wait=0.5)
    assert outcome.violation is None
    # Either closed after one answer, or the body drained and exactly the honest second request answered.
    assert outcome.statuses == [200] and outcome.closed or outcome.statuses == [200, 200]
    assert all(entry[4] != "/smuggled" for entry in outcome.log)


_UPGRADE = [b"Connection: Upgrade", b"Upgrade: foo"]


def test_case_14_bytes_before_101_are_held(proxy):
    """Nothing after the head reaches the upstream until it has switched."""
    proxy.upstream.reset_records(
        (0.2, b"HTTP/1.1 101 Switching Protocols\r\nupgrade: foo\r\nconnection: upgrade\r\n\r\n", ECHO)
    )
    with Connection(proxy.ports["upgrade"]) as connection:
        connection.send(head(b"GET /up HTTP/1.1", b"Host: h.test", *_UPGRADE) + SMUGGLED)
        proxy.upstream.wait_for(1)
        before = bytes(proxy.upstream.raw[proxy.upstream.requests[0].connection])
        assert b"smuggled" not in before, "payload was sent before the upgrade was agreed"
        assert connection.read_response().status == 101
        assert connection.read_exactly(len(SMUGGLED)) == SMUGGLED
    assert len(proxy.upstream.requests) == 1


@pytest.mark.parametrize("status", [200, 403])
def test_case_14_refused_upgrade_closes(proxy, status):
    """The bytes held are thrown away, the client's connection closed, the upstream's never used again."""
    proxy.upstream.reset_records((0.1, response(status, b"no")))
    outcome = proxy.send(head(b"GET /up HTTP/1.1", b"Host: h.test", *_UPGRADE) + SMUGGLED, "upgrade")
    assert outcome.statuses == [status] and outcome.closed
    proxy.saw_nothing_smuggled()
    proxy.upstream_connection_not_reused()


def test_case_14_upgrade_not_configured_never_reaches_the_upstream(proxy):
    outcome = proxy.send(head(b"GET /up HTTP/1.1", b"Host: h.test", *_UPGRADE) + SMUGGLED, "main")
    assert outcome.statuses[0] == 403
    proxy.saw_nothing_smuggled()


def test_case_55_h2c_upgrade_is_not_forwarded(proxy):
    """Ledger 55 belongs to HTTP/2, but its way in is an HTTP/1 request."""
    outcome = proxy.send(
        head(
            b"GET /up HTTP/1.1",
            b"Host: h.test",
            b"Connection: Upgrade, HTTP2-Settings",
            b"Upgrade: h2c",
            b"HTTP2-Settings: AAMAAABkAAQAAP__",
        ),
        responses=1,
    )
    assert outcome.statuses[0] in (200, 403)
    for record in proxy.upstream.requests:
        assert record.header("upgrade") is None and record.header("http2-settings") is None


def test_the_rest_of_an_unread_request_touches_no_other_client(proxy):
    """The reply closes the connection, and the body lies in the same packet: it must not become part of any stream."""
    for _ in range(3):
        fields = (b"POST /direct HTTP/1.1", b"Host: h.test", b"Content-Length: 10")
        outcome = proxy.send(head(*fields, body=b"0123456789" + SMUGGLED))
        assert outcome.statuses == [200] and outcome.closed
        with Connection(proxy.ports["main"]) as connection:
            connection.send(head(b"POST /next HTTP/1.1", b"Host: h.test", b"Content-Length: 4"))
            proxy.upstream.wait_for(1)
            connection.send(b"body")
            assert connection.read_response(timeout=2).status == 200
        record = proxy.upstream.requests[-1]
        assert record.line.startswith("POST /next ") and record.body == b"body"
        proxy.upstream.reset_records()
    proxy.saw_nothing_smuggled()
