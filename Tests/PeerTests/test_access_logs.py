# SPDX-License-Identifier: Apache-2.0
"""Access logs and their troubles: a full disk, a reader that stalls, a file that is gone; and why a reply is what it is."""

import json
import os
import re
import signal
import subprocess
import time

import pytest

from PythonKit import bootstrap as b
from PythonKit.client import Connection, get, request
from PythonKit.ports import free_port
from PythonKit.process import Proxy
from PythonKit.upstream import BODY, Upstream, response

_LOGGERS = "type.googleapis.com/envoy.extensions.access_loggers."
_DIRECT = [{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "direct"}}}]


def file_log(path, text):
    return b.file_access_log(str(path), text)


def stdout_log(text):
    made = b.typed("envoy.access_loggers.stdout", _LOGGERS + "stream.v3.StdoutAccessLog")
    made["typed_config"]["log_format"] = {"text_format_source": {"inline_string": text}}
    return made


def wait_until(condition, timeout=8.0):
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.02)
    return value


class Setup:
    """A proxy with one HTTP listener."""

    def __init__(self, binary, directory, logs, routes=None, clusters=(), arguments=(), **options):
        self.port, self.admin = free_port(), free_port()
        manager = b.hcm(routes or _DIRECT, options={"access_log": logs, **options})
        path = b.write(directory / "bootstrap.yaml", b.bootstrap(
            self.admin, [b.listener("main", self.port, manager)], list(clusters)))
        self.proxy = Proxy(binary, path, self.admin, extra_arguments=arguments).wait_until_ready()

    def get(self, path="/", **more):
        return get(self.port, path, **more)

    def stats(self):
        return self.proxy.stats("filesystem.")


@pytest.fixture
def make(apus_binary, tmp_path):
    made = []

    def build(*arguments, **more):
        made.append(Setup(apus_binary, tmp_path, *arguments, **more))
        return made[-1]

    yield build
    for setup in made:
        setup.proxy.stop()


def test_full_disk_costs_lines_and_no_request(make, tmp_path):
    good = tmp_path / "good.log"
    setup = make([file_log("/dev/full", "lost %PROTOCOL%\n"), file_log(good, "kept %PROTOCOL%\n")])
    for _ in range(50):
        assert setup.get().status == 200
    wait_until(lambda: good.exists() and good.read_text().count("kept") == 50)
    stats = wait_until(lambda: (s := setup.stats()).get("filesystem.write_dropped", 0) == 50 and s)
    assert stats["filesystem.write_failed"] >= 1
    assert stats["filesystem.write_completed"] >= 1
    assert stats["filesystem.write_total_buffered"] == 0
    assert stats["filesystem.flushed_by_timer"] >= 1


