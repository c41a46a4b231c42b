# SPDX-License-Identifier: Apache-2.0
"""What a route does: clusters, redirects, direct responses, rewrites."""

from harness import Case, Group, Receive, Send

from PythonKit.bootstrap import cluster, endpoint, hcm, listener
from PythonKit.client import request

_ROUTES = """
- {match: {prefix: /weighted/first}, route: {weighted_clusters: {clusters: [{name: a, weight: 100}, {name: b, weight: 0}]}}}
- {match: {prefix: /weighted/second}, route: {weighted_clusters: {clusters: [{name: a, weight: 0}, {name: b, weight: 100}]}}}
- match: {prefix: /weighted/headers}
  route:
    weighted_clusters:
      clusters:
      - name: b
        weight: 1
        request_headers_to_add: [{header: {key: x-weighted, value: b-request}}]
        request_headers_to_remove: [x-drop]
        response_headers_to_add: [{header: {key: x-weighted-response, value: b}}]
        response_headers_to_remove: [x-upstream]
        host_rewrite_literal: weighted.test
- {match: {prefix: /cluster-header}, route: {cluster_header: x-cluster}}
- {match: {prefix: /missing/default}, route: {cluster: nowhere}}
- {match: {prefix: /missing/404}, route: {cluster: nowhere, cluster_not_found_response_code: NOT_FOUND}}
- {match: {prefix: /missing/500}, route: {cluster: nowhere, cluster_not_found_response_code: INTERNAL_SERVER_ERROR}}
- {match: {prefix: /empty}, route: {cluster: empty}}
- {match: {prefix: /dead}, route: {cluster: dead}}
- {match: {prefix: /r/host}, redirect: {host_redirect: other.test}}
- {match: {prefix: /r/https}, redirect: {https_redirect: true}}
- {match: {prefix: /r/scheme}, redirect: {scheme_redirect: ftp}}
- {match: {prefix: /r/port}, redirect: {port_redirect: 8443}}
- {match: {prefix: /r/both}, redirect: {https_redirect: true, port_redirect: 8443}}
- {match: {prefix: /r/path-query}, redirect: {path_redirect: "/new?fixed=1"}}
- {match: {prefix: /r/path}, redirect: {path_redirect: /new}}
- {match: {prefix: /r/strip}, redirect: {path_redirect: /new, strip_query: true}}
- {match: {prefix: /r/prefix/}, redirect: {prefix_rewrite: /swapped/}}
- {match: {prefix: /r/regex}, redirect: {regex_rewrite: {pattern: {regex: "^/r/regex/([^/]+)/(.*)$"}, substitution: '/\\2/\\1'}}}
- {match: {prefix: /r/302}, redirect: {path_redirect: /new, response_code: FOUND}}
- {match: {prefix: /r/303}, redirect: {path_redirect: /new, response_code: SEE_OTHER}}
- {match: {prefix: /r/307}, redirect: {path_redirect: /new, response_code: TEMPORARY_REDIRECT}}
- {match: {prefix: /r/308}, redirect: {path_redirect: /new, response_code: PERMANENT_REDIRECT}}
- {match: {prefix: /d/200}, direct_response: {status: 200, body: {inline_string: hello}}}
- {match: {prefix: /d/201}, direct_response: {status: 201, body: {inline_string: made}}}
- {match: {prefix: /d/204}, direct_response: {status: 204}}
- {match: {prefix: /d/503}, direct_response: {status: 503}}
- {match: {prefix: /d/bytes}, direct_response: {status: 200, body: {inline_bytes: aGk=}}}
- match: {prefix: /d/headers}
  direct_response: {status: 200, body: {inline_string: "{}"}}
  response_headers_to_add:
  - {header: {key: content-type, value: application/json}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}
  - {header: {key: x-direct, value: "%REQ(x-in)%"}}
- {match: {path: /w/exact}, route: {cluster: a, prefix_rewrite: /replaced}}
- {match: {prefix: /w/prefix/}, route: {cluster: a, prefix_rewrite: /}}
- {match: {prefix: /w/slash}, route: {cluster: a, prefix_rewrite: /}}
- {match: {path_separated_prefix: /w/sep}, route: {cluster: a, prefix_rewrite: /other}}
- {match: {safe_regex: {regex: "/w/re/.*"}}, route: {cluster: a, regex_rewrite: {pattern: {regex: "/w/re/(\\\\d+)"}, substitution: '/num\\1'}}}
- {match: {prefix: /w/regex}, route: {cluster: a, regex_rewrite: {pattern: {regex: "/(\\\\w)/(\\\\w+)"}, substitution: '/\\2-\\1-\\0'}}}
- {match: {prefix: /h/literal}, route: {cluster: a, host_rewrite_literal: literal.test}}
- {match: {prefix: /h/header}, route: {cluster: a, host_rewrite_header: x-new-host}}
- {match: {prefix: /h/regex}, route: {cluster: a, host_rewrite_path_regex: {pattern: {regex: "^/h/regex/([a-z]+)/.*$"}, substitution: '\\1.test'}}}
- {match: {prefix: /h/appended}, route: {cluster: a, host_rewrite_literal: literal.test, append_x_forwarded_host: true}}
- {match: {prefix: /h/unchanged-appended}, route: {cluster: a, append_x_forwarded_host: true}}
- {match: {prefix: /h/auto}, route: {cluster: named, auto_host_rewrite: true}}
- {match: {prefix: /plain}, route: {cluster: a}}
- {match: {prefix: /no-action-timeout}, route: {cluster: a, timeout: 0s}}
- {match: {prefix: /five-seconds}, route: {cluster: a, timeout: 5s}}
"""


