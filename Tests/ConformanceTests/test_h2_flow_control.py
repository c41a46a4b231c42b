# SPDX-License-Identifier: Apache-2.0
"""RFC 9113 §5.2 and §6.9: flow control, the proxy as sender and as receiver."""

from conformance import BIG, Cases, w
from h2expect import answered, connection_error, ignored, stream_error

CASES = Cases()
case = CASES


def test_flow_control(case, downstream):
    downstream.run(case)


def stalled(c):
    """A stream whose request has ended and whose answer never comes."""
    stream = c.open("/stall")
    c.barrier()
    return stream


# The proxy as sender


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
    stream = stalled(c)
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
    c.send(w.frame(w.WINDOW_UPDATE, 0, stalled(c), b"\0\0\0\1\0"))


@case("6.9.1", "a stream's window over 2^31-1", stream_error(w.FLOW_CONTROL_ERROR))
def _(c):
    stream = stalled(c)
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


# The proxy as receiver


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
