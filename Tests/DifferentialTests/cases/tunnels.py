# SPDX-License-Identifier: Apache-2.0
"""Bytes passed on as they are: tcp_proxy, upgrades, CONNECT, and who gets a connection: filter chains and listener filters."""

from harness import BODY_THEN, AwaitUpstream, Case, End, Group, HalfClose, Kept, Pause, Raw, Receive, Reconnect, Send

from PythonKit import proxyprotocol as pp
from PythonKit.bootstrap import (
    address, cluster, endpoint, file_access_log, hcm, http_inspector, listener, proxy_protocol, tcp_proxy, typed,
)
from PythonKit.client import request
from PythonKit.upstream import CLOSE, ECHO, HALF_CLOSE, READ_TO_END, RESET, Read, response

_WEBSOCKET = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="), ("sec-websocket-version", "13")]
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


def says(text):
    return hcm([{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": text}}}])


def chain(text, **match):
    result = {"name": text, "filters": [says(text)]}
    if match:
        result["filter_chain_match"] = match
    return result


def cidr(prefix, length):
    return [{"address_prefix": prefix, "prefix_len": length}]


def _build(ports):
    tcp_log = [file_access_log(ports.log("tcp"), _LOG)]
    remote = [{"match": {"prefix": "/"}, "route": {"cluster": "a"}, "request_headers_to_add": [
        {"header": {"key": "x-remote", "value": "%DOWNSTREAM_REMOTE_ADDRESS%"}},
        {"header": {"key": "x-local", "value": "%DOWNSTREAM_LOCAL_ADDRESS%"}},
        {"header": {"key": "x-direct", "value": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"}}]}]
    listeners = [
        listener("tcp", ports["tcp"], tcp_proxy(cluster="a", access_log=tcp_log)),
        listener("tcp_log_default", ports["tcp_log_default"], tcp_proxy(cluster="a", access_log=[file_access_log(ports.log("tcp_log_default"))])),
        listener("tcp_dead", ports["tcp_dead"], tcp_proxy(cluster="dead", access_log=[file_access_log(ports.log("tcp_dead"), _LOG)])),
        listener("tcp_empty", ports["tcp_empty"], tcp_proxy(cluster="empty", access_log=[file_access_log(ports.log("tcp_empty"), _LOG)])),
        listener("tcp_nowhere", ports["tcp_nowhere"], tcp_proxy(cluster="nowhere")),
        listener("tcp_weighted", ports["tcp_weighted"], tcp_proxy(
            weighted_clusters={"clusters": [{"name": "a", "weight": 1000000}, {"name": "b", "weight": 1}]})),
        listener("tcp_idle", ports["tcp_idle"], tcp_proxy(cluster="a", idle_timeout="0.3s")),
        listener("tcp_duration", ports["tcp_duration"], tcp_proxy(cluster="a", max_downstream_connection_duration="0.3s")),
        listener("upgrade", ports["upgrade"], hcm(_UPGRADE_ROUTES, options={"upgrade_configs": [{"upgrade_type": "websocket"}]})),
        listener("upgrade_route", ports["upgrade_route"], hcm(_PER_ROUTE)),
        listener("connect", ports["connect"], hcm(_CONNECT_ROUTES, options={"upgrade_configs": [{"upgrade_type": "CONNECT"}]})),
        # Filter chains
        listener("by_destination", ports["by_destination"], host="0.0.0.0", chains=[
            chain("ten-eight", prefix_ranges=cidr("127.0.0.0", 8)), chain("one", prefix_ranges=cidr("127.0.0.1", 32)),
            chain("two-net", prefix_ranges=cidr("127.0.2.0", 24)), chain("rest")]),
        listener("by_source", ports["by_source"], host="0.0.0.0", chains=[
            chain("from-two", source_prefix_ranges=cidr("127.0.0.2", 32)), chain("from-net", source_prefix_ranges=cidr("127.0.1.0", 24)),
            chain("from-port", source_prefix_ranges=cidr("127.0.3.1", 32), source_ports=[ports["source"]])]),
        listener("by_source_type", ports["by_source_type"], host="0.0.0.0", chains=[
            chain("local", source_type="SAME_IP_OR_LOOPBACK"), chain("external", source_type="EXTERNAL")]),
        listener("by_direct_source", ports["by_direct_source"], listener_filters=[proxy_protocol()], chains=[
            chain("direct-local", direct_source_prefix_ranges=cidr("127.0.0.1", 32)), chain("direct-other")]),
        listener("by_port", ports["by_port"], chains=[
            chain("this-port", destination_port=ports["by_port"]), chain("other-port", destination_port=9), chain("no-port")]),
        listener("by_port_only", ports["by_port_only"], chains=[
            chain("this-port-from-two", destination_port=ports["by_port_only"], source_prefix_ranges=cidr("127.0.0.2", 32)), chain("no-port")]),
        listener("by_port_default", ports["by_port_default"], chains=[
            chain("this-port-from-two", destination_port=ports["by_port_default"], source_prefix_ranges=cidr("127.0.0.2", 32)), chain("no-port")],
            default_filter_chain=chain("default")),
        listener("by_protocol", ports["by_protocol"], listener_filters=[http_inspector()], chains=[
            {"name": "http", "filter_chain_match": {"application_protocols": ["http/1.1"]}, "filters": [says("sniffed-1.1")]},
            {"name": "http10", "filter_chain_match": {"application_protocols": ["http/1.0"]},
             "filters": [hcm([{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "sniffed-1.0"}}}],
                             options={"http_protocol_options": {"accept_http_10": True}})]},
            {"name": "tcp", "filters": [tcp_proxy(cluster="a")]}]),
        listener("by_transport", ports["by_transport"], chains=[
            chain("raw", transport_protocol="raw_buffer"), chain("tls", transport_protocol="tls")]),
        listener("only_tls", ports["only_tls"], chains=[chain("tls", transport_protocol="tls")],
                 access_log=[file_access_log(ports.log("only_tls"), "%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% %DOWNSTREAM_LOCAL_ADDRESS%\n")]),
        listener("fallback", ports["fallback"], chains=[chain("tls", transport_protocol="tls")], default_filter_chain=chain("default")),
        listener("additional", ports["additional"], says("both"), additional_addresses=[{"address": address(ports["additional2"])}]),
        {**listener("unix", ports["unix"], says("unix")), "address": {"pipe": {"path": ports.socket("unix")}}},
        listener("original", ports["original"], hcm([{"match": {"prefix": "/header"}, "route": {"cluster": "original_by_header"}},
                                                    {"match": {"prefix": "/"}, "route": {"cluster": "original"}}])),
        listener("original_proxied", ports["original_proxied"], hcm([{"match": {"prefix": "/"}, "route": {"cluster": "original"}}]),
                 listener_filters=[proxy_protocol()]),
        listener("original_tcp", ports["original_tcp"], tcp_proxy(cluster="original"), listener_filters=[proxy_protocol()]),
        listener("v6", ports["v6"], says("six"), host="::1"),
        # PROXY protocol
        listener("proxied", ports["proxied"], hcm(remote, options={"use_remote_address": True}), listener_filters=[proxy_protocol()]),
        listener("proxied_optional", ports["proxied_optional"], hcm(remote), listener_filters=[proxy_protocol(allow_requests_without_proxy_protocol=True)]),
        listener("proxied_tcp", ports["proxied_tcp"], tcp_proxy(cluster="a"), listener_filters=[proxy_protocol()]),
    ]
    return listeners, [cluster("a", ports["a"]), cluster("b", ports["b"]), cluster("dead", ports["dead"]), cluster("empty"), *_original_destination()]


def _original_destination():
    common = {"type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "2s"}
    return [{"name": "original", **common}, {"name": "original_by_header", **common, "original_dst_lb_config": {"use_http_header": True}}]


def _chain_case(outcome, listener_name, shows, **more):
    return Case("filter chain", outcome, 200, request(), listener=listener_name, shows=f"'{shows}'", **more)


def _proxied(outcome, header, shows, listener_name="proxied", status=200):
    return Case("proxy_protocol", outcome, status, listener=listener_name, shows=shows, steps=(Send(header + request()), Receive(), Kept()))


def _websocket(outcome, status, steps, upstream, target="/ws", listener_name="upgrade", shows="", feature="upgrade", headers=_WEBSOCKET, first=b""):
    return Case(feature, outcome, status, listener=listener_name, upstream=upstream, shows=shows,
                steps=(Send(request(target, headers=headers) + first), *steps))


_NAMES = (
    "tcp", "tcp_log_default", "tcp_dead", "tcp_empty", "tcp_nowhere", "tcp_weighted", "tcp_idle", "tcp_duration", "upgrade", "upgrade_route", "connect", "by_destination",
    "by_source", "by_source_type", "by_direct_source", "by_port", "by_port_only", "by_port_default", "by_protocol", "by_transport", "only_tls",
    "fallback", "additional", "additional2", "unix", "original", "original_proxied", "original_tcp", "v6", "proxied", "proxied_optional", "proxied_tcp", "source",
)

GROUP = Group("tunnels", _NAMES, ("a", "b"), _build, dead_ports=("dead",), cases=(
    Case("tcp_proxy", "echo and log", None, listener="tcp", accept=(ECHO,), steps=(Send(b"hello"), Raw(5), Send(b"again"), Raw(5), HalfClose(), End()),
         log="tcp", shows="b'again'"),
    Case("tcp_proxy", "upstream speaks first", None, listener="tcp", accept=(b"220 ready\r\n", ECHO), steps=(Raw(11), Send(b"x"), Raw(1), HalfClose(), End())),
    Case("tcp_proxy", "client half closes, upstream answers after it", None, listener="tcp", accept=(Read(3), 0.1, b"late", CLOSE),
         steps=(Send(b"abc"), HalfClose(), End()), shows="b'late'"),
    Case("tcp_proxy", "upstream half closes, client's bytes still arrive", None, listener="tcp", accept=(b"bye", HALF_CLOSE, READ_TO_END),
         steps=(Raw(3), Send(b"still here"), Pause(0.1), HalfClose(), End()), shows="b'still here'"),
    Case("tcp_proxy", "upstream resets", None, listener="tcp", accept=(Read(1), RESET), steps=(Send(b"x"), End())),
    Case("tcp_proxy", "connect refused closes the client", None, listener="tcp_dead", steps=(End(),), log="tcp_dead", shows="UF"),
    Case("tcp_proxy", "no endpoint closes the client", None, listener="tcp_empty", steps=(End(),), log="tcp_empty", shows="UH"),
    Case("tcp_proxy", "default log format", None, listener="tcp_log_default", accept=(ECHO,), steps=(Send(b"hello"), Raw(5), HalfClose(), End()), log="tcp_log_default"),
    Case("tcp_proxy", "unknown cluster closes the client", None, listener="tcp_nowhere", steps=(End(),)),
    Case("tcp_proxy", "idle_timeout", None, listener="tcp_idle", accept=(ECHO,), steps=(Send(b"x"), Raw(1), End())),
    Case("tcp_proxy", "max_downstream_connection_duration", None, listener="tcp_duration", accept=(ECHO,), steps=(Send(b"x"), Raw(1), End())),
    Case("tcp_proxy", "one mebibyte through", None, listener="tcp", accept=(ECHO,), steps=(Send(b"m" * 1048576), HalfClose(), End())),
    _websocket("accepted, bytes both ways", 101, (Receive(), Send(b"ping"), Raw(4), HalfClose(), End()), (_SWITCH, ECHO), shows="raw b'ping'"),
    _websocket("upgrade header in other case", 101, (Receive(), Send(b"ping"), Raw(4)), (_SWITCH, ECHO), target="/ws2",
               headers=[("Upgrade", "WebSocket"), ("Connection", "keep-alive, upgrade")]),
    _websocket("upstream refuses with 403", 403, (Receive(), Kept()), (response(403, b"no"),)),
    _websocket("upstream speaks first after 101", 101, (Receive(), Raw(5)), (_SWITCH + b"hello", ECHO)),
    _websocket("bytes sent before the 101 arrive", 101, (Receive(), Raw(5)), (0.1, _SWITCH, ECHO), first=b"early"),
    _websocket("not enabled for this type", 403, (Receive(), Kept()), (_SWITCH, ECHO), headers=[("upgrade", "other"), ("connection", "upgrade")]),
    _websocket("type enabled by the route", 101, (Receive(), Send(b"ping"), Raw(4)),
               (_SWITCH.replace(b"websocket", b"other"), ECHO), target="/other", headers=[("upgrade", "other"), ("connection", "upgrade")]),
    _websocket("disabled by the route", 403, (Receive(), Kept()), (_SWITCH, ECHO), target="/off"),
    _websocket("enabled by the route", 101, (Receive(), Send(b"ping"), Raw(4)), (_SWITCH, ECHO), target="/on", listener_name="upgrade_route"),
    _websocket("not enabled anywhere", 403, (Receive(), Kept()), (_SWITCH, ECHO), listener_name="upgrade_route"),
    _websocket("connection header without upgrade", 200, (Receive(), Kept()), None, headers=[("upgrade", "websocket")]),
    Case("CONNECT", "terminated to TCP", 200, listener="connect", accept=(ECHO,), shows="raw b'ping'", steps=(
        Send(request("x.test:443", method="CONNECT", host="x.test:443")), Receive("CONNECT"), Send(b"ping"), Raw(4), HalfClose(), End())),
    Case("CONNECT", "forwarded to an HTTP upstream", 200, listener="connect", upstream=(b"HTTP/1.1 200 OK\r\n\r\n", ECHO), shows="raw b'ping'", steps=(
        Send(request("x.test:443", method="CONNECT", host="x.test:443", headers=[("x-forward", "1")])), Receive("CONNECT"), Send(b"ping"), Raw(4))),
    Case("CONNECT", "without a port", 400, listener="connect", steps=(Send(request("x.test", method="CONNECT", host="x.test")), Receive("CONNECT"))),
    _chain_case("prefix_ranges: longest prefix", "by_destination", "one"),
    _chain_case("prefix_ranges: network", "by_destination", "two-net", destination="127.0.2.77"),
    _chain_case("prefix_ranges: wider network", "by_destination", "ten-eight", destination="127.9.9.9"),
    _chain_case("source_prefix_ranges: address", "by_source", "from-two", source=("127.0.0.2", 0)),
    _chain_case("source_prefix_ranges: network", "by_source", "from-net", source=("127.0.1.9", 0)),
    Case("filter chain", "source_prefix_ranges: none, connection closed", None, request(), listener="by_source", source=("127.0.0.9", 0)),
    Case("filter chain", "source_ports: other port, connection closed", None, request(), listener="by_source", source=("127.0.3.1", 0)),
    _chain_case("source_type: loopback", "by_source_type", "local"),
    _chain_case("destination_port", "by_port", "this-port"),
    Case("filter chain", "destination_port: no way back to chains without one", None, request(), listener="by_port_only"),
    _chain_case("destination_port: no way back but to the default", "by_port_default", "default"),
    _chain_case("application_protocols: http/1.1", "by_protocol", "sniffed-1.1"),
    Case("filter chain", "application_protocols: http/1.0", 200, b"GET / HTTP/1.0\r\nHost: x\r\n\r\n", listener="by_protocol", shows="sniffed-1.0"),
    Case("filter chain", "application_protocols: not HTTP", None, listener="by_protocol", accept=(ECHO,), steps=(Send(b"\x01\x02\x03\x04binary"), Raw(10))),
    Case("filter chain", "application_protocols: head in two pieces", 200, listener="by_protocol",
         steps=(Send(b"GE"), Pause(0.05), Send(request()[2:]), Receive(), Kept())),
    _chain_case("transport_protocol: raw_buffer", "by_transport", "raw"),
    Case("filter chain", "none: connection closed and logged", None, request(), listener="only_tls", log="only_tls", shows="NR"),
    _chain_case("none: default_filter_chain", "fallback", "default"),
    Case("filter chain", "direct_source_prefix_ranges: the peer behind PROXY", 200, listener="by_direct_source", shows="direct-local",
         steps=(Send(pp.v1() + request()), Receive())),
    _chain_case("source_ports: this port", "by_source", "from-port", source=("127.0.3.1", "source")),
    _chain_case("unix socket listener", "unix", "unix", destination="unix"),
    Case("ORIGINAL_DST", "not redirected: no host", 503, request("/x"), listener="original", shows="no healthy upstream"),
    Case("ORIGINAL_DST", "use_http_header", 200, listener="original", shows="upstream: b GET", steps=(
        Send(request("/header", headers=[("x-envoy-original-dst-host", "127.0.0.1:<b>")])), Receive())),
    Case("ORIGINAL_DST", "use_http_header that is no address", 503, listener="original", steps=(
        Send(request("/header", headers=[("x-envoy-original-dst-host", "nonsense")])), Receive())),
    Case("ORIGINAL_DST", "destination of the PROXY header", 200, listener="original_proxied", shows="upstream: b GET", steps=(
        Send(pp.v1(destination="127.0.0.1", destination_port="<b>") + request("/x")), Receive())),
    Case("ORIGINAL_DST", "tcp_proxy to the destination of the PROXY header", None, listener="original_tcp", accept=(ECHO,), shows="upstream: b",
         steps=(Send(pp.v1(destination="127.0.0.1", destination_port="<b>") + b"hello"), Raw(5))),
    Case("tcp_proxy", "weighted clusters, nearly all to the first", None, listener="tcp_weighted", accept=(ECHO,), steps=(Send(b"x"), Raw(1)), shows="upstream: a"),
    _chain_case("additional_addresses: first", "additional", "both"),
    _chain_case("additional_addresses: second", "additional2", "both"),
    _chain_case("IPv6 listener", "v6", "six", destination="::1"),
    _proxied("version 1", pp.v1(), "x-remote: 203.0.113.7:4711"),
    _proxied("version 1 destination is the local address", pp.v1("198.51.100.1", 1, "192.0.2.77", 8), "x-local: 192.0.2.77:8"),
    _proxied("version 1 IPv6", pp.v1("2001:db8::7", 4711, "2001:db8::1", 443, "TCP6"), "x-remote: [2001:db8::7]:4711"),
    _proxied("version 1 UNKNOWN keeps the peer", pp.v1_unknown(), "x-remote: 127.0.0.1:<client>"),
    _proxied("version 2", pp.v2(), "x-remote: 203.0.113.7:4711"),
    _proxied("version 2 IPv6", pp.v2("2001:db8::7", 4711, "2001:db8::1"), "x-remote: [2001:db8::7]:4711"),
    _proxied("version 2 with TLVs", pp.v2(tlvs=pp.tlv(0x02, b"name") + pp.tlv(0xE0, b"x")), "x-remote: 203.0.113.7:4711"),
    _proxied("version 2 LOCAL keeps the peer", pp.v2(command=0), "x-remote: 127.0.0.1:<client>"),
    _proxied("allow_requests_without_proxy_protocol, absent", b"", "x-remote: 127.0.0.1:<client>", "proxied_optional"),
    _proxied("allow_requests_without_proxy_protocol, there", pp.v1(), "x-remote: 203.0.113.7:4711", "proxied_optional"),
    Case("proxy_protocol", "absent: closed", None, request(), listener="proxied"),
    Case("proxy_protocol", "malformed version 1: closed", None, b"PROXY TCP4 1.2.3.4 nonsense 1 2\r\n" + request(), listener="proxied"),
    Case("proxy_protocol", "malformed version 2: closed", None, pp.v2()[:12] + b"\x31" + pp.v2()[13:] + request(), listener="proxied"),
    Case("proxy_protocol", "before tcp_proxy: header not passed on", None, listener="proxied_tcp", accept=(ECHO,),
         steps=(Send(pp.v2() + b"hello"), Raw(5), HalfClose(), End()), shows="raw b'hello'"),
    Case("proxy_protocol", "byte by byte", 200, listener="proxied", shows="x-remote: 203.0.113.7:4711", steps=(
        *(step for byte in pp.v1() for step in (Send(bytes([byte])), Pause(0.001))), Send(request()), Receive(), Kept())),
))
