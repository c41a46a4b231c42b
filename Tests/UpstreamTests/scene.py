# SPDX-License-Identifier: Apache-2.0
"""One proxy with its upstreams, for a scene that is played in front of Envoy and of Apus."""

import concurrent.futures
import subprocess
import time

from PythonKit import bootstrap as b
from PythonKit.client import Connection, request
from PythonKit.ports import free_port
from PythonKit.process import Proxy
from PythonKit.upstream import Upstream

LOG = "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n"


class Scene:
    """Ports, upstreams and the proxy of one scene; closes all of them."""

    def __init__(self, kind, binary, directory):
        self.kind = kind
        self.binary = binary
        self.directory = directory / kind
        self.directory.mkdir()
        self.log_path = self.directory / "access.log"
        self.port = free_port()
        self.admin_port = free_port()
        self._closing = []
        self.proxy = None

    def upstream(self, host="127.0.0.1", port=None, name="upstream", **options):
        made = Upstream(port or free_port(), name, host=host, **options)
        self._closing.append(made.close)
        return made

    def keep(self, thing):
        """Closes `thing` with the scene."""
        self._closing.append(thing.close)
        return thing

    def start(self, *clusters, routes=None, tcp=None, wait=True, log=LOG, concurrency=1, **fields):
        """The proxy, with one listener that sends everything to the first cluster, unless `routes` say more."""
        logs = {"access_log": [b.file_access_log(str(self.log_path), text_format=log)]}
        if tcp:
            manager = b.tcp_proxy(cluster=tcp, options={**logs, "max_connect_attempts": 1})
        else:
            routes = routes or [{"match": {"prefix": "/"}, "route": {"cluster": clusters[0]["name"]}}]
            manager = b.hcm(routes, options=logs)
        config = b.bootstrap(self.admin_port, [b.listener("main", self.port, manager)], list(clusters), **fields)
        path = b.write(self.directory / "bootstrap.yaml", config)
        self.proxy = Proxy(self.binary, path, self.admin_port, concurrency=concurrency)
        self._closing.append(self.proxy.stop)
        if wait:
            self.proxy.wait_until_ready()
        return self

    def close(self):
        for close in reversed(self._closing):
            close()

    # What a client sees

    def ask(self, path="/", headers=(), timeout=6.0):
        with Connection(self.port) as connection:
            connection.send(request(path, headers=headers))
            answer = connection.read_response(timeout=timeout)
        return answer

    def ask_together(self, *paths, pause=0.05):
        """So many requests at a time, each a little after the one before. Returns the answers in order."""
        with concurrent.futures.ThreadPoolExecutor(len(paths)) as pool:
            answers = []
            for path in paths:
                answers.append(pool.submit(self.ask, path))
                time.sleep(pause)
            return [answer.result() for answer in answers]

    # What the proxy says

    def stats(self, *names, cluster="c"):
        """Values of a cluster's stats by name."""
        found = self.proxy.stats(f"cluster.{cluster}.")
        return {name: found.get(f"cluster.{cluster}.{name}") for name in names}

    def wait_for_stat(self, name, value, timeout=6.0, cluster="c"):
        """Until a stat is at least `value`; returns whether it is."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if (self.stats(name, cluster=cluster)[name] or 0) >= value:
                return True
            time.sleep(0.02)
        return False

    def log(self, count, timeout=3.0):
        """The access log's lines once there are `count`, sorted."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            lines = self.log_path.read_text().splitlines() if self.log_path.exists() else []
            if len(lines) >= count:
                break
            time.sleep(0.02)
        return sorted(lines)

    def hosts(self, cluster="c"):
        """Host and hostname of every endpoint, as `/clusters` shows them."""
        found = {}
        for line in self.proxy.admin("/clusters").body.decode().splitlines():
            name, _, rest = line.partition("::")
            host, _, value = rest.partition("::hostname::")
            if name == cluster and value != "" or name == cluster and rest.endswith("::hostname::"):
                found[host] = value
        return found

    def sockets_to(self, port):
        """Lines of `ss` for the proxy's connections to a port, with timers and marks."""
        shown = subprocess.run(
            ["ss", "-tnoeH", "state", "established", f"( dport = :{port} )"], capture_output=True, text=True, check=True)
        return shown.stdout.splitlines()


def compare(tmp_path, envoy, apus, play):
    """Plays a scene for both; returns what Envoy showed, after checking that Apus showed the same."""
    seen = {}
    for kind, binary in (("envoy", envoy), ("apus", apus)):
        scene = Scene(kind, binary, tmp_path)
        try:
            seen[kind] = play(scene)
            assert scene.proxy.is_alive(), scene.proxy.log()
        finally:
            scene.close()
    assert seen["apus"] == seen["envoy"]
    return seen["envoy"]
