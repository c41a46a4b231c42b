# SPDX-License-Identifier: Apache-2.0
"""Counts, under callgrind, what one keep-alive request costs in user space, and holds it against thresholds.json.

One connection, one request at a time, so that the counts do not depend on who wins a race: the proxy serves N requests,
then 2N; what the second phase took more, divided by N, is the cost of a request. Constant work of a phase (the dump
itself, timers) cancels. Callgrind counts calls by name, hence swift_retain and malloc are exact figures, not samples. HTTP/1 to HTTP/1, or HTTP/2 to HTTP/2 in the clear, one stream at a
time; of an HTTP/2 request the instructions of libnghttp2, and of libc on its behalf, are told apart from our own.
"""
import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / ".build-bench"
# The configurations are those of `meshbench compare`.
SCENARIOS = {"http1": "h1-tiny", "http2": "h2-tiny", "http1-logged": "h1-logged"}

ALLOCATIONS = {"malloc", "calloc", "realloc", "posix_memalign", "memalign", "aligned_alloc", "valloc"}
RETAINS = {"swift_retain", "swift_retain_n", "swift_nonatomic_retain"}
RELEASES = {"swift_release", "swift_release_n", "swift_nonatomic_release"}
NGHTTP2, LIBC = "libnghttp2", ("libc.so", "libc-", "ld-linux", "vgpreload")
WARM_UP = 200
DEADLINE = 55  # seconds for all of it


class Failed(Exception):
    """A process did not do what the count needs."""


def stop(process):
    """SIGTERM, and SIGKILL after three seconds."""
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(3)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_port(port, process, log, seconds):
    begin = time.monotonic()
    while time.monotonic() - begin < seconds and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
            return
        except OSError:
            time.sleep(0.02)
    raise Failed(f"port {port} is not served (exit {process.poll()}): {log.read_text(errors='replace')[-1500:]}")


def with_symbols(binary):
    """The unstripped twin of a binary that `make build` keeps next to it, if there is one."""
    twin = f"{binary}.symbols"
    return twin if os.access(twin, os.X_OK) and os.path.getmtime(twin) >= os.path.getmtime(binary) - 60 else binary


