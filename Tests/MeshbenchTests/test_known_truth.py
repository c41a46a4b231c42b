# SPDX-License-Identifier: Apache-2.0
"""Servers whose behaviour is known: what meshbench says of them has to be it."""

import pytest
from conftest import percentile


SCHEMES = {"http1": "http", "http2": "http", "grpc": "http", "websocket": "ws", "tcp": "tcp"}


def target(server, protocol, path="/"):
    """The flags of `run` for a server."""
    return [f"{SCHEMES[protocol]}://{server.address}{'' if protocol == 'tcp' else path}", "-p", protocol]


def serving(protocol):
    return ["--tcp"] if protocol == "tcp" else []


@pytest.mark.parametrize("protocol", SCHEMES)
def test_a_fixed_delay_is_every_percentile(meshbench, tmp_path, protocol):
    with meshbench.serve("--delay", "100ms", *serving(protocol)) as server:
        flags = ["--rate", 200, "-c", 40, "-d", "1.5s", "--warm-up", "0.3s", "--body-size", 100]
        summary = meshbench.run(tmp_path, *target(server, protocol), *flags)
    assert summary["planned"] == 300
    assert summary["completed"] == 300
    assert summary["failures"] == {}
    for wanted in (50, 90):
        assert percentile(summary, wanted) == pytest.approx(0.1, rel=0.02)
    # Answers can be late on a busy machine, never early.
    assert percentile(summary, 99) >= 0.1
    assert percentile(summary, 50, "serviceTime") == pytest.approx(0.1, rel=0.02)


def test_a_stall_is_seen_from_the_plan_and_hidden_from_sending(meshbench, tmp_path):
    """1 s without answers every 10 s: a tenth of the plan waits, evenly up to 1 s. There is one connection, so it also waits
    for the answers to those that came before it in the stall. A client without a plan sees one slow answer in five thousand."""
    with meshbench.serve("--stall", "1s", "--stall-every", "10s") as server:
        summary = meshbench.run(
            tmp_path, f"http://{server.address}/", "--rate", 500, "-c", 1, "-d", "10s", "--warm-up", "2s"
        )
    assert summary["failures"] == {}
    assert summary["completed"] == summary["planned"] == 5000
    answer = percentile(summary, 50, "serviceTime")
    # 1 % of all is a tenth of the 500 that waited: they waited 0.9 s and more. 5 %: half of them.
    assert 0.9 * 0.98 <= percentile(summary, 99) <= (0.9 + 50 * answer) * 1.02
    assert 0.5 * 0.98 <= percentile(summary, 95) <= (0.5 + 250 * answer) * 1.02
    assert percentile(summary, 100) == pytest.approx(1, rel=0.02)
    assert percentile(summary, 50) < 0.1
    # Coordinated omission: ninety times too good.
    assert percentile(summary, 99, "serviceTime") < 0.01


def test_throughput_beyond_what_a_server_can_do_is_what_it_can_do(meshbench, tmp_path):
    """Four connections and 20 ms an answer: 200 a second. The plan has 500 a second, and all are answered in the end."""
    with meshbench.serve("--delay", "20ms") as server:
        summary = meshbench.run(tmp_path, f"http://{server.address}/", "--rate", 500, "-c", 4, "-d", "2s", "--warm-up", "1s")
    assert summary["planned"] == summary["completed"] == 1000
    # Answers are never early; a busy machine makes them late.
    assert 180 <= summary["throughput"]["value"] <= 202


