# SPDX-License-Identifier: Apache-2.0
"""Which virtual host and which route a request gets."""

from harness import Case, Group

from PythonKit.bootstrap import cluster, from_yaml, hcm, listener
from PythonKit.client import request


def answers(text, status=200):
    return {"status": status, "body": {"inline_string": text}}


def host_answering(name, *domains):
    return {
        "name": name,
        "domains": list(domains),
        "routes": [{"match": {"prefix": "/"}, "direct_response": answers(name)}],
    }


_DOMAINS = [
    host_answering("exact", "exact.test", "Upper.Test"),
    host_answering("exact-beats", "deep.suffix.test"),
    host_answering("suffix-short", "*.suffix.test"),
    host_answering("suffix-long", "*.long.suffix.test"),
    host_answering("suffix-dash", "*-dash.test"),
    host_answering("prefix-short", "prefix.*"),
    host_answering("prefix-long", "prefix.long.*"),
    host_answering("suffix-over-prefix", "*.both"),
    host_answering("prefix-under-suffix", "start.*"),
    host_answering("with-port", "ported.test:8080"),
    host_answering("ipv6", "[::1]:9999"),
]


def _domain(feature, outcome, host, shows, status=200, listener_name="main"):
    return Case(feature, outcome, status, request(host=host), listener=listener_name, shows=shows)


_PATH_ROUTES = """
- {match: {path: /exact}, direct_response: {status: 200, body: {inline_string: path}}}
- {match: {path: /CaseLess, case_sensitive: false}, direct_response: {status: 200, body: {inline_string: path-ci}}}
- {match: {prefix: /PreLess/, case_sensitive: false}, direct_response: {status: 200, body: {inline_string: prefix-ci}}}
- {match: {path_separated_prefix: /sep}, direct_response: {status: 200, body: {inline_string: separated}}}
- {match: {path_separated_prefix: /SepLess, case_sensitive: false}, direct_response: {status: 200, body: {inline_string: separated-ci}}}
- {match: {safe_regex: {regex: "/re/[0-9]+(/x)?"}}, direct_response: {status: 200, body: {inline_string: regex}}}
- {match: {prefix: /first/long}, direct_response: {status: 200, body: {inline_string: first-long}}}
- {match: {prefix: /first}, direct_response: {status: 200, body: {inline_string: first-short}}}
- {match: {prefix: /first/late}, direct_response: {status: 200, body: {inline_string: never}}}
- {match: {safe_regex: {regex: "/order/.*"}}, direct_response: {status: 200, body: {inline_string: regex-before-path}}}
- {match: {path: /order/exact}, direct_response: {status: 200, body: {inline_string: never}}}
- {match: {prefix: /get-only, headers: [{name: ":method", string_match: {exact: GET}}]}, direct_response: {status: 200, body: {inline_string: only-get}}}
- {match: {prefix: /authority, headers: [{name: ":authority", string_match: {prefix: example}}]}, direct_response: {status: 200, body: {inline_string: by-authority}}}
- {match: {prefix: /scheme, headers: [{name: ":scheme", string_match: {exact: http}}]}, direct_response: {status: 200, body: {inline_string: by-scheme}}}
- {match: {prefix: /query}, direct_response: {status: 200, body: {inline_string: query-ignored}}}
- {match: {path: /raw%2Fescape}, direct_response: {status: 200, body: {inline_string: escape-kept}}}
- {match: {connect_matcher: {}}, direct_response: {status: 200, body: {inline_string: connect}}}
- {match: {prefix: "/half", runtime_fraction: {default_value: {numerator: 0, denominator: HUNDRED}}}, direct_response: {status: 200, body: {inline_string: never}}}
- {match: {prefix: "/half", runtime_fraction: {default_value: {numerator: 1000000, denominator: MILLION}}}, direct_response: {status: 200, body: {inline_string: always}}}
"""


def _path(feature, outcome, target, shows="", status=200, **more):
    return Case(feature, outcome, status, request(target, **more), listener="paths", shows=shows)


