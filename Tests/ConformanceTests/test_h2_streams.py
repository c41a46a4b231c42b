# SPDX-License-Identifier: Apache-2.0
"""RFC 9113 §5.1–§5.4 and §6.9: stream states, identifiers, concurrency, flow control both ways."""

from conformance import BIG, Cases, w
from h2expect import answered, connection_error, ignored, stream_error, tolerated

CASES = Cases()
case = CASES
CLOSED = w.STREAM_CLOSED


def test_streams(case, downstream):
    downstream.run(case)


def half_closed(c):
    """A stream whose request has ended and whose answer never comes."""
    stream = c.open("/stall")
    c.barrier()
    return stream


def closed(c):
    """A stream both sides have ended."""
    stream = c.open()
    c.until_over(stream)
    c.barrier()
    return stream


def cancelled(c):
    """A stream the client has reset."""
    stream = c.open("/stall", method="POST", end=False)
    c.send(w.reset(stream))
    c.barrier()
    return stream


# 5.1 Stream states


@case("5.1", "idle: DATA", connection_error(CLOSED))
def _(c):
    c.send(w.data(1, b"x"))


@case("5.1", "idle: RST_STREAM", connection_error())
def _(c):
    c.send(w.reset(1))


@case("5.1", "idle: WINDOW_UPDATE", connection_error())
def _(c):
    c.send(w.window_update(1, 100))


@case("5.1", "idle: CONTINUATION", connection_error())
def _(c):
    c.send(w.continuation(1, w.request_block()))


@case("5.1", "idle: PRIORITY", answered(200, b"a"))
def _(c):
    c.send(w.priority(7), w.priority(9, 7))
    return c.open()


@case("5.1", "half-closed (remote): DATA", stream_error(CLOSED))
def _(c):
    stream = half_closed(c)
    c.send(w.data(stream, b"x", end=True))
    return stream


@case("5.1", "half-closed (remote): empty DATA", stream_error(CLOSED))
def _(c):
    stream = half_closed(c)
    c.send(w.data(stream, b"", end=True))
    return stream


@case("5.1", "half-closed (remote): HEADERS", stream_error(CLOSED))
def _(c):
    stream = half_closed(c)
    c.send(w.headers(stream, w.literal(b"x-late", b"1")))
    return stream


@case("5.1", "half-closed (remote): CONTINUATION", connection_error(CLOSED))
def _(c):
    c.send(w.continuation(half_closed(c), w.literal(b"x-late", b"1")))


@case("5.1", "half-closed (remote): WINDOW_UPDATE", ignored())
def _(c):
    stream = half_closed(c)
    c.send(w.window_update(stream, 100))
    return stream


@case("5.1", "half-closed (remote): PRIORITY", ignored())
def _(c):
    stream = half_closed(c)
    c.send(w.priority(stream))
    return stream


@case("5.1", "half-closed (remote): RST_STREAM", ignored())
def _(c):
    stream = half_closed(c)
    c.send(w.reset(stream))
    return stream


@case("5.1", "closed by RST_STREAM: DATA", tolerated(CLOSED))
def _(c):
    stream = cancelled(c)
    c.send(w.data(stream, b"x"))
    return stream


@case("5.1", "closed by RST_STREAM: HEADERS", tolerated(CLOSED))
def _(c):
    stream = cancelled(c)
    c.send(w.headers(stream, w.literal(b"x-late", b"1")))
    return stream


@case("5.1", "closed by RST_STREAM: CONTINUATION", connection_error(CLOSED))
def _(c):
    c.send(w.continuation(cancelled(c), w.literal(b"x-late", b"1")))


@case("5.1", "closed by RST_STREAM: another RST_STREAM", tolerated(CLOSED))
def _(c):
    stream = cancelled(c)
    c.send(w.reset(stream))
    return stream


@case("5.1", "closed by RST_STREAM: WINDOW_UPDATE and PRIORITY", ignored())
def _(c):
    stream = cancelled(c)
    c.send(w.window_update(stream, 1), w.priority(stream))
    return stream


@case("5.1", "closed by END_STREAM: DATA", tolerated(CLOSED))
def _(c):
    stream = closed(c)
    c.send(w.data(stream, b"x"))
    return stream


@case("5.1", "closed by END_STREAM: HEADERS is not a new request", tolerated(CLOSED))
def _(c):
    stream = closed(c)
    c.send(w.headers(stream, w.request_block("/again")))
    c.barrier()
    assert [r.path for r in c.harness.requests] == ["/"], f"the stream was used twice: {c.harness.requests}"
    return stream


