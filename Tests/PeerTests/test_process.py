# SPDX-License-Identifier: Apache-2.0
"""The process itself: command line, configuration errors, signals, logs, admin, the demo."""

import re
import signal
import socket
import subprocess
import time

import pytest

from PythonKit import bootstrap as b
from PythonKit.client import get
from PythonKit.ports import free_port
from PythonKit.process import Proxy

_ACCESS_LOG = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
_DIRECT = "[{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: direct}}}]"


def run(binary, *arguments, timeout=20):
    return subprocess.run([binary, *arguments], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)


def wait_until(condition, timeout=5.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.02)


@pytest.fixture
def files(tmp_path):
    """Ports, an access log and a bootstrap with one listener that answers itself."""
    ports = {"main": free_port(), "admin": free_port()}
    log = tmp_path / "access.log"
    options = {"access_log": [{"name": "file", "typed_config": {"@type": _ACCESS_LOG, "path": str(log)}}]}
    path = b.write(tmp_path / "bootstrap.yaml", b.bootstrap(
        ports["admin"], [b.listener("main", ports["main"], b.hcm(_DIRECT, options=options))], []))
    return ports, path, log


@pytest.fixture
def proxy(apus_binary, files):
    ports, path, _ = files
    made = Proxy(apus_binary, path, ports["admin"]).wait_until_ready()
    yield made
    made.stop()


def test_version_names_apus(apus_binary):
    found = run(apus_binary, "--version")
    assert found.returncode == 0 and re.search(r"version: apus/\d+\.\d+\.\d+/", found.stdout)


def test_help_lists_envoys_flags_and_an_example(apus_binary):
    found = run(apus_binary, "--help")
    assert found.returncode == 0 and "apus -c envoy.yaml" in found.stdout
    for flag in ("--config-path", "--config-yaml", "--mode", "--concurrency", "--drain-time-s", "--drain-strategy", "--log-level",
                 "--component-log-level", "--log-format", "--log-format-escaped", "--log-path", "--allow-unknown-static-fields",
                 "--file-flush-interval-msec", "--disable-hot-restart", "--service-node", "--base-id", "--cpuset-threads"):
        assert flag in found.stdout, flag


@pytest.mark.parametrize("arguments", [["--nope"], ["--mode", "sometimes"], ["--log-level", "loud"], ["--concurrency", "x"], []])
def test_a_wrong_command_line_exits_1(apus_binary, arguments):
    found = run(apus_binary, *arguments)
    assert found.returncode == 1 and found.stderr


@pytest.mark.parametrize("text, words", [
    ("static_resources: {listenerz: []}", ("static_resources.listenerz", "listeners")),
    ("static_resources: {clusters: [{name: a, connect_timeout: soon}]}", ("static_resources.clusters[0].connect_timeout", "soon")),
    ("static_resources: {clusters: [{name: a, type: STATICC}]}", ("static_resources.clusters[0].type", "STATICC", "STATIC")),
    ("static_resources: [", ("bootstrap.yaml",)),
])
def test_a_wrong_configuration_exits_1_and_says_where(apus_binary, tmp_path, text, words):
    path = tmp_path / "bootstrap.yaml"
    path.write_text(text)
    found = run(apus_binary, "-c", str(path))
    assert found.returncode == 1, found.stderr
    for word in (str(path), *words):
        assert word in found.stderr, found.stderr


def test_validate_prints_ok_and_opens_no_port(apus_binary, files):
    ports, path, log = files
    with socket.create_server(("127.0.0.1", ports["main"])):
        found = run(apus_binary, "-c", str(path), "--mode", "validate")
    assert found.returncode == 0 and f"configuration '{path}' OK" in found.stdout, found.stderr
    assert not log.exists()


def test_config_yaml_is_merged_over_the_file(apus_binary, files):
    ports, path, _ = files
    made = Proxy(apus_binary, path, ports["admin"], extra_arguments=["--config-yaml", "node: {id: overlaid}"]).wait_until_ready()
    assert '"overlaid"' in made.admin("/server_info").body.decode()
    assert made.stop() == 0


