# SPDX-License-Identifier: Apache-2.0
"""The same bytes to Envoy and to Apus, and what came of them as comparable text.

A *group* is one bootstrap with its cases. Each side of a group is one proxy process with its own recording upstreams;
both sides have their own ports, which normalising turns into names, so that observations are equal when behaviour is.
"""

import concurrent.futures
import copy
import dataclasses
import pathlib
import re
import time
from typing import Callable

from PythonKit import bootstrap as b
from PythonKit.client import Connection, ConnectionEnded, ProtocolViolation, request
from PythonKit.ports import free_port
from PythonKit.process import Proxy
from PythonKit.upstream import BODY, Upstream


def BODY_THEN(*steps):
    """The upstream script that reads the request to its end, then does this."""
    return (BODY, *steps)


# Steps of a case. A case without steps sends its request, reads one response and looks whether the connection is kept.


@dataclasses.dataclass(frozen=True)
class Send:
    data: bytes


@dataclasses.dataclass(frozen=True)
class Receive:
    """One response."""

    method: str = "GET"


@dataclasses.dataclass(frozen=True)
class Raw:
    """So many bytes, whatever they are."""

    count: int


@dataclasses.dataclass(frozen=True)
class Pause:
    seconds: float


class HalfClose:
    """The client's FIN."""


class End:
    """Everything up to the end of the connection."""


@dataclasses.dataclass(frozen=True)
class Admin:
    """POST to admin."""

    path: str


class Kept:
    """Whether the connection still serves a request."""


class AwaitUpstream:
    """Until the first request reached an upstream."""


class Reconnect:
    """A new connection from here on."""


@dataclasses.dataclass(frozen=True)
class Case:
    feature: str
    outcome: str
    #: status of the (last) response Envoy gives, or None where there is none: pins that the case shows what it says
    status: int | None
    request: bytes = b""
    steps: tuple = ()
    listener: str = "main"
    #: script of every upstream; None: 200 with the upstream's name as the body
    upstream: tuple | None = None
    #: script run when an upstream accepts, for upstreams that speak first
    accept: tuple | None = None
    #: address the client connects from (the port may be a name) / to (`unix` for the socket in the listener's name)
    source: tuple | None = None
    destination: str = "127.0.0.1"
    #: text that must be in Envoy's observation, where the status alone does not show the outcome
    shows: str = ""
    #: text that must not be in Envoy's observation
    lacks: str = ""
    #: number of upstream requests to wait for before comparing
    upstream_requests: int = 0
    #: log file (by name) whose lines belong to the observation
    log: str | None = None
    #: makes a line of that log comparable
    log_view: Callable | None = None
    #: the observation is only the order of response bodies, from the smallest rotation on: a random start does not matter
    rotation: bool = False
    #: the observation is only which response bodies came at all
    spread: bool = False
    #: admin path asked after the exchange, and the function that makes its answer comparable
    admin: str | None = None
    admin_view: Callable | None = None
    #: what the client does where it speaks HTTP/2 or TLS (see exchanges.py); `steps` and `request` do not apply then
    exchange: object | None = None
    #: the observation is only whether the request was refused, by the stream or the connection, and reached nobody
    refusal: bool = False

    @property
    def identity(self):
        return (self.feature, self.outcome)

    def __str__(self):
        return f"{self.feature}: {self.outcome}"


@dataclasses.dataclass(frozen=True)
class Group:
    """One bootstrap. `build(ports)` returns the listeners and clusters; names in `listeners` get ports."""

    name: str
    listeners: tuple[str, ...]
    upstreams: tuple[str, ...]
    build: Callable
    cases: tuple[Case, ...]
    #: ports that are reserved but on which nobody listens
    dead_ports: tuple[str, ...] = ()
    bootstrap_fields: dict = dataclasses.field(default_factory=dict)
    #: upstreams that are no plain HTTP/1: by name, the function that makes one of port and name
    made_by: dict[str, Callable] = dataclasses.field(default_factory=dict)
    #: more of the command line
    arguments: tuple[str, ...] = ()


