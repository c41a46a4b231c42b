# SPDX-License-Identifier: Apache-2.0
"""Requests made again: every condition, the timeouts of an attempt, headers, bodies, limits, and what is counted."""

from cases.http2 import counters
from exchanges import Ask, OverH2
from harness import Case, Group, Receive, Send

from PythonKit import h2frames as f
from PythonKit import h2upstream as h2
from PythonKit.bootstrap import cluster, endpoint, file_access_log, hcm, http2, listener, router
from PythonKit.client import request
from PythonKit.h2upstream import Data, H2Upstream, Head, Reset, Trailers
from PythonKit.upstream import BODY, CLOSE, RESET, Upstream, by_attempt, response

_TYPE = "type.googleapis.com/envoy.extensions.retry."
_PREVIOUS_HOSTS = {
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {"@type": _TYPE + "host.previous_hosts.v3.PreviousHostsPredicate"},
        }
    ],
    "host_selection_retry_max_attempts": 50,
}
_OMIT_CANARIES = {
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.omit_canary_hosts",
            "typed_config": {"@type": _TYPE + "host.omit_canary_hosts.v3.OmitCanaryHostsPredicate"},
        }
    ],
    "host_selection_retry_max_attempts": 50,
}
_PREVIOUS_PRIORITIES = {
    "retry_priority": {
        "name": "envoy.retry_priorities.previous_priorities",
        "typed_config": {
            "@type": _TYPE + "priority.previous_priorities.v3.PreviousPrioritiesConfig", "update_frequency": 1,
        },
    },
}
_RATE_LIMIT = {"reset_headers": [{"name": "retry-after"}, {"name": "x-reset", "format": "UNIX_TIMESTAMP"}]}


def _route(path, retry_on, *, to="a", timeout="0s", around=None, route=None, **policy):
    policy = {"retry_on": retry_on, "num_retries": 2, **policy}
    action = {"cluster": to, "timeout": timeout, "retry_policy": policy, **(route or {})}
    return {"match": {"prefix": path}, "route": action, **(around or {})}


