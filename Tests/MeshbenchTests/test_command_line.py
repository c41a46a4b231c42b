# SPDX-License-Identifier: Apache-2.0
"""What a user types, and what they are told when it is wrong."""

import json
import os
import pathlib
import pty
import re
import subprocess

import pytest
from conftest import percentile
from PythonKit.ports import free_port


def test_every_command_has_help_with_an_example(meshbench):
    for command in ([], ["run"], ["find"], ["serve"], ["report"], ["compare"], ["mesh"]):
        done = meshbench.command(*command, "--help")
        assert done.returncode == 0
        assert "Example" in done.stdout and f"meshbench {' '.join(command)}".strip() in done.stdout
        # An example that is wrapped cannot be copied.
        examples = done.stdout.partition("Example")[2].partition("USAGE")[0].splitlines()[1:]
        assert all(line.startswith("  ") for line in examples if line), examples


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["run", "127.0.0.1:80"], "found no scheme"),
        (["run", "ftp://127.0.0.1/"], "scheme 'ftp'"),
        (["run", "http://127.0.0.1:99999/"], "port '99999'"),
        (["run", "tcp://127.0.0.1"], "found no port"),
        (["run", "http://127.0.0.1/", "-s", "3"], "streams: found 3"),
        (["run", "http://127.0.0.1/", "-c", "1", "-w", "2"], "at least one for each of 2 workers"),
        (["run", "http://127.0.0.1/{5..1}"], "'{5..1}'"),
        (["run", "http://127.0.0.1/", "--rate", "5", "--closed"], "one of --rate"),
        (["run", "http://127.0.0.1/", "--poisson"], "needs --rate"),
        (["run", "http://127.0.0.1/", "--ramp", "1:2"], "FROM:TO:TIME"),
        (["run", "http://127.0.0.1/", "--fail-if", "p99"], "no > or <"),
        (["run", "http://127.0.0.1/", "--paths", "/nowhere"], "/nowhere: cannot be read"),
        (["run", "http://127.0.0.1/", "-p", "tcp"], "needs tcp://"),
        (["serve", "--host", "nowhere"], "found 'nowhere'"),
        (["run", "ws://127.0.0.1/", "-p", "http2"], "needs http://"),
        (["run", "http://127.0.0.1/", "-p", "websocket"], "needs ws://"),
        (["run", "http://127.0.0.1/", "--body-size", "gauss:1"], "gauss:1"),
        (["run", "http://127.0.0.1/", "--messages", "5"], "messages: found 5"),
        (["run", "tcp://127.0.0.1:1", "--tcp-mode", "upload", "--connect-per-request"], "not with upload"),
        (["run", "http://127.0.0.1/", "--requests", "/nowhere"], "/nowhere: cannot be read"),
        (["run", "http://127.0.0.1/", "--baseline", "http://127.0.0.1:1/"], "baseline: found a closed loop"),
        (["run", "http://127.0.0.1/", "--pin", "4096"], "pin: found 4096"),
        (["run", "http://127.0.0.1/", "--observe", "99999999", "-d", "1s"], "observe: "),
        (["serve", "--ca", "x.pem"], "--cert"),
        (["serve", "--pin", "4096"], "pin: found 4096"),
        (["serve", "--stall", "2s", "--stall-every", "1s"], "more than --stall"),
        (["serve", "--errors", "2"], "errors: found 2.0"),
        (["serve", "--tcp", "--size", "5"], "size: found 5 with --tcp"),
        (["serve", "--tcp", "--tcp-answer", "discard", "--delay", "5ms"], "delay and stall: found with --tcp-answer discard"),
        (["serve", "--tcp-answer", "source"], "found source without --tcp"),
        (["compare", "--write-only"], "needs --folder"),
        (["mesh", "--write-only"], "needs --folder"),
        (["report"], "files"),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(meshbench, arguments, named):
    done = meshbench.command(*arguments)
    assert done.returncode not in (0, 2)
    assert named in done.stderr


def test_nobody_listening_is_said_at_once(meshbench):
    done = meshbench.command("run", f"http://127.0.0.1:{free_port()}/", "--rate", 10, "-d", "1s")
    assert done.returncode == 1
    assert "is it listening there" in done.stderr


