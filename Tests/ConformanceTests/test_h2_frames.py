# SPDX-License-Identifier: Apache-2.0
"""RFC 9113 §6: each type of frame. Flow control (§6.9) stands with the streams."""

from conformance import Cases, w
from h2expect import answered, connection_error, ignored, may_close, stream_error, tolerated
from hyperframe import frame as hf

CASES = Cases()
case = CASES
FRAME_SIZE = w.FRAME_SIZE_ERROR


def test_frames(case, downstream):
    downstream.run(case)


def post(c, path="/stall"):
    """An open stream whose body is still to come."""
    return c.open(path, method="POST", end=False)


# 6.1 DATA


@case("6.1", "DATA on stream 0", connection_error())
def _(c):
    c.send(w.frame(w.DATA, 0, 0, b"x"))


@case("6.1", "DATA with padding", answered(200, b"a"))
def _(c):
    stream = post(c, "/")
    c.send(w.data(stream, b"body", pad=200), w.data(stream, b"", pad=0), w.data(stream, b"!", end=True, pad=255))
    c.until_over(stream)
    assert bytes(c.harness.requests[0].body) == b"body!"
    return stream


@case("6.1", "DATA of padding only", answered(200, b"a"))
def _(c):
    stream = post(c, "/")
    c.send(w.data(stream, b"", end=True, pad=20))
    return stream


@case("6.1", "padding as long as the payload", connection_error())
def _(c):
    c.send(w.frame(w.DATA, w.PADDED, post(c), b"\x05data!"[:5]))


@case("6.1", "padding longer than the payload", connection_error())
def _(c):
    c.send(w.frame(w.DATA, w.PADDED, post(c), b"\xffdata"))


@case("6.1", "padded DATA without a pad length", connection_error(FRAME_SIZE))
def _(c):
    c.send(w.frame(w.DATA, w.PADDED, post(c), b""))


@case("6.1", "empty DATA frames before the last", answered(200, b"a"))
def _(c):
    stream = post(c, "/")
    c.send(w.data(stream), w.data(stream, b"x"), w.data(stream), w.data(stream, end=True))
    return stream


# 6.2 HEADERS


@case("6.2", "HEADERS on stream 0", connection_error())
def _(c):
    c.send(w.frame(w.HEADERS, 5, 0, w.request_block()))


@case("6.2", "HEADERS with padding", answered(200, b"a"))
def _(c):
    next(c.ids)
    c.send(w.headers(1, w.request_block(), pad=100))


@case("6.2", "HEADERS with padding and priority", answered(200, b"a"))
def _(c):
    next(c.ids)
    c.send(w.headers(1, w.request_block(), pad=7, priority=(0, 200, False)))


@case("6.2", "padding as long as the payload", connection_error())
def _(c):
    block = w.request_block()
    c.send(w.frame(w.HEADERS, 5 | w.PADDED, 1, bytes([len(block) + 1]) + block))


@case("6.2", "padding that leaves less than the priority fields", connection_error(FRAME_SIZE))
def _(c):
    c.send(w.frame(w.HEADERS, 5 | w.PADDED | w.PRIORITIZED, 1, b"\x06" + b"\0" * 8))


@case("6.2", "priority fields cut short", connection_error(FRAME_SIZE))
def _(c):
    c.send(w.frame(w.HEADERS, 5 | w.PRIORITIZED, 1, b"\0\0\0\0"))


@case("6.2", "padded HEADERS without a pad length", connection_error(FRAME_SIZE))
def _(c):
    c.send(w.frame(w.HEADERS, 5 | w.PADDED, 1, b""))


@case("6.2", "DATA after HEADERS without END_HEADERS", connection_error())
def _(c):
    c.send(w.headers(1, w.request_block(), end=False, end_headers=False), w.data(1, b"x"))


@case("6.2", "HEADERS after HEADERS without END_HEADERS", connection_error())
def _(c):
    c.send(w.headers(1, w.request_block(), end_headers=False), w.headers(3, w.request_block()))


@case("6.2", "SETTINGS after HEADERS without END_HEADERS", connection_error())
def _(c):
    c.send(w.headers(1, w.request_block(), end_headers=False), w.settings())


@case("6.2", "PING after HEADERS without END_HEADERS", connection_error())
def _(c):
    c.send(w.headers(1, w.request_block(), end_headers=False), w.ping())


@case("6.2", "RST_STREAM after HEADERS without END_HEADERS", connection_error())
def _(c):
    c.send(w.headers(1, w.request_block(), end_headers=False), w.reset(1))


