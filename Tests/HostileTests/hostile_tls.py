# SPDX-License-Identifier: Apache-2.0
"""Apus with TLS on either side, between a hostile peer and an honest one."""

import shutil
import socket
import time

from PythonKit import bootstrap as b
from PythonKit import tls
from PythonKit.binaries import is_envoy
from PythonKit.certificates import SPIFFE, Authority, directory, material
from PythonKit.client import Connection, ConnectionEnded, get, request
from PythonKit.ports import free_port
from PythonKit.process import Proxy
from PythonKit.upstream import Upstream

_ROUTES = """
- {match: {prefix: /secure}, route: {cluster: secure, retry_policy: {num_retries: 0}}}
- {match: {prefix: /pinned}, route: {cluster: pinned}}
- {match: {prefix: /}, route: {cluster: a}}
"""
DOTTED = SPIFFE + "a.b"
_SANS = {
    "mutual": [],
    "uri": [{"san_type": "URI", "matcher": {"exact": SPIFFE + "client"}}],
    "dotted": [{"san_type": "URI", "matcher": {"exact": DOTTED}}],
    "regex": [{"san_type": "URI", "matcher": {"safe_regex": {"regex": "spiffe://mesh\\.test/ns/[a-z]+/sa/client"}}}],
    "dns": [{"san_type": "DNS", "matcher": {"exact": "client.test"}}],
}


class Rotated:
    """A certificate in files that a test replaces, by rename as an agent does."""

    def __init__(self, credential):
        self.certificate_path, self.key_path = directory() / "rotated.pem", directory() / "rotated.key"
        self.replace(credential)

    def replace(self, credential, key=None):
        for source, target in (
            (credential.certificate_path, self.certificate_path), ((key or credential).key_path, self.key_path),
        ):
            shutil.copy(source, f"{target}.new")
            (target.parent / f"{target.name}.new").rename(target)

    def as_config(self):
        return {
            "certificate_chain": {"filename": str(self.certificate_path)},
            "private_key": {"filename": str(self.key_path)},
        }


