# SPDX-License-Identifier: Apache-2.0
"""SIGTERM loses no request in flight; two processes restarted in turn under load lose none either."""

import concurrent.futures
import re
import subprocess
import time

import pytest
from peers import Nginx, start_proxy, tool

from PythonKit.client import Connection, get, request
from PythonKit.ports import free_port
from PythonKit.upstream import BODY, Upstream


@pytest.fixture
def slow():
    """An upstream that takes its time over head and body."""
    made = Upstream(free_port(), "slow")
    body = b"0123456789" * 10
    made.reset_records((BODY, 0.5, b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n" + body[:30], 0.5, body[30:]))
    yield made
    made.close()


def test_sigterm_loses_no_request_in_flight(apus_binary, tmp_path, nginx, slow):
    apus = start_proxy(apus_binary, tmp_path, nginx.port, slow.port)
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        running = [pool.submit(get, apus.ports["recorded"], f"/{i}", timeout=10) for i in range(24)]
        assert len(slow.wait_for(24, timeout=5)) == 24
        apus.proxy.terminate()
        for future in running:
            answer = future.result(timeout=15)
            assert (answer.status, answer.complete, len(answer.body)) == (200, True, 100)
    assert apus.proxy.process.wait(10) == 0, apus.proxy.log()


def test_sigterm_lets_an_upload_finish(apus_binary, tmp_path, nginx, recorder):
    recorder.reset_records()
    apus = start_proxy(apus_binary, tmp_path, nginx.port, recorder.port)
    with Connection(apus.ports["recorded"]) as connection:
        connection.send(request("/up", method="POST", headers=[("content-length", "20")]) + b"0123456789")
        recorder.wait_for(1)
        apus.proxy.terminate()
        time.sleep(0.3)
        connection.send(b"0123456789")
        answer = connection.read_response()
    assert answer.status == 200 and recorder.requests[0].body == b"01234567890123456789"
    assert apus.proxy.process.wait(10) == 0, apus.proxy.log()


def test_sigterm_when_idle_ends_at_once_and_with_0(apus_binary, tmp_path, nginx, recorder):
    apus = start_proxy(apus_binary, tmp_path, nginx.port, recorder.port)
    with Connection(apus.ports["main"]) as idle:
        idle.send(request("/"))
        assert idle.read_response().status == 200
        apus.proxy.terminate()
        assert idle.is_closed_within(5), "the idle connection was kept"
    assert apus.proxy.process.wait(5) == 0, apus.proxy.log()


def test_quitquitquit_ends_with_0(apus_binary, tmp_path, nginx, recorder):
    apus = start_proxy(apus_binary, tmp_path, nginx.port, recorder.port)
    assert apus.proxy.admin("/quitquitquit", method="POST").status == 200
    assert apus.proxy.process.wait(5) == 0, apus.proxy.log()


def test_two_processes_restarted_in_turn_under_load(apus_binary, tmp_path, nginx, recorder):
    """ab to nginx to two Apus. POST, so that nginx repeats nothing it has sent; it tries the other one only when the
    connection is refused. Every request on its own connection, or a keep-alive race would count as a loss."""
    both = [start_proxy(apus_binary, tmp_path, nginx.port, recorder.port, concurrency=1) for _ in range(2)]
    servers = "".join(f"server 127.0.0.1:{apus.ports['main']} max_fails=0;" for apus in both)
    (tmp_path / "front").mkdir()
    front = Nginx(
        tmp_path / "front",
        free_port(),
        "location / { proxy_pass http://apus; proxy_next_upstream error; }",
        f"upstream apus {{ {servers} }} proxy_http_version 1.1; proxy_set_header Connection close;",
    )
    body = tmp_path / "body"
    body.write_bytes(b"b" * 1000)
    load = subprocess.Popen(
        [tool("ab"), "-q", "-t", "4", "-n", "1000000", "-c", "8", "-p", str(body), f"http://127.0.0.1:{front.port}/"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for _ in range(2):
            for index, apus in enumerate(both):
                time.sleep(0.3)
                assert apus.proxy.stop(timeout=10) == 0, apus.proxy.log()
                both[index] = start_proxy(
                    apus_binary, tmp_path, nginx.port, recorder.port, ports=apus.ports, concurrency=1
                )
        output = load.communicate(timeout=20)[0]
    finally:
        load.kill() if load.poll() is None else None
        front.stop()
        for apus in both:
            apus.proxy.stop()
    assert load.returncode == 0, output
    assert int(re.search(r"Complete requests:\s+(\d+)", output)[1]) > 500, output
    assert "Failed requests:        0" in output and "Non-2xx" not in output, (
        output + front.error_log.read_text()[-3000:]
    )