def test_thresholds_decide_the_exit_status(meshbench, tmp_path):
    with meshbench.serve("--delay", "20ms") as server:
        flags = ["--rate", 100, "-d", "0.5s", "--warm-up", "0.1s"]
        kept = meshbench.command("run", f"http://{server.address}/", *flags, "--fail-if", "p50>5s", "--fail-if", "errors>0%")
        crossed = meshbench.command("run", f"http://{server.address}/", *flags, "--fail-if", "p50>10ms")
        unmeasured = meshbench.command("run", f"http://{server.address}/", *flags, "--fail-if", "cpu>1s")
    assert kept.returncode == 0, kept.stdout
    assert crossed.returncode == 2 and "FAILED: p50>10ms" in crossed.stdout
    # Nothing was observed: a check that checked nothing does not pass.
    assert unmeasured.returncode == 2


def test_results_are_files_that_can_be_compared(meshbench, tmp_path):
    with meshbench.serve() as server:
        for name in ("a", "b"):
            done = meshbench.command(
                "run", f"http://{server.address}/item/{{1..50}}", "--rate", 500, "-d", "1s", "--warm-up", "0.2s", "--name",
                f"run {name} <b>", "--json", tmp_path / f"{name}.json", "--csv", tmp_path / f"{name}.csv", "--html",
                tmp_path / f"{name}.html",
            )
            assert done.returncode == 0, done.stderr
    rows = (tmp_path / "a.csv").read_text().splitlines()
    assert rows[0].startswith("seconds,") and len(rows) == 11
    assert sum(float(row.split(",")[1]) for row in rows[1:]) / 10 == pytest.approx(500, rel=0.02)
    page = (tmp_path / "a.html").read_text()
    # Names are text, and nothing comes from outside.
    assert "run a &lt;b&gt;" in page and "<b>b" not in page and "<script" not in page and "http://" not in page.replace(f"http://{server.address}", "")
    assert page.count("<svg") == 3
    forms = ("json", "csv", "html")
    written = [flag for form in forms for flag in (f"--{form}", tmp_path / f"ab.{form}")]
    compared = meshbench.command("report", tmp_path / "a.json", tmp_path / "b.json", *written)
    assert compared.returncode == 0 and "latency p99" in compared.stdout
    rows = json.loads((tmp_path / "ab.json").read_text())["rows"]
    assert [row["label"] for row in rows][:2] == ["answers a second", "latency p50"]
    assert rows[0]["first"]["value"] == pytest.approx(500, rel=0.02)
    assert len((tmp_path / "ab.csv").read_text().splitlines()) == 1 + len(rows)
    assert (tmp_path / "ab.html").read_text().count("<svg") == 8
    # One result, written again, is what it was.
    again = meshbench.command("report", tmp_path / "a.json", "--json", tmp_path / "a2.json", "--csv", tmp_path / "a2.csv")
    assert again.returncode == 0
    for form in ("json", "csv"):
        assert (tmp_path / f"a2.{form}").read_text() == (tmp_path / f"a.{form}").read_text()
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps({"format": 1}))
    assert "not a result of meshbench" in meshbench.command("report", broken).stderr


