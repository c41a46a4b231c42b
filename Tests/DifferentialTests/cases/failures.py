# SPDX-License-Identifier: Apache-2.0
"""Time running out and upstreams that fail: statuses, bodies, and what the access log says."""

from harness import BODY_THEN, AwaitUpstream, Case, End, Group, Kept, Pause, Receive, Send

from PythonKit.bootstrap import cluster, file_access_log, hcm, listener
from PythonKit.client import request
from PythonKit.upstream import BODY, CLOSE, READ_TO_END, RESET, response

_ROUTES = """
- {match: {prefix: /timeout}, route: {cluster: a, timeout: 0.3s}}
- {match: {prefix: /idle}, route: {cluster: a, idle_timeout: 0.3s, timeout: 0s}}
- {match: {prefix: /dead}, route: {cluster: dead}}
- {match: {prefix: /empty}, route: {cluster: empty}}
- {match: {prefix: /nowhere}, route: {cluster: nowhere}}
- {match: {prefix: /full}, route: {cluster: full}}
- {match: {prefix: /direct}, direct_response: {status: 418, body: {inline_string: teapot}}}
- {match: {prefix: /redirect}, redirect: {path_redirect: /x}}
- {match: {prefix: /a}, route: {cluster: a}, name: route-a}
"""

_DETAILS = "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %PROTOCOL% %BYTES_RECEIVED% %BYTES_SENT%\n"
_OPERATORS = (
    "%REQ(:METHOD)%|%REQ(:AUTHORITY)%|%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%|%RESP(X-UPSTREAM)%|%UPSTREAM_HOST%|%UPSTREAM_CLUSTER%|%ROUTE_NAME%|"
    "%DOWNSTREAM_LOCAL_ADDRESS%|%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%|%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%|%REQUESTED_SERVER_NAME%|%START_TIME%|"
    "%UPSTREAM_TRANSPORT_FAILURE_REASON%|%CONNECTION_TERMINATION_DETAILS%|%REQ(X-LONG):4%|%REQ(X-NONE)%|%FILTER_CHAIN_NAME%|%%|%RESPONSE_FLAGS_LONG%\n"
)

_MANAGERS = {
    "main": {},
    "headers_timeout": {"request_headers_timeout": "0.3s"},
    "request_timeout": {"request_timeout": "0.3s"},
    "stream_idle": {"stream_idle_timeout": "0.3s"},
    "idle": {"common_http_protocol_options": {"idle_timeout": "0.3s"}, "drain_timeout": "0.1s"},
    "max_duration": {"common_http_protocol_options": {"max_stream_duration": "0.3s"}},
    "connection_duration": {
        "common_http_protocol_options": {"max_connection_duration": "0.3s"},
        "drain_timeout": "0.1s",
    },
}


def _build(ports):
    def manager(name, options, **log):
        made = hcm(
            _ROUTES,
            stat_prefix=name,
            options={
                "delayed_close_timeout": "0.2s",
                **options,
                "access_log": [file_access_log(ports.log(name), **log)],
            },
        )
        made["typed_config"]["route_config"]["validate_clusters"] = False
        return listener(name, ports[name], made)

    listeners = [manager(name, options, text_format=_DETAILS) for name, options in _MANAGERS.items()]
    listeners += [manager("default_log", {}), manager("operators", {}, text_format=_OPERATORS)]
    return listeners, [
        cluster("a", ports["a"]),
        cluster("dead", ports["dead"]),
        cluster("empty"),
        cluster("full", ports["a"], circuit_breakers={"thresholds": [{"max_requests": 0, "max_pending_requests": 0}]}),
    ]


def _logged(feature, outcome, status, data, shows="", **more):
    more.setdefault("log", more.get("listener", "main"))
    return Case(feature, outcome, status, data, shows=shows, **more)


def _upstream(outcome, status, *script, shows="", target="/a", **more):
    return _logged("upstream failure", outcome, status, request(target), shows, upstream=script, **more)


