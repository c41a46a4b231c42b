# SPDX-License-Identifier: Apache-2.0
"""Apus between HTTP/2 and gRPC peers: prior-knowledge HTTP/2 on both sides, and mTLS on both sides."""

import dataclasses
import pathlib
import subprocess
import sys

import grpc
from peers import _running

from PythonKit import bootstrap as b
from PythonKit.certificates import material
from PythonKit.ports import free_port
from PythonKit.process import Proxy

#: What the circuit breakers allow by default is less than these tests want open at once.
PLENTY = {
    "circuit_breakers": {
        "thresholds": [{"max_connections": 100000, "max_requests": 100000, "max_pending_requests": 100000}]
    }
}
_HTTP2 = {"codec_type": "HTTP2", "http2_protocol_options": {"max_concurrent_streams": 2000}}


class GRPCServer:
    def __init__(self, credential=None, authority=None):
        self.port = free_port()
        files = [credential.certificate_path, credential.key_path, authority.path] if credential else []
        self.process = subprocess.Popen(
            [sys.executable, pathlib.Path(__file__).with_name("grpcserver.py"), str(self.port), *map(str, files)],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
        )
        _running.append(self.process)
        assert self.process.stdout.readline() == b"ready\n"

    def stop(self):
        self.process.kill()
        self.process.wait(5)
        self.process.stdout.close()


@dataclasses.dataclass
class HTTP2Peers:
    proxy: Proxy
    ports: dict[str, int]

    def channel(self, secure, **options):
        """A channel with a connection of its own, synchronous; `aio_channel` for many streams."""
        return self._channel(grpc, secure, options)

    def aio_channel(self, secure, **options):
        return self._channel(grpc.aio, secure, options)

    def _channel(self, module, secure, options):
        pairs = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 1 << 26), *options.items()]
        if not secure:
            return module.insecure_channel(f"127.0.0.1:{self.ports['grpc']}", options=pairs)
        m = material()
        credentials = grpc.ssl_channel_credentials(
            m.ca.path.read_bytes(), m.client.key_path.read_bytes(), m.client.certificate_path.read_bytes()
        )
        pairs.append(("grpc.ssl_target_name_override", "server.test"))
        return module.secure_channel(f"127.0.0.1:{self.ports['grpc_mtls']}", credentials, options=pairs)


def start(binary, directory, nginx_h2_port, nginx_h1_port, grpc_port, grpc_mtls_port):
    """Listeners: h2 (to nginx's HTTP/2), h2_to_h1, h1_to_h2, tls (ALPN, to both), mtls, grpc, grpc_mtls."""
    m = material()
    names = ("h2", "h2_to_h1", "h1_to_h2", "tls", "mtls", "grpc", "grpc_mtls", "admin")
    ports = {name: free_port() for name in names}

    def to(cluster, **options):
        routes = [{"match": {"prefix": "/"}, "route": {"cluster": cluster, "timeout": "0s"}}]
        return b.hcm(routes, options={"stream_idle_timeout": "0s", **options})

    def secured(name, socket, manager):
        return b.listener(name, ports[name], chains=[{"filters": [manager], "transport_socket": socket}])

    alpn = ("h2", "http/1.1")
    listeners = [
        b.listener("h2", ports["h2"], to("nginx_h2", **_HTTP2)),
        b.listener("h2_to_h1", ports["h2_to_h1"], to("nginx_h1", **_HTTP2)),
        b.listener("h1_to_h2", ports["h1_to_h2"], to("nginx_h2")),
        b.listener("grpc", ports["grpc"], to("grpc", **_HTTP2)),
        secured("tls", b.downstream_tls(m.server, alpn=alpn), to("nginx_h2")),
        secured("mtls", b.downstream_tls(m.server, ca=m.ca.path, alpn=alpn), to("nginx_h2")),
        secured("grpc_mtls", b.downstream_tls(m.server, ca=m.ca.path, alpn=("h2",)), to("grpc_mtls", **_HTTP2)),
    ]
    upstream_tls = b.upstream_tls(m.client, ca=m.ca.path, sni="server.test", alpn=("h2",))
    clusters = [
        b.cluster("nginx_h2", nginx_h2_port, **b.http2(), **PLENTY),
        b.cluster("nginx_h1", nginx_h1_port, **PLENTY),
        b.cluster("grpc", grpc_port, **b.http2(), **PLENTY),
        b.cluster("grpc_mtls", grpc_mtls_port, **b.http2(), **PLENTY, transport_socket=upstream_tls),
    ]
    path = b.write(directory / "bootstrap.yaml", b.bootstrap(ports["admin"], listeners, clusters))
    return HTTP2Peers(Proxy(binary, path, ports["admin"], concurrency=2).wait_until_ready(), ports)
