# SPDX-License-Identifier: Apache-2.0
"""Ledger cases 46–55, downstream: what a field, a frame and a header block may be."""

import threading

import pytest

from PythonKit import h2frames as f
from PythonKit.client import Connection, request
from PythonKit.upstream import BODY, response

_MESSAGING = ("http2.rx_messaging_error",)
_DETAILS = r"http2\.(invalid\.header\.field|violation\.of\.messaging\.rule)"


def _refused_fields(http2, fields, end=True, codes=frozenset({f.PROTOCOL_ERROR}), stats=_MESSAGING):
    """RST PROTOCOL_ERROR; nothing of it reaches an upstream."""
    with http2.connect() as client:
        stream = client.expect(1)
        client.send(f.headers(1, f.literal(*fields), end))
        http2.stream_refused(client, stream, codes)
    http2.saw_nothing()
    if stats:
        assert http2.stat_moved(*stats), f"none of {stats} moved"
        http2.logged(_DETAILS)


_GET = f.request_fields("/x")


def _with(*extra):
    return [*_GET, *extra]


def _replaced(name, *values):
    return [pair for n, v in _GET for pair in ([(n, v)] if n != name else [(n, value) for value in values])]


@pytest.mark.parametrize(
    "fields",
    [
        _with(("X-Upper", "1")),
        _with(("x-uPper", "1")),
        _with(("connection", "close")),
        _with(("connection", "te")),
        _with(("keep-alive", "timeout=5")),
        _with(("proxy-connection", "keep-alive")),
        _with(("transfer-encoding", "chunked")),
        _with(("upgrade", "websocket")),
        _with(("te", "gzip")),
        _with(("te", "trailers, deflate")),
        _with((":status", "200")),
        _with((":nonsense", "1")),
        _with((":", "1")),
        [("x", "1"), *_GET],
        [*_GET[:3], ("x", "1"), _GET[3]],
        _with((":path", "/other")),
        _with((":method", "POST")),
        _with((":authority", "other.test")),
        _with((":scheme", "https")),
        _replaced(":path"),
        _replaced(":method"),
        _replaced(":scheme"),
    ],
    ids=lambda fields: ",".join(f"{n}={v}" for n, v in fields if (n, v) not in _GET) or f"{len(fields)} left",
)
def test_case_46_field_rules(http2, fields):
    _refused_fields(http2, fields)


@pytest.mark.parametrize("name", [":path", ":method", ":status", ":nonsense"])
def test_case_46_pseudo_header_in_trailers(http2, name):
    with http2.connect() as client:
        stream = client.expect(1)
        client.send(f.headers(1, f.literal(*f.request_fields("/x", method="POST"))) + f.data(1, b"body"))
        client.send(f.headers(1, f.literal((name, "/x")), end=True))
        http2.stream_refused(client, stream)
    assert all(not r.complete for r in http2.upstream.requests), "complete upstream"


@pytest.mark.parametrize("name", ["X-Upper", "connection", "transfer-encoding"])
def test_case_46_bad_field_in_trailers(http2, name):
    http2.upstream.reset_records((BODY, response()))
    with http2.connect() as client:
        stream = client.expect(1)
        client.send(f.headers(1, f.literal(*f.request_fields("/x", method="POST"))) + f.data(1, b"body"))
        client.send(f.headers(1, f.literal((name, "chunked")), end=True))
        http2.stream_refused(client, stream)


_BAD_VALUES = (
    ("x", "a\nb"), ("x", "a\rb"), ("x", "a\0b"), ("x", "a\r\nx-injected: 1"), ("x", "\n"), ("x", " a"), ("x", "a "),
    ("x", "\ta"), ("x", "a\t"), ("x", "a\x01b"), ("x", "a\x7fb"), ("", "v"), ("x y", "v"), ("x:y", "v"), ("x\n", "v"),
    ("x\0", "v"), ("x\xe9", "v"), ("x(", "v"), ("host", "other.test"), ("content-length", "+5"),
    ("content-length", "0x5"), ("content-length", "5, 5"), ("content-length", ""),
        ("content-length", "18446744073709551621"),
)