@case("5.1", "closed by END_STREAM: CONTINUATION", connection_error(CLOSED))
def _(c):
    c.send(w.continuation(closed(c), w.literal(b"x-late", b"1")))


@case("5.1", "closed by END_STREAM: WINDOW_UPDATE, RST_STREAM and PRIORITY just after", ignored())
def _(c):
    stream = closed(c)
    c.send(w.window_update(stream, 1), w.priority(stream), w.reset(stream))
    return stream


# 5.1.1 Identifiers


@case("5.1.1", "an even identifier", connection_error())
def _(c):
    c.send(w.headers(2, w.request_block()))


@case("5.1.1", "a lower identifier than one used before", connection_error(CLOSED))
def _(c):
    c.send(w.headers(5, w.request_block("/stall")), w.headers(3, w.request_block("/lower")))


@case("5.1.1", "identifiers may be skipped", answered(200, b"a"))
def _(c):
    c.send(w.headers(101, w.request_block()))
    for _ in range(51):
        next(c.ids)
    return 101


@case("5.1.1", "the highest identifier, and none after it", answered(200, b"a"))
def _(c):
    last = 2**31 - 1
    c.send(w.headers(last, w.request_block()))
    stream = c.until_over(last)
    assert stream.status == 200
    # The follow-up needs identifiers: it uses a connection of its own.
    raise_to_new_connection(c)
    return 1


def raise_to_new_connection(c):
    """Goes on with a fresh connection under the same client object."""
    c.close()
    c.__init__(c.harness.ports["main"])
    c.open()


@case("5.1.1", "requests on a hundred streams, all answered", answered(200, b"a"))
def _(c):
    for _ in range(4):
        streams = [c.open(f"/{index}") for index in range(25)]
        c.pump(lambda: all(c.stream(s).over for s in streams))
        assert [c.stream(s).status for s in streams] == [200] * 25, c.describe()
    return c.open()


# 5.1.2 Concurrency


@case("5.1.2", "a stream above the limit", stream_error(w.REFUSED_STREAM), listener="limited")
def _(c):
    assert c.until_settled() and c.settings[w.MAX_CONCURRENT_STREAMS] == 4
    streams = [c.open("/stall") for _ in range(4)]
    c.barrier()
    extra = c.open("/extra")
    c.until_over(extra)
    assert not any(c.stream(s).over for s in streams)
    c.send(*(w.reset(s) for s in streams))
    return extra


@case("5.1.2", "reset streams do not count", answered(200, b"a"), listener="limited")
def _(c):
    c.until_settled()
    for _ in range(12):
        c.send(w.reset(c.open("/stall")))
    return c.open()


@case("5.1.2", "finished streams do not count", answered(200, b"a"), listener="limited")
def _(c):
    c.until_settled()
    for index in range(12):
        assert c.until_over(c.open(f"/{index}")).status == 200
    return c.open()


@case("5.1.2", "half-closed streams count", stream_error(w.REFUSED_STREAM), listener="limited")
def _(c):
    c.until_settled()
    streams = [c.open("/stall", method="POST", end=False) for _ in range(4)]
    c.send(*(w.data(s, b"", end=True) for s in streams))
    c.barrier()
    extra = c.open("/extra")
    c.until_over(extra)
    c.send(*(w.reset(s) for s in streams))
    return extra


@case("5.1.2", "a refused stream's block counts for the table", stream_error(w.REFUSED_STREAM), listener="limited")
def _(c):
    c.until_settled()
    streams = [c.send_block(w.request_block("/stall")) for _ in range(4)]
    refused_one = c.send_block(w.request_block("/extra") + w.literal(b"x-kept", b"from-the-refused", w.INDEXING))
    c.until_over(refused_one)
    c.send(*(w.reset(s) for s in streams))
    c.barrier()
    after = c.send_block(w.request_block("/after") + w.indexed(62))
    assert c.until_over(after).status == 200, c.describe()
    assert c.harness.requests[-1].header("x-kept") == "from-the-refused"
    return refused_one


@case("5.1.2", "MAX_CONCURRENT_STREAMS 0 of the client does not hinder its own requests", answered(200, b"a"), settings=((3, 0),))
def _(c):
    return c.open()


# 5.2 and 6.9: the proxy as sender


def body_so_far(c, stream):
    c.pump(lambda: c.stream(stream).headers is not None)
    c.barrier()
    return len(c.stream(stream).data)


