# SPDX-License-Identifier: Apache-2.0
"""RFC 9113 §3, §4 and §5.5: the preface, frames, field blocks, extensions."""

import socket

from conformance import Cases, w
from h2expect import answered, connection_error, ignored, malformed, may_close, stream_error
from hyperframe import frame as hf

from PythonKit.client import get

CASES = Cases()
case = CASES
FRAME_SIZE = w.FRAME_SIZE_ERROR


def test_connection(case, downstream):
    downstream.run(case)


# 3.4 The preface. GOAWAY may be omitted where the peer plainly does not speak HTTP/2.


@case("3.4", "SETTINGS is the first frame of the server", answered(200, b"a"))
def _(c):
    stream = c.open()
    c.until_over(stream)
    first = c.frames[0]
    assert isinstance(first, hf.SettingsFrame) and "ACK" not in first.flags, f"first came {first}"
    return stream


@case("3.4", "a byte at a time", answered(200, b"a"), preface=False)
def _(c):
    for byte in w.PREFACE + w.settings() + w.headers(1, w.request_block()):
        c.send(bytes([byte]))
    next(c.ids)


@case("3.4", "preface, SETTINGS and a request in one segment", answered(200, b"a"), preface=False)
def _(c):
    c.send(w.PREFACE + w.settings() + w.headers(1, w.request_block()))
    next(c.ids)


@case("3.4", "SETTINGS with every parameter", answered(200, b"a"), preface=False)
def _(c):
    c.send(w.PREFACE + w.settings((1, 4096), (2, 0), (3, 100), (4, 65535), (5, 16384), (6, 65536)))
    return c.open()


@case("3.4", "a wrong byte in the preface", connection_error(or_close=True), preface=False)
def _(c):
    c.send(b"PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n" + w.settings())


