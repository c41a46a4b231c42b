# SPDX-License-Identifier: Apache-2.0
"""The proxy as a client, RFC 9113 §3–§6: preface, frames, settings, flow control, the end of a connection."""


import pytest
from conformance import BIG, w
from h2server import Gone
from upstream_side import CLIENTS, UpstreamCases, cut_short, gateway_error, whole, whole_or

CASES = UpstreamCases()
case = CASES
FRAME_SIZE = w.FRAME_SIZE_ERROR
FLOW = w.FLOW_CONTROL_ERROR


@pytest.mark.parametrize("client", CLIENTS)
def test_upstream_connection(case, client, upstream):
    upstream.run(case, client)


def breaks(*codes, before=b"", after=b""):
    """The play of a connection error: a request arrives, these bytes go out, the proxy ends the connection."""

    def play(p):
        p.next_request()
        p.send(before, after)
        p.expect_end(*codes)

    return play


def broken(section, title, data, *codes):
    """A connection error in place of the response."""
    case(section, title, gateway_error(), fresh=True)(breaks(*codes, after=data))


def frame_of(kind, flags, stream, payload):
    return w.frame(kind, flags, stream, payload)


# 3.4 The server's preface


@case("3.4", "SETTINGS and a response", whole())
def _(p):
    p.respond(p.whole_request())


@case("3.4", "the response in one segment with the server's SETTINGS", whole(), handshake=False)
def _(p):
    p.read_preface()
    request = p.whole_request()
    block = p.block((":status", "200"))
    p.send(w.settings(), w.settings(ack=True), w.headers(request.stream, block, end=False))
    p.send(w.data(request.stream, b"ok", end=True))


@case("3.4", "the server's frames a byte at a time", whole(), handshake=False)
def _(p):
    p.read_preface()
    request = p.whole_request()
    block = p.block((":status", "200"))
    response = w.headers(request.stream, block, end=False) + w.data(request.stream, b"ok", end=True)
    for byte in w.settings() + response:
        p.send(bytes([byte]))


@case("3.4", "PING before SETTINGS", gateway_error(), handshake=False, fresh=True)
def _(p):
    p.read_preface()
    p.send(w.ping())
    p.expect_end()


@case("3.4", "a response before SETTINGS", gateway_error(), handshake=False, fresh=True)
def _(p):
    p.read_preface()
    request = p.whole_request()
    p.respond(request)
    p.expect_end()


@case("3.4", "an HTTP/1.1 response", gateway_error(), handshake=False, fresh=True)
def _(p):
    p.read_preface()
    p.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    p.expect_end(FRAME_SIZE)


@case("3.4", "garbage", gateway_error(), handshake=False, fresh=True)
def _(p):
    p.read_preface()
    p.send(bytes(range(256)) * 4)
    p.expect_end(FRAME_SIZE)


@case("3.4", "the end of the connection at once", gateway_error(), handshake=False, fresh=True)
def _(p):
    raise Gone


@case("3.4", "the end of the connection after SETTINGS", gateway_error(), fresh=True)
def _(p):
    p.next_request()
    p.hang_up()


@case("3.4", "a server that never speaks", gateway_error(504), handshake=False)
def _(p):
    p.read_preface()
    request = p.next_request()
    p.pump(lambda: request.reset is not None)
    raise Gone


# 4 Frames


@case("4.1", "unknown frames, flags and the reserved bit are ignored", whole())
def _(p):
    request = p.whole_request()
    p.send(w.frame(0xBA, 0xFF, 0, b"x" * 100), w.frame(0xBB, 0, request.stream, b"x"))
    p.send(w.frame(w.HEADERS, w.END_HEADERS | 0xD2, request.stream | 0x80000000, p.block((":status", "200"))))
    p.send(w.frame(w.DATA, w.END_STREAM | 0xF6, request.stream, b"ok"))


@case("4.2", "DATA one byte too large", cut_short(), fresh=True)
def _(p):
    request = p.whole_request()
    p.head(request)
    p.send(w.frame(w.DATA, w.END_STREAM, request.stream, b"x" * (w.MAX_FRAME + 1)))
    p.expect_reset(request, FRAME_SIZE)
    p.hang_up()


broken("4.2", "HEADERS one byte too large", frame_of(w.HEADERS, 5, 1, b"\x88" + b"\xbe" * w.MAX_FRAME), FRAME_SIZE, w.COMPRESSION_ERROR)
broken("4.2", "SETTINGS one entry too large", frame_of(w.SETTINGS, 0, 0, b"\0\x99\0\0\0\0" * 2731), FRAME_SIZE)


