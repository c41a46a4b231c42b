# SPDX-License-Identifier: Apache-2.0
"""gRPC as a proxy sees it: local replies, deadlines, trailers-only answers, retries by status, cancellation."""

from cases.http2 import counters
from exchanges import Ask, AwaitBytes, AwaitEnd, AwaitHead, AwaitRequest, Cancel, Open, OverH2, Say, Sleep
from harness import Case, Group, Kept, Receive, Send

from PythonKit import h2frames as f
from PythonKit.bootstrap import cluster, file_access_log, hcm, http2, listener
from PythonKit.client import request
from PythonKit.h2upstream import UNTIL_RESET, Data, H2Upstream, Head, Reset, Trailers
from PythonKit.upstream import BODY, CLOSE, ECHO

_DIRECT = (200, 400, 401, 403, 404, 418, 429, 500, 501, 502, 503, 504)
_ROUTES = [
    *(
        {"match": {"prefix": f"/direct/{code}"},
         "direct_response": {"status": code, "body": {"inline_string": "said: 100% \u00e9\n"}}}
        for code in _DIRECT
    ),
    {"match": {"prefix": "/redirect"}, "redirect": {"path_redirect": "/x"}},
    {"match": {"prefix": "/only-grpc", "grpc": {}}, "route": {"cluster": "m"}},
    {"match": {"prefix": "/only-grpc"}, "direct_response": {"status": 200, "body": {"inline_string": "not gRPC"}}},
    {"match": {"prefix": "/slow"}, "route": {"cluster": "m", "timeout": "0.3s"}},
    {"match": {"prefix": "/duration"},
     "route": {"cluster": "m", "timeout": "0s", "max_stream_duration": {"max_stream_duration": "0.3s"}}},
    {"match": {"prefix": "/deadline"},
     "route": {"cluster": "m", "timeout": "0s", "max_stream_duration": {"grpc_timeout_header_max": "0s"}}},
    {"match": {"prefix": "/capped"},
     "route": {"cluster": "m", "timeout": "0s", "max_stream_duration": {"grpc_timeout_header_max": "0.3s"}}},
    {"match": {"prefix": "/offset"},
     "route": {"cluster": "m", "timeout": "0s",
               "max_stream_duration": {"grpc_timeout_header_max": "0s", "grpc_timeout_header_offset": "0.1s"}}},
    {"match": {"prefix": "/max"}, "route": {"cluster": "m", "max_grpc_timeout": "2s"}},
    {"match": {"prefix": "/unlimited"}, "route": {"cluster": "m", "max_grpc_timeout": "0s"}},
    {"match": {"prefix": "/older"},
     "route": {"cluster": "m", "max_grpc_timeout": "2s", "grpc_timeout_offset": "0.1s"}},
    {"match": {"prefix": "/both"},
     "route": {"cluster": "m", "timeout": "0.2s", "max_grpc_timeout": "0.1s", "grpc_timeout_offset": "0.05s",
               "max_stream_duration": {"max_stream_duration": "0.5s"}}},
    {"match": {"prefix": "/empty"}, "route": {"cluster": "m", "timeout": "0.2s", "max_stream_duration": {}}},
    {"match": {"prefix": "/lifted"},
     "route": {"cluster": "m", "max_stream_duration": {"max_stream_duration": "0s"}}},
    {"match": {"prefix": "/tilde"},
     "direct_response": {"status": 403, "body": {"inline_string": "~{|}\t\"\u007f <&>+"}}},
    {"match": {"prefix": "/created"}, "direct_response": {"status": 201}},
    {"match": {"prefix": "/headers"}, "direct_response": {"status": 503, "body": {"inline_string": "down"}},
     "response_headers_to_add": [
         {"header": {"key": "x-status", "value": "%RESPONSE_CODE% %GRPC_STATUS(NUMBER)%"}},
         *({"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
           for key, value in (("grpc-message", "added"), ("grpc-status", "99"))),
         {"header": {"key": "content-type", "value": "text/x"}}]},
    {"match": {"prefix": "/told"}, "route": {"cluster": "m"},
     "response_headers_to_add": [
         {"header": {"key": "x-status", "value": "%RESPONSE_CODE% %GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER%"}}]},
    {"match": {"prefix": "/none"}, "route": {"cluster": "empty"}},
    {"match": {"prefix": "/dead"}, "route": {"cluster": "dead"}},
    {"match": {"prefix": "/unknown"}, "route": {"cluster_header": "x-cluster"}},
    {"match": {"prefix": "/m"}, "route": {"cluster": "m"}},
]
_LOG = (
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% grpc=%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% "
    "%GRPC_STATUS_NUMBER% trailer=%TRAILER(GRPC-STATUS)% %TRAILER(GRPC-MESSAGE):20% %BYTES_RECEIVED% %BYTES_SENT%\n"
)


def _build(ports):
    listeners = []
    for name, codec in (("main", "HTTP2"), ("limited", "HTTP2"), ("h1", "HTTP1")):
        log = {"codec_type": codec, "access_log": [file_access_log(ports.log(name), _LOG)]}
        if name == "limited":
            log["common_http_protocol_options"] = {"max_stream_duration": "0.4s"}
        listeners.append(listener(name, ports[name], hcm(_ROUTES, stat_prefix=name, options=log)))
    return listeners, [
        cluster("m", ports["m"], **http2()),
        cluster("dead", ports["dead"], **http2()),
        cluster("empty", **http2()),
    ]


_GRPC = (("content-type", "application/grpc"), ("te", "trailers"))
_MESSAGE = b"\0\0\0\0\x05hello"
_OK = (("grpc-status", "0"),)


def _ask(path, *headers, content_type="application/grpc", body=_MESSAGE):
    fields = (("content-type", content_type), ("te", "trailers"), *headers)
    return Ask(path, method="POST", headers=fields, body=body)


def _grpc(feature, outcome, status, *steps, at="main", **options):
    return Case(feature, outcome, status, listener=at, log=at, exchange=OverH2(steps), **options)


def _deadline(outcome, path, value, *, status=200, upstream=None, **options):
    return _grpc("grpc-timeout", outcome, status, _ask(path, ("grpc-timeout", value)), upstream=upstream, **options)


_NEVER = (BODY, 1.2)
_UNARY = (BODY, Head(200, (("content-type", "application/grpc"),)), Data(_MESSAGE), Trailers(_OK))


def _failing(code, message="no"):
    """A trailers-only answer."""
    fields = (("content-type", "application/grpc"), ("grpc-status", str(code)), ("grpc-message", message))
    return (BODY, Head(200, fields, True))


_MAPPED = {200: 2, 400: 13, 401: 16, 403: 7, 404: 12, 418: 2, 429: 14, 500: 2, 501: 2, 502: 14, 503: 14, 504: 14}

GROUP = Group(
    "grpc",
    ("main", "limited", "h1"),
    ("m",),
    _build,
    dead_ports=("dead",),
    made_by={"m": H2Upstream},
    cases=(
        *(
            _grpc("gRPC local reply", f"direct {code}", 200, _ask(f"/direct/{code}"),
                  shows=f"header: grpc-status: {_MAPPED[code]}")
            for code in _DIRECT
        ),
        _grpc("gRPC local reply", "content type with a suffix", 200,
              _ask("/direct/403", content_type="application/grpc+proto"), shows="grpc-status: 7"),
        _grpc("gRPC local reply", "gRPC-Web gets plain HTTP", 403,
              _ask("/direct/403", content_type="application/grpc-web"), lacks="grpc-status: 7"),
        _grpc("gRPC local reply", "another content type that starts alike", 403,
              _ask("/direct/403", content_type="application/grpcx")),
        _grpc("gRPC local reply", "without te", 200,
              Ask("/direct/403", method="POST", headers=(("content-type", "application/grpc"),), body=_MESSAGE)),
        _grpc("gRPC local reply", "no route", 200, _ask("/nowhere"), shows="grpc-status: 12"),
        _grpc("gRPC local reply", "redirect", 200, _ask("/redirect")),
        _grpc("gRPC local reply", "no endpoint", 200, _ask("/none"), shows="grpc-status: 14"),
        _grpc("gRPC local reply", "connection refused", 200, _ask("/dead"), shows="grpc-status: 14"),
        _grpc("gRPC local reply", "unknown cluster", 200, _ask("/unknown", ("x-cluster", "nobody")),
            shows="grpc-status: 14"),
        _grpc("gRPC local reply", "upstream reset", 200, _ask("/m"), upstream=(BODY, Reset(f.INTERNAL_ERROR)),
              shows="grpc-status: 14"),
        _grpc("gRPC local reply", "upstream connection ends", 200, _ask("/m"), upstream=(BODY, CLOSE)),
        _grpc("gRPC local reply", "route timeout", 200, _ask("/slow"), upstream=(BODY, UNTIL_RESET),
              shows="grpc-status: 14"),
        _grpc("gRPC local reply", "max stream duration", 200, _ask("/duration"), upstream=_NEVER),
        Case("gRPC local reply", "over HTTP/1", 200,
             request("/direct/403", method="POST", headers=_GRPC, body=_MESSAGE), listener="h1", log="h1",
             shows="grpc-status: 7"),
        _grpc("gRPC local reply", "content type with parameters", 403,
              _ask("/direct/403", content_type="application/grpc;charset=utf-8")),
        _grpc("gRPC local reply", "content type in other case", 403,
              _ask("/direct/403", content_type="Application/gRPC")),
        _grpc("gRPC local reply", "text of special characters", 200, _ask("/tilde"), shows="grpc-message: %7E{"),
        _grpc("gRPC local reply", "created keeps its location", 200, _ask("/created"), shows="header: location"),
        _grpc("gRPC local reply", "HEAD has no message", 200,
              Ask("/direct/403", method="HEAD", headers=_GRPC), lacks="grpc-message"),
        _grpc("gRPC local reply", "header operations", 200, _ask("/headers"), shows="grpc-message: down"),
        _grpc("gRPC local reply", "header operations without gRPC", 503, _ask("/headers", content_type="text/plain"),
              shows="x-status: "),
        _grpc("gRPC local reply", "is counted upstream by its HTTP status", 200, _ask("/dead"), admin="/stats",
              admin_view=counters("cluster.dead.upstream_rq_503", "cluster.dead.upstream_rq_5xx",
                                  "http.main.downstream_rq_5xx"),
              shows="cluster.dead.upstream_rq_503"),
        _grpc("gRPC local reply", "by the manager's stream duration", 200, _ask("/m"), at="limited", upstream=_NEVER,
              shows="grpc-status: 4"),
        _grpc("gRPC route", "matches gRPC", 200, _ask("/only-grpc"), upstream=_UNARY, shows="upstream: m"),
        _grpc("gRPC route", "anything else goes on", 200, _ask("/only-grpc", content_type="text/plain")),
        _grpc("gRPC", "unary", 200, _ask("/m/Unary"), upstream=_UNARY, shows="trailer: grpc-status: 0"),
        _grpc("gRPC", "trailers-only", 200, _ask("/m/Fails"), upstream=_failing(5, "not%20there")),
        _grpc("gRPC", "trailers-only, its status in a header added", 200, _ask("/told"), upstream=_failing(5, "no")),
        _grpc("gRPC", "status in a header added before the trailers", 200, _ask("/told"), upstream=_UNARY),
        _grpc("gRPC", "status in the trailers", 200, _ask("/m/Fails"), upstream=(
            BODY, Head(200, (("content-type", "application/grpc"),)), Data(_MESSAGE),
            Trailers((("grpc-status", "8"), ("grpc-message", "enough"))))),
        _grpc("gRPC", "unknown status number", 200, _ask("/m/Fails"), upstream=_failing(99)),
        _grpc("gRPC", "server stream", 200, _ask("/m/Stream"), upstream=(
            BODY, Head(200, (("content-type", "application/grpc"),)), *(Data(_MESSAGE),) * 5, Trailers(_OK))),
        _grpc("gRPC", "both ways", 200, Open("/m/Chat", method="POST", headers=_GRPC), AwaitHead(), Say(_MESSAGE),
              AwaitBytes(10), Say(_MESSAGE), AwaitBytes(20), Say(b"", end=True), AwaitEnd(), upstream=(Head(), ECHO)),
        _grpc("gRPC", "HTTP error without a status", 503, _ask("/m"), upstream=(BODY, Head(503, (), True))),
        _grpc("gRPC", "ends without trailers", 200, _ask("/m"), upstream=(
            BODY, Head(200, (("content-type", "application/grpc"),)), Data(_MESSAGE, True))),
        _grpc("gRPC", "reset after the head", 200, _ask("/m"), upstream=(
            BODY, Head(200, (("content-type", "application/grpc"),)), Data(_MESSAGE), 0.1, Reset(f.CANCEL)),
            shows="stream: reset"),
        _grpc("gRPC", "cancelled by the client", None, Open("/m/Chat", method="POST", headers=_GRPC), Say(_MESSAGE),
              AwaitRequest(), Cancel(), Sleep(0.1), upstream=(BODY,), shows="upstream stream: reset"),
        Case("gRPC", "from HTTP/1", 200, listener="h1", log="h1", upstream=_UNARY, steps=(
            Send(request("/m/Unary", method="POST", headers=_GRPC, body=_MESSAGE)), Receive(), Kept())),
        _deadline("as the stream's limit", "/deadline", "300m", upstream=_NEVER, shows="grpc-status: 4"),
        _deadline("in seconds, kept", "/deadline", "5S", upstream=_UNARY, shows="grpc-timeout: "),
        _deadline("capped by the route", "/capped", "5S", upstream=_NEVER, shows="grpc-status: 4"),
        _deadline("shorter than the cap", "/capped", "100m", upstream=_NEVER, shows="grpc-status: 4"),
        _deadline("invalid is passed on", "/deadline", "5X", upstream=_UNARY, shows="grpc-timeout: 5X"),
        _deadline("of nine digits is invalid", "/deadline", "123456789S", upstream=_UNARY),
        _deadline("less an offset", "/offset", "400m", upstream=_NEVER, shows="grpc-status: 4"),
        _deadline("max_grpc_timeout caps it", "/max", "5S", upstream=_UNARY),
        _deadline("below max_grpc_timeout", "/max", "1S", upstream=_UNARY),
        _deadline("max_grpc_timeout 0 takes the client's", "/unlimited", "300m", upstream=_NEVER),
        _deadline("without a limit is passed on", "/m", "300m", upstream=_UNARY, shows="grpc-timeout: 300m"),
        _deadline("in microseconds", "/deadline", "900001u", upstream=_UNARY, shows="grpc-timeout: 901m"),
        _deadline("in hours, longer than a timer", "/deadline", "99999999H", upstream=_UNARY),
        _deadline("in minutes, written in seconds", "/deadline", "2000000M", upstream=_UNARY),
        _deadline("with leading zeros", "/deadline", "0000000005S", upstream=_UNARY),
        _deadline("negative", "/deadline", "-5S", upstream=_UNARY, shows="grpc-timeout: -5S"),
        _deadline("absent, with the route's duration", "/duration", "x", upstream=_UNARY, shows="grpc-timeout: 300m"),
        _deadline("less the older offset", "/older", "1S", upstream=_UNARY, shows="grpc-timeout: 900m"),
        _deadline("older offset is longer", "/older", "50m", upstream=_UNARY, shows="grpc-timeout: 50m"),
        _grpc("grpc-timeout", "absent, with max_grpc_timeout", 200, _ask("/max"), upstream=_UNARY,
              shows="grpc-timeout: 2000m"),
        _deadline("newer and older together", "/both", "5S", upstream=_NEVER, shows="max_duration_timeout"),
        _grpc("grpc-timeout", "max_stream_duration without gRPC", 504,
              _ask("/both", ("grpc-timeout", "5S"), content_type="text/plain"), upstream=_NEVER,
              shows="max_duration_timeout"),
        _grpc("grpc-timeout", "bounds a stream that is not gRPC's", 504,
              _ask("/deadline", ("grpc-timeout", "300m"), content_type="text/plain"), upstream=_NEVER,
              shows="max_duration_timeout"),
        _deadline("empty max_stream_duration lifts the timeout", "/empty", "100m", upstream=(BODY, 0.4, *_UNARY[1:]),
                  shows="via_upstream"),
        _grpc("grpc-timeout", "lifted with the manager's duration", 200, _ask("/lifted", ("grpc-timeout", "5S")),
              at="limited", upstream=_UNARY, lacks="grpc-timeout:"),
        _grpc("grpc-timeout", "empty max_stream_duration tells the manager's", 200,
              _ask("/empty", ("grpc-timeout", "5S")), at="limited", upstream=_UNARY, shows="grpc-timeout: 400m"),
        _deadline("0 with max_grpc_timeout", "/unlimited", "0m", upstream=_UNARY),
    ),
)
