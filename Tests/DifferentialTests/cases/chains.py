# SPDX-License-Identifier: Apache-2.0
"""Who gets a connection: addresses, filter chains, the PROXY protocol, and ORIGINAL_DST clusters behind it."""

from harness import Case, End, Group, HalfClose, Kept, Pause, Raw, Receive, Send

from PythonKit import proxyprotocol as pp
from PythonKit.bootstrap import (
    address,
    cluster,
    file_access_log,
    hcm,
    http_inspector,
    listener,
    proxy_protocol,
    tcp_proxy,
)
from PythonKit.client import request
from PythonKit.upstream import ECHO


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
    remote = [
        {
            "match": {"prefix": "/"},
            "route": {"cluster": "a"},
            "request_headers_to_add": [
                {"header": {"key": "x-remote", "value": "%DOWNSTREAM_REMOTE_ADDRESS%"}},
                {"header": {"key": "x-local", "value": "%DOWNSTREAM_LOCAL_ADDRESS%"}},
                {"header": {"key": "x-direct", "value": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"}},
            ],
        }
    ]
    listeners = [
        listener(
            "by_destination",
            ports["by_destination"],
            host="0.0.0.0",
            chains=[
                chain("ten-eight", prefix_ranges=cidr("127.0.0.0", 8)),
                chain("one", prefix_ranges=cidr("127.0.0.1", 32)),
                chain("two-net", prefix_ranges=cidr("127.0.2.0", 24)),
                chain("rest"),
            ],
        ),
        listener(
            "by_source",
            ports["by_source"],
            host="0.0.0.0",
            chains=[
                chain("from-two", source_prefix_ranges=cidr("127.0.0.2", 32)),
                chain("from-net", source_prefix_ranges=cidr("127.0.1.0", 24)),
                chain("from-port", source_prefix_ranges=cidr("127.0.3.1", 32), source_ports=[ports["source"]]),
            ],
        ),
        listener(
            "by_source_type",
            ports["by_source_type"],
            host="0.0.0.0",
            chains=[chain("local", source_type="SAME_IP_OR_LOOPBACK"), chain("external", source_type="EXTERNAL")],
        ),
        listener(
            "by_direct_source",
            ports["by_direct_source"],
            listener_filters=[proxy_protocol()],
            chains=[chain("direct-local", direct_source_prefix_ranges=cidr("127.0.0.1", 32)), chain("direct-other")],
        ),
        listener(
            "by_port",
            ports["by_port"],
            chains=[
                chain("this-port", destination_port=ports["by_port"]),
                chain("other-port", destination_port=9),
                chain("no-port"),
            ],
        ),
        listener(
            "by_port_only",
            ports["by_port_only"],
            chains=[
                chain(
                    "this-port-from-two",
                    destination_port=ports["by_port_only"],
                    source_prefix_ranges=cidr("127.0.0.2", 32),
                ),
                chain("no-port"),
            ],
        ),
        listener(
            "by_port_default",
            ports["by_port_default"],
            chains=[
                chain(
                    "this-port-from-two",
                    destination_port=ports["by_port_default"],
                    source_prefix_ranges=cidr("127.0.0.2", 32),
                ),
                chain("no-port"),
            ],
            default_filter_chain=chain("default"),
        ),
        listener(
            "by_protocol",
            ports["by_protocol"],
            listener_filters=[http_inspector()],
            chains=[
                {
                    "name": "http",
                    "filter_chain_match": {"application_protocols": ["http/1.1"]},
                    "filters": [says("sniffed-1.1")],
                },
                {
                    "name": "http10",
                    "filter_chain_match": {"application_protocols": ["http/1.0"]},
                    "filters": [
                        hcm(
                            [
                                {
                                    "match": {"prefix": "/"},
                                    "direct_response": {"status": 200, "body": {"inline_string": "sniffed-1.0"}},
                                }
                            ],
                            options={"http_protocol_options": {"accept_http_10": True}},
                        )
                    ],
                },
                {"name": "tcp", "filters": [tcp_proxy(cluster="a")]},
            ],
        ),
        listener(
            "by_transport",
            ports["by_transport"],
            chains=[chain("raw", transport_protocol="raw_buffer"), chain("tls", transport_protocol="tls")],
        ),
        listener(
            "only_tls",
            ports["only_tls"],
            chains=[chain("tls", transport_protocol="tls")],
            access_log=[
                file_access_log(
                    ports.log("only_tls"),
                    "%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% %DOWNSTREAM_LOCAL_ADDRESS%\n",
                )
            ],
        ),
        listener(
            "fallback",
            ports["fallback"],
            chains=[chain("tls", transport_protocol="tls")],
            default_filter_chain=chain("default"),
        ),
        listener(
            "additional",
            ports["additional"],
            says("both"),
            additional_addresses=[{"address": address(ports["additional2"])}],
        ),
        {**listener("unix", ports["unix"], says("unix")), "address": {"pipe": {"path": ports.socket("unix")}}},
        listener(
            "original",
            ports["original"],
            hcm(
                [
                    {"match": {"prefix": "/header"}, "route": {"cluster": "original_by_header"}},
                    {"match": {"prefix": "/"}, "route": {"cluster": "original"}},
                ]
            ),
        ),
        listener(
            "original_proxied",
            ports["original_proxied"],
            hcm([{"match": {"prefix": "/"}, "route": {"cluster": "original"}}]),
            listener_filters=[proxy_protocol()],
        ),
        listener(
            "original_tcp", ports["original_tcp"], tcp_proxy(cluster="original"), listener_filters=[proxy_protocol()]
        ),
        listener("v6", ports["v6"], says("six"), host="::1"),
        # PROXY protocol
        listener(
            "proxied",
            ports["proxied"],
            hcm(remote, options={"use_remote_address": True}),
            listener_filters=[proxy_protocol()],
        ),
        listener(
            "proxied_optional",
            ports["proxied_optional"],
            hcm(remote),
            listener_filters=[proxy_protocol(allow_requests_without_proxy_protocol=True)],
        ),
        listener("proxied_tcp", ports["proxied_tcp"], tcp_proxy(cluster="a"), listener_filters=[proxy_protocol()]),
    ]
    return listeners, [cluster("a", ports["a"]), cluster("b", ports["b"]), *_original_destination()]


def _original_destination():
    common = {"type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "2s"}
    return [
        {"name": "original", **common},
        {"name": "original_by_header", **common, "original_dst_lb_config": {"use_http_header": True}},
    ]


def _chain_case(outcome, listener_name, shows, **more):
    return Case("filter chain", outcome, 200, request(), listener=listener_name, shows=f"'{shows}'", **more)


def _proxied(outcome, header, shows, listener_name="proxied", status=200):
    return Case(
        "proxy_protocol",
        outcome,
        status,
        listener=listener_name,
        shows=shows,
        steps=(Send(header + request()), Receive(), Kept()),
    )


_NAMES = (
    "by_destination",
    "by_source",
    "by_source_type",
    "by_direct_source",
    "by_port",
    "by_port_only",
    "by_port_default",
    "by_protocol",
    "by_transport",
    "only_tls",
    "fallback",
    "additional",
    "additional2",
    "unix",
    "original",
    "original_proxied",
    "original_tcp",
    "v6",
    "proxied",
    "proxied_optional",
    "proxied_tcp",
    "source",
)

GROUP = Group(
    "chains",
    _NAMES,
    ("a", "b"),
    _build,
    cases=(
        _chain_case("prefix_ranges: longest prefix", "by_destination", "one"),
        _chain_case("prefix_ranges: network", "by_destination", "two-net", destination="127.0.2.77"),
        _chain_case("prefix_ranges: wider network", "by_destination", "ten-eight", destination="127.9.9.9"),
        _chain_case("source_prefix_ranges: address", "by_source", "from-two", source=("127.0.0.2", 0)),
        _chain_case("source_prefix_ranges: network", "by_source", "from-net", source=("127.0.1.9", 0)),
        Case(
            "filter chain",
            "source_prefix_ranges: none, connection closed",
            None,
            request(),
            listener="by_source",
            source=("127.0.0.9", 0),
        ),
        Case(
            "filter chain",
            "source_ports: other port, connection closed",
            None,
            request(),
            listener="by_source",
            source=("127.0.3.1", 0),
        ),
        _chain_case("source_type: loopback", "by_source_type", "local"),
        _chain_case("destination_port", "by_port", "this-port"),
        Case(
            "filter chain",
            "destination_port: no way back to chains without one",
            None,
            request(),
            listener="by_port_only",
        ),
        _chain_case("destination_port: no way back but to the default", "by_port_default", "default"),
        _chain_case("application_protocols: http/1.1", "by_protocol", "sniffed-1.1"),
        Case(
            "filter chain",
            "application_protocols: http/1.0",
            200,
            b"GET / HTTP/1.0\r\nHost: x\r\n\r\n",
            listener="by_protocol",
            shows="sniffed-1.0",
        ),
        Case(
            "filter chain",
            "application_protocols: not HTTP",
            None,
            listener="by_protocol",
            accept=(ECHO,),
            steps=(Send(b"\x01\x02\x03\x04binary"), Raw(10)),
        ),
        Case(
            "filter chain",
            "application_protocols: head in two pieces",
            200,
            listener="by_protocol",
            steps=(Send(b"GE"), Pause(0.05), Send(request()[2:]), Receive(), Kept()),
        ),
        _chain_case("transport_protocol: raw_buffer", "by_transport", "raw"),
        Case(
            "filter chain",
            "none: connection closed and logged",
            None,
            request(),
            listener="only_tls",
            log="only_tls",
            shows="NR",
        ),
        _chain_case("none: default_filter_chain", "fallback", "default"),
        Case(
            "filter chain",
            "direct_source_prefix_ranges: the peer behind PROXY",
            200,
            listener="by_direct_source",
            shows="direct-local",
            steps=(Send(pp.v1() + request()), Receive()),
        ),
        _chain_case("source_ports: this port", "by_source", "from-port", source=("127.0.3.1", "source")),
        _chain_case("unix socket listener", "unix", "unix", destination="unix"),
        Case(
            "ORIGINAL_DST",
            "not redirected: no host",
            503,
            request("/x"),
            listener="original",
            shows="no healthy upstream",
        ),
        Case(
            "ORIGINAL_DST",
            "use_http_header",
            200,
            listener="original",
            shows="upstream: b GET",
            steps=(Send(request("/header", headers=[("x-envoy-original-dst-host", "127.0.0.1:<b>")])), Receive()),
        ),
        Case(
            "ORIGINAL_DST",
            "use_http_header that is no address",
            503,
            listener="original",
            steps=(Send(request("/header", headers=[("x-envoy-original-dst-host", "nonsense")])), Receive()),
        ),
        Case(
            "ORIGINAL_DST",
            "destination of the PROXY header",
            200,
            listener="original_proxied",
            shows="upstream: b GET",
            steps=(Send(pp.v1(destination="127.0.0.1", destination_port="<b>") + request("/x")), Receive()),
        ),
        Case(
            "ORIGINAL_DST",
            "tcp_proxy to the destination of the PROXY header",
            None,
            listener="original_tcp",
            accept=(ECHO,),
            shows="upstream: b",
            steps=(Send(pp.v1(destination="127.0.0.1", destination_port="<b>") + b"hello"), Raw(5)),
        ),
        _chain_case("additional_addresses: first", "additional", "both"),
        _chain_case("additional_addresses: second", "additional2", "both"),
        _chain_case("IPv6 listener", "v6", "six", destination="::1"),
        _proxied("version 1", pp.v1(), "x-remote: 203.0.113.7:4711"),
        _proxied(
            "version 1 destination is the local address",
            pp.v1("198.51.100.1", 1, "192.0.2.77", 8),
            "x-local: 192.0.2.77:8",
        ),
        _proxied(
            "version 1 IPv6", pp.v1("2001:db8::7", 4711, "2001:db8::1", 443, "TCP6"), "x-remote: [2001:db8::7]:4711"
        ),
        _proxied("version 1 UNKNOWN keeps the peer", pp.v1_unknown(), "x-remote: 127.0.0.1:<client>"),
        _proxied("version 2", pp.v2(), "x-remote: 203.0.113.7:4711"),
        _proxied("version 2 IPv6", pp.v2("2001:db8::7", 4711, "2001:db8::1"), "x-remote: [2001:db8::7]:4711"),
        _proxied(
            "version 2 with TLVs", pp.v2(tlvs=pp.tlv(0x02, b"name") + pp.tlv(0xE0, b"x")), "x-remote: 203.0.113.7:4711"
        ),
        _proxied("version 2 LOCAL keeps the peer", pp.v2(command=0), "x-remote: 127.0.0.1:<client>"),
        _proxied(
            "allow_requests_without_proxy_protocol, absent", b"", "x-remote: 127.0.0.1:<client>", "proxied_optional"
        ),
        _proxied(
            "allow_requests_without_proxy_protocol, there", pp.v1(), "x-remote: 203.0.113.7:4711", "proxied_optional"
        ),
        Case("proxy_protocol", "absent: closed", None, request(), listener="proxied"),
        Case(
            "proxy_protocol",
            "malformed version 1: closed",
            None,
            b"PROXY TCP4 1.2.3.4 nonsense 1 2\r\n" + request(),
            listener="proxied",
        ),
        Case(
            "proxy_protocol",
            "malformed version 2: closed",
            None,
            pp.v2()[:12] + b"\x31" + pp.v2()[13:] + request(),
            listener="proxied",
        ),
        Case(
            "proxy_protocol",
            "before tcp_proxy: header not passed on",
            None,
            listener="proxied_tcp",
            accept=(ECHO,),
            steps=(Send(pp.v2() + b"hello"), Raw(5), HalfClose(), End()),
            shows="raw b'hello'",
        ),
        Case(
            "proxy_protocol",
            "byte by byte",
            200,
            listener="proxied",
            shows="x-remote: 203.0.113.7:4711",
            steps=(
                *(step for byte in pp.v1() for step in (Send(bytes([byte])), Pause(0.001))),
                Send(request()),
                Receive(),
                Kept(),
            ),
        ),
    ),
)
