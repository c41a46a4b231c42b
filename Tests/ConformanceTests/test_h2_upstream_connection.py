# SPDX-License-Identifier: Apache-2.0
"""The proxy as a client, RFC 9113 §3–§6: the server's preface, frames, streams."""

from conformance import w
from h2server import Gone
from upstream_side import UpstreamCases, cut_short, gateway_error, whole

CASES = UpstreamCases()
case = CASES
FRAME_SIZE = w.FRAME_SIZE_ERROR
FLOW = w.FLOW_CONTROL_ERROR


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
    case(section, title, gateway_error(), fresh=True, ends=True)(breaks(*codes, after=data))


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


broken(
    "4.2",
    "HEADERS one byte too large",
    w.frame(w.HEADERS, 5, 1, b"\x88" + b"\xbe" * w.MAX_FRAME),
    FRAME_SIZE,
    w.COMPRESSION_ERROR,
)
broken("4.2", "SETTINGS one entry too large", w.frame(w.SETTINGS, 0, 0, b"\0\x99\0\0\0\0" * 2731), FRAME_SIZE)


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


broken("6.1", "DATA on stream 0", w.frame(w.DATA, 0, 0, b"x"))
broken("6.2", "HEADERS on stream 0", w.frame(w.HEADERS, 5, 0, b"\x88"))
broken("6.2", "HEADERS with padding as long as the payload", w.frame(w.HEADERS, 5 | w.PADDED, 1, b"\x02\x88"))
broken("6.4", "RST_STREAM of 3 bytes", w.frame(w.RST_STREAM, 0, 1, b"\0\0\0"), FRAME_SIZE)
broken("6.4", "RST_STREAM on stream 0", w.frame(w.RST_STREAM, 0, 0, b"\0\0\0\x08"))
broken("6.5", "SETTINGS on a stream", w.frame(w.SETTINGS, 0, 1, b""))
broken("6.5", "SETTINGS of 5 bytes", w.frame(w.SETTINGS, 0, 0, b"\0\x03\0\0\0"), FRAME_SIZE)
broken("6.5", "an acknowledgment with a payload", w.frame(w.SETTINGS, w.ACK, 0, b"\0\x03\0\0\0\x64"), FRAME_SIZE)
broken("6.5.2", "ENABLE_PUSH 1 from a server", w.settings((w.ENABLE_PUSH, 1)))
broken("6.5.2", "ENABLE_PUSH 2", w.settings((w.ENABLE_PUSH, 2)))
broken("6.5.2", "INITIAL_WINDOW_SIZE 2^31", w.settings((w.INITIAL_WINDOW_SIZE, 2**31)), FLOW)
broken("6.5.2", "MAX_FRAME_SIZE 16,383", w.settings((w.MAX_FRAME_SIZE, 16383)))
broken("6.5.2", "MAX_FRAME_SIZE 2^24", w.settings((w.MAX_FRAME_SIZE, 2**24)))
broken("6.7", "PING of 7 bytes", w.frame(w.PING, 0, 0, b"sevenby"), FRAME_SIZE)
broken("6.7", "PING on a stream", w.frame(w.PING, 0, 1, b"pingpong"))
broken("6.8", "GOAWAY on a stream", w.frame(w.GOAWAY, 0, 1, b"\0" * 8))
broken("6.8", "GOAWAY of 7 bytes", w.frame(w.GOAWAY, 0, 0, b"\0" * 7), FRAME_SIZE)
broken("6.9", "WINDOW_UPDATE of 3 bytes", w.frame(w.WINDOW_UPDATE, 0, 0, b"\0\0\1"), FRAME_SIZE)
broken("6.9", "WINDOW_UPDATE of zero on the connection", w.window_update(0, 0))
broken("6.9.1", "the connection's window over 2^31-1", w.window_update(0, w.MAX_WINDOW), FLOW)
broken("6.10", "CONTINUATION without HEADERS", w.continuation(1, b"\x88"))
broken("6.10", "CONTINUATION on stream 0", w.frame(w.CONTINUATION, 4, 0, b"\x88"))


@case("6.3", "PRIORITY from a server is ignored", whole())
def _(p):
    request = p.whole_request()
    p.send(w.priority(request.stream, 0, 200), w.priority(99))
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