_ROUTES = [
    _route("/5xx", "5xx"),
    _route("/gateway", "gateway-error"),
    _route("/connect/dead", "connect-failure", to="dead"),
    _route("/connect", "connect-failure"),
    _route("/reset-before/dead", "reset-before-request", to="dead"),
    _route("/reset-before", "reset-before-request"),
    _route("/reset", "reset"),
    _route("/refused", "refused-stream", to="m"),
    _route("/4xx", "retriable-4xx"),
    _route("/codes", "retriable-status-codes", retriable_status_codes=[418, 425]),
    _route("/no-codes", "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"),
    _route("/headers", "retriable-headers",
           retriable_headers=[{"name": "x-again", "string_match": {"exact": "yes"}}, {"name": "x-present"}]),
    _route("/rate", "envoy-ratelimited"),
    _route("/http3", "http3-post-connect-failure"),
    _route("/unknown", "bogus, 5xx ,,never"),
    *(
        _route("/grpc/" + name, name, to="m")
        for name in ("cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable")
    ),
    _route("/m/5xx", "5xx", to="m"),
    _route("/none", "5xx", num_retries=0),
    {"match": {"prefix": "/default"},
     "route": {"cluster": "a", "timeout": "0s", "retry_policy": {"retry_on": "5xx"}}},
    _route("/try/timeout", "5xx", per_try_timeout="0.2s"),
    _route("/try/alone", "", per_try_timeout="0.2s"),
    _route("/try/longer", "5xx", timeout="0.3s", per_try_timeout="0.3s"),
    _route("/try/global", "5xx", timeout="0.4s", per_try_timeout="0.15s", num_retries=10),
    _route("/try/idle", "5xx", per_try_idle_timeout="0.2s"),
    _route("/try/grpc", "unavailable", to="m", timeout="10s", per_try_timeout="1s",
           route={"max_grpc_timeout": "10s"}),
    _route("/back-off", "5xx", rate_limited_retry_back_off=_RATE_LIMIT),
    _route("/asked", "5xx",
           retriable_request_headers=[{"name": "x-may-retry", "string_match": {"exact": "yes"}}]),
    _route("/limited", "5xx", around={"per_request_buffer_limit_bytes": 10}),
    _route("/body-limit", "5xx", around={"request_body_buffer_limit": 10}),
    _route("/pair", "5xx", to="pair", num_retries=1, **_PREVIOUS_HOSTS),
    _route("/canary", "5xx", to="canary", num_retries=1, **_OMIT_CANARIES),
    _route("/ranked/stays", "5xx", to="ranked", num_retries=1),
    _route("/ranked", "5xx", to="ranked", num_retries=1, **_PREVIOUS_PRIORITIES),
    _route("/breaker", "5xx", to="breaker"),
    _route("/budget", "5xx", to="budget"),
    _route("/full", "5xx,reset,connect-failure", to="full"),
    _route("/counted", "5xx", to="counted", around={"stat_prefix": "counted"}),
    _route("/timed", "5xx", to="timed", per_try_timeout="0.2s"),
    _route("/slow", "5xx", to="slow", rate_limited_retry_back_off=_RATE_LIMIT),
    _route("/abandoned", "5xx", to="abandoned", around={"per_request_buffer_limit_bytes": 10}),
    {"match": {"prefix": "/still-there"}, "direct_response": {"status": 200}},
    {"match": {"prefix": "/plain"}, "route": {"cluster": "a", "timeout": "0s"}},
    {"match": {"prefix": "/grpc-plain"}, "route": {"cluster": "m", "timeout": "0s"}},
]
_HOST_ROUTES = [
    {"match": {"prefix": "/still-there"}, "direct_response": {"status": 200}},
    _route("/own", "retriable-4xx"),
    {"match": {"prefix": "/"}, "route": {"cluster": "a", "timeout": "0s"}},
]
_HOSTS = [
    {"name": "all", "domains": ["*"], "routes": _ROUTES, "include_request_attempt_count": True},
    {"name": "policy", "domains": ["policy.test"], "routes": _HOST_ROUTES, "include_request_attempt_count": True,
     "include_attempt_count_in_response": True, "include_is_timeout_retry_header": True,
     "retry_policy": {"retry_on": "5xx", "num_retries": 3, "per_try_timeout": "0.2s"}},
]
_LOG = (
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %UPSTREAM_HOST% %UPSTREAM_CLUSTER% %BYTES_RECEIVED% "
    "%BYTES_SENT% %RESP(X-ENVOY-ATTEMPT-COUNT)% %REQ(X-ENVOY-ATTEMPT-COUNT)%\n"
)
_MANAGERS = {
    "main": {},
    "internal": {
        "internal_address_config": {"cidr_ranges": [{"address_prefix": "127.0.0.0", "prefix_len": 8}]},
        "use_remote_address": True,
    },
    "external": {"use_remote_address": True},
    "h2": {"codec_type": "HTTP2"},
    # Without the header that says how much time is left, which is another one each time.
    "quiet": {"http_filters": [router(suppress_envoy_headers=True)]},
}


class _Failing(Upstream):
    """Answers every request with 503."""

    def _default(self, record):
        return response(503, self.name.encode())


def _build(ports):
    listeners = [
        listener(
            name, ports[name],
            hcm(stat_prefix=name, virtual_hosts=_HOSTS,
                options={**options, "access_log": [file_access_log(ports.log(name), _LOG)]}),
        )
        for name, options in _MANAGERS.items()
    ]

    def limited(name, **thresholds):
        return cluster(name, ports["a"], circuit_breakers={"thresholds": [thresholds]})

    return listeners, [
        *(cluster(name, ports["a"]) for name in ("a", "counted", "timed", "slow", "abandoned")),
        cluster("m", ports["m"], **http2()),
        cluster("dead", ports["dead"]),
        cluster("pair", endpoint(ports["bad"]), endpoint(ports["a"]), lb_policy="RANDOM"),
        cluster("canary", endpoint(ports["bad"], metadata={"filter_metadata": {"envoy.lb": {"canary": True}}}), endpoint(ports["a"]),
                lb_policy="RANDOM"),
        cluster("ranked", load_assignment={
            "cluster_name": "ranked",
            "endpoints": [
                {"priority": 0, "lb_endpoints": [endpoint(ports["bad"])]},
                {"priority": 1, "lb_endpoints": [endpoint(ports["a"])]},
            ],
        }),
        limited("breaker", max_retries=0),
        limited("budget", retry_budget={"budget_percent": {"value": 0}, "min_retry_concurrency": 0}),
        limited("full", max_requests=0, max_pending_requests=0),
    ]


