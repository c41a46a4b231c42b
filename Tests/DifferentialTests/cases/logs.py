# SPDX-License-Identifier: Apache-2.0
"""Access logs: operators, JSON, filters, records besides the last, TCP; and how local replies are made over."""

import json

from harness import BODY_THEN, Case, End, Group, HalfClose, Pause, Receive, Send

from PythonKit.bootstrap import cluster, endpoint, file_access_log, hcm, listener, tcp_proxy
from PythonKit.client import request
from PythonKit.upstream import response

_NS = "example.ns"
_ROUTES = [
    {
        "match": {"prefix": "/a"},
        "name": "route-a",
        "route": {"cluster": "named", "prefix_rewrite": "/rewritten"},
        "metadata": {"filter_metadata": {_NS: {"k": "of route", "n": 7, "list": [1, "x", True], "deep": {"er": "yes"}, "nothing": None}}},
    },
    {"match": {"prefix": "/plain"}, "route": {"cluster": "a"}},
    {"match": {"prefix": "/slow"}, "route": {"cluster": "a", "timeout": "0s"}},
    {"match": {"prefix": "/dead"}, "route": {"cluster": "dead"}},
    {"match": {"prefix": "/empty"}, "route": {"cluster": "empty"}},
    {"match": {"prefix": "/nowhere"}, "route": {"cluster": "nowhere"}},
    {"match": {"prefix": "/direct"}, "name": "direct", "direct_response": {"status": 418, "body": {"inline_string": "teapot"}}},
    {"match": {"prefix": "/redirect"}, "redirect": {"path_redirect": "/x"}},
]
_VIRTUAL_HOSTS = [
    {
        "name": "all",
        "domains": ["*"],
        "virtual_clusters": [{"name": "plain-ones", "headers": [{"name": ":path", "string_match": {"prefix": "/plain"}}]}],
        "routes": _ROUTES,
        "metadata": {"filter_metadata": {_NS: {"k": "of host"}}},
    }
]

_SHORT = "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %ACCESS_LOG_TYPE%\n"
_WITHOUT_QUERY = [
    {
        "name": "envoy.formatter.req_without_query",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery"},
    }
]

# Text formats, by the name of their listener.
_TEXTS = {
    "requests": (
        "%REQ(:METHOD)%|%REQ(X-NONE?:PATH)%|%REQ(:PATH):6%|%REQUEST_HEADER(x-long):3%|%REQ(X-EMPTY)%|%REQ(X-NONE)%|"
        "%QUERY_PARAM(x)%|%QUERY_PARAM(none)%|%QUERY_PARAM(y):1%|%PATH%|%PATH(NQ)%|%PATH(WQ:ORIG)%|%PATH(NQ:PATH)%|%PATH:5%|%PROTOCOL%|%%\n"
    ),
    "responses": (
        "%RESP(X-UPSTREAM)%|%RESPONSE_HEADER(x-none?x-upstream)%|%TRAILER(x-t)%|%RESPONSE_TRAILER(none)%|%RESPONSE_CODE%|"
        "%RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%|%GRPC_STATUS%|%GRPC_STATUS(NUMBER)%|%GRPC_STATUS_NUMBER%|%LOCAL_REPLY_BODY%|%ROUTE_NAME%\n"
    ),
    "sizes": (
        "%BYTES_RECEIVED% %BYTES_SENT% %REQUEST_HEADERS_BYTES% %RESPONSE_TRAILERS_BYTES% "
        "%DOWNSTREAM_WIRE_BYTES_RECEIVED% %UPSTREAM_WIRE_BYTES_RECEIVED%\n"
    ),
    "upstreams": (
        "%UPSTREAM_HOST% %UPSTREAM_HOST_NAME% %UPSTREAM_HOST_NAME_WITHOUT_PORT% %UPSTREAM_CLUSTER% %UPSTREAM_CLUSTER_RAW% "
        "%UPSTREAM_REMOTE_ADDRESS% %UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %UPSTREAM_REMOTE_PORT% %UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% "
        "%UPSTREAM_PROTOCOL% %UPSTREAM_REQUEST_ATTEMPT_COUNT% %UPSTREAM_TRANSPORT_FAILURE_REASON% %UPSTREAM_TLS_VERSION% "
        "%UPSTREAM_HOSTS_ATTEMPTED% %UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT% %UPSTREAM_HOST_NAMES_ATTEMPTED% "
        "%UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT%\n"
    ),
    "addresses": (
        "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_PORT% %DOWNSTREAM_REMOTE_ADDRESS% "
        "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_PORT% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS% "
        "%DOWNSTREAM_DIRECT_LOCAL_PORT% %REQUESTED_SERVER_NAME% %REQUESTED_SERVER_NAME(HOST_FIRST)% %REQUESTED_SERVER_NAME(SNI_FIRST)% "
        "%FILTER_CHAIN_NAME% %LISTENER_NAME% %VIRTUAL_CLUSTER_NAME% %DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_PEER_SUBJECT% %TRACE_ID%\n"
    ),
    "metadata": (
        f"%METADATA(ROUTE:{_NS})% %METADATA(ROUTE:{_NS}:k)% %METADATA(ROUTE:{_NS}:list)% %METADATA(ROUTE:{_NS}:deep:er)% "
        f"%METADATA(ROUTE:{_NS}:nothing)% %METADATA(CLUSTER:{_NS}:k)% %CLUSTER_METADATA({_NS}:k)% %METADATA(VIRTUAL_HOST:{_NS}:k)% "
        f"%METADATA(LISTENER:{_NS}:k)% %METADATA(UPSTREAM_HOST:{_NS}:k)% %UPSTREAM_METADATA({_NS}:k)% %METADATA(ROUTE:{_NS}:list):4% "
        f"%METADATA(ROUTE:none)% %DYNAMIC_METADATA({_NS}:k)% %FILTER_STATE(x)%\n"
    ),
    "no_line_feed": "%RESPONSE_CODE% ",
}