@pytest.mark.parametrize("field", _BAD_VALUES, ids=repr)
def test_case_47_bytes_that_would_break_http_1(http2, field):
    _refused_fields(http2, _with(field))


@pytest.mark.parametrize("fields", [
    _with(("content-length", "5"), ("content-length", "6")), _with(("content-length", "5"), ("content-length", "5")),
    _with(("host", "example.test"), ("host", "evil.test")),
], ids=["two lengths", "equal lengths", "two hosts"])
def test_case_47_contradicting_fields(http2, fields):
    _refused_fields(http2, fields)


@pytest.mark.parametrize(
    "pseudo, value",
    [
        (":path", ""), (":path", "x"), (":path", "/a b"), (":path", "/a\nb"), (":path", "/a\0b"), (":path", "/a\tb"),
        (":path", "http://evil.test/"), (":path", "/x HTTP/1.1\r\nx: 1"), (":path", "/x\x7f"),
        (":scheme", "ht tp"), (":scheme", ""), (":scheme", "http\n"), (":scheme", "http://evil/"), (":scheme", "1ttp"),
        (":method", ""), (":method", "GET /x"), (":method", "GET\n"), (":method", "G(T"), (":method", "G\0T"),
        (":authority", "a b"), (":authority", "a/b"), (":authority", "user@h.test"), (":authority", "h.test\n"),
        (":authority", "h.test:99999"), (":authority", "h.test\r\nx: 1"), (":authority", "a\0b"),
    ],
    ids=repr,
)
def test_case_47_pseudo_header_values(http2, pseudo, value):
    """RST, or the answer 400; never a request upstream."""
    with http2.connect() as client:
        stream = client.expect(1)
        client.send(f.headers(1, f.literal(*_replaced(pseudo, value)), True))
        client.finish(stream)
        if stream.status is None:
            http2.stream_refused(client, stream)
        else:
            assert stream.status in (400, 404), f"answered {stream.status}"
    http2.saw_nothing()


def test_case_47_fragment_in_the_path(http2):
    with http2.connect() as client:
        stream = client.request(f.request_fields("/x#fragment"))
        assert stream.status == 400 or stream.reset == f.PROTOCOL_ERROR
    http2.saw_nothing()


@pytest.mark.parametrize(
    "length, frames",
    [
        ("5", f.data(1, b"hello!", True)),
        ("5", f.data(1, b"hell", True)),
        ("5", f.data(1, b"hello") + f.data(1, b"!", True)),
        ("0", f.data(1, b"x", True)),
        ("5", f.data(1, b"hell") + f.headers(1, f.literal(("x-t", "1")), True)),
    ],
    ids=["more", "less", "more in the next frame", "some for none", "less, then trailers"],
)
def test_case_48_length_and_data_differ(http2, length, frames):
    """What is too much must not become a request; what is too little must not be filled up by the next."""
    with http2.connect() as client:
        stream = client.expect(1)
        client.send(f.headers(1, f.literal(*f.request_fields("/x", method="POST"), ("content-length",
            length))) + frames)
        http2.stream_refused(client, stream)
    http2.upstream.wait_until(lambda u: not u.has_unfinished_request(), 1.0)
    assert all(not r.complete or r.framing == "none" for r in http2.upstream.requests), "complete upstream"
    assert all(len(r.body) <= int(length) for r in http2.upstream.requests)
    # Which of them depends on whether the head had gone upstream.
    http2.logged(r"http2\.(remote_reset|violation\.of\.messaging\.rule|invalid\.header\.field)")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_case_48_length_without_data(http2, method):
    _refused_fields(http2, [*f.request_fields("/x", method=method), ("content-length", "5")], stats=())


@pytest.mark.parametrize("body", [b"", b"x"], ids=["no body", "a body"])
def test_case_49_trailers_without_end_stream(http2, body):
    with http2.connect() as client:
        stream = client.expect(1)
        client.send(f.headers(1, f.literal(*f.request_fields("/x", method="POST"))))
        client.send((f.data(1, body) if body else b"") + f.headers(1, f.literal(("x-t", "1")), end=False))
        http2.stream_refused(client, stream)
    assert http2.stat_moved(*_MESSAGING), "http2.rx_messaging_error did not move"
    http2.logged(_DETAILS)