_OK = response(200, b"at last")


def _retry(feature, outcome, status, path, *scripts, shows="", method="GET", headers=(), body=b"", host=None, **more):
    """A request whose attempts are answered by these scripts; the last one answers all that follow."""
    at = more.setdefault("listener", "main")
    more.setdefault("log", at)
    if scripts:
        more["upstream"] = (BODY, by_attempt(*(s if isinstance(s, tuple) else (s,) for s in scripts)))
    fields = {"host": host} if host else {}
    data = request(path, method=method, headers=list(headers), body=body, **fields)
    return Case(feature, outcome, status, data, shows=shows, **more)


def _h2(feature, outcome, status, path, *scripts, shows="", headers=(), body=b"hello", **more):
    steps = (Ask(path, method="POST", headers=tuple(headers), body=body),)
    script = (BODY, h2.by_attempt(*scripts))
    return Case(feature, outcome, status, listener="h2", log="h2", exchange=OverH2(steps), upstream=script, shows=shows,
                **more)


_GRPC = (("content-type", "application/grpc"), ("te", "trailers"))
_UNARY = (Head(200, (("content-type", "application/grpc"),)), Data(b"\0\0\0\0\x02ok"), Trailers((("grpc-status", "0"),)))


def _only(code):
    return (Head(200, (("content-type", "application/grpc"), ("grpc-status", str(code))), True),)


def _on(condition, outcome, status, path, *scripts, **more):
    return _retry(f"retry_on {condition}", outcome, status, path, *scripts, **more)


def _stats(outcome, path, name, first, *scripts, shows, also=(), **more):
    """One request to a cluster of its own, and what it counted there and for the route, if that has a name."""
    suffixes = (
        "upstream_rq_retry", "upstream_rq_retry_success", "upstream_rq_retry_limit_exceeded",
        "upstream_rq_retry_overflow", "upstream_rq_retry_backoff_exponential", "upstream_rq_retry_backoff_ratelimited",
        "upstream_rq_per_try_timeout", "upstream_rq_timeout", "upstream_rq_total", "upstream_rq_completed",
        "retry_or_shadow_abandoned", "upstream_rq_tx_reset", "upstream_rq_rx_reset", *also,
    )
    return _retry(
        "retry statistics", outcome, first, path, *scripts, admin="/stats", log=None, shows=shows,
        admin_view=counters(
            *(f"cluster.{name}.{suffix}" for suffix in suffixes),
            *(f"vhost.all.route.{name}.upstream_rq_{suffix}" for suffix in ("total", "retry", "completed"))),
        steps=(Send(request(path, **more)), Receive()))


def _asking(outcome, status, *scripts, headers, at="internal", path="/plain", **more):
    return _retry("retry headers", outcome, status, path, *scripts, headers=headers, listener=at, **more)


_500, _503 = response(500, b"no"), response(503, b"no")
_RATE_LIMITED = (("x-envoy-ratelimited", "true"),)

