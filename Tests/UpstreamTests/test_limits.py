# SPDX-License-Identifier: Apache-2.0
"""Circuit breakers, by priority, in numbers and in what clients and logs say."""

import pytest
from scene import compare

from PythonKit import bootstrap as b
from PythonKit.client import Connection
from PythonKit.h2upstream import BODY as H2_BODY
from PythonKit.h2upstream import H2Upstream, Head
from PythonKit.ports import free_port
from PythonKit.upstream import BODY, ECHO, response

SLOW = (BODY, 0.7, response())
COUNTS = (
    "upstream_cx_total", "upstream_cx_overflow", "upstream_rq_total", "upstream_rq_pending_overflow",
    "upstream_rq_active_overflow", "upstream_rq_pending_total",
)


def limits(*, high=False, **values):
    return {"circuit_breakers": {"thresholds": [{"priority": "HIGH" if high else "DEFAULT", **values}]}}


@pytest.fixture
def play(tmp_path, envoy_binary, apus_binary):
    return lambda scene: compare(tmp_path, envoy_binary, apus_binary, scene)


def _burst(scene, fields, paths=("/1", "/2", "/3"), routes=None):
    upstream = scene.upstream()
    upstream.script = SLOW
    scene.start(b.cluster("c", upstream.port, **fields), routes=routes)
    answers = scene.ask_together(*paths)
    return {
        "answers": [(a.status, a.header("x-envoy-overloaded"), a.body) for a in answers],
        "log": scene.log(len(paths)),
        **scene.stats(*COUNTS),
    }


@pytest.mark.parametrize(
    "values, refused, stat",
    [
        ({"max_requests": 1}, 2, "upstream_rq_active_overflow"),
        ({"max_requests": 2}, 1, "upstream_rq_active_overflow"),
        ({"max_connections": 1}, 0, "upstream_cx_overflow"),
        ({"max_connections": 1, "max_pending_requests": 1}, 1, "upstream_rq_pending_overflow"),
        ({"max_connections": 0}, 0, "upstream_cx_overflow"),
        ({"max_pending_requests": 0}, 3, "upstream_rq_pending_overflow"),
        ({"max_requests": 0}, 3, "upstream_rq_active_overflow"),
    ],
    ids=lambda value: str(value),
)
def test_three_requests_at_a_time(play, values, refused, stat):
    seen = play(lambda scene: _burst(scene, limits(**values)))
    assert [status for status, *_ in seen["answers"]].count(503) == refused
    assert seen[stat] > 0
    if refused:
        assert seen["log"].count("503 UO upstream_reset_before_response_started{overflow}") == refused


PRIORITIES = [
    {"match": {"prefix": "/high"}, "route": {"cluster": "c", "priority": "HIGH"}},
    {"match": {"prefix": "/"}, "route": {"cluster": "c"}},
]


@pytest.mark.parametrize("high", [False, True])
def test_each_priority_has_limits_of_its_own(play, high):
    paths = ("/high/1", "/low/1", "/high/2", "/low/2")
    seen = play(lambda scene: _burst(scene, limits(high=high, max_requests=1), paths, PRIORITIES))
    refused = [status == 503 for status, *_ in seen["answers"]]
    assert refused == ([False, False, True, False] if high else [False, False, False, True])


def test_connections_belong_to_one_priority(play):
    def scene(scene):
        upstream = scene.upstream()
        scene.start(b.cluster("c", upstream.port), routes=PRIORITIES)
        for path in ("/low", "/high", "/low", "/high"):
            scene.ask(path)
        return [record.connection for record in upstream.requests]

    assert play(scene) == [0, 1, 0, 1]


GAUGES = ("cx_open", "rq_open", "rq_pending_open", "rq_retry_open", "cx_pool_open",
          "remaining_cx", "remaining_rq", "remaining_pending", "remaining_retries")


def test_gauges_say_what_is_left_and_what_is_open(play):
    def scene(scene):
        upstream = scene.upstream()
        upstream.script = SLOW
        scene.start(b.cluster("c", upstream.port, **limits(
            max_connections=1, max_requests=5, max_pending_requests=1, track_remaining=True)))
        names = [f"circuit_breakers.{p}.{g}" for p in ("default", "high") for g in GAUGES]
        before = scene.stats(*names)
        during = {}

        def look():
            during.update(scene.stats(*names))

        import threading
        timer = threading.Timer(0.35, look)
        timer.start()
        scene.ask_together("/1", "/2")
        timer.join()
        return before, during, scene.stats(*names)

    before, during, after = play(scene)
    assert before["circuit_breakers.default.remaining_cx"] == 1 and before["circuit_breakers.high.remaining_cx"] is None
    assert during["circuit_breakers.default.cx_open"] == 1 and during["circuit_breakers.default.remaining_rq"] == 4
    assert during["circuit_breakers.default.rq_pending_open"] == 1
    assert after["circuit_breakers.default.remaining_rq"] == 5


def test_http2_streams_are_requests(play):
    def scene(scene):
        upstream = scene.keep(H2Upstream(free_port(), "h2"))
        upstream.reset_records((H2_BODY, 0.7, Head(end=True)))
        scene.start(b.cluster("c", upstream.port, **limits(max_requests=1), **b.http2()))
        scene.ask("/first")
        answers = scene.ask_together("/1", "/2", "/3")
        return [a.status for a in answers], scene.stats("upstream_rq_active_overflow", "upstream_cx_total")

    statuses, counts = play(scene)
    assert statuses.count(503) == 2 and counts["upstream_cx_total"] == 1


def test_tcp_connections_over_the_limit_are_refused(play):
    def scene(scene):
        upstream = scene.upstream()
        upstream.accept_script = (b"welcome", ECHO)
        scene.start(b.cluster("c", upstream.port, **limits(max_connections=1)), tcp="c", log="%RESPONSE_FLAGS%\n")
        with Connection(scene.port) as first:
            assert first.read_exactly(7) == b"welcome"
            with Connection(scene.port) as second:
                refused = second.is_closed_within(2)
        return refused, scene.log(2), scene.stats("upstream_cx_overflow", "upstream_cx_total")

    refused, log, counts = play(scene)
    assert refused and log == ["-", "UO"] and counts["upstream_cx_overflow"] == 1


def test_the_limit_on_pools_is_no_healthy_upstream(play):
    def scene(scene):
        upstreams = [scene.upstream(), scene.upstream()]
        for upstream in upstreams:
            upstream.script = SLOW
        scene.start(b.cluster("c", *(u.port for u in upstreams), **limits(max_connection_pools=1)))
        answers = scene.ask_together("/1", "/2")
        return [a.status for a in answers], scene.log(2), scene.stats("upstream_cx_pool_overflow")

    statuses, log, counts = play(scene)
    assert statuses == [200, 503] and counts["upstream_cx_pool_overflow"] == 1
