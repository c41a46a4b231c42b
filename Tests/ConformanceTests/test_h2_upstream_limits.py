# SPDX-License-Identifier: Apache-2.0
"""The proxy as a client, RFC 9113 §5.1.2, §6.5 and §6.9: the limits the server sets, and those it must keep."""

from conformance import BIG, w
from upstream_side import UpstreamCases, cut_short, gateway_error, whole, whole_or

CASES = UpstreamCases()
case = CASES
FLOW = w.FLOW_CONTROL_ERROR


def test_upstream_limits(case, client, upstream):
    upstream.run(case, client)


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


@case("5.1.2", "MAX_CONCURRENT_STREAMS 0, raised a moment later", whole_or(gateway_error(504), None))
def _(p):
    p.send(w.settings((w.MAX_CONCURRENT_STREAMS, 0)))
    p.until(lambda: p.acks >= 2)
    early = set(p.requests)
    p.barrier()
    assert set(p.requests) == early, "a stream was opened where none is allowed"
    p.send(w.settings((w.MAX_CONCURRENT_STREAMS, 10)))
    p.respond(p.whole_request())


@case(
    "5.1.2",
    "MAX_CONCURRENT_STREAMS 0 for good",
    whole_or(gateway_error(504), body=None),
    every=True,
    settings=((3, 0),),
    parallel=2,
)
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


# 6.5 Settings


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


@case(
    "6.9.1",
    "the connection's window is kept to",
    whole(),
    settings=((4, 1 << 20),),
    method="POST",
    body=b"x" * 65535,
    parallel=2,
    every=True,
)
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


def stuff(p, request):
    """DATA until the proxy grants no more: its client reads nothing."""
    sent = 0
    while p.pump(lambda: p.credit(request.stream) > 0, 0.3):
        sent += (part := min(p.credit(request.stream), w.MAX_FRAME))
        assert sent < 32 << 20, "the proxy granted credit for 32 MiB that nobody read"
        p.send_data(request.stream, b"x" * part)


@case("6.9.1", "DATA beyond the proxy's window", cut_short(), clients=("h2",), stalled=True)
def _(p):
    request = p.whole_request()
    p.head(request)
    stuff(p, request)
    p.send(w.data(request.stream, b"x" * w.MAX_FRAME))
    p.expect_reset(request, FLOW)


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


@case("6.9.1", "DATA the proxy discards is given back", whole_or(cut_short(), None), parallel=8, every=True)
def _(p):
    # Each response breaks its content-length: what the proxy throws away it must still count and give back.
    while True:
        request = p.whole_request_or_wait()
        if request.header(":path").endswith("normal"):
            p.respond(request)
            continue
        p.until(lambda: p.connection_window >= 20000)
        p.head(request, ("content-length", "5"))
        p.send_data(request.stream, b"x" * 16000, end=True)