@pytest.mark.parametrize("protocol", ["http1", "websocket", "tcp"])
def test_stalls_hold_back_every_protocol(meshbench, tmp_path, protocol):
    """0.3 s of every second: three in ten of the plan wait for up to 0.3 s, evenly, and there are connections for all."""
    with meshbench.serve("--stall", "300ms", "--stall-every", "1s", *serving(protocol)) as server:
        flags = ["--rate", 300, "-c", 120, "-d", "3s", "--warm-up", "1s", "--body-size", 100]
        summary = meshbench.run(tmp_path, *target(server, protocol), *flags)
    assert summary["failures"] == {} and summary["completed"] == 900
    for wanted, seconds in ((90, 0.2), (95, 0.25), (99, 0.29)):
        assert percentile(summary, wanted) == pytest.approx(seconds, rel=0.04)
    assert percentile(summary, 50) < 0.1


def test_a_websocket_s_upgrade_asks_for_delay_and_status(meshbench, tmp_path):
    with meshbench.serve() as server:
        flags = ["--rate", 100, "-c", 20, "-d", "0.5s", "--warm-up", "0.1s"]
        slow = meshbench.run(tmp_path, *target(server, "websocket", "/?delay=50"), *flags)
        refused = meshbench.command("run", *target(server, "websocket", "/?status=403"), *flags)
    assert slow["failures"] == {} and percentile(slow, 50) == pytest.approx(0.05, rel=0.04)
    assert refused.returncode == 1 and "the server answered 403 to the upgrade" in refused.stderr


@pytest.mark.parametrize("delay", [[], ["--delay", "1ms"]], ids=["at once", "held"])
def test_echoes_of_any_length_are_whole(meshbench, tmp_path, delay):
    """Blocks longer than what the server holds back, and messages in several frames' worth of reads."""
    with meshbench.serve("--tcp", *delay) as tcp, meshbench.serve(*delay) as plain:
        for server, protocol in ((tcp, "tcp"), (plain, "websocket")):
            flags = ["--closed", "-c", 3, "-d", "0.5s", "--warm-up", "0s", "--body-size", "1*1,70000*1,3000000*1"]
            summary = meshbench.run(tmp_path, *target(server, protocol), *flags)
            assert summary["failures"] == {} and summary["completed"] > 10


def draws(seed, count):
    """The first numbers in 0..<1 of SplitMix64, which serve draws its errors from."""
    mask = (1 << 64) - 1
    for _ in range(count):
        seed = (seed + 0x9E3779B97F4A7C15) & mask
        mixed = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & mask
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & mask
        yield ((mixed ^ (mixed >> 31)) >> 11) / (1 << 53)


def test_a_share_of_errors_is_that_share_to_the_request(meshbench, tmp_path):
    with meshbench.serve("--errors", "0.2") as server:
        summary = meshbench.run(tmp_path, f"http://{server.address}/", "--rate", 5000, "-c", 10, "-d", "1s", "--warm-up", "0s")
    errors = sum(draw < 0.2 for draw in draws(1, 5000))
    assert 900 < errors < 1100
    assert summary["planned"] == 5000
    assert summary["failures"] == {"5xx": errors}
    assert summary["completed"] == 5000 - errors
    assert summary["errorShare"] == pytest.approx(errors / 5000)


@pytest.mark.parametrize("protocol, flags", [("websocket", []), ("tcp", ["--connect-per-request"])])
def test_a_share_of_echoes_ends_the_connection(meshbench, tmp_path, protocol, flags):
    with meshbench.serve("--errors", "0.2", *serving(protocol)) as server:
        summary = meshbench.run(
            tmp_path, *target(server, protocol), "--rate", 500, "-c", 10, "-d", "1s", "--warm-up", "0s", "--body-size", 10, *flags
        )
    errors = sum(draw < 0.2 for draw in draws(1, 500))
    assert summary["planned"] == 500
    assert summary["failures"] == {"closed": errors}
    assert summary["completed"] == 500 - errors


def test_what_times_out_is_counted_and_is_a_latency(meshbench, tmp_path):
    with meshbench.serve() as server:
        summary = meshbench.run(
            tmp_path, f"http://{server.address}/?delay=5000", "--rate", 20, "-c", 40, "-d", "1s", "--warm-up", "0s",
            "--timeout", "500ms",
        )
    assert summary["completed"] == 0
    assert summary["failures"]["timeout"] + summary["failures"].get("not sent", 0) == 20
    assert percentile(summary, 50) >= 0.5