# (name of the matcher, its YAML, header lists that match, header lists that do not)
_HEADER_MATCHERS = [
    (
        "present_match true",
        "{name: x-h, present_match: true}",
        {"header there": [("x-h", "v")], "header there but empty": [("x-h", "")]},
        {"header absent": []},
    ),
    (
        "present_match false",
        "{name: x-h, present_match: false}",
        {"header absent": []},
        {"header there": [("x-h", "v")]},
    ),
    ("name only", "{name: x-h}", {"header there": [("x-h", "v")]}, {"header absent": []}),
    (
        "string_match exact",
        "{name: x-h, string_match: {exact: Value}}",
        {"same value": [("x-h", "Value")], "second of two values": [("x-h", "other"), ("x-h", "Value")]},
        {"other case": [("x-h", "value")], "longer value": [("x-h", "Value2")], "header absent": []},
    ),
    (
        "string_match exact ignore_case",
        "{name: x-h, string_match: {exact: Value, ignore_case: true}}",
        {"other case": [("x-h", "vALUE")]},
        {"other value": [("x-h", "valu")]},
    ),
    (
        "string_match prefix",
        "{name: x-h, string_match: {prefix: ab}}",
        {"starts so": [("x-h", "abc")]},
        {"inside": [("x-h", "cab")]},
    ),
    (
        "string_match suffix",
        "{name: x-h, string_match: {suffix: yz}}",
        {"ends so": [("x-h", "xyz")]},
        {"inside": [("x-h", "xyza")]},
    ),
    (
        "string_match contains",
        "{name: x-h, string_match: {contains: mid}}",
        {"inside": [("x-h", "amidst")]},
        {"absent": [("x-h", "mi-d")]},
    ),
    (
        "string_match contains ignore_case",
        "{name: x-h, string_match: {contains: MID, ignore_case: true}}",
        {"other case": [("x-h", "aMiDst")]},
        {"other value": [("x-h", "m-i-d")]},
    ),
    (
        "string_match safe_regex",
        "{name: x-h, string_match: {safe_regex: {regex: 'a[0-9]+'}}}",
        {"whole value": [("x-h", "a12")]},
        {"part of the value": [("x-h", "xa12")]},
    ),
    (
        "range_match",
        "{name: x-h, range_match: {start: -5, end: 10}}",
        {"start": [("x-h", "-5")], "inside": [("x-h", "9")]},
        {"end is outside": [("x-h", "10")], "not a number": [("x-h", "9x")]},
    ),
    (
        "invert_match",
        "{name: x-h, string_match: {exact: v}, invert_match: true}",
        {"other value": [("x-h", "w")]},
        {"same value": [("x-h", "v")], "header absent": []},
    ),
    (
        "invert_match present",
        "{name: x-h, present_match: true, invert_match: true}",
        {"header absent": []},
        {"header there": [("x-h", "v")]},
    ),
    (
        "treat_missing_header_as_empty",
        "{name: x-h, string_match: {exact: ''}, treat_missing_header_as_empty: true}",
        {"header absent": []},
        {"header there": [("x-h", "v")]},
    ),
    (
        "treat_missing_header_as_empty inverted",
        "{name: x-h, string_match: {exact: v}, treat_missing_header_as_empty: true, invert_match: true}",
        {"header absent": []},
        {"same value": [("x-h", "v")]},
    ),
]

_QUERY_MATCHERS = [
    (
        "present",
        "{name: q, present_match: true}",
        {"with a value": "?q=1", "without a value": "?q", "second parameter": "?a=b&q=1"},
        {"absent": "?p=1", "prefix of a name": "?qq=1"},
    ),
    (
        "exact",
        "{name: q, string_match: {exact: v}}",
        {"same value": "?q=v"},
        {"other value": "?q=w", "first of two counts": "?q=w&q=v"},
    ),
    ("regex", "{name: q, string_match: {safe_regex: {regex: '[0-9]+'}}}", {"whole value": "?q=12"}, {"part": "?q=12a"}),
    (
        "prefix ignore_case",
        "{name: q, string_match: {prefix: AB, ignore_case: true}}",
        {"other case": "?q=abc"},
        {"other value": "?q=bab"},
    ),
]


def _matcher_hosts():
    hosts = []
    for kind, matchers in (("headers", _HEADER_MATCHERS), ("query_parameters", _QUERY_MATCHERS)):
        for index, (_, matcher, _, _) in enumerate(matchers):
            hosts.append(
                {
                    "name": f"{kind}-{index}",
                    "domains": [f"{kind[0]}{index}.test"],
                    "routes": [
                        {"match": {"prefix": "/", kind: [from_yaml(matcher)]}, "direct_response": answers("hit")},
                        {"match": {"prefix": "/"}, "direct_response": answers("miss", 404)},
                    ],
                }
            )
    hosts.append(
        {
            "name": "two",
            "domains": ["two.test"],
            "routes": [
                {
                    "match": {
                        "prefix": "/",
                        "headers": [
                            {"name": "a", "string_match": {"exact": "1"}},
                            {"name": "b", "string_match": {"exact": "2"}},
                        ],
                    },
                    "direct_response": answers("hit"),
                },
                {"match": {"prefix": "/"}, "direct_response": answers("miss", 404)},
            ],
        }
    )
    return hosts


