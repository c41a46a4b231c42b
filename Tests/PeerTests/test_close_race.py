# SPDX-License-Identifier: Apache-2.0
"""Upstreams that close idle keep-alive connections just as requests arrive.

A request of which no byte left is sent again without a word to the client, whatever its method. Where bytes had left it is
the policy's affair, so those requests alone may fail, and none with a policy for resets. The witness of what left is the
upstream: it closes its sending side only and writes down everything that still arrives.
"""

import pathlib
import random
import re
import signal
import socket
import threading
import time

import pytest

from PythonKit import h2frames as f
from PythonKit.bootstrap import bootstrap, cluster, hcm, http2, listener, write
from PythonKit.client import Connection, request
from PythonKit.h2upstream import H2Upstream
from PythonKit.ports import free_port
from PythonKit.process import Proxy
from PythonKit.upstream import Upstream

# A retry may meet another connection that closes, several times in a row.
_RESET = {"retry_on": "reset", "num_retries": 50, "retry_back_off": {"base_interval": "0.001s"}}
# The default lets three be under way at a time, and eight clients race here.
_MANY_RETRIES = {"thresholds": [{"max_retries": 100}]}
_ROUTES = [
    {"match": {"prefix": "/bare"}, "route": {"cluster": "racing"}},
    {"match": {"prefix": "/policy"}, "route": {"cluster": "racing", "retry_policy": _RESET}},
    {"match": {"prefix": "/1"}, "route": {"cluster": "plain"}},
    {"match": {"prefix": "/2"}, "route": {"cluster": "framed"}},
]


class _Racer:
    """Answers, waits a moment, closes its sending side, and records which requests still arrive."""

    def __init__(self, seed):
        self.port = free_port()
        self.random = random.Random(seed)
        self.late = set()
        self.answered = 0
        self.closed = 0
        self._lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self._lock:
                life = self.random.randint(1, 4)
                delay = self.random.random() * 0.0015
            threading.Thread(target=self._serve, args=(connection, life, delay), daemon=True).start()

    def _serve(self, connection, life, delay):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = b""
        with connection:
            for _ in range(life):
                while True:
                    head, found, rest = buffer.partition(b"\r\n\r\n")
                    length = int((re.search(rb"content-length: *(\d+)", head, re.I) or [0, 0])[1]) if found else 0
                    if found and len(rest) >= length:
                        buffer = rest[length:]
                        break
                    data = connection.recv(65536)
                    if not data:
                        return
                    buffer += data
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                self.answered += 1
            # An idle connection ends just as it may be used again.
            time.sleep(delay)
            try:
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(1)
                while data := connection.recv(65536):
                    buffer += data
            except OSError:
                pass
            with self._lock:
                self.closed += 1
                self.late.update(re.findall(rb"x-id: (\d+)", buffer))

    def close(self):
        self.listener.close()


@pytest.fixture(scope="module")
def racing(apus_binary, tmp_path_factory):
    """The proxy, the racer, and two upstreams that close when they are told."""
    directory = tmp_path_factory.mktemp("race")
    racer, plain, framed = _Racer(5), Upstream(free_port()), H2Upstream(free_port())
    ports = {"main": free_port(), "admin": free_port()}
    config = bootstrap(
        ports["admin"],
        [listener("main", ports["main"], hcm(_ROUTES))],
        [
            cluster("racing", racer.port, circuit_breakers=_MANY_RETRIES), cluster("plain", plain.port),
            cluster("framed", framed.port, **http2()),
        ],
    )
    proxy = Proxy(apus_binary, write(directory / "bootstrap.yaml", config), ports["admin"])
    proxy.wait_until_ready()
    yield proxy, ports["main"], racer, plain, framed
    alive, log = proxy.is_alive(), proxy.log()
    assert proxy.stop() == 0 and alive, log
    for upstream in (racer, plain, framed):
        upstream.close()


