# SPDX-License-Identifier: Apache-2.0
"""The overload manager: what clients and stats see when a resource runs short. One bootstrap for each action, whose injected
resource is short from the start; `bypass` is a listener that the overload manager leaves alone."""

import tempfile

from exchanges import Ask, OverH2, Sleep
from harness import Case, End, Group, Kept, Pause, Receive, Reconnect, Send

from PythonKit.bootstrap import cluster, file_access_log, hcm, listener, typed
from PythonKit.client import request

_RESOURCE = "envoy.resource_monitors.injected_resource"
_TYPE = "type.googleapis.com/envoy."
_LOG = "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %PROTOCOL% %BYTES_SENT%\n"
_ROUTES = """
- {match: {prefix: /direct}, direct_response: {status: 200, body: {inline_string: direct}}}
- {match: {prefix: /}, route: {cluster: a}}
"""
_LISTENERS = ("main", "bypass", "h2", "idle")


#: Goes when the process ends.
_directory = tempfile.TemporaryDirectory(prefix="apus-overload-")


def _pressure_file(value):
    descriptor, path = tempfile.mkstemp(dir=_directory.name)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(value)
    return path


def _manager(value, *actions, **fields):
    monitor = typed(
        _RESOURCE,
        _TYPE + "extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig",
        filename=_pressure_file(value),
    )
    return {"overload_manager": {"refresh_interval": "0.05s", "resource_monitors": [monitor], "actions": actions, **fields}}


def _action(name, trigger=None, **fields):
    trigger = {"name": _RESOURCE, **(trigger or {"threshold": {"value": 0.9}})}
    return {"name": f"envoy.overload_actions.{name}", "triggers": [trigger], **fields}


def _build(ports):
    def one(name, options=None, **fields):
        log = file_access_log(ports.log(name), _LOG)
        made = hcm(_ROUTES, stat_prefix=name, options={"access_log": [log], **(options or {})})
        return listener(name, ports[name], made, **fields)

    idle = {"common_http_protocol_options": {"idle_timeout": "30s"}, "stream_idle_timeout": "30s"}
    return [
        one("main"),
        one("bypass", bypass_overload_manager=True),
        one("h2", {"codec_type": "HTTP2"}),
        one("idle", idle),
    ], [cluster("a", ports["a"])]


def _overload_stats(response):
    return "\n".join(x for x in response.body.decode().splitlines() if x.startswith("overload.") and "interval" not in x)


def _stats(outcome, shows):
    # A refresh interval passes before the first reading.
    return Case(
        "overload stats", outcome, 200, steps=(Pause(0.5), Reconnect(), Send(request("/direct")), Receive()), listener="bypass",
        admin="/stats?usedonly", admin_view=_overload_stats, shows=shows,
    )


def _after_a_while(*steps):
    return (Pause(0.3), *steps)


def _group(name, fields, *cases):
    return Group(f"overload_{name}", _LISTENERS, ("a",), _build, cases, bootstrap_fields=fields)


def _refused(outcome, data, status=503, **more):
    return Case(
        "stop_accepting_requests", outcome, status, steps=_after_a_while(Send(data), Receive(data.split(b" ")[0].decode()), Kept()),
        log="main", **more,
    )


_REQUESTS = _group(
    "requests",
    _manager("0.95", _action("stop_accepting_requests")),
    _refused("a request", request("/direct"), shows="503 - overload HTTP/1.1 16"),
    _refused("one for an upstream", request("/a"), lacks="upstream: "),
    _refused("HEAD", request("/direct", method="HEAD")),
    _refused("a request with a body", request("/a", method="POST", headers=[("content-length", "5")], body=b"hello")),
    _refused("gRPC over HTTP/1", request("/direct", method="POST", headers=[("content-type", "application/grpc")]), 200),
    _refused("a request for an unknown host and path", request("/none?x=1", host="nowhere.test")),
    Case(
        "stop_accepting_requests", "HTTP/2", 503, exchange=OverH2((Sleep(0.3), Ask("/direct"), Ask("/direct"))), listener="h2",
        log="h2",
    ),
    Case(
        "stop_accepting_requests", "gRPC over HTTP/2", 200, listener="h2", log="h2",
        exchange=OverH2((Sleep(0.3), Ask("/direct", "POST", headers=(("content-type", "application/grpc"),)))),
    ),
    Case(
        "stop_accepting_requests", "a listener that bypasses the overload manager", 200, listener="bypass",
        steps=_after_a_while(Send(request("/direct")), Receive(), Kept()), log="bypass",
    ),
    _stats("a threshold", "stop_accepting_requests.active: 1"),
)