@case("3.4", "an HTTP/1.1 request instead", connection_error(or_close=True), preface=False)
def _(c):
    c.send(b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n")


@case("3.4", "frames without the preface", connection_error(or_close=True), preface=False)
def _(c):
    c.send(w.settings() + w.headers(1, w.request_block()))


@case("3.4", "the preface cut short by the end", connection_error(or_close=True), preface=False, ends=True)
def _(c):
    c.send(w.PREFACE[:20])
    c.socket.shutdown(socket.SHUT_WR)


@case("3.4", "HEADERS before SETTINGS", connection_error(or_close=True), preface=False)
def _(c):
    c.send(w.PREFACE + w.headers(1, w.request_block()))


@case("3.4", "PING before SETTINGS", connection_error(or_close=True), preface=False)
def _(c):
    c.send(w.PREFACE + w.ping())


@case("3.4", "malformed SETTINGS first", connection_error(FRAME_SIZE, or_close=True), preface=False)
def _(c):
    c.send(w.PREFACE + w.frame(w.SETTINGS, 0, 0, b"\0" * 5))


@case("3.4", "the preface twice", connection_error(FRAME_SIZE, or_close=True), preface=False)
def _(c):
    c.send(w.PREFACE + w.settings() + w.PREFACE + w.settings())


@case("3.3", "prior knowledge where HTTP/1 is spoken too", answered(200, b"a"), listener="auto")
def _(c):
    return c.open()


@case(
    "3.3",
    "prior knowledge a byte at a time where HTTP/1 is spoken too",
    answered(200, b"a"),
    listener="auto",
    preface=False,
)
def _(c):
    for byte in w.PREFACE + w.settings():
        c.send(bytes([byte]))
    return c.open()


@case("3.3", "HTTP/1.1 on the same port", answered(200, b"a"), listener="auto")
def _(c):
    answer = get(c.harness.ports["auto"], "/h1")
    assert (answer.status, answer.body) == (200, b"a")
    return c.open()


@case("3.1", "Upgrade: h2c is not taken (the token is obsolete)", answered(200, b"a"), listener="auto")
def _(c):
    fields = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")]
    answer = get(c.harness.ports["auto"], "/h2c", headers=fields)
    assert answer.status != 101
    c.harness.upstreams["a"].wait_for(1, 0.2)
    for request in c.harness.requests:
        assert request.header("upgrade") is None and request.header("http2-settings") is None, request.headers
    return c.open()


# 4.1 Frame format


@case("4.1", "a frame of unknown type on the connection", answered(200, b"a"))
def _(c):
    c.send(w.frame(0xBA, 0xFF, 0, b"whatever"))
    return c.open()


@case("4.1", "a frame of unknown type on an open stream", answered(200, b"a"))
def _(c):
    stream = c.open(method="POST", end=False)
    c.send(w.frame(0x16, 0x05, stream, b"x" * 100), w.data(stream, b"body", end=True))
    return stream


@case("4.1", "a frame of unknown type on an idle stream", ignored())
def _(c):
    c.send(w.frame(0xFE, 0, 77, b"x"))


@case("4.1", "a frame of unknown type as large as allowed", ignored())
def _(c):
    c.send(w.frame(0x20, 0, 0, b"\xaa" * w.MAX_FRAME))


@case("4.1", "the reserved bit of the stream identifier is ignored", answered(200, b"a"))
def _(c):
    next(c.ids)
    c.send(w.frame(w.HEADERS, w.END_STREAM | w.END_HEADERS, 0x80000001, w.request_block()))


@case("4.1", "the reserved bit of stream 0 is ignored", ignored())
def _(c):
    c.send(w.frame(w.PING, 0, 0x80000000, b"reserved"))
    c.pump(lambda: b"reserved" in c.pongs)
    assert b"reserved" in c.pongs


@case("4.1", "flags without meaning for the frame are ignored", answered(200, b"a"))
def _(c):
    next(c.ids)
    c.send(
        w.frame(w.HEADERS, w.END_HEADERS | 0xD2, 1, w.request_block(method="POST")),
        w.frame(w.DATA, w.END_STREAM | 0xF6, 1, b"body"),
    )


@case("4.1", "flags without meaning on SETTINGS, PING, PRIORITY and WINDOW_UPDATE", answered(200, b"a"))
def _(c):
    stream = c.open("/", method="POST", end=False)
    c.send(
        w.frame(w.SETTINGS, 0xFE, 0),
        w.frame(w.PING, 0xFE, 0, b"pingpong"),
        w.frame(w.PRIORITY, 0xFF, stream, b"\0\0\0\0\x0f"),
        w.frame(w.WINDOW_UPDATE, 0xFF, 0, b"\0\0\0\x01"),
        w.data(stream, b"body", end=True),
    )
    return stream


@case("4.1", "the reserved bit of the window increment is ignored", ignored())
def _(c):
    c.send(w.window_update(0, 0x80000001))


@case("4.1", "a frame header cut short by the end", connection_error(FRAME_SIZE, or_close=True), ends=True)
def _(c):
    c.barrier()
    c.send(w.ping()[:5])
    c.socket.shutdown(socket.SHUT_WR)


# 4.2 Frame size


@case("4.2", "DATA of 16,384 bytes", answered(200, b"a"))
def _(c):
    stream = c.open(method="POST", end=False)
    c.send(w.data(stream, b"x" * w.MAX_FRAME, end=True))
    return stream


@case("4.2", "DATA one byte too large", stream_error(FRAME_SIZE))
def _(c):
    stream = c.open("/stall", method="POST", end=False)
    c.send(w.frame(w.DATA, 0, stream, b"x" * (w.MAX_FRAME + 1)))
    return stream


@case("4.2", "HEADERS of 16,384 bytes", answered((200, 431)))
def _(c):
    block = w.request_block()
    room = w.MAX_FRAME - len(block) - 14
    block += w.literal(b"x-long", b"v" * room)
    assert abs(len(block) - w.MAX_FRAME) < 8
    return c.send_block(block)


@case("4.2", "HEADERS one byte too large", connection_error(FRAME_SIZE))
def _(c):
    c.send(w.frame(w.HEADERS, 5, 1, w.request_block().ljust(w.MAX_FRAME + 1, b"\x82")))


@case("4.2", "CONTINUATION one byte too large", connection_error(FRAME_SIZE))
def _(c):
    c.send(w.headers(1, w.request_block(), end_headers=False))
    block = w.literal(b"x-long", b"v" * (w.MAX_FRAME + 1 - 11))
    assert len(block) == w.MAX_FRAME + 1
    c.send(w.frame(w.CONTINUATION, w.END_HEADERS, 1, block))


@case("4.2", "SETTINGS larger than allowed", connection_error(FRAME_SIZE, w.ENHANCE_YOUR_CALM))
def _(c):
    c.send(w.frame(w.SETTINGS, 0, 0, b"\0\x99\0\0\0\0" * 2731))


@case("4.2", "an unknown frame larger than allowed", connection_error(FRAME_SIZE))
def _(c):
    c.send(w.frame(0x99, 0, 0, b"x" * (w.MAX_FRAME + 1)))


@case("4.2", "a frame said to be of 2^24-1 bytes", connection_error(FRAME_SIZE))
def _(c):
    c.send(w.frame(w.DATA, 0, c.open("/stall", method="POST", end=False), b"x" * 20, length=2**24 - 1))


@case(
    "4.2",
    "a response larger than a frame comes in frames of at most 16,384 bytes",
    answered(200),
    settings=((4, 1 << 20),),
)
def _(c):
    c.send(w.window_update(0, 1 << 20))
    return c.open("/big")


# 4.3 Field blocks


@case("4.3", "a block over one HEADERS and three CONTINUATION frames", answered(200, b"a"))
def _(c):
    block = w.request_block("/case", extra=[("x-split", "a-long-enough-value")])
    next(c.ids)
    c.send(w.headers(1, block[:5], end_headers=False), w.continuation(1, block[5:6], end_headers=False))
    c.send(w.continuation(1, block[6:40], end_headers=False), w.continuation(1, block[40:]))
    c.harness.upstreams["a"].wait_for(1)
    assert c.harness.requests[0].header("x-split") == "a-long-enough-value"


@case("4.3", "an empty HEADERS frame with the whole block in CONTINUATION", answered(200, b"a"))
def _(c):
    next(c.ids)
    c.send(w.headers(1, b"", end_headers=False), w.continuation(1, w.request_block()))


@case("4.3", "an empty last CONTINUATION", answered(200, b"a"))
def _(c):
    next(c.ids)
    c.send(w.headers(1, w.request_block(), end_headers=False), w.continuation(1, b""))


@case("4.3", "the table is kept from request to request", answered(200, b"a"))
def _(c):
    c.until_over(c.send_block(w.request_block("/one") + w.literal(b"x-kept", b"in-the-table", w.INDEXING)))
    stream = c.send_block(w.request_block("/two") + w.indexed(62))
    c.until_over(stream)
    assert c.harness.requests[1].header("x-kept") == "in-the-table"
    return stream


@case("4.3", "a malformed request's block still counts for the table", answered(200, b"a"))
def _(c):
    bad = c.send_block(w.request_block("/bad", method=None) + w.literal(b"x-kept", b"from-the-bad", w.INDEXING))
    c.until_over(bad)
    stream = c.send_block(w.request_block("/good") + w.indexed(62))
    c.until_over(stream)
    good = [r for r in c.harness.requests if r.path == "/good"]
    assert good and good[0].header("x-kept") == "from-the-bad", f"{good}; {c.describe()}"
    return stream


@case("4.3", "a trailer block counts for the table", answered(200, b"a"))
def _(c):
    first = c.send_block(w.request_block("/one", method="POST"), end=False)
    c.send(w.headers(first, w.literal(b"x-sum", b"in-trailers", w.INDEXING)))
    c.until_over(first)
    stream = c.send_block(w.request_block("/two") + w.indexed(62))
    c.until_over(stream)
    two = [r for r in c.harness.requests if r.path == "/two"]
    assert two and two[0].header("x-sum") == "in-trailers", f"{two}; {c.describe()}"
    return stream


@case("4.3", "the block of a stream the client has reset counts for the table", answered(200, b"a"))
def _(c):
    first = c.send_block(w.request_block("/stall") + w.literal(b"x-kept", b"from-the-reset", w.INDEXING))
    c.send(w.reset(first))
    stream = c.send_block(w.request_block("/two") + w.indexed(62))
    c.until_over(stream)
    two = [r for r in c.harness.requests if r.path == "/two"]
    assert two and two[0].header("x-kept") == "from-the-reset"
    return stream


@case("4.3", "a block that ends inside a literal", connection_error(w.COMPRESSION_ERROR))
def _(c):
    c.send_block(w.request_block() + b"\x00\x05x-c")


@case("4.3", "an invalid block in trailers", connection_error(w.COMPRESSION_ERROR))
def _(c):
    stream = c.open("/stall", method="POST", end=False)
    c.send(w.headers(stream, b"\x80"))


@case(
    "4.3", "an invalid block on a stream the client has reset", connection_error(w.COMPRESSION_ERROR, w.STREAM_CLOSED)
)
def _(c):
    stream = c.open("/stall", method="POST", end=False)
    c.send(w.reset(stream), w.headers(stream, b"\x80"))


@case("4.3", "an empty field block", malformed())
def _(c):
    return c.send_block(b"")


# 5.5 Extensions


@case("5.5", "an unknown frame inside a field block", connection_error())
def _(c):
    c.send(w.headers(1, w.request_block(), end_headers=False), w.frame(0xBA, 0, 1, b"x"), w.continuation(1, b""))


@case("5.5", "an unknown frame of another stream inside a field block", connection_error())
def _(c):
    c.send(w.headers(1, w.request_block(), end_headers=False), w.frame(0xBA, 0, 0, b"x"), w.continuation(1, b""))


@case("5.5", "ALTSVC and ORIGIN from a client are ignored", ignored())
def _(c):
    c.send(w.frame(0xA, 0, 0, b'\0\0h2=":443"'), w.frame(0xC, 0, 0, b"\0\x0bhttp://a.te"))


@case("5.5", "PRIORITY_UPDATE is ignored or acted upon", ignored())
def _(c):
    c.send(w.frame(0x10, 0, 0, b"\0\0\0\x01u=1"))


@case("5.5", "an unknown setting", ignored())
def _(c):
    c.send(w.settings((0xF00D, 1), (0, 7), (0xFFFF, 0xFFFFFFFF)))
    c.pump(lambda: c.acks >= 2)
    assert c.acks == 2, f"{c.acks} acknowledgments for two SETTINGS"


@case("7", "an unknown error code in RST_STREAM", answered(200, b"a"))
def _(c):
    c.send(w.reset(c.open("/stall"), 0xDEADBEEF))
    return c.open()


@case("7", "an unknown error code in GOAWAY", may_close())
def _(c):
    c.send(w.goaway(0, 0xDEADBEEF))
