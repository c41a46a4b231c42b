# SPDX-License-Identifier: Apache-2.0
"""CEL: as filters of access logs, as `%CEL%` and `%TYPED_CEL%` in formats, in header values, and on TCP."""

import json
import re

from harness import BODY_THEN, Case, End, Group, HalfClose, Receive, Send

from PythonKit.bootstrap import cluster, endpoint, file_access_log, hcm, listener, tcp_proxy
from PythonKit.client import request
from PythonKit.upstream import response

_NS = "example.ns"
_DATA = {"k": "of route", "n": 7, "list": [1, "x", True], "deep": {"er": "yes"}, "nothing": None}
_ROUTES = [
    {
        "match": {"prefix": "/a"},
        "name": "route-a",
        "route": {"cluster": "named", "prefix_rewrite": "/rewritten"},
        "metadata": {"filter_metadata": {_NS: _DATA}},
        "request_headers_to_add": [
            {"header": {"key": "x-cel", "value": "%CEL(request.headers['x-a'])%|%CEL(request.path)%|%CEL(source.address)%|%CEL(request.size + 1)%"}}
        ],
        "response_headers_to_add": [
            {"header": {"key": "x-cel", "value": "%CEL(response.code == 200 ? 'fine' : 'not')%|%CEL(response.headers['x-up'])%|%CEL(size(request.path))%"}}
        ],
    },
    {"match": {"prefix": "/plain"}, "route": {"cluster": "a"}},
    {"match": {"prefix": "/dead"}, "route": {"cluster": "dead"}},
    {"match": {"prefix": "/direct"}, "name": "direct", "direct_response": {"status": 418, "body": {"inline_string": "teapot"}}},
]
_VIRTUAL_HOSTS = [{"name": "all", "domains": ["*"], "routes": _ROUTES, "metadata": {"filter_metadata": {_NS: {"k": "of host"}}}}]

#: What a request must be for its line to be written.
_FILTERS = {
    "code": "response.code >= 400",
    "code_range": "response.code >= 400 && response.code < 404",
    "or_error": "response.nosuch == 1 || response.code == 404",
    "and_error": "response.nosuch == 1 && response.code == 404",
    "error": "request.headers['x-log'] == 'yes'",
    "has": "has(request.headers.x)",
    "has_index": "'x-log' in request.headers",
    "not": "!('x-log' in request.headers)",
    "method": "request.method in ['PUT', 'DELETE']",
    "prefix": "request.path.startsWith('/direct')",
    "suffix": "request.url_path.endsWith('x')",
    "contains": "request.query.contains('b=')",
    "regex": "request.path.matches('^/di.*t$')",
    "conditional": "request.method == 'GET' ? response.code == 418 : response.code == 404",
    "arithmetic": "(response.code - 18) * 2 == 800 && response.code % 10 == 8",
    "mixed_numbers": "response.code == 418.0 && response.code < 419u",
    "not_bool": "response.code",
    "text": "'true'",
    "size": "size(request.headers['x-log']) == 3",
    "metadata": "xds.route_metadata.filter_metadata['example.ns']['n'] == 7",
    "missing_metadata": "xds.route_metadata.filter_metadata['example.ns']['none'] == 7",
    "names": "xds.route_name == 'direct' && xds.virtual_host_name == 'all'",
    "cluster": "xds.cluster_name == 'dead'",
    "flags": "response.flags != 0",
    "details": "response.code_details == 'direct_response'",
    "protocol": "request.protocol == 'HTTP/1.1' && request.host == 'example.test'",
    "grpc": "response.grpc_status == 12",
    "time": "request.time > timestamp('2020-01-01T00:00:00Z') && request.duration < duration('10m')",
    "peer": "source.address.startsWith('127.0.0.1:') && destination.port > 0 && !connection.mtls",
    "literals": "{'a': [1, 2]}['a'][1] == 2 && b'x' == b'\\x78' && -1 < 1u && 0x10 == 16",
    "upstream": "upstream.request_attempt_count > 0u && has(upstream.address)",
    "both_filters": "response.code == 418",
}

