# SPDX-License-Identifier: Apache-2.0
"""Header operations at every level, and the headers the connection manager itself adds, changes and removes."""

from harness import BODY_THEN, Case, Group

from PythonKit.bootstrap import cluster, hcm, listener
from PythonKit.client import request
from PythonKit.upstream import response

_LEVELS = """
name: levels
request_headers_to_add:
- {header: {key: x-order, value: config}}
- {header: {key: x-config, value: c}}
request_headers_to_remove: [x-gone-config]
response_headers_to_add:
- {header: {key: x-response-order, value: config}}
response_headers_to_remove: [x-secret-config]
virtual_hosts:
- name: levels
  domains: ["*"]
  request_headers_to_add: [{header: {key: x-order, value: host}}]
  request_headers_to_remove: [x-gone-host]
  response_headers_to_add: [{header: {key: x-response-order, value: host}}]
  response_headers_to_remove: [x-secret-host]
  routes:
  - match: {prefix: /levels}
    route:
      weighted_clusters:
        clusters:
        - name: a
          weight: 1
          request_headers_to_add: [{header: {key: x-order, value: cluster}}]
          request_headers_to_remove: [x-gone-cluster]
          response_headers_to_add: [{header: {key: x-response-order, value: cluster}}]
          response_headers_to_remove: [x-secret-cluster]
    request_headers_to_add: [{header: {key: x-order, value: route}}]
    request_headers_to_remove: [x-gone-route]
    response_headers_to_add: [{header: {key: x-response-order, value: route}}]
    response_headers_to_remove: [x-secret-route]
"""

_INTERNAL_ONLY = """
name: internal
internal_only_headers: [x-secret, X-Other, user-agent]
virtual_hosts:
- name: internal
  domains: ["*"]
  routes:
  - match: {prefix: /}
    route: {cluster: a}
"""

_ACTIONS = """
- match: {prefix: /append}
  route: {cluster: a}
  request_headers_to_add: [{header: {key: x-h, value: new}, append_action: APPEND_IF_EXISTS_OR_ADD}]
  response_headers_to_add: [{header: {key: x-r, value: new}, append_action: APPEND_IF_EXISTS_OR_ADD}]
- match: {prefix: /add-if-absent}
  route: {cluster: a}
  request_headers_to_add: [{header: {key: x-h, value: new}, append_action: ADD_IF_ABSENT}]
  response_headers_to_add: [{header: {key: x-r, value: new}, append_action: ADD_IF_ABSENT}]
- match: {prefix: /overwrite-or-add}
  route: {cluster: a}
  request_headers_to_add: [{header: {key: x-h, value: new}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}]
  response_headers_to_add: [{header: {key: x-r, value: new}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}]
- match: {prefix: /overwrite-only}
  route: {cluster: a}
  request_headers_to_add: [{header: {key: x-h, value: new}, append_action: OVERWRITE_IF_EXISTS}]
  response_headers_to_add: [{header: {key: x-r, value: new}, append_action: OVERWRITE_IF_EXISTS}]
- match: {prefix: /empty}
  route: {cluster: a}
  request_headers_to_add:
  - {header: {key: x-kept, value: "%REQ(x-absent)%"}, keep_empty_value: true}
  - {header: {key: x-dropped, value: "%REQ(x-absent)%"}}
- match: {prefix: /formats}
  route: {cluster: a}
  request_headers_to_add:
  - {header: {key: f-remote-without-port, value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}}
  - {header: {key: f-remote, value: "%DOWNSTREAM_REMOTE_ADDRESS%"}}
  - {header: {key: f-direct-remote, value: "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"}}
  - {header: {key: f-local, value: "%DOWNSTREAM_LOCAL_ADDRESS%"}}
  - {header: {key: f-local-port, value: "%DOWNSTREAM_LOCAL_PORT%"}}
  - {header: {key: f-protocol, value: "%PROTOCOL%"}}
  - {header: {key: f-percent, value: "100%%"}}
  - {header: {key: f-req, value: "[%REQ(x-in)%]"}}
  - {header: {key: f-req-alternative, value: "%REQ(x-absent?x-in)%"}}
  - {header: {key: f-req-cut, value: "%REQ(x-in):3%"}}
  - {header: {key: f-path, value: "%REQ(:PATH)%"}}
  - {header: {key: f-method, value: "%REQ(:METHOD)%"}}
  - {header: {key: f-two, value: "%REQ(:METHOD)% %PROTOCOL%"}}
  - {header: {key: f-route, value: "%ROUTE_NAME%"}}
  - {header: {key: f-cluster, value: "%UPSTREAM_CLUSTER%"}}
  name: formats-route
- match: {prefix: /response-formats}
  route: {cluster: a}
  response_headers_to_add:
  - {header: {key: f-code, value: "%RESPONSE_CODE%"}}
  - {header: {key: f-host, value: "%UPSTREAM_HOST%"}}
  - {header: {key: f-cluster, value: "%UPSTREAM_CLUSTER%"}}
  - {header: {key: f-details, value: "%RESPONSE_CODE_DETAILS%"}}
  - {header: {key: f-flags, value: "%RESPONSE_FLAGS%"}}
  - {header: {key: f-resp, value: "%RESP(x-upstream)%"}}
  - {header: {key: f-req, value: "%REQ(x-in)%"}}
  - {header: {key: f-time, value: "%START_TIME%"}}
  - {header: {key: f-seconds, value: "%START_TIME(%Y)%"}}
- match: {prefix: /host-header}
  route: {cluster: a}
  request_headers_to_add: [{header: {key: x-after, value: "%REQ(x-before)%"}}]
  request_headers_to_remove: [x-before]
- {match: {prefix: /}, route: {cluster: a}}
"""

