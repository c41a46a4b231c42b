# SPDX-License-Identifier: Apache-2.0
"""One configuration and one piece of traffic, the same for Envoy and for Apus, and the stats that came of it."""

import json
import pathlib
import re
import time

from PythonKit import bootstrap as b
from PythonKit import h2client, tls
from PythonKit.certificates import material
from PythonKit.client import Connection, get, request
from PythonKit.h2frames import request_fields
from PythonKit.h2upstream import H2Upstream
from PythonKit.ports import free_port
from PythonKit.process import Proxy
from PythonKit.upstream import RESET, Upstream, response

_ROUTES = """
- {match: {path: /direct}, direct_response: {status: 200, body: {inline_string: hello}}}
- {match: {path: /redirect}, redirect: {path_redirect: /direct}}
- {match: {path: /nocluster}, route: {cluster_header: x-cluster}}
- {match: {path: /dead}, route: {cluster: dead}}
- {match: {path: /empty}, route: {cluster: empty}}
- {match: {path: /h2}, route: {cluster: h2}}
- {match: {path: /reset}, route: {cluster: resetting}}
- {match: {path: /named}, stat_prefix: named, route: {cluster: web}}
- {match: {path: /twice}, stat_prefix: twice, route: {cluster: resetting, retry_policy: {retry_on: reset, num_retries: 2}}}
- {match: {path: /never}, stat_prefix: never, route: {cluster: dead, retry_policy: {retry_on: connect-failure, num_retries: 1}}}
- {match: {path: /slow}, route: {cluster: silent, timeout: 0.1s}}
- {match: {prefix: /web}, route: {cluster: web}}
"""

_VIRTUAL_HOSTS = f"""
- name: all
  domains: ['*']
  virtual_clusters:
  - {{name: reads, headers: [{{name: ':path', string_match: {{prefix: /web}}}}]}}
  routes: {_ROUTES.replace(chr(10), chr(10) + '  ')}
"""