@case("5.2", "the initial window of 65,535 is used whole and kept", answered(200, BIG))
def _(c):
    stream = c.open("/big")
    c.pump(lambda: len(c.stream(stream).data) >= 65535)
    assert body_so_far(c, stream) == 65535
    c.send(w.window_update(0, 1 << 20), w.window_update(stream, 1 << 20))
    return stream


@case("5.2", "stream credit alone does not open the connection", answered(200, BIG))
def _(c):
    stream = c.open("/big")
    c.send(w.window_update(stream, 1 << 20))
    c.pump(lambda: len(c.stream(stream).data) >= 65535)
    assert body_so_far(c, stream) == 65535
    c.send(w.window_update(0, 1 << 20))
    return stream


@case("5.2", "connection credit alone does not open the stream", answered(200, BIG))
def _(c):
    stream = c.open("/big")
    c.send(w.window_update(0, 1 << 20))
    c.pump(lambda: len(c.stream(stream).data) >= 65535)
    assert body_so_far(c, stream) == 65535
    c.send(w.window_update(stream, 1 << 20))
    return stream


@case("5.2", "two streams share the connection's window", answered(200, BIG))
def _(c):
    first, second = c.open("/big"), c.open("/big")
    c.pump(lambda: sum(len(c.stream(s).data) for s in (first, second)) >= 65535)
    body_so_far(c, second)
    assert sum(len(c.stream(s).data) for s in (first, second)) == 65535
    c.send(w.window_update(first, 1 << 20), w.window_update(second, 1 << 20), w.window_update(0, 1 << 21))
    assert c.until_over(first).data == BIG
    return second


@case("5.2", "a blocked stream does not block another", answered(200, BIG))
def _(c):
    c.send(w.window_update(0, 1 << 20))
    blocked = c.open("/big")
    c.pump(lambda: len(c.stream(blocked).data) >= 65535)
    assert c.until_over(c.open("/other")).data == b"a"
    c.send(w.window_update(blocked, 1 << 20))
    return blocked


@case("6.9.2", "INITIAL_WINDOW_SIZE 0: headers come, no DATA", answered(200, b"a"), settings=((4, 0),))
def _(c):
    stream = c.open()
    assert body_so_far(c, stream) == 0 and not c.stream(stream).over
    c.send(w.settings((4, 65535)))
    return stream


@case("6.9.2", "one byte of window, one byte of DATA", answered(200, b"a"), settings=((4, 0),))
def _(c):
    stream = c.open("/big")
    for count in range(1, 4):
        c.send(w.window_update(stream, 1))
        c.pump(lambda: len(c.stream(stream).data) >= count)
        assert body_so_far(c, stream) == count
    c.send(w.reset(stream), w.settings((4, 65535)))
    return c.open()


@case("6.9.2", "a raised INITIAL_WINDOW_SIZE applies to open streams", answered(200, BIG), settings=((4, 10),))
def _(c):
    stream = c.open("/big")
    c.pump(lambda: len(c.stream(stream).data) >= 10)
    assert body_so_far(c, stream) == 10
    c.send(w.settings((4, 30)))
    c.pump(lambda: len(c.stream(stream).data) >= 30)
    assert body_so_far(c, stream) == 30
    c.send(w.settings((4, 1 << 20)), w.window_update(0, 1 << 20))
    return stream


@case("6.9.2", "a lowered INITIAL_WINDOW_SIZE makes the window negative", answered(200, BIG), settings=((4, 5000),))
def _(c):
    stream = c.open("/big")
    c.pump(lambda: len(c.stream(stream).data) >= 5000)
    c.send(w.settings((4, 100)), w.window_update(stream, 4900))
    assert body_so_far(c, stream) == 5000, "sent into a window that is not positive"
    c.send(w.window_update(stream, 7))
    c.pump(lambda: len(c.stream(stream).data) >= 5007)
    assert body_so_far(c, stream) == 5007
    c.send(w.settings((4, 1 << 20)), w.window_update(0, 1 << 20))
    return stream


@case("6.9.2", "settings of one frame are taken in order: the last value holds", answered(200, b"a"), preface=False)
def _(c):
    c.send(w.PREFACE, w.settings((4, 65535), (4, 0)))
    stream = c.open()
    assert body_so_far(c, stream) == 0
    c.send(w.settings((4, 0), (4, 65535)))
    return stream


