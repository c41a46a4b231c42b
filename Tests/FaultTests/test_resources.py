# SPDX-License-Identifier: Apache-2.0
"""Descriptors, memory and disk that run out. docs/faults.md has the whole table."""

import os
import socket
import threading
import time

import pytest
from faults import cpu_seconds, wait_until

from PythonKit import bootstrap as b
from PythonKit.client import Connection, get, request
from PythonKit.upstream import BODY

_MIB = 1 << 20


def test_a_full_disk_stops_no_request(start):
    log = b.file_access_log("/dev/full")
    apus = start(options={"access_log": [log]})
    for index in range(200):
        assert get(apus.port, f"/direct/{index}").status == 200
    wait_until(lambda: apus.proxy.stats("filesystem.write_failed").get("filesystem.write_failed", 0) > 0)
    assert get(apus.ports["admin"], "/ready", host="admin").status == 200


def test_without_descriptors_open_connections_are_served_and_accepting_does_not_spin(start):
    apus = start(descriptors="-n 80")
    with Connection(apus.port) as old:
        old.send(request("/direct"))
        assert old.read_response().status == 200
        # More than there are descriptors; the kernel completes the handshakes.
        clients = [socket.create_connection(("127.0.0.1", apus.port), timeout=5) for _ in range(150)]
        before = cpu_seconds(apus.proxy)
        time.sleep(1.5)
        assert cpu_seconds(apus.proxy) - before < 0.5, "accepting spins"
        old.send(request("/direct"))
        assert old.read_response().status == 200
        for client in clients:
            client.close()

    def serves():
        try:
            return get(apus.port, "/a", timeout=2).status == 200
        except OSError:
            return False

    wait_until(serves, timeout=10, what="serving again")


def test_the_limit_of_descriptors_is_raised_as_far_as_it_may_be(start):
    apus = start(descriptors="-S -n 400")
    with open(f"/proc/{apus.proxy.process.pid}/limits") as file:
        soft, hard = next(line.split()[3:5] for line in file if line.startswith("Max open files"))
    assert soft == hard


class _Hoarders:
    """Clients that ask for megabytes and read nothing."""

    def __init__(self, port, count):
        self.sockets = []
        for _ in range(count):
            made = socket.socket()
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            made.settimeout(2)
            try:
                made.connect(("127.0.0.1", port))
                made.sendall(request("/big"))
            except OSError:
                pass
            self.sockets.append(made)

    def close(self):
        for made in self.sockets:
            made.close()


def _highest(proxy, seconds):
    """Most resident memory seen, in KiB; looks every 20 ms."""
    highest = 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and proxy.is_alive():
        highest = max(highest, proxy.resident_kilobytes())
        time.sleep(0.02)
    return highest


@pytest.fixture
def big_upstream(tmp_path):
    from peers import Nginx
    from PythonKit.ports import free_port

    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "big").write_bytes(os.urandom(8192) * 4096)
    made = Nginx(tmp_path, free_port(), f"root {tmp_path / 'files'}; location = /a {{ return 200 small; }}")
    yield made
    made.stop()


def _load(apus, count):
    """The highest memory while `count` clients hoard."""
    highest = []
    watch = threading.Thread(target=lambda: highest.append(_highest(apus.proxy, 6)))
    watch.start()
    hoarders = _Hoarders(apus.port, count)
    watch.join()
    return hoarders, highest[0]


@pytest.mark.skipif("APUS_SANITIZED" in os.environ, reason="a sanitizer's own memory counts for the limit, and holds what was freed")
def test_near_its_memory_limit_the_process_sheds_and_stays_below(start, big_upstream):
    """The same clients take far more than the limit from a process that has none."""
    # 60 clients hold up to 8 MiB each, beside what the kernel takes.
    count = 60
    listener = {"per_connection_buffer_limit_bytes": 8 * _MIB}
    free = start(upstream_port=big_upstream.port, listener=listener)
    limit = free.proxy.resident_kilobytes() // 1024 + 100
    hoarders, highest = _load(free, count)
    hoarders.close()
    assert highest > (limit + 50) * 1024, "the load proves nothing"

    bounded = start(upstream_port=big_upstream.port, listener=listener, arguments=("--memory-limit-mb", str(limit)))
    hoarders, highest = _load(bounded, count)
    try:
        assert highest < limit * 1024, f"{highest / 1024:.0f} MiB with a limit of {limit}"
        stats = bounded.proxy.stats("overload.")
        assert stats["overload.envoy.overload_actions.reset_high_memory_stream.count"] > 0, stats
    finally:
        hoarders.close()

    def serves():
        try:
            return get(bounded.port, "/a", timeout=2).body == b"small"
        except OSError:
            return False

    wait_until(serves, timeout=15, what="serving again")