@case("4.2", "a request body goes in frames the server allows", whole(), method="POST", body=b"x" * 60000)
def _(p):
    request = p.whole_request()
    # The reader fails on a frame above 16,384 bytes.
    assert len(request.body) == 60000
    p.respond(request)


LONG = [(f"x-long-{n}", "v" * 3000) for n in range(12)]


@case("4.3", "a long request head goes by HEADERS and CONTINUATION", whole(), headers=LONG)
def _(p):
    request = p.whole_request()
    assert [request.header(name) for name, _ in LONG] == [value for _, value in LONG]
    p.respond(request)


@case("4.3", "a response head over four CONTINUATION frames", whole())
def _(p):
    request = p.whole_request()
    block = p.block((":status", "200"), ("x-split", "abcdefgh"))
    cuts = [block[at : at + 4] for at in range(0, len(block), 4)]
    p.send(w.headers(request.stream, cuts[0], end=False, end_headers=False))
    p.send(*(w.continuation(request.stream, c, end_headers=c is cuts[-1]) for c in cuts[1:]))
    p.send(w.data(request.stream, b"ok", end=True))


@case("4.3", "DATA between HEADERS and CONTINUATION", gateway_error(), fresh=True)
def _(p):
    request = p.whole_request()
    block = p.block((":status", "200"))
    p.send(w.headers(request.stream, block, end=False, end_headers=False), w.data(request.stream, b"x", end=True))
    p.expect_end()


@case("4.3", "an endless field block", gateway_error(), fresh=True)
def _(p):
    request = p.whole_request()
    p.send(w.headers(request.stream, p.block((":status", "200")), end=False, end_headers=False))
    for n in range(600):
        p.send(w.continuation(request.stream, w.literal(b"x-%d" % n, b"v" * 1000), end_headers=False))
        if p.ended:
            break
    p.expect_reset(request, *range(14))
    p.hang_up()


# 5.1 Streams


@case("5.1", "DATA before HEADERS", gateway_error())
def _(p):
    request = p.whole_request()
    p.send(w.data(request.stream, b"body without a head", end=True))
    p.pump(lambda: request.reset is not None, 0.3)


@case("5.1", "DATA before HEADERS, the head after it", gateway_error())
def _(p):
    request = p.whole_request()
    p.send(w.data(request.stream, b"early"), w.headers(request.stream, p.block((":status", "200"))))
    p.pump(lambda: request.reset is not None, 0.3)


broken("5.1", "DATA on an idle stream", w.data(9, b"x"), w.STREAM_CLOSED)
broken("5.1", "HEADERS on an idle stream of the client", w.headers(9, b"\x88"), w.STREAM_CLOSED)
broken("5.1", "HEADERS on an idle stream of the server", w.headers(2, b"\x88"))
broken("5.1", "RST_STREAM on an idle stream", w.reset(9))
broken("5.1", "WINDOW_UPDATE on an idle stream", w.window_update(9, 1))


@case("5.1", "DATA after END_STREAM", whole())
def _(p):
    request = p.whole_request()
    p.respond(request)
    p.send(w.data(request.stream, b"more", end=True))


@case("5.1", "HEADERS after END_STREAM", whole())
def _(p):
    request = p.whole_request()
    p.respond(request)
    p.send(w.headers(request.stream, p.block((":status", "500"))))


@case("5.1", "frames on a stream the proxy has reset", gateway_error(504))
def _(p):
    request = p.whole_request()
    # The route's timeout makes the proxy give up.
    p.until(lambda: request.reset is not None)
    p.send(w.headers(request.stream, p.block((":status", "200"), ("x-late", "1")), end=False))
    p.send(w.data(request.stream, b"late", end=True), w.window_update(request.stream, 1))


# 5.1.2 and 6.5.2 Concurrency


def one_at_a_time(p, acks):
    """Serves for ever; once the limit of 1 was acknowledged no second stream may be open. What was sent before may."""
    p.until(lambda: p.acks >= acks)
    early = p.last_stream
    while True:
        p.until(lambda: p.waiting, 600)
        request = p.waiting.popleft()
        p.barrier()
        late = [r.stream for r in p.waiting if r.stream > early]
        assert not late, f"streams {late} were opened beside {request.stream}"
        p.respond(request)


@case("5.1.2", "MAX_CONCURRENT_STREAMS 1: one stream at a time", whole(), settings=((3, 1),), parallel=6, every=True)
def _(p):
    one_at_a_time(p, 1)


