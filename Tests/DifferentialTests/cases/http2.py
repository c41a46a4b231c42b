# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 on either side and both: every bridge, resets, header rules, tunnels, limits, statistics."""

from exchanges import (
    Abandon,
    Ask,
    AwaitBytes,
    AwaitEnd,
    AwaitHead,
    AwaitRequest,
    Cancel,
    Frames,
    Open,
    OverH2,
    Say,
    SayTrailers,
    ShowSettings,
    Sleep,
)
from harness import Case, End, Group, HalfClose, Kept, Raw, Receive, Send

from PythonKit import h2frames as f
from PythonKit.bootstrap import cluster, file_access_log, hcm, http2, http_inspector, http_protocol, listener
from PythonKit.client import chunked, request
from PythonKit.h2upstream import STREAM_NUMBER, Data, GoAway, H2Upstream, Head, Reset, Trailers, answer
from PythonKit.upstream import BODY, CLOSE, ECHO, RESET, response

_ROUTES = """
- {match: {prefix: /direct}, direct_response: {status: 200, body: {inline_string: direct}}}
- {match: {prefix: /redirect}, redirect: {path_redirect: /elsewhere}}
- {match: {prefix: /none}, route: {cluster: empty}}
- {match: {prefix: /dead}, route: {cluster: dead}}
- {match: {prefix: /slow}, route: {cluster: m, timeout: 0.3s}}
- match: {prefix: /retry}
  route: {cluster: m, timeout: 0s, retry_policy: {retry_on: "refused-stream,reset", num_retries: 1}}
- {match: {prefix: /same}, route: {cluster: same}}
- {match: {prefix: /1}, route: {cluster: a}}
- {match: {prefix: /2}, route: {cluster: m}}
- {match: {prefix: /counted}, route: {cluster: counted}}
"""
_TUNNELS = """
- match: {connect_matcher: {}}
  route: {cluster: a, upgrade_configs: [{upgrade_type: CONNECT, connect_config: {}}]}
- {match: {prefix: /1}, route: {cluster: a}}
- {match: {prefix: /2}, route: {cluster: m}}
"""
_TUNNEL_OPTIONS = {"upgrade_configs": [{"upgrade_type": "websocket"}, {"upgrade_type": "CONNECT"}]}
_LOG = (
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %PROTOCOL% %REQ(:METHOD)% %REQ(:AUTHORITY)% "
    "%REQ(:PATH)% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_CLUSTER%\n"
)

_MANAGERS = {
    "h2": {"codec_type": "HTTP2"},
    "h1": {"codec_type": "HTTP1", "http_protocol_options": {"enable_trailers": True}},
    "auto": {"codec_type": "AUTO"},
    "inspected": {"codec_type": "AUTO"},
    "lenient": {
        "codec_type": "HTTP2",
        "http2_protocol_options": {"override_stream_error_on_invalid_http_message": True},
    },
    "settings": {
        "codec_type": "HTTP2",
        "http2_protocol_options": {
            "max_concurrent_streams": 3,
            "initial_stream_window_size": 70000,
            "initial_connection_window_size": 80000,
            "hpack_table_size": 1024,
        },
    },
    "tunnel2": {"codec_type": "HTTP2", "http2_protocol_options": {"allow_connect": True}, **_TUNNEL_OPTIONS},
    "tunnel1": {"codec_type": "HTTP1", **_TUNNEL_OPTIONS},
    "normalize": {"codec_type": "HTTP2", "normalize_path": True, "merge_slashes": True},
    "underscore_reject": {
        "codec_type": "HTTP2",
        "common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"},
    },
    "underscore_drop": {
        "codec_type": "HTTP2",
        "common_http_protocol_options": {"headers_with_underscores_action": "DROP_HEADER"},
    },
    "few_headers": {"codec_type": "HTTP2", "common_http_protocol_options": {"max_headers_count": 8}},
    "small_headers": {"codec_type": "HTTP2", "max_request_headers_kb": 2},
    "two_requests": {"codec_type": "HTTP2", "common_http_protocol_options": {"max_requests_per_connection": 2}},
    "idle": {"codec_type": "HTTP2", "common_http_protocol_options": {"idle_timeout": "0.3s"}},
    "stalled": {"codec_type": "HTTP2", "stream_idle_timeout": "0.3s"},
    "counted": {"codec_type": "HTTP2"},
}


