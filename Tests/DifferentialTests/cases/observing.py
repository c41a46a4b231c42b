# SPDX-License-Identifier: Apache-2.0
"""Load balancing order, the admin endpoints, and the statistics a known traffic leaves behind."""

import json
import re

from harness import Case, Group, Receive, Send

from PythonKit.bootstrap import cluster, endpoint, hcm, listener, tcp_proxy
from PythonKit.client import request

_ROUTES = """
- {match: {prefix: /rr}, route: {cluster: equal}}
- {match: {prefix: /weighted}, route: {cluster: weighted}}
- {match: {prefix: /priority}, route: {cluster: priority}}
- {match: {prefix: /unhealthy}, route: {cluster: unhealthy}}
- {match: {prefix: /draining}, route: {cluster: draining}}
- {match: {prefix: /random}, route: {cluster: random}}
- {match: {prefix: /least}, route: {cluster: least}}
- {match: {prefix: /direct}, direct_response: {status: 200, body: {inline_string: d}}}
- {match: {prefix: /redirect}, redirect: {path_redirect: /x}}
- {match: {prefix: /dead}, route: {cluster: dead}}
- {match: {prefix: /counted}, route: {cluster: counted}}
"""


def _build(ports):
    trio = [ports["a"], ports["b"], ports["c"]]
    priority = cluster("priority", ports["a"])
    priority["load_assignment"]["endpoints"] = [
        {"priority": 0, "lb_endpoints": [endpoint(ports["b"])]},
        {"priority": 1, "lb_endpoints": [endpoint(ports["a"])]},
    ]
    return [
        listener("main", ports["main"], hcm(_ROUTES, stat_prefix="in")),
        listener("counted", ports["counted"], hcm(_ROUTES, stat_prefix="counted")),
        listener("tcp", ports["tcp"], tcp_proxy(cluster="equal", stat_prefix="through")),
    ], [
        cluster("equal", endpoint(ports["a"], metadata={"filter_metadata": {"envoy.lb": {"canary": True}}}), *trio[1:], lb_policy="ROUND_ROBIN"),
        cluster("weighted", endpoint(ports["a"], weight=3), endpoint(ports["b"], weight=1), lb_policy="ROUND_ROBIN"),
        cluster("random", *trio, lb_policy="RANDOM"),
        cluster("least", *trio, lb_policy="LEAST_REQUEST"),
        priority,
        cluster(
            "unhealthy",
            endpoint(ports["a"], health_status="UNHEALTHY"),
            endpoint(ports["b"]),
            common_lb_config={"healthy_panic_threshold": {"value": 0}},
        ),
        cluster(
            "draining",
            endpoint(ports["a"], health_status="DRAINING"),
            endpoint(ports["b"], metadata={"filter_metadata": {"envoy.lb": {"canary": True}}}),
            common_lb_config={"healthy_panic_threshold": {"value": 0}},
        ),
        cluster("dead", ports["dead"]),
        cluster("counted", ports["c"]),
    ]


def _many(target, count):
    return tuple(step for i in range(count) for step in (Send(request(f"{target}/{i}")), Receive()))


_COUNTERS = (
    "http.counted.downstream_rq_total",
    "http.counted.downstream_rq_2xx",
    "http.counted.downstream_rq_3xx",
    "http.counted.downstream_rq_4xx",
    "http.counted.downstream_rq_5xx",
    "http.counted.downstream_rq_completed",
    "http.counted.downstream_cx_total",
    "http.counted.downstream_rq_http1_total",
    "http.counted.no_route",
    "http.counted.rq_direct_response",
    "http.counted.rq_redirect",
    "http.counted.rq_total",
    "cluster.counted.upstream_rq_total",
    "cluster.counted.upstream_rq_2xx",
    "cluster.counted.upstream_rq_200",
    "cluster.counted.upstream_rq_completed",
    "cluster.counted.upstream_cx_total",
    "cluster.counted.membership_total",
    "cluster.counted.membership_healthy",
    "cluster.dead.upstream_cx_connect_fail",
    "cluster.dead.upstream_rq_503",
    "cluster.dead.upstream_rq_5xx",
    "cluster.dead.upstream_cx_total",
)