def test_case_49_second_trailers(http2):
    with http2.connect() as client:
        stream = client.expect(1)
        client.send(f.headers(1, f.literal(*f.request_fields("/x", method="POST"))))
        client.send(f.headers(1, f.literal(("x-t", "1")), end=True) + f.headers(1, f.literal(("x-t", "2")), end=True))
        client.wait_until(lambda: stream.done or client.goaways)
        codes = {f.STREAM_CLOSED, f.PROTOCOL_ERROR}
        assert stream.reset in codes or client.goaway_code in codes or http2.silence_is_an_answer


SIZE, PROTOCOL, FLOW = {f.FRAME_SIZE_ERROR}, {f.PROTOCOL_ERROR}, {f.FLOW_CONTROL_ERROR}
CLOSED = {f.STREAM_CLOSED, f.PROTOCOL_ERROR}
_OPEN = f.headers(1, f.literal(*f.request_fields("/x", method="POST")))
_WHOLE = f.headers(1, f.literal(*_GET), True)

#: errors of the connection: name, (frames, codes)
_CONNECTION_ERRORS = {
    "frame larger than allowed": (_OPEN + f.data(1, b"x" * 16385), SIZE),
    "SETTINGS of 5 bytes": (f.frame(f.SETTINGS, 0, 0, b"12345"), SIZE),
    "SETTINGS ACK with a payload": (f.frame(f.SETTINGS, f.ACK, 0, b"123456"), SIZE),
    "SETTINGS on a stream": (f.frame(f.SETTINGS, 0, 1), PROTOCOL),
    "ENABLE_PUSH 2": (f.settings((f.ENABLE_PUSH, 2)), PROTOCOL),
    "MAX_FRAME_SIZE 100": (f.settings((f.MAX_FRAME_SIZE, 100)), PROTOCOL),
    "MAX_FRAME_SIZE 2^24": (f.settings((f.MAX_FRAME_SIZE, 1 << 24)), PROTOCOL),
    "PING of 7 bytes": (f.frame(f.PING, 0, 0, b"1234567"), SIZE),
    "PING on a stream": (f.frame(f.PING, 0, 1, b"12345678"), PROTOCOL),
    "GOAWAY on a stream": (f.frame(f.GOAWAY, 0, 1, b"\0" * 8), PROTOCOL),
    "GOAWAY of 7 bytes": (f.frame(f.GOAWAY, 0, 0, b"\0" * 7), SIZE),
    "WINDOW_UPDATE of 3 bytes": (f.frame(f.WINDOW_UPDATE, 0, 0, b"\0\0\1"), SIZE),
    "WINDOW_UPDATE of 0 on the connection": (f.window_update(0), PROTOCOL),
    "WINDOW_UPDATE on an idle stream": (f.window_update(1, 7), PROTOCOL),
    "RST_STREAM of 3 bytes": (_OPEN + f.frame(f.RST_STREAM, 0, 1, b"\0\0\0"), SIZE),
    "RST_STREAM on stream 0": (f.rst_stream(0), PROTOCOL),
    "RST_STREAM on an idle stream": (f.rst_stream(7), PROTOCOL),
    "DATA on stream 0": (f.data(0, b"x"), PROTOCOL),
    "DATA on an idle stream": (f.data(7, b"x"), PROTOCOL),
    "DATA with too much padding": (_OPEN + f.frame(f.DATA, f.PADDED, 1, b"\x09hello"), PROTOCOL),
    "DATA padded without a length": (_OPEN + f.frame(f.DATA, f.PADDED, 1, b""), SIZE | PROTOCOL),
    "HEADERS on stream 0": (f.headers(0, f.literal(*_GET), True), PROTOCOL),
    "HEADERS on an even stream": (f.headers(2, f.literal(*_GET), True), PROTOCOL),
    "HEADERS with too much padding": (
        f.frame(f.HEADERS, f.END_HEADERS | f.PADDED, 1, b"\xff" + f.literal(*_GET)), PROTOCOL),
    "HEADERS with half a priority": (f.frame(f.HEADERS, f.END_HEADERS | f.PRIORITY_FLAG, 1, b"\0\0"), SIZE | PROTOCOL),
    "a lower stream": (
        f.headers(5, f.literal(*f.request_fields("/direct")), True) + f.headers(3, f.literal(*_GET), True),
        CLOSED),
    "PRIORITY on stream 0": (f.frame(f.PRIORITY, 0, 0, b"\0\0\0\0\x10"), PROTOCOL),
    "CONTINUATION alone": (f.continuation(1, b"", True), PROTOCOL),
    "CONTINUATION of another stream": (
        f.headers(1, f.literal(*_GET), True, False) + f.continuation(3, b"", True), PROTOCOL),
    "PUSH_PROMISE from a client": (
        _OPEN + f.frame(f.PUSH_PROMISE, f.END_HEADERS, 1, b"\0\0\0\2" + f.literal(*_GET)), PROTOCOL),
    "an unknown frame inside a header block": (
        f.headers(1, f.literal(*_GET), True, False) + f.frame(0xFA, 0, 1) + f.continuation(1, b"", True), PROTOCOL),
}