def test_the_highest_rate_is_found(meshbench, tmp_path):
    """One connection and 10 ms an answer: 100 a second and no more."""
    with meshbench.serve("--delay", "10ms") as server:
        written = [flag for form in ("json", "csv", "html") for flag in (f"--{form}", tmp_path / f"found.{form}")]
        done = meshbench.command(
            "find", f"http://{server.address}/", "-c", 1, "--keep", "p90<100ms", "--start", 40, "-d", "1s", "--warm-up", "0s",
            "--precision", "0.3", "--timeout", "3s", "--observe", server.pid, *written, timeout=120,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rate = float(done.stdout.splitlines()[-1].split(": ")[1].split("/")[0])
    assert 60 <= rate <= 125
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["highestRate"] == pytest.approx(rate, rel=0.01) and found["conditions"] == ["p90<100ms"]
    assert found["highestRate"] == max(trial["rate"] for trial in found["trials"] if trial["holds"])
    assert found["lowestBrokenRate"] == min(trial["rate"] for trial in found["trials"] if not trial["holds"])
    assert all(trial["summary"]["cost"]["cpuMicrosecondsPerRequest"] > 0 for trial in found["trials"])
    assert len((tmp_path / "found.csv").read_text().splitlines()) == 1 + len(found["trials"])
    page = (tmp_path / "found.html").read_text()
    assert page.count("<svg") == 3 and "highest rate that keeps p90&lt;100ms" in page


def test_a_generator_without_time_is_called_saturated(meshbench, tmp_path):
    """Ten million a second are more than any thread can plan; fifty leave it idle."""
    with meshbench.serve() as server:
        flags = ["-c", 2, "-d", "0.5s", "--warm-up", "0s", "--timeout", "0.2s"]
        path = tmp_path / "over.json"
        said = meshbench.command("run", f"http://{server.address}/", "--rate", 10_000_000, *flags, "--json", path).stdout
        over = json.loads(path.read_text())
        under = meshbench.run(tmp_path, f"http://{server.address}/", "--rate", 50, *flags)
    assert "generator saturated: this run measures the load tester" in over["warning"]
    assert "WARNING: generator saturated" in said
    assert over["planned"] == over["completed"] + sum(over["failures"].values())
    assert under["generatorBusyShare"] < 0.5


def test_threads_run_where_they_are_pinned(meshbench):
    def where(process, name):
        """The CPUs that the thread of that name may use."""
        while process.poll() is None:
            for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
                try:
                    if (task / "comm").read_text().strip() == name:
                        status = (task / "status").read_text()
                        found = next(line.split()[1] for line in status.splitlines() if line.startswith("Cpus_allowed_list"))
                        # A thread has its name before it is pinned.
                        if found == "1":
                            return found
                except (FileNotFoundError, ProcessLookupError):
                    pass
        raise AssertionError("the process ended")

    with meshbench.serve("--pin", 1) as server:
        assert where(server.process, "serve:0") == "1"
        run = subprocess.Popen(
            [meshbench.binary, "run", f"http://{server.address}/", "--rate", "10", "-d", "20s", "--pin", "1", "--quiet"],
            stdout=subprocess.DEVNULL,
        )
        try:
            assert where(run, "load:0") == "1"
        finally:
            run.kill()
            run.wait(10)


def test_the_baseline_is_subtracted(meshbench, tmp_path):
    """20 ms without and 50 ms with what is tested: 30 ms are its own."""
    with meshbench.serve("--delay", "50ms") as slow, meshbench.serve("--delay", "20ms") as fast:
        flags = ["--rate", 200, "-c", 20, "-d", "0.5s", "--warm-up", "0.1s", "--baseline", f"http://{fast.address}/"]
        summary = meshbench.run(tmp_path, f"http://{slow.address}/", *flags)
        crossed = meshbench.command(
            "run", f"http://{slow.address}/", *flags, "--fail-if", "added-p50>25ms", "--fail-if", "added-p50>10s"
        )
        unmeasured = meshbench.command("run", f"http://{slow.address}/", *flags[:-2], "--fail-if", "added-p50>10s")
    base = next(p["nanoseconds"]["value"] for p in summary["baseline"]["latency"] if p["percentile"] == 50) / 1e9
    assert base == pytest.approx(0.02, rel=0.05)
    assert percentile(summary, 50) - base == pytest.approx(0.03, rel=0.05)
    assert "beyond the baseline" in crossed.stdout and "baseline     " in crossed.stdout
    assert crossed.returncode == 2 and crossed.stdout.count("FAILED:") == 1 and "FAILED: added-p50>25ms" in crossed.stdout
    assert unmeasured.returncode == 2


def test_intervals_hold_their_value_and_show_what_varies(meshbench, tmp_path):
    """Answers that come and go by stretches of the run have a wide interval, and steady ones a narrow one."""
    with meshbench.serve("--stall", "700ms", "--stall-every", "1400ms") as server:
        varying = meshbench.run(tmp_path, f"http://{server.address}/", "--rate", 400, "-c", 50, "-d", "2.1s", "--warm-up", "0s")
    with meshbench.serve("--delay", "100ms") as server:
        steady = meshbench.run(tmp_path, f"http://{server.address}/", "--rate", 400, "-c", 100, "-d", "1.5s", "--warm-up", "0.2s")
    for summary in (varying, steady):
        for point in summary["latency"]:
            assert point["nanoseconds"]["low"] <= point["nanoseconds"]["value"] <= point["nanoseconds"]["high"]
    # A third of the time is stalled: a few stretches more or less move the third quarter far.
    bounds = {name: next(p["nanoseconds"] for p in s["latency"] if p["percentile"] == 75) for name, s in (("v", varying), ("s", steady))}
    assert bounds["v"]["high"] > 1.5 * bounds["v"]["low"]
    assert bounds["s"]["high"] < 1.2 * bounds["s"]["low"]


def test_replayed_arrivals_are_sent_at_their_times(meshbench, tmp_path):
    file = tmp_path / "times"
    file.write_text("".join(f"{0.5 + i * 0.001}\n" for i in range(100)))
    with meshbench.serve() as server:
        summary = meshbench.run(tmp_path, f"http://{server.address}/", "--replay", file, "-d", "1s", "--warm-up", "0s")
    assert summary["planned"] == summary["completed"] == 100
    # All of them in the tenth that follows half a second.
    assert [round(point["throughput"]) for point in summary["series"]] == [0] * 5 + [1000] + [0] * 4


def test_a_terminal_sees_the_run_go_on_and_a_file_does_not(meshbench):
    with meshbench.serve("--delay", "30ms", "--errors", "0.5") as server:
        command = [meshbench.binary, "run", f"http://{server.address}/", "--rate", "200", "-c", "20", "-d", "2s", "--warm-up", "0.2s"]
        ours, theirs = pty.openpty()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs) as process:
            os.close(theirs)
            shown = b""
            try:
                while piece := os.read(ours, 65536):
                    shown += piece
            except OSError:
                pass  # The other end is closed.
            os.close(ours)
            assert process.wait(30) == 0
        silent = meshbench.command(*command[1:], "-d", "0.2s")
    lines = shown.decode().split("\r\x1b[K")
    assert any("warm-up" in line for line in lines) and any("measuring" in line for line in lines)
    last = [line for line in lines if "measuring" in line][-1]
    found = re.search(r" ([0-9.]+)/s, mean ([0-9.]+) ms, slowest ([0-9.]+) ms, (\d+) failed", last)
    assert found, last
    # About half of 200 a second fail, and each takes 30 ms.
    assert 20 <= float(found[1]) <= 180 and float(found[2]) >= 30 and float(found[3]) >= 30 and int(found[4]) > 50
    # Nothing is left on the screen, and nothing goes where nobody looks.
    assert shown.endswith(b"\r\x1b[K")
    assert silent.stderr == ""