#: Attributes whose values are the same in every run, for JSON formats.
_VALUES = """
request.path request.url_path request.host request.scheme request.method request.referer request.useragent request.protocol
request.size request.query request.headers['x-a'] request.headers['X-A'] request.headers['x-multi'] request.headers.host
request.headers[':path'] request.headers['none'] request.headers['a'] has(request.headers.none)
response.code response.code_details response.flags response.grpc_status response.size response.headers['x-up']
response.headers[':status'] response.headers['none'] response.trailers['x-t'] size(response.trailers)
source.address source.port destination.address destination.port connection.mtls connection.requested_server_name
connection.tls_version connection.subject_peer_certificate connection.termination_details connection.transport_failure_reason
upstream.address upstream.port upstream.transport_failure_reason upstream.request_attempt_count upstream.num_endpoints
upstream.tls_version xds.cluster_name xds.cluster_metadata.filter_metadata['example.ns'].k xds.route_name
xds.route_metadata.filter_metadata['example.ns'] xds.route_metadata.filter_metadata['example.ns'].list
xds.route_metadata.filter_metadata['example.ns'].list[1] xds.route_metadata.filter_metadata['example.ns'].deep.er
xds.route_metadata.filter_metadata['example.ns'].nothing xds.virtual_host_metadata.filter_metadata['example.ns'].k
xds.upstream_host_metadata.filter_metadata['example.ns'].k has(xds.upstream_host_metadata) xds.listener_metadata.filter_metadata['example.ns'].k
xds.listener_direction xds.filter_chain_name xds.virtual_host_name xds.node.id xds.node.cluster xds.node.metadata.role
metadata.filter_metadata metadata.filter_metadata['x'] filter_state.x has(filter_state.x) upstream_filter_state.x
request response.headers request.nosuch nosuch.x null [1,2] {'a':1} 1.5 1u type(1)
duration('90s') timestamp('2020-02-03T04:05:06.5Z') timestamp('2020-02-03T04:05:06Z').getHours('+02:00') b'bytes'
""".split()

#: Those that differ: what is compared is of which type the value is.
_TYPES = """
request.time request.duration request.id request.total_size request.headers_bytes response.total_size response.headers_bytes
response.backend_latency upstream.cx_pool_ready_duration upstream.local_address connection.id size(request.headers)
""".split()


def _filtered(path, expression):
    log = file_access_log(path, "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %RESPONSE_CODE%\n")
    log["filter"] = {
        "extension_filter": {
            "name": "envoy.access_loggers.extension_filters.cel",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                "expression": expression,
            },
        }
    }
    return log


