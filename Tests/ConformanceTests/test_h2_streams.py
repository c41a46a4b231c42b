# SPDX-License-Identifier: Apache-2.0
"""RFC 9113 §5.1, §5.3 and §5.4: stream states, identifiers, concurrency, priority, errors."""

from conformance import Cases, w
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


@case(
    "5.1.2",
    "MAX_CONCURRENT_STREAMS 0 of the client does not hinder its own requests",
    answered(200, b"a"),
    settings=((3, 0),),
)
def _(c):
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