def _matcher_cases():
    for index, (name, _, hits, misses) in enumerate(_HEADER_MATCHERS):
        for table, status, shows in ((hits, 200, "hit"), (misses, 404, "miss")):
            for what, headers in table.items():
                yield Case(
                    f"header matcher: {name}",
                    f"{what}: {shows}",
                    status,
                    request(host=f"h{index}.test", headers=headers),
                    listener="matchers",
                    shows=f"'{shows}'",
                )
    for index, (name, _, hits, misses) in enumerate(_QUERY_MATCHERS):
        for table, status, shows in ((hits, 200, "hit"), (misses, 404, "miss")):
            for what, query in table.items():
                yield Case(
                    f"query matcher: {name}",
                    f"{what}: {shows}",
                    status,
                    request("/" + query, host=f"q{index}.test"),
                    listener="matchers",
                    shows=f"'{shows}'",
                )
    yield Case(
        "header matchers",
        "all of them must match",
        404,
        request(host="two.test", headers=[("a", "1")]),
        listener="matchers",
    )
    yield Case(
        "header matchers",
        "all of them match",
        200,
        request(host="two.test", headers=[("b", "2"), ("a", "1")]),
        listener="matchers",
    )


def _build(ports):
    forward = "[{match: {prefix: /}, route: {cluster: a}}]"
    listeners = [
        listener("main", ports["main"], hcm(virtual_hosts=_DOMAINS)),
        listener("star", ports["star"], hcm(virtual_hosts=[*_DOMAINS, host_answering("catch-all", "*")])),
        listener(
            "noport",
            ports["noport"],
            hcm(route_config={"name": "r", "virtual_hosts": _DOMAINS[:4], "ignore_port_in_host_matching": True}),
        ),
        listener("strip_any", ports["strip_any"], hcm(forward, options={"strip_any_host_port": True})),
        listener("strip_matching", ports["strip_matching"], hcm(forward, options={"strip_matching_host_port": True})),
        listener("strip_dot", ports["strip_dot"], hcm(forward, options={"strip_trailing_host_dot": True})),
        listener("paths", ports["paths"], hcm(_PATH_ROUTES)),
        listener("matchers", ports["matchers"], hcm(virtual_hosts=_matcher_hosts())),
        listener(
            "tls",
            ports["tls"],
            hcm(
                virtual_hosts=[
                    {**host_answering("secure", "secure.test"), "require_tls": "ALL"},
                    {**host_answering("external", "external.test"), "require_tls": "EXTERNAL_ONLY"},
                ]
            ),
        ),
    ]
    return listeners, [cluster("a", ports["a"])]