def _counters(answer):
    values = dict(line.split(": ", 1) for line in answer.body.decode().splitlines() if ": " in line)
    return "\n".join(f"{name} {values.get(name, 'absent')}" for name in _COUNTERS)


def _prometheus(answer):
    """Names and types of what the traffic must have made, not values."""
    lines = answer.body.decode().splitlines()
    wanted = (
        "envoy_http_downstream_rq_total",
        "envoy_http_downstream_rq_xx",
        "envoy_cluster_upstream_rq_total",
        "envoy_cluster_upstream_rq_xx",
        "envoy_cluster_upstream_cx_total",
        "envoy_http_downstream_cx_active",
        "envoy_server_live",
        "envoy_listener_downstream_cx_total",
    )
    types = sorted(line for line in lines if line.startswith("# TYPE ") and line.split()[2] in wanted)
    series = sorted(
        {
            re.sub(r"\} .*", "}", line)
            for line in lines
            if line.startswith(("envoy_http_downstream_rq_xx{", "envoy_cluster_upstream_rq_total{"))
            and "counted" in line
        }
    )
    return "\n".join(types + series)


def _cluster_lines(answer):
    lines = answer.body.decode().splitlines()
    return "\n".join(
        sorted(
            line
            for line in lines
            if re.match(
                r"(equal|weighted|unhealthy|draining)::(default_priority::max_(connections|pending_requests|requests|retries)|added_via_api|.*::(health_flags|weight|priority|region|zone|sub_zone|canary|hostname))::?",
                line,
            )
        )
    )


def _cluster_json(answer):
    clusters = {c["name"]: c for c in json.loads(answer.body)["cluster_statuses"]}
    return json.dumps(
        [(h["address"], h.get("weight"), h.get("health_status")) for name in ("weighted", "draining") for h in clusters[name]["host_statuses"]],
        sort_keys=True,
    )


def _server_info(answer):
    info = json.loads(answer.body)
    return json.dumps(
        [
            info["state"],
            info["node"]["id"],
            info["node"]["cluster"],
            sorted(
                set(info)
                & {
                    "version",
                    "state",
                    "uptime_current_epoch",
                    "uptime_all_epochs",
                    "hot_restart_version",
                    "command_line_options",
                    "node",
                }
            ),
            info["command_line_options"]["concurrency"],
            info["command_line_options"].get("disable_hot_restart"),
        ]
    )


def _config_dump(answer):
    configs = json.loads(answer.body)["configs"]
    by_type = {c["@type"].rsplit(".", 1)[1]: c for c in configs}
    return json.dumps(
        [
            sorted(by_type),
            sorted(by_type["BootstrapConfigDump"]["bootstrap"]["static_resources"]),
            sorted(c["cluster"]["name"] for c in by_type["ClustersConfigDump"]["static_clusters"]),
            sorted(c["listener"]["name"] for c in by_type["ListenersConfigDump"]["static_listeners"]),
            sorted(c["route_config"]["name"] for c in by_type["RoutesConfigDump"]["static_route_configs"]),
        ]
    )


def _stat_names(answer):
    """Names of what is used, of the scopes every dashboard reads."""
    names = {line.split(": ")[0] for line in answer.body.decode().splitlines()}
    return "\n".join(
        sorted(
            n
            for n in names
            if re.fullmatch(
                r"(http\.counted\.downstream_(rq|cx)_(total|\dxx|active|completed|http1_total)|cluster\.counted\.upstream_(rq|cx)_(total|2xx|200|active|completed|http1_total)|"
                r"listener_manager\.(workers_started|total_listeners_active|lds\.update_success)|server\.(live|state|concurrency)|cluster_manager\.(active_clusters|cluster_added))",
                n,
            )
        )
    )


