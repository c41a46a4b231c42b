# SPDX-License-Identifier: Apache-2.0
"""perf and strace on one proxy while a scenario loads it. Benchmarks/profile.sh starts this."""
import argparse
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

from measure import generate, measure
from processes import BUILD, CATCH_ALL, H2_DOORS, Backend, Failed, Proxy, build_tools, quiet, raise_fd_limit
from scenarios import last_route_path, routes_yaml, scenario_named


def under_load(scenario, proxy, path, seconds, observe):
    """Runs `observe` (given how long it may take) in the middle of a load; returns (its result, the load's result)."""
    load = {}
    thread = threading.Thread(target=lambda: load.update(generate(scenario, proxy, path, seconds + 2)))
    thread.start()
    time.sleep(1)
    seen = observe(seconds)
    thread.join()
    return seen, load


def record(pid, seconds):
    data = BUILD / "perf.data"
    subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", "4999", "--call-graph", "fp", "-o", data, "-p", str(pid), "--", "sleep", str(seconds)],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return data


def symbols(data, count, level, callers):
    """The dearest symbols of one level, 'k' kernel or '.' user, with their share of all samples."""
    arguments = ["perf", "report", "-i", data, "--stdio", "--no-children", "--no-demangle", "--sort", "sym,dso", "-w", "8,120,30"]
    arguments += ["-g", "caller,0.5,callee,function,percent", "--max-stack", "4"] if callers else ["-g", "none"]
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    rows = []
    for line in done.stdout.splitlines():
        found = re.match(r"\s+([\d.]+)%\s+\[(.)\]\s+(.+?)\s{2,}(\S+)", line)
        if found:
            rows.append((float(found[1]), found[2], found[3].strip(), found[4]))
    mine = [r for r in rows if (r[1] == "k") == (level == "k")]
    total = sum(r[0] for r in mine)
    names = demangle([r[2] for r in mine[:count]])
    return total, [(share, name, library) for (share, _, _, library), name in zip(mine, names)]


def demangle(names):
    tool = shutil.which("swift-demangle")
    command = [tool, "-compact"] if tool else [shutil.which("swift"), "demangle", "-compact"] if shutil.which("swift") else None
    if command is None or not names:
        return names
    lines = subprocess.run(command, input="\n".join(names), capture_output=True, text=True).stdout.splitlines()
    return lines if len(lines) == len(names) else names


def system_calls(pid, seconds):
    """Calls by name in a window, from strace; it slows the proxy down but a request makes the same calls."""
    out = BUILD / "strace.out"
    process = subprocess.Popen(["strace", "-f", "-c", "-S", "calls", "-o", str(out), "-p", str(pid)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    process.wait(10)
    rows = []
    for line in out.read_text().splitlines():
        fields = line.split()
        if len(fields) >= 5 and fields[0].replace(".", "").isdigit() and fields[-1] != "total":
            rows.append((fields[-1], int(fields[3]), int(fields[4]) if len(fields) == 6 else 0))
    return rows


def main():
    parser = argparse.ArgumentParser(prog="Benchmarks/profile.sh", description=__doc__)
    parser.add_argument("--peer", default="apus")
    parser.add_argument("--scenario", default="h1-tiny", help="one of the load scenarios of run.sh")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--top", type=int, default=40)
    parser.add_argument("--callers", action="store_true", help="also write the call graph to .build-bench/perf-callers.txt")
    parser.add_argument("--lock", help="as for run.sh")
    options = parser.parse_args()
    scenario = scenario_named(options.scenario)
    if scenario is None or scenario.kind in ("memory", "flat", "burst", "idle"):
        sys.exit(f"no load scenario {options.scenario!r}")
    raise_fd_limit()
    build_tools()
    routes = scenario.route_counts[-1] if scenario.route_counts else None
    path = last_route_path(routes) if routes else scenario.path
    with quiet(options.lock):
        backend = Backend(bulk=scenario.kind == "bulk", h2=scenario.door in H2_DOORS)
        proxy = Proxy(options.peer, 8, routes_yaml(routes) if routes else CATCH_ALL, f"profile-{options.peer}", scenario.door, symbols=True)
        try:
            proxy.start()
            measure(scenario, proxy, backend, path, 1)
            plain = measure(scenario, proxy, backend, path, 2)
            data, load = under_load(scenario, proxy, path, options.seconds, lambda s: record(proxy.process.pid, s))
            calls, traced = under_load(scenario, proxy, path, 2, lambda s: system_calls(proxy.process.pid, s))
        except Failed as failure:
            sys.exit(f"profile: {failure}")
        finally:
            proxy.stop()
            backend.stop()
    unit = "CPU-s/GB" if scenario.kind == "bulk" else "µs CPU per request"
    print(f"{options.peer}, {scenario.title}\n{plain['cpu']:.3g} {unit}, {plain['rps']:,.5g}/s, util {plain['util']:.2f} "
          f"(without tools; outside {plain['outside']:.2f} core); {load['rps']:,.5g}/s under perf, {traced['rps']:,.5g}/s under strace")
    for level, title in ((".", "user"), ("k", "kernel")):
        total, rows = symbols(data, options.top, level, False)
        print(f"\n{title}: {total:.1f} % of the samples = {plain['cpu'] * total / 100:.3g} {unit}")
        for share, name, library in rows:
            print(f"{share:7.2f} %  {name[:110]:110s} {library}")
    everything = sum(count for _, count, _ in calls)
    # strace -c does not see which receive was a request: a request is one from each side, a GB is what the load counted.
    receives = sum(count - errors for name, count, errors in calls if name in ("recvfrom", "recvmsg", "read", "readv"))
    requests = traced["rps"] * 2 if scenario.kind == "bulk" else receives / 2 or 1
    # HTTP/2 has several requests in a receive, or several receives for one: the count is then what it says and no more.
    unit = "GB" if scenario.kind == "bulk" else "two receives" if scenario.streams > 1 else "request (two receives)"
    print(f"\nsystem calls ({everything:,} in 2 s under strace), per {unit}:")
    for name, count, errors in calls:
        print(f"{count / requests:9.3f}  {name}" + (f"  ({errors / requests:.3f} of them failed)" if errors else ""))
    if options.callers:
        text = subprocess.run(["perf", "report", "-i", str(data), "--stdio", "--no-children", "-g", "caller"], capture_output=True, text=True)
        (BUILD / "perf-callers.txt").write_text(text.stdout)
        print(f"\ncall graph: {BUILD / 'perf-callers.txt'}")


if __name__ == "__main__":
    main()