@case("6.2", "PRIORITY after HEADERS without END_HEADERS", connection_error())
def _(c):
    c.send(w.headers(1, w.request_block(), end_headers=False), w.priority(1))


@case("6.2", "END_STREAM on HEADERS holds over CONTINUATION", answered(200, b"a"))
def _(c):
    block = w.request_block("/", method="POST")
    next(c.ids)
    c.send(w.headers(1, block[:9], end=True, end_headers=False), w.continuation(1, block[9:]))


# 6.3 PRIORITY


@case("6.3", "PRIORITY on stream 0", connection_error())
def _(c):
    c.send(w.frame(w.PRIORITY, 0, 0, b"\0\0\0\0\x0f"))


@case("6.3", "PRIORITY of 4 bytes", stream_error(FRAME_SIZE))
def _(c):
    stream = post(c)
    c.send(w.frame(w.PRIORITY, 0, stream, b"\0\0\0\0"))
    return stream


@case("6.3", "PRIORITY of 6 bytes", stream_error(FRAME_SIZE))
def _(c):
    stream = post(c)
    c.send(w.frame(w.PRIORITY, 0, stream, b"\0\0\0\0\x0f\0"))
    return stream


@case("6.3", "PRIORITY on an open, a closed and an idle stream", answered(200, b"a"))
def _(c):
    done = c.open()
    c.until_over(done)
    stream = post(c, "/")
    c.send(w.priority(stream, done), w.priority(done, stream), w.priority(99, stream, 200, True))
    c.send(w.data(stream, b"x", end=True))
    return stream


# 6.4 RST_STREAM


@case("6.4", "RST_STREAM on stream 0", connection_error())
def _(c):
    c.send(w.frame(w.RST_STREAM, 0, 0, b"\0\0\0\x08"))


@case("6.4", "RST_STREAM of 3 bytes", connection_error(FRAME_SIZE))
def _(c):
    c.send(w.frame(w.RST_STREAM, 0, post(c), b"\0\0\x08"))


@case("6.4", "RST_STREAM of 5 bytes", connection_error(FRAME_SIZE))
def _(c):
    c.send(w.frame(w.RST_STREAM, 0, post(c), b"\0\0\0\x08\0"))


@case("6.4", "no frame on the stream after RST_STREAM from the client", None)
def _(c):
    stream = c.open("/big")
    c.pump(lambda: len(c.stream(stream).data) >= 65535)
    c.send(w.reset(stream))
    c.barrier()
    seen = len(c.frames)
    c.send(w.window_update(0, 1 << 20))
    assert c.until_over(c.open()).status == 200
    late = [f for f in c.frames[seen:] if f.stream_id == stream]
    assert not late, f"frames on a stream that was reset: {late}"


# 6.5 SETTINGS


@case("6.5", "SETTINGS on a stream", connection_error())
def _(c):
    c.send(w.frame(w.SETTINGS, 0, 1, b""))


@case("6.5", "SETTINGS whose length is no multiple of 6", connection_error(FRAME_SIZE))
def _(c):
    c.send(w.frame(w.SETTINGS, 0, 0, b"\0\x03\0\0\0\x64\0"))


@case("6.5", "an acknowledgment with a payload", connection_error(FRAME_SIZE))
def _(c):
    c.send(w.frame(w.SETTINGS, w.ACK, 0, b"\0\x03\0\0\0\x64"))


@case("6.5", "an acknowledgment of 1 byte", connection_error(FRAME_SIZE))
def _(c):
    c.send(w.frame(w.SETTINGS, w.ACK, 0, b"\0"))


@case("6.5", "an acknowledgment nobody waits for", tolerated())
def _(c):
    c.until_settled()
    c.send(w.settings(ack=True))


@case("6.5.2", "ENABLE_PUSH 2", connection_error())
def _(c):
    c.send(w.settings((w.ENABLE_PUSH, 2)))


@case("6.5.2", "ENABLE_PUSH 0 and 1", ignored())
def _(c):
    c.send(w.settings((w.ENABLE_PUSH, 1)), w.settings((w.ENABLE_PUSH, 0)))


@case("6.5.2", "the proxy as a server does not set ENABLE_PUSH to 1", answered(200, b"a"))
def _(c):
    stream = c.open()
    c.until_over(stream)
    assert c.settings.get(w.ENABLE_PUSH, 0) == 0
    return stream


