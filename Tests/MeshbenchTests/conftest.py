# SPDX-License-Identifier: Apache-2.0
"""Runs `meshbench` as a user would: a server of its own, a load, and the result as JSON."""

import json
import pathlib
import subprocess

import pytest

from PythonKit import binaries


@pytest.fixture(scope="session")
def meshbench():
    return Meshbench(binaries.require_meshbench())


class Meshbench:
    """The binary under test."""

    def __init__(self, binary: pathlib.Path):
        self.binary = str(binary)

    def serve(self, *flags):
        """A running server; leave the `with` to end it."""
        return Server(self.binary, flags)

    def command(self, *arguments, timeout=60, env=None):
        return subprocess.run([self.binary, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, env=env)

    def run(self, directory, target, *flags, status=0):
        """A run's summary."""
        path = pathlib.Path(directory) / "run.json"
        done = self.command("run", target, "--json", path, *flags)
        assert done.returncode == status, done.stdout + done.stderr
        return json.loads(path.read_text())


class Server:
    def __init__(self, binary, flags):
        self.process = subprocess.Popen(
            [binary, "serve", "--port", "0", *map(str, flags)], stdout=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), line
        self.address = line.split()[-1]

    @property
    def pid(self):
        return self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)


def percentile(summary, wanted, kind="latency"):
    """Seconds."""
    return next(p["nanoseconds"]["value"] for p in summary[kind] if p["percentile"] == wanted) / 1e9


@pytest.fixture(scope="session")
def credential():
    from PythonKit import certificates

    return certificates.material().server
