# SPDX-License-Identifier: Apache-2.0
"""Draining on admin's word with `--drain-strategy immediate`: what clients of the drained listeners see, and of the others.

Each group is drained by its first case and stays so; every case says so again, for a case may run alone."""

from exchanges import Ask, AwaitEnd, Open, OverH2, Sleep
from harness import Admin, Case, Group, Kept, Receive, Reconnect, Send

from PythonKit.bootstrap import cluster, hcm, listener, tcp_proxy
from PythonKit.client import request
from PythonKit.upstream import BODY, response

_ROUTES = """
- {match: {prefix: /direct}, direct_response: {status: 200, body: {inline_string: direct}}}
- {match: {prefix: /}, route: {cluster: a}}
"""
_LISTENERS = ("inbound", "outbound", "plain", "h2", "modify_only", "tcp")


def _build(ports):
    def one(name, options=None, **fields):
        return listener(name, ports[name], hcm(_ROUTES, stat_prefix=name, options=options), **fields)

    return [
        one("inbound", traffic_direction="INBOUND"),
        one("outbound", traffic_direction="OUTBOUND"),
        one("plain"),
        one("h2", {"codec_type": "HTTP2", "drain_timeout": "0.3s"}, traffic_direction="INBOUND"),
        one("modify_only", traffic_direction="INBOUND", drain_type="MODIFY_ONLY"),
        listener("tcp", ports["tcp"], tcp_proxy(cluster="a"), traffic_direction="INBOUND"),
    ], [cluster("a", ports["a"])]


def _draining(feature, path, cases):
    def made(outcome, status, listener, *steps, **more):
        return Case(feature, outcome, status, steps=steps, listener=listener, **more)

    return [made(outcome, *rest[:-1], *_fill(rest[-1], Admin(path))) for outcome, *rest in cases]


def _fill(steps, admin):
    return [admin if step is Admin else step for step in steps]


_ASK = (Send(request("/direct")), Receive())
_CASES = (
    ("an open connection", 200, "inbound", (*_ASK, Admin, *_ASK, Kept())),
    ("a new connection", 200, "inbound", (Admin, Reconnect(), *_ASK, Kept())),
    ("an upstream's answer", 200, "inbound", (Admin, Reconnect(), Send(request("/a")), Receive(), Kept())),
    ("a listener of the other direction", 200, "outbound", (*_ASK, Admin, *_ASK, Kept())),
    ("a listener without a direction", 200, "plain", (*_ASK, Admin, *_ASK, Kept())),
    ("a listener of type MODIFY_ONLY", 200, "modify_only", (Admin, Reconnect(), *_ASK, Kept())),
    ("a TCP connection stays", 200, "tcp", (Admin, Reconnect(), *_ASK, Kept())),
)

_INBOUND = Group(
    "drain_inbound", _LISTENERS, ("a",), _build,
    (
        *_draining("drain inboundonly", "/drain_listeners?inboundonly&graceful&skip_exit", _CASES),
        Case(
            "drain inboundonly", "HTTP/2 says GOAWAY", 200, listener="h2",
            exchange=OverH2((Ask("/direct"), Sleep(0.6))),
        ),
        Case(
            "drain inboundonly", "an HTTP/2 stream that is open is served", 200, listener="h2", upstream=(BODY, 0.8, response(200, b"late")),
            exchange=OverH2((Open("/a", end=True), Ask("/direct"), AwaitEnd(stream=0))),
        ),
    ),
    arguments=("--drain-strategy", "immediate", "--drain-time-s", "60"),
)

_UNHEALTHY = Group(
    "unhealthy", _LISTENERS, ("a",), _build,
    tuple(_draining("healthcheck/fail", "/healthcheck/fail", (
        ("an open connection", 200, "inbound", (*_ASK, Admin, *_ASK, Kept())),
        ("a listener without a direction", 200, "plain", (Admin, Reconnect(), *_ASK, Kept())),
        ("a listener of type MODIFY_ONLY", 200, "modify_only", (Admin, Reconnect(), *_ASK, Kept())),
    )) + _draining("healthcheck/ok", "/healthcheck/ok", (
        ("connections are kept again", 200, "inbound", (Admin, Reconnect(), *_ASK, Kept())),
    ))),
)

_STOPPED = Group(
    "drain_stopped", ("inbound", "outbound", "plain", "h2", "modify_only", "tcp"), ("a",), _build,
    tuple(_draining("drain_listeners", "/drain_listeners", (
        ("an open connection is asked to go", 200, "inbound", (*_ASK, Admin, *_ASK, Kept())),
    ))),
    arguments=("--drain-strategy", "immediate"),
)

GROUPS = (_INBOUND, _UNHEALTHY, _STOPPED)
