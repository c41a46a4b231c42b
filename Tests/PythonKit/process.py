# SPDX-License-Identifier: Apache-2.0
"""One proxy process: started from a bootstrap, ready by admin, ended by its PID."""

import atexit
import os
import pathlib
import signal
import socket
import subprocess
import time

from .client import Connection, get


_running: list[subprocess.Popen] = []


@atexit.register
def _end_what_is_left():
    """Whatever a failed test left running ends with the test run: these processes only, by their PIDs."""
    for process in _running:
        if process.poll() is None:
            process.kill()


class Proxy:
    """A running Envoy or Apus. Both take the same flags; that is part of what is tested."""

    def __init__(self, binary, bootstrap_path, admin_port, *, concurrency=1, extra_arguments=()):
        self.binary = binary
        self.admin_port = admin_port
        self.bootstrap_path = pathlib.Path(bootstrap_path)
        self.log_path = self.bootstrap_path.with_suffix(".log")
        self.arguments = [
            binary,
            "-c",
            str(bootstrap_path),
            "--concurrency",
            str(concurrency),
            "--disable-hot-restart",
            "-l",
            "error",
            "--file-flush-interval-msec",
            "20",
            # One unsupported field then fails the cases that need it, not the whole bootstrap.
            "--allow-unknown-static-fields",
            *extra_arguments,
        ]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                self.arguments, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )
        _running.append(self.process)

    def wait_until_ready(self, timeout=20.0):
        """Polls admin `/ready`; a process that died instead fails with its own log."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(
                    f"{self.binary} exited {self.process.returncode} on {self.bootstrap_path}:\n{self.log()}"
                )
            try:
                if self.admin("/ready").status == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"{self.binary} not ready after {timeout} s on {self.bootstrap_path}:\n{self.log()}")

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")[-6000:]

    def admin(self, path, method="GET"):
        return get(self.admin_port, path, method=method, host="admin", timeout=5)

    def stats(self, pattern: str = "") -> dict[str, int]:
        """Counters and gauges by name; `pattern` is a substring."""
        result = {}
        for line in self.admin("/stats").body.decode().splitlines():
            name, _, value = line.rpartition(": ")
            if pattern in name and value.isdigit():
                result[name] = int(value)
        return result

    def resident_kilobytes(self) -> int:
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def assert_grew_by_less_than(self, kilobytes, since):
        """Resident memory against what it was; not with the thread sanitizer, which keeps a shadow of all memory."""
        grown = self.resident_kilobytes() - since
        assert grown < kilobytes or os.environ.get("APUS_SANITIZED") == "thread", f"resident memory grew by {grown} kB"

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self, timeout=5.0) -> int:
        """SIGTERM, and SIGKILL only where that does not end it; returns the exit status."""
        if self.process.poll() is None:
            self.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        _running[:] = [process for process in _running if process.poll() is None]
        return self.process.returncode

    def kill(self):
        self.process.kill()
        self.process.wait(5)


def wait_for_listener(port, timeout=5.0):
    """Until something accepts on the port: for peers that have no ready endpoint."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


__all__ = ["Proxy", "Connection", "wait_for_listener"]
