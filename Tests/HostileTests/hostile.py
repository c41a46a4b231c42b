# SPDX-License-Identifier: Apache-2.0
"""Apus between a hostile client or a hostile upstream and an honest other side.

Every listener logs code, details and flags, so that a test sees what the proxy thought. Expectations follow
the attack ledger, which is stricter than Envoy.
"""

import dataclasses
import re
import time

from PythonKit import bootstrap as b
from PythonKit.client import Connection, ConnectionEnded, ProtocolViolation, Response, get, request
from PythonKit.ports import free_port
from PythonKit.process import Proxy
from PythonKit.upstream import Upstream

_ROUTES = """
- {match: {prefix: /direct}, direct_response: {status: 200, body: {inline_string: direct}}}
- {match: {prefix: /admin-only}, direct_response: {status: 403, body: {inline_string: denied}}}
- {match: {prefix: /by-value, headers: [{name: x-role, string_match: {exact: guest}}]}, direct_response: {status: 403, body: {inline_string: guest}}}
- {match: {prefix: /early}, route: {cluster: early}}
- {match: {prefix: /}, route: {cluster: a}}
"""
_CONNECT = """
- {match: {connect_matcher: {}}, route: {cluster: a, upgrade_configs: [{upgrade_type: CONNECT, connect_config: {}}]}}
- {match: {prefix: /}, route: {cluster: a}}
"""
# The peer comes last: it tells which lines belong to a connection of the test.
_LOG = (
    "%RESPONSE_CODE%|%RESPONSE_CODE_DETAILS%|%RESPONSE_FLAGS%|%REQ(:METHOD)%|%REQ(:PATH)%|%DOWNSTREAM_REMOTE_ADDRESS%\n"
)

#: per listener: the options that differ from the plain one
_LISTENERS = {
    "main": {},
    "http10": {"http_protocol_options": {"accept_http_10": True}},
    "normal": {
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD",
    },
    "reject_escaped": {"normalize_path": True, "path_with_escaped_slashes_action": "REJECT_REQUEST"},
    "underscore_reject": {"common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"}},
    "underscore_drop": {"common_http_protocol_options": {"headers_with_underscores_action": "DROP_HEADER"}},
    "slow_head": {"request_headers_timeout": "0.4s"},
    "slow_body": {"stream_idle_timeout": "0.4s"},
    "slow_request": {"request_timeout": "0.4s"},
    "trailers": {"http_protocol_options": {"enable_trailers": True}},
    "upgrade": {"upgrade_configs": [{"upgrade_type": "websocket"}, {"upgrade_type": "foo"}]},
    "connect": {"upgrade_configs": [{"upgrade_type": "CONNECT"}]},
}

#: bytes of a second request that must never be taken for one
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: evil.test\r\n\r\n"


@dataclasses.dataclass
class Outcome:
    responses: list[Response]
    #: the proxy ended the connection
    closed: bool
    #: (code, details, flags, method, path) per logged stream
    log: list[tuple[str, ...]]
    #: bytes that are no HTTP response, if the proxy sent such
    violation: str | None = None

    @property
    def statuses(self):
        return [r.status for r in self.responses]