@case("6.5.2", "INITIAL_WINDOW_SIZE 2^31", connection_error(w.FLOW_CONTROL_ERROR))
def _(c):
    c.send(w.settings((w.INITIAL_WINDOW_SIZE, 2**31)))


@case("6.5.2", "INITIAL_WINDOW_SIZE 2^31-1", answered(200, b"a"))
def _(c):
    c.send(w.settings((w.INITIAL_WINDOW_SIZE, w.MAX_WINDOW)))
    return c.open()


@case("6.5.2", "MAX_FRAME_SIZE 16,383", connection_error())
def _(c):
    c.send(w.settings((w.MAX_FRAME_SIZE, 16383)))


@case("6.5.2", "MAX_FRAME_SIZE 2^24", connection_error())
def _(c):
    c.send(w.settings((w.MAX_FRAME_SIZE, 2**24)))


@case("6.5.2", "MAX_FRAME_SIZE 2^24-1 and 16,384", ignored())
def _(c):
    c.send(w.settings((w.MAX_FRAME_SIZE, 2**24 - 1)), w.settings((w.MAX_FRAME_SIZE, 16384)))


@case("6.5.2", "HEADER_TABLE_SIZE 0: no response uses the table", answered(200, b"a"), settings=((1, 0),))
def _(c):
    c.decoder.max_allowed_table_size = 0
    for _ in range(3):
        assert c.until_over(c.open()).status == 200
    return c.open()


@case("6.5.2", "HEADER_TABLE_SIZE lowered in mid-connection", answered(200, b"a"))
def _(c):
    assert c.until_over(c.open()).status == 200
    c.send(w.settings((w.HEADER_TABLE_SIZE, 60)))
    c.pump(lambda: c.acks >= 2)
    c.decoder.max_allowed_table_size = 60
    for _ in range(3):
        assert c.until_over(c.open()).status == 200, c.describe()
    return c.open()


@case("6.5.2", "HEADER_TABLE_SIZE raised to 2^32-1", answered(200, b"a"))
def _(c):
    c.send(w.settings((w.HEADER_TABLE_SIZE, 2**32 - 1)))
    c.pump(lambda: c.acks >= 2)
    c.decoder.max_allowed_table_size = 2**32 - 1
    for _ in range(3):
        assert c.until_over(c.open()).status == 200
    return c.open()


@case("6.5.2", "MAX_HEADER_LIST_SIZE is advisory", answered(200, b"a"), settings=((6, 1000),))
def _(c):
    return c.open()


@case("6.5.3", "each SETTINGS is acknowledged, once", ignored())
def _(c):
    c.until_settled()
    c.send(*(w.settings((w.MAX_CONCURRENT_STREAMS, n)) for n in range(5)))
    c.pump(lambda: c.acks >= 6)
    c.barrier()
    assert c.acks == 6, f"{c.acks} acknowledgments of 6 SETTINGS"


# 6.6 PUSH_PROMISE


@case("6.6", "PUSH_PROMISE from a client", connection_error())
def _(c):
    c.send(w.push_promise(post(c), 2, w.request_block()))


@case("6.6", "PUSH_PROMISE on stream 0", connection_error())
def _(c):
    c.send(w.push_promise(0, 2, w.request_block()))


@case("6.6", "PUSH_PROMISE of 3 bytes", connection_error(FRAME_SIZE))
def _(c):
    c.send(w.frame(w.PUSH_PROMISE, w.END_HEADERS, post(c), b"\0\0\2"))


# 6.7 PING


@case("6.7", "PING is answered with the same payload", ignored())
def _(c):
    for payload in (b"\0" * 8, b"\xff" * 8, b"8 bytes!"):
        c.send(w.ping(payload))
        assert c.pump(lambda payload=payload: payload in c.pongs), f"no answer to PING: {c.describe()}"


@case("6.7", "a PING that is an answer is not answered", ignored())
def _(c):
    c.send(w.ping(b"unasked!", ack=True))
    c.barrier()
    assert b"unasked!" not in c.pongs


@case("6.7", "PING on a stream", connection_error())
def _(c):
    c.send(w.frame(w.PING, 0, 1, b"pingpong"))


@case("6.7", "PING of 7 bytes", connection_error(FRAME_SIZE))
def _(c):
    c.send(w.frame(w.PING, 0, 0, b"sevenby"))


@case("6.7", "PING of 9 bytes", connection_error(FRAME_SIZE))
def _(c):
    c.send(w.frame(w.PING, 0, 0, b"ninebytes"))


