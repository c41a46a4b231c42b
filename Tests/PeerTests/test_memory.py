# SPDX-License-Identifier: Apache-2.0
"""Nothing is lost with a handshake or a request: after a warm-up, ten thousand of the one and a hundred thousand of the other
leave no more behind in their second half than rounding.

What is looked at is what the allocator has given out and not taken back (`/memory`), not the resident set: that moves with
pages that are free inside. The first half may still fill caches that are bounded; what is lost each time is lost in the
second half too."""

import json
import os

import pytest
from http2peers import PLENTY
from peers import h2load

from PythonKit import bootstrap as b
from PythonKit.certificates import material
from PythonKit.ports import free_port
from PythonKit.process import Proxy

HANDSHAKES = 10_000
REQUESTS = 100_000
#: Bytes. The smallest thing that could be lost is a block of 32; per request the allocator's own unrest is below one.
PER_HANDSHAKE, PER_REQUEST = 20, 2

pytestmark = pytest.mark.skipif(
    "APUS_SANITIZED" in os.environ, reason="a sanitizer keeps what was freed for a while, and counts it")


@pytest.fixture(scope="module")
def chain(tmp_path_factory, apus_binary, nginx):
    """One worker that is its own peer: `handshakes` sends each request over a new connection with a full mutual handshake to
    `mtls`, the others ask `mtls` too, on connections that are kept."""
    m = material()
    ports = {name: free_port() for name in ("handshakes", "h1_to_mtls", "h2_to_mtls", "mtls", "admin")}

    def to(cluster, **options):
        return b.hcm([{"match": {"prefix": "/"}, "route": {"cluster": cluster}}], options=options)

    secure = {"filters": [to("nginx")], "transport_socket": b.downstream_tls(m.server, ca=m.ca.path, alpn=("h2", "http/1.1"))}
    listeners = [
        b.listener("handshakes", ports["handshakes"], to("once")),
        b.listener("h1_to_mtls", ports["h1_to_mtls"], to("kept")),
        b.listener("h2_to_mtls", ports["h2_to_mtls"], to("kept_1", codec_type="HTTP2")),
        b.listener("mtls", ports["mtls"], chains=[secure]),
    ]

    def client(alpn):
        return b.upstream_tls(
            m.client, ca=m.ca.path, sni="server.test", alpn=alpn, max_session_keys=0)

    few_connections = {
        "circuit_breakers": {"thresholds": [{"max_connections": 8, "max_requests": 1000, "max_pending_requests": 1000}]}}
    once = b.http_protocol(
        explicit_http_config={"http_protocol_options": {}}, common_http_protocol_options={"max_requests_per_connection": 1})
    clusters = [
        b.cluster("once", ports["mtls"], transport_socket=client(("http/1.1",)), **once, **PLENTY),
        b.cluster("kept", ports["mtls"], transport_socket=client(("h2",)), **b.http2(), **PLENTY),
        # As many connections as there are in every part of a run, for an open one takes memory.
        b.cluster("kept_1", ports["mtls"], transport_socket=client(("http/1.1",)), **few_connections),
        b.cluster("nginx", nginx.port, **PLENTY),
    ]
    path = b.write(tmp_path_factory.mktemp("memory") / "bootstrap.yaml", b.bootstrap(ports["admin"], listeners, clusters))
    proxy = Proxy(apus_binary, path, ports["admin"]).wait_until_ready()
    yield proxy, ports
    assert proxy.stop() == 0, proxy.log()


def _memory(proxy):
    """Bytes in use by the allocator's count, and resident."""
    found = json.loads(proxy.admin("/memory").body)
    return int(found["allocated"]), int(found["total_physical_bytes"])


def _growth(proxy, load, count):
    """Bytes more, in use and resident, after each half of `count`, and after a warm-up that is a quarter of it."""
    load(count // 4)
    marks = [_memory(proxy)]
    for _ in range(2):
        load(count // 2)
        marks.append(_memory(proxy))
    return [tuple(after - before for before, after in zip(*pair)) for pair in zip(marks, marks[1:])]


def test_handshakes_leave_nothing_behind(chain):
    proxy, ports = chain

    def load(count):
        h2load("--h1", "-n", str(count), "-c", "16", f"http://127.0.0.1:{ports['handshakes']}/")

    before = proxy.stats("ssl.handshake")
    growth = _growth(proxy, load, HANDSHAKES)
    made = {name: value - before.get(name, 0) for name, value in proxy.stats("ssl.handshake").items()}
    resumed = proxy.stats("ssl.session_reused")
    assert made["cluster.once.ssl.handshake"] == HANDSHAKES * 5 // 4, made
    assert not any(resumed.values()), resumed
    assert growth[1][0] < PER_HANDSHAKE * HANDSHAKES // 2, growth


@pytest.mark.parametrize("listener", ["h1_to_mtls", "h2_to_mtls"])
def test_requests_leave_nothing_behind(chain, listener):
    proxy, ports = chain
    own = ["--h1"] if listener.startswith("h1") else ["-m", "32"]

    def load(count):
        h2load(*own, "-n", str(count), "-c", "10", f"http://127.0.0.1:{ports[listener]}/")

    growth = _growth(proxy, load, REQUESTS)
    assert growth[1][0] < PER_REQUEST * REQUESTS // 2, growth