def test_stalled_reader_of_stdout_holds_up_neither_requests_nor_other_files(apus_binary, tmp_path):
    """Nobody reads the pipe: its 64 KiB fill, then the queue; the file beside it gets every line."""
    port, admin = free_port(), free_port()
    other = tmp_path / "other.log"
    long = "x" * 1000
    manager = b.hcm(_DIRECT, options={"access_log": [stdout_log(f"out {long}\n"), file_log(other, "file %PROTOCOL%\n")]})
    path = b.write(tmp_path / "bootstrap.yaml", b.bootstrap(admin, [b.listener("main", port, manager)], []))
    process = subprocess.Popen(
        [apus_binary, "-c", str(path), "--concurrency", "1", "-l", "off", "--file-flush-interval-msec", "20"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        def ready():
            try:
                return get(admin, "/ready", host="admin").status == 200
            except OSError:
                return False

        wait_until(ready)
        with_pipe = 300
        connection = Connection(port)
        for _ in range(with_pipe):
            connection.send(request("/"))
            assert connection.read_response(timeout=3).status == 200
        wait_until(lambda: other.exists() and other.read_text().count("file") == with_pipe)
        waiting = wait_until(lambda: int(re.search(
            r"filesystem\.write_total_buffered: (\d+)", get(admin, "/stats", host="admin").body.decode())[1]))
        assert waiting > 100_000  # 300 lines of 1,005 bytes, less what the pipe holds
        # The reader wakes up and finds every line.
        os.set_blocking(process.stdout.fileno(), False)
        text = b""

        def all_read():
            nonlocal text
            text += process.stdout.read() or b""
            return text.count(b"out ") == with_pipe

        wait_until(all_read)
        assert text == f"out {long}\n".encode() * with_pipe
        connection.close()
    finally:
        process.terminate()
        assert process.wait(10) == 0


def test_process_ends_although_nobody_reads_its_stdout(apus_binary, tmp_path):
    port, admin = free_port(), free_port()
    manager = b.hcm(_DIRECT, options={"access_log": [stdout_log("x" * 4000 + "\n")]})
    path = b.write(tmp_path / "bootstrap.yaml", b.bootstrap(admin, [b.listener("main", port, manager)], []))
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [apus_binary, "-c", str(path), "--concurrency", "1", "-l", "off", "--file-flush-interval-msec", "20"],
        stdout=writer, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    os.close(writer)
    try:
        def served():
            try:
                return get(port, "/").status == 200
            except OSError:
                return False

        wait_until(served)
        for _ in range(60):
            assert get(port, "/").status == 200
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
        os.close(reader)


@pytest.mark.parametrize("how", ["signal", "admin"])
def test_deleted_file_is_made_again_on_demand(make, tmp_path, how):
    log = tmp_path / "access.log"
    setup = make([file_log(log, "%REQ(:PATH)%\n")])
    setup.get("/before")
    wait_until(lambda: log.exists() and log.read_text() == "/before\n")
    log.unlink()
    setup.get("/into-nothing")
    wait_until(lambda: setup.stats()["filesystem.write_completed"] == 2)
    assert not log.exists()
    if how == "signal":
        setup.proxy.process.send_signal(signal.SIGUSR1)
    else:
        assert setup.proxy.admin("/reopen_logs", method="POST").status == 200
    wait_until(log.exists)
    setup.get("/after")
    wait_until(lambda: log.read_text() == "/after\n")


def test_directory_that_is_gone_keeps_the_old_file_and_counts(make, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    log = folder / "access.log"
    setup = make([file_log(log, "%REQ(:PATH)%\n")])
    moved = tmp_path / "moved"
    folder.rename(moved)
    setup.proxy.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: setup.stats()["filesystem.reopen_failed"] == 1)
    setup.get("/still")
    wait_until(lambda: (moved / "access.log").read_text() == "/still\n")


def test_configuration_error_names_the_nearest_operator(apus_binary, tmp_path):
    manager = b.hcm(_DIRECT, options={"access_log": [file_log(tmp_path / "x.log", "%RESPONCE_CODE%\n")]})
    path = b.write(tmp_path / "bootstrap.yaml", b.bootstrap(1, [b.listener("main", 2, manager)], []))
    done = subprocess.run([apus_binary, "--mode", "validate", "-c", str(path)], capture_output=True, text=True, timeout=20)
    assert done.returncode != 0
    text = done.stdout + done.stderr
    assert "access_log[0].typed_config.log_format.text_format_source" in text
    assert 'did you mean "%RESPONSE_CODE%"' in text


# Why it answered so

_WHY = json.dumps({"reason": "%DYNAMIC_METADATA(apus:reason)%", "words": "%DYNAMIC_METADATA(apus:explanation)%",
                   "same": "%APUS_REASON%", "details": "%RESPONSE_CODE_DETAILS%"})


def why_log(path):
    made = b.file_access_log(str(path))
    made["typed_config"]["log_format"] = {"json_format": json.loads(_WHY)}
    return made


def lines_of(log, count):
    wait_until(lambda: log.exists() and log.read_text().count("\n") >= count)
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_reset_on_a_reused_connection_says_how_it_stood(make, tmp_path):
    log = tmp_path / "why.log"
    port = free_port()
    upstream = Upstream(port, "a")
    def answer_the_first(transport, record):
        if "/one" not in record.line:
            raise ConnectionResetError  # ends the connection
        transport.sendall(response(200, b"x"))

    upstream.reset_records((BODY, answer_the_first))
    setup = make([why_log(log)], routes=[{"match": {"prefix": "/"}, "route": {"cluster": "a"}}], clusters=[b.cluster("a", port)])
    try:
        assert setup.get("/one").status == 200
        assert setup.get("/two").status == 503
    finally:
        upstream.close()
    first, second = lines_of(log, 2)
    assert (first["reason"], first["words"]) == (None, None)
    assert second["reason"] == second["same"] == "upstream_closed_reused_connection_after_request"
    found = re.search(r"The connection was (\d+) ms old and had been given 2 requests; (\d+) bytes of this one had been sent\.$", second["words"])
    assert found and int(found[2]) > 50, second


@pytest.mark.parametrize("path, reason", [
    ("/none", "no_route"), ("/dead", "upstream_connect_failed"), ("/empty", "no_healthy_endpoint"),
    ("/direct", "answered_by_route"), ("/slow", "upstream_timeout"),
])
def test_local_replies_have_their_reason(make, tmp_path, path, reason):
    log = tmp_path / "why.log"
    port = free_port()
    upstream = Upstream(port, "a")
    upstream.reset_records((BODY, 1.0, response(200)))
    setup = make(
        [why_log(log)],
        routes=[
            {"match": {"prefix": "/dead"}, "route": {"cluster": "dead"}},
            {"match": {"prefix": "/empty"}, "route": {"cluster": "empty"}},
            {"match": {"prefix": "/slow"}, "route": {"cluster": "a", "timeout": "0.2s"}},
            {"match": {"prefix": "/direct"}, "direct_response": {"status": 403}},
        ],
        clusters=[b.cluster("dead", free_port()), b.cluster("empty"), b.cluster("a", port)],
        arguments=("--explain-replies", "all"))
    try:
        answer = setup.get(path, headers=[("x-apus-explain", "1")])
        silent = setup.get(path)
    finally:
        upstream.close()
    [line, _] = lines_of(log, 2)
    assert line["reason"] == reason and line["words"].endswith(".")
    assert answer.header("x-apus-reason") == reason
    assert answer.header("x-apus-explanation") == line["words"]
    assert silent.header("x-apus-reason") is None and silent.header("x-apus-explanation") is None


@pytest.mark.parametrize("arguments, internal, told, passed_on", [
    ((), True, False, True), (("--explain-replies", "trusted"), False, False, False),
    (("--explain-replies", "trusted"), True, True, True), (("--explain-replies", "all"), False, True, True),
])
def test_only_who_may_ask_is_told(make, tmp_path, arguments, internal, told, passed_on):
    port = free_port()
    upstream = Upstream(port, "a")
    ranges = [{"address_prefix": "127.0.0.0", "prefix_len": 8}]
    more = {"use_remote_address": True, "internal_address_config": {"cidr_ranges": ranges if internal else []}}
    setup = make(
        [], routes=[{"match": {"prefix": "/up"}, "route": {"cluster": "a"}}], clusters=[b.cluster("a", port)],
        arguments=arguments, **more)
    try:
        answer = setup.get("/none", headers=[("x-apus-explain", "1")])
        assert answer.status == 404
        assert (answer.header("x-apus-reason") == "no_route") == told
        assert setup.get("/up", headers=[("x-apus-explain", "1")]).status == 200
        [seen] = upstream.wait_for(1)
        assert (seen.header("x-apus-explain") == "1") == passed_on
    finally:
        upstream.close()
