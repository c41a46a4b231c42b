# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 itself: versions, framing, connection life, path normalising, limits."""

from cases.http2 import counters
from harness import BODY_THEN, AwaitUpstream, Case, End, Group, HalfClose, Kept, Pause, Receive, Send

from PythonKit.bootstrap import cluster, hcm, listener
from PythonKit.client import chunked, request
from PythonKit.upstream import BODY, CLOSE, response

_FORWARD = """
- {match: {prefix: /direct}, direct_response: {status: 200, body: {inline_string: direct}}}
- {match: {prefix: /}, route: {cluster: a}}
"""

_ESCAPED = {
    "escaped_reject": "REJECT_REQUEST",
    "escaped_redirect": "UNESCAPE_AND_REDIRECT",
    "escaped_forward": "UNESCAPE_AND_FORWARD",
    "escaped_keep": "KEEP_UNCHANGED",
}
_UNDERSCORES = {"underscore_allow": "ALLOW", "underscore_reject": "REJECT_REQUEST", "underscore_drop": "DROP_HEADER"}

_MANAGERS = {
    "main": {},
    "http10": {"http_protocol_options": {"accept_http_10": True}},
    "http10_host": {"http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": "default.test"}},
    "trailers": {"http_protocol_options": {"enable_trailers": True}},
    "normalize": {"normalize_path": True},
    "merge": {"merge_slashes": True},
    "normalize_merge": {"normalize_path": True, "merge_slashes": True},
    **{name: {"normalize_path": True, "path_with_escaped_slashes_action": action} for name, action in _ESCAPED.items()},
    **{
        name: {"common_http_protocol_options": {"headers_with_underscores_action": action}}
        for name, action in _UNDERSCORES.items()
    },
    "small_headers": {"max_request_headers_kb": 2},
    "few_headers": {"common_http_protocol_options": {"max_headers_count": 6}},
    "two_requests": {"common_http_protocol_options": {"max_requests_per_connection": 2}},
    "no_continue": {"proxy_100_continue": False},
    "with_continue": {"proxy_100_continue": True},
    "no_absolute": {"http_protocol_options": {"allow_absolute_url": False}},
}


def _build(ports):
    listeners = [
        listener(
            name, ports[name], hcm(_FORWARD, stat_prefix=name, options={"delayed_close_timeout": "0.2s", **options})
        )
        for name, options in _MANAGERS.items()
    ]
    upstream_trailers = {
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http_protocol_options": {"enable_trailers": True}},
            }
        }
    }
    trailers_routes = [{"match": {"prefix": "/"}, "route": {"cluster": "trailers"}}]
    for made in listeners:
        if made["name"] == "trailers":
            made["filter_chains"][0]["filters"][0]["typed_config"]["route_config"]["virtual_hosts"][0]["routes"] = (
                trailers_routes
            )
    return listeners, [cluster("a", ports["a"]), cluster("trailers", ports["a"], **upstream_trailers)]


def raw(text) -> bytes:
    return text.replace("\n", "\r\n").encode("latin-1")


_CHUNKED_REQUEST = request("/", method="POST", headers=[("transfer-encoding", "chunked")])
_HOST = "Host: example.test\n"


def _refused_path(outcome, name, target):
    """What is counted of a path that cannot be normalised."""
    return Case(
        "path that is refused", f"counted: {outcome}", 400, listener=name, steps=(Send(request(target)), Receive()), admin="/stats",
        admin_view=counters(f"http.{name}.downstream_rq_failed_path_normalization", f"http.{name}.downstream_rq_4xx"),
        lacks="absent",
    )


def _path(feature, outcome, listener_name, target, shows="", status=200, **more):
    return Case(
        feature,
        outcome,
        status,
        request(target, **more),
        listener=listener_name,
        shows=shows,
        upstream_requests=1 if status == 200 else 0,
    )


