# SPDX-License-Identifier: Apache-2.0
"""`meshbench compare` for real, very short: proxies that are started, loaded in turns and reported on."""

import json
import os
import shutil

import pytest

from PythonKit import binaries


@pytest.fixture(scope="module")
def compared(meshbench, tmp_path_factory):
    """A comparison of all proxies there are, two rounds of 0.3 s in one scenario of each kind of configuration."""
    folder = tmp_path_factory.mktemp("compare")
    done = compare(
        meshbench, folder, "--scenario", "h1-tiny,h2-tiny,h1-mtls-h2,mtls-h2-h1,tcp-rr,tls-resumed",
        "--html", folder / "report.html", "--csv", folder / "report.csv", "--markdown", folder / "report.md",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done, json.loads((folder / "report.json").read_text())


def compare(meshbench, folder, *flags):
    environment = dict(os.environ, APUS_BINARY=binaries.require_apus(), ENVOY_BINARY=binaries.require_envoy())
    return meshbench.command(
        "compare", "--rounds", 2, "--duration", "300ms", "--json", folder / "report.json", *flags, timeout=300, env=environment,
    )


def test_every_scenario_ends_in_one_valid_sentence(compared):
    _, done, report = compared
    assert [s["name"] for s in report["scenarios"]] == ["h1-tiny", "h2-tiny", "h1-mtls-h2", "mtls-h2-h1", "tls-resumed", "tcp-rr"]
    for scenario in report["scenarios"]:
        assert scenario["isValid"], scenario["verdict"]
        assert scenario["verdict"].startswith("apus: CPU per request ")
        assert scenario["verdict"] in done.stdout


def test_both_rounds_of_every_proxy_were_measured(compared):
    _, _, report = compared
    for scenario in report["scenarios"]:
        assert {"apus", "envoy"} <= set(scenario["variants"])
        for variant in scenario["variants"]:
            runs = [run for run in scenario["runs"] if run["variant"] == variant]
            assert {0, 1} <= {run["round"] for run in runs}
            for run in runs:
                assert run["completed"] > 0 and not run["failures"] and not run["wrong"]
                assert 0 < run["metrics"]["cpu"] < 1_000_000
                assert run["metrics"]["rss"] > 1_000_000


def test_proxies_take_turns(compared):
    _, _, report = compared
    for scenario in report["scenarios"]:
        order = [run["variant"] for run in scenario["runs"]]
        assert order[: len(scenario["variants"])] == scenario["variants"]
        assert order[len(scenario["variants"]) : 2 * len(scenario["variants"])] == scenario["variants"]


def test_files_hold_the_same(compared):
    folder, _, report = compared
    rows = (folder / "report.csv").read_text().splitlines()
    assert len(rows) == 1 + sum(len(run["metrics"]) for s in report["scenarios"] for run in s["runs"])
    page = (folder / "report.html").read_text()
    for scenario in report["scenarios"]:
        assert f'id="{scenario["name"]}"' in page
        assert f"## {scenario['name']}" in (folder / "report.md").read_text()


def test_progress_is_shown_run_by_run(compared):
    _, done, report = compared
    steps = [line for line in done.stderr.splitlines() if line.startswith("[")]
    assert len(steps) >= sum(len(s["runs"]) for s in report["scenarios"])
    assert "h1-tiny round 1/2 apus" in done.stderr


@pytest.mark.skipif(shutil.which("nginx", path="/usr/sbin:" + os.environ["PATH"]) is None, reason="no nginx")
def test_a_proxy_that_is_not_there_is_named_with_how_to_get_it(meshbench, tmp_path):
    environment = dict(os.environ, PATH="/usr/bin:/bin", APUS_BINARY=binaries.require_apus())
    environment.pop("NGHTTPX_BINARY", None)
    done = meshbench.command(
        "compare", "--proxy", "apus", "--proxy", f"nginx={tmp_path}/none", "--scenario", "h1", "--quick", env=environment,
    )
    assert done.returncode == 1
    assert f"{tmp_path}/none is not a program" in done.stderr


def test_a_failing_proxy_makes_the_verdict_invalid(meshbench, tmp_path):
    """A proxy whose binary ends at once: its end is told, and the others are measured."""
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo broken 1\necho out of order >&2\nexit 3\n")
    broken.chmod(0o755)
    done = compare(meshbench, tmp_path, "--proxy", "apus", "--proxy", f"envoy@broken={broken}", "--scenario", "h1-tiny")
    assert done.returncode == 2, done.stdout + done.stderr
    scenario = json.loads((tmp_path / "report.json").read_text())["scenarios"][0]
    assert not scenario["isValid"]
    assert "invalid against broken" in scenario["verdict"] and "out of order" in scenario["verdict"]


LIAR = """#!/usr/bin/env python3
import asyncio, re, sys
if "--version" in sys.argv:
    print("liar 1")
    sys.exit()
listeners = open(sys.argv[sys.argv.index("-c") + 1]).read().partition("listeners:")[2]
ANSWERS = {answers}

class Liar(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.turn = transport, 0

    def data_received(self, data):
        for _ in range(data.count(b"\\r\\n\\r\\n")):
            self.transport.write(ANSWERS[self.turn % len(ANSWERS)])
            self.turn += 1

async def main():
    port = int(re.search("port_value: ([0-9]+)", listeners)[1])
    server = await asyncio.get_running_loop().create_server(Liar, "127.0.0.1", port)
    await server.serve_forever()

asyncio.run(main())
"""


def answer(body, status="200 OK"):
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


@pytest.mark.parametrize(
    "answers",
    [[answer(b"xy")], [answer(b"x"), answer(b"xxx")], [answer(b"xx", "203 Changed")], [answer(b"xx")] * 99 + [answer(b"")]],
    ids=["content", "right size on average", "status", "one in a hundred"],
)
def test_who_answers_wrongly_cannot_win(meshbench, tmp_path, answers):
    """An upstream's answer is two times x; this "proxy" makes up its own and is never asked to connect anywhere."""
    liar = tmp_path / "liar"
    liar.write_text(LIAR.replace("{answers}", repr(answers)))
    liar.chmod(0o755)
    done = compare(meshbench, tmp_path, "--proxy", "apus", "--proxy", f"envoy@liar={liar}", "--scenario", "h1-tiny")
    assert done.returncode == 2, done.stdout + done.stderr
    scenario = json.loads((tmp_path / "report.json").read_text())["scenarios"][0]
    assert not scenario["isValid"] and "invalid against liar" in scenario["verdict"] and "wrong answer" in scenario["verdict"]


def test_who_passes_no_bytes_on_cannot_win(meshbench, tmp_path):
    """In bulk there is nothing to answer: this one takes everything and keeps it."""
    liar = tmp_path / "liar"
    liar.write_text(LIAR.replace("{answers}", repr([b""])))
    liar.chmod(0o755)
    done = compare(meshbench, tmp_path, "--proxy", "apus", "--proxy", f"envoy@liar={liar}", "--scenario", "tcp-bulk-1")
    assert done.returncode == 2, done.stdout + done.stderr
    scenario = json.loads((tmp_path / "report.json").read_text())["scenarios"][0]
    assert "invalid against liar: liar: it took" in scenario["verdict"]


def test_who_answers_rightly_is_compared_whoever_it_is(meshbench, tmp_path):
    """The same program with the right answer: the check is of answers."""
    honest = tmp_path / "honest"
    honest.write_text(LIAR.replace("{answers}", repr([answer(b"xx")])))
    honest.chmod(0o755)
    done = compare(meshbench, tmp_path, "--proxy", "apus", "--proxy", f"envoy@honest={honest}", "--scenario", "h1-tiny")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_missed_bound_is_an_exit_status(meshbench, tmp_path):
    bounds = tmp_path / "bounds.json"
    bounds.write_text(json.dumps([{"scenario": "h1-tiny", "metric": "cpu", "at_most": 0.001}]))
    done = compare(meshbench, tmp_path, "--proxy", "apus", "--scenario", "h1-tiny", "--bounds", bounds)
    assert done.returncode == 2
    assert "missed by" in done.stdout


def test_scenarios_are_listed(meshbench):
    done = meshbench.command("compare", "--list")
    assert done.returncode == 0 and "h1-tiny" in done.stdout and "routes" in done.stdout


def test_an_unknown_scenario_says_what_there_is(meshbench):
    done = meshbench.command("compare", "--scenario", "h3")
    assert done.returncode == 64
    assert "h1, h2, mtls" in done.stderr
