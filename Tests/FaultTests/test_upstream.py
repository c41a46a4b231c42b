# SPDX-License-Identifier: Apache-2.0
"""Upstreams that die and stall, as real processes do. docs/faults.md has the whole table."""

import signal

from faults import wait_until
from peers import Nginx

from PythonKit.client import Connection, get, request
from PythonKit.ports import free_port
from PythonKit.upstream import BODY, response


def _nginx(directory, port):
    directory.mkdir(exist_ok=True)
    (directory / "big").write_bytes(b"0123456789abcdef" * 65536)
    return Nginx(
        directory, port, f"root {directory}; location = /big {{ limit_rate 200k; }} location / {{ return 200 alive; }}"
    )


def test_an_upstream_that_is_killed_cuts_one_answer_and_is_missed_until_it_is_back(start, tmp_path):
    port = free_port()
    nginx = _nginx(tmp_path / "nginx", port)
    apus = start(upstream_port=port)
    try:
        with Connection(apus.port) as connection:
            connection.send(request("/big"))
            connection.read_exactly(10_000)
            nginx.process.send_signal(signal.SIGKILL)
            nginx.process.wait(5)
            # The client must not take what it has for the whole.
            rest = connection.read_to_end(timeout=5)
        assert 10_000 + len(rest) < 1_000_000
        for _ in range(3):
            refused = get(apus.port, "/x")
            assert refused.status == 503 and b"remote connection failure" in refused.body
        nginx = _nginx(tmp_path / "nginx", port)
        assert get(apus.port, "/x").body == b"alive"
        assert apus.proxy.stats("cluster.a.upstream_cx_active")["cluster.a.upstream_cx_active"] == 1
    finally:
        nginx.stop()


def test_an_upstream_that_is_stopped_costs_its_own_requests_only(start, tmp_path):
    """SIGSTOP: the kernel still takes connections and bytes, nobody answers."""
    port = free_port()
    nginx = _nginx(tmp_path / "nginx", port)
    apus = start(upstream_port=port)
    try:
        assert get(apus.port, "/x").body == b"alive"
        nginx.process.send_signal(signal.SIGSTOP)
        for _ in range(3):
            late = get(apus.port, "/impatient", timeout=5)
            assert late.status == 504 and late.body == b"upstream request timeout"
            assert get(apus.port, "/direct").status == 200
        nginx.process.send_signal(signal.SIGCONT)
        assert get(apus.port, "/x").body == b"alive"
    finally:
        nginx.process.send_signal(signal.SIGCONT)
        nginx.stop()
    wait_until(lambda: apus.proxy.stats("cluster.a.upstream_rq_active")["cluster.a.upstream_rq_active"] == 0)


def test_an_upstream_that_stalls_inside_its_answer_is_given_up(start):
    apus = start()
    apus.upstream.reset_records((BODY, response(200, b"x" * 100)[:-50], 5.0))
    with Connection(apus.port) as connection:
        connection.send(request("/impatient"))
        answer = connection.read_response(timeout=5)
    assert answer.status == 200 and not answer.complete