class Hostile:
    def __init__(self, binary, directory):
        self.directory = directory
        self.ports = {name: free_port() for name in (*_LISTENERS, "tcp", "admin", "a", "early")}
        self.upstream = Upstream(self.ports["a"], "a")
        listeners = []
        for name, options in _LISTENERS.items():
            manager = b.hcm(
                _CONNECT if name == "connect" else _ROUTES,
                stat_prefix=name,
                options={
                    "codec_type": "HTTP1",
                    "delayed_close_timeout": "0.05s",
                    **options,
                    "access_log": [b.file_access_log(str(directory / f"{name}.log"), _LOG)],
                },
            )
            listeners.append(b.listener(name, self.ports[name], manager))
        listeners.append(b.listener("tcp", self.ports["tcp"], b.tcp_proxy(cluster="a")))
        trailers = {
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": {"http_protocol_options": {"enable_trailers": True}},
                }
            }
        }
        clusters = [b.cluster("a", self.ports["a"], **trailers), b.cluster("early", self.ports["a"])]
        path = b.write(directory / "bootstrap.yaml", b.bootstrap(self.ports["admin"], listeners, clusters))
        self.proxy = Proxy(binary, path, self.ports["admin"]).wait_until_ready()

    def stop(self):
        self.proxy.stop()
        self.upstream.close()

    # Around each test

    def begin(self):
        self.upstream.reset_records()
        self.upstream.close_connections()
        self._stats = self.proxy.stats()

    def prove_it_still_serves(self):
        self.upstream.reset_records()
        self.upstream.close_connections()
        assert self.proxy.is_alive(), f"the proxy died:\n{self.proxy.log()}"
        for _ in range(3):
            answer = get(self.ports["main"], "/good", timeout=3)
            if answer.status == 200:
                break
            # An upstream connection closed a moment ago may still be chosen once.
        assert (answer.status, answer.body) == (200, b"a"), (
            f"no good answer after the test: {answer}\n{self.proxy.log()}"
        )

    def stat_moved(self, name) -> int:
        """By how much a statistic changed since the test began; waits a little for it to move."""
        for _ in range(50):
            moved = self.proxy.stats(name).get(name, 0) - self._stats.get(name, 0)
            if moved:
                return moved
            time.sleep(0.01)
        return 0

    # The hostile client

    def send(
        self, data, listener="main", *, bytewise=False, responses=None, methods=(), half_close=False, wait=1.0, log=1
    ) -> Outcome:
        """Sends raw bytes and reads until the proxy closes, says nothing for `wait` seconds, or gave `responses` answers."""
        log_path = self.directory / f"{listener}.log"
        log_start = log_path.stat().st_size if log_path.exists() else 0
        found = []
        violation = None
        closed = False
        with Connection(self.ports[listener]) as connection:
            if bytewise:
                connection.send_bytewise(data)
            else:
                connection.send(data)
            if half_close:
                connection.half_close()
            try:
                while responses is None or len(found) < responses:
                    method = methods[len(found)] if len(found) < len(methods) else "GET"
                    found.append(connection.read_response(method=method, timeout=wait))
            except ConnectionEnded:
                closed = not connection.buffer
                violation = None if closed else f"cut: {bytes(connection.buffer)!r}"
            except TimeoutError:
                violation = f"cut: {bytes(connection.buffer)!r}" if connection.buffer else None
            except ProtocolViolation as error:
                violation = str(error)
            if not closed and violation is None:
                closed = connection.is_closed_within(0.5)
        return Outcome(found, closed, self._log(log_path, log_start, connection.local_port, log), violation)

    def _log(self, path, start, port, count):
        """What was logged of this client's connection."""
        deadline = time.monotonic() + 1.5
        while True:
            text = path.read_bytes()[start:].decode("latin-1") if path.exists() else ""
            entries = [tuple(line.split("|")) for line in text.split("\n") if line.endswith(f":{port}")]
            if len(entries) >= count or time.monotonic() > deadline:
                return entries
            time.sleep(0.01)

    def saw_nothing(self):
        """Not one byte reached the upstream."""
        received = [bytes(raw) for raw in self.upstream.raw if raw]
        assert not received, f"the upstream saw {received}"

    def saw_nothing_smuggled(self):
        for raw in self.upstream.raw:
            assert b"/smuggled" not in raw, f"the upstream saw the smuggled request: {bytes(raw)!r}"

    def refused(
        self,
        data,
        status=400,
        details=r"http1\.\w+",
        *,
        listener="main",
        stat="downstream_cx_protocol_error",
        bytewise=False,
        flags=None,
        upstream_head=False,
    ) -> Outcome:
        """The request gets this one answer and the connection is closed; nothing of it counts as a request upstream.

        `upstream_head`: the head was good and may have been forwarded; then it was never complete."""
        outcome = self.send(data, listener, bytewise=bytewise)
        statuses = {status} if isinstance(status, int) else set(status)
        assert outcome.violation is None, outcome.violation
        assert len(outcome.responses) == 1 and outcome.statuses[0] in statuses, (
            f"answered {outcome.statuses}, expected {statuses}"
        )
        assert outcome.closed, "the connection stayed open"
        if upstream_head:
            time.sleep(0.01)
            assert self.upstream.wait_until(lambda u: not u.has_unfinished_request(), 1.0), (
                "the request was left open upstream"
            )
            self.saw_nothing_smuggled()
            assert all(not r.complete for r in self.upstream.requests), f"complete upstream: {self.upstream.requests}"
        else:
            self.saw_nothing()
        assert outcome.log, "nothing was logged"
        assert re.fullmatch(details, outcome.log[0][1]), f"logged {outcome.log[0]}, expected details {details}"
        if flags:
            assert outcome.log[0][2] == flags, f"logged {outcome.log[0]}, expected flag {flags}"
        if stat:
            name = f"http.{listener}.{stat}"
            assert self.stat_moved(name) >= 1, f"{name} did not move"
        return outcome

    # The hostile upstream

    def answer_from(self, *script, data=None, method="GET", close=True, wait=2.0) -> Outcome:
        """What the client gets when the upstream answers by this script; every answer comes on a fresh upstream connection."""
        self.upstream.reset_records(script)
        return self.send(data or request(method=method), responses=1, methods=(method,), wait=wait)

    def bad_gateway(
        self,
        *script,
        status=502,
        details=r"upstream_reset_before_response_started\{protocol_error\}",
        flags="UPE",
        stat="upstream_cx_protocol_error",
        method="GET",
        data=None,
    ):
        """The client gets a clean error, and the upstream's connection is not used again."""
        outcome = self.answer_from(*script, method=method, data=data)
        statuses = {status} if isinstance(status, int) else set(status)
        assert outcome.violation is None, outcome.violation
        assert outcome.statuses and outcome.statuses[0] in statuses, f"answered {outcome.statuses}, expected {statuses}"
        assert outcome.responses[0].complete
        assert outcome.log and re.fullmatch(details, outcome.log[0][1]), (
            f"logged {outcome.log}, expected details {details}"
        )
        assert re.fullmatch(flags, outcome.log[0][2]), f"logged {outcome.log[0]}, expected flags {flags}"
        if stat:
            assert self.stat_moved(f"cluster.a.{stat}") >= 1, f"cluster.a.{stat} did not move"
        self.upstream_connection_not_reused()
        return outcome

    def truncated(
        self, *script, details=r"upstream_reset_after_response_started\{\w+\}", flags="UPE|UC|UR", method="GET"
    ):
        """The head had gone out when the upstream broke its word: the client must see a cut, never a clean end."""
        outcome = self.answer_from(*script, method=method)
        assert outcome.violation is None, outcome.violation
        assert outcome.responses, "no response at all"
        assert not outcome.responses[0].complete, f"a clean end: {outcome.responses[0]}"
        assert outcome.closed, "the connection stayed open after a cut response"
        assert outcome.log and re.fullmatch(details, outcome.log[0][1]), (
            f"logged {outcome.log}, expected details {details}"
        )
        assert re.fullmatch(flags, outcome.log[0][2]), f"logged {outcome.log[0]}, expected flags {flags}"
        self.upstream_connection_not_reused()
        return outcome

    def upstream_connection_not_reused(self):
        before = {r.connection for r in self.upstream.requests}
        self.upstream.reset_records()
        assert get(self.ports["main"], "/after", timeout=3).status == 200
        after = {r.connection for r in self.upstream.requests}
        assert not before & after, "the next request went over the connection of the bad answer"


def head(*lines: bytes, body=b"") -> bytes:
    """A request head from raw lines (without line ends), `Host` not added."""
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def post(*fields: bytes, body=b"") -> bytes:
    return head(b"POST /x HTTP/1.1", b"Host: h.test", *fields, body=body)


def with_field(line: bytes) -> bytes:
    return head(b"GET /x HTTP/1.1", b"Host: h.test", line)
