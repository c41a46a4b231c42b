# SPDX-License-Identifier: Apache-2.0
"""How connections to hosts are made, used and ended."""

import re
import time

import pytest
from scene import compare

from PythonKit import bootstrap as b
from PythonKit.ports import free_port
from PythonKit.upstream import BODY, Upstream, response


@pytest.fixture
def play(tmp_path, envoy_binary, apus_binary):
    return lambda scene: compare(tmp_path, envoy_binary, apus_binary, scene)


class Named(Upstream):
    """An upstream that remembers where its connections come from."""

    def __init__(self, *arguments, **options):
        self.peers = []
        super().__init__(*arguments, **options)

    def _serve(self, connection):
        self.peers.append(connection.getpeername()[0])
        super()._serve(connection)


def _named(scene, host="127.0.0.1"):
    return scene.keep(Named(free_port(), host=host))


def test_keepalive_is_set_on_the_socket(play):
    def scene(scene):
        upstream = scene.upstream()
        keepalive = {"keepalive_probes": 3, "keepalive_time": 600, "keepalive_interval": 5}
        scene.start(b.cluster("c", upstream.port, upstream_connection_options={"tcp_keepalive": keepalive}))
        scene.ask()
        lines = scene.sockets_to(upstream.port)
        return [re.search(r"timer:\((\w+),(\d+)min", line).groups() for line in lines]

    # The kernel counts down from ten minutes.
    assert play(scene) == [("keepalive", "9")]


def test_without_it_there_is_no_keepalive(play):
    def scene(scene):
        upstream = scene.upstream()
        scene.start(b.cluster("c", upstream.port))
        scene.ask()
        return ["timer:(keepalive" in line for line in scene.sockets_to(upstream.port)]

    assert play(scene) == [False]


def test_the_upstream_sees_the_bound_address(play):
    def scene(scene):
        upstream = _named(scene)
        bind = {"source_address": {"address": "127.0.0.7", "port_value": 0}}
        scene.start(b.cluster("c", upstream.port, upstream_bind_config=bind))
        scene.ask()
        return upstream.peers

    assert play(scene) == ["127.0.0.7"]


def test_the_source_address_fits_the_family_of_the_host(play):
    def scene(scene):
        upstream = _named(scene)
        bind = {
            "source_address": {"address": "::1", "port_value": 0},
            "extra_source_addresses": [{"address": {"address": "127.0.0.8", "port_value": 0}}],
        }
        scene.start(b.cluster("c", upstream.port, upstream_bind_config=bind))
        status = scene.ask().status
        return status, upstream.peers

    assert play(scene) == (200, ["127.0.0.8"])


def test_a_socket_option_marks_packets(play):
    def scene(scene):
        upstream = scene.upstream()
        mark = {"level": 1, "name": 36, "int_value": 1337, "state": "STATE_PREBIND"}
        bind = {"source_address": {"address": "127.0.0.1", "port_value": 0}, "socket_options": [mark]}
        scene.start(b.cluster("c", upstream.port, upstream_bind_config=bind))
        status = scene.ask().status
        return status, ["fwmark:0x539" in line for line in scene.sockets_to(upstream.port)]

    assert play(scene) == (200, [True])


def test_a_connection_ends_after_its_longest_life(play):
    def scene(scene):
        upstream = scene.upstream()
        fields = b.http_protocol(
            explicit_http_config={"http_protocol_options": {}},
            common_http_protocol_options={"max_connection_duration": "0.5s"})
        scene.start(b.cluster("c", upstream.port, **fields))
        scene.ask("/1")
        scene.ask("/2")
        ended = scene.wait_for_stat("upstream_cx_max_duration_reached", 1)
        scene.ask("/3")
        return ended, [r.connection for r in upstream.requests], scene.stats("upstream_cx_max_duration_reached", "upstream_cx_total")

    ended, connections, _ = play(scene)
    assert ended and connections == [0, 0, 1]


def test_a_request_outlives_the_longest_life_of_its_connection(play):
    def scene(scene):
        upstream = scene.upstream()
        upstream.script = (BODY, 0.8, response())
        fields = b.http_protocol(
            explicit_http_config={"http_protocol_options": {}},
            common_http_protocol_options={"max_connection_duration": "0.3s"})
        scene.start(b.cluster("c", upstream.port, **fields))
        statuses = [scene.ask(path).status for path in ("/1", "/2")]
        return statuses, [r.connection for r in upstream.requests]

    assert play(scene) == ([200, 200], [0, 1])