class Ports:
    """Port numbers by name, and back."""

    def __init__(self):
        self.numbers: dict[str, int] = {}
        self.directory: pathlib.Path | None = None

    def __getitem__(self, name) -> int:
        return self.numbers[name]

    def log(self, name) -> str:
        return str(self.directory / f"{name}.access.log")

    def socket(self, name) -> str:
        """Path of a unix socket; short, for such a path has 107 bytes at most."""
        return f"/tmp/apus-{self.numbers[name]}.sock"

    def fill_in(self, data: bytes) -> bytes:
        """`<name>` becomes the port of that name."""
        return re.sub(rb"<(\w+)>", lambda m: str(self.numbers.get(m[1].decode(), m[0].decode())).encode(), data)


class Side:
    """One proxy of a group, with its upstreams."""

    def __init__(self, kind, binary, group: Group, directory: pathlib.Path, mutate=None):
        self.kind = kind
        self.group = group
        self.ports = Ports()
        self.ports.directory = directory / kind
        self.ports.directory.mkdir(parents=True)
        for name in (*group.listeners, *group.upstreams, *group.dead_ports, "admin"):
            self.ports.numbers[name] = free_port()
        self.upstreams = {n: group.made_by.get(n, Upstream)(self.ports[n], n) for n in group.upstreams}
        listeners, clusters = group.build(self.ports)
        config = b.bootstrap(self.ports["admin"], listeners, clusters, **group.bootstrap_fields)
        if mutate:
            config = copy.deepcopy(config)
            mutate(config)
        path = b.write(self.ports.directory / "bootstrap.yaml", config)
        self.proxy = Proxy(binary, path, self.ports["admin"], extra_arguments=group.arguments)
        self._log_offsets: dict[str, int] = {}

    def wait_until_ready(self):
        self.proxy.wait_until_ready()

    def stop(self):
        self.proxy.stop()
        for upstream in self.upstreams.values():
            upstream.close()
        for name in self.group.listeners:
            pathlib.Path(self.ports.socket(name)).unlink(missing_ok=True)

    # One case

    def observe(self, case: Case) -> "Observation":
        for upstream in self.upstreams.values():
            upstream.reset_records(case.upstream, case.accept)
            if case.upstream is not None or case.accept is not None:
                upstream.close_connections()
        log_path = pathlib.Path(self.ports.log(case.log)) if case.log else None
        log_start = log_path.stat().st_size if log_path and log_path.exists() else 0
        observation = Observation(self)
        try:
            if case.exchange:
                case.exchange.run(self, case, observation)
            else:
                self._exchange(case, observation)
            if self.group.made_by:
                self._wait_for_ends()
        except OSError as error:
            observation.add("client", f"connect failed: {type(error).__name__}")
        if case.upstream_requests:
            deadline = time.monotonic() + 3
            while self._arrived() < case.upstream_requests and time.monotonic() < deadline:
                time.sleep(0.005)
        for name, upstream in self.upstreams.items():
            for record in list(upstream.requests):
                observation.add_upstream(name, record)
            if case.upstream is not None or case.accept is not None:
                upstream.reset_records()
                upstream.close_connections()
        if log_path:
            observation.add_log(log_path, log_start, case.log_view)
        if case.rotation:
            observation.reduce_to_rotation()
        if case.spread:
            observation.reduce_to_spread()
        if case.refusal:
            observation.reduce_to_refusal()
        if case.admin:
            answer = self.proxy.admin(case.admin)
            if not case.steps and not case.exchange:
                observation.status = answer.status
            view = case.admin_view or (lambda response: response.body.decode())
            observation.add("admin", str(answer.status))
            for line in view(answer).splitlines():
                observation.add("admin", line)
        return observation

    def _wait_for_ends(self):
        """Until every request upstream has ended one way or the other: the client's exchange may be over before."""
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            if all(r.complete or r.reset is not None for u in self.upstreams.values() for r in u.requests):
                return
            time.sleep(0.005)

    def _arrived(self):
        return sum(len(u.requests) for u in self.upstreams.values())

    def _exchange(self, case, observation):
        if case.admin and not case.request and not case.steps:
            return
        method = case.request.split(b" ", 1)[0].decode("latin-1") or "GET"
        steps = case.steps or (Send(case.request), Receive(method), Kept())

        def connect():
            source = case.source and (case.source[0], self.ports.numbers.get(case.source[1], case.source[1]))
            host = self.ports.socket(case.listener) if case.destination == "unix" else case.destination
            connection = Connection(self.ports[case.listener], host=host, source=source)
            observation.names[connection.local_port] = "client"
            return connection

        connection = connect()
        last = None
        try:
            for step in steps:
                if isinstance(step, Send):
                    connection.send(self.ports.fill_in(step.data))
                elif isinstance(step, Receive):
                    try:
                        last = connection.read_response(method=step.method, timeout=6)
                    except ConnectionEnded:
                        observation.add("client", "connection ended without a response")
                        break
                    except ProtocolViolation as violation:
                        observation.add("client", f"not HTTP: {violation}")
                        break
                    except TimeoutError:
                        observation.add("client", "no response in 6 s")
                        break
                    observation.add_response(last)
                elif isinstance(step, Raw):
                    try:
                        observation.add("client", f"raw {connection.read_exactly(step.count)!r}")
                    except ConnectionEnded as ended:
                        observation.add("client", f"raw cut: {ended}")
                    except TimeoutError:
                        observation.add("client", f"raw: only {bytes(connection.buffer)!r} in 5 s")
                elif isinstance(step, Pause):
                    time.sleep(step.seconds)
                elif isinstance(step, HalfClose):
                    connection.half_close()
                elif isinstance(step, End):
                    try:
                        observation.add("client", f"to the end {connection.read_to_end()!r}")
                    except TimeoutError:
                        observation.add("client", f"still open after {bytes(connection.buffer)!r}")
                elif isinstance(step, AwaitUpstream):
                    deadline = time.monotonic() + 3
                    while not self._arrived() and time.monotonic() < deadline:
                        time.sleep(0.005)
                elif isinstance(step, Reconnect):
                    connection.close()
                    connection = connect()
                elif isinstance(step, Admin):
                    observation.add("admin", f"{self.proxy.admin(step.path, method='POST').status} to {step.path}")
                    # The order reaches the workers after the answer.
                    time.sleep(0.1)
                elif isinstance(step, Kept):
                    observation.add("connection", self._connection_state(connection, last))
        finally:
            connection.close()

    def _connection_state(self, connection, last):
        """kept: a second request is answered. closed: the end comes (after our FIN, where `connection: close` was said:
        Envoy delays its own close by a second)."""
        if last is None:
            return "closed" if connection.is_closed_within(2) else "open, silent"
        if (last.header("connection") or "").lower() == "close":
            connection.half_close()
            return "closed, announced" if connection.is_closed_within(3) else "announced close, still open"
        if connection.is_closed_within(0.01):
            return "closed, not announced"
        before = {name: len(u.requests) for name, u in self.upstreams.items()}
        connection.send(request("/still-there", host="probe.test"))
        try:
            answer = connection.read_response(timeout=3)
        except ConnectionEnded:
            return "closed, not announced"
        except (TimeoutError, ProtocolViolation):
            return "open, no answer to a second request"
        for name, upstream in self.upstreams.items():
            del upstream.requests[before[name] :]
        return f"kept ({answer.status} to the next request)"


