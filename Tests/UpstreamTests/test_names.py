# SPDX-License-Identifier: Apache-2.0
"""Clusters whose hosts are names: what is looked up, when, and what comes of it."""

import time

import pytest
from scene import compare

from PythonKit import bootstrap as b
from PythonKit.client import Connection, request
from PythonKit.dnsserver import SERVFAIL, Answer, DNSServer, Silence
from PythonKit.ports import free_port

UPDATES = ("update_success", "update_failure", "update_empty", "membership_total", "membership_healthy")


@pytest.fixture
def play(tmp_path, envoy_binary, apus_binary):
    return lambda scene: compare(tmp_path, envoy_binary, apus_binary, scene)


def resolver(server, **fields):
    """The cluster field that has names looked up there."""
    return {"typed_dns_resolver_config": b.typed(
        "envoy.network.dns_resolver.cares",
        "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
        resolvers=[b.address(server.port)], **fields)}


def names(server, *endpoints, kind="STRICT_DNS", **fields):
    """Cluster `c`, of endpoints given by name."""
    fields = {"dns_lookup_family": "V4_ONLY", "dns_refresh_rate": "0.2s", **fields}
    return b.cluster("c", *endpoints, **{"type": kind, **(resolver(server) if server else {}), **fields})


def _server(scene, **known):
    return scene.keep(DNSServer(free_port(), {f"{name}.test": answer for name, answer in known.items()}))


def _pair(scene):
    """Two upstreams with one port, on 127.0.0.1 and 127.0.0.2."""
    first = scene.upstream(name="one")
    return first, scene.upstream(host="127.0.0.2", port=first.port, name="two")


def _until(condition, timeout=6.0):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("kind", ["STRICT_DNS", "LOGICAL_DNS"])
def test_localhost_needs_no_server(play, kind):
    def scene(scene):
        upstream = scene.upstream()
        scene.start(names(None, b.endpoint(upstream.port, "localhost"), kind=kind, dns_refresh_rate="60s"))
        hosts = {host.replace(str(upstream.port), "port"): name for host, name in scene.hosts().items()}
        return scene.ask().status, hosts, scene.stats(*UPDATES, "update_attempt", "membership_change")

    status, hosts, counts = play(scene)
    assert status == 200 and hosts == {"127.0.0.1:port": "localhost"} and counts["update_success"] == 1


def test_an_address_needs_no_server(play):
    def scene(scene):
        server = _server(scene)
        upstream = scene.upstream()
        scene.start(names(server, b.endpoint(upstream.port, "127.0.0.1")))
        return scene.ask().status, server.questions

    assert play(scene) == (200, [])


def test_every_address_of_a_name_is_a_host(play):
    def scene(scene):
        one, two = _pair(scene)
        server = _server(scene, a=Answer("127.0.0.1", "127.0.0.2"))
        scene.start(names(server, b.endpoint(one.port, "a.test")))
        bodies = {scene.ask().body for _ in range(4)}
        hosts = sorted(host.split(":")[0] for host in scene.hosts())
        return bodies, hosts, scene.stats("membership_total", "membership_healthy")

    bodies, hosts, _ = play(scene)
    assert len(bodies) == 2 and hosts == ["127.0.0.1", "127.0.0.2"]


def test_a_logical_name_is_one_host(play):
    def scene(scene):
        one, two = _pair(scene)
        server = _server(scene, a=Answer("127.0.0.2", "127.0.0.1"))
        scene.start(names(server, b.endpoint(one.port, "a.test"), kind="LOGICAL_DNS"))
        bodies = {scene.ask().body for _ in range(4)}
        return bodies, sorted(host.split(":")[0] for host in scene.hosts()), scene.stats("membership_total")

    bodies, hosts, _ = play(scene)
    assert bodies == {b"two"} and hosts == ["127.0.0.2"]


def test_hosts_follow_the_records(play):
    def scene(scene):
        one, two = _pair(scene)
        server = _server(scene, a=Answer("127.0.0.1"))
        scene.start(names(server, b.endpoint(one.port, "a.test")))
        before = scene.ask().body
        server.names["a.test"] = Answer("127.0.0.2")
        moved = _until(lambda: [h.split(":")[0] for h in scene.hosts()] == ["127.0.0.2"])
        return before, moved, scene.ask().body, scene.stats("membership_total", "membership_change")

    before, moved, after, counts = play(scene)
    assert (before, moved, after) == (b"one", True, b"two") and counts["membership_change"] == 2


