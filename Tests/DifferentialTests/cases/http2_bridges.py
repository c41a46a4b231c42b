# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 in, out and both: what crosses each bridge, and what becomes of resets and of upstreams that go away."""

from exchanges import (
    Abandon,
    Ask,
    AwaitBytes,
    AwaitEnd,
    AwaitHead,
    AwaitRequest,
    Cancel,
    Open,
    OverH2,
    Say,
    Sleep,
)
from harness import Case, End, Kept, Receive, Send

from PythonKit import h2frames as f
from PythonKit.client import chunked, request
from PythonKit.h2upstream import UNTIL_RESET, Data, GoAway, Head, Reset, Trailers, answer
from PythonKit.upstream import BODY, CLOSE, ECHO, RESET, response


def h2(feature, outcome, status, *steps, listener_name="h2", **options):
    """A case of an HTTP/2 client; its log line belongs to it. Options of the exchange are among the options."""
    own = {n: options.pop(n) for n in ("life", "settings", "auto_window", "auto_answer") if n in options}
    exchange = OverH2(steps, **own)
    options.setdefault("log", listener_name)
    return Case(feature, outcome, status, listener=listener_name, exchange=exchange, **options)


def h1(feature, outcome, status, data, *steps, method="GET", listener_name="h1", **options):
    options.setdefault("log", listener_name)
    made = (Send(data), *(steps or (Receive(method), Kept())))
    return Case(feature, outcome, status, listener=listener_name, steps=made, **options)


_TRAILERS = (("x-trailer", "t1"), ("grpc-status", "0"))
_TE = (("te", "trailers"),)
_HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n"
_BIG = bytes(range(256)) * 1024
_CHUNKED = [("transfer-encoding", "chunked")]