def _build(ports):
    clusters = [
        cluster("a", ports["a"]),
        cluster("b", ports["b"]),
        cluster("empty"),
        cluster("dead", ports["dead"]),
        cluster("named", endpoint(ports["a"])),
    ]
    clusters[-1]["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["hostname"] = "endpoint.test"
    suppress = hcm(_ROUTES)
    suppress["typed_config"]["http_filters"][0]["typed_config"]["suppress_envoy_headers"] = True
    validate = {"validate_clusters": False}
    main = hcm(_ROUTES)
    for made in (main, suppress):
        made["typed_config"]["route_config"].update(validate)
    return [listener("main", ports["main"], main), listener("quiet", ports["quiet"], suppress)], clusters


def _redirect(outcome, target, status, location, **more):
    return Case("redirect", outcome, status, request(target, **more), shows=f"location: {location}")


def _rewrite(feature, outcome, target, shows, **more):
    return Case(feature, outcome, 200, request(target, **more), upstream_requests=1, shows=shows)


GROUP = Group(
    "actions",
    ("main", "quiet"),
    ("a", "b"),
    _build,
    dead_ports=("dead",),
    cases=(
        Case(
            "weighted clusters",
            "100 to the first, 0 to the second",
            200,
            steps=(*(step for _ in range(6) for step in (Send(request("/weighted/first")), Receive())),),
            shows="upstream: a GET",
            lacks="upstream: b",
        ),
        Case(
            "weighted clusters",
            "0 to the first, 100 to the second",
            200,
            steps=(*(step for _ in range(6) for step in (Send(request("/weighted/second")), Receive())),),
            shows="upstream: b GET",
            lacks="upstream: a",
        ),
        Case(
            "weighted clusters",
            "header operations and host rewrite of the chosen one",
            200,
            request("/weighted/headers", headers=[("x-drop", "1")]),
            shows="x-weighted: b-request",
            lacks="x-drop",
        ),
        Case(
            "cluster_header",
            "names a cluster",
            200,
            request("/cluster-header", headers=[("x-cluster", "b")]),
            shows="upstream: b GET",
        ),
        Case("cluster_header", "names none", 503, request("/cluster-header", headers=[("x-cluster", "zzz")])),
        Case("cluster_header", "header absent", 503, request("/cluster-header")),
        Case("cluster not found", "503 by default", 503, request("/missing/default")),
        Case("cluster not found", "NOT_FOUND", 404, request("/missing/404")),
        Case("cluster not found", "INTERNAL_SERVER_ERROR", 500, request("/missing/500")),
        Case("cluster without endpoints", "no healthy upstream", 503, request("/empty"), shows="no healthy upstream"),
        Case(
            "connect failure",
            "503 with the reason",
            503,
            request("/dead"),
            shows="reset reason: remote connection failure",
        ),
        Case("no route", "404 without body", 404, request("/nothing"), shows="body: b''"),
        _redirect("host_redirect", "/r/host/x?q=1", 301, "http://other.test/r/host/x?q=1"),
        _redirect(
            "host_redirect drops the port of the host",
            "/r/host/x",
            301,
            "http://other.test/r/host/x",
            host="example.test:8080",
        ),
        _redirect("https_redirect", "/r/https?q", 301, "https://example.test/r/https?q"),
        _redirect(
            "https_redirect of a host with port 80",
            "/r/https",
            301,
            "https://example.test/r/https",
            host="example.test:80",
        ),
        _redirect("scheme_redirect", "/r/scheme", 301, "ftp://example.test/r/scheme"),
        _redirect("port_redirect", "/r/port", 301, "http://example.test:8443/r/port"),
        _redirect(
            "port_redirect replaces a port", "/r/port", 301, "http://example.test:8443/r/port", host="example.test:81"
        ),
        _redirect("https and port", "/r/both", 301, "https://example.test:8443/r/both"),
        _redirect("path_redirect keeps the query", "/r/path?a=b", 301, "http://example.test/new?a=b"),
        _redirect("path_redirect with its own query", "/r/path-query?a=b", 301, "http://example.test/new?fixed=1"),
        _redirect("strip_query", "/r/strip?a=b", 301, "http://example.test/new"),
        _redirect("prefix_rewrite", "/r/prefix/x?a", 301, "http://example.test/swapped/x?a"),
        _redirect("regex_rewrite", "/r/regex/one/two?a", 301, "http://example.test/two/one?a"),
        _redirect("302 FOUND", "/r/302", 302, "http://example.test/new"),
        _redirect("303 SEE_OTHER", "/r/303", 303, "http://example.test/new"),
        _redirect("307 TEMPORARY_REDIRECT", "/r/307", 307, "http://example.test/new"),
        _redirect("308 PERMANENT_REDIRECT", "/r/308", 308, "http://example.test/new"),
        _redirect("POST with a body", "/r/path", 301, "http://example.test/new", method="POST", body=b"abc"),
        Case("direct_response", "200 with a body", 200, request("/d/200"), shows="b'hello'"),
        Case(
            "direct_response",
            "201 has a location",
            201,
            request("/d/201?x=1"),
            shows="location: http://example.test/d/201?x=1",
        ),
        Case("direct_response", "204", 204, request("/d/204")),
        Case("direct_response", "503 without a body", 503, request("/d/503")),
        Case("direct_response", "inline_bytes", 200, request("/d/bytes"), shows="b'hi'"),
        Case(
            "direct_response",
            "response headers of the route",
            200,
            request("/d/headers", headers=[("x-in", "v")]),
            shows="x-direct: v",
        ),
        Case(
            "direct_response",
            "HEAD has the length and no body",
            200,
            request("/d/200", method="HEAD"),
            shows="content-length: 5",
        ),
        Case(
            "direct_response",
            "POST body not waited for: closed",
            200,
            request("/d/200", method="POST", body=b"x" * 100),
            shows="closed, announced",
        ),
        _rewrite("prefix_rewrite", "of an exact path", "/w/exact?q=1", "GET /replaced?q=1"),
        _rewrite("prefix_rewrite", "of a prefix", "/w/prefix/a/b", "GET /a/b"),
        _rewrite("prefix_rewrite", "to a slash before a slash gives two", "/w/slash/x", "GET //x"),
        _rewrite("prefix_rewrite", "of a path_separated_prefix", "/w/sep/x?y", "GET /other/x?y"),
        _rewrite(
            "prefix_rewrite",
            "keeps the old path in x-envoy-original-path",
            "/w/prefix/z?y",
            "x-envoy-original-path: /w/prefix/z?y",
        ),
        _rewrite("regex_rewrite", "of a regex match", "/w/re/42/x?keep=/w/re/7", "GET /num42/x?keep=/w/re/7"),
        _rewrite("regex_rewrite", "all matches, whole match as \\0", "/w/regex", "GET /regex-w-/w/regex"),
        _rewrite("host_rewrite_literal", "replaces", "/h/literal", "host: literal.test"),
        _rewrite(
            "host_rewrite_header",
            "header there",
            "/h/header",
            "host: fromheader.test",
            headers=[("x-new-host", "fromheader.test")],
        ),
        _rewrite("host_rewrite_header", "header absent", "/h/header", "host: example.test"),
        _rewrite("host_rewrite_path_regex", "from the path", "/h/regex/abc/x", "host: abc.test"),
        _rewrite("auto_host_rewrite", "hostname of the endpoint", "/h/auto", "host: endpoint.test"),
        _rewrite("append_x_forwarded_host", "after a rewrite", "/h/appended", "x-forwarded-host: example.test"),
        _rewrite(
            "append_x_forwarded_host",
            "appends to a given one",
            "/h/appended",
            "x-forwarded-host: first.test,example.test",
            headers=[("x-forwarded-host", "first.test")],
        ),
        Case(
            "append_x_forwarded_host",
            "no rewrite, no header",
            200,
            request("/h/unchanged-appended"),
            lacks="x-forwarded-host",
        ),
        _rewrite(
            "x-envoy-expected-rq-timeout-ms", "15 s by default", "/plain", "x-envoy-expected-rq-timeout-ms: 15000"
        ),
        _rewrite(
            "x-envoy-expected-rq-timeout-ms",
            "the route's timeout",
            "/five-seconds",
            "x-envoy-expected-rq-timeout-ms: 5000",
        ),
        Case(
            "x-envoy-expected-rq-timeout-ms",
            "no timeout, no header",
            200,
            request("/no-action-timeout"),
            lacks="expected-rq-timeout",
        ),
        Case(
            "suppress_envoy_headers",
            "none upstream nor downstream",
            200,
            request("/plain"),
            listener="quiet",
            lacks="x-envoy-",
        ),
        Case(
            "suppress_envoy_headers", "x-envoy-original-path stays away", 200, request("/w/prefix/z"), listener="quiet"
        ),
    ),
)