def _build(ports):
    listeners = []
    for name, options in _MANAGERS.items():
        routes = _TUNNELS if name.startswith("tunnel") else _ROUTES
        log = {"access_log": [file_access_log(ports.log(name), _LOG)], "delayed_close_timeout": "0.2s"}
        manager = hcm(routes, stat_prefix=name, options={**options, **log})
        inspect = {"listener_filters": [http_inspector()]} if name == "inspected" else {}
        listeners.append(listener(name, ports[name], manager, **inspect))
    return listeners, [
        cluster(
            "a", ports["a"], **http_protocol(explicit_http_config={"http_protocol_options": {"enable_trailers": True}})
        ),
        cluster("m", ports["m"], **http2(allow_connect=True)),
        cluster("counted", ports["m"], **http2()),
        cluster(
            "same",
            ports["m"],
            **http_protocol(use_downstream_protocol_config={"http_protocol_options": {}, "http2_protocol_options": {}}),
        ),
        cluster("dead", ports["dead"], **http2()),
        cluster("empty", **http2()),
    ]


def _h2(feature, outcome, status, *steps, listener_name="h2", life=True, settings=(), auto_window=True, **options):
    """A case of an HTTP/2 client; its log line belongs to it."""
    exchange = OverH2(steps, life=life, settings=settings, auto_window=auto_window)
    options.setdefault("log", listener_name)
    return Case(feature, outcome, status, listener=listener_name, exchange=exchange, **options)


def _h1(feature, outcome, status, data, *steps, method="GET", listener_name="h1", **options):
    options.setdefault("log", listener_name)
    made = (Send(data), *(steps or (Receive(method), Kept())))
    return Case(feature, outcome, status, listener=listener_name, steps=made, **options)


_TRAILERS = (("x-trailer", "t1"), ("grpc-status", "0"))
_TE = (("te", "trailers"),)
_HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n"
_BIG = bytes(range(256)) * 1024
_CHUNKED = [("transfer-encoding", "chunked")]

