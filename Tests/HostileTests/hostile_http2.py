# SPDX-License-Identifier: Apache-2.0
"""Apus between a hostile HTTP/2 client or a hostile HTTP/2 upstream and an honest other side.

Expectations follow the attack ledger and RFC 9113. A stream error may be treated as one of the connection (§5.4.2);
ending the connection without GOAWAY is not an answer.
"""

import re
import time

from PythonKit import bootstrap as b
from PythonKit import h2client
from PythonKit import h2frames as f
from PythonKit.binaries import is_envoy
from PythonKit.h2upstream import H2Upstream
from PythonKit.ports import free_port
from PythonKit.process import Proxy
from PythonKit.upstream import Upstream

_ROUTES = """
- {match: {prefix: /direct}, direct_response: {status: 200, body: {inline_string: direct}}}
- {match: {prefix: /m}, route: {cluster: m}}
- {match: {prefix: /}, route: {cluster: a}}
"""
_LOG = (
    "%RESPONSE_CODE%|%RESPONSE_CODE_DETAILS%|%RESPONSE_FLAGS%|%REQ(:METHOD)%|%REQ(:PATH)%|%DOWNSTREAM_REMOTE_ADDRESS%\n"
)

#: per listener: the options that differ from the plain one
_LISTENERS = {
    "main": {},
    "idle": {"stream_idle_timeout": "0.5s"},
    "few_streams": {"http2_protocol_options": {"max_concurrent_streams": 3}},
    "small_window": {
        "http2_protocol_options": {"initial_stream_window_size": 65535, "initial_connection_window_size": 65535}
    },
    "h1": {"codec_type": "HTTP1"},
    "auto": {"codec_type": "AUTO"},
}

STREAM_ERROR = {f.PROTOCOL_ERROR}