def _load(port, path, count, clients, seed):
    """Statuses by number of the request: clients that ask one thing after the other, with short breaks."""
    numbers = iter(range(count))
    statuses, lock = {}, threading.Lock()

    def client(index):
        chance = random.Random(seed * 1000 + index)
        with Connection(port) as connection:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                fields, body = [("x-id", str(number))], b""
                method = "POST" if number % 2 else "GET"
                if method == "POST":
                    body = b"b" * chance.choice((1, 100, 5000))
                connection.send(request(path, method=method, headers=fields, body=body))
                statuses[number] = connection.read_response(timeout=10).status
                if chance.random() < 0.5:
                    time.sleep(chance.random() * 0.002)

    threads = [threading.Thread(target=client, args=(index,)) for index in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def test_what_never_left_never_fails(racing):
    proxy, port, racer, *_ = racing
    racer.late.clear()
    statuses = _load(port, "/bare", 3000, 8, seed=1)
    assert len(statuses) == 3000 and set(statuses.values()) <= {200, 503}
    time.sleep(1.2)
    failed = {str(number).encode() for number, status in statuses.items() if status != 200}
    unexplained = failed - racer.late
    assert not unexplained, f"{len(unexplained)} of {len(failed)} requests failed of which nothing had left"
    # The race took place: connections were closed under the load, and a few requests were on their way.
    assert racer.closed > 500


def test_with_a_policy_for_resets_nothing_fails(racing):
    proxy, port, racer, *_ = racing
    statuses = _load(port, "/policy", 3000, 8, seed=2)
    assert len(statuses) == 3000
    assert [number for number, status in statuses.items() if status != 200] == []
    assert proxy.stats("cluster.racing.")["cluster.racing.upstream_rq_retry"] > 0


def _while_stopped(proxy, act):
    """What happens meanwhile reaches the proxy in one turn of its loop."""
    proxy.process.send_signal(signal.SIGSTOP)
    threads = pathlib.Path(f"/proc/{proxy.process.pid}/task")
    while not all(thread.read_text().rpartition(")")[2].split()[0] == "T" for thread in threads.glob("*/stat")):
        pass
    try:
        act()
        time.sleep(0.02)
    finally:
        proxy.process.send_signal(signal.SIGCONT)


def _replays(proxy, name):
    return proxy.stats(f"cluster.{name}.")[f"cluster.{name}.upstream_rq_total"]


@pytest.mark.parametrize("body", [b"", b"x" * 100, b"x" * 40_000], ids=["GET", "short POST", "long POST"])
def test_idle_connections_closed_in_the_very_turn_a_request_comes(racing, body):
    proxy, port, _, plain, _ = racing
    clients = [Connection(port) for _ in range(16)]
    before = _replays(proxy, "plain")
    rounds = 12
    for number in range(rounds):
        # Every upstream connection is used, so that as many are idle afterwards.
        for client in clients:
            client.send(request("/1/warm"))
        for client in clients:
            assert client.read_response(timeout=10).status == 200

        def act(number=number):
            data = request("/1/race", method="POST" if body else "GET", body=body)
            order = [plain.close_connections, *[lambda c=c: c.send(data) for c in clients]]
            if number % 2:
                order.reverse()
            for step in order:
                step()

        _while_stopped(proxy, act)
        for client in clients:
            assert client.read_response(timeout=10).status == 200
    for client in clients:
        client.close()
    made = _replays(proxy, "plain") - before
    assert made >= rounds * 2 * len(clients)


@pytest.mark.parametrize("goodbye", [True, False], ids=["GOAWAY", "no word"])
@pytest.mark.parametrize("body", [b"", b"x" * 3000], ids=["GET", "POST"])
def test_http2_connections_closed_in_the_very_turn_a_request_comes(racing, goodbye, body):
    proxy, port, _, _, framed = racing
    clients = [Connection(port) for _ in range(16)]
    for number in range(12):
        for client in clients:
            client.send(request("/2/warm"))
        for client in clients:
            assert client.read_response(timeout=10).status == 200

        def act(number=number):
            def end():
                for connection in framed.connections:
                    if goodbye:
                        connection.send(f.goaway(2**31 - 1, f.NO_ERROR))
                framed.close_connections()

            data = request("/2/race", method="POST" if body else "GET", body=body)
            order = [end, *[lambda c=c: c.send(data) for c in clients]]
            if number % 2:
                order.reverse()
            for step in order:
                step()

        _while_stopped(proxy, act)
        for client in clients:
            assert client.read_response(timeout=10).status == 200
    for client in clients:
        client.close()
