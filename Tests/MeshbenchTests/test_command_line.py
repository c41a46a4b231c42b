# SPDX-License-Identifier: Apache-2.0
"""What a user types, and what they are told when it is wrong."""

import json

import pytest
from PythonKit.ports import free_port


def test_every_command_has_help_with_an_example(meshbench):
    for command in ([], ["run"], ["find"], ["serve"], ["report"]):
        done = meshbench.command(*command, "--help")
        assert done.returncode == 0
        assert "Example" in done.stdout and f"meshbench {' '.join(command)}".strip() in done.stdout


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
        (["serve", "--stall", "2s", "--stall-every", "1s"], "more than --stall"),
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
        flags = ["--rate", 100, "-d", "1s", "--warm-up", "0.2s"]
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
    compared = meshbench.command("report", tmp_path / "a.json", tmp_path / "b.json")
    assert compared.returncode == 0 and "latency p99" in compared.stdout
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps({"format": 1}))
    assert "not a result of meshbench" in meshbench.command("report", broken).stderr


def test_the_highest_rate_is_found(meshbench):
    """One connection and 10 ms an answer: 100 a second and no more."""
    with meshbench.serve("--delay", "10ms") as server:
        done = meshbench.command(
            "find", f"http://{server.address}/", "-c", 1, "--keep", "p90<100ms", "--start", 40, "-d", "1s", "--warm-up", "0s",
            "--precision", "0.3", "--timeout", "3s", timeout=120,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    rate = float(done.stdout.splitlines()[-1].split(": ")[1].split("/")[0])
    assert 60 <= rate <= 125