def _json(path, command, expressions):
    made = file_access_log(path)
    made["typed_config"]["log_format"] = {
        "json_format": {expression: f"%{command}({expression})%" for expression in expressions},
        "formatters": [
            {"name": "envoy.formatter.cel", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.formatter.cel.v3.Cel"}}
        ],
    }
    return made


def _text(path, text):
    made = file_access_log(path)
    made["typed_config"]["log_format"] = {"text_format_source": {"inline_string": text}}
    return made


def _build(ports):
    metadata = {"filter_metadata": {_NS: {"k": "of listener"}}}

    def manager(name, log):
        made = hcm(virtual_hosts=_VIRTUAL_HOSTS, stat_prefix=name, options={"access_log": [log]})
        return listener(name, ports[name], made, metadata=metadata)

    listeners = [manager(name, _filtered(ports.log(name), expression)) for name, expression in _FILTERS.items()]
    both = listeners[-1]["filter_chains"][0]["filters"][0]["typed_config"]["access_log"][0]
    both["filter"] = {
        "and_filter": {
            "filters": [both["filter"], {"status_code_filter": {"comparison": {"op": "GE", "value": {"default_value": 400, "runtime_key": "x"}}}}]
        }
    }
    listeners.append(manager("values", _json(ports.log("values"), "CEL", _VALUES)))
    listeners.append(manager("typed", _json(ports.log("typed"), "TYPED_CEL", _VALUES)))
    listeners.append(manager("types", _json(ports.log("types"), "TYPED_CEL", _TYPES)))
    listeners.append(
        manager("line", _text(ports.log("line"), "%CEL(request.path):4%|%CEL((1 + 2) * 3)%|%CEL(request.nosuch)%|%TYPED_CEL(response.code)%|%CEL('a)b')%|%CEL(response.headers_bytes)%|%RESPONSE_HEADERS_BYTES%\n"))
    )
    for name, log in (("tcp", _json(ports.log("tcp"), "CEL", _VALUES)), ("tcp_filter", _filtered(ports.log("tcp_filter"), "connection.id > 0u"))):
        options = {"access_log": [log]}
        listeners.append(listener(name, ports[name], tcp_proxy(cluster="a", stat_prefix=name, options=options), metadata=metadata))

    named = cluster(
        "named",
        endpoint(ports["a"], metadata={"filter_metadata": {_NS: {"k": "of endpoint"}}}),
        metadata={"filter_metadata": {_NS: {"k": "of cluster"}}},
    )
    return listeners, [named, cluster("a", ports["a"]), cluster("dead", ports["dead"])]


def _typed(line):
    return json.dumps({key: type(value).__name__ for key, value in json.loads(line).items()}, sort_keys=True)


def _without_time(line):
    return re.sub(r'(service-time":")[0-9]+|("date":")[^"]+', r'\1\2N', line)


def _two(*requests):
    return tuple(step for one in requests for step in (Send(one), Receive()))


def _filter(outcome, name, *targets, status=418, shows="", lacks="", headers=(), **more):
    steps = _two(*(request(target, headers=list(headers)) for target in targets))
    return Case("CEL filter", outcome, status, steps=steps, listener=name, log=name, shows=shows, lacks=lacks, **more)


def _shown(outcome, name, status, data, shows="", **more):
    return Case("CEL format", outcome, status, data, listener=name, log=name, shows=shows, **more)


_LOG = (("x-log", "yes"),)
_FULL = request("/a/b?x=1&y=2", headers=[("x-a", "1"), ("x-multi", "one"), ("x-multi", "two"), ("referer", "r"), ("user-agent", "u")])
_UP = BODY_THEN(response(200, headers=[("x-up", "up")], chunks=[b"body"], trailers=[("x-t", "tv")]))

GROUP = Group(
    "expressions",
    (*_FILTERS, "values", "typed", "types", "line", "tcp", "tcp_filter"),
    ("a",),
    _build,
    (
        _filter("a number", "code", "/plain", "/direct", shows="GET /direct 418", lacks="log: GET /plain"),
        _filter("a range", "code_range", "/direct", "/none", status=404),
        _filter("|| makes up for an error", "or_error", "/direct", "/none", status=404, shows="GET /none", lacks="log: GET /direct"),
        _filter("&& with an error", "and_error", "/none", status=404),
        _filter("a header that is not there", "error", "/direct"),
        _filter("a header", "error", "/none", status=404, headers=_LOG, shows="GET /none"),
        _filter("has() without the header", "has", "/direct"),
        _filter("in, with the header", "has_index", "/none", status=404, headers=_LOG, shows="GET /none"),
        _filter("not in", "not", "/direct", shows="GET /direct"),
        _filter("in a list", "method", "/direct"),
        _filter("startsWith", "prefix", "/none", "/direct", shows="GET /direct", lacks="log: GET /none"),
        _filter("endsWith", "suffix", "/direct/x?y", shows="GET /direct/x?y"),
        _filter("contains", "contains", "/direct?c=1", "/direct?a=1&b=2", shows="GET /direct?a=1&b=2", lacks="log: GET /direct?c"),
        _filter("matches", "regex", "/direct/", "/direct", shows="GET /direct 418", lacks="log: GET /direct/"),
        _filter("?:", "conditional", "/none", "/direct", shows="GET /direct", lacks="log: GET /none"),
        _filter("arithmetic", "arithmetic", "/none", "/direct", shows="GET /direct", lacks="log: GET /none"),
        _filter("numbers of all kinds", "mixed_numbers", "/direct", shows="GET /direct"),
        _filter("a number is not true", "not_bool", "/direct"),
        _filter("a text is not true", "text", "/direct"),
        _filter("size", "size", "/direct", headers=_LOG, shows="GET /direct"),
        _filter("metadata of the route", "metadata", "/direct", "/a", status=200, shows="GET /a 200", lacks="log: GET /direct"),
        _filter("metadata that is not there", "missing_metadata", "/a", status=200),
        _filter("names of route and virtual host", "names", "/none", "/direct", shows="GET /direct", lacks="log: GET /none"),
        _filter("name of the cluster", "cluster", "/direct", "/dead", status=503, shows="GET /dead 503", lacks="log: GET /direct"),
        _filter("flags", "flags", "/direct", "/dead", status=503, shows="GET /dead 503", lacks="log: GET /direct"),
        _filter("details", "details", "/none", "/direct", shows="GET /direct", lacks="log: GET /none"),
        _filter("protocol and host", "protocol", "/direct", shows="GET /direct"),
        _filter("gRPC status of an HTTP status", "grpc", "/direct", "/none", status=404, shows="GET /none", lacks="log: GET /direct"),
        _filter("times", "time", "/direct", shows="GET /direct"),
        _filter("the two ends", "peer", "/direct", shows="GET /direct"),
        _filter("literals", "literals", "/direct", shows="GET /direct"),
        _filter("upstream", "upstream", "/direct", "/plain", status=200, shows="GET /plain", lacks="log: GET /direct"),
        _filter("beside another filter", "both_filters", "/plain", "/direct", shows="GET /direct", lacks="log: GET /plain"),
        _shown("attributes through an upstream", "values", 200, _FULL, upstream=_UP, shows='"xds.route_name":"route-a"'),
        _shown("attributes of a direct response", "values", 418, request("/direct"), shows='"response.code":"418"'),
        _shown("attributes without a route", "values", 404, request("/none")),
        _shown("attributes of a failed connection", "values", 503, request("/dead")),
        _shown("attributes of gRPC", "values", 200, request("/plain", headers=[("content-type", "application/grpc")]),
               upstream=BODY_THEN(response(200, b"", [("content-type", "application/grpc"), ("grpc-status", "5")])),
               shows='"response.grpc_status":"5"'),
        _shown("attributes of a POST", "values", 200, request("/plain", method="POST", body=b"12345"), shows='"request.size":"5"'),
        _shown("types through an upstream", "typed", 200, _FULL, upstream=_UP, log_view=_without_time, shows='"response.code":200'),
        _shown("types of a direct response", "typed", 418, request("/direct"), log_view=_without_time, shows='"response.code":418'),
        _shown("types of what differs", "types", 200, _FULL, log_view=_typed, shows='"connection.id": "int"'),
        _shown("types of what differs, without an upstream", "types", 418, request("/direct"), log_view=_typed),
        _shown("a line", "line", 418, request("/direct"), shows="log: /dir|9|-|418|a)b"),
        Case("CEL format", "in header values", 200, _FULL, listener="line", upstream=_UP, shows="x-cel: fine|up|"),
        Case("CEL format", "on TCP", 200, listener="tcp", log="tcp", steps=(Send(request("/a")), Receive(), HalfClose(), End())),
        Case("CEL filter", "on TCP", 200, listener="tcp_filter", log="tcp_filter", steps=(Send(request("/a")), Receive(), HalfClose(), End()),
             shows="log: - - 0"),
    ),
    dead_ports=("dead",),
    bootstrap_fields={"node": {"id": "n1", "cluster": "c1", "metadata": {"role": "test"}}},
)
