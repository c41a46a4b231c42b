# SPDX-License-Identifier: Apache-2.0
"""The scenarios: what is loaded, how, which peers take part, and what the issue asks of Apus there."""
import dataclasses

EVERYONE = ("apus", "envoy", "haproxy", "nginx")
ALL_PEERS = EVERYONE + ("nghttpx", "forward", "bare")
WITH_FLOOR = EVERYONE + ("forward",)
H2_BOTH_SIDES = ("apus", "envoy", "haproxy", "nghttpx")  # nginx has no HTTP/2 upstream


BEST = "best peer"


@dataclasses.dataclass(frozen=True)
class Target:
    """A bound on Apus. `against` names a peer (then the bound is on the paired ratio; BEST is the peer with the lowest
    median of that metric) or is None (an absolute bound)."""

    metric: str
    bound: float
    against: str | None = None
    subject: str = "apus"


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    # wrk, rate, connections, pingpong, bulk, streams (HTTP/2), handshakes, beside (streams beside handshakes): load;
    # memory, flat, burst, idle: resident memory
    kind: str
    peers: tuple = EVERYONE
    path: str = "/"
    door: str = "http"  # the listener that is loaded, see processes.DOORS
    connections: int = 64
    streams: int = 1  # on each connection, of HTTP/2
    rate: int = 0
    options: tuple = ()  # more arguments of the generator
    seconds: float = 3.0
    saturated: bool = True  # the proxy is meant to be the bottleneck
    targets: tuple = ()
    route_counts: tuple = ()  # not empty: every peer runs once for each count
    unit: str = "µs"  # of the main figure

    def variants(self, peers):
        """(label, peer, number of routes or None) of everything that takes part."""
        everyone = [other for p in self.peers for other in ((p, "baseline") if p == "apus" else (p,))]
        chosen = [p for p in everyone if p in peers]
        if not self.route_counts:
            return [(p, p, None) for p in chosen]
        return [(f"{p} {count:,} routes", p, count) for count in self.route_counts for p in chosen]