class HostileHTTP2:
    def __init__(self, binary, directory):
        self.directory = directory
        # Envoy ends such connections without GOAWAY. Accepted from it alone, to prove the rest of each test on it.
        self.silence_is_an_answer = is_envoy(binary)
        self.ports = {name: free_port() for name in (*_LISTENERS, "admin", "a", "m")}
        self.upstream = Upstream(self.ports["a"], "a")
        self.malicious = H2Upstream(self.ports["m"], "m")
        listeners = []
        for name, options in _LISTENERS.items():
            log = [b.file_access_log(str(directory / f"{name}.log"), _LOG)]
            common = {"codec_type": "HTTP2", "delayed_close_timeout": "0.05s", "access_log": log}
            manager = b.hcm(_ROUTES, stat_prefix=name, options={**common, **options})
            listeners.append(b.listener(name, self.ports[name], manager))
        clusters = [
            b.cluster("a", self.ports["a"]),
            # Windows so small that a test can overrun them.
            b.cluster("m", self.ports["m"], **b.http2(
                initial_stream_window_size=65535, initial_connection_window_size=65535)),
        ]
        path = b.write(directory / "bootstrap.yaml", b.bootstrap(self.ports["admin"], listeners, clusters))
        self.proxy = Proxy(binary, path, self.ports["admin"]).wait_until_ready()

    def stop(self):
        self.proxy.stop()
        self.upstream.close()
        self.malicious.close()

    # Around each test

    def begin(self):
        self._reset()
        self._stats = self.proxy.stats()
        self._resident = self.proxy.resident_kilobytes()
        self._log_starts = {path: path.stat().st_size for path in self.directory.glob("*.log")}

    def _reset(self):
        for upstream in (self.upstream, self.malicious):
            upstream.reset_records()
            upstream.close_connections()

    def grew_by_less_than(self, kilobytes):
        self.proxy.assert_grew_by_less_than(kilobytes, self._resident)

    def prove_it_still_serves(self):
        self._reset()
        assert self.proxy.is_alive(), f"the proxy died:\n{self.proxy.log()}"
        for path, body in (("/good", b"a"), ("/m", b"m")):
            for _ in range(3):
                # An upstream connection closed a moment ago may still be chosen once.
                answer = h2client.get(self.ports["main"], path, timeout=3)
                if answer.status == 200:
                    break
            found = (answer.status, bytes(answer.body))
            assert found == (200, body), f"no good answer to {path} after the test: {found}\n{self.proxy.log()}"

    def stat_moved(self, *names, timeout=1.0) -> int:
        """By how much the first of these statistics that did change has changed since the test began."""
        deadline = time.monotonic() + timeout
        while True:
            now = self.proxy.stats()
            for name in names:
                if moved := now.get(name, 0) - self._stats.get(name, 0):
                    return moved
            if time.monotonic() > deadline:
                return 0
            time.sleep(0.02)

    def logged(self, pattern, listener="main", timeout=1.5):
        """A line whose details match was logged in the test."""
        path = self.directory / f"{listener}.log"
        deadline = time.monotonic() + timeout
        while True:
            text = path.read_bytes()[self._log_starts.get(path, 0) :].decode("latin-1") if path.exists() else ""
            details = [line.split("|")[1] for line in text.split("\n") if line.count("|") >= 5]
            if any(re.fullmatch(pattern, found) for found in details):
                return
            assert time.monotonic() < deadline, f"logged details {sorted(set(details))}, expected {pattern}"
            time.sleep(0.02)

    # The hostile client

    def connect(self, listener="main", **options):
        connection = h2client.connect(self.ports[listener], **options)
        connection.knows_its_streams = False
        return connection

    def stream_refused(self, connection, stream, codes=STREAM_ERROR, *, connection_codes=None, timeout=3.0):
        """RST_STREAM, or GOAWAY in its place, with one of these codes, and no answer."""
        connection_codes = codes if connection_codes is None else connection_codes
        connection.wait_until(lambda: stream.done or connection.goaways, timeout)
        assert stream.head is None, f"answered {stream.head}"
        if stream.reset is not None:
            assert stream.reset in codes, f"RST_STREAM with code {stream.reset}, expected {codes}"
        elif connection.goaways:
            assert connection.goaway_code in connection_codes, (
                f"GOAWAY with code {connection.goaway_code}, expected {connection_codes}"
            )
        elif not (connection.ended and self.silence_is_an_answer):
            raise AssertionError("closed without a word" if connection.ended else "no answer to it at all")

    def connection_refused(self, connection, codes, *, timeout=3.0, close=True, listener="main"):
        """GOAWAY with one of these codes, then the end; counted as a protocol error."""
        connection.wait_until(lambda: connection.goaways, timeout)
        counted = f"http.{listener}.downstream_cx_protocol_error"
        if connection.ended or connection.goaways:
            assert self.stat_moved(counted), f"{counted} did not move"
        if not connection.goaways and connection.ended and self.silence_is_an_answer:
            return
        assert connection.goaways, "closed without GOAWAY" if connection.ended else "no GOAWAY"
        assert connection.goaway_code in codes, f"GOAWAY with code {connection.goaway_code}, expected {codes}"
        if close:
            assert connection.is_closed_within(3), "the connection stayed open after GOAWAY"

    def flooded(self, connection, *stats, codes=(f.ENHANCE_YOUR_CALM,), details=None, listener="main"):
        """Ended for a flood, by GOAWAY where it could be read (RST may overtake it); counted."""
        assert connection.is_closed_within(5), "the connection stayed open"
        if connection.goaways:
            assert connection.goaway_code in codes, f"GOAWAY with code {connection.goaway_code}, expected {codes}"
        elif not (connection.was_reset or self.silence_is_an_answer):
            raise AssertionError("closed without GOAWAY")
        if stats:
            assert self.stat_moved(*stats), f"none of {stats} moved"
        if details:
            self.logged(details, listener)

    def saw_nothing(self):
        """Not one byte of a request reached an upstream."""
        assert not self.upstream.requests and not self.malicious.requests, "a request reached the upstream"
        received = [bytes(raw) for raw in self.upstream.raw if raw]
        assert not received, f"the upstream saw {received}"

    # The hostile upstream

    def ask(self, *script, path="/m", timeout=5.0, **options):
        """What an honest client gets when the upstream answers by this script, on a fresh connection upstream."""
        self.malicious.reset_records(script, **options)
        self.malicious.close_connections()
        with self.connect() as connection:
            return connection.request(f.request_fields(path), timeout=timeout)

    def bad_gateway(self, *script, codes=None, stats=("cluster.m.upstream_cx_protocol_error",), details=None,
        **options):
        """A clean 502 or 503, the upstream told why (RST_STREAM or GOAWAY with one of `codes`), and counted."""
        answer = self.ask(*script, **options)
        assert answer.status in (502, 503) and answer.ended, f"answered {answer.status}, reset {answer.reset}"
        connection = self.malicious.connections[0]
        if codes is not None:
            told = connection.wait_until(lambda: self._told(connection), 2)
            assert told or self.silence_is_an_answer, "the upstream was told nothing"
            assert not told or self._told(connection) & set(codes), f"the upstream was told {self._told(connection)}"
        if stats:
            assert self.stat_moved(*stats), f"none of {stats} moved"
        self.logged(details or r"upstream_reset_before_response_started\{[\w|]*protocol_error[\w|]*\}")
        return answer

    @staticmethod
    def _told(connection):
        resets = {s.reset for s in connection.streams.values() if s.reset is not None}
        return resets | {code for _, code, _ in connection.goaways}

    def truncated(self, *script, **options):
        """The head had gone out when the upstream broke its word: the client sees a reset, never a clean end."""
        answer = self.ask(*script, **options)
        assert answer.status == 200, f"answered {answer.status}"
        assert answer.reset is not None and not answer.ended, "a clean end"
        self.logged(r"upstream_reset_after_response_started\{\w+\}")
        return answer