@pytest.mark.parametrize(
    "plan, counts",
    [
        (["--ramp", "0:400:1s"], [2, 6, 10, 14, 18, 22, 26, 30, 34, 38]),
        (["--step", "100:500ms,300:500ms"], [10] * 5 + [30] * 5),
        (["--rate", "200"], [20] * 10),
    ],
)
def test_plans_have_their_shape_over_time(meshbench, tmp_path, plan, counts):
    with meshbench.serve() as server:
        summary = meshbench.run(tmp_path, f"http://{server.address}/", *plan, "-d", "1s", "--warm-up", "0s")
    assert summary["planned"] == summary["completed"] == pytest.approx(sum(counts), abs=1)
    assert [point["throughput"] / 10 for point in summary["series"]] == pytest.approx(counts, abs=1)


def test_random_arrivals_have_their_rate(meshbench, tmp_path):
    with meshbench.serve() as server:
        summary = meshbench.run(
            tmp_path, f"http://{server.address}/", "--rate", 2000, "--poisson", "-w", 2, "-d", "1s", "--warm-up", "0s"
        )
    # The seed is fixed; five standard deviations of it would be 224.
    assert summary["planned"] == summary["completed"] == pytest.approx(2000, abs=224)


def test_a_cgroup_is_observed(meshbench, tmp_path):
    """A folder with the files of one: two seconds of processor time pass in it within the measured time."""
    import threading

    group = tmp_path / "group"
    group.mkdir()
    (group / "memory.current").write_text("12345678\n")
    (group / "cgroup.procs").write_text(f"{os.getpid()}\n")

    def use(microseconds):
        (group / "new").write_text(f"usage_usec {microseconds}\nuser_usec 1\nsystem_usec 2\n")
        (group / "new").rename(group / "cpu.stat")

    use(5_000_000)
    later = threading.Timer(1.2, use, [7_000_000])
    with meshbench.serve() as server:
        later.start()
        summary = meshbench.run(
            tmp_path, f"http://{server.address}/", "--rate", 100, "-d", "2.4s", "--warm-up", "0s", "--observe-cgroup", group
        )
    cost = summary["cost"]
    assert cost["cpuMicrosecondsPerRequest"] * summary["completed"] == pytest.approx(2_000_000)
    assert cost["residentBytes"] == cost["peakResidentBytes"] == 12_345_678
    assert cost["peakDescriptors"] > 0
    wrong = meshbench.command("run", f"http://{server.address}/", "--observe-cgroup", tmp_path, "-d", "1s")
    assert wrong.returncode == 1 and "cannot be read; allowed: a running process or the folder of a cgroup" in wrong.stderr