BRIDGES = (
    # From HTTP/2 to HTTP/1.
    h2("bridge 2 to 1", "GET", 200, Ask("/1?q=1", headers=(("x-a", "1"), ("x-a", "2"), ("cookie", "c=1")))),
    h2("bridge 2 to 1", "cookie crumbs are joined", 200, Ask("/1", headers=(("cookie", "a=1"), ("cookie", "b=2")))),
    h2("bridge 2 to 1", "HEAD", 200, Ask("/1", method="HEAD")),
    h2("bridge 2 to 1", "body without length becomes chunked", 200, Ask("/1", method="POST", body=b"hello")),
    h2(
        "bridge 2 to 1",
        "body with length keeps it",
        200,
        Ask("/1", method="POST", headers=(("content-length", "5"),), body=b"hello"),
    ),
    h2("bridge 2 to 1", "a large body", 200, Ask("/1", method="POST", body=_BIG)),
    h2(
        "bridge 2 to 1",
        "request trailers",
        200,
        Ask("/1", method="POST", headers=_TE, body=b"hello", trailers=(("x-trailer", "t1"),)),
        shows="upstream trailer: x-trailer: t1",
    ),
    h2(
        "bridge 2 to 1",
        "response trailers",
        200,
        Ask("/1", headers=_TE),
        upstream=(BODY, response(200, chunks=[b"one", b"two"], trailers=[("x-trailer", "t1")])),
        shows="trailer: x-trailer: t1",
    ),
    h2(
        "bridge 2 to 1",
        "1xx",
        200,
        Ask("/1"),
        upstream=(BODY, _HINTS, response(200, b"done")),
    ),
    h2("bridge 2 to 1", "204", 204, Ask("/1"), upstream=(BODY, b"HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n")),
    h2(
        "bridge 2 to 1",
        "hop-by-hop response headers are gone",
        200,
        Ask("/1"),
        upstream=(
            BODY,
            response(200, b"x", [("connection", "keep-alive, x-hop"), ("keep-alive", "timeout=5"), ("x-hop", "1")]),
        ),
        lacks="header: keep-alive",
    ),
    h2(
        "bridge 2 to 1",
        "response up to the end of the connection",
        200,
        Ask("/1"),
        upstream=(BODY, b"HTTP/1.1 200 OK\r\n\r\nto the end", CLOSE),
    ),
    h2(
        "bridge 2 to 1",
        "response cut short resets the stream",
        200,
        Ask("/1"),
        upstream=(BODY, b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello", 0.1, CLOSE),
        shows="stream: reset",
    ),
    h2(
        "bridge 2 to 1",
        "upstream closes without an answer",
        503,
        Ask("/1"),
        upstream=(BODY, CLOSE),
    ),
    h2("bridge 2 to 1", "a broken answer", 502, Ask("/1"), upstream=(BODY, b"garbage\r\n\r\n")),
    h2(
        "bridge 2 to 1",
        "the client's reset ends the upstream connection",
        None,
        Open("/1", method="POST", headers=(("content-length", "10"),)),
        Say(b"hello"),
        AwaitRequest(holding=b"hello"),
        Cancel(),
        shows="DR http2.remote_reset",
    ),
    # From HTTP/1 to HTTP/2.
    h1("bridge 1 to 2", "GET", 200, request("/2?q=1", headers=[("X-A", "1"), ("X-A", "2"), ("Cookie", "a=1; b=2")])),
    h1("bridge 1 to 2", "HEAD", 200, request("/2", method="HEAD"), method="HEAD"),
    h1("bridge 1 to 2", "POST with a length", 200, request("/2", method="POST", body=b"hello")),
    h1(
        "bridge 1 to 2",
        "POST chunked with trailers",
        200,
        request("/2", method="POST", headers=_CHUNKED) + chunked(b"he", b"llo", trailers=[("x-trailer", "t1")]),
        shows="upstream trailer: x-trailer: t1",
    ),
    h1(
        "bridge 1 to 2",
        "response trailers",
        200,
        request("/2", headers=[("te", "trailers")]),
        upstream=(BODY, *answer(200, b"ok", trailers=_TRAILERS)),
        shows="trailer: x-trailer: t1",
    ),
    h1(
        "bridge 1 to 2",
        "hop-by-hop request headers are gone",
        200,
        request("/2", headers=[("Connection", "keep-alive, x-hop"), ("x-hop", "1"), ("keep-alive", "timeout=3")]),
        lacks="upstream header: keep-alive",
    ),
    h1(
        "bridge 1 to 2",
        "1xx",
        200,
        request("/2"),
        upstream=(BODY, Head(103, (("link", "</style.css>"),)), *answer(200, b"done")),
    ),
    h1("bridge 1 to 2", "204", 204, request("/2"), upstream=(BODY, Head(204, (("x-a", "1"),), True))),
    h1(
        "bridge 1 to 2",
        "reset before the answer",
        503,
        request("/2"),
        upstream=(BODY, Reset(f.INTERNAL_ERROR)),
    ),
    h1(
        "bridge 1 to 2",
        "reset inside the answer",
        200,
        request("/2"),
        Receive(),
        End(),
        upstream=(BODY, Head(200), Data(b"part"), 0.1, Reset(f.INTERNAL_ERROR)),
        shows="body: CUT",
    ),
    # HTTP/2 all the way, and HTTP/1 all the way in this group's configuration.
    h2("bridge 2 to 2", "GET", 200, Ask("/2?q=1", headers=(("x-a", "1"), ("x-a", "2"), ("cookie", "c=1")))),
    h2("bridge 2 to 2", "cookie crumbs", 200, Ask("/2", headers=(("cookie", "a=1"), ("cookie", "b=2")))),
    h2("bridge 2 to 2", "HEAD", 200, Ask("/2", method="HEAD")),
    h2("bridge 2 to 2", "a large body both ways", 200, Ask("/2", method="POST", body=_BIG),
        upstream=(BODY, Head(), Data(_BIG, True))),
    h2(
        "bridge 2 to 2",
        "trailers both ways",
        200,
        Ask("/2", method="POST", headers=_TE, body=b"hello", trailers=(("x-trailer", "t1"),)),
        upstream=(BODY, *answer(200, b"ok", trailers=_TRAILERS)),
        shows="upstream trailer: x-trailer: t1",
    ),
    h2(
        "bridge 2 to 2",
        "trailers after no body",
        200,
        Ask("/2", headers=_TE, trailers=(("x-trailer", "t1"),)),
        upstream=(BODY, Head(), Trailers(_TRAILERS)),
    ),
    h2(
        "bridge 2 to 2",
        "1xx",
        200,
        Ask("/2"),
        upstream=(BODY, Head(103, (("link", "</a>"),)), Head(103, (("link", "</b>"),)), *answer()),
    ),
    h2(
        "bridge 2 to 2",
        "full duplex",
        200,
        Open("/2", method="POST"),
        AwaitHead(),
        Say(b"one"),
        AwaitBytes(3),
        Say(b"two"),
        AwaitBytes(6),
        Say(b"", end=True),
        AwaitEnd(),
        upstream=(Head(), ECHO),
        shows="b'onetwo'",
    ),
    h2(
        "bridge 2 to 2",
        "two streams at once",
        200,
        Open("/2/one", method="POST"),
        Open("/2/two", method="POST"),
        Say(b"second", end=True),
        AwaitEnd(),
        Say(b"first", end=True, stream=0),
        AwaitEnd(0),
        upstream=(Head(), ECHO),
    ),
    h2(
        "bridge 2 to 2",
        "response ends before the request",
        200,
        Open("/2", method="POST"),
        Say(b"part"),
        AwaitEnd(),
        upstream=(*answer(200, b"early"),),
    ),
    h1("bridge 1 to 1", "trailers both ways", 200,
        request("/1", method="POST", headers=[*_CHUNKED, ("te", "trailers")]) + chunked(b"x", trailers=[("x-t", "1")]),
        upstream=(BODY, response(200, chunks=[b"one"], trailers=[("x-trailer", "t1")])),
        shows="upstream trailer: x-t: 1"),
)

RESETS = (
    *(
        h2(
            "reset by upstream before the answer",
            name,
            status,
            Ask("/2"),
            upstream=(BODY, Reset(code)),
        )
        for name, code, status in (
            ("NO_ERROR", f.NO_ERROR, 503),
            ("PROTOCOL_ERROR", f.PROTOCOL_ERROR, 502),
            ("REFUSED_STREAM", f.REFUSED_STREAM, 503),
            ("CANCEL", f.CANCEL, 503),
            ("ENHANCE_YOUR_CALM", f.ENHANCE_YOUR_CALM, 503),
        )
    ),
    *(
        h2(
            "reset by upstream inside the answer",
            name,
            200,
            Ask("/2"),
            upstream=(BODY, Head(), Data(b"part"), 0.1, Reset(code)),
            shows="stream: reset",
        )
        for name, code in (("NO_ERROR", f.NO_ERROR), ("CANCEL", f.CANCEL), ("INTERNAL_ERROR", f.INTERNAL_ERROR))
    ),
    h2(
        "reset by upstream",
        "NO_ERROR after a complete answer",
        200,
        Open("/2", method="POST"),
        Say(b"part"),
        AwaitEnd(),
        upstream=(Head(), Data(b"early", True), 0.1, Reset(f.NO_ERROR)),
        shows="b'early'",
    ),
    *(
        h2(
            "reset by the client",
            f"code {code}",
            None,
            Open("/2", method="POST"),
            Say(b"part"),
            AwaitRequest(),
            Cancel(code),
            Sleep(0.1),
            shows="upstream stream: reset",
        )
        for code in (f.NO_ERROR, f.CANCEL, f.INTERNAL_ERROR)
    ),
    h2(
        "reset by the client",
        "its connection ends",
        None,
        Open("/2", method="POST"),
        Say(b"part"),
        AwaitRequest(),
        Abandon(),
        shows="upstream stream: reset",
    ),
    h2("upstream goes away", "after this stream", 200, Ask("/2"), upstream=(BODY, GoAway(), *answer())),
    h2(
        "upstream goes away",
        "before this stream",
        503,
        Ask("/2"),
        upstream=(BODY, GoAway(last=0), 0.05, CLOSE),
    ),
    h2("upstream connection ends", "before the answer", 503, Ask("/2"), upstream=(BODY, CLOSE)),
    h2("upstream connection ends", "by RST", 503, Ask("/2"), upstream=(BODY, RESET)),
    h2(
        "upstream connection ends",
        "inside the answer",
        200,
        Ask("/2"),
        upstream=(BODY, Head(), Data(b"part"), 0.1, CLOSE),
        shows="stream: reset",
    ),
    h2("upstream speaks HTTP/1", "to an HTTP/2 cluster", 502, Ask("/2"),
        accept=None, upstream=(b"HTTP/1.1 200 OK\r\n\r\n",)),
    h2("route timeout", "over HTTP/2", 504, Ask("/slow"), upstream=(BODY, UNTIL_RESET),
        shows="upstream stream: reset, code"),
    h2(
        "route timeout",
        "after the head resets",
        200,
        Ask("/slow"),
        upstream=(BODY, Head(), Data(b"part"), 1.0, Data(b"", True)),
        shows="stream: reset",
    ),
    h2("local reply", "no healthy upstream", 503, Ask("/none")),
    h2("local reply", "connection refused", 503, Ask("/dead")),
    h2("local reply", "no route", 404, Ask("/nowhere")),
    h2("local reply", "direct response", 200, Ask("/direct")),
    h2("local reply", "redirect", 301, Ask("/redirect")),
    h2("local reply", "while the body still comes", 404, Open("/nowhere", method="POST"), Say(b"part"), AwaitEnd()),
)