@case("5.1.2", "MAX_CONCURRENT_STREAMS lowered to 1 in mid-connection", whole(), parallel=6, every=True)
def _(p):
    p.respond(p.whole_request())
    p.send(w.settings((w.MAX_CONCURRENT_STREAMS, 1)))
    one_at_a_time(p, 2)


@case("5.1.2", "MAX_CONCURRENT_STREAMS 0, raised a moment later", whole_or(gateway_error(504)))
def _(p):
    p.send(w.settings((w.MAX_CONCURRENT_STREAMS, 0)))
    p.until(lambda: p.acks >= 2)
    early = set(p.requests)
    p.barrier()
    assert set(p.requests) == early, "a stream was opened where none is allowed"
    p.send(w.settings((w.MAX_CONCURRENT_STREAMS, 10)))
    p.respond(p.whole_request())


@case("5.1.2", "MAX_CONCURRENT_STREAMS 0 for good", whole_or(gateway_error(504), body=None), every=True, settings=((3, 0),), parallel=2)
def _(p):
    p.until(lambda: p.acks > 0)
    seen = len(p.requests)
    p.barrier()
    p.pump(lambda: len(p.requests) > seen, 0.2)
    assert len(p.requests) == seen, "a stream was opened where none is allowed"
    for request in list(p.waiting):
        p.respond(request)
    p.pump(lambda: len(p.requests) > seen, 2.5)
    assert len(p.requests) == seen, "a stream was opened where none is allowed"


# 6 Frames of the server


@case("6.1", "DATA with padding", whole(b"body!"))
def _(p):
    request = p.whole_request()
    p.head(request)
    p.send(w.data(request.stream, b"body", pad=200), w.data(request.stream, b"!", pad=0))
    p.send(w.data(request.stream, b"", end=True, pad=255))


@case("6.1", "padding as long as the payload", cut_short(), fresh=True)
def _(p):
    request = p.whole_request()
    p.head(request)
    p.send(w.frame(w.DATA, w.PADDED, request.stream, b"\x05data!"[:5]))
    p.expect_end()


broken("6.1", "DATA on stream 0", frame_of(w.DATA, 0, 0, b"x"))
broken("6.2", "HEADERS on stream 0", frame_of(w.HEADERS, 5, 0, b"\x88"))
broken("6.2", "HEADERS with padding as long as the payload", frame_of(w.HEADERS, 5 | w.PADDED, 1, b"\x02\x88"))
broken("6.4", "RST_STREAM of 3 bytes", frame_of(w.RST_STREAM, 0, 1, b"\0\0\0"), FRAME_SIZE)
broken("6.4", "RST_STREAM on stream 0", frame_of(w.RST_STREAM, 0, 0, b"\0\0\0\x08"))
broken("6.5", "SETTINGS on a stream", frame_of(w.SETTINGS, 0, 1, b""))
broken("6.5", "SETTINGS of 5 bytes", frame_of(w.SETTINGS, 0, 0, b"\0\x03\0\0\0"), FRAME_SIZE)
broken("6.5", "an acknowledgment with a payload", frame_of(w.SETTINGS, w.ACK, 0, b"\0\x03\0\0\0\x64"), FRAME_SIZE)
broken("6.5.2", "ENABLE_PUSH 1 from a server", w.settings((w.ENABLE_PUSH, 1)))
broken("6.5.2", "ENABLE_PUSH 2", w.settings((w.ENABLE_PUSH, 2)))
broken("6.5.2", "INITIAL_WINDOW_SIZE 2^31", w.settings((w.INITIAL_WINDOW_SIZE, 2**31)), FLOW)
broken("6.5.2", "MAX_FRAME_SIZE 16,383", w.settings((w.MAX_FRAME_SIZE, 16383)))
broken("6.5.2", "MAX_FRAME_SIZE 2^24", w.settings((w.MAX_FRAME_SIZE, 2**24)))
broken("6.7", "PING of 7 bytes", frame_of(w.PING, 0, 0, b"sevenby"), FRAME_SIZE)
broken("6.7", "PING on a stream", frame_of(w.PING, 0, 1, b"pingpong"))
broken("6.8", "GOAWAY on a stream", frame_of(w.GOAWAY, 0, 1, b"\0" * 8))
broken("6.8", "GOAWAY of 7 bytes", frame_of(w.GOAWAY, 0, 0, b"\0" * 7), FRAME_SIZE)
broken("6.9", "WINDOW_UPDATE of 3 bytes", frame_of(w.WINDOW_UPDATE, 0, 0, b"\0\0\1"), FRAME_SIZE)
broken("6.9", "WINDOW_UPDATE of zero on the connection", w.window_update(0, 0))
broken("6.9.1", "the connection's window over 2^31-1", w.window_update(0, w.MAX_WINDOW), FLOW)
broken("6.10", "CONTINUATION without HEADERS", w.continuation(1, b"\x88"))
broken("6.10", "CONTINUATION on stream 0", frame_of(w.CONTINUATION, 4, 0, b"\x88"))