_DATE = re.compile(r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$")
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b")
# The library's own words about a handshake that failed stand between these.
_TLS_ERROR = re.compile(r"TLS_error:.*?:TLS_error_end")
_TIMESTAMP = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Observation:
    """What one side did, as (aspect, text) in order."""

    def __init__(self, side: Side):
        self.names = {number: name for name, number in side.ports.numbers.items()}
        self.items: list[tuple[str, str]] = []
        self.status: int | None = None

    def add(self, aspect, text):
        self.items.append((aspect, text))

    def lines(self) -> list[str]:
        lines = [f"{aspect}: {self._named(text)}" for aspect, text in self.items]
        # Admin lists by address: their order depends on the port numbers.
        return [x for x in lines if not x.startswith("admin: ")] + sorted(x for x in lines if x.startswith("admin: "))

    def _named(self, text):
        """Ports by their names."""
        return re.sub(
            r"(?<!\d)\d{5}(?!\d)", lambda m: f"<{self.names[int(m[0])]}>" if int(m[0]) in self.names else m[0], text
        )

    def _header(self, name, value):
        lower = name.lower()
        if lower == "date" and _DATE.match(value):
            value = "<date>"
        elif lower == "x-envoy-upstream-service-time" and value.isdigit():
            value = "<ms>"
        return f"{name}: {_TIMESTAMP.sub('<time>', _UUID.sub('<uuid>', value))}"

    def _headers(self, headers):
        """By name; values of one name keep their order."""
        return [self._header(name, value) for name, value in sorted(headers, key=lambda pair: pair[0])]

    def shown(self, data):
        return _shown(data)

    def add_response(self, response):
        self.status = response.status
        for interim in response.interim:
            self.add("interim", f"{interim.version} {interim.status} {interim.reason}")
            for line in self._headers(interim.headers):
                self.add("interim header", line)
        self.add("status", f"{response.version} {response.status} {response.reason}")
        for line in self._headers(response.headers):
            self.add("header", line)
        self.add("body", f"{'' if response.complete else 'CUT '}{_shown(response.body)}")
        for line in self._headers(response.trailers):
            self.add("trailer", line)

    def add_upstream(self, name, record):
        self.add("upstream", f"{name} {record.line}")
        if record.tls:
            self.add("upstream tls", record.tls)
        for line in self._headers(record.headers):
            self.add("upstream header", line)
        if record.body or not record.complete:
            self.add("upstream body", f"{'' if record.complete else 'CUT '}{_shown(record.body)}")
        for line in self._headers(record.trailers):
            self.add("upstream trailer", line)
        if record.tunnelled:
            self.add("upstream tunnel", _shown(record.tunnelled))
        if record.reset is not None:
            self.add("upstream stream", f"reset, code {record.reset}")

    def add_log(self, path, start, view=None):
        """What the log gained, once it gained something and then nothing for 0.1 s (the flush interval is 20 ms)."""
        deadline = time.monotonic() + 3
        text = b""
        changed = time.monotonic()
        while time.monotonic() < deadline:
            time.sleep(0.02)
            now = path.read_bytes()[start:] if path.exists() else b""
            if now != text:
                text, changed = now, time.monotonic()
            elif text and time.monotonic() - changed > 0.1:
                break
        for line in filter(None, text.decode("latin-1").split("\n")):
            if view:
                line = view(line)
            line = _TLS_ERROR.sub("<TLS error>", _TIMESTAMP.sub("<time>", _UUID.sub("<uuid>", line)))
            # The default format: bytes received, bytes sent, duration, service time.
            self.add(
                "log",
                re.sub(r' (\d+ \d+) \d+ (-|\d+) "', lambda m: f' {m[1]} <ms> {"-" if m[2] == "-" else "<ms>"} "', line),
            )

    def reduce_to_spread(self):
        self.items = [("answers from", " ".join(sorted({text for aspect, text in self.items if aspect == "body"})))]

    def reduce_to_refusal(self):
        """No answer, and no request that an upstream could take for a complete one."""
        text = "\n".join(f"{aspect}: {text}" for aspect, text in self.items)
        refused = "stream: reset" in text or "connection: closed" in text
        complete = "upstream: " in text and "CUT" not in text
        self.items = [("refused", str(refused)), ("answered", str(self.status)), ("complete upstream", str(complete))]

    def reduce_to_rotation(self):
        bodies = [text[2:-1] for aspect, text in self.items if aspect == "body"]
        turned = min(bodies[i:] + bodies[:i] for i in range(max(len(bodies), 1)))
        self.items = [("order", " ".join(turned))]


def _shown(data):
    data = bytes(data)
    return repr(data) if len(data) <= 300 else f"{len(data)} bytes, hash {hash(data) & 0xFFFFFFFF:08x}"


class Pair:
    """A group running on both sides."""

    def __init__(self, group, envoy, apus, directory, mutate_apus=None):
        self.group = group
        self.envoy = Side("envoy", envoy, group, directory)
        try:
            self.apus = Side("apus", apus, group, directory, mutate_apus)
        except BaseException:
            self.envoy.stop()
            raise
        try:
            self.envoy.wait_until_ready()
            self.apus.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        self._pool = concurrent.futures.ThreadPoolExecutor(2)

    def observe(self, case):
        """(Envoy's observation, Apus's), made at the same time."""
        both = [self._pool.submit(side.observe, case) for side in (self.envoy, self.apus)]
        return tuple(future.result() for future in both)

    def stop(self):
        self.envoy.stop()
        self.apus.stop()


def difference(envoy: Observation, apus: Observation) -> list[str]:
    """Lines of one side only: `- ` Envoy's, `+ ` Apus's. Empty when they agree."""
    expected, found = envoy.lines(), apus.lines()
    if expected == found:
        return []
    rest = list(found)
    missing = []
    for line in expected:
        if line in rest:
            rest.remove(line)
        else:
            missing.append(line)
    result = [f"- {line}" for line in missing] + [f"+ {line}" for line in rest]
    return result or ["order differs:", *(f"- {line}" for line in expected), *(f"+ {line}" for line in found)]
