# SPDX-License-Identifier: Apache-2.0
"""Parts of the process that are slow or kept busy: the others must not notice. docs/faults.md has the whole table."""

import signal
import socket
import threading
import time

from faults import wait_until

from PythonKit.client import Connection, get, request


def test_clients_that_are_stuck_in_admin_block_neither_admin_nor_traffic(start):
    apus = start()
    stuck = [socket.create_connection(("127.0.0.1", apus.ports["admin"]), timeout=5) for _ in range(20)]
    for index, connection in enumerate(stuck):
        # Nothing, half a head, and a large answer that nobody reads.
        connection.sendall((b"", b"GET /stats HT", b"GET /config_dump HTTP/1.1\r\nhost: a\r\n\r\n" * 5)[index % 3])
    for _ in range(20):
        began = time.monotonic()
        assert get(apus.ports["admin"], "/ready", host="admin").status == 200
        assert get(apus.port, "/direct").status == 200
        assert time.monotonic() - began < 2
    for connection in stuck:
        connection.close()
    # SIGTERM does not wait for them either.
    stuck = [socket.create_connection(("127.0.0.1", apus.ports["admin"]), timeout=5) for _ in range(5)]
    apus.proxy.terminate()
    assert apus.proxy.process.wait(5) == 0
    for connection in stuck:
        connection.close()


def test_a_busy_control_thread_delays_no_request(start, tmp_path):
    """Every SIGUSR1 makes it reopen the logs, every POST passes its mailbox."""
    apus = start(arguments=("--log-path", str(tmp_path / "application.log")), concurrency=2)
    ends = threading.Event()

    def bother():
        while not ends.is_set():
            apus.proxy.process.send_signal(signal.SIGUSR1)
            get(apus.ports["admin"], "/reopen_logs", method="POST", host="admin")

    threads = [threading.Thread(target=bother) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        slowest = 0.0
        with Connection(apus.port) as connection:
            for _ in range(300):
                began = time.monotonic()
                connection.send(request("/direct"))
                assert connection.read_response(timeout=5).status == 200
                slowest = max(slowest, time.monotonic() - began)
    finally:
        ends.set()
        for thread in threads:
            thread.join()
    assert slowest < 2, slowest
    assert get(apus.ports["admin"], "/ready", host="admin").status == 200


def test_a_worker_with_much_to_do_starves_nobody(start):
    """One worker, one client that pipelines without end, and others that want one answer each."""
    apus = start(concurrency=1)
    ends = threading.Event()

    def greedy():
        with socket.create_connection(("127.0.0.1", apus.port), timeout=5) as connection:
            connection.settimeout(0.2)
            batch = request("/direct") * 200
            while not ends.is_set():
                try:
                    connection.send(batch)
                    connection.recv(1 << 20)
                except TimeoutError:
                    pass

    threads = [threading.Thread(target=greedy) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(50):
            began = time.monotonic()
            assert get(apus.port, "/direct", timeout=5).status == 200
            assert time.monotonic() - began < 2
    finally:
        ends.set()
        for thread in threads:
            thread.join()


def test_more_connections_than_the_accept_queue_holds_are_served_in_the_end(start):
    apus = start()
    apus.proxy.process.send_signal(signal.SIGSTOP)
    try:
        waiting = []
        for _ in range(600):
            made = socket.socket()
            made.setblocking(False)
            made.connect_ex(("127.0.0.1", apus.port))
            waiting.append(made)
        time.sleep(0.2)
    finally:
        apus.proxy.process.send_signal(signal.SIGCONT)
    for made in waiting:
        made.setblocking(True)
        made.settimeout(10)
        made.sendall(request("/direct", headers=[("connection", "close")]))
        answer = b""
        while chunk := made.recv(65536):
            answer += chunk
        assert answer.startswith(b"HTTP/1.1 200 OK")
        made.close()
    name = "listener.127.0.0.1_%d.downstream_cx_active" % apus.port
    wait_until(lambda: apus.proxy.stats(name).get(name) == 0)