_JSON = {
    "z": "%PROTOCOL%",
    "a": "literal",
    "n": 1,
    "flag": True,
    "nothing": None,
    "code": "%RESPONSE_CODE%",
    "mixed": "%PROTOCOL%/%RESPONSE_CODE% %REQ(NONE)%",
    "missing": "%REQ(NONE)%",
    "header": "%REQ(X)%",
    "short": "%REQ(X):2%",
    "percent": "100%%",
    "list": ["%BYTES_SENT%", "x", None, False, {"k": "%REQ(NONE)%"}],
    "nested": {"path": "%REQ(:PATH)%", "deeper": {"flags": "%RESPONSE_FLAGS%", "none": "%REQ(NONE)%"}},
    "metadata": f"%METADATA(ROUTE:{_NS})%",
    "metadata number": f"%METADATA(ROUTE:{_NS}:n)%",
    "text of metadata": f"<%METADATA(ROUTE:{_NS}:list)%>",
    "port": "%UPSTREAM_REMOTE_PORT%",
    "route": "%ROUTE_NAME%",
}

# Operators whose values differ from run to run: what is compared is whether there is one, and of which type.
_TIMES = {
    name: f"%{name}%"
    for name in (
        "DURATION REQUEST_DURATION REQUEST_TX_DURATION RESPONSE_DURATION RESPONSE_TX_DURATION ROUNDTRIP_DURATION "
        "DOWNSTREAM_HANDSHAKE_DURATION UPSTREAM_CONNECTION_POOL_READY_DURATION START_TIME START_TIME_LOCAL EMIT_TIME EMIT_TIME_LOCAL START_TIME(%s) "
        "START_TIME(%Y-%m-%d) START_TIME(%3f) START_TIME(%E3S) "
        "COMMON_DURATION(DS_RX_BEG:DS_TX_END:us) COMMON_DURATION(DS_RX_BEG:DS_RX_END) COMMON_DURATION(US_TX_BEG:US_RX_BEG:ns) "
        "COMMON_DURATION(US_RX_BEG:US_RX_END) COMMON_DURATION(DS_RX_BEG:DS_TX_BEG) COMMON_DURATION(no:such) COMMON_DURATION(US_CX_BEG:US_CX_END) "
        "CONNECTION_ID UPSTREAM_CONNECTION_ID STREAM_ID UNIQUE_ID HOSTNAME TRACE_ID DOWNSTREAM_WIRE_BYTES_SENT UPSTREAM_WIRE_BYTES_SENT"
    ).split()
}