_KEEP_ALIVE = _group(
    "keepalive",
    _manager("0.95", _action("disable_http_keepalive")),
    Case(
        "disable_http_keepalive", "HTTP/1", 200, steps=_after_a_while(Send(request("/direct")), Receive(), Kept()),
        shows="header: connection: close",
    ),
    Case("disable_http_keepalive", "an upstream's answer", 200, steps=_after_a_while(Send(request("/a")), Receive(), Kept())),
    Case(
        "disable_http_keepalive", "HTTP/1.1 with a client that closes", 200,
        steps=_after_a_while(Send(request("/direct", headers=[("connection", "close")])), Receive(), Kept()),
    ),
    Case(
        "disable_http_keepalive", "a listener that bypasses the overload manager", 200, listener="bypass",
        steps=_after_a_while(Send(request("/direct")), Receive(), Kept()), lacks="connection: close",
    ),
    Case(
        "disable_http_keepalive", "HTTP/2", 200, listener="h2", exchange=OverH2((Sleep(0.3), Ask("/direct"))),
    ),
)

_CONNECTIONS = _group(
    "connections",
    _manager("0.95", _action("reject_incoming_connections")),
    Case("reject_incoming_connections", "a connection", None, steps=_after_a_while(Reconnect(), End()), shows="to the end b''"),
    Case(
        "reject_incoming_connections", "a listener that bypasses the overload manager", 200, listener="bypass",
        steps=_after_a_while(Reconnect(), Send(request("/direct")), Receive(), Kept()),
    ),
    _stats("rejected connections", "reject_incoming_connections.scale_percent: 100"),
)

_SCALED = _group(
    "scaled",
    _manager(
        "0.75",
        _action("stop_accepting_requests", {"scaled": {"scaling_threshold": 0.8, "saturation_threshold": 0.9}}),
        _action("stop_accepting_connections", {"scaled": {"scaling_threshold": 0.5, "saturation_threshold": 1.0}}),
        _action("shrink_heap", {"threshold": {"value": 0.8}}),
        _action(
            "reduce_timeouts",
            {"scaled": {"scaling_threshold": 0.5, "saturation_threshold": 0.7}},
            typed_config={
                "@type": _TYPE + "config.overload.v3.ScaleTimersOverloadActionConfig",
                "timer_scale_factors": [
                    {"timer": "HTTP_DOWNSTREAM_CONNECTION_IDLE", "min_timeout": "0.3s"},
                    {"timer": "HTTP_DOWNSTREAM_STREAM_IDLE", "min_scale": {"value": 1}},
                ],
            },
        ),
    ),
    _stats("a scaled trigger", "stop_accepting_connections.scale_percent: 50"),
    Case(
        "reduce_timeouts", "an idle connection ends sooner", None, listener="idle",
        steps=_after_a_while(Reconnect(), End()), shows="to the end b''",
    ),
    Case(
        "reduce_timeouts", "an idle stream ends sooner", 504, request("/a"), listener="idle", log="idle",
        upstream=(3.0,), steps=_after_a_while(Reconnect(), Send(request("/a")), Receive(), Kept()),
    ),
)

GROUPS = (_REQUESTS, _KEEP_ALIVE, _CONNECTIONS, _SCALED)