GROUP = Group(
    "failures",
    (*_MANAGERS, "default_log", "operators"),
    ("a",),
    _build,
    dead_ports=("dead",),
    cases=(
        _upstream(
            "reset before the response",
            503,
            BODY,
            RESET,
            shows="reset before headers. reset reason: connection termination",
        ),
        _upstream("closed before the response", 503, BODY, CLOSE, shows="UC upstream_reset_before_response_started"),
        _upstream("closed inside the response head", 502, BODY, b"HTTP/1.1 200 OK\r\ncont", CLOSE),
        _upstream(
            "closed inside a body with a length",
            200,
            BODY,
            b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this",
            CLOSE,
            shows="CUT",
        ),
        _upstream(
            "reset inside a chunked body",
            200,
            BODY,
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
            0.1,
            RESET,
            shows="CUT",
        ),
        _upstream(
            "closed inside a chunked body",
            200,
            BODY,
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
            CLOSE,
            shows="CUT",
        ),
        _upstream("garbage", 502, BODY, b"this is not HTTP\r\n\r\n", shows="UPE"),
        _upstream(
            "bad chunk size", 200, BODY, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", shows="CUT"
        ),
        _upstream("answer before the request is complete", 200, response(200, b"early"), shows="b'early'"),
        _logged("upstream failure", "connect refused", 503, request("/dead"), "UF"),
        _logged("upstream failure", "no healthy endpoint", 503, request("/empty"), "UH no_healthy_upstream"),
        _logged("upstream failure", "cluster unknown", 503, request("/nowhere"), "NC cluster_not_found"),
        _logged("upstream failure", "no route", 404, request("/none"), "NR route_not_found"),
        _logged("upstream failure", "circuit breaker open", 503, request("/full"), "UO"),
        _logged(
            "route timeout",
            "before the response",
            504,
            request("/timeout"),
            "UT response_timeout",
            upstream=BODY_THEN(1.0),
        ),
        _logged(
            "route timeout",
            "inside the response body",
            200,
            request("/timeout"),
            "CUT",
            upstream=BODY_THEN(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart", 1.0),
        ),
        _logged(
            "route idle_timeout",
            "slow upstream",
            504,
            request("/idle"),
            "SI stream_idle_timeout",
            upstream=BODY_THEN(1.0),
        ),
        _logged(
            "request_headers_timeout",
            "head never ends",
            408,
            b"",
            "408",
            listener="headers_timeout",
            steps=(Send(b"GET / HTTP/1.1\r\nHost: x\r\n"), Receive()),
        ),
        _logged(
            "request_timeout",
            "body never ends",
            408,
            b"",
            "request_overall_timeout",
            listener="request_timeout",
            steps=(Send(request("/a", method="POST", headers=[("content-length", "9")]) + b"1"), Receive()),
            upstream=(READ_TO_END,),
        ),
        _logged(
            "stream_idle_timeout",
            "client stalls in the body",
            408,
            b"",
            "SI stream_idle_timeout",
            listener="stream_idle",
            steps=(Send(request("/a", method="POST", headers=[("content-length", "9")]) + b"1"), Receive()),
            upstream=(READ_TO_END,),
        ),
        _logged(
            "stream_idle_timeout",
            "upstream stalls in the response",
            200,
            request("/a"),
            "CUT",
            listener="stream_idle",
            upstream=BODY_THEN(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart", 1.0),
        ),
        _logged(
            "max_stream_duration",
            "slow upstream",
            504,
            request("/a"),
            "max_duration_timeout",
            listener="max_duration",
            upstream=BODY_THEN(1.0),
        ),
        Case(
            "idle_timeout",
            "idle connection is closed",
            200,
            listener="idle",
            steps=(Send(request("/a")), Receive(), End()),
        ),
        Case(
            "max_connection_duration",
            "idle connection is closed",
            200,
            listener="connection_duration",
            steps=(Send(request("/a")), Receive(), Pause(0.6), End()),
        ),
        Case(
            "max_connection_duration",
            "answer in progress says close",
            200,
            listener="connection_duration",
            shows="closed, announced",
            steps=(Send(request("/a")), Receive(), Kept()),
            upstream=BODY_THEN(0.35, response(200, b"ok")),
        ),
        _logged(
            "access log default format",
            "upstream answer",
            200,
            request("/a?q=1", headers=[("user-agent", "agent")]),
            '"GET /a?q=1 HTTP/1.1" 200 -',
            listener="default_log",
        ),
        _logged(
            "access log default format", "direct response", 418, request("/direct"), " 418 - ", listener="default_log"
        ),
        _logged("access log default format", "no route", 404, request("/none"), " 404 NR ", listener="default_log"),
        _logged(
            "access log default format",
            "bad request",
            400,
            b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
            " 400 DPE ",
            listener="default_log",
        ),
        _logged(
            "access log default format",
            "upstream connect failure",
            503,
            request("/dead"),
            " 503 UF ",
            listener="default_log",
        ),
        _logged(
            "access log default format", "HEAD", 200, request("/a", method="HEAD"), '"HEAD /a', listener="default_log"
        ),
        _logged(
            "access log default format",
            "x-forwarded-for",
            200,
            request("/a", headers=[("x-forwarded-for", "1.2.3.4")]),
            '"1.2.3.4"',
            listener="default_log",
        ),
        _logged(
            "access log operators",
            "upstream answer",
            200,
            request("/a", headers=[("x-long", "abcdefgh")]),
            "route-a",
            listener="operators",
        ),
        _logged(
            "access log operators", "failure", 503, request("/dead"), "UpstreamConnectionFailure", listener="operators"
        ),
        _logged(
            "access log details",
            "upstream answer",
            200,
            request("/a", method="POST", body=b"12345"),
            "via_upstream HTTP/1.1 5 1",
        ),
        _logged("access log details", "direct response", 418, request("/direct"), "direct_response"),
        _logged("access log details", "redirect", 301, request("/redirect"), "direct_response"),
        _logged("access log details", "missing host", 400, b"GET / HTTP/1.1\r\n\r\n", "missing_host_header"),
        _logged(
            "access log details",
            "client leaves before the answer",
            None,
            b"",
            "DC",
            upstream=BODY_THEN(0.5),
            steps=(Send(request("/a")), AwaitUpstream()),
        ),
    ),
)
