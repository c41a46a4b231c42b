# SPDX-License-Identifier: Apache-2.0
"""Apus and its peers under the same load, in alternating rounds. Benchmarks/run.sh starts this; see Benchmarks/README.md."""
import argparse
import datetime
import json
import os
import pathlib
import shlex
import signal
import sys
import time

import report
from measure import burst, measure, measure_beside, measure_flat, measure_idle, measure_memory
from processes import (BUILD, CATCH_ALL, H2_DOORS, ROOT, Backend, Failed, Proxy, binary_of, build_tools, memory_mb, quiet,
                       raise_fd_limit, version_of)
from scenarios import ALL_PEERS, SCENARIOS, last_route_path, routes_yaml

WARM_UP = 1.0
MEMORY_KINDS = ("memory", "flat", "burst", "idle")


class Progress:
    """One live line on a terminal, one line per step elsewhere."""

    def __init__(self, steps):
        self.steps, self.done, self.begin, self.live = steps, 0, time.monotonic(), sys.stderr.isatty()

    def say(self, text):
        left = ""
        if self.done:
            seconds = (time.monotonic() - self.begin) / self.done * (self.steps - self.done)
            left = f", {seconds / 60:.0f} min left" if seconds > 90 else f", {seconds:.0f} s left"
        line = f"[{self.done}/{self.steps}{left}] {text}"
        print(f"\r\033[K{line}" if self.live else line, end="" if self.live else "\n", file=sys.stderr, flush=True)

    def step(self, text):
        self.done += 1
        self.say(text)

    def end(self):
        if self.live:
            print(file=sys.stderr)


def described(result):
    words = [f"{result['cpu']:.4g}" if result.get("cpu") else "no requests", f"{result['rps']:,.0f}/s" if result["rps"] > 100 else
             f"{result['rps']:.2f} GB/s", f"util {result['util']:.2f}", f"rss {result['rss']:.0f}"]
    if "ratio" in result:
        words.append(f"p50 {result['alone']:.0f} → {result['beside']:.0f} µs beside {result['handshakes']:,.0f} handshakes/s")
    if result["errors"] or result["not_200"]:
        words.append(f"ERRORS {result['errors']} not-200 {result['not_200']}")
    if result["dropped"]:
        words.append(f"dropped: {result['outside']:.2f} core from outside")
    return " ".join(words)


def too_few_clean(runs, failures, labels, wanted):
    """Whether outside load spoiled so many runs that a peer has fewer than wanted."""
    return any(sum(not r["dropped"] for r in runs if r["peer"] == label) < wanted for label in labels if label not in failures)


def load_rounds(scenario, peers, rounds, seconds, lock, progress):
    """Every variant once per round, in the same order; the proxies live through all rounds. Runs that outside load spoiled are
    made up for by whole rounds, at most as many again."""
    runs, failures, proxies = [], {}, []
    backend = Backend(bulk=scenario.kind == "bulk", h2=scenario.door in H2_DOORS)
    try:
        for slot, (label, peer, count) in enumerate(scenario.variants(peers)):
            proxy = Proxy(peer, slot, routes_yaml(count) if count else CATCH_ALL, label.replace(" ", "-").replace(",", ""), scenario.door)
            proxies.append((label, proxy, last_route_path(count) if count else scenario.path))
        number = 0
        while number < rounds or number < 2 * rounds and too_few_clean(runs, failures, [label for label, _, _ in proxies], rounds):
            if number >= rounds:
                progress.steps += len(proxies)
            with quiet(lock):
                for label, proxy, path in proxies:
                    try:
                        if not proxy.alive():
                            proxy.start()
                            measure(scenario, proxy, backend, path, WARM_UP)
                        result = (measure_beside if scenario.kind == "beside" else measure)(scenario, proxy, backend, path, seconds)
                    except Failed as failure:
                        failures.setdefault(label, str(failure))
                        progress.step(f"{scenario.name} round {number + 1}/{rounds} {label}: FAILED {failure}")
                        continue
                    runs.append({"peer": label, "round": number, **result})
                    progress.step(f"{scenario.name} round {number + 1}/{rounds} {label}: {described(result)}")
            number += 1
    finally:
        for _, proxy, _ in proxies:
            proxy.stop()
        backend.stop()
    return runs, failures