@case("6.9.2", "SETTINGS that lift a stream's window over 2^31-1", connection_error(w.FLOW_CONTROL_ERROR))
def _(c):
    stream = c.open("/stall")
    c.send(w.window_update(stream, w.MAX_WINDOW - 65535), w.settings((4, 65536)))


@case("6.9", "WINDOW_UPDATE of zero on a stream", stream_error())
def _(c):
    stream = half_closed(c)
    c.send(w.window_update(stream, 0))
    return stream


@case("6.9", "WINDOW_UPDATE of zero on the connection", connection_error())
def _(c):
    c.send(w.window_update(0, 0))


@case("6.9", "WINDOW_UPDATE of 3 bytes", connection_error(w.FRAME_SIZE_ERROR))
def _(c):
    c.send(w.frame(w.WINDOW_UPDATE, 0, 0, b"\0\0\1"))


@case("6.9", "WINDOW_UPDATE of 5 bytes on a stream", connection_error(w.FRAME_SIZE_ERROR))
def _(c):
    c.send(w.frame(w.WINDOW_UPDATE, 0, half_closed(c), b"\0\0\0\1\0"))


@case("6.9.1", "a stream's window over 2^31-1", stream_error(w.FLOW_CONTROL_ERROR))
def _(c):
    stream = half_closed(c)
    c.send(w.window_update(stream, w.MAX_WINDOW))
    return stream


@case("6.9.1", "the connection's window over 2^31-1", connection_error(w.FLOW_CONTROL_ERROR))
def _(c):
    c.send(w.window_update(0, w.MAX_WINDOW))


@case("6.9.1", "the connection's window at 2^31-1 exactly", ignored())
def _(c):
    c.send(w.window_update(0, w.MAX_WINDOW - 65535))


@case("6.9.1", "a stream's window at 2^31-1 exactly", answered(200, b"a"))
def _(c):
    stream = c.open("/", method="POST", end=False)
    c.send(w.window_update(stream, w.MAX_WINDOW - 65535), w.data(stream, b"x", end=True))
    return stream


# 5.2 and 6.9: the proxy as receiver


def send_within_credit(c, stream, size, chunk=8192):
    """DATA as the proxy grants credit; False when no more is granted."""
    while size:
        if not c.pump(lambda: c.credit(stream) > 0 or c.stream(stream).over):
            return False
        if c.stream(stream).over:
            return False
        part = min(size, chunk, c.credit(stream))
        c.send_data(stream, b"x" * part)
        size -= part
    return True


@case("6.9", "an upload larger than the window is granted credit to its end", answered(200, b"a"))
def _(c):
    c.until_settled()
    stream = c.open("/", method="POST", end=False)
    assert send_within_credit(c, stream, 400_000), c.describe()
    c.send_data(stream, end=True)
    c.until_over(stream)
    assert len(c.harness.requests[0].body) == 400_000
    return stream


@case("6.9.1", "padding is given back", answered(200, b"a"))
def _(c):
    c.until_settled()
    stream = c.open("/", method="POST", end=False)
    for _ in range(600):
        assert c.pump(lambda: c.credit(stream) >= 257), f"no more credit: {c.describe()}"
        c.send(w.data(stream, b"x", pad=255))
        c.connection_window -= 257
        c.windows[stream] = c.windows.get(stream, 0) - 257
    c.send_data(stream, end=True)
    return stream


@case("6.9.1", "DATA of streams the client has reset is given back", answered(200, b"a"))
def _(c):
    c.until_settled()
    for _ in range(12):
        stream = c.open("/stall", method="POST", end=False)
        c.pump(lambda: c.credit(stream) >= 16384)
        assert c.credit(stream) >= 16384, f"no more credit: {c.describe()}"
        c.send_data(stream, b"x" * 16384)
        c.send(w.reset(stream))
        c.barrier()
    return c.open()


@case("6.9.1", "DATA after the proxy's reset is given back", answered(200, b"a"))
def _(c):
    c.until_settled()
    for _ in range(12):
        stream = c.send_fields(*w.request_fields("/x", "POST", extra=[("content-length", "5")]), end=False)
        c.pump(lambda: c.credit(stream) >= 16384)
        assert c.credit(stream) >= 16384, f"no more credit: {c.describe()}"
        c.send_data(stream, b"x" * 16384)
        c.until_over(stream)
    return c.open()