_FILTERS = {
    "status_ge": {"status_code_filter": {"comparison": {"op": "GE", "value": {"default_value": 400, "runtime_key": "x"}}}},
    "status_eq": {"status_code_filter": {"comparison": {"op": "EQ", "value": {"default_value": 200, "runtime_key": "x"}}}},
    "status_le": {"status_code_filter": {"comparison": {"op": "LE", "value": {"default_value": 404, "runtime_key": "x"}}}},
    "duration": {"duration_filter": {"comparison": {"op": "GE", "value": {"default_value": 250, "runtime_key": "x"}}}},
    "not_health_check": {"not_health_check_filter": {}},
    "traceable": {"traceable_filter": {}},
    "share_none": {"runtime_filter": {"runtime_key": "x", "percent_sampled": {"numerator": 0}}},
    "share_all": {"runtime_filter": {"runtime_key": "x", "percent_sampled": {"numerator": 100}}},
    "share_half": {"runtime_filter": {"runtime_key": "x", "percent_sampled": {"numerator": 50}}},
    "header": {"header_filter": {"header": {"name": "x-log", "string_match": {"prefix": "yes"}}}},
    "header_regex": {"header_filter": {"header": {"name": "x-log", "string_match": {"safe_regex": {"regex": "y.s"}}, "invert_match": True}}},
    "flags": {"response_flag_filter": {"flags": ["UF", "NR"]}},
    "any_flag": {"response_flag_filter": {}},
    "grpc": {"grpc_status_filter": {"statuses": ["UNAVAILABLE", "UNIMPLEMENTED"]}},
    "not_grpc": {"grpc_status_filter": {"statuses": ["UNKNOWN"], "exclude": True}},
    "both": {
        "and_filter": {
            "filters": [
                {"status_code_filter": {"comparison": {"op": "GE", "value": {"default_value": 400, "runtime_key": "x"}}}},
                {"response_flag_filter": {"flags": ["NR"]}},
            ]
        }
    },
    "either": {
        "or_filter": {
            "filters": [
                {"response_flag_filter": {"flags": ["NR"]}},
                {"header_filter": {"header": {"name": "x-log", "present_match": True}}},
            ]
        }
    },
    "type": {"log_type_filter": {"types": ["DownstreamEnd"]}},
    "metadata_missing": {"metadata_filter": {"match_if_key_not_found": False}},
    "metadata_default": {"metadata_filter": {}},
    "not_type": {"log_type_filter": {"types": ["DownstreamEnd"], "exclude": True}},
}

