# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 on either side and both: every bridge, resets, header rules, tunnels, limits, statistics."""

from cases.http2_bridges import BRIDGES, RESETS, h1, h2
from exchanges import (
    Ask,
    AwaitBytes,
    AwaitEnd,
    AwaitHead,
    Cancel,
    Frames,
    Open,
    Say,
    ShowSettings,
    Sleep,
)
from harness import End, Group, HalfClose, Raw, Receive, Send

from PythonKit import h2frames as f
from PythonKit.bootstrap import cluster, file_access_log, hcm, http2, http_inspector, http_protocol, listener
from PythonKit.client import request
from PythonKit.h2upstream import STREAM_NUMBER, UNTIL_RESET, Data, H2Upstream, Head, answer
from PythonKit.upstream import BODY, CLOSE, ECHO, response

_ROUTES = """
- {match: {prefix: /direct}, direct_response: {status: 200, body: {inline_string: direct}}}
- {match: {prefix: /redirect}, redirect: {path_redirect: /elsewhere}}
- {match: {prefix: /none}, route: {cluster: empty}}
- {match: {prefix: /dead}, route: {cluster: dead}}
- {match: {prefix: /slow}, route: {cluster: m, timeout: 0.3s}}
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
    "%REQ(:PATH)% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_CLUSTER% %UPSTREAM_PROTOCOL%\n"
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
    "keepalive": {
        "codec_type": "HTTP2",
        "http2_protocol_options": {"connection_keepalive": {"interval": "0.2s", "timeout": "0.2s"}},
    },
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


def _fields(feature, outcome, status, *fields, listener_name="h2", **options):
    return h2(feature, outcome, status, Ask(fields=tuple(fields)), listener_name=listener_name, **options)


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

def counters(*names):
    """A view of `/stats` that shows these."""

    def view(answer):
        values = dict(line.split(": ", 1) for line in answer.body.decode().splitlines() if ": " in line)
        return "\n".join(f"{name} {values.get(name, 'absent')}" for name in names)

    return view


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
    h2("refused over HTTP/2", "body longer than its length", None,
        Ask("/2", method="POST", headers=(("content-length", "3"),), body=b"hello"), upstream=(BODY, *answer()),
        log=None, refusal=True),
    _fields("underscores over HTTP/2", "rejected", None, *_GET, ("x_y", "1"), listener_name="underscore_reject"),
    _fields("underscores over HTTP/2", "dropped", 200, *_GET, ("x_y", "1"), listener_name="underscore_drop",
            lacks="x_y"),
    _fields("limits over HTTP/2", "too many headers", None, *_GET, *((f"x-{i}", "1") for i in range(20)),
            listener_name="few_headers"),
    _fields("limits over HTTP/2", "headers too large", None, *_GET, ("x", "v" * 3000), listener_name="small_headers"),
    h2("path over HTTP/2", "normalised", 200, Ask("/x/..//1//y?a=/../"), listener_name="normalize",
        shows="GET /1/y?a=/../"),
    h2("path over HTTP/2", "fragment", 400, Ask("/1#fragment")),
    h2("path over HTTP/2", "fragment, counted", 400, Ask("/1#fragment"), listener_name="normalize", admin="/stats",
       admin_view=counters("http.normalize.downstream_rq_failed_path_normalization"), lacks="absent"),
    h2("path over HTTP/2", "OPTIONS *", 404, Ask("*", method="OPTIONS")),
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
    h2("settings", "extended CONNECT is offered", None, ShowSettings(), listener_name="tunnel2", log=None,
        shows="(8, 1)"),
    h2("WebSocket", "from HTTP/2 to HTTP/1", 200, Open(fields=_websocket_fields("/1/ws")), *_TALK,
        listener_name="tunnel2", upstream=(_SWITCH, ECHO), shows="b'ping'"),
    h2("WebSocket", "from HTTP/2 to HTTP/2", 200, Open(fields=_websocket_fields("/2/ws")), *_TALK,
        listener_name="tunnel2", upstream=(Head(), ECHO), shows="b'ping'"),
    h1("WebSocket", "from HTTP/1 to HTTP/2", 101, _UPGRADE, Receive(), Send(b"ping"), Raw(4), HalfClose(), End(),
        listener_name="tunnel1", upstream=(Head(), ECHO), shows="raw b'ping'"),
    h2("WebSocket", "refused by the HTTP/1 upstream", 403, Open(fields=_websocket_fields("/1/ws")), AwaitEnd(),
        listener_name="tunnel2", upstream=(response(403, b"no"),)),
    h2("WebSocket", "HTTP/1 upstream answers 200", 200, Open(fields=_websocket_fields("/1/ws")), AwaitEnd(),
        listener_name="tunnel2", upstream=(response(200, b"no"),)),
    h1("WebSocket", "refused by the HTTP/2 upstream", 403, _UPGRADE, Receive(), listener_name="tunnel1",
        upstream=(Head(403), Data(b"no", True))),
    h2("WebSocket", "extended CONNECT where it is not allowed", None, Ask(fields=_websocket_fields("/1/ws")),
        log=None),
    h2("CONNECT", "over HTTP/2, terminated to TCP", 200,
        Open(fields=((":method", "CONNECT"), (":authority", "target.test:443"))), *_TALK,
        listener_name="tunnel2", accept=(ECHO,), shows="b'ping'"),
    h2("CONNECT", "over HTTP/2, the upstream ends", 200,
        Open(fields=((":method", "CONNECT"), (":authority", "target.test:443"))), AwaitHead(), AwaitEnd(),
        listener_name="tunnel2", accept=(b"bye", CLOSE), shows="b'bye'"),
    h2("CONNECT", "over HTTP/2, not enabled", 404,
        Ask(fields=((":method", "CONNECT"), (":authority", "target.test:443")))),
)

_GREETING = f.PREFACE + f.settings()

_CONNECTIONS = (
    h2("codec AUTO", "HTTP/2 by its preface", 200, Ask("/1"), listener_name="auto"),
    h1("codec AUTO", "HTTP/1", 200, request("/1"), listener_name="auto"),
    h2("http_inspector", "HTTP/2 by its preface", 200, Ask("/1"), listener_name="inspected"),
    h1("http_inspector", "HTTP/1 beside it", 200, request("/1"), listener_name="inspected"),
    h1("codec HTTP2", "an HTTP/1 client", None, request("/1"), End(), listener_name="h2", log=None),
    h1("codec HTTP1", "an HTTP/2 client", 400, _GREETING, Receive()),
    h1("h2c upgrade", "is ignored", 200, request("/1", headers=[
        ("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")]),
        lacks="h2c"),
    h2("use_downstream_protocol", "HTTP/2 stays", 200, Ask("/same"), shows="GET /same HTTP/2"),
    h2("settings", "sent as configured", None, ShowSettings(), listener_name="settings", log=None, shows="(3, 3)"),
    h2("settings", "the default ones", None, ShowSettings(), log=None),
    h2("max_requests_per_connection", "goes away after the second", 200, Ask("/1/1"), Ask("/1/2"),
        listener_name="two_requests", log=None),
    h2("idle_timeout", "goes away", 200, Ask("/1"), Sleep(0.8), listener_name="idle", log=None),
    h2("stream_idle_timeout", "request stalls", 408, Open("/2", method="POST"), Say(b"part"), AwaitEnd(),
        listener_name="stalled", upstream=(BODY, *answer())),
    h2("stream_idle_timeout", "response stalls", 200, Ask("/2"), listener_name="stalled",
        upstream=(BODY, Head(), Data(b"part"), 1.0, Data(b"", True))),
    h2("connection_keepalive", "answered", 200, Ask("/1"), Sleep(0.9), Ask("/1"), listener_name="keepalive", log=None),
    h2("connection_keepalive", "not answered", 200, Ask("/1"), Sleep(0.9), listener_name="keepalive", log=None,
        auto_answer=False, admin="/stats", admin_view=counters("http2.keepalive_timeout"), shows="connection: closed"),
    h2("PRIORITY", "is ignored", 200, Frames(f.frame(f.PRIORITY, 0, 1, b"\0\0\0\0\x10")), Ask("/1")),
    h2("unknown frame", "is ignored", 200, Frames(f.frame(0xFA, 0xFF, 0, b"whatever")), Ask("/1")),
    h2("client window", "response larger than the window waits", 200,
        Open("/2", end=True), AwaitBytes(65535), Frames(f.window_update(100000)), Frames(f.window_update(100000, 1)),
        AwaitEnd(), auto_window=False, upstream=(BODY, Head(), Data(b"w" * 100000, True))),
    h2("client window", "of the settings", 200, Open("/2", end=True), AwaitBytes(10),
        Frames(f.window_update(90, 1)), AwaitEnd(), settings=((f.INITIAL_WINDOW_SIZE, 10),), auto_window=False,
        upstream=(BODY, Head(), Data(b"w" * 100, True))),
    h2("upstream window", "a body larger than it waits", 200, Ask("/2", method="POST", body=b"b" * 70000),
        upstream=(BODY, Head(), Data(b"a" * 70000, True))),
    h2("upstream answers oddly", "upper-case name", 502, Ask("/2"),
        upstream=(BODY, Head(200, (("X-Up", "1"),), True))),
    h2("upstream answers oddly", "connection header", 502, Ask("/2"),
        upstream=(BODY, Head(200, (("connection", "close"),), True))),
    h2("upstream answers oddly", "no :status", 502, Ask("/2"),
        upstream=(BODY, f.headers(STREAM_NUMBER, f.literal(("x-a", "1")), True))),
    h2("upstream answers oddly", "body longer than its length", 200, Ask("/2"),
        upstream=(BODY, Head(200, (("content-length", "2"),)), Data(b"hello", True), UNTIL_RESET),
        shows="upstream stream: reset, code 1"),
    h2("upstream answers oddly", "DATA before HEADERS", 502, Ask("/2"),
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


_STATISTICS = (
    h2("statistics over HTTP/2", "after known traffic", 404, Ask("/counted"),
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
    cases=(*BRIDGES, *RESETS, *_RULES, *_TUNNEL_CASES, *_CONNECTIONS, *_STATISTICS),
)
