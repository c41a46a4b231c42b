# SPDX-License-Identifier: Apache-2.0
"""The proxy as a client: a scripted server for each case, an HTTP/1 and an HTTP/2 client before it."""

import concurrent.futures
import dataclasses

import h2wire as w
from conformance import Case, Cases
from h2client import Client
from h2server import Server

from PythonKit import bootstrap as b
from PythonKit.client import Connection, ConnectionEnded, request
from PythonKit.ports import free_port
from PythonKit.process import Proxy

#: The routes' timeout; an answer that needs it is 504, and right only where a case says so.
ROUTE_TIMEOUT = 1.0
#: Longer than the route's: who has no answer by then is left hanging.
HANG = 4.0

_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
CLIENTS = ("h1", "h2")


@dataclasses.dataclass
class Answer:
    """What a client saw. `status` is None where the exchange ended before a final header section."""

    status: int | None
    body: bytes = b""
    #: a clean end, by the framing of the client's protocol
    complete: bool = False
    headers: list = dataclasses.field(default_factory=list)
    interim: list = dataclasses.field(default_factory=list)
    trailers: list | None = None
    hung: bool = False


@dataclasses.dataclass(frozen=True)
class Demand:
    """Which of the three honest ends are right: an error of the gateway, a cut response, a whole one."""

    errors: frozenset = frozenset()
    cut: bool = False
    statuses: frozenset = frozenset()
    body: bytes | None = None

    def judge(self, answer: Answer):
        assert not answer.hung, f"left hanging after {answer}"
        if answer.complete and answer.status in self.errors:
            return
        if not answer.complete:
            assert self.cut, f"cut: {answer}, wanted {self}"
            return
        assert answer.status in self.statuses, f"{answer}, wanted {self}"
        assert self.body is None or answer.body == self.body, f"{answer}, wanted {self}"


def whole(body: bytes | None = b"ok", status=200) -> Demand:
    return Demand(statuses=frozenset({status}), body=body)


def gateway_error(*more) -> Demand:
    """Nothing of the response had been passed on."""
    return Demand(errors=frozenset({502, 503, *more}))


def cut_short() -> Demand:
    """A response that began and broke: an error where its head had not gone out, else a visible cut."""
    return Demand(errors=frozenset({502, 503}), cut=True)


def whole_or(demand: Demand, body: bytes | None = b"ok") -> Demand:
    """Where the RFC leaves the choice: the right answer, or the error."""
    return dataclasses.replace(demand, statuses=frozenset({200}), body=body)


def ask(port, client, path, *, method="GET", body=b"", headers=(), stalled=False) -> Answer:
    """`stalled`: the client grants no window, and so takes no byte of a body (HTTP/2 only)."""
    if client == "h1":
        return _ask_h1(port, path, method, body, headers)
    return _ask_h2(port, path, method, body, headers, 0 if stalled else 1 << 24)


def _ask_h1(port, path, method, body, headers):
    with Connection(port, timeout=HANG) as connection:
        connection.send(request(path, method=method, body=body, headers=list(headers)))
        try:
            got = connection.read_response(method=method, timeout=HANG)
        except ConnectionEnded:
            return Answer(None)
        except TimeoutError:
            return Answer(None, hung=True)
        interim = [r.status for r in got.interim]
        return Answer(got.status, got.body, got.complete, got.headers, interim, got.trailers or None)


def _ask_h2(port, path, method, body, headers, window):
    with Client(port, settings=((w.INITIAL_WINDOW_SIZE, window),)) as client:
        client.send(w.window_update(0, 1 << 24))
        extra = [*headers, ("content-length", str(len(body)))] if body else headers
        stream = client.open(path, method=method, extra=extra, end=not body)
        if body:
            client.pump(lambda: client.settings)
            client.send_data(stream, body, end=True)
        got = client.until_over(stream, HANG)
        hung = not got.over and not client.ended
        interim = [int(dict(fields)[":status"]) for fields in got.interim]
        return Answer(got.status, bytes(got.data), got.ended, got.headers or [], interim, got.trailers, hung)