def test_connections_of_a_host_that_is_gone_end_and_of_one_that_stays_do_not(play):
    def scene(scene):
        one, two = _pair(scene)
        server = _server(scene, a=Answer("127.0.0.1", "127.0.0.2"))
        scene.start(names(server, b.endpoint(one.port, "a.test")))
        for _ in range(4):
            scene.ask()
        server.names["a.test"] = Answer("127.0.0.2")
        ended = _until(lambda: one.open_connections == 0)
        stays = two.open_connections
        for _ in range(2):
            scene.ask()
        return ended, stays, len(two.raw), scene.stats("upstream_cx_active", "upstream_cx_destroy_local")

    ended, stays, connections, counts = play(scene)
    assert ended and stays == 1 and connections == 1 and counts["upstream_cx_active"] == 1


def test_a_request_in_flight_outlives_its_host(play):
    def scene(scene):
        from PythonKit.upstream import BODY, response
        one, two = _pair(scene)
        one.script = (BODY, 1.0, response(body=b"late"))
        server = _server(scene, a=Answer("127.0.0.1"))
        scene.start(names(server, b.endpoint(one.port, "a.test")))
        with Connection(scene.port) as connection:
            connection.send(request("/"))
            one.wait_for(1)
            server.names["a.test"] = Answer("127.0.0.2")
            moved = _until(lambda: [h.split(":")[0] for h in scene.hosts()] == ["127.0.0.2"])
            body = connection.read_response().body
        return moved, body, _until(lambda: one.open_connections == 0), scene.ask().body

    assert play(scene) == (True, b"late", True, b"two")


def test_a_failing_server_changes_nothing(play):
    def scene(scene):
        one, _ = _pair(scene)
        server = _server(scene, a=Answer("127.0.0.1"))
        backoff = {"base_interval": "0.05s", "max_interval": "0.1s"}
        scene.start(names(server, b.endpoint(one.port, "a.test"), dns_failure_refresh_rate=backoff))
        server.names["a.test"] = Answer(code=SERVFAIL)
        failed = scene.wait_for_stat("update_failure", 2)
        return failed, scene.ask().body, scene.stats("membership_total")

    assert play(scene) == (True, b"one", {"membership_total": 1})


def test_a_name_that_vanishes_takes_its_hosts_with_it(play):
    def scene(scene):
        one, _ = _pair(scene)
        server = _server(scene, a=Answer("127.0.0.1"))
        scene.start(names(server, b.endpoint(one.port, "a.test")))
        del server.names["a.test"]
        gone = _until(lambda: scene.hosts() == {})
        answer = scene.ask()
        return gone, answer.status, answer.body, scene.log(1), scene.stats("membership_total", "update_failure")

    gone, status, body, log, counts = play(scene)
    assert gone and status == 503 and log == ["503 UH no_healthy_upstream"] and counts["update_failure"] == 0


def test_a_logical_name_that_vanishes_keeps_its_host(play):
    def scene(scene):
        one, _ = _pair(scene)
        server = _server(scene, a=Answer("127.0.0.1"))
        scene.start(names(server, b.endpoint(one.port, "a.test"), kind="LOGICAL_DNS"))
        del server.names["a.test"]
        failed = scene.wait_for_stat("update_failure", 2)
        return failed, scene.ask().body, scene.stats("membership_total")

    assert play(scene) == (True, b"one", {"membership_total": 1})


@pytest.mark.parametrize("answer", [Answer(code=3), Answer(code=SERVFAIL), Answer()], ids=["no name", "failure", "no data"])
def test_a_name_without_addresses_does_not_hold_up_the_start(play, answer):
    def scene(scene):
        server = _server(scene, a=answer)
        scene.start(names(server, b.endpoint(free_port(), "a.test"), dns_refresh_rate="60s"))
        reply = scene.ask()
        return reply.status, reply.body, scene.log(1), scene.stats(*UPDATES)

    status, _, log, _ = play(scene)
    assert status == 503 and log == ["503 UH no_healthy_upstream"]


def test_a_silent_server_holds_up_the_start_until_it_is_given_up(play):
    def scene(scene):
        server = _server(scene, a=Silence())
        quick = resolver(server, query_timeout_seconds=1, query_tries=1)
        began = time.monotonic()
        scene.start(names(server, b.endpoint(free_port(), "a.test"), **quick))
        return time.monotonic() - began > 0.9, scene.ask().status, scene.stats("membership_total", "update_success")

    assert play(scene) == (True, 503, {"membership_total": 0, "update_success": 0})


def test_a_silent_server_holds_up_nothing_where_nobody_waits(play):
    def scene(scene):
        server = _server(scene, a=Silence())
        scene.start(names(server, b.endpoint(free_port(), "a.test"), wait_for_warm_on_init=False))
        return scene.ask().status, scene.stats("update_success", "update_failure", "update_attempt")

    assert play(scene) == (503, {"update_success": 0, "update_failure": 0, "update_attempt": 1})