SCENARIOS = (
    Scenario(
        "h1-tiny", "HTTP/1 → HTTP/1, 2-byte body, 64 connections, saturated", "wrk", WITH_FLOOR,
        targets=(Target("cpu", 0.40, "envoy"), Target("cpu", 1.0, "haproxy"))),
    Scenario(
        "h1-logged", "HTTP/1 → HTTP/1, 2-byte body, 64 connections, saturated, Istio's access log to a file", "wrk",
        ("apus", "bare", "envoy"), door="logged", targets=(Target("cpu", 1.20, "bare"),)),
    Scenario(
        "h1-8000", "HTTP/1 → HTTP/1, 2-byte body, 8,000 requests/s open loop (Poisson), 64 connections", "rate", WITH_FLOOR,
        rate=8000, saturated=False, targets=(Target("cpu", 1.0, "nginx"), Target("p50", 1.05, "nginx"))),
    Scenario(
        "h1-10k", "HTTP/1 → HTTP/1, 10 KiB body, 64 connections, saturated", "wrk", path="/size/10240",
        targets=(Target("cpu", 1.0, "nginx"),)),
    Scenario(
        "h1-100k", "HTTP/1 → HTTP/1, 100 KiB body, 64 connections, saturated", "wrk", path="/size/102400",
        targets=(Target("cpu", 1.0, "nginx"),)),
    Scenario(
        "h1-connect", "a new downstream connection per HTTP/1 request, 32 at a time, upstream kept", "connections",
        connections=32, seconds=2.5, targets=(Target("cpu", 1.1, "nginx"),)),
    Scenario(
        "tcp-rr", "TCP proxy, 100-byte messages there and back, 64 connections", "pingpong", WITH_FLOOR, door="tcp",
        targets=(Target("cpu", 1.0, "haproxy"),)),
    Scenario(
        "tcp-bulk-1", "TCP proxy, bulk, 1 stream (iperf3); HAProxy splices", "bulk", WITH_FLOOR, door="bulk", connections=1, unit="CPU-s/GB",
        saturated=False, targets=(Target("cpu", 1.0, "haproxy"),)),
    Scenario(
        "tcp-bulk-8", "TCP proxy, bulk, 8 streams (iperf3); HAProxy splices", "bulk", WITH_FLOOR, door="bulk", connections=8, unit="CPU-s/GB",
        saturated=False, targets=(Target("cpu", 1.0, "haproxy"),)),
    Scenario(
        "routes", "the last of 10 / 1,000 / 10,000 routes matches, one in ten a regex, one virtual host", "wrk",
        ("apus", "envoy"), seconds=2.0, route_counts=(10, 1000, 10000),
        targets=(Target("cpu", 1.2, "apus 10 routes", subject="apus 10,000 routes"),)),
    Scenario(
        "rss", "resident memory: idle, 1,000 and 10,000 idle connections, 10,000 with one byte pending", "memory", unit="MB",
        targets=(Target("idle", 20), Target("idle 1,000", 24), Target("idle 10,000", 40), Target("pending 10,000", 60))),
    Scenario(
        "rss-flat", "resident memory over 1,000,000 requests, 64 connections", "flat", ("apus", "nginx"), unit="MB",
        targets=(Target("change", 1.05),)),
    Scenario(
        "rss-burst", "resident memory 60 s after a burst (5,000 pending connections, then 1,000 × 100 KiB bodies for 5 s)", "burst",
        unit="MB", targets=(Target("change", 1.10),)),
    Scenario(
        "h2-tiny", "HTTP/2 → HTTP/2, 2-byte body, 10 connections × 32 streams, saturated", "streams", H2_BOTH_SIDES + ("forward",), door="h2",
        connections=10, streams=32, targets=(Target("cpu", 0.18, "envoy"), Target("cpu", 1.25, "nghttpx"))),
    Scenario(
        "h2-8000", "HTTP/2 → HTTP/2, 2-byte body, 8,000 requests/s open loop (Poisson), 10 connections", "streams",
        H2_BOTH_SIDES + ("forward",), door="h2", connections=10, streams=100, rate=8000, saturated=False, targets=(Target("cpu", 1.0, "haproxy"),)),
    Scenario(
        "h1-mtls-h2", "HTTP/1 → HTTP/2 over mTLS, 2-byte body, 64 connections, saturated", "wrk", H2_BOTH_SIDES, door="to_mtls",
        targets=(Target("cpu", 0.35, "envoy"), Target("cpu", 1.1, "haproxy"))),
    Scenario(
        "h1-mtls-h2-8000", "HTTP/1 → HTTP/2 over mTLS, 2-byte body, 8,000 requests/s open loop (Poisson), 64 connections", "rate",
        H2_BOTH_SIDES, door="to_mtls", rate=8000, saturated=False, targets=(Target("p50", 1.05, BEST),)),
    Scenario(
        "mtls-h2-h1", "HTTP/2 over mTLS → HTTP/1, 2-byte body, 10 connections × 32 streams, saturated", "streams",
        EVERYONE + ("nghttpx",), door="mtls", connections=10, streams=32, targets=(Target("cpu", 0.35, "envoy"), Target("cpu", 1.1, "haproxy"))),
    Scenario(
        "mtls-h2-h1-8000", "HTTP/2 over mTLS → HTTP/1, 2-byte body, 8,000 requests/s open loop (Poisson), 10 connections", "streams",
        EVERYONE + ("nghttpx",), door="mtls", connections=10, streams=100, rate=8000, saturated=False, targets=(Target("p50", 1.05, BEST),)),
    Scenario(
        "grpc-1000", "HTTP/2 → HTTP/2, gRPC-like unary calls with trailers, 12 bytes each way, 10 connections × 100 streams, saturated",
        "streams", H2_BOTH_SIDES + ("forward",), door="h2", connections=10, streams=100, options=("--post",),
        targets=(Target("cpu", 1.25, "nghttpx"),)),
    Scenario(
        "tls-full", "mTLS, a full handshake and one HTTP/1 request per connection, 32 at a time, one client certificate", "handshakes",
        door="mtls", connections=32, saturated=False, targets=(Target("cpu", 0.55, "nginx"),)),
    Scenario(
        "tls-full-1000", "mTLS, a full handshake and one HTTP/1 request per connection, 32 at a time, 1,000 client certificates", "handshakes",
        door="mtls", connections=32, saturated=False, options=("--clients", 1000), targets=(Target("cpu", 0.55, "nginx"),)),
    Scenario(
        "tls-resumed", "mTLS, a resumed handshake and one HTTP/1 request per connection, 32 at a time", "handshakes",
        door="mtls", connections=32, saturated=False, options=("--resume",), targets=(Target("cpu", 0.55, "nginx"),)),
    Scenario(
        "tls-beside", "HTTP/2 over mTLS → HTTP/1 at 1,000 requests/s on open connections, alone and beside 1,000 full mTLS handshakes/s", "beside",
        door="mtls", connections=10, streams=100, rate=1000, unit="µs", targets=(Target("ratio", 1.5),)),
    Scenario(
        "rss-tls", "resident memory per idle connection after one request, and per open HTTP/2 stream pair", "idle",
        EVERYONE + ("nghttpx",), unit="KiB",
        targets=(Target("h1 mTLS", 20), Target("h2", 28), Target("h2 mTLS", 46), Target("stream pair", 3))),
)


def scenario_named(name):
    return next((s for s in SCENARIOS if s.name == name), None)


def routes_yaml(count):
    """`count` routes with one long common prefix, every tenth a regex; the last one, a prefix, is the one that matches."""
    lines = []
    for i in range(count):
        if i % 10 == 4:
            match = f'safe_regex: {{ regex: "/shop/catalogue/items/by-department/r{i:05d}/[a-z]+/[0-9]+" }}'
        else:
            match = f'prefix: "/shop/catalogue/items/by-department/r{i:05d}/"'
        lines.append(f"              - {{ match: {{ {match} }}, route: {{ cluster: web }} }}")
    return "\n".join(lines)


def last_route_path(count):
    return f"/shop/catalogue/items/by-department/r{count - 1:05d}/shoes/17"
