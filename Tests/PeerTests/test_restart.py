# SPDX-License-Identifier: Apache-2.0
"""Rolling restarts on one address (SO_REUSEPORT) under load: the next process starts and is live, the old one gets SIGTERM
and ends. No client may see an error.

Three kinds of clients at once, none of which repeats a request:

- wrk keeps 16 HTTP/1 connections busy; it counts a connection that ends before its answer as a read error;
- ab opens a connection for every request, so it meets every closing socket; it stops at the first reset;
- h2load through an Envoy that speaks HTTP/2 to Apus, for h2load does not honour GOAWAY: it goes on opening streams on the
  connection it was asked to leave, and counts them as failed.

`APUS_RESTARTS` says how many (10; `make restarts` does 100).
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading

import pytest
from peers import tool

from PythonKit import bootstrap as b
from PythonKit.ports import free_port
from PythonKit.process import Proxy

_RESTARTS = int(os.environ.get("APUS_RESTARTS", "10"))
_DRAIN = {"immediate": ("--drain-strategy", "immediate"), "gradual": ("--drain-strategy", "gradual")}


def _envoy():
    return shutil.which("envoy") or str(pathlib.Path(__file__).parents[2] / ".venv/bin/envoy")


class Rolling:
    """One process after the other on the same port."""

    def __init__(self, binary, directory, port, upstream_port):
        self._binary, self._directory, self._port, self._upstream = binary, directory, port, upstream_port
        self.count = 0
        self.current = self._start()

    def _start(self):
        admin = free_port()
        route = "[{match: {prefix: /}, route: {cluster: nginx, timeout: 10s}}]"
        config = b.bootstrap(
            admin,
            # ab speaks HTTP/1.0.
            [b.listener("main", self._port, b.hcm(route, options={"http_protocol_options": {"accept_http_10": True}}))],
            [b.cluster("nginx", self._upstream)],
        )
        path = b.write(self._directory / f"apus-{self.count}.yaml", config)
        strategy = "immediate" if self.count % 2 else "gradual"
        options = ["--drain-time-s", "10", *_DRAIN[strategy]]
        return Proxy(self._binary, path, admin, concurrency=1 + self.count % 2, extra_arguments=options)

    def restart(self):
        old = self.current
        self.count += 1
        self.current = self._start().wait_until_ready()
        old.terminate()
        assert old.process.wait(10) == 0, old.log()
        assert "drain time is over" not in old.log()


class Front:
    """An Envoy that speaks HTTP/2 to Apus: it leaves a connection that says GOAWAY and retries nothing."""

    def __init__(self, directory, apus_port):
        self.port = free_port()
        admin = free_port()
        route = "[{match: {prefix: /}, route: {cluster: apus, timeout: 10s}}]"
        config = b.bootstrap(
            admin,
            [b.listener("front", self.port, b.hcm(route, options={"codec_type": "HTTP2"}))],
            [b.cluster("apus", apus_port, **b.http2())],
        )
        self.proxy = Proxy(_envoy(), b.write(directory / "front.yaml", config), admin).wait_until_ready()


class Load(threading.Thread):
    """Runs a client again and again until told to stop; keeps what each run printed."""

    def __init__(self, check, *arguments):
        super().__init__(daemon=True)
        self._arguments, self._check = arguments, check
        self._ends = threading.Event()
        self.runs = 0
        self.requests = 0
        self.complaints = []
        self.start()

    def run(self):
        while not self._ends.is_set() and not self.complaints:
            done = subprocess.run(
                self._arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60
            )
            self.runs += 1
            count, complaint = self._check(done)
            self.requests += count
            if complaint:
                self.complaints.append(f"run {self.runs}: {complaint}\n{done.stdout}")

    def stop(self):
        self._ends.set()
        self.join(70)


def _check_h2load(done):
    found = re.search(
        r"requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout",
        done.stdout,
    )
    if not found:
        return 0, "no summary"
    total, _, succeeded, failed, errored, timeout = map(int, found.groups())
    good = succeeded == total and failed + errored + timeout == 0 and " 0 3xx, 0 4xx, 0 5xx" in done.stdout
    return succeeded, None if good else found[0]


def _check_ab(done):
    found = re.search(r"Complete requests:\s+(\d+)", done.stdout)
    good = done.returncode == 0 and "Failed requests:        0" in done.stdout and "Non-2xx" not in done.stdout
    return int(found[1]) if found else 0, None if good else "failed"


@pytest.fixture
def rolling(apus_binary, tmp_path, nginx):
    made = Rolling(apus_binary, tmp_path, free_port(), nginx.port)
    made.current.wait_until_ready()
    yield made
    made.current.stop()


def test_rolling_restarts_lose_no_request(rolling, tmp_path):
    url = f"http://127.0.0.1:{rolling._port}/"
    front = Front(tmp_path, rolling._port)
    wrk = subprocess.Popen(
        [tool("wrk"), "-t", "1", "-c", "16", "-d", "3600", url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    ab = Load(_check_ab, tool("ab"), "-q", "-n", "2000", "-c", "4", "-s", "10", url)
    h2load = Load(
        _check_h2load, tool("h2load"), "-n", "2000", "-c", "4", "-m", "4", f"http://127.0.0.1:{front.port}/"
    )
    try:
        for _ in range(_RESTARTS):
            rolling.restart()
            assert not ab.complaints and not h2load.complaints and wrk.poll() is None
        wrk.send_signal(signal.SIGINT)
        output = wrk.communicate(timeout=20)[0]
    finally:
        if wrk.poll() is None:
            wrk.kill()
        ab.stop()
        h2load.stop()
        front.proxy.stop()
    assert not ab.complaints, ab.complaints[0]
    assert not h2load.complaints, h2load.complaints[0]
    assert "Socket errors" not in output and "Non-2xx" not in output, output
    requests = int(re.search(r"(\d+) requests in", output)[1])
    print(f"{rolling.count} restarts: wrk {requests}, ab {ab.requests}, h2load {h2load.requests} requests, no error")
    assert min(requests, ab.requests, h2load.requests) > 100 * _RESTARTS, output