def _injected(path):
    kind = "type.googleapis.com/envoy.extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig"
    return b.typed("envoy.resource_monitors.injected_resource", kind, filename=str(path))


def _manager(path, *actions, **fields):
    triggers = [{"name": "envoy.resource_monitors.injected_resource", "threshold": {"value": 0.9}}]
    return {
        "overload_manager": {
            "refresh_interval": "0.05s", "resource_monitors": [_injected(path)],
            "actions": [{"name": f"envoy.overload_actions.{a}", "triggers": triggers} for a in actions], **fields,
        }
    }


def _set(path, value):
    path.with_suffix(".new").write_text(value)
    path.with_suffix(".new").rename(path)


def test_pressure_comes_and_goes(start, tmp_path):
    pressure = tmp_path / "pressure"
    _set(pressure, "0")
    apus = start(**_manager(pressure, "stop_accepting_requests", "shrink_heap"))
    for _ in range(2):
        wait_until(lambda: get(apus.port, "/direct").status == 200)
        _set(pressure, "0.95")
        wait_until(lambda: get(apus.port, "/direct").status == 503)
        _set(pressure, "0.1")
    wait_until(lambda: get(apus.port, "/direct").status == 200)
    stats = apus.proxy.stats("overload.")
    assert stats["overload.envoy.resource_monitors.injected_resource.pressure"] == 10
    assert stats["overload.envoy.overload_actions.shrink_heap.shrink_count"] >= 1


def test_connections_wait_in_the_kernel_while_none_are_accepted(start, tmp_path):
    pressure = tmp_path / "pressure"
    _set(pressure, "0.95")
    apus = start(**_manager(pressure, "stop_accepting_connections"))
    name = "overload.envoy.overload_actions.stop_accepting_connections.active"
    wait_until(lambda: apus.proxy.stats(name).get(name) == 1)
    time.sleep(0.1)
    waiting = [Connection(apus.port) for _ in range(10)]
    for connection in waiting:
        connection.send(request("/direct"))
    time.sleep(0.5)
    assert apus.proxy.stats("http.in.downstream_cx_total").get("http.in.downstream_cx_total", 0) == 0
    _set(pressure, "0")
    for connection in waiting:
        with connection:
            assert connection.read_response(timeout=5).status == 200


def test_the_streams_that_hold_most_are_reset(start, tmp_path):
    pressure = tmp_path / "pressure"
    _set(pressure, "0")
    account = {"buffer_factory_config": {"minimum_account_to_track_power_of_two": 17}}
    apus = start(**_manager(pressure, "reset_high_memory_stream", **account))
    # An answer of which much waits for its client, and one that holds nothing yet.
    apus.upstream.reset_records((BODY, b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n" + b"x" * 8_000_000, 5.0))
    heavy = socket.socket()
    heavy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    heavy.connect(("127.0.0.1", apus.port))
    heavy.sendall(request("/heavy"))
    time.sleep(0.7)
    apus.upstream.reset_records((BODY, 2.5, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nlight"))
    with Connection(apus.port) as light:
        light.send(request("/light"))
        assert apus.upstream.wait_for(1)
        _set(pressure, "0.95")
        name = "overload.envoy.overload_actions.reset_high_memory_stream.count"
        wait_until(lambda: apus.proxy.stats(name).get(name, 0) >= 1, what="a reset")
        assert light.read_response(timeout=5).body == b"light"
    heavy.settimeout(5)
    with pytest.raises(ConnectionResetError):
        while heavy.recv(65536):
            pass
    assert apus.proxy.stats(name)[name] == 1
    heavy.close()
