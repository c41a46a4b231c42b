# SPDX-License-Identifier: Apache-2.0
"""One run: load on one proxy for a few seconds, and what it cost."""
import json
import re
import resource
import subprocess
import threading
import time

from processes import BUILD, CERTS, LOAD_CPU, Failed, machine_busy_ns, memory_mb, spawn

OUTSIDE_LIMIT = 0.25  # cores
HANDSHAKES = 1000  # per second, beside a steady load


def own_cpu_ns():
    """This program and its ended children: the load generators among them."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    return int(total * 1e9)


def run_tool(arguments):
    """Runs a generator on the load's CPU and returns what it prints."""
    process = spawn(arguments, LOAD_CPU, BUILD / "generator.log", stdout=subprocess.PIPE, text=True)
    out, _ = process.communicate(timeout=180)
    if process.returncode != 0:
        tail = (BUILD / "generator.log").read_text(errors="replace")[-300:]
        raise Failed(f"{arguments[0]} failed ({process.returncode}): {out[-300:]} {tail}")
    return out


def microseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}[unit]


def wrk(port, path, connections, seconds):
    out = run_tool(["wrk", "--latency", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", f"http://127.0.0.1:{port}{path}"])
    done, took = re.search(r"(\d+) requests in ([\d.]+\w+),", out).groups()
    took = microseconds(took) / 1e6
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    percentiles = {p: microseconds(v) for p, v in re.findall(r"^\s+(50|99)%\s+([\d.]+\w+)", out, re.M)}
    return {
        "requests": int(done), "rps": int(done) / took, "p50": percentiles.get("50"), "p99": percentiles.get("99"),
        "errors": sum(map(int, errors.groups())) if errors else 0, "not_200": int(bad.group(1)) if bad else 0}


def own_tool(name, *arguments):
    result = json.loads(run_tool([BUILD / name, *arguments]))
    return {
        "requests": result["requests"], "rps": result["rps"], "p50": result["p50_us"], "p99": result["p99_us"],
        "errors": result["errors"], "not_200": result.get("not_200", 0), "unanswered": result.get("unanswered", 0)}


def iperf(port, streams, seconds):
    for attempt in range(5):  # the server of the last run may still be closing
        process = spawn(["iperf3", "-c", "127.0.0.1", "-p", port, "-P", streams, "-t", round(seconds), "-J"], LOAD_CPU,
                        BUILD / "generator.log", stdout=subprocess.PIPE, text=True)
        out, _ = process.communicate(timeout=120)
        result = json.loads(out) if out.strip().startswith("{") else {"error": out[-300:]}
        if "error" not in result:
            received = result["end"]["sum_received"]
            return {"requests": received["bytes"] / 1e9, "rps": received["bytes"] / 1e9 / received["seconds"],
                    "p50": None, "p99": None, "errors": 0, "not_200": 0}
        time.sleep(0.5 * (attempt + 1))
    raise Failed(f"iperf3 on port {port}: {result['error']}")


def generate(scenario, proxy, path, seconds):
    if scenario.kind == "wrk":
        return wrk(proxy.port, path, scenario.connections, seconds)
    if scenario.kind == "rate":
        return own_tool("rateload", "--port", proxy.port, "--rate", scenario.rate, "--connections", scenario.connections,
                        "--seconds", seconds, "--path", path)
    if scenario.kind == "connections":
        return own_tool("connload", "--port", proxy.port, "--slots", scenario.connections, "--seconds", seconds)
    if scenario.kind == "pingpong":
        return own_tool("tcppp", "--port", proxy.port, "--connections", scenario.connections, "--seconds", seconds)
    if scenario.kind == "bulk":
        return iperf(proxy.port, scenario.connections, seconds)
    if scenario.kind in ("streams", "beside"):
        return own_tool("streamload", "--port", proxy.port, "--connections", scenario.connections, "--streams", scenario.streams,
                        "--rate", scenario.rate, "--seconds", seconds, "--path", path,
                        *(("--certs", CERTS) if scenario.door == "mtls" else ()), *scenario.options)
    if scenario.kind == "handshakes":
        return own_tool("tlsload", "--port", proxy.port, "--slots", scenario.connections, "--seconds", seconds, "--certs", CERTS, *scenario.options)
    raise ValueError(scenario.kind)


def measure(scenario, proxy, backend, path, seconds):
    """The cost and the service of one run. CPU per request is the main figure; the rest says whether to believe it."""
    begin, busy = time.monotonic_ns(), machine_busy_ns()
    proxy_before, backend_before, own_before = proxy.cpu_ns(), backend.cpu_ns(), own_cpu_ns()
    result = generate(scenario, proxy, path, seconds)
    if not proxy.alive():
        raise Failed(f"{proxy.label} ended during the run: {proxy.last_words()}")
    proxy_ns, backend_ns = proxy.cpu_ns() - proxy_before, backend.cpu_ns() - backend_before
    own_ns, busy = own_cpu_ns() - own_before, machine_busy_ns() - busy
    wall = time.monotonic_ns() - begin
    rss, peak = memory_mb(proxy.process.pid)
    per_unit = 1e9 if scenario.kind == "bulk" else 1e3  # CPU-seconds per GB, else microseconds per request
    result.update(
        cpu=proxy_ns / per_unit / result["requests"] if result["requests"] else None, util=proxy_ns / wall,
        load_util=(backend_ns + own_ns) / wall, outside=max(0.0, (busy - proxy_ns - backend_ns - own_ns) / wall),
        rss=rss, peak=peak, seconds=wall / 1e9)
    result["dropped"] = result["outside"] > OUTSIDE_LIMIT
    return result


def measure_beside(scenario, proxy, backend, path, seconds):
    """The latency of a steady load without and then with full handshakes beside it. Their generator only gets CPU time that
    the steady one leaves, so that what the ratio shows is the proxy's doing."""
    alone = measure(scenario, proxy, backend, path, seconds)
    flood = spawn([BUILD / "tlsload", "--port", proxy.port, "--certs", CERTS, "--rate", HANDSHAKES, "--slots", 32,
                   "--seconds", seconds + 1, "--background"], LOAD_CPU, BUILD / "generator.log", stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    result = measure(scenario, proxy, backend, path, seconds)
    out, _ = flood.communicate(timeout=60)
    if flood.returncode != 0:
        raise Failed(f"tlsload failed ({flood.returncode})")
    done = json.loads(out)
    result.update(alone=alone["p50"], beside=result["p50"], ratio=result["p50"] / alone["p50"] if alone["p50"] else None,
                  handshakes=done["rps"], errors=result["errors"] + alone["errors"] + done["errors"],
                  not_200=result["not_200"] + alone["not_200"] + done["not_200"], cpu=alone["cpu"])
    # The flood is a child that had not ended when the second window closed: its time is not outside load.
    result["dropped"] = alone["dropped"]
    return result


class Idle:
    """Connections held open through a proxy until released."""

    def __init__(self, port, count, byte=False, options=()):
        arguments = [BUILD / "idleconns", "--port", port, "--count", count, "--request", *(["--byte"] if byte else []), *options]
        self.count = count
        self.process = spawn(arguments, LOAD_CPU, BUILD / "generator.log", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if line.strip() != f"ready {count}":
            self.process.kill()
            tail = (BUILD / "generator.log").read_text(errors="replace")[-300:]
            raise Failed(f"idleconns: {line.strip()} {tail}")

    def release(self):
        """Closes them all; fails if the proxy had closed some of them before."""
        out, _ = self.process.communicate("", timeout=30)
        if out.strip() != f"alive {self.count}":
            raise Failed(f"of {self.count} idle connections the proxy kept only: {out.strip()}")


def measure_memory(make_proxy):
    """RSS of a fresh process idle, with 1,000 and 10,000 idle connections; of another with 10,000 pending bytes."""
    result = {}
    proxy = make_proxy().start()
    try:
        Idle(proxy.port, 1, byte=False).release()
        time.sleep(1.5)
        result["idle"] = memory_mb(proxy.process.pid)[0]
        first = Idle(proxy.port, 1000, byte=False)
        time.sleep(1)
        result["idle 1,000"] = memory_mb(proxy.process.pid)[0]
        second = Idle(proxy.port, 9000, byte=False)
        time.sleep(1.5)
        result["idle 10,000"] = memory_mb(proxy.process.pid)[0]
        first.release()
        second.release()
    finally:
        proxy.stop()
    proxy = make_proxy().start()
    try:
        held = Idle(proxy.port, 10000, byte=True)
        time.sleep(1.5)
        result["pending 10,000"] = memory_mb(proxy.process.pid)[0]
        held.release()
    finally:
        proxy.stop()
    return result


IDLE_FEW, IDLE_MANY = 100, 2000  # connections; the first ones pay for pools and tables


def measure_idle(peer, make_proxy):
    """KiB per idle connection that made one request, by protocol, and per open pair of HTTP/2 streams (10,000 of them, on 100
    connections), which is what a hundred connections with streams take more than the same without."""
    kinds = {"h1 mTLS": ("mtls", ("--certs", CERTS)), "h2": ("h2", ("--http2",)), "h2 mTLS": ("mtls", ("--http2", "--certs", CERTS))}
    result = {}
    for kind, (door, options) in kinds.items():
        proxy = make_proxy(door).start()
        try:
            few = Idle(proxy.port, IDLE_FEW, options=options)
            time.sleep(1)
            before = memory_mb(proxy.process.pid)[0]
            many = Idle(proxy.port, IDLE_MANY, options=options)
            time.sleep(1)
            result[kind] = (memory_mb(proxy.process.pid)[0] - before) * 1024 / IDLE_MANY
            many.release()
            few.release()
        finally:
            proxy.stop()
    result["stream pair"] = None
    if peer != "nginx":  # it has no HTTP/2 upstream
        proxy = make_proxy("h2").start()
        try:
            base = Idle(proxy.port, 100, options=("--http2",))
            time.sleep(1)
            before = memory_mb(proxy.process.pid)[0]
            base.release()
            time.sleep(0.5)
            streams = Idle(proxy.port, 100, options=("--http2", "--streams", 100))
            time.sleep(1)
            result["stream pair"] = (memory_mb(proxy.process.pid)[0] - before) * 1024 / 10000
            streams.release()
        finally:
            proxy.stop()
    return result


def measure_flat(proxy, total):
    """RSS after the first 5 % of the requests, the extremes until the last, and at the end."""
    def load(count):
        return own_tool("rateload", "--port", proxy.port, "--rate", 0, "--connections", 64, "--seconds", 600, "--count", count)

    first = load(total // 20)
    before = memory_mb(proxy.process.pid)[0]
    samples, over = [before], threading.Event()

    def watch():
        while not over.wait(0.2):
            samples.append(memory_mb(proxy.process.pid)[0])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        rest = load(total - total // 20)
    finally:
        over.set()
        thread.join()
    after = memory_mb(proxy.process.pid)[0]
    return {"start": before, "highest": max(samples), "end": after, "change": max(max(samples), after) / before,
            "requests": first["requests"] + rest["requests"], "errors": first["errors"] + rest["errors"],
            "not_200": first["not_200"] + rest["not_200"]}


def burst(proxy):
    """The RSS before, and the highest during, a burst."""
    Idle(proxy.port, 1, byte=False).release()
    time.sleep(2)
    before = memory_mb(proxy.process.pid)[0]
    held = Idle(proxy.port, 5000, byte=True)
    time.sleep(0.5)
    pending = memory_mb(proxy.process.pid)[0]
    held.release()
    load = wrk(proxy.port, "/size/102400", 1000, 5)
    return {"idle": before, "pending": pending, "highest": memory_mb(proxy.process.pid)[1], "errors": load["errors"],
            "not_200": load["not_200"], "requests": load["requests"]}