_BRIDGES = (
    # From HTTP/2 to HTTP/1.
    _h2("bridge 2 to 1", "GET", 200, Ask("/1?q=1", headers=(("x-a", "1"), ("x-a", "2"), ("cookie", "c=1")))),
    _h2("bridge 2 to 1", "cookie crumbs are joined", 200, Ask("/1", headers=(("cookie", "a=1"), ("cookie", "b=2")))),
    _h2("bridge 2 to 1", "HEAD", 200, Ask("/1", method="HEAD")),
    _h2("bridge 2 to 1", "body without length becomes chunked", 200, Ask("/1", method="POST", body=b"hello")),
    _h2(
        "bridge 2 to 1",
        "body with length keeps it",
        200,
        Ask("/1", method="POST", headers=(("content-length", "5"),), body=b"hello"),
    ),
    _h2("bridge 2 to 1", "a large body", 200, Ask("/1", method="POST", body=_BIG)),
    _h2(
        "bridge 2 to 1",
        "request trailers",
        200,
        Ask("/1", method="POST", headers=_TE, body=b"hello", trailers=(("x-trailer", "t1"),)),
        shows="upstream trailer: x-trailer: t1",
    ),
    _h2(
        "bridge 2 to 1",
        "response trailers",
        200,
        Ask("/1", headers=_TE),
        upstream=(BODY, response(200, chunks=[b"one", b"two"], trailers=[("x-trailer", "t1")])),
        shows="trailer: x-trailer: t1",
    ),
    _h2(
        "bridge 2 to 1",
        "1xx",
        200,
        Ask("/1"),
        upstream=(BODY, _HINTS, response(200, b"done")),
    ),
    _h2("bridge 2 to 1", "204", 204, Ask("/1"), upstream=(BODY, b"HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n")),
    _h2(
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
    _h2(
        "bridge 2 to 1",
        "response up to the end of the connection",
        200,
        Ask("/1"),
        upstream=(BODY, b"HTTP/1.1 200 OK\r\n\r\nto the end", CLOSE),
    ),
    _h2(
        "bridge 2 to 1",
        "response cut short resets the stream",
        200,
        Ask("/1"),
        upstream=(BODY, b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello", 0.1, CLOSE),
        shows="stream: reset",
    ),
    _h2(
        "bridge 2 to 1",
        "upstream closes without an answer",
        503,
        Ask("/1"),
        upstream=(BODY, CLOSE),
    ),
    _h2("bridge 2 to 1", "a broken answer", 502, Ask("/1"), upstream=(BODY, b"garbage\r\n\r\n")),
    _h2(
        "bridge 2 to 1",
        "the client's reset ends the upstream connection",
        None,
        Open("/1", method="POST", headers=(("content-length", "10"),)),
        Say(b"hello"),
        AwaitRequest(),
        Cancel(),
        shows="DR http2.remote_reset",
    ),
    # From HTTP/1 to HTTP/2.
    _h1("bridge 1 to 2", "GET", 200, request("/2?q=1", headers=[("X-A", "1"), ("X-A", "2"), ("Cookie", "a=1; b=2")])),
    _h1("bridge 1 to 2", "HEAD", 200, request("/2", method="HEAD"), method="HEAD"),
    _h1("bridge 1 to 2", "POST with a length", 200, request("/2", method="POST", body=b"hello")),
    _h1(
        "bridge 1 to 2",
        "POST chunked with trailers",
        200,
        request("/2", method="POST", headers=_CHUNKED) + chunked(b"he", b"llo", trailers=[("x-trailer", "t1")]),
        shows="upstream trailer: x-trailer: t1",
    ),
    _h1(
        "bridge 1 to 2",
        "response trailers",
        200,
        request("/2", headers=[("te", "trailers")]),
        upstream=(BODY, *answer(200, b"ok", trailers=_TRAILERS)),
        shows="trailer: x-trailer: t1",
    ),
    _h1(
        "bridge 1 to 2",
        "hop-by-hop request headers are gone",
        200,
        request("/2", headers=[("Connection", "keep-alive, x-hop"), ("x-hop", "1"), ("keep-alive", "timeout=3")]),
        lacks="upstream header: keep-alive",
    ),
    _h1(
        "bridge 1 to 2",
        "1xx",
        200,
        request("/2"),
        upstream=(BODY, Head(103, (("link", "</style.css>"),)), *answer(200, b"done")),
    ),
    _h1("bridge 1 to 2", "204", 204, request("/2"), upstream=(BODY, Head(204, (("x-a", "1"),), True))),
    _h1(
        "bridge 1 to 2",
        "reset before the answer",
        503,
        request("/2"),
        upstream=(BODY, Reset(f.INTERNAL_ERROR)),
    ),
    _h1(
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
    _h2("bridge 2 to 2", "GET", 200, Ask("/2?q=1", headers=(("x-a", "1"), ("x-a", "2"), ("cookie", "c=1")))),
    _h2("bridge 2 to 2", "cookie crumbs", 200, Ask("/2", headers=(("cookie", "a=1"), ("cookie", "b=2")))),
    _h2("bridge 2 to 2", "HEAD", 200, Ask("/2", method="HEAD")),
    _h2("bridge 2 to 2", "a large body both ways", 200, Ask("/2", method="POST", body=_BIG),
        upstream=(BODY, Head(), Data(_BIG, True))),
    _h2(
        "bridge 2 to 2",
        "trailers both ways",
        200,
        Ask("/2", method="POST", headers=_TE, body=b"hello", trailers=(("x-trailer", "t1"),)),
        upstream=(BODY, *answer(200, b"ok", trailers=_TRAILERS)),
        shows="upstream trailer: x-trailer: t1",
    ),
    _h2(
        "bridge 2 to 2",
        "trailers after no body",
        200,
        Ask("/2", headers=_TE, trailers=(("x-trailer", "t1"),)),
        upstream=(BODY, Head(), Trailers(_TRAILERS)),
    ),
    _h2(
        "bridge 2 to 2",
        "1xx",
        200,
        Ask("/2"),
        upstream=(BODY, Head(103, (("link", "</a>"),)), Head(103, (("link", "</b>"),)), *answer()),
    ),
    _h2(
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
    _h2(
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
    _h2(
        "bridge 2 to 2",
        "response ends before the request",
        200,
        Open("/2", method="POST"),
        Say(b"part"),
        AwaitEnd(),
        upstream=(*answer(200, b"early"),),
    ),
    _h1("bridge 1 to 1", "trailers both ways", 200,
        request("/1", method="POST", headers=[*_CHUNKED, ("te", "trailers")]) + chunked(b"x", trailers=[("x-t", "1")]),
        upstream=(BODY, response(200, chunks=[b"one"], trailers=[("x-trailer", "t1")])),
        shows="upstream trailer: x-t: 1"),
)

_RESETS = (
    *(
        _h2(
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
        _h2(
            "reset by upstream inside the answer",
            name,
            200,
            Ask("/2"),
            upstream=(BODY, Head(), Data(b"part"), 0.1, Reset(code)),
            shows="stream: reset",
        )
        for name, code in (("NO_ERROR", f.NO_ERROR), ("CANCEL", f.CANCEL), ("INTERNAL_ERROR", f.INTERNAL_ERROR))
    ),
    _h2(
        "reset by upstream",
        "NO_ERROR after a complete answer",
        200,
        Open("/2", method="POST"),
        Say(b"part"),
        AwaitEnd(),
        upstream=(Head(), Data(b"early", True), Reset(f.NO_ERROR)),
        shows="b'early'",
    ),
    *(
        _h2(
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
    _h2(
        "reset by the client",
        "its connection ends",
        None,
        Open("/2", method="POST"),
        Say(b"part"),
        AwaitRequest(),
        Abandon(),
        shows="upstream stream: reset",
    ),
    _h2("retry", "after REFUSED_STREAM", 503, Ask("/retry"), upstream=(BODY, Reset(f.REFUSED_STREAM)), shows="URX"),
    _h2("upstream goes away", "after this stream", 200, Ask("/2"), upstream=(BODY, GoAway(), *answer())),
    _h2(
        "upstream goes away",
        "before this stream",
        503,
        Ask("/2"),
        upstream=(BODY, GoAway(last=0), 0.05, CLOSE),
    ),
    _h2("upstream connection ends", "before the answer", 503, Ask("/2"), upstream=(BODY, CLOSE)),
    _h2("upstream connection ends", "by RST", 503, Ask("/2"), upstream=(BODY, RESET)),
    _h2(
        "upstream connection ends",
        "inside the answer",
        200,
        Ask("/2"),
        upstream=(BODY, Head(), Data(b"part"), 0.1, CLOSE),
        shows="stream: reset",
    ),
    _h2("upstream speaks HTTP/1", "to an HTTP/2 cluster", 502, Ask("/2"),
        accept=None, upstream=(b"HTTP/1.1 200 OK\r\n\r\n",)),
    _h2("route timeout", "over HTTP/2", 504, Ask("/slow"), upstream=(BODY, 1.0, *answer())),
    _h2(
        "route timeout",
        "after the head resets",
        200,
        Ask("/slow"),
        upstream=(BODY, Head(), Data(b"part"), 1.0, Data(b"", True)),
        shows="stream: reset",
    ),
    _h2("local reply", "no healthy upstream", 503, Ask("/none")),
    _h2("local reply", "connection refused", 503, Ask("/dead")),
    _h2("local reply", "no route", 404, Ask("/nowhere")),
    _h2("local reply", "direct response", 200, Ask("/direct")),
    _h2("local reply", "redirect", 301, Ask("/redirect")),
    _h2("local reply", "while the body still comes", 404, Open("/nowhere", method="POST"), Say(b"part"), AwaitEnd()),
)


def _fields(feature, outcome, status, *fields, listener_name="h2", **options):
    return _h2(feature, outcome, status, Ask(fields=tuple(fields)), listener_name=listener_name, **options)


_GET = (":method", "GET"), (":scheme", "http"), (":authority", "example.test"), (":path", "/1")


def _without(name):
    return tuple(field for field in _GET if field[0] != name)


#: By default Envoy closes the connection without a word; a stream error does as well, and spares the other streams.
_REFUSED = {
    "upper-case name": (*_GET, ("X-Upper", "1")),
    "connection header": (*_GET, ("connection", "close")),
    "transfer-encoding": (*_GET, ("transfer-encoding", "chunked")),
    "no :path": _without(":path"),
    "no :method": _without(":method"),
    "pseudo-header after a field": (*_without(":path"), ("x", "1"), (":path", "/1")),
    "unknown pseudo-header": (*_GET, (":nonsense", "1")),
    "line feed in a value": (*_GET, ("x", "a\nb")),
}

_RULES = (
    _fields("fields over HTTP/2", "host in place of :authority", 200, *_without(":authority"), ("host", "h.test")),
    _fields("fields over HTTP/2", "equal host and :authority", 200, *_GET, ("host", "example.test")),
    _fields("fields over HTTP/2", ":authority with a port", 200, *_without(":authority"), (":authority", "h.test:81")),
    _fields("fields over HTTP/2", "scheme https on a plain connection", 200,
            *_without(":scheme"), (":scheme", "https")),
    _fields("fields over HTTP/2", "method of one's own", 200, *_without(":method"), (":method", "PURGE")),
    _fields("fields over HTTP/2", "te: trailers", 200, *_GET, ("te", "trailers")),
    _fields("fields over HTTP/2", "expect: 100-continue", 200,
            *_without(":method"), (":method", "POST"), ("expect", "100-continue")),
    _fields("fields over HTTP/2", "x-forwarded-for and proto", 200,
            *_GET, ("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https")),
    _fields("fields over HTTP/2", "empty value", 200, *_GET, ("x-empty", "")),
    *(
        _fields("refused over HTTP/2, stream error", name, None, *fields, listener_name="lenient", log=None)
        for name, fields in _REFUSED.items()
    ),
    *(
        _fields("refused over HTTP/2", name, None, *fields, log=None, refusal=True)
        for name, fields in _REFUSED.items()
    ),
    _h2("refused over HTTP/2", "body longer than its length", None,
        Ask("/2", method="POST", headers=(("content-length", "3"),), body=b"hello"), upstream=(BODY, *answer()),
        log=None, refusal=True),
    _fields("underscores over HTTP/2", "rejected", None, *_GET, ("x_y", "1"), listener_name="underscore_reject"),
    _fields("underscores over HTTP/2", "dropped", 200, *_GET, ("x_y", "1"), listener_name="underscore_drop",
            lacks="x_y"),
    _fields("limits over HTTP/2", "too many headers", None, *_GET, *((f"x-{i}", "1") for i in range(20)),
            listener_name="few_headers"),
    _fields("limits over HTTP/2", "headers too large", None, *_GET, ("x", "v" * 3000), listener_name="small_headers"),
    _h2("path over HTTP/2", "normalised", 200, Ask("/x/..//1//y?a=/../"), listener_name="normalize",
        shows="GET /1/y?a=/../"),
    _h2("path over HTTP/2", "fragment", 400, Ask("/1#fragment")),
    _h2("path over HTTP/2", "OPTIONS *", 404, Ask("*", method="OPTIONS")),
)


def _websocket_fields(path):
    return (
        (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "example.test"),
        (":path", path), ("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat"),
    )


_SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nx-a: 1\r\n\r\n"
_UPGRADE = request(
    "/2/ws",
    headers=[("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
             ("sec-websocket-version", "13")],
)
_TALK = (AwaitHead(), Say(b"ping"), AwaitBytes(4), Say(b"", end=True), AwaitEnd())

_TUNNEL_CASES = (
    _h2("settings", "extended CONNECT is offered", None, ShowSettings(), listener_name="tunnel2", log=None,
        shows="(8, 1)"),
    _h2("WebSocket", "from HTTP/2 to HTTP/1", 200, Open(fields=_websocket_fields("/1/ws")), *_TALK,
        listener_name="tunnel2", upstream=(_SWITCH, ECHO), shows="b'ping'"),
    _h2("WebSocket", "from HTTP/2 to HTTP/2", 200, Open(fields=_websocket_fields("/2/ws")), *_TALK,
        listener_name="tunnel2", upstream=(Head(), ECHO), shows="b'ping'"),
    _h1("WebSocket", "from HTTP/1 to HTTP/2", 101, _UPGRADE, Receive(), Send(b"ping"), Raw(4), HalfClose(), End(),
        listener_name="tunnel1", upstream=(Head(), ECHO), shows="raw b'ping'"),
    _h2("WebSocket", "refused by the HTTP/1 upstream", 403, Open(fields=_websocket_fields("/1/ws")), AwaitEnd(),
        listener_name="tunnel2", upstream=(response(403, b"no"),)),
    _h2("WebSocket", "HTTP/1 upstream answers 200", 200, Open(fields=_websocket_fields("/1/ws")), AwaitEnd(),
        listener_name="tunnel2", upstream=(response(200, b"no"),)),
    _h1("WebSocket", "refused by the HTTP/2 upstream", 403, _UPGRADE, Receive(), listener_name="tunnel1",
        upstream=(Head(403), Data(b"no", True))),
    _h2("WebSocket", "extended CONNECT where it is not allowed", None, Ask(fields=_websocket_fields("/1/ws")),
        log=None),
    _h2("CONNECT", "over HTTP/2, terminated to TCP", 200,
        Open(fields=((":method", "CONNECT"), (":authority", "target.test:443"))), *_TALK,
        listener_name="tunnel2", accept=(ECHO,), shows="b'ping'"),
    _h2("CONNECT", "over HTTP/2, the upstream ends", 200,
        Open(fields=((":method", "CONNECT"), (":authority", "target.test:443"))), AwaitHead(), AwaitEnd(),
        listener_name="tunnel2", accept=(b"bye", CLOSE), shows="b'bye'"),
    _h2("CONNECT", "over HTTP/2, not enabled", 404,
        Ask(fields=((":method", "CONNECT"), (":authority", "target.test:443")))),
)

_GREETING = f.PREFACE + f.settings()

_CONNECTIONS = (
    _h2("codec AUTO", "HTTP/2 by its preface", 200, Ask("/1"), listener_name="auto"),
    _h1("codec AUTO", "HTTP/1", 200, request("/1"), listener_name="auto"),
    _h2("http_inspector", "HTTP/2 by its preface", 200, Ask("/1"), listener_name="inspected"),
    _h1("http_inspector", "HTTP/1 beside it", 200, request("/1"), listener_name="inspected"),
    _h1("codec HTTP2", "an HTTP/1 client", None, request("/1"), End(), listener_name="h2", log=None),
    _h1("codec HTTP1", "an HTTP/2 client", 400, _GREETING, Receive()),
    _h1("h2c upgrade", "is ignored", 200, request("/1", headers=[
        ("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")]),
        lacks="h2c"),
    _h2("use_downstream_protocol", "HTTP/2 stays", 200, Ask("/same"), shows="GET /same HTTP/2"),
    _h2("settings", "sent as configured", None, ShowSettings(), listener_name="settings", log=None, shows="(3, 3)"),
    _h2("settings", "the default ones", None, ShowSettings(), log=None),
    _h2("max_requests_per_connection", "goes away after the second", 200, Ask("/1/1"), Ask("/1/2"),
        listener_name="two_requests", log=None),
    _h2("idle_timeout", "goes away", 200, Ask("/1"), Sleep(0.8), listener_name="idle", log=None),
    _h2("stream_idle_timeout", "request stalls", 408, Open("/2", method="POST"), Say(b"part"), AwaitEnd(),
        listener_name="stalled", upstream=(BODY, *answer())),
    _h2("stream_idle_timeout", "response stalls", 200, Ask("/2"), listener_name="stalled",
        upstream=(BODY, Head(), Data(b"part"), 1.0, Data(b"", True))),
    _h2("PRIORITY", "is ignored", 200, Frames(f.frame(f.PRIORITY, 0, 1, b"\0\0\0\0\x10")), Ask("/1")),
    _h2("unknown frame", "is ignored", 200, Frames(f.frame(0xFA, 0xFF, 0, b"whatever")), Ask("/1")),
    _h2("client window", "response larger than the window waits", 200,
        Open("/2", end=True), AwaitBytes(65535), Frames(f.window_update(100000)), Frames(f.window_update(100000, 1)),
        AwaitEnd(), auto_window=False, upstream=(BODY, Head(), Data(b"w" * 100000, True))),
    _h2("client window", "of the settings", 200, Open("/2", end=True), AwaitBytes(10),
        Frames(f.window_update(90, 1)), AwaitEnd(), settings=((f.INITIAL_WINDOW_SIZE, 10),), auto_window=False,
        upstream=(BODY, Head(), Data(b"w" * 100, True))),
    _h2("upstream window", "a body larger than it waits", 200, Ask("/2", method="POST", body=b"b" * 70000),
        upstream=(BODY, Head(), Data(b"a" * 70000, True))),
    _h2("upstream answers oddly", "upper-case name", 502, Ask("/2"),
        upstream=(BODY, Head(200, (("X-Up", "1"),), True))),
    _h2("upstream answers oddly", "connection header", 502, Ask("/2"),
        upstream=(BODY, Head(200, (("connection", "close"),), True))),
    _h2("upstream answers oddly", "no :status", 502, Ask("/2"),
        upstream=(BODY, f.headers(STREAM_NUMBER, f.literal(("x-a", "1")), True))),
    _h2("upstream answers oddly", "body longer than its length", 200, Ask("/2"),
        upstream=(BODY, Head(200, (("content-length", "2"),)), Data(b"hello", True))),
    _h2("upstream answers oddly", "DATA before HEADERS", 502, Ask("/2"),
        upstream=(BODY, Data(b"hello", True))),
)

_STATS = (
    "http.counted.downstream_cx_http2_total", "http.counted.downstream_rq_http2_total",
    "http.counted.downstream_rq_total", "http.counted.downstream_rq_2xx", "http.counted.downstream_rq_4xx",
    "http.counted.downstream_rq_5xx", "http.counted.downstream_rq_rx_reset", "http.counted.downstream_rq_completed",
    "http.counted.downstream_cx_protocol_error",
    "cluster.counted.upstream_cx_http2_total", "cluster.counted.upstream_cx_total", "cluster.counted.upstream_rq_total",
    "cluster.counted.upstream_rq_rx_reset", "cluster.counted.upstream_rq_tx_reset",
    "cluster.counted.http2.rx_reset", "cluster.counted.http2.tx_reset", "cluster.counted.http2.trailers",
    "http2.header_overflow", "http2.header_list_size_too_large", "http2.dropped_headers_with_underscores",
    "http2.requests_rejected_with_underscores_in_headers", "http2.trailers",
    "cluster.counted.http2.rx_messaging_error", "cluster.counted.http2.header_overflow",
)


def counters(*names):
    """A view of `/stats` that shows these."""

    def view(answer):
        values = dict(line.split(": ", 1) for line in answer.body.decode().splitlines() if ": " in line)
        return "\n".join(f"{name} {values.get(name, 'absent')}" for name in names)

    return view


_STATISTICS = (
    _h2("statistics over HTTP/2", "after known traffic", 404, Ask("/counted"),
        Ask("/counted", method="POST", body=b"x"),
        Open("/counted", method="POST"), Say(b"part"), Sleep(0.2), Cancel(), Ask("/direct"), Ask("/nowhere"),
        Sleep(0.2), listener_name="counted", log=None, admin="/stats", admin_view=counters(*_STATS),
        shows="upstream_cx_http2_total 1"),
)

GROUP = Group(
    "http2",
    tuple(_MANAGERS),
    ("a", "m"),
    _build,
    dead_ports=("dead",),
    made_by={"m": H2Upstream},
    cases=(*_BRIDGES, *_RESETS, *_RULES, *_TUNNEL_CASES, *_CONNECTIONS, *_STATISTICS),
)
