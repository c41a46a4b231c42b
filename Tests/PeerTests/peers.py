# SPDX-License-Identifier: Apache-2.0
"""The peers: nginx, and Apus configured for all of them."""

import atexit
import dataclasses
import re
import shutil
import subprocess

import pytest

from PythonKit import bootstrap as b
from PythonKit.ports import free_port
from PythonKit.process import Proxy, wait_for_listener


def tool(name):
    """The tool's path; a missing one fails, for a suite that skips proves nothing."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if not found:
        pytest.fail(f"{name} is not installed (Scripts/packages.sh)")
    return found


def run(*arguments, timeout=20, **options):
    """Runs a peer to its end; its output is part of the failure."""
    found = subprocess.run(arguments, capture_output=True, timeout=timeout, **options)
    assert found.returncode == 0, (
        f"{arguments} exited {found.returncode}:\n{found.stdout.decode()}\n{found.stderr.decode()}"
    )
    return found.stdout


def h2load(*arguments):
    """Runs h2load; every request must be answered with 2xx. Returns what it printed."""
    output = run(tool("h2load"), *arguments, timeout=600).decode()
    line = r"requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored"
    counts = re.search(line, output)
    total, done, succeeded, failed, errored = map(int, counts.groups())
    assert (done, succeeded, failed, errored) == (total, total, 0, 0), output
    assert f"{total} 2xx, 0 3xx, 0 4xx, 0 5xx" in output, output
    return output


_running: list[subprocess.Popen] = []


@atexit.register
def _end_what_is_left():
    for process in _running:
        if process.poll() is None:
            process.kill()


class Nginx:
    """One nginx process in the foreground, from one server block."""

    def __init__(self, directory, port, server, http="", listen=""):
        self.port = port
        configuration = directory / "nginx.conf"
        configuration.write_text(f"""
            daemon off; master_process off; worker_processes 1;
            pid {directory}/nginx.pid; error_log {directory}/error.log warn;
            events {{ worker_connections 1024; }}
            http {{
                access_log off; keepalive_requests 10000000;
                client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
                fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
                {http}
                server {{ listen 127.0.0.1:{port} {listen}; {server} }}
            }}""")
        self.error_log = directory / "error.log"
        self.process = subprocess.Popen(
            [tool("nginx"), "-p", str(directory), "-c", str(configuration), "-e", str(self.error_log)],
            stdin=subprocess.DEVNULL,
        )
        _running.append(self.process)
        wait_for_listener(port)

    def stop(self):
        self.process.terminate()
        self.process.wait(5)


@dataclasses.dataclass
class Apus:
    proxy: Proxy
    #: listeners by name: main (to nginx), recorded (to the recorder), http10, websocket
    ports: dict[str, int]

    def url(self, path="/", listener="main"):
        return f"http://127.0.0.1:{self.ports[listener]}{path}"


def start_proxy(binary, directory, nginx_port, recorder_port, *, websocket_port=None, ports=None, concurrency=2):
    ports = ports or {name: free_port() for name in ("main", "recorded", "http10", "websocket", "admin")}
    to = "[{{match: {{prefix: /}}, route: {{cluster: {}, timeout: 30s}}}}]"
    listeners = [
        b.listener("main", ports["main"], b.hcm(to.format("nginx"))),
        b.listener("recorded", ports["recorded"], b.hcm(to.format("recorder"))),
        b.listener(
            "http10",
            ports["http10"],
            b.hcm(to.format("nginx"), options={"http_protocol_options": {"accept_http_10": True}}),
        ),
        b.listener(
            "websocket",
            ports["websocket"],
            b.hcm(to.format("websocket"), options={"upgrade_configs": [{"upgrade_type": "websocket"}]}),
        ),
    ]
    clusters = [
        b.cluster("nginx", nginx_port),
        b.cluster("recorder", recorder_port),
        b.cluster("websocket", websocket_port or recorder_port),
    ]
    path = b.write(directory / f"bootstrap-{ports['admin']}.yaml", b.bootstrap(ports["admin"], listeners, clusters))
    return Apus(Proxy(binary, path, ports["admin"], concurrency=concurrency).wait_until_ready(), ports)