_FORWARD = "[{match: {prefix: /}, route: {cluster: a}}]"

_PRESERVE = {
    "header_key_format": {
        "stateful_formatter": {
            "name": "preserve_case",
            "typed_config": {
                "@type": "type.googleapis.com/"
                "envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig"
            },
        }
    }
}
_PROPER = {"header_key_format": {"proper_case_words": {}}}


def _http1(options):
    """A cluster's HTTP/1 options."""
    protocol = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http_protocol_options": options},
    }
    return {"typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol}}


_MANAGERS = {
    "levels": dict(route_config=_LEVELS),
    "specific": dict(
        route_config=_LEVELS.replace("name: levels\n", "name: levels\nmost_specific_header_mutations_wins: true\n", 1)
    ),
    "actions": dict(routes=_ACTIONS),
    "plain": dict(routes=_FORWARD),
    "named": dict(routes=_FORWARD, options={"server_name": "my-server"}),
    "append_server": dict(routes=_FORWARD, options={"server_header_transformation": "APPEND_IF_ABSENT"}),
    "pass_server": dict(routes=_FORWARD, options={"server_header_transformation": "PASS_THROUGH"}),
    "edge": dict(routes=_FORWARD, options={"use_remote_address": True}),
    "edge_internal": dict(
        routes=_FORWARD,
        options={
            "use_remote_address": True,
            "internal_address_config": {"cidr_ranges": [{"address_prefix": "127.0.0.0", "prefix_len": 8}]},
        },
    ),
    "hops1": dict(routes=_FORWARD, options={"use_remote_address": True, "xff_num_trusted_hops": 1}),
    "inner_hops1": dict(routes=_FORWARD, options={"xff_num_trusted_hops": 1}),
    "inner_internal": dict(
        routes=_FORWARD,
        options={"internal_address_config": {"cidr_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]}},
    ),
    "internal_only": dict(route_config=_INTERNAL_ONLY),
    "internal_only_edge": dict(route_config=_INTERNAL_ONLY, options={"use_remote_address": True}),
    "internal_only_mesh": dict(
        route_config=_INTERNAL_ONLY,
        options={"use_remote_address": True, "internal_address_config": {"cidr_ranges": [{"address_prefix": "127.0.0.0", "prefix_len": 8}]}},
    ),
    "inner_mesh": dict(
        routes=_FORWARD,
        options={"internal_address_config": {"cidr_ranges": [{"address_prefix": "127.0.0.0", "prefix_len": 8}]}},
    ),
    "skip": dict(routes=_FORWARD, options={"use_remote_address": True, "skip_xff_append": True}),
    "xfport": dict(routes=_FORWARD, options={"append_x_forwarded_port": True}),
    "no_id": dict(routes=_FORWARD, options={"generate_request_id": False}),
    "keep_id": dict(routes=_FORWARD, options={"use_remote_address": True, "preserve_external_request_id": True}),
    "return_id": dict(routes=_FORWARD, options={"always_set_request_id_in_response": True}),
    "via": dict(routes=_FORWARD, options={"via": "proxy-x"}),
    "user_agent": dict(routes=_FORWARD, options={"add_user_agent": True}),
    "case": dict(routes=_FORWARD, options={"http_protocol_options": _PROPER}),
    "proper": dict(routes=_FORWARD.replace("cluster: a", "cluster: proper")),
    "preserve": dict(
        routes=_FORWARD.replace("cluster: a", "cluster: preserve"), options={"http_protocol_options": _PRESERVE}
    ),
    "attempts": dict(
        virtual_hosts=[
            {
                "name": "v",
                "domains": ["*"],
                "include_request_attempt_count": True,
                "include_attempt_count_in_response": True,
                "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "a"}}],
            }
        ]
    ),
}


def _build(ports):
    return (
        [listener(name, ports[name], hcm(**fields)) for name, fields in _MANAGERS.items()],
        [
            cluster("a", ports["a"]),
            cluster("proper", ports["a"], **_http1(_PROPER)),
            cluster("preserve", ports["a"], **_http1(_PRESERVE)),
        ],
    )


_ID = "4f7a1c90-1111-4222-8333-0123456789ab"
_WITH_HEADERS = BODY_THEN(
    response(
        200,
        b"ok",
        [
            ("x-r", "old"),
            ("x-secret-config", "1"),
            ("x-secret-host", "1"),
            ("x-secret-route", "1"),
            ("x-secret-cluster", "1"),
            ("x-stays", "1"),
        ],
    )
)
_WITH_SERVER = BODY_THEN(
    response(200, b"ok", [("server", "nginx"), ("via", "1.1 inner"), ("date", "Tue, 01 Jan 2030 00:00:00 GMT")])
)


def _seen(
    feature, outcome, shows, listener_name, headers=(), *, lacks="", source=None, upstream=None, path="/", **more
):
    return Case(
        feature,
        outcome,
        200,
        request(path, headers=headers, **more),
        listener=listener_name,
        upstream=upstream,
        shows=shows,
        lacks=lacks,
        source=source,
        upstream_requests=1,
    )


GROUP = Group(
    "headers",
    tuple(_MANAGERS),
    ("a",),
    _build,
    (
        _seen(
            "header operations levels",
            "request: cluster, route, host, config in order",
            "x-order: cluster",
            "levels",
            [
                ("x-gone-config", "1"),
                ("x-gone-host", "1"),
                ("x-gone-route", "1"),
                ("x-gone-cluster", "1"),
                ("x-stays", "1"),
            ],
            lacks="x-gone",
            path="/levels",
        ),
        _seen(
            "header operations levels",
            "response: cluster, route, host, config in order",
            "x-response-order",
            "levels",
            lacks="x-secret",
            path="/levels",
            upstream=_WITH_HEADERS,
        ),
        _seen(
            "most_specific_header_mutations_wins", "order turned round", "x-order: config", "specific", path="/levels"
        ),
        *(
            _seen(
                "append_action",
                f"{action}, header {there}",
                "x-h",
                "actions",
                [("x-h", "old")] if there == "there" else [("x-o", "x-h")],
                path=path,
                upstream=_WITH_HEADERS if there == "there" else None,
            )
            for action, path in (
                ("APPEND_IF_EXISTS_OR_ADD", "/append"),
                ("ADD_IF_ABSENT", "/add-if-absent"),
                ("OVERWRITE_IF_EXISTS_OR_ADD", "/overwrite-or-add"),
                ("OVERWRITE_IF_EXISTS", "/overwrite-only"),
            )
            for there in ("there", "absent")
        ),
        _seen("keep_empty_value", "true keeps, false drops", "x-kept: ", "actions", path="/empty", lacks="x-dropped"),
        _seen(
            "header format",
            "request operators",
            "f-percent: 100%",
            "actions",
            [("x-in", "abcdef")],
            path="/formats?q=1",
        ),
        _seen(
            "header format",
            "response operators",
            "f-code: 200",
            "actions",
            [("x-in", "abcdef")],
            path="/response-formats",
        ),
        _seen(
            "header operations order",
            "remove comes before add",
            "x-upstream",
            "actions",
            [("x-before", "v")],
            path="/host-header",
            lacks="x-after",
        ),
        _seen(
            "server header", "overwritten by default", "server: envoy", "plain", upstream=_WITH_SERVER, lacks="nginx"
        ),
        _seen("server header", "server_name", "server: my-server", "named", upstream=_WITH_SERVER),
        _seen(
            "server header",
            "APPEND_IF_ABSENT keeps the upstream's",
            "server: nginx",
            "append_server",
            upstream=_WITH_SERVER,
        ),
        _seen("server header", "APPEND_IF_ABSENT adds a missing one", "server: envoy", "append_server"),
        _seen(
            "server header", "PASS_THROUGH keeps the upstream's", "server: nginx", "pass_server", upstream=_WITH_SERVER
        ),
        _seen("server header", "PASS_THROUGH adds none", "x-upstream", "pass_server", lacks="server: envoy"),
        _seen(
            "date header",
            "upstream's is kept",
            "date:",
            "plain",
            upstream=BODY_THEN(response(200, b"", [("date", "not a date")])),
        ),
        _seen(
            "via",
            "appended to request and response",
            "via: 1.1 inner, proxy-x",
            "via",
            [("via", "1.0 outer")],
            upstream=_WITH_SERVER,
        ),
        _seen("via", "added", "via: proxy-x", "via"),
        _seen(
            "x-forwarded-for",
            "not touched without use_remote_address",
            "x-forwarded-for: 1.2.3.4",
            "plain",
            [("x-forwarded-for", "1.2.3.4")],
        ),
        _seen(
            "x-forwarded-for",
            "absent without use_remote_address stays absent",
            "x-forwarded-proto",
            "plain",
            lacks="x-forwarded-for",
        ),
        _seen(
            "x-forwarded-for",
            "use_remote_address sets it",
            "x-forwarded-for: 127.0.0.7",
            "edge",
            source=("127.0.0.7", 0),
        ),
        _seen(
            "x-forwarded-for",
            "use_remote_address appends",
            "x-forwarded-for: 1.2.3.4,127.0.0.7",
            "edge",
            [("x-forwarded-for", "1.2.3.4")],
            source=("127.0.0.7", 0),
        ),
        _seen(
            "x-forwarded-for",
            "a peer at 127.0.0.1 stands as this machine's own address",
            "x-forwarded-for: 1.2.3.4,",
            "edge",
            [("x-forwarded-for", "1.2.3.4")],
            lacks=",127.0.0.1",
        ),
        _seen(
            "x-forwarded-for",
            "use_remote_address appends to several fields",
            "x-forwarded-for",
            "edge",
            [("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", "5.6.7.8")],
            source=("127.0.0.7", 0),
        ),
        _seen(
            "x-forwarded-for", "skip_xff_append", "x-forwarded-for: 1.2.3.4\n", "skip", [("x-forwarded-for", "1.2.3.4")]
        ),
        _seen(
            "x-envoy-external-address", "use_remote_address: the peer", "x-envoy-external-address: 127.0.0.1", "edge"
        ),
        _seen(
            "x-envoy-external-address",
            "xff_num_trusted_hops 1: the last of the list",
            "x-envoy-external-address: 5.6.7.8",
            "hops1",
            [("x-forwarded-for", "1.2.3.4, 5.6.7.8")],
        ),
        _seen(
            "x-envoy-external-address", "xff_num_trusted_hops 1 without a list: the peer", "x-forwarded-proto", "hops1"
        ),
        _seen("x-envoy-external-address", "not from an internal peer", "x-envoy-internal: true", "edge_internal"),
        _seen(
            "x-envoy-external-address",
            "given by the client: replaced",
            "x-envoy-external-address: 127.0.0.1",
            "edge",
            [("x-envoy-external-address", "6.6.6.6")],
        ),
        *(
            _seen(
                "internal_only_headers",
                f"{who} loses {name}",
                "x-forwarded-proto",
                config,
                [(name, "1"), (name, "2")],
                lacks=f"\n{name}: ",
            )
            for who, config in (("a client", "internal_only"), ("an edge's client", "internal_only_edge"))
            for name in ("x-secret", "x-other", "user-agent")
        ),
        _seen(
            "x-envoy-internal",
            "an internal peer without a list, of an inner proxy: not internal",
            "x-forwarded-proto",
            "inner_mesh",
            lacks="x-envoy-internal",
        ),
        _seen("internal_only_headers", "an internal peer keeps them", "x-secret: 1", "internal_only_mesh", [("x-secret", "1")]),
        _seen(
            "x-envoy-internal",
            "internal address in the list of an inner proxy",
            "x-envoy-internal: true",
            "inner_internal",
            [("x-forwarded-for", "10.1.2.3")],
        ),
        _seen(
            "x-envoy-internal",
            "two addresses are never internal",
            "x-forwarded-for",
            "inner_internal",
            [("x-forwarded-for", "10.1.2.3, 10.1.2.4")],
            lacks="x-envoy-internal",
        ),
        _seen(
            "x-envoy-internal",
            "given by an external client: removed",
            "x-forwarded-proto",
            "edge",
            [("x-envoy-internal", "true")],
            lacks="x-envoy-internal",
        ),
        _seen(
            "x-envoy headers",
            "of an external client are removed",
            "x-forwarded-proto",
            "edge",
            [
                ("x-envoy-upstream-rq-timeout-ms", "1"),
                ("x-envoy-retry-on", "5xx"),
                ("x-envoy-decorator-operation", "x"),
                ("x-envoy-expected-rq-timeout-ms", "3"),
                ("x-envoy-force-trace", "1"),
                ("x-envoy-max-retries", "3"),
                ("x-envoy-original-path", "/o"),
                ("x-envoy-ip-tags", "t"),
                ("x-envoy-downstream-service-cluster", "c"),
            ],
            lacks="x-envoy-retry-on",
        ),
        _seen(
            "x-envoy headers",
            "of an internal client are used: timeout",
            "x-envoy-expected-rq-timeout-ms: 700",
            "edge_internal",
            [("x-envoy-upstream-rq-timeout-ms", "700")],
        ),
        _seen("x-forwarded-proto", "set to the scheme", "x-forwarded-proto: http", "plain"),
        _seen(
            "x-forwarded-proto",
            "given by the client: kept without use_remote_address",
            "x-forwarded-proto: https",
            "plain",
            [("x-forwarded-proto", "https")],
        ),
        _seen(
            "x-forwarded-proto",
            "given by the client: replaced with use_remote_address",
            "x-forwarded-proto: http\n",
            "edge",
            [("x-forwarded-proto", "https")],
        ),
        _seen(
            "x-forwarded-proto", "nonsense is replaced", "x-forwarded-proto", "plain", [("x-forwarded-proto", "gopher")]
        ),
        _seen("append_x_forwarded_port", "listener's port", "x-forwarded-port: <xfport>", "xfport"),
        _seen(
            "append_x_forwarded_port",
            "given by the client",
            "x-forwarded-port: 99",
            "xfport",
            [("x-forwarded-port", "99")],
        ),
        _seen("x-request-id", "made", "x-request-id: <uuid>", "plain"),
        _seen(
            "x-request-id",
            "client's kept without use_remote_address",
            "x-request-id",
            "plain",
            [("x-request-id", "mine")],
        ),
        _seen("x-request-id", "external client's replaced", "x-request-id: <uuid>", "edge", [("x-request-id", "mine")]),
        _seen(
            "x-request-id", "preserve_external_request_id", "x-request-id: mine", "keep_id", [("x-request-id", "mine")]
        ),
        _seen("x-request-id", "generate_request_id false", "x-forwarded-proto", "no_id", lacks="x-request-id"),
        _seen("x-request-id", "always_set_request_id_in_response", "\nheader: x-request-id", "return_id"),
        _seen(
            "x-request-id",
            "returned when forced by x-envoy-force-trace",
            "x-request-id",
            "edge_internal",
            [("x-envoy-force-trace", "1")],
        ),
        _seen("add_user_agent", "adds the cluster's name", "user-agent", "user_agent"),
        _seen("add_user_agent", "keeps a given one", "user-agent: curl", "user_agent", [("user-agent", "curl")]),
        _seen("header_key_format", "proper_case_words downstream", "X-Upstream", "case"),
        _seen("header_key_format", "proper_case_words upstream", "X-New: 1", "proper", [("x-new", "1")]),
        _seen(
            "header_key_format",
            "preserve_case upstream",
            "X-MiXed: 1",
            "preserve",
            [("X-MiXed", "1"), ("x-LOW", "2"), ("Content-LENGTH", "0")],
        ),
        _seen(
            "header_key_format",
            "preserve_case downstream",
            "X-MiXed-R: 1",
            "preserve",
            upstream=BODY_THEN(response(200, b"ok", [("X-MiXed-R", "1"), ("x-low", "2")])),
        ),
        _seen("attempt count", "request and response", "x-envoy-attempt-count: 1", "attempts"),
        _seen(
            "duplicate headers",
            "order kept in both directions",
            "x-a: 1",
            "plain",
            [("x-a", "1"), ("x-b", "2"), ("x-a", "3")],
            upstream=BODY_THEN(response(200, b"", [("set-cookie", "a=1"), ("x-z", "1"), ("set-cookie", "b=2")])),
        ),
        _seen(
            "header names",
            "become lower case",
            "x-mixed-case: V",
            "plain",
            [("X-Mixed-Case", "V")],
            upstream=BODY_THEN(response(200, b"", [("X-Reply-Case", "V")])),
        ),
        _seen("header values", "surrounding blanks removed, inner kept", "x-v: a  b", "plain", [("x-v", "  a  b \t")]),
        _seen("header values", "bytes above 127 pass", "x-v: \xe9", "plain", [("x-v", "\xe9")]),
        _seen("header values", "empty", "x-v: \n", "plain", [("x-v", "")]),
        _seen("te header", "trailers passes", "te: trailers", "plain", [("te", "trailers")]),
        _seen(
            "te header", "anything else removed", "x-forwarded-proto", "plain", [("te", "gzip")], lacks="header: te:"
        ),
        _seen(
            "hop by hop headers",
            "keep-alive and proxy-connection removed",
            "x-forwarded-proto",
            "plain",
            [("keep-alive", "timeout=5"), ("proxy-connection", "keep-alive")],
            lacks="proxy-connection",
        ),
        _seen(
            "hop by hop headers",
            "connection: keep-alive not forwarded",
            "x-forwarded-proto",
            "plain",
            [("connection", "keep-alive")],
            lacks="upstream header: connection",
        ),
        _seen(
            "hop by hop headers",
            "nominated header removed",
            "x-forwarded-proto",
            "plain",
            [("connection", "x-nominated"), ("x-nominated", "1")],
        ),
        _seen(
            "hop by hop headers",
            "of the response removed",
            "x-stays",
            "plain",
            upstream=BODY_THEN(
                response(200, b"", [("keep-alive", "timeout=5"), ("proxy-connection", "x"), ("x-stays", "1")])
            ),
        ),
        _seen("host header", "with port kept", "host: example.test:1234", "plain", host="example.test:1234"),
        _seen("cookie header", "two fields", "cookie", "plain", [("cookie", "a=1"), ("cookie", "b=2")]),
        _seen(
            "x-envoy-upstream-service-time",
            "upstream's own is replaced",
            "x-envoy-upstream-service-time",
            "plain",
            upstream=BODY_THEN(response(200, b"", [("x-envoy-upstream-service-time", "987654")])),
        ),
    ),
)