class Scenario:
    """A proxy with its upstreams, after the traffic."""

    listeners = ("main", "second", "tcp", "tls")
    upstreams = ("web", "h2", "resetting", "silent", "echo")

    def __init__(self, binary, directory: pathlib.Path, **bootstrap_fields):
        directory.mkdir(parents=True, exist_ok=True)
        names = (*self.listeners, *self.upstreams, "dead", "admin")
        # Rising, so that names with ports in them stand in the same order on both sides.
        self.ports = dict(zip(names, sorted(free_port() for _ in names)))
        self._ups = {name: Upstream(self.ports[name], name) for name in ("web", "resetting", "silent", "echo")}
        self._ups["h2"] = H2Upstream(self.ports["h2"], "h2")
        config = b.bootstrap(self.ports["admin"], self._listeners(), self._clusters(), **bootstrap_fields)
        path = b.write(directory / "bootstrap.yaml", config)
        self.proxy = Proxy(binary, path, self.ports["admin"])

    def start(self):
        self.proxy.wait_until_ready()
        return self

    def _listeners(self):
        ports = self.ports
        secured = [{
            "filters": [b.hcm(virtual_hosts=_VIRTUAL_HOSTS, stat_prefix="secure")],
            "transport_socket": b.downstream_tls(material().server, alpn=["h2", "http/1.1"]),
        }]
        return [
            b.listener("main", ports["main"], b.hcm(virtual_hosts=_VIRTUAL_HOSTS, stat_prefix="in")),
            b.listener(
                "second", ports["second"], b.hcm(virtual_hosts=_VIRTUAL_HOSTS, stat_prefix="outbound_0.0.0.0_80;"),
                stat_prefix="shop",
            ),
            b.listener("tcp", ports["tcp"], b.tcp_proxy(stat_prefix="bytes", cluster="echo")),
            b.listener("tls", ports["tls"], chains=secured, listener_filters=[b.tls_inspector()]),
        ]

    def _clusters(self):
        ports = self.ports
        return [
            b.cluster("web", ports["web"], alt_stat_name="outbound|80||web.ns.svc.cluster.local;"),
            b.cluster("h2", ports["h2"], **b.http2()),
            b.cluster("dead", ports["dead"]),
            b.cluster("empty"),
            b.cluster("resetting", ports["resetting"]),
            b.cluster("silent", ports["silent"], circuit_breakers={
                "thresholds": [{"max_connections": 7, "track_remaining": True}]
            }),
            b.cluster("echo", ports["echo"]),
            b.cluster("unused", ports["dead"]),
        ]

    # Traffic

    def run(self):
        """Every request is over when this returns, and so are the connections."""
        main, web = self.ports["main"], self._ups["web"]
        self._ups["resetting"].reset_records((RESET,))
        self._ups["silent"].reset_records((b"",))
        with Connection(main) as connection:
            for path in ("/web", "/web/two", "/direct", "/redirect", "/nothing", "/named", "/nocluster", "/empty"):
                connection.send(request(path))
                connection.read_response(timeout=5)
        for status in (404, 500, 503, 301, 204):
            web.reset_records((response(status, b""),))
            get(main, "/web")
        web.reset_records()
        for path in ("/dead", "/reset", "/slow", "/h2", "/twice", "/never"):
            get(main, path)
        with Connection(self.ports["second"]) as connection:
            for _ in range(3):
                connection.send(request("/web", method="POST", body=b"x" * 1000))
                connection.read_response(timeout=5)
        with Connection(main) as connection:
            connection.send(b"NOT HTTP\r\n\r\n")
            connection.is_closed_within(2)
        with h2client.connect(main) as connection:
            connection.request(request_fields("/h2"), timeout=5)
        context = tls.client_context(alpn=["h2"])
        with h2client.connect(self.ports["tls"], context=context, server_name="server.test") as connection:
            connection.request(request_fields("/direct"), timeout=5)
        with Connection(self.ports["tcp"]) as connection:
            connection.send(request("/over-tcp"))
            connection.read_response(timeout=5)
        self._settle()

    def _settle(self):
        """Until no downstream connection is left and two looks at the stats agree."""
        deadline = time.monotonic() + 5
        before = None
        while time.monotonic() < deadline:
            now = {n: v for n, v in self.values().items() if not n.startswith(("server.", "listener.admin", "http.admin"))}
            if now == before and not any(v for n, v in now.items() if n.endswith(".downstream_cx_active")):
                return
            before = now
            time.sleep(0.05)

    def wait_for_flush(self):
        """Until an interval of the histograms has ended, which is when Envoy shows them."""
        deadline = time.monotonic() + 10
        while "No recorded" in self.text("?filter=http.in.downstream_rq_time"):
            assert time.monotonic() < deadline, "histograms were not flushed"
            time.sleep(0.05)

    # Stats

    def text(self, query="") -> str:
        return self.proxy.admin("/stats" + query).body.decode()

    def values(self) -> dict[str, int]:
        """Counters and gauges."""
        found = {}
        for line in self.text().splitlines():
            name, _, value = line.rpartition(": ")
            if re.fullmatch(r"\d+", value):
                found[self.named(name)] = int(value)
        return found

    def histograms(self) -> dict[str, list]:
        """The number of values of each histogram, by name: its Prometheus count."""
        body = json.loads(self.proxy.admin("/stats?format=json&histogram_buckets=cumulative&type=Histograms").body)
        found = {}
        for stat in body["stats"]:
            for one in stat.get("histograms", []):
                found[self.named(one["name"])] = one["buckets"]
        return found

    def named(self, text: str) -> str:
        """Ports by their names."""
        names = {number: name for name, number in self.ports.items()}
        return re.sub(r"(?<!\d)\d{5}(?!\d)", lambda m: f"<{names[int(m[0])]}>" if int(m[0]) in names else m[0], text)

    def stop(self):
        self.proxy.stop()
        for upstream in self._ups.values():
            upstream.close()
