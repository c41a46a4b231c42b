# SPDX-License-Identifier: Apache-2.0
"""The proxy under test between raw HTTP/2 clients and plain HTTP/1 upstreams, and the register of cases."""

import dataclasses
import threading
import typing

import h2wire as w
from h2client import Client
from h2expect import Expectation

from PythonKit import bootstrap as b
from PythonKit.ports import free_port
from PythonKit.process import Proxy
from PythonKit.upstream import BODY, ECHO, READ_TO_END, Upstream, response

BIG = b"".join(b"%07d\n" % line for line in range(15000))

_ROUTES = """
- {match: {prefix: /stall}, route: {cluster: stall}}
- {match: {prefix: /frozen}, route: {cluster: frozen}}
- {match: {prefix: /big}, route: {cluster: big}}
- {match: {prefix: /early}, route: {cluster: early}}
- {match: {prefix: /interim}, route: {cluster: interim}}
- {match: {prefix: /chat}, route: {cluster: chat}}
- {match: {prefix: /connection-fields}, route: {cluster: connection_fields}}
- {match: {prefix: /}, route: {cluster: a}}
"""
_CONNECT_ROUTES = """
- match: {connect_matcher: {}}
  route: {cluster: tunnel, upgrade_configs: [{upgrade_type: CONNECT, connect_config: {}}]}
"""
_HTTP2 = {
    # RFC 9113 §5.4.2: a malformed message is a stream error; Envoy's default is to drop the connection.
    "override_stream_error_on_invalid_http_message": True,
    "max_concurrent_streams": 100,
    "initial_stream_window_size": 65535,
    "initial_connection_window_size": 65535,
}
#: per listener: codec, options of HTTP/2, of the manager, routes before the common ones
_LISTENERS = {
    "main": ("HTTP2", {}, {}, ""),
    "auto": ("AUTO", {}, {}, ""),
    # A stream window below the connection's, so that each can be broken on its own.
    "wide": ("HTTP2", {"initial_connection_window_size": 1048576}, {}, ""),
    "limited": ("HTTP2", {"max_concurrent_streams": 4}, {}, ""),
    "connect": (
        "HTTP2",
        {"allow_connect": True},
        {"upgrade_configs": [{"upgrade_type": "CONNECT"}, {"upgrade_type": "websocket"}]},
        _CONNECT_ROUTES,
    ),
}


@dataclasses.dataclass(frozen=True)
class Case:
    section: str
    title: str
    expectation: Expectation
    play: typing.Callable
    options: dict
    #: "upstream " where the proxy is the client
    side: str = ""

    @property
    def name(self):
        return f"{self.side}{self.section} {self.title}"


class Cases(list):
    """The cases of one file: `@CASES(section, "what is sent", what is demanded)` over the function that sends."""

    side = ""

    def __call__(self, section, title, expectation=None, **options):
        def register(play):
            self.append(Case(section, title, expectation, play, options, self.side))
            return play

        return register


class Downstream:
    """One proxy for all downstream cases: that it survives each is part of each."""

    def __init__(self, binary, directory):
        self._thaw = threading.Event()
        upstreams = ("a", "stall", "frozen", "big", "early", "interim", "chat", "tunnel", "connection_fields")
        self.ports = {name: free_port() for name in (*_LISTENERS, *upstreams, "admin")}
        self.upstreams = {name: Upstream(self.ports[name], name) for name in upstreams}
        self.upstreams["stall"].script = (READ_TO_END,)
        self.upstreams["frozen"].script = (lambda *_: self._thaw.wait(),)
        self.upstreams["big"].script = (BODY, response(200, BIG))
        self.upstreams["early"].script = (response(200, b"early"), READ_TO_END)
        self.upstreams["interim"].script = (BODY, response(103, b"", [("link", "</s>")]), response(200, b"final"))
        self.upstreams["chat"].script = (
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
            ECHO,
        )
        self.upstreams["tunnel"].accept_script = (ECHO,)
        self.upstreams["connection_fields"].script = (
            BODY,
            b"HTTP/1.1 200 OK\r\nconnection: x-hop, keep-alive\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\n"
            b"proxy-connection: keep-alive\r\ntransfer-encoding: chunked\r\nX-Mixed-Case: Kept\r\n\r\n"
            b"2\r\nok\r\n0\r\n\r\n",
        )
        inspected = {"auto": {"listener_filters": [b.http_inspector()]}}
        listeners = [
            b.listener(name, self.ports[name], self._manager(name), **inspected.get(name, {})) for name in _LISTENERS
        ]
        clusters = [b.cluster(name, self.ports[name]) for name in upstreams]
        path = b.write(directory / "downstream.yaml", b.bootstrap(self.ports["admin"], listeners, clusters))
        self.proxy = Proxy(binary, path, self.ports["admin"]).wait_until_ready()

    @staticmethod
    def _manager(name):
        codec, http2, options, routes = _LISTENERS[name]
        return b.hcm(
            (routes + _ROUTES).strip(),
            stat_prefix=name,
            options={
                "codec_type": codec,
                "delayed_close_timeout": "0.05s",
                "http2_protocol_options": {**_HTTP2, **http2},
                **options,
            },
        )

    def stop(self):
        self._thaw.set()
        self.proxy.stop()
        for upstream in self.upstreams.values():
            upstream.close()

    @property
    def requests(self):
        """What the honest upstream got."""
        return self.upstreams["a"].requests

    def run(self, case: Case):
        upstream = self.upstreams["a"]
        upstream.reset_records()
        port = self.ports[case.options.get("listener", "main")]
        options = {key: case.options[key] for key in ("settings", "preface") if key in case.options}
        with Client(port, **options) as client:
            client.harness = self
            stream = case.play(client) or 1
            if case.expectation and case.expectation.judge(client, stream):
                self.prove_it_serves(client)
        with Client(port) as client:
            self.prove_it_serves(client)
        assert self.proxy.is_alive(), f"the proxy died:\n{self.proxy.log()}"
        if case.expectation and case.expectation.unforwarded:
            whole = [r for r in upstream.requests if r.complete and not r.path.startswith("/normal")]
            assert not whole, f"a malformed request was forwarded: {whole}"

    def prove_it_serves(self, client: Client):
        stream = client.until_over(client.open("/normal"))
        assert (stream.status, bytes(stream.data), stream.reset) == (200, b"a", None), (
            f"a normal request failed: {stream}; {client.describe()}\n{self.proxy.log()}"
        )


def received(client: Client, path="/"):
    """The one request the honest upstream got, header names and values."""
    upstream = client.harness.upstreams["a"]
    upstream.wait_for(1)
    return next(r for r in upstream.requests if r.path.startswith(path))


__all__ = ["BIG", "Case", "Cases", "Downstream", "received", "w"]