@pytest.mark.parametrize("name", _CONNECTION_ERRORS)
def test_case_50_frames(http2, name):
    frames, codes = _CONNECTION_ERRORS[name]
    with http2.connect() as client:
        client.send(frames)
        http2.connection_refused(client, codes)
    assert all(not r.complete or r.framing == "none" for r in http2.upstream.requests)


@pytest.mark.parametrize("frames", [
    _WHOLE + f.data(1, b"x"), _WHOLE + f.headers(1, f.literal(*_GET), True), _OPEN + f.rst_stream(1) + f.data(1, b"x"),
], ids=["DATA after the end", "HEADERS after the end", "DATA after the reset"])
def test_case_50_frames_of_a_closed_stream(http2, frames):
    """STREAM_CLOSED, or ignored where the frame may have crossed the end; never part of a request."""
    http2.upstream.reset_records((BODY, 0.2, response()))
    with http2.connect() as client:
        client.expect(1)
        client.send(frames)
        if client.answers_ping():
            assert client.streams[1].reset in (None, f.STREAM_CLOSED, f.PROTOCOL_ERROR)
        else:
            http2.connection_refused(client, CLOSED)
    assert all(not r.body for r in http2.upstream.requests)


@pytest.mark.parametrize("preface", [
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\x00",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
], ids=["HTTP/1", "last byte", "ClientHello", "wrong end"])
def test_case_50_preface(http2, preface):
    with Connection(http2.ports["main"]) as connection:
        connection.send(preface + b"\0" * 20)
        answer = connection.read_to_end(timeout=3)
        # SETTINGS and GOAWAY at most.
        assert b"HTTP/1.1 200" not in answer
    http2.saw_nothing()


def test_case_50_first_frame_is_not_settings(http2):
    with http2.connect(greet=False) as client:
        client.send(f.PREFACE + _WHOLE)
        http2.connection_refused(client, PROTOCOL)
    http2.saw_nothing()


@pytest.mark.parametrize("frames", [
    f.frame(0xFA, 0xFF, 0, b"x" * 100), f.frame(0xFA, 0xFF, 1, b""), f.frame(f.PRIORITY, 0, 9, b"\0\0\0\0\x10"),
    f.settings((0x7777, 1)), f.settings(), f.frame(f.PING, 0xFE, 0, b"12345678"), f.window_update(1000),
], ids=["unknown frame", "unknown on a stream", "PRIORITY", "unknown setting", "no setting", "undefined flags",
    "window"])
def test_case_50_what_must_be_ignored(http2, frames):
    with http2.connect() as client:
        client.send(frames)
        assert client.request(f.request_fields("/direct")).status == 200


