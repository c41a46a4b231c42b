# SPDX-License-Identifier: Apache-2.0
"""The proxy as a client, RFC 9113 §5.4.3, §6.4, §6.8 and §8.7: how streams and connections end, what is replayed."""

from conformance import w
from h2server import Gone
from upstream_side import UpstreamCases, cut_short, gateway_error, whole

CASES = UpstreamCases()
case = CASES


def test_upstream_ends(case, client, upstream):
    upstream.run(case, client)


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


@case(
    "8.1",
    "RST_STREAM with NO_ERROR after a whole response, the request unfinished",
    whole(b"early"),
    method="POST",
    body=b"x" * 60000,
    settings=((4, 100),),
)
def _(p):
    request = p.next_request()
    p.respond(request, body=b"early")
    p.send(w.reset(request.stream, w.NO_ERROR))


def refuse_the_first(p, body=b""):
    """Refuses one request, whatever its connection, and answers the ones that follow."""
    while True:
        request = p.whole_request_or_wait()
        if not p.server.reached.is_set():
            p.server.reached.set()
            p.send(w.reset(request.stream, w.REFUSED_STREAM))
            continue
        if not request.header(":path").endswith("normal"):
            assert bytes(request.body) == body, f"replayed with {bytes(request.body)!r}"
        p.respond(request)


@case("8.7", "REFUSED_STREAM is replayed", whole(), retry=True, every=True)
def _(p):
    refuse_the_first(p)


@case(
    "8.7",
    "REFUSED_STREAM of a POST is replayed with its body",
    whole(),
    retry=True,
    every=True,
    method="POST",
    body=b"b",
)
def _(p):
    refuse_the_first(p, b"b")


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


@case(
    "6.8",
    "GOAWAY below a POST: replayed with its body",
    whole(b"connection 1"),
    retry=True,
    method="POST",
    body=b"again",
)
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