def stuff(c, limit=32 << 20):
    """A stream the upstream never reads, filled until the proxy grants no more."""
    stream = c.open("/frozen", method="POST", end=False)
    while limit > 0:
        credit = c.credit(stream)
        if credit <= 0:
            if not c.pump(lambda: c.credit(stream) > 0 or c.stream(stream).over, 0.3):
                break
            assert not c.stream(stream).over, c.describe()
            continue
        part = min(credit, 16384)
        c.send_data(stream, b"x" * part)
        limit -= part
    assert limit > 0, "the proxy granted credit for 32 MiB that nobody read"
    return stream


@case("6.9.1", "DATA beyond the connection's window", stream_error(w.FLOW_CONTROL_ERROR))
def _(c):
    c.until_settled()
    stream = stuff(c)
    c.send(w.data(stream, b"x" * 16384))
    return stream


@case("6.9.1", "DATA beyond the stream's window alone", stream_error(w.FLOW_CONTROL_ERROR), listener="wide")
def _(c):
    c.until_settled()
    stream = stuff(c)
    assert c.connection_window > 16384, "the connection's window is used up too"
    c.send(w.data(stream, b"x" * 16384))
    return stream


@case("6.9", "other frames pass a full window", answered(200, b"a"))
def _(c):
    c.until_settled()
    stream = stuff(c)
    assert c.barrier()
    c.send(w.reset(stream))
    return c.open()


# 5.3 Priority, 5.4 errors


@case("5.3", "a stream that depends on itself in HEADERS is not an error any more", tolerated())
def _(c):
    next(c.ids)
    c.send(w.headers(1, w.request_block("/stall"), priority=(1, 15, False)))


@case("5.3", "a stream that depends on itself in PRIORITY", tolerated())
def _(c):
    c.send(w.priority(1, 1))


@case("5.3", "HEADERS with priority", answered(200, b"a"))
def _(c):
    next(c.ids)
    c.send(w.headers(1, w.request_block(), priority=(0, 255, True)))


@case("5.3", "a cycle of dependencies", answered(200, b"a"))
def _(c):
    c.send(w.priority(3, 5), w.priority(5, 7), w.priority(7, 3, exclusive=True))
    return c.open()


@case("5.4.1", "GOAWAY names the last stream that was taken", None)
def _(c):
    assert c.until_over(c.open()).status == 200
    c.send(w.frame(w.PING, 0, 1, b"pingpong"))
    c.pump(lambda: c.ended)
    assert c.goaway is not None and c.goaway.last_stream_id in (1, w.MAX_WINDOW), c.describe()


@case("5.4.1", "nothing is answered after GOAWAY for an error", None)
def _(c):
    c.send(w.frame(w.PING, 0, 1, b"pingpong"), w.headers(1, w.request_block("/after-the-error")))
    c.pump(lambda: c.ended)
    assert c.ended and not c.stream(1).headers, c.describe()
    assert not c.harness.requests, "a request behind a connection error was forwarded"


@case("5.4.2", "no RST_STREAM in answer to RST_STREAM", None)
def _(c):
    stream = c.open("/stall")
    c.send(w.reset(stream, w.PROTOCOL_ERROR))
    c.barrier()
    assert c.stream(stream).reset is None, c.describe()


@case("5.4.2", "a stream error leaves the other streams alone", stream_error(w.FLOW_CONTROL_ERROR))
def _(c):
    other = c.open("/", method="POST", end=False)
    stream = half_closed(c)
    c.send(w.window_update(stream, w.MAX_WINDOW))
    c.until_over(stream)
    if c.goaway is None and not c.ended:
        c.send(w.data(other, b"x", end=True))
        assert c.until_over(other).status == 200
    return stream


@case("5.4.3", "the end of the connection in the middle of a request", None)
def _(c):
    c.open("/cut", method="POST", end=False)
    c.harness.upstreams["a"].wait_for(1)
    c.close()
    upstream = c.harness.upstreams["a"]
    assert upstream.wait_until(lambda u: not u.has_unfinished_request()), "the upstream's request was left open"
    assert all(not r.complete for r in upstream.requests), "a cut request was ended upstream"


@case("5.4.2", "RST_STREAM in the middle of a request", ignored())
def _(c):
    stream = c.open("/cut", method="POST", end=False)
    c.send(w.data(stream, b"half"))
    upstream = c.harness.upstreams["a"]
    upstream.wait_for(1)
    c.send(w.reset(stream))
    assert upstream.wait_until(lambda u: not u.has_unfinished_request()), "the upstream's request was left open"
    assert all(not r.complete for r in upstream.requests), "a cut request was ended upstream"
    return stream