def test_a_server_that_dies_loses_no_request_of_the_count(meshbench, tmp_path):
    import threading

    with meshbench.serve() as server:
        threading.Timer(1, server.process.terminate).start()
        summary = meshbench.run(
            tmp_path, f"http://{server.address}/", "--rate", 500, "-c", 5, "-d", "2s", "--warm-up", "0s", "--timeout", "1s"
        )
    planned_failures = sum(summary["failures"].values()) - summary["failures"].get("connect", 0)
    assert summary["planned"] == 1000
    assert summary["completed"] + planned_failures == 1000
    assert 100 < summary["completed"] < 900
    assert summary["failures"]["not sent"] > 0


@pytest.mark.parametrize(
    "target, serve, flags",
    [
        ("http", [], ["-p", "http1"]),
        ("http", [], ["-p", "http1", "--connect-per-request"]),
        ("http", ["--size", "100000"], ["-p", "http1"]),
        ("http", [], ["-p", "http1", "-X", "POST", "--body-size", "50000"]),
        ("http", [], ["-p", "http2", "-s", "32"]),
        ("http", ["--size", "100000"], ["-p", "http2", "-s", "8"]),
        ("http", [], ["-p", "http2", "-X", "POST", "--body-size", "50000"]),
        ("http", [], ["-p", "grpc", "-s", "16", "--body-size", "100"]),
        ("tcp", ["--tcp"], ["--body-size", "1000"]),
        ("tcp", ["--tcp"], ["--body-size", "1000000"]),
        ("https", [], ["-p", "http1"]),
        ("https", [], ["-p", "http1", "--connect-per-request", "--resume"]),
        ("https", [], ["-p", "http2", "-s", "32"]),
        ("https", [], ["-p", "grpc", "-s", "8", "--grpc-call", "bidi", "--messages", "5", "--body-size", "exp:2000"]),
        ("ws", [], ["--body-size", "uniform:0-10000"]),
        ("wss", [], ["--body-size", "100"]),
        ("tls", ["--tcp"], ["--body-size", "lognormal:2000:1.5"]),
    ],
)
def test_every_protocol_runs_without_a_failure(meshbench, tmp_path, credential, target, serve, flags):
    if target in ("https", "wss", "tls"):
        serve = [*serve, "--cert", credential.certificate_path, "--key", credential.key_path]
    with meshbench.serve(*serve) as server:
        path = "" if target in ("tcp", "tls") else "/"
        summary = meshbench.run(
            tmp_path, f"{target}://{server.address}{path}", "--closed", "-c", 4, "-d", "0.5s", "--warm-up", "0.2s", *flags
        )
    assert summary["failures"] == {}
    assert summary["completed"] > 50
    if "--resume" in flags:
        assert summary["resumedSessions"] > 0
    elif "--connect-per-request" in flags:
        # At the end of the measured time a request can be within it and its connection not.
        assert summary["connectionsMade"] >= summary["completed"] - 4


def test_the_observed_process_costs_what_the_kernel_says(meshbench, tmp_path):
    with meshbench.serve() as server:
        summary = meshbench.run(
            tmp_path, f"http://{server.address}/", "--rate", 2000, "-c", 4, "-d", "2s", "--warm-up", "0.2s",
            "--observe", server.pid,
        )
    cost = summary["cost"]
    assert 0.5 < cost["cpuMicrosecondsPerRequest"] < 400
    assert cost["cpuMicrosecondsPerRequest"] * summary["completed"] / 1e6 == pytest.approx(cost["cores"] * 2, rel=0.15)
    assert 1_000_000 < cost["residentBytes"] < 200_000_000
    assert cost["peakDescriptors"] >= 4