_LOCAL_REPLIES = {
    "mapped": {
        "mappers": [
            {
                "filter": {"status_code_filter": {"comparison": {"op": "EQ", "value": {"default_value": 404, "runtime_key": "x"}}}},
                "status_code": 499,
                "body": {"inline_string": "not here"},
                "headers_to_add": [
                    {"header": {"key": "x-mapped", "value": "%RESPONSE_CODE%"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
                ],
            },
            {
                "filter": {"response_flag_filter": {"flags": ["UF"]}},
                "body_format_override": {
                    "json_format": {"body": "%LOCAL_REPLY_BODY%", "flags": "%RESPONSE_FLAGS%", "code": "%RESPONSE_CODE%"}
                },
            },
            {
                "filter": {"header_filter": {"header": {"name": "x-plain", "present_match": True}}},
                "body_format_override": {
                    "text_format_source": {"inline_string": "<b>%LOCAL_REPLY_BODY%</b>"},
                    "content_type": "text/html",
                },
            },
        ],
        "body_format": {"text_format_source": {"inline_string": "%RESPONSE_CODE%: %LOCAL_REPLY_BODY%\n"}},
    },
}


def _log(path, **log_format):
    made = file_access_log(path)
    made["typed_config"]["log_format"] = log_format
    return made


def _text(path, text, **more):
    return _log(path, text_format_source={"inline_string": text}, **more)


def _build(ports):
    def manager(name, log, **options):
        made = hcm(virtual_hosts=_VIRTUAL_HOSTS, stat_prefix=name, options={"access_log": [log], **options})
        made["typed_config"]["route_config"]["validate_clusters"] = False
        return listener(name, ports[name], made, metadata={"filter_metadata": {_NS: {"k": "of listener"}}})

    listeners = [manager(name, _text(ports.log(name), text)) for name, text in _TEXTS.items()]
    listeners.append(
        manager(
            "without_query",
            _text(
                ports.log("without_query"),
                "%REQ_WITHOUT_QUERY(X-NONE?:PATH)% %REQ_WITHOUT_QUERY(:path):3% %REQ_WITHOUT_QUERY(none)%\n",
                formatters=_WITHOUT_QUERY,
            ),
        )
    )
    listeners.append(
        manager(
            "omitted_text",
            _text(ports.log("omitted_text"), "[%REQ(NONE)%] [%RESPONSE_FLAGS%] [%ROUTE_NAME%]\n", omit_empty_values=True),
        )
    )
    listeners.append(manager("json", _log(ports.log("json"), json_format=_JSON)))
    listeners.append(manager("json_omits", _log(ports.log("json_omits"), json_format=_JSON, omit_empty_values=True)))
    listeners.append(
        manager(
            "json_sorted",
            _log(ports.log("json_sorted"), json_format=_JSON, json_format_options={"sort_properties": True}),
        )
    )
    listeners.append(manager("times", _log(ports.log("times"), json_format=_TIMES)))
    for name, condition in _FILTERS.items():
        log = _text(ports.log(name), _SHORT)
        log["filter"] = condition
        listeners.append(manager(name, log, access_log_options={"flush_access_log_on_new_request": True} if "type" in name else {}))
    listeners.append(
        manager("starts", _text(ports.log("starts"), _SHORT), access_log_options={"flush_access_log_on_new_request": True})
    )
    listeners.append(
        manager("periods", _text(ports.log("periods"), _SHORT), access_log_options={"access_log_flush_interval": "1s"})
    )
    listeners.append(manager("old_options", _text(ports.log("old_options"), _SHORT), flush_access_log_on_new_request=True))
    for name, policy in _LOCAL_REPLIES.items():
        listeners.append(manager(name, _text(ports.log(name), _SHORT), local_reply_config=policy))

    tcp = (
        "%ACCESS_LOG_TYPE% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %BYTES_RECEIVED% %BYTES_SENT% "
        "%UPSTREAM_WIRE_BYTES_SENT% %UPSTREAM_HOST% %UPSTREAM_CLUSTER% %PROTOCOL% %REQ(:METHOD)% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% "
        "%ROUTE_NAME% %UPSTREAM_REQUEST_ATTEMPT_COUNT% %RESPONSE_FLAGS_LONG% %LISTENER_NAME% %REQUEST_HEADERS_BYTES% %STREAM_ID% "
        "%UPSTREAM_HOSTS_ATTEMPTED% %UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT%\n"
    )

    def proxy(name, target, options=None, **filter_):
        log = _text(ports.log(name), tcp)
        if filter_:
            log["filter"] = filter_
        return listener(
            name,
            ports[name],
            tcp_proxy(cluster=target, stat_prefix=name, options={"access_log": [log], **(options or {})}),
            metadata={"filter_metadata": {_NS: {"k": "of listener"}}},
        )

    listeners += [
        proxy("tcp", "echo"),
        proxy("tcp_starts", "echo", {"access_log_options": {"flush_access_log_on_connected": True, "flush_access_log_on_start": True}}),
        proxy("tcp_periods", "echo", {"access_log_options": {"access_log_flush_interval": "0.7s"}}),
        proxy("tcp_old", "echo", {"flush_access_log_on_connected": True}),
        proxy("tcp_dead", "dead"),
        proxy("tcp_empty", "empty"),
        proxy("tcp_flags", "echo", response_flag_filter={"flags": ["UF"]}),
        proxy("tcp_json", "echo"),
        listener(
            "no_chain",
            ports["no_chain"],
            chains=[{"filter_chain_match": {"server_names": ["a.test"]}, "filters": [tcp_proxy(cluster="echo")]}],
            access_log=[
                {**_text(ports.log("no_chain"), tcp), "filter": {"response_flag_filter": {"flags": ["NR"]}}},
            ],
        ),
    ]
    json_tcp = listeners[-2]["filter_chains"][0]["filters"][0]["typed_config"]["access_log"][0]["typed_config"]
    json_tcp["log_format"] = {"json_format": {**_JSON, "metadata": f"%METADATA(LISTENER:{_NS})%", "type": "%ACCESS_LOG_TYPE%"}}

    named = cluster(
        "named",
        {
            **endpoint(ports["a"], metadata={"filter_metadata": {_NS: {"k": "of endpoint"}}}),
        },
        alt_stat_name="alternative",
        metadata={"filter_metadata": {_NS: {"k": "of cluster"}}},
    )
    named["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["hostname"] = "backend.test:8080"
    return listeners, [
        named,
        cluster("a", ports["a"]),
        cluster("echo", ports["a"]),
        cluster("dead", ports["dead"]),
        cluster("empty"),
    ]


def _typed(line):
    """The types of a JSON line's values."""
    return json.dumps({key: type(value).__name__ for key, value in json.loads(line).items()}, sort_keys=True)


def _logged(feature, outcome, status, data, listener, shows="", **more):
    more.setdefault("log", listener)
    return Case(feature, outcome, status, data, listener=listener, shows=shows, **more)


def _two(*targets, headers=()):
    """Requests on one connection; `headers` are those of the last."""
    steps = []
    for target in targets:
        own = headers if target is targets[-1] else ()
        steps += [Send(request(target, headers=list(own))), Receive()]
    return tuple(steps)


def _filtered(outcome, name, *targets, shows="", lacks="", status=404, headers=(), **more):
    return Case(
        "log filter", outcome, status, steps=_two(*targets, headers=headers), listener=name, log=name, shows=shows, lacks=lacks, **more
    )


_ID = ("x-request-id", "00000031-0000-4000-8000-000000000000")  # 0x31 is 49
_ID_OUT = ("x-request-id", "00000032-0000-4000-8000-000000000000")

GROUP = Group(
    "logs",
    (
        *_TEXTS, "without_query", "omitted_text", "json", "json_omits", "json_sorted", "times", *_FILTERS, "starts", "periods",
        "old_options", *_LOCAL_REPLIES, "tcp", "tcp_starts", "tcp_periods", "tcp_old", "tcp_dead", "tcp_empty", "tcp_flags",
        "tcp_json", "no_chain",
    ),
    ("a",),
    _build,
    (
        # Operators
        _logged("log operators", "request", 200, request("/a/b?x=1&y=two", headers=[("x-long", "abcdef"), ("x-empty", "")]), "requests",
                shows="log: GET|/rewritten/b?x=1&y=two|/rewri|abc||-|1|-|t|"),
        _logged("log operators", "request without a query", 200, request("/plain"), "requests", shows="log: GET|/plain|/plain|-|"),
        _logged("log operators", "response with trailers", 200, request("/plain"), "responses", shows="|via_upstream|",
                upstream=BODY_THEN(response(200, headers=[("x-upstream", "up")], chunks=[b"x"], trailers=[("x-t", "tv")]))),
        _logged("log operators", "response of our own", 418, request("/direct"), "responses", shows="|direct_response|"),
        _logged("log operators", "gRPC response", 200, request("/plain", headers=[("content-type", "application/grpc")]), "responses",
                upstream=BODY_THEN(response(200, b"", [("content-type", "application/grpc"), ("grpc-status", "5")])), shows="NotFound|5|5"),
        _logged("log operators", "sizes of a GET", 200, request("/plain"), "sizes"),
        _logged("log operators", "sizes of a POST", 200, request("/plain", method="POST", body=b"0123456789"), "sizes", shows="log: 10 1 "),
        _logged("log operators", "sizes of a direct response", 418, request("/direct"), "sizes", shows="log: 0 6 "),
        _logged("log operators", "sizes of a HEAD", 200, request("/plain", method="HEAD"), "sizes", shows="log: 0 0 "),
        _logged("log operators", "endpoint with a name", 200, request("/a"), "upstreams", shows="backend.test:8080 backend.test alternative named"),
        _logged("log operators", "endpoint without a name", 200, request("/plain"), "upstreams", shows=" a a "),
        _logged("log operators", "no upstream", 418, request("/direct"), "upstreams", shows="log: - - - - - - - - - - 0 - - - - - -"),
        _logged("log operators", "upstream that refuses", 503, request("/dead"), "upstreams", shows="delayed_connect_error:_Connection_refused"),
        _logged("log operators", "addresses", 200, request("/plain", host="h.test:80"), "addresses", shows="h.test:80 h.test:80"),
        _logged("log operators", "virtual cluster", 200, request("/plain"), "addresses", shows=" plain-ones "),
        _logged("log operators", "no virtual cluster", 200, request("/a"), "addresses", shows=" addresses - - - -"),
        _logged("log operators", "metadata", 200, request("/a"), "metadata", shows='yes - of cluster of cluster of host of listener'),
        _logged("log operators", "metadata that is not there", 418, request("/direct"), "metadata"),
        _logged("log operators", "times through an upstream", 200, request("/plain"), "times", log_view=_typed, shows='"RESPONSE_DURATION": "int"'),
        _logged("log operators", "times of a direct response", 418, request("/direct"), "times", log_view=_typed, shows='"RESPONSE_DURATION": "NoneType"'),
        _logged("log operators", "times of a failed connection", 503, request("/dead"), "times", log_view=_typed),
        _logged("log operators", "REQ_WITHOUT_QUERY", 200, request("/plain/x?secret=1"), "without_query", shows="log: /plain/x /pl -"),
        _logged("log format", "nothing in place of a dash", 418, request("/direct"), "omitted_text", shows="log: [] [-] [direct]"),
        _logged("log format", "no line feed at the end", 418, b"", "no_line_feed", steps=_two("/direct", "/direct"), shows="log: 418 418 "),
        # JSON
        _logged("log JSON", "through an upstream", 200, request("/a", headers=[("x", "value")]), "json", shows='"list":[1,"x",null,false,{"k":null}]'),
        _logged("log JSON", "direct response", 418, request("/direct"), "json", shows='"metadata":null'),
        _logged("log JSON", "text that needs escapes", 200, request("/a", headers=[("x", 'q"\\\t<>&')]), "json", shows='q\\"\\\\\\t<>&'),
        _logged("log JSON", "escapes beside bytes that are no text", 200, request("/a", headers=[("x", 'q"\\\t\xe9')]), "json", shows="q\\u0022\\u005c"),
        _logged("log JSON", "bytes that are no text", 200, b"GET /a HTTP/1.1\r\nhost: a.test\r\nx: a\xff\xc3\xa9\r\n\r\n", "json", shows="\\u00ff"),
        _logged("log JSON", "text beyond ASCII", 200, b"GET /a HTTP/1.1\r\nhost: a.test\r\nx: \xc3\xa9\xe2\x82\xac\r\n\r\n", "json"),
        _logged("log JSON", "empty values left out", 418, request("/direct"), "json_omits", lacks='"missing"'),
        _logged("log JSON", "sorted", 200, request("/a", headers=[("x", "value")]), "json_sorted", shows='log: {"a":"literal","code":200'),
        # Filters
        _filtered("status from 400 on", "status_ge", "/direct", "/plain", "/none", shows="GET /direct 418", lacks="log: GET /plain"),
        _filtered("status 200", "status_eq", "/none", "/plain", shows="GET /plain 200", lacks="log: GET /none", status=200),
        _filtered("status to 404", "status_le", "/direct", "/none", shows="GET /none 404", lacks="log: GET /direct"),
        _filtered("longer than 250 ms", "duration", "/plain", "/slow", status=200, shows="GET /slow", upstream=BODY_THEN(0.15, response(200), 0.15)),
        _filtered("not a health check", "not_health_check", "/none", shows="GET /none 404"),
        _filtered("what is traced, without tracing", "traceable", "/none"),
        _filtered("no share", "share_none", "/none"),
        _filtered("the whole share", "share_all", "/none", shows="GET /none"),
        _filtered("a share by the request's ID, within", "share_half", "/none", headers=(_ID,), shows="GET /none"),
        _filtered("a share by the request's ID, without", "share_half", "/none", headers=(_ID_OUT,)),
        _filtered("a header", "header", "/direct", "/none", headers=(("x-log", "yes!"),), shows="GET /none", lacks="log: GET /direct"),
        _filtered("a header that does not match", "header", "/none", headers=(("x-log", "no"),)),
        _filtered("a header that a regex does not match", "header_regex", "/none", headers=(("x-log", "yess"),), shows="GET /none"),
        _filtered("a header that a regex matches", "header_regex", "/none", headers=(("x-log", "yes"),)),
        _filtered("flags", "flags", "/direct", "/dead", "/none", shows="GET /dead 503 UF", lacks="log: GET /direct"),
        _filtered("any flag", "any_flag", "/direct", "/none", shows="GET /none 404 NR", lacks="log: GET /direct"),
        _filtered("gRPC statuses", "grpc", "/direct", "/dead", "/none", shows="GET /dead 503", lacks="log: GET /direct"),
        _filtered("gRPC statuses excluded", "not_grpc", "/plain", "/none", shows="GET /none", lacks="log: GET /plain"),
        _filtered("both", "both", "/dead", "/none", shows="GET /none", lacks="log: GET /dead"),
        _filtered("either", "either", "/direct", "/dead", "/none", headers=(("x-log", ""),), shows="GET /none", lacks="log: GET /dead"),
        _filtered("metadata that nothing wrote", "metadata_missing", "/none"),
        _filtered("metadata that nothing wrote, admitted", "metadata_default", "/none", shows="GET /none"),
        _filtered("types", "type", "/none", shows="DownstreamEnd", lacks="DownstreamStart"),
        _filtered("types excluded", "not_type", "/plain", status=200, shows="DownstreamStart", lacks="DownstreamEnd"),
        # Records besides the last
        _logged("log records", "a new request", 200, request("/plain"), "starts", shows="GET /plain 0 - - DownstreamStart"),
        _logged("log records", "a new request without a route", 404, request("/none"), "starts"),
        _logged("log records", "a new request, by the old field", 200, request("/plain"), "old_options", shows="DownstreamStart"),
        _logged("log records", "every second", 200, request("/slow"), "periods", shows="DownstreamPeriodic",
                upstream=BODY_THEN(1.4, response(200))),
        # TCP
        _logged("TCP log", "end", 200, b"", "tcp", steps=(Send(request("/a")), Receive(), HalfClose(), End()), shows="TcpConnectionEnd 0 -"),
        _logged("TCP log", "start and connection", 200, b"", "tcp_starts", steps=(Send(request("/a")), Receive(), HalfClose(), End()),
                shows="TcpConnectionStart"),
        _logged("TCP log", "connection, by the old field", 200, b"", "tcp_old", steps=(Send(request("/a")), Receive(), HalfClose(), End()),
                shows="TcpUpstreamConnected"),
        _logged("TCP log", "periods", 200, b"", "tcp_periods", steps=(Send(request("/a")), Receive(), Pause(1.0), HalfClose(), End()),
                shows="TcpPeriodic"),
        _logged("TCP log", "upstream refuses", None, b"", "tcp_dead", steps=(End(),), shows="UF,URX"),
        _logged("TCP log", "no upstream", None, b"", "tcp_empty", steps=(End(),), shows="UH"),
        _logged("TCP log", "no such flag", 200, b"", "tcp_flags", steps=(Send(request("/a")), Receive(), HalfClose(), End())),
        _logged("TCP log", "JSON", 200, b"", "tcp_json", steps=(Send(request("/a")), Receive(), HalfClose(), End()), shows='"code":0'),
        _logged("TCP log", "no chain", None, b"", "no_chain", steps=(End(),), shows="NR filter_chain_not_found"),
        # Local replies made over
        _logged("local reply", "status, body and header of a mapper", 499, request("/none"), "mapped", shows="499: not here"),
        _logged("local reply", "JSON of a mapper", 503, request("/dead"), "mapped", shows='"flags":"UF"'),
        _logged("local reply", "content type of a mapper", 418, request("/direct", headers=[("x-plain", "1")]), "mapped", shows="<b>teapot</b>"),
        _logged("local reply", "the format of all", 418, request("/direct"), "mapped", shows="418: teapot"),
        _logged("local reply", "no body before", 301, request("/redirect"), "mapped", shows="301: "),
        _logged("local reply", "to gRPC", 200, request("/none", headers=[("content-type", "application/grpc")]), "mapped"),
        _logged("local reply", "HEAD", 418, request("/direct", method="HEAD"), "mapped"),
        _logged("local reply", "not what an upstream answers", 404, request("/plain"), "mapped", lacks="not here",
                upstream=BODY_THEN(response(404, b"theirs"))),
    ),
    dead_ports=("dead",),
)