def _help(answer):
    named = set(re.findall(r"(?m)^\s*(/[\w/]+)", answer.body.decode()))
    return "\n".join(
        sorted(
            named
            & {
                "/ready",
                "/stats",
                "/stats/prometheus",
                "/clusters",
                "/listeners",
                "/config_dump",
                "/server_info",
                "/quitquitquit",
                "/help",
            }
        )
    )


def _admin(outcome, path, view=None, status=200, shows=""):
    return Case("admin", outcome, status, admin=path, admin_view=view, shows=shows)


GROUP = Group(
    "observing",
    ("main", "counted", "tcp"),
    ("a", "b", "c"),
    _build,
    dead_ports=("dead",),
    cases=(
        Case(
            "ROUND_ROBIN",
            "three equal endpoints take turns",
            200,
            steps=_many("/rr", 9),
            rotation=True,
            shows="a b c a b c a b c",
        ),
        Case(
            "ROUND_ROBIN", "weights 3 and 1", 200, steps=_many("/weighted", 16), rotation=True, shows="a a a b a a a b"
        ),
        Case(
            "RANDOM",
            "every endpoint in 60 requests",
            200,
            steps=_many("/random", 60),
            spread=True,
            shows="b'a' b'b' b'c'",
        ),
        Case(
            "LEAST_REQUEST",
            "every endpoint in 60 requests",
            200,
            steps=_many("/least", 60),
            spread=True,
            shows="b'a' b'b' b'c'",
        ),
        Case(
            "endpoint priority",
            "the first healthy priority only",
            200,
            steps=_many("/priority", 3),
            lacks="upstream: a",
        ),
        Case("endpoint health_status", "UNHEALTHY is not used", 200, steps=_many("/unhealthy", 4), lacks="upstream: a"),
        Case("endpoint health_status", "DRAINING is not used", 200, steps=_many("/draining", 4), lacks="upstream: a"),
        Case(
            "statistics",
            "values after known traffic",
            503,
            listener="counted",
            admin="/stats",
            admin_view=_counters,
            steps=(
                *(
                    step
                    for target in ("/counted", "/counted", "/direct", "/redirect", "/none", "/dead")
                    for step in (Send(request(target)), Receive())
                ),
            ),
            shows="upstream_rq_200 2",
        ),
        _admin("ready", "/ready", shows="LIVE"),
        _admin("server_info", "/server_info", _server_info, shows="LIVE"),
        _admin(
            "listeners text",
            "/listeners",
            lambda a: "\n".join(sorted(a.body.decode().splitlines())),
            shows="main::127.0.0.1",
        ),
        _admin("listeners json", "/listeners?format=json", lambda a: json.dumps(json.loads(a.body), sort_keys=True)),
        _admin("clusters text", "/clusters", _cluster_lines, shows="equal::added_via_api::false"),
        _admin("clusters json", "/clusters?format=json", _cluster_json),
        _admin("prometheus names and labels", "/stats/prometheus", _prometheus, shows="counted"),
        _admin("stats usedonly", "/stats?usedonly", _stat_names, shows="workers_started"),
        _admin("stats filter", "/stats?filter=^cluster\\.counted\\.upstream_rq_(total|200)$", shows="upstream_rq_200"),
        _admin(
            "stats json",
            "/stats?format=json&filter=cluster.counted.upstream_rq_200",
            lambda a: json.dumps(json.loads(a.body)),
            shows="upstream_rq_200",
        ),
        _admin("config_dump names", "/config_dump", _config_dump),
        _admin("help lists the paths", "/help", _help, shows="/quitquitquit"),
        _admin("unknown path", "/nonsense", lambda a: "", status=404),
        _admin("POST only", "/quitquitquit", lambda a: "", status=405),
    ),
)
