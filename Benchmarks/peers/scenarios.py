# SPDX-License-Identifier: Apache-2.0
"""The scenarios: what is loaded, how, which peers take part, and what the issue asks of Apus there."""
import dataclasses

EVERYONE = ("apus", "envoy", "haproxy", "nginx")
WITH_FLOOR = EVERYONE + ("forward",)


@dataclasses.dataclass(frozen=True)
class Target:
    """A bound on Apus. `against` names a peer (then the bound is on the paired ratio) or is None (an absolute bound)."""

    metric: str
    bound: float
    against: str | None = None
    subject: str = "apus"


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    kind: str  # wrk, rate, connections, pingpong, bulk, memory, flat, burst
    peers: tuple = EVERYONE
    path: str = "/"
    connections: int = 64
    rate: int = 0
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
        "tcp-rr", "TCP proxy, 100-byte messages there and back, 64 connections", "pingpong", WITH_FLOOR,
        targets=(Target("cpu", 1.0, "haproxy"),)),
    Scenario(
        "tcp-bulk-1", "TCP proxy, bulk, 1 stream (iperf3); HAProxy splices", "bulk", WITH_FLOOR, connections=1, unit="CPU-s/GB",
        saturated=False, targets=(Target("cpu", 1.0, "haproxy"),)),
    Scenario(
        "tcp-bulk-8", "TCP proxy, bulk, 8 streams (iperf3); HAProxy splices", "bulk", WITH_FLOOR, connections=8, unit="CPU-s/GB",
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