@case("6.7", "an answer to PING of 6 bytes", connection_error(FRAME_SIZE))
def _(c):
    c.send(w.frame(w.PING, w.ACK, 0, b"sixbyt"))


@case("6.7", "PING is answered while a stream has no window", answered(200, b"a"), settings=((4, 0),))
def _(c):
    c.open("/big")
    assert c.barrier()
    c.send(w.settings((4, 65535)), w.window_update(0, 1 << 20))
    return c.open()


# 6.8 GOAWAY


@case("6.8", "GOAWAY on a stream", connection_error())
def _(c):
    c.send(w.frame(w.GOAWAY, 0, 1, b"\0" * 8))


@case("6.8", "GOAWAY of 7 bytes", connection_error(FRAME_SIZE))
def _(c):
    c.send(w.frame(w.GOAWAY, 0, 0, b"\0" * 7))


@case("6.8", "GOAWAY with debug data", may_close())
def _(c):
    c.send(w.goaway(0, w.NO_ERROR, b"going away now"))


@case("6.8", "what was asked before GOAWAY is answered", None)
def _(c):
    stream = post(c, "/")
    c.send(w.goaway(0), w.data(stream, b"x", end=True))
    answer = c.until_over(stream)
    assert (answer.status, bytes(answer.data)) == (200, b"a"), c.describe()


# 6.10 CONTINUATION


@case("6.10", "CONTINUATION on stream 0", connection_error())
def _(c):
    c.send(w.headers(1, w.request_block(), end_headers=False), w.frame(w.CONTINUATION, w.END_HEADERS, 0, b""))


@case("6.10", "CONTINUATION without HEADERS", connection_error())
def _(c):
    c.send(w.continuation(post(c), w.literal(b"x", b"y")))


@case("6.10", "CONTINUATION after HEADERS with END_HEADERS", connection_error())
def _(c):
    c.send(w.headers(1, w.request_block("/stall")), w.continuation(1, w.literal(b"x", b"y")))


@case("6.10", "CONTINUATION after CONTINUATION with END_HEADERS", connection_error())
def _(c):
    block = w.request_block("/stall")
    c.send(w.headers(1, block[:9], end_headers=False), w.continuation(1, block[9:]), w.continuation(1, b""))


@case("6.10", "CONTINUATION of another stream", connection_error())
def _(c):
    block = w.request_block()
    c.send(w.headers(1, block[:9], end_headers=False), w.continuation(3, block[9:]))


@case("6.10", "DATA between two CONTINUATION frames", connection_error())
def _(c):
    other = post(c)
    block = w.request_block()
    c.send(w.headers(3, block[:9], end_headers=False), w.continuation(3, block[9:20], end_headers=False))
    c.send(w.data(other, b"x"), w.continuation(3, block[20:]))


@case("6.10", "WINDOW_UPDATE between HEADERS and CONTINUATION", connection_error())
def _(c):
    c.send(w.headers(1, w.request_block(), end_headers=False), w.window_update(0, 1))


@case("6.10", "GOAWAY between HEADERS and CONTINUATION", connection_error())
def _(c):
    c.send(w.headers(1, w.request_block(), end_headers=False), w.goaway(0))


@case("6.10", "trailers over CONTINUATION", answered(200, b"a"))
def _(c):
    stream = post(c, "/")
    trailers = w.literal(b"x-sum", b"1234")
    c.send(
        w.data(stream, b"x"), w.headers(stream, trailers[:4], end_headers=False), w.continuation(stream, trailers[4:])
    )
    return stream


@case("6.10", "a client that sends nothing but CONTINUATION is stopped", None)
def _(c):
    c.send(w.headers(1, w.request_block(), end_headers=False))
    for _ in range(400):
        c.send(w.continuation(1, w.literal(b"x-more", b"v" * 1000), end_headers=False))
        if c.ended:
            break
    c.pump(lambda: c.ended or c.goaway is not None or c.stream(1).over)
    assert c.ended or c.goaway is not None or c.stream(1).over, "400 kB of an endless field block were taken"


def test_frames_of_the_answer_are_the_ones_of_the_rfc(downstream):
    """hyperframe knows every type of the RFC; anything else from the proxy would be an extension nobody negotiated."""
    from h2client import Client

    with Client(downstream.ports["main"]) as c:
        c.harness = downstream
        downstream.prove_it_serves(c)
        assert not [f for f in c.frames if isinstance(f, hf.ExtensionFrame)]