@case("6.3", "PRIORITY from a server is ignored", whole())
def _(p):
    request = p.whole_request()
    p.send(w.priority(request.stream, 0, 200), w.priority(99))
    p.respond(request)


@case("6.5.2", "the proxy turns push off, or allows no stream for it", whole())
def _(p):
    request = p.whole_request()
    off = p.settings.get(w.ENABLE_PUSH, 1) == 0 or p.settings.get(w.MAX_CONCURRENT_STREAMS) == 0
    assert off, f"settings of the proxy: {p.settings}"
    p.respond(request)


@case("6.5.2", "ENABLE_PUSH 0 from a server", whole(), settings=((2, 0),))
def _(p):
    p.respond(p.whole_request())


@case("6.5.2", "unknown settings", whole(), settings=((0xF00D, 1), (0, 0), (0xFFFF, 2**32 - 1)))
def _(p):
    p.until(lambda: p.acks > 0)
    p.respond(p.whole_request())


@case("6.5.2", "HEADER_TABLE_SIZE 0", whole(), settings=((1, 0),), parallel=3, every=True)
def _(p):
    p.until(lambda: p.acks > 0)
    p.decoder.max_allowed_table_size = 4096
    while True:
        p.respond(p.whole_request_or_wait())


@case("6.5.2", "HEADER_TABLE_SIZE lowered in mid-connection", whole())
def _(p):
    p.respond(p.whole_request())
    p.send(w.settings((w.HEADER_TABLE_SIZE, 50)))
    p.until(lambda: p.acks >= 2)
    # From here on hpack refuses a block that does not begin with the update.
    p.decoder.max_allowed_table_size = 50


@case("6.5.2", "MAX_HEADER_LIST_SIZE is advisory", whole(), settings=((6, 2000),))
def _(p):
    p.until(lambda: p.acks > 0)
    p.respond(p.whole_request())


@case("6.5.3", "each SETTINGS is acknowledged, once", whole())
def _(p):
    request = p.whole_request()
    p.send(*(w.settings((w.MAX_CONCURRENT_STREAMS, 50 + n)) for n in range(5)))
    p.until(lambda: p.acks >= 6)
    p.barrier()
    assert p.acks == 6, f"{p.acks} acknowledgments of 6 SETTINGS"
    p.respond(request)


@case("6.6", "PUSH_PROMISE, which the proxy has turned off", gateway_error(), fresh=True)
def _(p):
    request = p.whole_request()
    p.until(lambda: p.acks > 0)
    p.send(w.push_promise(request.stream, 2, w.request_block("/pushed")))
    p.expect_end()


@case("6.7", "PING is answered in the middle of a response", whole(b"12"))
def _(p):
    request = p.whole_request()
    p.head(request)
    p.send_data(request.stream, b"1")
    p.barrier(b"12345678")
    p.send_data(request.stream, b"2", end=True)


# 6.9 The proxy as sender

UPLOAD = dict(method="POST", body=b"x" * 30000)


@case("6.9.2", "INITIAL_WINDOW_SIZE 0, raised later", whole(), settings=((4, 0),), **UPLOAD)
def _(p):
    p.until(lambda: p.acks > 0)
    request = p.next_request()
    p.barrier()
    p.send(w.settings((w.INITIAL_WINDOW_SIZE, 65535)))
    p.until(lambda: request.ended)
    p.respond(request)


@case("6.9.2", "a window lowered below what is under way, then opened by WINDOW_UPDATE", whole(), **UPLOAD)
def _(p):
    request = p.next_request()
    p.send(w.settings((w.INITIAL_WINDOW_SIZE, 10)))
    p.until(lambda: p.acks >= 2)
    p.barrier()
    seen = len(request.body)
    # Whether positive or not, the window is now 10 less what was sent.
    if seen >= 10 and not request.ended:
        p.send(w.window_update(request.stream, seen - 10 + 5))
        p.until(lambda: len(request.body) >= seen + 5)
        p.barrier()
        assert len(request.body) == seen + 5, f"{len(request.body) - seen} bytes into a window of 5"
    p.send(w.settings((w.INITIAL_WINDOW_SIZE, 1 << 20)))
    p.until(lambda: request.ended)
    p.respond(request)