class HostileTLS:
    def __init__(self, binary, path):
        # Envoy watches files of a secret, not those named in a listener.
        self.reloads_files = not is_envoy(binary)
        m = self.material = material()
        names = ("main", "inspected", "slow", "sni", "plain", "rotated", *_SANS)
        self.ports = {name: free_port() for name in (*names, "admin", "a", "s", "p")}
        self.upstream = Upstream(self.ports["a"], "a")
        self.secure = Upstream(self.ports["s"], "s")
        self.pinned = Upstream(self.ports["p"], "p")
        self.rotated = Rotated(m.second)

        def manager(name):
            log = [b.file_access_log(str(path / f"{name}.log"))]
            return b.hcm(_ROUTES, stat_prefix=name, options={"delayed_close_timeout": "0.05s", "access_log": log})

        def chain(name, socket_, **fields):
            return {"filters": [manager(name)], "transport_socket": socket_, **fields}

        plain_tls = b.downstream_tls(m.server)
        inspected = {"listener_filters": [b.tls_inspector()], "listener_filters_timeout": "0.5s"}
        timeout = {"transport_socket_connect_timeout": "0.5s"}
        listeners = [
            b.listener("plain", self.ports["plain"], manager("plain")),
            b.listener("main", self.ports["main"], chains=[chain("main", plain_tls)]),
            b.listener("slow", self.ports["slow"], chains=[chain("slow", plain_tls, **timeout)]),
            b.listener("rotated", self.ports["rotated"], chains=[chain("rotated", b.downstream_tls(self.rotated))]),
            b.listener("inspected", self.ports["inspected"], chains=[
                chain("inspected", plain_tls, filter_chain_match={"server_names": ["exact.test"]})], **inspected),
            b.listener("sni", self.ports["sni"], chains=[
                chain("open", plain_tls, filter_chain_match={"server_names": ["open.test"]}),
                chain("secure", b.downstream_tls(m.server, ca=m.ca.path),
                      filter_chain_match={"server_names": ["secure.test"]}),
                chain("other", b.downstream_tls(m.server, ca=m.other_ca.path),
                      filter_chain_match={"server_names": ["other.test"]}),
            ], **inspected),
        ]
        for name, sans in _SANS.items():
            validation = {"match_typed_subject_alt_names": sans} if sans else {}
            socket_ = b.downstream_tls(m.server, ca=m.ca.path, validation=validation)
            listeners.append(b.listener(name, self.ports[name], chains=[chain(name, socket_)]))
        sans = {"match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "server.test"}}]}
        clusters = [
            b.cluster("a", self.ports["a"]),
            b.cluster("secure", self.ports["s"], connect_timeout="1s",
                      transport_socket=b.upstream_tls(ca=m.ca.path, sni="server.test")),
            b.cluster("pinned", self.ports["p"], connect_timeout="1s",
                      transport_socket=b.upstream_tls(ca=m.ca.path, sni="server.test", validation=sans)),
        ]
        config = b.write(path / "bootstrap.yaml", b.bootstrap(self.ports["admin"], listeners, clusters))
        self.proxy = Proxy(binary, config, self.ports["admin"]).wait_until_ready()

    def stop(self):
        self.proxy.stop()
        for upstream in (self.upstream, self.secure, self.pinned):
            upstream.close()

    def begin(self):
        for upstream in (self.upstream, self.secure, self.pinned):
            upstream.reset_records()
            upstream.close_connections()
            upstream.context = None
        self._stats = self._ssl_stats()
        self._resident = self.proxy.resident_kilobytes()

    def grew_by_less_than(self, kilobytes):
        self.proxy.assert_grew_by_less_than(kilobytes, self._resident)

    def prove_it_still_serves(self):
        self.upstream.reset_records()
        assert self.proxy.is_alive(), f"the proxy died:\n{self.proxy.log()}"
        for _ in range(3):
            answer = get(self.ports["plain"], "/good", timeout=3)
            if answer.status == 200:
                break
        assert answer.status == 200 and self.ask("main").status == 200, f"no good answer after the test: {answer}"

    def _ssl_stats(self):
        """By the last part of the name, over all listeners and clusters."""
        found = {}
        for name, value in self.proxy.stats().items():
            if ".ssl." in name or "transport_socket_connect_timeout" in name or "downstream_pre_cx_timeout" in name:
                last = name.rsplit(".", 1)[1]
                found[last] = found.get(last, 0) + value
        return found

    def stat_moved(self, *names) -> bool:
        """One of them moved, anywhere."""
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            now = self._ssl_stats()
            if any(now.get(name, 0) > self._stats.get(name, 0) for name in names):
                return True
            time.sleep(0.02)
        return False

    # Clients

    def raw(self, name) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.ports[name]), timeout=4)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def ask(self, name, path="/x", *, server_name="server.test", context=None, session=None):
        """One request over TLS; raises `tls.Refused` where the handshake, or what followed, was refused."""
        context = context or tls.client_context()
        transport = tls.connect(self.ports[name], context, server_name=server_name, session=session)
        with Connection.over(transport) as connection:
            connection.send(request(path, headers=[("connection", "close")]))
            try:
                answer = connection.read_response()
            except ConnectionEnded as ended:
                raise tls.Refused(transport.refusal or "closed") from ended
            answer.session = transport.object.session
            answer.resumed = transport.object.session_reused
            return answer

    def refused(self, name, credential=None, *, stats=(), **options):
        """The handshake fails, nothing reaches the upstream, and the reason is counted."""
        try:
            answer = self.ask(name, context=tls.client_context(credential=credential, **options))
        except tls.Refused:
            answer = None
        assert answer is None, f"answered {answer.status}"
        assert not self.upstream.requests, "the request reached the upstream"
        if stats:
            assert self.stat_moved(*stats), f"none of {stats} moved"

    def closed_after(self, name, data, *, timeout=4.0, answer=b"\x15\x03"):
        """These bytes in place of a handshake: an alert at most, then the end."""
        with self.raw(name) as connection:
            connection.settimeout(timeout)
            received = b""
            try:
                connection.sendall(data)
                while chunk := connection.recv(65536):
                    received += chunk
            except TimeoutError as error:
                raise AssertionError(f"still open after {received!r}") from error
            except (ConnectionResetError, BrokenPipeError):
                pass
        assert not received or received.startswith(answer), f"answered {received[:60]!r}"
        assert not self.upstream.requests


__all__ = ["HostileTLS", "Authority", "DOTTED", "Rotated"]