def start_of(peer, scenario, directory):
    """How `meshbench compare` starts a proxy in a scenario: its command, its port, and where it looks for its upstream."""
    meshbench = os.environ.get("MESHBENCH_BINARY", str(ROOT / ".build/release/meshbench"))
    if not os.access(meshbench, os.X_OK):
        raise Failed(f"no meshbench at {meshbench}: run `make build`, or set MESHBENCH_BINARY")
    environment = dict(os.environ)
    environment.setdefault("APUS_BINARY", str(ROOT / ".build/release/apus"))
    done = subprocess.run(
        [meshbench, "compare", "--write-only", "--folder", directory, "--proxy", peer, "--scenario", SCENARIOS[scenario]],
        capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise Failed(done.stderr.strip())
    return next(start for start in json.loads(done.stdout) if start["label"] == peer)


class Upstream:
    """A server that answers "ok" on HTTP/1 or HTTP/2, always with the same bytes: a count must not depend on a library."""

    def __init__(self, port, http2):
        self.listener = socket.create_server(("127.0.0.1", port))
        serve = self.serve_http2 if http2 else self.serve_http1
        threading.Thread(target=self.accept, args=(serve,), daemon=True).start()

    def accept(self, serve):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    @staticmethod
    def serve_http1(connection):
        waiting = b""
        while part := connection.recv(65536):
            waiting += part
            while b"\r\n\r\n" in waiting:
                _, _, waiting = waiting.partition(b"\r\n\r\n")
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok")

    @staticmethod
    def serve_http2(connection):
        frame, reader = StreamClient.frame, connection.makefile("rb")
        reader.read(24)  # the preface
        connection.sendall(frame(StreamClient.SETTINGS, 0, 0, b""))
        # :status 200; content-type and content-length put into the table, and from then on named by their index there.
        block = b"\x88\x5f\x0atext/plain\x5c\x012"
        while len(lead := reader.read(9)) == 9:
            kind, flags, stream = lead[3], lead[4], int.from_bytes(lead[5:], "big")
            payload = reader.read(int.from_bytes(lead[:3], "big"))
            if kind in (StreamClient.SETTINGS, StreamClient.PING) and not flags & StreamClient.ACK:
                connection.sendall(frame(kind, StreamClient.ACK, 0, payload if kind == StreamClient.PING else b""))
            elif kind == StreamClient.HEADERS:
                connection.sendall(frame(kind, StreamClient.END_HEADERS, stream, block) + frame(StreamClient.DATA, StreamClient.END_STREAM, stream, b"ok"))
                block = b"\x88\xbf\xbe"

    def close(self):
        self.listener.close()


class Client:
    """One keep-alive connection; a request at a time."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()  # what wrk sends

    def run(self, count):
        for _ in range(count):
            self.socket.sendall(self.request)
            answer = b""
            while not answer.endswith(b"\r\n\r\nok"):
                part = self.socket.recv(65536)
                answer += part
                if not part or not answer.startswith(b"HTTP/1.1 200"[:len(answer)]):
                    raise Failed(f"no good answer from the proxy: {answer!r}")


class StreamClient:
    """One HTTP/2 connection; a stream at a time. The frames are made by hand: there is no library to pace or to batch them."""

    DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE, ACK, END_STREAM, END_HEADERS = 0, 1, 4, 6, 8, 1, 1, 4

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received, self.stream, self.window_used = b"", -1, 0
        authority = f"127.0.0.1:{port}".encode()
        self.first = b"\x82\x86\x84" + b"\x41" + bytes([len(authority)]) + authority  # GET http /, authority put into the table
        self.next = b"\x82\x86\x84\xbe"  # and from then on named by its index there, as a client does
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self.frame(self.SETTINGS, 0, 0, b""))

    @staticmethod
    def frame(kind, flags, stream, payload):
        return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

    def read(self, size):
        while len(self.received) < size:
            part = self.socket.recv(65536)
            if not part:
                raise Failed("the proxy closed the connection")
            self.received += part
        taken, self.received = self.received[:size], self.received[size:]
        return taken

    def run(self, count):
        for _ in range(count):
            self.stream += 2
            block = self.first if self.stream == 1 else self.next
            self.socket.sendall(self.frame(self.HEADERS, self.END_HEADERS | self.END_STREAM, self.stream, block))
            self.answer()

    def answer(self):
        """Reads to the end of the stream: a head that begins with status 200 and a body of "ok"."""
        head, body, ended = b"", b"", False
        while not ended:
            lead = self.read(9)
            kind, flags, payload = lead[3], lead[4], self.read(int.from_bytes(lead[:3], "big"))
            if kind in (self.SETTINGS, self.PING) and not flags & self.ACK:
                self.socket.sendall(self.frame(kind, self.ACK, 0, payload if kind == self.PING else b""))
            elif kind in (self.DATA, self.HEADERS) and int.from_bytes(lead[5:], "big") == self.stream:
                head, body = (head + payload, body) if kind == self.HEADERS else (head, body + payload)
                ended = bool(flags & self.END_STREAM)
            elif kind not in (self.SETTINGS, self.PING, self.WINDOW_UPDATE):
                raise Failed(f"frame of type {kind} from the proxy: {payload[:40]!r}")
        # 0x88 is ":status: 200"; before it may stand a change of the table's size.
        if head.lstrip(bytes(range(0x20, 0x40)))[:1] != b"\x88" or body != b"ok":
            raise Failed(f"no good answer from the proxy: {head!r} {body!r}")
        self.window_used += len(body)
        if self.window_used > 16384:
            self.socket.sendall(self.frame(self.WINDOW_UPDATE, 0, 0, self.window_used.to_bytes(4, "big")))
            self.window_used = 0


class Profile:
    """Self cost by function and number of calls by callee, of one callgrind dump; self cost by object file, too, and what
    libc did for libnghttp2."""

    NAME = re.compile(r"\((\d+)\)(?: (.*))?$")

    def __init__(self, path):
        self.cost, self.calls, self.callers, names = collections.Counter(), collections.Counter(), collections.Counter(), {}
        self.objects, self.for_nghttp2, objects = collections.Counter(), 0, {}
        current, skip, its_object, callee_object = None, False, "", ""

        def named(text, table=names):
            number, name = self.NAME.match(text).groups()
            if name is not None:
                table[number] = name.split("'")[0]  # a recursion level of the same function
            return table[number]

        with open(path, errors="replace") as file:
            for line in file:
                if line.startswith("fn="):
                    current, callee_object = named(line[3:].strip()), its_object
                elif line.startswith("ob="):
                    its_object = callee_object = named(line[3:].strip(), objects)
                elif line.startswith("cob="):  # of the next call only; without it, a callee is in its caller's object
                    callee_object = named(line[4:].strip(), objects)
                elif line.startswith("cfn="):
                    callee = named(line[4:].strip())
                elif line.startswith("calls="):
                    self.calls[callee] += int(line[6:].split()[0])
                    self.callers[callee, current] += int(line[6:].split()[0])
                    skip = True  # the next line is the callee's cost, counted there
                elif line[0] in "0123456789+-*":
                    amount = int(line.split()[1])
                    if skip:
                        # libc calls nobody back here, so that all a call of it cost is libc's and was spent for the caller.
                        if NGHTTP2 in its_object and is_libc(callee_object):
                            self.for_nghttp2 += amount
                        callee_object = its_object
                    elif current is not None:
                        self.cost[current] += amount
                        self.objects[its_object] += amount
                    skip = False

    def total(self):
        return sum(self.cost.values())

    def nghttp2(self):
        """Instructions in libnghttp2."""
        return sum(amount for name, amount in self.objects.items() if NGHTTP2 in name)


def is_libc(path):
    return pathlib.PurePath(path).name.startswith(LIBC)


class Difference:
    """(second - first) / requests."""

    def __init__(self, first, second, requests):
        def per_request(counter):
            return lambda name: (getattr(second, counter)[name] - getattr(first, counter)[name]) / requests

        self.instructions = (second.total() - first.total()) / requests
        self.nghttp2, self.for_nghttp2 = (second.nghttp2() - first.nghttp2()) / requests, (second.for_nghttp2 - first.for_nghttp2) / requests
        self.objects = {name: (second.objects[name] - first.objects[name]) / requests for name in second.objects}
        self.cost_of, self.calls_of, self.callers_of = per_request("cost"), per_request("calls"), per_request("callers")
        self.names = set(first.cost) | set(second.cost) | set(second.calls)
        self.pairs = set(second.callers)

    def calls(self, wanted):
        return sum(self.calls_of(name) for name in wanted)

    def top(self, count, of=None):
        found = [((of or self.cost_of)(name), name) for name in self.names]
        return sorted((row for row in found if row[0] >= 0.005), reverse=True)[:count]


def demangled(names):
    tool = shutil.which("swift-demangle")
    command = [tool, "-compact"] if tool else [shutil.which("swift"), "demangle", "-compact"] if shutil.which("swift") else None
    if command is None or not names:
        return names
    done = subprocess.run(command, input="\n".join(names), capture_output=True, text=True)
    lines = done.stdout.splitlines()
    return lines if len(lines) == len(names) else names


def dump(pid, directory, number):
    """Has callgrind write what it counted since the last dump, and waits until the file is whole."""
    subprocess.run(["callgrind_control", f"--dump=phase-{number}", str(pid)], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=20)
    path, begin = directory / f"callgrind.out.{number}", time.monotonic()
    while time.monotonic() - begin < 20:
        if path.exists() and "totals:" in path.read_text(errors="replace")[-200:]:
            return path
        time.sleep(0.05)
    raise Failed(f"callgrind wrote no {path.name}")


def measure(peer, requests, scenario):
    http2, directory = scenario == "http2", BUILD / f"callgrind-{peer}"
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("callgrind.out*"):
        old.unlink()
    start = start_of(peer, scenario, directory)
    upstream, process, client, log = Upstream(start["upstream_port"], http2), None, None, directory / "log"
    try:
        # Valgrind 3.19 cannot read the DWARF 5 of our compiler; it needs names only.
        named = directory / f"{peer}-names"
        subprocess.run(["strip", "--strip-debug", "-o", named, with_symbols(start["command"][0])], check=True)
        # Swift seeds its hash tables at random, which would move the start-up's cost about; it is off for the count.
        environment = dict(os.environ, SWIFT_DETERMINISTIC_HASHING="1")
        with open(log, "wb") as out:
            process = subprocess.Popen(
                ["taskset", "-c", "0", "valgrind", "--tool=callgrind", f"--callgrind-out-file={directory}/callgrind.out", "--error-limit=no",
                 "--compress-strings=yes", named, *start["command"][1:]],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)
        wait_port(start["port"], process, log, 40)
        client = (StreamClient if http2 else Client)(start["port"])
        client.run(WARM_UP)
        begun = Profile(dump(process.pid, directory, 1))
        if peer == "apus" and not (begun.calls["swift_retain"] and begun.calls["malloc"]):
            raise Failed("no call of swift_retain or malloc seen while it started: the binary has no symbols, every count would be zero")
        client.run(requests)
        first = dump(process.pid, directory, 2)
        client.run(2 * requests)
        second = dump(process.pid, directory, 3)
        found = Difference(Profile(first), Profile(second), requests)
        if http2 and peer == "apus" and not found.nghttp2:
            raise Failed("no instruction of libnghttp2 seen: it is linked statically, or not used, and cannot be told apart")
        return found
    finally:
        if client is not None:
            client.socket.close()
        stop(process)
        upstream.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1000, help="N (default 1,000)")
    parser.add_argument("--scenario", choices=("http1", "http2", "http1-logged"), default="http1",
                        help="HTTP/1 to HTTP/1 (default), HTTP/2 to HTTP/2, or HTTP/1 with Istio's access log to a file")
    parser.add_argument("--binary", default="apus", help="which proxy; the thresholds are for apus only")
    parser.add_argument("--top", type=int, default=0, help="show the N dearest functions even if nothing failed")
    options = parser.parse_args()
    begin = time.monotonic()
    try:
        found = measure(options.binary, options.requests, options.scenario)
    except (Failed, subprocess.SubprocessError, OSError) as failure:
        sys.exit(f"callgrind: {failure}")
    retains, releases = found.calls(RETAINS), found.calls(RELEASES)
    figures = {"instructions": found.instructions, "retain_release_pairs": max(retains, releases), "malloc": found.calls(ALLOCATIONS)}
    if options.scenario == "http2":
        figures = {"instructions": found.instructions, "own_instructions": found.instructions - found.nghttp2 - found.for_nghttp2,
                   "nghttp2_instructions": found.nghttp2, "libc_for_nghttp2_instructions": found.for_nghttp2, **figures}
    limits = json.loads((HERE / "thresholds.json").read_text())[f"{options.scenario}-keepalive"] if options.binary == "apus" else {}
    over = []
    for name, value in figures.items():
        limit = limits.get(name)
        # A rare call (a pool that grows once in a thousand requests) is not a call per request.
        bad = limit is not None and value > limit + (0.01 if name == "malloc" else 0)
        over += [name] if bad else []
        bound = "" if limit is None else f"  (at most {limit:,})" + ("  OVER" if bad else "")
        print(f"{options.binary} {'HTTP/2' if options.scenario == 'http2' else 'HTTP/1'} request, {name.replace('_', ' ')}: {value:,.2f}{bound}")
    took = time.monotonic() - begin
    print(f"{options.requests:,} and {2 * options.requests:,} requests under callgrind, {took:.0f} s")
    if over or options.top:
        rows = found.top(options.top or 40)
        print("\ndearest functions, instructions per request (self):")
        for (value, _), name in zip(rows, demangled([name for _, name in rows])):
            print(f"{value:10,.1f}  {name[:150]}")
        print("\ninstructions per request by object file:")
        for value, name in sorted(((value, name) for name, value in found.objects.items() if value >= 1), reverse=True):
            print(f"{value:10,.1f}  {name}")
        rows = [row for row in found.top(1000, found.calls_of) if row[1] in ALLOCATIONS | RETAINS | RELEASES or row[1].startswith("swift_")]
        print("\nruntime and allocator calls per request:")
        for value, name in rows[:20]:
            print(f"{value:10,.2f}  {name}")
        rows = sorted(((found.callers_of(pair), pair[1]) for pair in found.pairs if pair[0] in RETAINS | ALLOCATIONS), reverse=True)
        rows = [row for row in rows if row[0] >= 0.05][:options.top or 40]
        print("\nwho retains or allocates, calls per request:")
        for (value, _), name in zip(rows, demangled([name for _, name in rows])):
            print(f"{value:10,.2f}  {name[:150]}")
    if took > DEADLINE:
        print(f"callgrind: took {took:.0f} s, more than {DEADLINE}: lower --requests", file=sys.stderr)
    sys.exit(1 if over else 0)


if __name__ == "__main__":
    main()