def memory_rounds(scenario, peers, rounds, lock, progress):
    runs, failures = [], {}
    backend = Backend(h2=scenario.kind == "idle")
    try:
        for number in range(rounds):
            for slot, (label, peer, _) in enumerate(scenario.variants(peers)):
                try:
                    if scenario.kind == "idle":
                        with quiet(lock):  # eight thousand handshakes
                            result = measure_idle(peer, lambda door: Proxy(peer, slot, door=door))
                    else:
                        result = measure_memory(lambda: Proxy(peer, slot))
                except Failed as failure:
                    failures.setdefault(label, str(failure))
                    progress.step(f"{scenario.name} round {number + 1}/{rounds} {label}: FAILED {failure}")
                    continue
                runs.append({"peer": label, "round": number, **result})
                progress.step(f"{scenario.name} round {number + 1}/{rounds} {label}: " +
                              ", ".join(f"{k} {v:.1f}" for k, v in result.items() if v is not None))
    finally:
        backend.stop()
    return runs, failures


def flat_rounds(scenario, peers, rounds, total, progress):
    runs, failures = [], {}
    backend = Backend()
    try:
        for number in range(rounds):
            for slot, (label, peer, _) in enumerate(scenario.variants(peers)):
                proxy = Proxy(peer, slot)
                try:
                    result = measure_flat(proxy.start(), total)
                except Failed as failure:
                    failures.setdefault(label, str(failure))
                    progress.step(f"{scenario.name} {label}: FAILED {failure}")
                    continue
                finally:
                    proxy.stop()
                runs.append({"peer": label, "round": number, **result})
                progress.step(f"{scenario.name} round {number + 1}/{rounds} {label}: {result['start']:.1f} → {result['end']:.1f} MB")
    finally:
        backend.stop()
    return runs, failures


def burst_rounds(scenario, peers, rounds, wait, progress):
    """The bursts come one after another; the minute after each is waited for together."""
    runs, failures = [], {}
    backend = Backend()
    try:
        for number in range(rounds):
            after = []
            try:
                for slot, (label, peer, _) in enumerate(scenario.variants(peers)):
                    proxy = Proxy(peer, slot)
                    after.append([label, proxy, None, 0.0])
                    try:
                        after[-1][2] = burst(proxy.start())
                        after[-1][3] = time.monotonic()
                        progress.say(f"{scenario.name} round {number + 1}/{rounds} {label}: burst over, waiting")
                    except Failed as failure:
                        failures.setdefault(label, str(failure))
                for label, proxy, result, end in after:
                    if result is not None and proxy.alive():
                        time.sleep(max(0.0, end + wait - time.monotonic()))
                        result["after"] = memory_mb(proxy.process.pid)[0]
                        result["change"] = result["after"] / result["idle"]
                        runs.append({"peer": label, "round": number, **result})
                        progress.step(f"{scenario.name} round {number + 1}/{rounds} {label}: " +
                                      f"{result['idle']:.1f} → {result['highest']:.1f} → {result['after']:.1f} MB")
                    else:
                        progress.step(f"{scenario.name} {label}: FAILED {failures.get(label, proxy.last_words())}")
            finally:
                for _, proxy, _, _ in after:
                    proxy.stop()
    finally:
        backend.stop()
    return runs, failures