@pytest.mark.parametrize("second", [
    f.frame(f.SETTINGS, 0, 0, b"12345"), f.data(1, b"x" * 20000), f.frame(f.PING, 0, 0, b"1"),
        f.frame(0, 0, 0, b"", 1 << 23),
], ids=["SETTINGS", "DATA", "PING", "8 MB announced"])
def test_case_51_a_second_error_in_the_same_bytes(http2, second):
    """What follows the frame that ended the session is not looked at."""
    with http2.connect() as client:
        client.send((f.window_update(0) + second) * 20)
        http2.connection_refused(client, PROTOCOL)


def _block(raw):
    return f.headers(1, f.literal(*_GET) + raw, True)


@pytest.mark.parametrize(
    "block",
    [
        _block(b"\x80"), _block(b"\xff\x80\x80\x01"), _block(b"\xbe"),
            _block(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
        _block(b"\x00\x7f\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), _block(b"\x00\x05ab"), _block(b"\x00\x81\xff\x01a"),
        _block(b"\x00\x01x\x84\xff\xff\xff\xff"), _block(b"\x00\x01x\x82\x1f\xff"), _block(b"\x20"), _block(b"\x40"),
        f.headers(1, b"\x3f\xe1\xff\x03" + f.literal(*_GET), True),
        f.headers(1, b"\x3f\xff\xff\xff\xff\xff\xff\xff\xff\x7f" + f.literal(*_GET), True),
        f.headers(1, b"\x20" * 20 + f.literal(*_GET) + b"\x3f", True),
    ],
    ids=[
        "index 0", "index past the table", "index into an empty table", "integer overflow", "length overflow",
        "string cut", "Huffman padding in a name", "Huffman EOS", "Huffman padding of 8 bits", "size update at the end",
        "literal cut", "size update over the limit", "size update overflow", "size update cut",
    ],
)
def test_case_52_header_compression(http2, block):
    with http2.connect() as client:
        client.expect(1)
        client.send(block)
        http2.connection_refused(client, {f.COMPRESSION_ERROR, f.PROTOCOL_ERROR})
    http2.saw_nothing()


def test_case_52_refused_block_still_updates_the_table(http2):
    """Or the connection ends; a table that has lost step would give the next request another's fields."""
    with http2.connect() as client:
        first, second = client.expect(1), client.expect(3)
        entry = f.literal(("x-entry", "wanted"), indexed=True)
        many = f.literal(*((f"x-{i}", "v" * 50) for i in range(150)))
        client.send(f.headers(1, f.literal(*_GET) + entry + many, True))
        http2.stream_refused(client, first, {f.INTERNAL_ERROR, f.ENHANCE_YOUR_CALM, f.PROTOCOL_ERROR})
        client.send(f.headers(3, f.literal(*_GET) + b"\xbe", True))
        client.wait_until(lambda: second.done or client.goaways)
        if second.status == 200:
            assert http2.upstream.requests[0].values("x-entry") == ["wanted"]
        else:
            assert client.ended or client.goaways


def test_case_52_table_resized_many_times(http2):
    with http2.connect() as client:
        stream = client.expect(1)
        client.send(f.headers(1, b"\x20\x3f\xe1\x1f" + f.literal(*f.request_fields("/direct"), indexed=True), True))
        assert client.finish(stream).status == 200


def test_case_53_last_stream_number(http2):
    last = 0x7FFFFFFF
    with http2.connect() as client:
        stream = client.expect(last)
        client.send(f.headers(last, f.literal(*f.request_fields("/direct")), True))
        assert client.finish(stream).status == 200
        lower = client.expect(1)
        client.send(f.headers(1, f.literal(*_GET), True))
        assert not client.answers_ping(timeout=1) or lower.head is None, "a stream number was taken twice"
    http2.saw_nothing()


@pytest.mark.parametrize("frames", [
    f.settings((f.INITIAL_WINDOW_SIZE, 1 << 31)), f.settings((f.INITIAL_WINDOW_SIZE, 0xFFFFFFFF)),
    f.window_update(0x7FFFFFFF), _OPEN + f.window_update(0x7FFFFFFF, 1) + f.settings((f.INITIAL_WINDOW_SIZE,
        0x7FFFFFFF)),
], ids=["2^31", "2^32-1", "connection window", "stream window by SETTINGS"])
def test_case_53_window_overflow(http2, frames):
    with http2.connect() as client:
        client.expect(1)
        client.send(frames)
        http2.connection_refused(client, FLOW)


def test_case_53_stream_window_overflow(http2):
    with http2.connect() as client:
        stream = client.expect(1)
        client.send(_OPEN + f.window_update(0x7FFFFFFF, 1))
        http2.stream_refused(client, stream, FLOW)


def test_case_53_more_than_the_window(http2):
    """The upstream does not read, the client goes on all the same."""
    release = threading.Event()
    http2.upstream.reset_records((lambda *_: release.wait(10), BODY, response()))
    with http2.connect("small_window") as client:
        stream = client.expect(1)
        client.send(_OPEN)
        client.socket.settimeout(3)
        for _ in range(2000):
            if stream.done or client.ended or client.goaways:
                break
            client.send(f.data(1, b"x" * 16384))
        http2.stream_refused(client, stream, FLOW | {f.PROTOCOL_ERROR})
        release.set()
    http2.grew_by_less_than(12_000)


def test_case_53_more_streams_than_allowed(http2):
    """Refused one by one; those that are allowed are served."""
    http2.upstream.reset_records((BODY, 0.3, response()))
    with http2.connect("few_streams") as client:
        assert client.answers_ping()
        streams = [client.open(f.request_fields("/x")) for _ in range(20)]
        client.wait_until(lambda: all(s.done for s in streams), 4)
        if client.ended and http2.silence_is_an_answer:
            return
        assert [s.status for s in streams[:3]] == [200] * 3
        assert all(s.reset in (f.REFUSED_STREAM, f.PROTOCOL_ERROR) for s in streams[3:] if s.head is None)
    assert len(http2.upstream.requests) <= 6


@pytest.mark.parametrize("frames", [
    _OPEN + f.rst_stream(1) + f.data(1, b"zombie", True),
        _OPEN + f.data(1, b"x") + f.rst_stream(1) + f.data(1, b"y") * 50,
    _OPEN + f.rst_stream(1) + f.headers(1, f.literal(("x-t", "1")), True), _OPEN + f.rst_stream(1) * 10,
], ids=["DATA", "DATA before and after", "trailers", "again and again"])
def test_case_54_frames_of_a_reset_stream_in_the_same_bytes(http2, frames):
    with http2.connect() as client:
        client.expect(1)
        client.send(frames + f.headers(3, f.literal(*f.request_fields("/direct")), True))
        stream = client.expect(3)
        client.wait_until(lambda: stream.done or client.goaways)
        assert stream.status == 200 or client.goaway_code in CLOSED or http2.silence_is_an_answer
    http2.upstream.wait_until(lambda u: not u.has_unfinished_request(), 1.0)
    assert all(not r.complete for r in http2.upstream.requests if r.framing != "none")
    assert all(b"zombie" not in r.body and b"y" not in r.body for r in http2.upstream.requests)


_H2C = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")]


@pytest.mark.parametrize("listener", ["h1", "auto"])
def test_case_55_h2c_upgrade_is_ignored(http2, listener):
    """Neither taken nor passed on: frames sent after it are no tunnel to the upstream."""
    with Connection(http2.ports[listener]) as connection:
        connection.send(request("/x", headers=_H2C))
        answer = connection.read_response()
        assert answer.status == 200
        connection.send(f.PREFACE + f.settings())
        connection.read_available(0.3)
    recorded = http2.upstream.requests[0]
    assert not {n.lower() for n, _ in recorded.headers} & {"upgrade", "http2-settings"}
    assert not any(b"PRI * HTTP/2" in raw for raw in http2.upstream.raw)


def test_case_55_upgrade_over_http_2(http2):
    _refused_fields(http2, _with(("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQAAP__")))