GROUP = Group(
    "retries",
    tuple(_MANAGERS),
    ("a", "m", "bad"),
    _build,
    dead_ports=("dead",),
    made_by={"m": H2Upstream, "bad": _Failing},
    cases=(
        _on("5xx", "500, then an answer", 200, "/5xx", _500, _OK, shows="at last"),
        _on("5xx", "two failures, then an answer", 200, "/5xx", _500, _503, _OK, shows="x-envoy-attempt-count: 3"),
        _on("5xx", "every attempt fails", 503, "/5xx", _503, shows="503 URX via_upstream"),
        _on("5xx", "404 stays", 404, "/5xx", response(404, b"no"), _OK),
        _on("5xx", "connection closed", 200, "/5xx", CLOSE, _OK, shows="at last"),
        _on("5xx", "HEAD", 200, "/5xx", response(503, b"", [("content-length", "9")], length=False), _OK, method="HEAD",
            steps=(Send(request("/5xx", method="HEAD")), Receive("HEAD"))),
        _on("5xx", "the response had begun", 200, "/5xx",
            (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this", CLOSE), _OK, shows="CUT"),
        _on("gateway-error", "503, then an answer", 200, "/gateway", _503, _OK, shows="at last"),
        _on("gateway-error", "504, then an answer", 200, "/gateway", response(504, b"no"), _OK, shows="at last"),
        _on("gateway-error", "500 stays", 500, "/gateway", _500, _OK),
        _on("connect-failure", "refused each time", 503, "/connect/dead", shows="retried and the latest reset reason"),
        _on("connect-failure", "connection closed", 503, "/connect", CLOSE, _OK, shows="503 UC "),
        _on("reset", "connection closed", 200, "/reset", CLOSE, _OK, shows="at last"),
        _on("reset", "connection reset", 200, "/reset", RESET, _OK, shows="at last"),
        _on("reset", "half a response head", 200, "/reset", (b"HTTP/1.1 200 OK\r\ncont", CLOSE), _OK, shows="at last"),
        _on("reset", "each time", 503, "/reset", CLOSE, shows="URX"),
        _on("reset", "503 stays", 503, "/reset", _503, _OK),
        _on("reset-before-request", "the request was read", 503, "/reset-before", CLOSE, _OK, shows="503 UC "),
        _on("reset-before-request", "connection refused", 503, "/reset-before/dead", shows="URX"),
        _h2("retry_on refused-stream", "REFUSED_STREAM, then an answer", 200, "/refused", (Reset(f.REFUSED_STREAM),),
            h2.answer(200, b"at last"), shows="at last"),
        _h2("retry_on refused-stream", "CANCEL", 503, "/refused", (Reset(f.CANCEL),), h2.answer(200), shows="503 UR "),
        _on("retriable-4xx", "409, then an answer", 200, "/4xx", response(409, b"no"), _OK, shows="at last"),
        _on("retriable-4xx", "404 stays", 404, "/4xx", response(404, b"no"), _OK),
        _on("retriable-status-codes", "418, then an answer", 200, "/codes", response(418, b"no"), _OK, shows="at last"),
        _on("retriable-status-codes", "429 is not listed", 429, "/codes", response(429, b"no"), _OK),
        _on("retriable-status-codes", "425 at once", 200, "/codes", response(425, b"no"), _OK, shows="at last"),
        _on("retriable-status-codes", "none are listed", 503, "/no-codes", _503, _OK),
        _on("retriable-headers", "a value", 200, "/headers", response(200, b"no", [("x-again", "yes")]), _OK,
            shows="at last"),
        _on("retriable-headers", "presence", 200, "/headers", response(404, b"no", [("X-Present", "")]), _OK,
            shows="at last"),
        _on("retriable-headers", "another value", 200, "/headers", response(200, b"no", [("x-again", "no")]), _OK,
            shows="b'no'"),
        _on("envoy-ratelimited", "429 of a proxy", 200, "/rate", response(429, b"no", _RATE_LIMITED), _OK,
            shows="at last"),
        _on("envoy-ratelimited", "429 of a server", 429, "/rate", response(429, b"no"), _OK),
        _on("5xx", "503 of a proxy that limits the rate", 503, "/5xx", response(503, b"no", _RATE_LIMITED), _OK),
        _on("5xx", "503 of an overloaded proxy", 200, "/5xx", response(503, b"no", [("x-envoy-overloaded", "true")]),
            _OK, shows="at last"),
        _on("http3-post-connect-failure", "503 stays", 503, "/http3", _503, _OK),
        _on("unknown names", "are passed over", 200, "/unknown", _503, _OK, shows="at last"),
        *(
            _h2(f"retry_on {name}", "that status, then an answer", 200, "/grpc/" + name, _only(code), _UNARY,
                headers=_GRPC, shows="grpc-status: 0")
            for name, code in (("cancelled", 1), ("deadline-exceeded", 4), ("internal", 13), ("resource-exhausted", 8),
                               ("unavailable", 14))
        ),
        _h2("retry_on unavailable", "another status", 200, "/grpc/unavailable", _only(13), _UNARY, headers=_GRPC,
            shows="grpc-status: 13"),
        _h2("retry_on unavailable", "only in the trailers", 200, "/grpc/unavailable",
            (Head(200, (("content-type", "application/grpc"),)), Data(b"\0\0\0\0\0"), Trailers((("grpc-status", "14"),))),
            _UNARY, headers=_GRPC, shows="grpc-status: 14"),
        _h2("retry_on unavailable", "each time", 200, "/grpc/unavailable", _only(14), headers=_GRPC, shows="URX"),
        _retry("num_retries", "none", 503, "/none", _503, _OK, shows="503 URX via_upstream"),
        _retry("num_retries", "one by default", 503, "/default", _503, _503, _OK, shows="503 URX via_upstream"),
        # Timeouts.
        _retry("per_try_timeout", "slow, then an answer", 200, "/try/timeout", (0.5, _503), _OK, shows="at last"),
        _retry("per_try_timeout", "slow each time", 504, "/try/timeout", (0.5, _OK), shows="upstream_per_try_timeout"),
        _retry("per_try_timeout", "without a condition", 504, "/try/alone", (0.5, _OK), shows="504 UT upstream_per_try"),
        _retry("per_try_timeout", "as long as the route's", 504, "/try/longer", (0.6, _OK), shows="504 UT response_timeout"),
        _retry("per_try_timeout", "the route's spans all attempts", 504, "/try/global", (0.6, _OK),
               shows="504 UT response_timeout", listener="quiet"),
        _retry("per_try_timeout", "the response had begun", 200, "/try/timeout",
               (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n", 0.4, b"late"), shows="b'late'"),
        _retry("per_try_idle_timeout", "silent, then an answer", 200, "/try/idle", (0.5, _503), _OK, shows="at last"),
        _retry("per_try_idle_timeout", "silent each time", 504, "/try/idle", (0.5, _OK), shows="per_try_idle_timeout"),
        _retry("per_try_idle_timeout", "silent inside the response", 200, "/try/idle",
               (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart", 0.6), shows="CUT"),
        _h2("per_try_timeout", "in grpc-timeout", 200, "/try/grpc", _only(14), _UNARY, headers=_GRPC,
            shows="grpc-timeout: 1000m"),
        _retry("include_is_timeout_retry_header", "after a timeout", 200, "/x", (0.5, _503), _OK, host="policy.test",
               shows="x-envoy-is-timeout-retry: true"),
        _retry("include_is_timeout_retry_header", "after a status", 200, "/x", _503, _OK, host="policy.test",
               shows="x-envoy-is-timeout-retry: false"),
        # Whose policy, and what the client says.
        _retry("virtual host's retry_policy", "for a route without one", 200, "/x", _503, _503, _503, _OK,
               host="policy.test", shows="x-envoy-attempt-count: 4"),
        _retry("virtual host's retry_policy", "not for a route with its own", 503, "/own", _503, _OK, host="policy.test",
               shows="header: x-envoy-attempt-count: 1"),
        _retry("include_attempt_count_in_response", "a reply of the proxy", 503, "/x", CLOSE, host="policy.test",
               shows="header: x-envoy-attempt-count: 4"),
        _retry("retriable_request_headers", "met", 200, "/asked", _503, _OK, headers=[("x-may-retry", "yes")],
               shows="at last"),
        _retry("retriable_request_headers", "not met", 503, "/asked", _503, _OK, headers=[("x-may-retry", "no")]),
        _asking("x-envoy-retry-on", 200, _503, _OK, headers=[("x-envoy-retry-on", "5xx,cancelled")], shows="at last"),
        _asking("x-envoy-retry-on of a stranger", 503, _503, _OK, headers=[("x-envoy-retry-on", "5xx")], at="external"),
        _asking("gRPC names are not for x-envoy-retry-on", 200, response(200, b"no", [("grpc-status", "1")]), _OK,
                headers=[("x-envoy-retry-on", "cancelled")], shows="b'no'"),
        _asking("x-envoy-retry-grpc-on", 200, response(200, b"no", [("grpc-status", "1")]), _OK,
                headers=[("x-envoy-retry-grpc-on", "cancelled")], shows="at last"),
        _asking("x-envoy-max-retries", 200, _503, _503, _503, _503, _OK,
                headers=[("x-envoy-retry-on", "5xx"), ("x-envoy-max-retries", "4")], shows="attempt-count: 5"),
        _asking("x-envoy-max-retries takes the policy's place", 503, _503, _OK, path="/5xx",
                headers=[("x-envoy-max-retries", "0")], shows="503 URX via_upstream"),
        _asking("x-envoy-max-retries alone", 503, _503, _OK, headers=[("x-envoy-max-retries", "4")]),
        _asking("x-envoy-retriable-status-codes", 200, response(429, b"no"), response(404, b"no"), _OK, path="/codes",
                headers=[("x-envoy-retriable-status-codes", "404,429")], shows="at last"),
        _asking("x-envoy-retriable-header-names", 200, response(200, b"no", [("x-other", "1")]), _OK, path="/headers",
                headers=[("x-envoy-retriable-header-names", "X-None, X-Other")], shows="at last"),
        _asking("x-envoy-upstream-rq-per-try-timeout-ms", 504, (0.5, _OK),
                headers=[("x-envoy-upstream-rq-per-try-timeout-ms", "200")], shows="upstream_per_try_timeout"),
        # Bodies.
        _retry("retried body", "with a length", 200, "/5xx", _503, _OK, method="POST", body=b"x" * 30000,
               shows="at last"),
        _retry("retried body", "in chunks", 200, "/5xx", CLOSE, _OK, shows="at last",
               steps=(Send(request("/5xx", method="POST", headers=[("transfer-encoding", "chunked")])
                           + b"5\r\nhello\r\n6\r\n again\r\n0\r\n\r\n"), Receive())),
        _retry("retried body", "over the limit of the route", 503, "/limited", _503, _OK, method="POST", body=b"x" * 11,
               shows="503 - via_upstream"),
        _retry("retried body", "at the limit of the route", 200, "/limited", _503, _OK, method="POST", body=b"x" * 10,
               shows="at last"),
        _retry("retried body", "over request_body_buffer_limit", 503, "/body-limit", _503, _OK, method="POST",
               body=b"x" * 11, shows="503 - via_upstream"),
        _h2("retried body", "over HTTP/2", 200, "/m/5xx", (Head(503, (), True),), h2.answer(200, b"at last"),
            body=b"y" * 3000, shows="at last"),
        # Limits of the cluster, other hosts.
        _retry("previous_hosts", "the other host answers", 200, "/pair", spread=True, log=None, upstream=None,
               shows="b'a'", steps=tuple(s for _ in range(12) for s in (Send(request("/pair")), Receive()))),
        _retry("omit_canary_hosts", "the host that is no canary answers", 200, "/canary", spread=True, log=None, upstream=None,
               shows="b'a'", steps=tuple(s for _ in range(12) for s in (Send(request("/canary")), Receive()))),
        _retry("previous_priorities", "the other priority answers", 200, "/ranked", spread=True, log=None, upstream=None,
               shows="b'a'", steps=tuple(s for _ in range(6) for s in (Send(request("/ranked")), Receive()))),
        _retry("previous_priorities", "without it the first priority is asked again", 503, "/ranked/stays", spread=True,
               upstream=None, shows="bad", steps=(Send(request("/ranked/stays")), Receive())),
        _retry("max_retries", "none is allowed", 503, "/breaker", _503, _OK, shows="503 UO via_upstream"),
        _retry("retry_budget", "nothing is allowed", 503, "/budget", _503, _OK, shows="503 UO via_upstream"),
        _retry("retry overflow", "a full cluster is left alone", 503, "/full", shows="503 UO "),
        _stats("success", "/counted", "counted", 200, _503, _OK, shows="upstream_rq_retry_success 1",
               also=("upstream_rq_2xx", "retry.upstream_rq_5xx", "retry.upstream_rq_503", "retry.upstream_rq_completed")),
        _stats("a wait that was asked for", "/slow", "slow", 200, response(503, b"no", [("retry-after", "1")]), _OK,
               shows="backoff_ratelimited 1"),
        _stats("timeouts", "/timed", "timed", 504, (0.5, _OK), shows="per_try_timeout 3", also=("upstream_rq_5xx",)),
        _stats("body too large", "/abandoned", "abandoned", 503, _503, _OK, method="POST", body=b"x" * 11,
               shows="abandoned 1"),
    ),
)