@case("6.9.1", "the connection's window is kept to", whole(), settings=((4, 1 << 20),), method="POST", body=b"x" * 65535, parallel=2, every=True)
def _(p):
    p.until(lambda: p.acks > 0)
    while True:
        request = p.whole_request_or_wait(allow_more=True)
        total = sum(len(r.body) for r in p.requests.values())
        granted = 65535 + getattr(p, "granted", 0)
        assert total <= granted, f"{total} bytes of DATA into a window of {granted}"
        if not request.ended:
            p.granted = getattr(p, "granted", 0) + 65535
            p.send(w.window_update(0, 65535))
            p.until(lambda request=request: request.ended)
        p.respond(request)


@case("6.9", "WINDOW_UPDATE of zero on a stream", gateway_error())
def _(p):
    request = p.whole_request()
    p.send(w.window_update(request.stream, 0))
    p.expect_reset(request)


@case("6.9.1", "a stream's window over 2^31-1", gateway_error())
def _(p):
    request = p.whole_request()
    p.send(w.window_update(request.stream, w.MAX_WINDOW))
    p.expect_reset(request, FLOW)


# 6.9 The proxy as receiver


@case("6.9", "a response larger than the windows", whole(BIG * 4))
def _(p):
    request = p.whole_request()
    p.head(request)
    p.send_body(request, BIG * 4)


@case("6.9.1", "padding is given back", whole(b"x" * 400))
def _(p):
    request = p.whole_request()
    p.head(request)
    for _ in range(400):
        p.until(lambda: p.credit(request.stream) >= 257)
        p.send(w.data(request.stream, b"x", pad=255))
        p.connection_window -= 257
        p.windows[request.stream] -= 257
    p.send_data(request.stream, end=True)


@case("6.9.1", "DATA of responses the proxy gave up is given back", whole_or(gateway_error(504), None), parallel=8, every=True)
def _(p):
    while True:
        request = p.whole_request_or_wait()
        if request.header(":path").endswith("normal"):
            p.respond(request)
            continue
        p.until(lambda: p.connection_window >= 20000)
        p.head(request)
        p.send_data(request.stream, b"x" * 16000, end=True)


# 5.4, 6.4, 6.8 The end of streams and connections


@case("6.4", "RST_STREAM before the response", gateway_error())
def _(p):
    p.send(w.reset(p.whole_request().stream, w.INTERNAL_ERROR))


@case("6.4", "RST_STREAM with an unknown code", gateway_error())
def _(p):
    p.send(w.reset(p.whole_request().stream, 0xDEADBEEF))


@case("6.4", "RST_STREAM with NO_ERROR before the response", gateway_error())
def _(p):
    p.send(w.reset(p.whole_request().stream, w.NO_ERROR))


@case("6.4", "RST_STREAM in the middle of the body", cut_short())
def _(p):
    request = p.whole_request()
    p.head(request)
    p.send_data(request.stream, b"half")
    p.barrier()
    p.send(w.reset(request.stream, w.INTERNAL_ERROR))


@case("6.4", "RST_STREAM with NO_ERROR in the middle of the body", cut_short())
def _(p):
    request = p.whole_request()
    p.head(request)
    p.send_data(request.stream, b"half")
    p.barrier()
    p.send(w.reset(request.stream, w.NO_ERROR))


@case("8.1", "RST_STREAM with NO_ERROR after a whole response, the request unfinished", whole(b"early"), method="POST", body=b"x" * 60000, settings=((4, 100),))
def _(p):
    request = p.next_request()
    p.respond(request, body=b"early")
    p.send(w.reset(request.stream, w.NO_ERROR))


@case("8.7", "REFUSED_STREAM is replayed", whole(), retry=True)
def _(p):
    p.send(w.reset(p.whole_request().stream, w.REFUSED_STREAM))
    request = p.whole_request()
    p.respond(request)


@case("8.7", "REFUSED_STREAM of a POST is replayed with its body", whole(), retry=True, method="POST", body=b"again")
def _(p):
    p.send(w.reset(p.whole_request().stream, w.REFUSED_STREAM))
    request = p.whole_request()
    assert bytes(request.body) == b"again"
    p.respond(request)