GROUP = Group(
    "protocol",
    tuple(_MANAGERS),
    ("a",),
    _build,
    (
        # Versions and request forms
        Case("HTTP/1.0", "refused", 426, raw("GET / HTTP/1.0\n\n")),
        Case("HTTP/1.0", "accepted, connection closed", 200, raw("GET / HTTP/1.0\nHost: h\n\n"), listener="http10"),
        Case(
            "HTTP/1.0",
            "accepted with keep-alive",
            200,
            raw("GET / HTTP/1.0\nHost: h\nConnection: keep-alive\n\n"),
            listener="http10",
        ),
        Case("HTTP/1.0", "accepted without host", 400, raw("GET / HTTP/1.0\n\n"), listener="http10"),
        Case(
            "HTTP/1.0",
            "default host",
            200,
            raw("GET / HTTP/1.0\n\n"),
            listener="http10_host",
            shows="host: default.test",
        ),
        Case(
            "HTTP/1.0",
            "chunked answer is sent to the end of the connection",
            200,
            raw("GET / HTTP/1.0\nHost: h\n\n"),
            listener="http10",
            upstream=BODY_THEN(response(200, chunks=[b"one", b"two"])),
        ),
        Case(
            "absolute form",
            "host from the target",
            200,
            raw("GET http://target.test/p?q HTTP/1.1\nHost: other.test\n\n"),
            shows="host: target.test",
            upstream_requests=1,
        ),
        Case(
            "absolute form",
            "without a path",
            200,
            raw("GET http://target.test HTTP/1.1\nHost: target.test\n\n"),
            shows="GET / HTTP",
        ),
        Case(
            "absolute form",
            "with a port",
            200,
            raw("GET http://target.test:81/x HTTP/1.1\nHost: target.test\n\n"),
            shows="host: target.test:81",
        ),
        Case(
            "absolute form",
            "https on a plaintext listener",
            200,
            raw("GET https://target.test/ HTTP/1.1\nHost: target.test\n\n"),
        ),
        Case(
            "absolute form",
            "allow_absolute_url false",
            404,
            raw("GET http://target.test/p HTTP/1.1\nHost: target.test\n\n"),
            listener="no_absolute",
        ),
        Case("asterisk form", "OPTIONS *", 404, raw("OPTIONS * HTTP/1.1\n" + _HOST + "\n")),
        Case(
            "CONNECT",
            "without a connect route",
            404,
            raw("CONNECT example.test:443 HTTP/1.1\nHost: example.test:443\n\n"),
            steps=(),
        ),
        Case("methods", "unknown token", 400, raw("FROB / HTTP/1.1\n" + _HOST + "\n")),
        Case(
            "methods", "PATCH with body", 200, request("/", method="PATCH", body=b"abc"), shows="upstream body: b'abc'"
        ),
        Case("methods", "DELETE", 200, request("/", method="DELETE")),
        Case("methods", "OPTIONS with a path", 200, request("/o", method="OPTIONS")),
        Case("methods", "TRACE", 200, request("/o", method="TRACE")),
        Case("methods", "lower case is another method", 400, raw("get / HTTP/1.1\n" + _HOST + "\n")),
        Case("request line", "empty lines before it", 200, raw("\n\nGET / HTTP/1.1\n" + _HOST + "\n")),
        Case("request line", "not HTTP", 400, raw("hello\n\n")),
        Case("host", "missing", 400, raw("GET / HTTP/1.1\n\n")),
        Case("host", "empty", 200, raw("GET / HTTP/1.1\nHost:\n\n")),
        # Framing
        Case(
            "request body", "content-length", 200, request("/", method="POST", body=b"x" * 20000), upstream_requests=1
        ),
        Case("request body", "content-length 0", 200, request("/", method="POST", headers=[("content-length", "0")])),
        Case("request body", "POST without a length", 200, request("/", method="POST")),
        Case("request body", "GET with a body", 200, request("/", body=b"abc"), shows="upstream body"),
        Case(
            "request body",
            "chunked stays chunked",
            200,
            _CHUNKED_REQUEST + chunked(b"one", b"two-two"),
            shows="upstream body: b'onetwo-two'",
        ),
        Case("request body", "chunked and empty", 200, _CHUNKED_REQUEST + chunked()),
        Case("request body", "chunk extension dropped", 200, _CHUNKED_REQUEST + b"3;name=value\r\nabc\r\n0\r\n\r\n"),
        Case(
            "request body",
            "one mebibyte",
            200,
            request("/", method="POST", body=bytes(range(256)) * 4096),
            upstream_requests=1,
        ),
        Case(
            "request body",
            "cut by the client",
            None,
            steps=(
                Send(request("/", method="POST", headers=[("content-length", "100")]) + b"half"),
                AwaitUpstream(),
                HalfClose(),
                End(),
            ),
        ),
        Case(
            "request trailers",
            "dropped by default",
            200,
            _CHUNKED_REQUEST + chunked(b"x", trailers=[("x-t", "1")]),
            lacks="x-t",
        ),
        Case(
            "request trailers",
            "enable_trailers",
            200,
            _CHUNKED_REQUEST + chunked(b"x", trailers=[("x-t", "1")]),
            listener="trailers",
            shows="upstream trailer: x-t: 1",
        ),
        Case("response body", "content-length", 200, request(), upstream=BODY_THEN(response(200, b"y" * 20000))),
        Case(
            "response body",
            "chunked stays chunked",
            200,
            request(),
            upstream=BODY_THEN(response(200, chunks=[b"one", b"two"])),
        ),
        Case("response body", "chunked and empty", 200, request(), upstream=BODY_THEN(response(200, chunks=[]))),
        Case(
            "response body",
            "to the end of the upstream connection",
            200,
            request(),
            upstream=BODY_THEN(response(200, b"until the end", length=False), CLOSE),
        ),
        Case(
            "response body",
            "two mebibytes chunked",
            200,
            request(),
            upstream=BODY_THEN(response(200, chunks=[b"z" * 65536] * 32)),
        ),
        Case("response body", "content-length 0", 200, request(), upstream=BODY_THEN(response(200, b""))),
        Case(
            "response trailers",
            "dropped by default",
            200,
            request(),
            upstream=BODY_THEN(response(200, chunks=[b"x"], trailers=[("x-t", "1")])),
        ),
        Case(
            "response trailers",
            "enable_trailers",
            200,
            request(headers=[("te", "trailers")]),
            listener="trailers",
            shows="\ntrailer: x-t: 1",
            upstream=BODY_THEN(response(200, chunks=[b"x"], trailers=[("x-t", "1")])),
        ),
        Case("HEAD", "length kept, no body", 200, request(method="HEAD"), shows="content-length: 7"),
        Case(
            "HEAD",
            "chunked upstream",
            200,
            steps=(Send(request(method="HEAD")), Receive("HEAD")),
            upstream=BODY_THEN(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        ),
        Case(
            "HEAD",
            "no framing header upstream",
            200,
            steps=(Send(request(method="HEAD")), Receive("HEAD")),
            upstream=BODY_THEN(b"HTTP/1.1 200 OK\r\n\r\n"),
        ),
        Case(
            "HEAD",
            "of a direct response has its length",
            200,
            request("/direct", method="HEAD"),
            shows="content-length: 6",
        ),
        Case("status", "204", 204, request(), upstream=BODY_THEN(response(204, b""))),
        Case(
            "status",
            "204 with content-length 0",
            204,
            request(),
            upstream=BODY_THEN(response(204, b"", [("content-length", "0")])),
        ),
        Case(
            "status",
            "304 with content-length",
            304,
            request(),
            upstream=BODY_THEN(response(304, b"", [("content-length", "100"), ("etag", "x")])),
        ),
        Case(
            "status",
            "unknown code keeps the number",
            599,
            request(),
            upstream=BODY_THEN(response(599, b"", reason="My Own Reason")),
        ),
        Case(
            "status",
            "reason of a known code is the standard one",
            404,
            request(),
            upstream=BODY_THEN(response(404, b"", reason="Nope")),
        ),
        Case(
            "status",
            "HTTP/1.0 upstream",
            200,
            request(),
            upstream=BODY_THEN(response(200, b"old", version="1.0"), CLOSE),
        ),
        Case(
            "status",
            "1xx other than 100 and 101",
            200,
            request(),
            upstream=BODY_THEN(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + response(200, b"ok")),
        ),
        Case(
            "Expect: 100-continue",
            "answered by the proxy",
            200,
            steps=(
                Send(request("/", method="POST", headers=[("expect", "100-continue"), ("content-length", "3")])),
                Pause(0.1),
                Send(b"abc"),
                Receive(),
                Kept(),
            ),
            listener="no_continue",
            shows="interim: HTTP/1.1 100 Continue",
            lacks="header: expect:",
        ),
        Case(
            "Expect: 100-continue",
            "asked of the upstream",
            200,
            steps=(
                Send(request("/", method="POST", headers=[("expect", "100-continue"), ("content-length", "3")])),
                AwaitUpstream(),
                Pause(0.1),
                Send(b"abc"),
                Receive(),
                Kept(),
            ),
            listener="with_continue",
            upstream=(b"HTTP/1.1 100 Continue\r\n\r\n", BODY, response(200, b"ok")),
            shows="upstream header: expect: 100-continue",
        ),
        Case(
            "Expect: 100-continue",
            "upstream answers without it",
            417,
            steps=(
                Send(request("/", method="POST", headers=[("expect", "100-continue"), ("content-length", "3")])),
                Receive(),
            ),
            listener="with_continue",
            upstream=(response(417, b"no"),),
        ),
        # Life of the connection
        Case(
            "keep-alive",
            "two requests on one connection",
            200,
            steps=(Send(request("/1")), Receive(), Send(request("/2")), Receive(), Kept()),
            upstream_requests=2,
        ),
        Case(
            "keep-alive",
            "connection: close from the client",
            200,
            request(headers=[("connection", "close")]),
            shows="closed, announced",
        ),
        Case(
            "keep-alive",
            "connection: close from the upstream stays there",
            200,
            request(),
            upstream=BODY_THEN(response(200, b"ok", [("connection", "close")]), CLOSE),
            shows="kept",
        ),
        Case(
            "pipelining",
            "answers in order",
            200,
            steps=(Send(request("/1") + request("/direct") + request("/3")), Receive(), Receive(), Receive(), Kept()),
        ),
        Case(
            "pipelining",
            "with bodies",
            200,
            steps=(
                Send(request("/1", method="POST", body=b"abc") + _CHUNKED_REQUEST + chunked(b"d") + request("/3")),
                Receive(),
                Receive(),
                Receive(),
                Kept(),
            ),
        ),
        Case(
            "max_requests_per_connection",
            "second answer closes",
            200,
            steps=(Send(request("/1")), Receive(), Send(request("/2")), Receive(), Kept()),
            listener="two_requests",
            shows="closed, announced",
        ),
        Case(
            "client half close",
            "ends the request",
            None,
            steps=(Send(request("/")), AwaitUpstream(), HalfClose(), End()),
            upstream=BODY_THEN(0.1, response(200, b"late")),
        ),
        # Paths
        _path("normalize_path", "dot segments", "normalize", "/a/./b/../c", "GET /a/c"),
        _path("normalize_path", "above the root stays at the root", "normalize", "/../x", "GET /x"),
        _path("normalize_path", "backslash", "normalize", "/a\\b", "GET /a/b"),
        _path("normalize_path", "escaped dots", "normalize", "/a/%2e%2e/b", "GET /b"),
        _path("normalize_path", "unreserved escapes decoded, others in upper case", "normalize", "/%61%3a%7e", "GET /"),
        _path("normalize_path", "slashes stay", "normalize", "//a///b", "GET //a///b"),
        _path("normalize_path", "query untouched", "normalize", "/a/../b?x=/../y", "GET /b?x=/../y"),
        _path("normalize_path", "bad escape passes", "normalize", "/%zz", "GET /%zz"),
        _path("normalize_path", "off: nothing changes", "main", "/a/./b/../c", "GET /a/./b/../c"),
        _path("merge_slashes", "without normalize_path", "merge", "//a///b//", "GET /a/b/"),
        _path("merge_slashes", "with normalize_path", "normalize_merge", "//a/.//../b", "GET /"),
        _path("merge_slashes", "query untouched", "merge", "//a?x=//", "GET /a?x=//"),
        _path("path_with_escaped_slashes_action", "KEEP_UNCHANGED", "escaped_keep", "/a%2fb%5Cc", "GET /a%2"),
        _path("path_with_escaped_slashes_action", "REJECT_REQUEST", "escaped_reject", "/a%2Fb", "", 400),
        _path(
            "path_with_escaped_slashes_action",
            "REJECT_REQUEST without an escaped slash",
            "escaped_reject",
            "/a/b?%2F",
            "GET /a/b",
        ),
        _path(
            "path_with_escaped_slashes_action",
            "UNESCAPE_AND_REDIRECT",
            "escaped_redirect",
            "/a%2fb?q",
            "location: /a/b?q",
            307,
        ),
        _path(
            "path_with_escaped_slashes_action", "UNESCAPE_AND_FORWARD", "escaped_forward", "/a%2Fb%5c../d", "GET /a/d"
        ),
        _path(
            "path_with_escaped_slashes_action",
            "UNESCAPE_AND_FORWARD leaves the query",
            "escaped_forward",
            "/a%2fb?%2f",
            "GET /a/b?%2f",
        ),
        _path("path", "fragment", "main", "/a#b", "", 400),
        _refused_path("fragment", "main", "/a#b"),
        _refused_path("escaped slash", "escaped_reject", "/a%2Fb"),
        _path("path", "8-bit byte", "main", "/caf\xe9", "", 400),
        _path("path", "without a slash", "main", "abc", "", 400),
        _path("path", "only a query", "main", "/?", "GET /? HTTP"),
        # Limits
        Case(
            "headers_with_underscores_action",
            "ALLOW",
            200,
            request(headers=[("x_y", "1")]),
            listener="underscore_allow",
            shows="x_y: 1",
        ),
        Case(
            "headers_with_underscores_action",
            "REJECT_REQUEST",
            400,
            request(headers=[("x_y", "1")]),
            listener="underscore_reject",
        ),
        Case(
            "headers_with_underscores_action",
            "DROP_HEADER",
            200,
            request(headers=[("x_y", "1"), ("x-z", "1")]),
            listener="underscore_drop",
            shows="x-z: 1",
            lacks="x_y",
        ),
        Case("max_request_headers_kb", "over", 431, request(headers=[("x-big", "b" * 2100)]), listener="small_headers"),
        Case(
            "max_request_headers_kb", "under", 200, request(headers=[("x-big", "b" * 1500)]), listener="small_headers"
        ),
        Case("max_request_headers_kb", "60 KiB by default", 431, request(headers=[("x-big", "b" * 62000)])),
        Case("max_request_headers_kb", "50 kB pass by default", 200, request(headers=[("x-big", "b" * 50000)])),
        Case(
            "max_headers_count",
            "over",
            431,
            request(headers=[(f"x-{i}", "1") for i in range(7)]),
            listener="few_headers",
        ),
        Case(
            "max_headers_count",
            "under",
            200,
            request(headers=[(f"x-{i}", "1") for i in range(4)]),
            listener="few_headers",
        ),
        Case("max_headers_count", "100 by default", 431, request(headers=[(f"x-{i}", "1") for i in range(101)])),
        Case(
            "response headers",
            "99 pass",
            200,
            request(),
            upstream=BODY_THEN(response(200, b"", [(f"x-{i}", "1") for i in range(95)])),
        ),
        Case(
            "response headers",
            "more than 100",
            502,
            request(),
            upstream=BODY_THEN(response(200, b"", [(f"x-{i}", "1") for i in range(105)])),
        ),
    ),
)
