# SPDX-License-Identifier: Apache-2.0
"""Bytes passed on as they are: tcp_proxy, upgrades, CONNECT."""

from harness import Case, End, Group, HalfClose, Kept, Pause, Raw, Receive, Send

from PythonKit.bootstrap import cluster, file_access_log, hcm, listener, tcp_proxy
from PythonKit.client import request
from PythonKit.upstream import CLOSE, ECHO, HALF_CLOSE, READ_TO_END, RESET, Read, response

_WEBSOCKET = [
    ("upgrade", "websocket"),
    ("connection", "Upgrade"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-websocket-version", "13"),
]
_SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n"

_UPGRADE_ROUTES = """
- {match: {prefix: /off}, route: {cluster: a, upgrade_configs: [{upgrade_type: websocket, enabled: false}]}}
- {match: {prefix: /other}, route: {cluster: a, upgrade_configs: [{upgrade_type: other}]}}
- {match: {prefix: /}, route: {cluster: a}}
"""
_PER_ROUTE = """
- {match: {prefix: /on}, route: {cluster: a, upgrade_configs: [{upgrade_type: websocket}]}}
- {match: {prefix: /}, route: {cluster: a}}
"""
_CONNECT_ROUTES = """
- {match: {connect_matcher: {}, headers: [{name: x-forward, present_match: true}]}, route: {cluster: a}}
- {match: {connect_matcher: {}}, route: {cluster: a, upgrade_configs: [{upgrade_type: CONNECT, connect_config: {}}]}}
- {match: {prefix: /}, route: {cluster: b}}
"""

_LOG = "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %BYTES_RECEIVED% %BYTES_SENT% %PROTOCOL% %UPSTREAM_CLUSTER% %REQ(:METHOD)%\n"


def _build(ports):
    tcp_log = [file_access_log(ports.log("tcp"), _LOG)]
    listeners = [
        listener("tcp", ports["tcp"], tcp_proxy(cluster="a", access_log=tcp_log)),
        listener(
            "tcp_log_default",
            ports["tcp_log_default"],
            tcp_proxy(cluster="a", access_log=[file_access_log(ports.log("tcp_log_default"))]),
        ),
        listener(
            "tcp_dead",
            ports["tcp_dead"],
            tcp_proxy(cluster="dead", access_log=[file_access_log(ports.log("tcp_dead"), _LOG)]),
        ),
        listener(
            "tcp_empty",
            ports["tcp_empty"],
            tcp_proxy(cluster="empty", access_log=[file_access_log(ports.log("tcp_empty"), _LOG)]),
        ),
        listener("tcp_nowhere", ports["tcp_nowhere"], tcp_proxy(cluster="nowhere")),
        listener(
            "tcp_weighted",
            ports["tcp_weighted"],
            tcp_proxy(weighted_clusters={"clusters": [{"name": "a", "weight": 1000000}, {"name": "b", "weight": 1}]}),
        ),
        listener("tcp_idle", ports["tcp_idle"], tcp_proxy(cluster="a", idle_timeout="0.3s")),
        listener(
            "tcp_duration", ports["tcp_duration"], tcp_proxy(cluster="a", max_downstream_connection_duration="0.3s")
        ),
        listener(
            "upgrade",
            ports["upgrade"],
            hcm(_UPGRADE_ROUTES, options={"upgrade_configs": [{"upgrade_type": "websocket"}]}),
        ),
        listener("upgrade_route", ports["upgrade_route"], hcm(_PER_ROUTE)),
        listener(
            "connect",
            ports["connect"],
            hcm(_CONNECT_ROUTES, options={"upgrade_configs": [{"upgrade_type": "CONNECT"}]}),
        ),
    ]
    return listeners, [
        cluster("a", ports["a"]),
        cluster("b", ports["b"]),
        cluster("dead", ports["dead"]),
        cluster("empty"),
    ]


def _websocket(
    outcome,
    status,
    steps,
    upstream,
    target="/ws",
    listener_name="upgrade",
    shows="",
    feature="upgrade",
    headers=_WEBSOCKET,
    first=b"",
):
    return Case(
        feature,
        outcome,
        status,
        listener=listener_name,
        upstream=upstream,
        shows=shows,
        steps=(Send(request(target, headers=headers) + first), *steps),
    )


_NAMES = (
    "tcp",
    "tcp_log_default",
    "tcp_dead",
    "tcp_empty",
    "tcp_nowhere",
    "tcp_weighted",
    "tcp_idle",
    "tcp_duration",
    "upgrade",
    "upgrade_route",
    "connect",
)

GROUP = Group(
    "tunnels",
    _NAMES,
    ("a", "b"),
    _build,
    dead_ports=("dead",),
    cases=(
        Case(
            "tcp_proxy",
            "echo and log",
            None,
            listener="tcp",
            accept=(ECHO,),
            steps=(Send(b"hello"), Raw(5), Send(b"again"), Raw(5), HalfClose(), End()),
            log="tcp",
            shows="b'again'",
        ),
        Case(
            "tcp_proxy",
            "upstream speaks first",
            None,
            listener="tcp",
            accept=(b"220 ready\r\n", ECHO),
            steps=(Raw(11), Send(b"x"), Raw(1), HalfClose(), End()),
        ),
        Case(
            "tcp_proxy",
            "client half closes, upstream answers after it",
            None,
            listener="tcp",
            accept=(Read(3), 0.1, b"late", CLOSE),
            steps=(Send(b"abc"), HalfClose(), End()),
            shows="b'late'",
        ),
        Case(
            "tcp_proxy",
            "upstream half closes, client's bytes still arrive",
            None,
            listener="tcp",
            accept=(b"bye", HALF_CLOSE, READ_TO_END),
            steps=(Raw(3), Send(b"still here"), Pause(0.1), HalfClose(), End()),
            shows="b'still here'",
        ),
        Case("tcp_proxy", "upstream resets", None, listener="tcp", accept=(Read(1), RESET), steps=(Send(b"x"), End())),
        Case(
            "tcp_proxy",
            "connect refused closes the client",
            None,
            listener="tcp_dead",
            steps=(End(),),
            log="tcp_dead",
            shows="UF",
        ),
        Case(
            "tcp_proxy",
            "no endpoint closes the client",
            None,
            listener="tcp_empty",
            steps=(End(),),
            log="tcp_empty",
            shows="UH",
        ),
        Case(
            "tcp_proxy",
            "default log format",
            None,
            listener="tcp_log_default",
            accept=(ECHO,),
            steps=(Send(b"hello"), Raw(5), HalfClose(), End()),
            log="tcp_log_default",
        ),
        Case("tcp_proxy", "unknown cluster closes the client", None, listener="tcp_nowhere", steps=(End(),)),
        Case("tcp_proxy", "idle_timeout", None, listener="tcp_idle", accept=(ECHO,), steps=(Send(b"x"), Raw(1), End())),
        Case(
            "tcp_proxy",
            "max_downstream_connection_duration",
            None,
            listener="tcp_duration",
            accept=(ECHO,),
            steps=(Send(b"x"), Raw(1), End()),
        ),
        Case(
            "tcp_proxy",
            "one mebibyte through",
            None,
            listener="tcp",
            accept=(ECHO,),
            steps=(Send(b"m" * 1048576), HalfClose(), End()),
        ),
        _websocket(
            "accepted, bytes both ways",
            101,
            (Receive(), Send(b"ping"), Raw(4), HalfClose(), End()),
            (_SWITCH, ECHO),
            shows="raw b'ping'",
        ),
        _websocket(
            "upgrade header in other case",
            101,
            (Receive(), Send(b"ping"), Raw(4)),
            (_SWITCH, ECHO),
            target="/ws2",
            headers=[("Upgrade", "WebSocket"), ("Connection", "keep-alive, upgrade")],
        ),
        _websocket("upstream refuses with 403", 403, (Receive(), Kept()), (response(403, b"no"),)),
        _websocket("upstream speaks first after 101", 101, (Receive(), Raw(5)), (_SWITCH + b"hello", ECHO)),
        _websocket("bytes sent before the 101 arrive", 101, (Receive(), Raw(5)), (0.1, _SWITCH, ECHO), first=b"early"),
        _websocket(
            "not enabled for this type",
            403,
            (Receive(), Kept()),
            (_SWITCH, ECHO),
            headers=[("upgrade", "other"), ("connection", "upgrade")],
        ),
        _websocket(
            "type enabled by the route",
            101,
            (Receive(), Send(b"ping"), Raw(4)),
            (_SWITCH.replace(b"websocket", b"other"), ECHO),
            target="/other",
            headers=[("upgrade", "other"), ("connection", "upgrade")],
        ),
        _websocket("disabled by the route", 403, (Receive(), Kept()), (_SWITCH, ECHO), target="/off"),
        _websocket(
            "enabled by the route",
            101,
            (Receive(), Send(b"ping"), Raw(4)),
            (_SWITCH, ECHO),
            target="/on",
            listener_name="upgrade_route",
        ),
        _websocket("not enabled anywhere", 403, (Receive(), Kept()), (_SWITCH, ECHO), listener_name="upgrade_route"),
        _websocket(
            "connection header without upgrade", 200, (Receive(), Kept()), None, headers=[("upgrade", "websocket")]
        ),
        Case(
            "CONNECT",
            "terminated to TCP",
            200,
            listener="connect",
            accept=(ECHO,),
            shows="raw b'ping'",
            steps=(
                Send(request("x.test:443", method="CONNECT", host="x.test:443")),
                Receive("CONNECT"),
                Send(b"ping"),
                Raw(4),
                HalfClose(),
                End(),
            ),
        ),
        Case(
            "CONNECT",
            "forwarded to an HTTP upstream",
            200,
            listener="connect",
            upstream=(b"HTTP/1.1 200 OK\r\n\r\n", ECHO),
            shows="raw b'ping'",
            steps=(
                Send(request("x.test:443", method="CONNECT", host="x.test:443", headers=[("x-forward", "1")])),
                Receive("CONNECT"),
                Send(b"ping"),
                Raw(4),
            ),
        ),
        Case(
            "CONNECT",
            "without a port",
            400,
            listener="connect",
            steps=(Send(request("x.test", method="CONNECT", host="x.test")), Receive("CONNECT")),
        ),
        Case(
            "tcp_proxy",
            "weighted clusters, nearly all to the first",
            None,
            listener="tcp_weighted",
            accept=(ECHO,),
            steps=(Send(b"x"), Raw(1)),
            shows="upstream: a",
        ),
    ),
)