GROUP = Group(
    "routing",
    ("main", "star", "noport", "strip_any", "strip_matching", "strip_dot", "paths", "matchers", "tls"),
    ("a",),
    _build,
    (
        _domain("virtual host exact domain", "same name", "exact.test", "'exact'"),
        _domain("virtual host exact domain", "case of the host ignored", "EXACT.test", "'exact'"),
        _domain("virtual host exact domain", "case of the domain ignored", "upper.test", "'exact'"),
        _domain("virtual host exact domain", "beats a matching suffix", "deep.suffix.test", "'exact-beats'"),
        _domain("virtual host exact domain", "port in host makes it another name", "exact.test:80", "", 404),
        _domain("virtual host exact domain", "domain with a port", "ported.test:8080", "'with-port'"),
        _domain("virtual host exact domain", "domain with a port, host without", "ported.test", "", 404),
        _domain("virtual host exact domain", "IPv6 literal with port", "[::1]:9999", "'ipv6'"),
        _domain("virtual host suffix wildcard", "one label", "a.suffix.test", "'suffix-short'"),
        _domain("virtual host suffix wildcard", "longest wins", "a.long.suffix.test", "'suffix-long'"),
        _domain("virtual host suffix wildcard", "several labels", "a.b.c.suffix.test", "'suffix-short'"),
        _domain("virtual host suffix wildcard", "bare suffix does not match", "suffix.test", "", 404),
        _domain("virtual host suffix wildcard", "without a dot", "foo-dash.test", "'suffix-dash'"),
        _domain("virtual host suffix wildcard", "star needs at least one character", "-dash.test", "", 404),
        _domain("virtual host prefix wildcard", "short", "prefix.org", "'prefix-short'"),
        _domain("virtual host prefix wildcard", "longest wins", "prefix.long.org", "'prefix-long'"),
        _domain("virtual host prefix wildcard", "matches with a port", "prefix.org:1234", "'prefix-short'"),
        _domain("virtual host prefix wildcard", "loses to a suffix", "start.both", "'suffix-over-prefix'"),
        _domain("virtual host star", "absent: no virtual host", "nowhere.example", "", 404),
        _domain("virtual host star", "catches the rest", "nowhere.example", "'catch-all'", listener_name="star"),
        _domain(
            "virtual host star", "loses to a prefix", "start.elsewhere", "'prefix-under-suffix'", listener_name="star"
        ),
        _domain("ignore_port_in_host_matching", "exact domain", "exact.test:8443", "'exact'", listener_name="noport"),
        _domain(
            "ignore_port_in_host_matching", "suffix", "a.long.suffix.test:1", "'suffix-long'", listener_name="noport"
        ),
        Case(
            "strip_any_host_port",
            "port removed",
            200,
            request(host="x.test:8080"),
            listener="strip_any",
            shows="host: x.test",
        ),
        Case(
            "strip_any_host_port",
            "port removed from an IPv6 literal",
            200,
            request(host="[::1]:8080"),
            listener="strip_any",
            shows="host: [::1]",
        ),
        Case(
            "strip_matching_host_port",
            "other port stays",
            200,
            request(host="x.test:1"),
            listener="strip_matching",
            shows="host: x.test:1",
        ),
        Case(
            "strip_trailing_host_dot",
            "dot removed",
            200,
            request(host="x.test."),
            listener="strip_dot",
            shows="host: x.test\n",
        ),
        Case(
            "strip_trailing_host_dot",
            "dot before a port removed",
            200,
            request(host="x.test.:81"),
            listener="strip_dot",
            shows="host: x.test:81",
        ),
        Case(
            "require_tls",
            "ALL redirects",
            301,
            request("/p?q=1", host="secure.test"),
            listener="tls",
            shows="https://secure.test/p?q=1",
        ),
        Case("require_tls", "EXTERNAL_ONLY redirects", 301, request("/p", host="external.test"), listener="tls"),
        _path("match path", "same path", "/exact", "'path'"),
        _path("match path", "query not part of it", "/exact?a=b", "'path'"),
        _path("match path", "longer path", "/exact/", "", 404),
        _path("match path", "other case", "/EXACT", "", 404),
        _path("match path", "case_sensitive false", "/caseless", "'path-ci'"),
        _path("match path", "percent-encoding compared as text", "/raw%2Fescape", "'escape-kept'"),
        _path("match path", "percent-encoding in other case is another path", "/raw%2fescape", "", 404),
        _path("match prefix", "case_sensitive false", "/preLESS/x", "'prefix-ci'"),
        _path("match prefix", "query not part of it", "/query?x=/", "'query-ignored'"),
        _path("match prefix", "prefix longer than the path before the query", "/firs?t", "", 404),
        _path("match path_separated_prefix", "the prefix itself", "/sep", "'separated'"),
        _path("match path_separated_prefix", "with a segment", "/sep/a", "'separated'"),
        _path("match path_separated_prefix", "with a query", "/sep?a", "'separated'"),
        _path("match path_separated_prefix", "longer segment", "/sepa", "", 404),
        _path("match path_separated_prefix", "case_sensitive false", "/sepless/a", "'separated-ci'"),
        _path("match safe_regex", "whole path", "/re/42", "'regex'"),
        _path("match safe_regex", "query not part of it", "/re/42/x?y", "'regex'"),
        _path("match safe_regex", "part of the path", "/re/42/y", "", 404),
        _path("route order", "longer prefix first", "/first/long/x", "'first-long'"),
        _path("route order", "shorter prefix listed before a longer one", "/first/late", "'first-short'"),
        _path("route order", "regex listed before the exact path", "/order/exact", "'regex-before-path'"),
        _path("match pseudo header", ":method matches", "/get-only", "'only-get'"),
        _path("match pseudo header", ":method does not match", "/get-only", "", 404, method="PUT"),
        _path("match pseudo header", ":authority", "/authority", "'by-authority'"),
        _path("match pseudo header", ":scheme", "/scheme", "'by-scheme'"),
        _path("match runtime_fraction", "0 never and 100 always", "/half", "'always'"),
        Case(
            "match connect_matcher",
            "CONNECT without an upgrade_config",
            403,
            request("x.test:443", method="CONNECT", host="x.test:443"),
            listener="paths",
        ),
        Case("match connect_matcher", "not CONNECT", 404, request("/x"), listener="paths"),
        *_matcher_cases(),
    ),
)