@case("8.7", "REFUSED_STREAM for ever ends in an error", gateway_error(), retry=True, every=True)
def _(p):
    while True:
        p.send(w.reset(p.whole_request_or_wait().stream, w.REFUSED_STREAM))


@case("6.8", "GOAWAY below the request: replayed on a new connection", whole(b"connection 1"), retry=True, fresh=True)
def _(p):
    p.whole_request()
    p.send(w.goaway(0))
    p.hang_up()


@case("6.8", "GOAWAY below the request, the connection left open", whole(b"connection 1"), retry=True, fresh=True)
def _(p):
    p.whole_request()
    p.send(w.goaway(0))
    p.pump(lambda: False)
    raise Gone


@case("6.8", "GOAWAY below a POST: replayed with its body", whole(b"connection 1"), retry=True, method="POST", body=b"again")
def _(p):
    p.whole_request()
    p.send(w.goaway(0))
    p.hang_up()


@case("6.8", "GOAWAY that covers the request: it is finished, the next goes elsewhere", whole(), fresh=True)
def _(p):
    request = p.whole_request()
    p.send(w.goaway(request.stream))
    p.barrier()
    p.respond(request)
    p.pump(lambda: p.waiting, 0.3)
    assert not p.waiting, "a new stream after GOAWAY"


@case("6.8", "GOAWAY 2^31-1, then the response, then the last GOAWAY", whole(), fresh=True)
def _(p):
    request = p.whole_request()
    p.send(w.goaway(w.MAX_WINDOW))
    p.barrier()
    p.respond(request)
    p.send(w.goaway(request.stream))
    p.hang_up()


@case("6.8", "GOAWAY after the response", whole(), fresh=True)
def _(p):
    request = p.whole_request()
    # In one segment: whoever has read the answer has read GOAWAY.
    p.send(
        w.headers(request.stream, p.block((":status", "200")), end=False),
        w.data(request.stream, b"ok", end=True),
        w.goaway(request.stream),
    )
    p.pump(lambda: p.waiting, 0.3)
    assert not p.waiting, "a new stream after GOAWAY"


@case("6.8", "GOAWAY before any request", whole(b"connection 1"), retry=True, handshake=False, fresh=True)
def _(p):
    p.read_preface()
    p.send(w.settings(), w.goaway(0))
    p.hang_up()


@case("6.8", "GOAWAY with an error in the middle of the body", cut_short(), fresh=True)
def _(p):
    request = p.whole_request()
    p.head(request, ("content-length", "10"))
    p.send_data(request.stream, b"half")
    p.barrier()
    p.send(w.goaway(request.stream, w.INTERNAL_ERROR))
    p.hang_up()


@case("6.8", "GOAWAY with an error and debug data before the response", gateway_error(), fresh=True)
def _(p):
    request = p.whole_request()
    p.send(w.goaway(request.stream, w.ENHANCE_YOUR_CALM, b"too many of them"))
    p.hang_up()


@case("6.8", "GOAWAY between two requests of many", whole(None), retry=True, parallel=4)
def _(p):
    first = p.whole_request()
    p.send(w.goaway(first.stream))
    p.respond(first)
    p.hang_up()


@case("5.4.3", "the end of the connection before the response", gateway_error(), fresh=True)
def _(p):
    p.whole_request()
    raise Gone


@case("5.4.3", "the end of the connection in a body with content-length", cut_short(), fresh=True)
def _(p):
    request = p.whole_request()
    p.head(request, ("content-length", "10"))
    p.send_data(request.stream, b"half")
    p.barrier()
    p.hang_up()


@case("5.4.3", "the end of the connection in a body without content-length", cut_short(), fresh=True)
def _(p):
    request = p.whole_request()
    p.head(request)
    p.send_data(request.stream, b"half")
    p.barrier()
    p.hang_up()


@case("5.4.3", "the end of the connection after the head", cut_short(), fresh=True)
def _(p):
    request = p.whole_request()
    p.head(request)
    p.barrier()
    p.hang_up()


@case("5.4.3", "the end of the connection inside a DATA frame", cut_short(), fresh=True)
def _(p):
    request = p.whole_request()
    p.head(request)
    p.send(w.data(request.stream, b"x" * 1000, end=True)[:500])
    p.hang_up()


@case("5.4.3", "the end of the connection inside a field block", gateway_error(), fresh=True)
def _(p):
    request = p.whole_request()
    p.send(w.headers(request.stream, p.block((":status", "200")), end=False, end_headers=False))
    p.hang_up()


