# SPDX-License-Identifier: Apache-2.0
"""The same closed-loop load from wrk and from h2load as from meshbench, against the same nginx: do they see the same
throughput and latency, and what does each of them spend on a request?

Rounds alternate between the two tools, each pinned to one CPU and nginx to another. Run as a script for the figures of
docs/meshbench.md:

    python Tests/MeshbenchTests/agreement.py --rounds 5 --seconds 3
"""

import argparse
import dataclasses
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile


@dataclasses.dataclass
class Round:
    """What a tool said and spent in one round."""

    throughput: float
    """Answers a second."""
    latency: float
    """The mean, in microseconds."""
    cpu: float
    """Processor time of the whole process for an answer, in microseconds."""


@dataclasses.dataclass
class Comparison:
    """All rounds of both tools; ratios are meshbench's over the other's, round by round."""

    name: str
    ours: list
    theirs: list

    def ratio(self, field):
        return statistics.median(getattr(a, field) / getattr(b, field) for a, b in zip(self.ours, self.theirs, strict=True))

    def spread(self, rounds, field):
        values = sorted(getattr(r, field) for r in rounds)
        return f"{statistics.median(values):,.2f} ({values[0]:,.2f} – {values[-1]:,.2f})"

    def __str__(self):
        lines = [f"{self.name}, {len(self.ours)} rounds"]
        for field, unit in (("throughput", "answers/s"), ("latency", "µs"), ("cpu", "µs of CPU per answer")):
            lines.append(
                f"  {unit:22} meshbench {self.spread(self.ours, field):34} other {self.spread(self.theirs, field):34}"
                f" ratio {self.ratio(field):.2f}"
            )
        return "\n".join(lines)


def run_pinned(command, cpu):
    """Output and processor seconds of a command on one CPU."""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, preexec_fn=lambda: os.sched_setaffinity(0, {cpu})
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode(errors="replace")
    assert process.returncode == 0, text
    return text, usage.ru_utime + usage.ru_stime


def in_microseconds(text):
    number, unit = re.fullmatch(r"([0-9.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def meshbench(binary, cpu, url, seconds, flags):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "run.json"
        command = [binary, "run", url, "--closed", "-d", f"{seconds}s", "--warm-up", "0s", "--quiet", "--json", str(path), *flags]
        _, used = run_pinned(command, cpu)
        summary = json.loads(path.read_text())
    assert summary["failures"] == {}, summary["failures"]
    return Round(summary["throughput"]["value"], summary["latencyMean"] / 1e3, used * 1e6 / summary["completed"])


def wrk(cpu, url, seconds, connections):
    text, used = run_pinned(["wrk", "-t1", f"-c{connections}", f"-d{seconds}", url], cpu)
    assert "Socket errors" not in text and "Non-2xx" not in text, text
    count = int(re.search(r"(\d+) requests in", text).group(1))
    mean = re.search(r"Latency\s+(\S+)", text).group(1)
    return Round(float(re.search(r"Requests/sec:\s+([0-9.]+)", text).group(1)), in_microseconds(mean), used * 1e6 / count)


def h2load(cpu, url, seconds, connections, streams):
    text, used = run_pinned(["h2load", "-D", str(seconds), f"-c{connections}", f"-m{streams}", url], cpu)
    found = re.search(r"requests: .* (\d+) done, (\d+) succeeded", text)
    count = int(found.group(2))
    assert count > 0, text
    mean = re.search(r"time for request:\s+\S+\s+\S+\s+(\S+)", text).group(1)
    return Round(count / seconds, in_microseconds(mean), used * 1e6 / count)


SHAPES = ((10, None), (4, 32))
"""Connections, and streams on each for HTTP/2; None is HTTP/1.1."""
MORE_SHAPES = ((1, None), (10, None), (100, None), (10, 1), (4, 32), (1, 100))


def compare(binary, server, cpu, rounds, seconds, shapes=SHAPES):
    """A comparison for each shape; in every round one tool after the other, shape by shape."""
    plain, multiplexed = f"http://127.0.0.1:{server.port}/", f"http://127.0.0.1:{server.h2_port}/"
    found = {
        (connections, streams): Comparison(
            f"HTTP/1.1, {connections} connections, against wrk"
            if streams is None
            else f"HTTP/2, {connections} connections with {streams} streams, against h2load",
            [],
            [],
        )
        for connections, streams in shapes
    }
    for _ in range(rounds):
        for (connections, streams), comparison in found.items():
            if streams is None:
                comparison.theirs.append(wrk(cpu, plain, seconds, connections))
                comparison.ours.append(meshbench(binary, cpu, plain, seconds, ["-c", str(connections)]))
            else:
                comparison.theirs.append(h2load(cpu, multiplexed, seconds, connections, streams))
                flags = ["-p", "http2", "-c", str(connections), "-s", str(streams)]
                comparison.ours.append(meshbench(binary, cpu, multiplexed, seconds, flags))
    return list(found.values())


def main():
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
    from peers import Nginx

    from PythonKit import binaries

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    options = parser.parse_args()
    cpus = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as directory, Nginx(pathlib.Path(directory), logs=False, cpu=cpus[0]) as server:
        for comparison in compare(binaries.require_meshbench(), server, cpus[-1], options.rounds, options.seconds, MORE_SHAPES):
            print(comparison)


if __name__ == "__main__":
    main()
