# SPDX-License-Identifier: Apache-2.0
"""Two proxies of one configuration, each on its own ports, and what they answer with the ports named."""

import re
import time

from PythonKit import bootstrap as b
from PythonKit.certificates import material
from PythonKit.client import Connection, get
from PythonKit.ports import free_port
from PythonKit.process import Proxy
from PythonKit.upstream import Upstream

PORTS = ("admin", "web", "tcp", "more", "tls", "upstream", "dead")


def configuration(ports, log):
    """Everything admin can show of a static configuration: hosts of all kinds, breakers, layers, secrets, certificates."""
    routes = """
    - match: {prefix: /direct}
      direct_response: {status: 200, body: {inline_string: "hi"}}
    - match: {prefix: /part, runtime_fraction: {default_value: {numerator: 100}, runtime_key: part.on}}
      direct_response: {status: 201, body: {inline_string: "part"}}
    - match: {prefix: /part}
      direct_response: {status: 202, body: {inline_string: "rest"}}
    - match: {prefix: /dead}
      route: {cluster: dead}
    - match: {prefix: /}
      route: {cluster: backend}
    """
    backend = b.cluster(
        "backend",
        alt_stat_name="other",
        circuit_breakers={
            "thresholds": [
                {"max_connections": 11, "max_requests": 12},
                {"priority": "HIGH", "max_pending_requests": 13, "max_retries": 14},
            ]
        },
    )
    # With half of its hosts healthy, the first priority still takes all requests.
    backend["load_assignment"]["policy"] = {"overprovisioning_factor": 200}
    backend["load_assignment"]["endpoints"] = [
        {
            "locality": {"region": "r", "zone": "z", "sub_zone": "s"},
            "load_balancing_weight": 3,
            "lb_endpoints": [
                {
                    "load_balancing_weight": 7,
                    "endpoint": {"hostname": "first", "address": b.address(ports["upstream"])},
                    "metadata": {"filter_metadata": {"istio": {"workload": "v1;mesh", "n": [0, 7, False, True, None]}, "none": {}}},
                },
                {"health_status": "UNHEALTHY", "endpoint": {"address": b.address(ports["dead"])}},
            ],
        },
        {"priority": 1, "lb_endpoints": [{"health_status": "DEGRADED", "endpoint": {"address": b.address(9, "::1")}}]},
    ]
    filtered = b.file_access_log(str(log.with_suffix(".filtered")), "%REQ(:PATH)% %RESPONSE_CODE%\n")
    filtered["filter"] = {"status_code_filter": {"comparison": {"op": "GE", "value": {"default_value": 400, "runtime_key": "x"}}}}
    m = material()
    secret = b.downstream_tls(m.server, ca=m.ca.path)
    return {
        "node": {"id": "node-1", "cluster": "mesh", "locality": {"zone": "z"}, "metadata": {"a": {"b": [1, "x", True]}}},
        "admin": {
            "address": b.address(ports["admin"]),
            "access_log": [b.file_access_log(str(log)), filtered],
        },
        "layered_runtime": {
            "layers": [
                {"name": "base", "static_layer": {"feature": {"ratio": 25}, "a.b": "text", "flag": True}},
                {"name": "admin", "admin_layer": {}},
            ]
        },
        "static_resources": {
            "listeners": [
                b.listener("web", ports["web"], b.hcm(routes, stat_prefix="web"), traffic_direction="INBOUND"),
                b.listener(
                    "tcp",
                    ports["tcp"],
                    b.tcp_proxy(cluster="backend"),
                    additional_addresses=[{"address": b.address(ports["more"])}],
                ),
                b.listener(
                    "tls", ports["tls"], chains=[{"transport_socket": secret, "filters": [b.hcm(routes, stat_prefix="tls")]}]
                ),
            ],
            "clusters": [backend, b.cluster("dead", ports["dead"]), b.cluster("dotted.name", 9)],
        },
    }


class Side:
    """One proxy with its ports and its upstream."""

    def __init__(self, name, binary, directory, change=lambda config: config):
        self.name = name
        self.ports = {port: free_port() for port in PORTS}
        self.upstream = Upstream(self.ports["upstream"], "upstream")
        path = directory / f"{name}.yaml"
        self.access_log = directory / f"{name}.access"
        b.write(path, change(configuration(self.ports, self.access_log)))
        self.proxy = Proxy(binary, path, self.ports["admin"]).wait_until_ready()

    def ask(self, path, method="GET", headers=()):
        return get(self.ports["admin"], path, method=method, host="localhost", headers=headers)

    def visit(self, path, port="web"):
        return get(self.ports[port], path)

    def raw(self, data: bytes, method="GET"):
        with Connection(self.ports["admin"]) as connection:
            connection.send(data)
            return connection.read_response(method=method)

    def logged(self, marker):
        """Lines of the access log with the marker, once there is one; without their times."""
        # Envoy writes its file every ten seconds.
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            lines = [line for line in self.access_log.read_text().splitlines() if marker in line]
            if lines:
                return [re.sub(r"^\[[^]]*\]", "[time]", line) for line in lines]
            time.sleep(0.02)
        return []

    def named(self, body: bytes) -> str:
        """The text with what differs between any two runs replaced."""
        text = body.decode(errors="replace")
        for name, port in self.ports.items():
            # As a JSON number it becomes text.
            text = re.sub(rf"(?<=: ){port}(?=[,\n])", f'"<{name}>"', text)
            text = re.sub(rf"(?<!\d){port}(?!\d)", f"<{name}>", text)
        text = re.sub(r'("last_updated": )"[^"]*"', r'\1"<time>"', text)
        # Envoy marks texts that are meant for people with a word that protobuf changes at random.
        text = re.sub(r"goo\.gle/debug\w+\s*", "", text)
        text = text.replace(str(self.access_log), "<log>").replace(str(self.access_log.with_suffix(".filtered")), "<filtered>")
        return text.replace(str(self.proxy.bootstrap_path), "<bootstrap>")

    def stop(self):
        self.proxy.stop()
        self.upstream.close()


class Pair:
    def __init__(self, envoy, apus, directory):
        self.envoy = Side("envoy", envoy, directory)
        self.apus = Side("apus", apus, directory)

    def both(self):
        return self.envoy, self.apus

    def ask(self, path, method="GET", headers=()):
        return tuple(side.ask(path, method, headers) for side in self.both())

    def visit(self, path, port="web"):
        return tuple(side.visit(path, port) for side in self.both())

    def stop(self):
        for side in self.both():
            side.stop()


def content_type(response):
    return (response.header("content-type") or "").lower()


def same_text(pair, path, method="GET", headers=()):
    """Asks both and demands the same status, content type and text."""
    envoy, apus = pair.ask(path, method, headers)
    assert apus.status == envoy.status
    assert content_type(apus) == content_type(envoy)
    assert pair.apus.named(apus.body) == pair.envoy.named(envoy.body)
    return apus