class UpstreamCases(Cases):
    """Options: `settings`, `handshake`, `every` of the server; `retry` of the route; `method`, `body`, `headers`,
    `stalled` of the client; `parallel` requests; `clients`: which of the two; `fresh`: the next request must not use
    the first connection; `ends`: the proxy must end it; `check`: a function of the answers and the server."""

    #: of all files that were collected, for one proxy serves them all
    everywhere: list[Case] = []
    side = "upstream "

    def __call__(self, section, title, expectation, **options):
        register = super().__call__(section, title, expectation, **options)

        def both(play):
            register(play)
            self.everywhere.append(self[-1])
            return play

        return both


class Upstream:
    """One proxy; each case and client has a route, a cluster and a port of its own."""

    def __init__(self, binary, directory, cases):
        self.listen = {client: free_port() for client in CLIENTS}
        admin = free_port()
        self.ports = {}
        routes, clusters = [], []
        for case in cases:
            for client in CLIENTS:
                number = len(self.ports)
                port = self.ports[case.name, client] = free_port()
                clusters.append(b.cluster(f"c{number}", port, **_http2(case)))
                routes.append({"match": {"prefix": f"/{port}/"}, "route": _route(f"c{number}", case)})
        listeners = []
        for client, codec in (("h1", "HTTP1"), ("h2", "HTTP2")):
            options = {"codec_type": codec, "delayed_close_timeout": "0.05s"}
            if client == "h1":
                options["http_protocol_options"] = {"enable_trailers": True}
            manager = b.hcm(routes, stat_prefix=client, options=options)
            listeners.append(b.listener(client, self.listen[client], manager))
        path = b.write(directory / "upstream.yaml", b.bootstrap(admin, listeners, clusters))
        self.proxy = Proxy(binary, path, admin).wait_until_ready()

    def stop(self):
        self.proxy.stop()

    def run(self, case: Case, client):
        port = self.ports[case.name, client]
        options = case.options
        server_options = {key: options[key] for key in ("settings", "handshake", "every") if key in options}
        with Server(port, case.play, **server_options) as server:
            answers = self._ask(case, client, port)
            for answer in answers:
                try:
                    case.expectation.judge(answer)
                except AssertionError as error:
                    raise AssertionError(f"{error}\nserver: {self._shown(server)}\n{self.proxy.log()}") from None
            if "check" in options:
                options["check"](answers, server)
            after = self._normal(port, client)
            assert not server.failures, f"the proxy broke the protocol: {server.failures}"
            if not options.get("every"):
                assert after.status == 200 and after.complete, f"the next request failed: {after}\n{self.proxy.log()}"
            if options.get("fresh"):
                assert after.body != b"connection 0", "the connection of the error was used again"
        assert self.proxy.is_alive(), f"the proxy died:\n{self.proxy.log()}"

    def _ask(self, case, client, port):
        options = case.options
        count = options.get("parallel", 1)
        asked = {key: options[key] for key in ("method", "body", "headers", "stalled") if key in options}
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            made = [pool.submit(ask, self.listen[client], client, f"/{port}/{n}", **asked) for n in range(count)]
            return [future.result() for future in made]

    def _normal(self, port, client):
        """An honest exchange; a connection that ended this moment may be chosen once."""
        for _ in range(3):
            after = ask(self.listen[client], client, f"/{port}/normal")
            if after.status == 200:
                break
        return after

    @staticmethod
    def _shown(server):
        return "; ".join(f"connection {p.number}: {p.describe()}" for p in server.peers) + f" {server.failures}"


def _http2(case):
    options = {
        "override_stream_error_on_invalid_http_message": True,
        "initial_stream_window_size": 65535,
        "initial_connection_window_size": 65535,
    }
    typed = {"@type": f"type.googleapis.com/{_OPTIONS}", "explicit_http_config": {"http2_protocol_options": options}}
    return {"typed_extension_protocol_options": {_OPTIONS: typed}}


def _route(cluster, case):
    made = {"cluster": cluster, "timeout": f"{ROUTE_TIMEOUT}s"}
    if case.options.get("retry"):
        made["retry_policy"] = {
            "retry_on": "refused-stream,reset-before-request,connect-failure",
            "num_retries": 3,
            "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.01s"},
        }
    return made