def test_the_time_to_live_says_when_to_ask_again(play):
    def scene(scene):
        server = _server(scene, a=Answer("127.0.0.1", ttl=1))
        upstream = scene.upstream()
        scene.start(names(server, b.endpoint(upstream.port, "a.test"), dns_refresh_rate="60s", respect_dns_ttl=True))
        began = time.monotonic()
        again = server.wait_for("a.test")
        return again, 0.5 < time.monotonic() - began < 2.5

    assert play(scene) == (True, True)


def test_a_time_to_live_of_nothing_leaves_it_to_the_rate(play):
    def scene(scene):
        server = _server(scene, a=Answer("127.0.0.1", ttl=0))
        upstream = scene.upstream()
        scene.start(names(server, b.endpoint(upstream.port, "a.test"), dns_refresh_rate="60s", respect_dns_ttl=True))
        asked = len(server.questions)
        time.sleep(1.2)
        return scene.ask().status, len(server.questions) - asked

    assert play(scene) == (200, 0)


@pytest.mark.parametrize(
    "family, known, asked, hosts",
    [
        ("V4_ONLY", ("127.0.0.1", "::1"), ["A"], ["127.0.0.1"]),
        ("V6_ONLY", ("127.0.0.1", "::1"), ["AAAA"], ["[::1]"]),
        ("AUTO", ("127.0.0.1", "::1"), ["AAAA"], ["[::1]"]),
        ("AUTO", ("127.0.0.1",), ["AAAA", "A"], ["127.0.0.1"]),
        ("V4_PREFERRED", ("127.0.0.1", "::1"), ["A"], ["127.0.0.1"]),
        ("V4_PREFERRED", ("::1",), ["A", "AAAA"], ["[::1]"]),
        ("ALL", ("127.0.0.1", "::1"), ["A", "AAAA"], ["127.0.0.1", "[::1]"]),
    ],
)
def test_families_that_are_asked_for(play, family, known, asked, hosts):
    def scene(scene):
        server = _server(scene, a=Answer(*known))
        scene.start(names(server, b.endpoint(80, "a.test"), dns_lookup_family=family, dns_refresh_rate="60s"))
        kinds = server.kinds("a.test")
        return sorted(kinds) if family == "ALL" else kinds, sorted(h.removesuffix(":80") for h in scene.hosts())

    assert play(scene) == (asked, hosts)


def test_questions_go_over_tcp_when_told(play):
    def scene(scene):
        server = _server(scene, a=Answer("127.0.0.1"))
        scene.start(names(server, b.endpoint(80, "a.test"), **resolver(
            server, dns_resolver_options={"use_tcp_for_dns_lookups": True})))
        return {question.over for question in server.questions}

    assert play(scene) == {"tcp"}


def test_the_host_header_becomes_the_name(play):
    def scene(scene):
        upstream = scene.upstream()
        server = _server(scene, a=Answer("127.0.0.1"))
        scene.start(
            names(server, b.endpoint(upstream.port, "a.test")),
            routes=[{"match": {"prefix": "/"}, "route": {"cluster": "c", "auto_host_rewrite": True}}])
        scene.ask()
        return upstream.requests[0].header("host")

    assert play(scene) == "a.test"


def test_connections_of_a_logical_name_at_a_new_address(play):
    def scene(scene):
        one, two = _pair(scene)
        server = _server(scene, a=Answer("127.0.0.1"))
        scene.start(names(server, b.endpoint(one.port, "a.test"), kind="LOGICAL_DNS"))
        before = scene.ask().body
        server.names["a.test"] = Answer("127.0.0.2")
        moved = _until(lambda: [h.split(":")[0] for h in scene.hosts()] == ["127.0.0.2"])
        one.close_connections()
        _until(lambda: one.open_connections == 0)
        time.sleep(0.1)
        return before, moved, scene.ask().body, scene.hosts().values().__len__()

    assert play(scene) == (b"one", True, b"two", 1)


def test_lookups_are_counted(play):
    def scene(scene):
        server = _server(scene, a=Answer("127.0.0.1"))
        scene.start(
            names(server, b.endpoint(80, "a.test"), b.endpoint(80, "gone.test"), dns_refresh_rate="60s",
                  dns_lookup_family="AUTO"))
        _until(lambda: len(server.questions) >= 4)
        time.sleep(0.2)
        found = scene.proxy.stats("dns.cares.")
        return {name: found.get(f"dns.cares.{name}") for name in ("resolve_total", "not_found", "timeouts", "get_addr_failure", "pending_resolutions")}

    assert play(scene)["not_found"] > 0