def test_an_unsupported_field_is_reported_when_allowed(apus_binary, files):
    ports, path, _ = files
    overlay = "static_resources: {clusters: [{name: a, type: STATIC, load_assignment: {cluster_name: a}, lb_subset_config: {}}]}"
    refused = run(apus_binary, "-c", str(path), "--config-yaml", overlay, "--mode", "validate")
    allowed = run(apus_binary, "-c", str(path), "--config-yaml", overlay, "--mode", "validate", "--allow-unknown-static-fields")
    assert (refused.returncode, allowed.returncode) in {(1, 0), (0, 0)}, refused.stderr + allowed.stderr
    assert "static_resources.clusters[0].lb_subset_config" in allowed.stdout + refused.stderr


def test_admin_refuses_an_address_that_is_not_loopback(apus_binary, tmp_path):
    found = run(apus_binary, "--config-yaml", "admin: {address: {socket_address: {address: 0.0.0.0, port_value: 0}}}")
    assert found.returncode == 1 and "admin.address" in found.stderr and "loopback" in found.stderr, found.stderr


def test_a_port_in_use_exits_1_and_names_it(apus_binary, files):
    ports, path, _ = files
    with socket.create_server(("127.0.0.1", ports["main"])):
        found = run(apus_binary, "-c", str(path))
    assert found.returncode == 1 and f"127.0.0.1:{ports['main']}" in found.stderr, found.stderr


def test_admin_takes_pilot_agents_unencoded_expression(proxy):
    target = "/stats?usedonly&filter=^(server\\.state|listener_manager\\.workers_started)"
    with socket.create_connection(("127.0.0.1", proxy.admin_port), timeout=5) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    # In chunks, as Envoy's.
    assert answer.endswith(b"\r\nlistener_manager.workers_started: 1\nserver.state: 0\n\r\n0\r\n\r\n")


def test_sighup_is_ignored(proxy, files):
    proxy.process.send_signal(signal.SIGHUP)
    assert get(files[0]["main"], "/").status == 200 and proxy.is_alive()


def test_sigusr1_reopens_access_logs(proxy, files):
    ports, _, log = files
    get(ports["main"], "/before")
    wait_until(lambda: log.exists() and "/before" in log.read_text())
    log.rename(log.with_suffix(".1"))
    proxy.process.send_signal(signal.SIGUSR1)
    wait_until(log.exists)
    get(ports["main"], "/after")
    wait_until(lambda: "/after" in log.read_text())
    assert "/after" not in log.with_suffix(".1").read_text()


def test_access_log_lines_survive_sigterm(apus_binary, files):
    ports, path, log = files
    made = Proxy(apus_binary, path, ports["admin"], extra_arguments=["--file-flush-interval-msec", "60000"]).wait_until_ready()
    for index in range(50):
        assert get(ports["main"], f"/{index}").status == 200
    assert made.stop() == 0
    assert len(log.read_text().splitlines()) == 50


def test_a_blocked_stdout_stops_no_request(apus_binary, tmp_path):
    """Nobody reads the pipe: lines are dropped in the end, requests go on."""
    ports = {"main": free_port(), "admin": free_port()}
    stdout = "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"
    options = {"access_log": [{"name": "stdout", "typed_config": {"@type": stdout}}]}
    path = b.write(tmp_path / "bootstrap.yaml", b.bootstrap(
        ports["admin"], [b.listener("main", ports["main"], b.hcm(_DIRECT, options=options))], []))
    process = subprocess.Popen(
        [apus_binary, "-c", str(path), "--concurrency", "1", "--file-flush-interval-msec", "20"], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: _answers(ports["admin"]))
        for index in range(1_000):
            assert get(ports["main"], f"/{index}").status == 200
        assert get(ports["admin"], "/ready", host="admin").status == 200
        process.terminate()
        assert process.wait(10) == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.stdout.close()


def _answers(port):
    try:
        return get(port, "/ready", host="admin").status == 200
    except OSError:
        return False


def test_the_demo_answers_its_own_request(apus_binary):
    found = run(apus_binary, "demo", "--once", "--port", str(free_port()), "--admin-port", str(free_port()))
    assert found.returncode == 0, found.stderr
    assert "HTTP/1.1 200" in found.stdout and "x-demo: added by the proxy" in found.stdout, found.stdout