def test_a_connection_carries_so_many_requests(play):
    def scene(scene):
        upstream = scene.upstream()
        fields = b.http_protocol(
            explicit_http_config={"http_protocol_options": {}},
            common_http_protocol_options={"max_requests_per_connection": 2})
        scene.start(b.cluster("c", upstream.port, **fields))
        for _ in range(5):
            scene.ask()
        return [r.connection for r in upstream.requests], scene.stats("upstream_cx_max_requests")

    assert play(scene)[0] == [0, 0, 1, 1, 2]


def test_an_idle_connection_ends(play):
    def scene(scene):
        upstream = scene.upstream()
        fields = b.http_protocol(
            explicit_http_config={"http_protocol_options": {}}, common_http_protocol_options={"idle_timeout": "0.3s"})
        scene.start(b.cluster("c", upstream.port, **fields))
        scene.ask()
        ended = scene.wait_for_stat("upstream_cx_idle_timeout", 1)
        return ended, scene.stats("upstream_cx_destroy_local", "upstream_cx_active")

    assert play(scene)[0]


@pytest.mark.parametrize("ratio, connections", [(1.0, 1), (2.0, 2), (3.0, 3)])
def test_connections_are_made_ahead_of_requests(play, ratio, connections):
    def scene(scene):
        upstream = scene.upstream()
        upstream.script = (BODY, 0.4, response())
        policy = {"per_upstream_preconnect_ratio": ratio}
        scene.start(b.cluster("c", upstream.port, preconnect_policy=policy))
        scene.ask()
        return scene.stats("upstream_cx_total")

    assert play(scene) == {"upstream_cx_total": connections}


def _two_addresses(first, second):
    made = b.endpoint(first[1], first[0])
    made["endpoint"]["additional_addresses"] = [{"address": b.address(second[1], second[0])}]
    return made


def test_another_address_of_the_host_is_tried_when_the_first_refuses(play):
    def scene(scene):
        upstream = _named(scene)
        scene.start(
            b.cluster("c", _two_addresses(("127.0.0.1", free_port()), ("127.0.0.1", upstream.port))),
            log="%RESPONSE_CODE% %UPSTREAM_HOST%\n")
        status = scene.ask().status
        # The host is its first address, whichever answered.
        logged = [line.endswith(str(upstream.port)) for line in scene.log(1)]
        return status, logged, scene.stats("upstream_cx_active", "upstream_cx_connect_fail")

    status, logged, counts = play(scene)
    assert status == 200 and logged == [False]
    assert counts["upstream_cx_connect_fail"] == 0


def test_another_address_of_the_host_is_tried_when_the_first_is_silent(play):
    def scene(scene):
        import socket
        # A listener whose queue is full answers no SYN.
        full = socket.socket()
        full.bind(("127.0.0.1", free_port()))
        full.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
        time.sleep(0.2)
        upstream = _named(scene)
        scene.start(b.cluster("c", _two_addresses(full.getsockname(), ("127.0.0.1", upstream.port))))
        began = time.monotonic()
        status = scene.ask().status
        took = time.monotonic() - began
        for each in (full, *fillers):
            each.close()
        return status, 0.25 < took < 0.9

    assert play(scene) == (200, True)


def test_no_address_of_the_host_answers(play):
    def scene(scene):
        scene.start(b.cluster("c", _two_addresses(("127.0.0.1", free_port()), ("127.0.0.1", free_port()))))
        answer = scene.ask()
        return answer.status, scene.log(1), scene.stats("upstream_cx_connect_fail")

    assert play(scene)[0] == 503


def test_families_of_addresses_take_turns(play):
    def scene(scene):
        # Both IPv6 addresses refuse; the IPv4 one goes second, and so before the second IPv6 one.
        upstream = _named(scene)
        second = scene.keep(Named(free_port(), host="127.0.0.3"))
        made = b.endpoint(free_port(), "::1")
        made["endpoint"]["additional_addresses"] = [
            {"address": b.address(free_port(), "::1")},
            {"address": b.address(upstream.port)},
            {"address": b.address(second.port, "127.0.0.3")},
        ]
        scene.start(b.cluster("c", made))
        status = scene.ask().status
        return status, len(upstream.peers), len(second.peers)

    assert play(scene) == (200, 1, 0)