def parse():
    names = ", ".join(s.name for s in SCENARIOS)
    parser = argparse.ArgumentParser(prog="Benchmarks/run.sh", description=__doc__, epilog=f"Scenarios: {names}.")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds (default 5)")
    parser.add_argument("--scenario", action="append", metavar="NAME", help="only this one; may be repeated; a prefix will do")
    parser.add_argument("--peer", action="append", metavar="NAME",
                        help=f"only this one of {', '.join(ALL_PEERS)} (the floor); may be repeated")
    parser.add_argument("--quick", action="store_true",
                        help="two rounds, shorter runs, no memory scenarios unless named, results to .build-bench/quick/")
    parser.add_argument("--out", type=pathlib.Path, help="where results go (default Benchmarks/results)")
    parser.add_argument("--date", default=datetime.date.today().isoformat(), help="first part of the results' names (default today)")
    parser.add_argument("--lock", help="a file to flock while measuring, one round at a time, that builds take too")
    parser.add_argument("--report", action="store_true", help="measure nothing, write tables, summary and plot of --date again")
    return parser.parse_args()


def main():
    options = parse()
    chosen = list(SCENARIOS)
    if options.scenario:
        chosen = [s for s in SCENARIOS if any(s.name == n or s.name.startswith(n) for n in options.scenario)]
        unknown = [n for n in options.scenario if not any(s.name.startswith(n) for s in SCENARIOS)]
        if unknown:
            sys.exit(f"no scenario {unknown[0]!r}; there are: {', '.join(s.name for s in SCENARIOS)}")
    elif options.quick:
        chosen = [s for s in SCENARIOS if s.kind not in MEMORY_KINDS and not s.route_counts]
    out = options.out or (BUILD / "quick" if options.quick else ROOT / "Benchmarks/results")
    raw = BUILD / ("quick-raw" if options.quick else "raw")
    out.mkdir(parents=True, exist_ok=True)
    raw.mkdir(parents=True, exist_ok=True)
    if options.report:
        print(report.write_all(out, raw, options.date, SCENARIOS))
        return 0
    raise_fd_limit()
    build_tools()
    wanted = options.peer or list(ALL_PEERS) + (["baseline"] if os.environ.get("APUS_BASELINE") else [])
    peers = [p for p in wanted if binary_of(p)]
    for peer in wanted:
        if peer not in peers:
            print(f"{peer} is not installed here and left out"
                  + (": build it with `swift build -c release` or set APUS_BINARY" if peer == "apus" else ""), file=sys.stderr)
    rounds = min(options.rounds, 2) if options.quick else options.rounds
    flat_total = 100_000 if options.quick else 1_000_000
    steps = sum(len(s.variants(peers)) * (rounds if s.kind not in ("flat", "burst", "idle") else min(rounds, 3)) for s in chosen)
    progress, failed = Progress(steps), False
    for scenario in chosen:
        if scenario.kind in ("memory", "idle"):
            runs, failures = memory_rounds(scenario, peers, min(rounds, 3) if scenario.kind == "idle" else rounds, options.lock, progress)
        elif scenario.kind == "flat":
            runs, failures = flat_rounds(scenario, peers, min(rounds, 3), flat_total, progress)
        elif scenario.kind == "burst":
            runs, failures = burst_rounds(scenario, peers, min(rounds, 3), 60, progress)
        else:
            seconds = min(scenario.seconds, 2) if options.quick else scenario.seconds
            runs, failures = load_rounds(scenario, peers, rounds, seconds, options.lock, progress)
        failed = failed or bool(failures)
        record = {
            "scenario": scenario.name, "date": options.date, "runs": runs, "failures": failures, "rounds": len({r["round"] for r in runs}) or rounds,
            "command": "Benchmarks/run.sh " + shlex.join(sys.argv[1:]), "machine": report.machine(),
            "versions": {p: version_of(p) for p in peers if p in scenario.peers}}
        (raw / f"{options.date}-{scenario.name}.json").write_text(json.dumps(record, indent=1))
        if runs:
            report.write_scenario(out, scenario, record)
    progress.end()
    print(report.write_all(out, raw, options.date, SCENARIOS))
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the proxies are stopped by `finally`
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
