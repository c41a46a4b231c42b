# SPDX-License-Identifier: Apache-2.0
"""Apus in front of real software, and behind it."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import http2peers  # noqa: E402
from http2peers import GRPCServer  # noqa: E402
from peers import Nginx, start_proxy  # noqa: E402

from PythonKit.certificates import material  # noqa: E402
from PythonKit.ports import free_port  # noqa: E402
from PythonKit.upstream import Upstream  # noqa: E402


@pytest.fixture(scope="session")
def nginx(tmp_path_factory):
    """nginx as an upstream: `/` small, `/big` 1 MiB."""
    port = free_port()
    directory = tmp_path_factory.mktemp("nginx")
    (directory / "big").write_bytes(bytes(range(256)) * 4096)
    made = Nginx(
        directory,
        port,
        f"""
        root {directory};
        location = /big {{ default_type application/octet-stream; }}
        location / {{ default_type text/plain; return 200 "hello from nginx"; }}
    """,
    )
    yield made
    made.stop()


@pytest.fixture(scope="session")
def recorder():
    made = Upstream(free_port(), "recorder")
    yield made
    made.close()


@pytest.fixture(scope="session")
def apus(tmp_path_factory, apus_binary, nginx, recorder):
    made = start_proxy(apus_binary, tmp_path_factory.mktemp("apus"), nginx.port, recorder.port)
    yield made
    alive = made.proxy.is_alive()
    log = made.proxy.log()
    status = made.proxy.stop()
    assert alive, f"the proxy died in the suite:\n{log}"
    assert status == 0, f"exit status {status} after SIGTERM:\n{log}"


@pytest.fixture(scope="session")
def nginx_h2(tmp_path_factory):
    """nginx as an HTTP/2 upstream by prior knowledge: `/` small, `/big` 1 MiB."""
    directory = tmp_path_factory.mktemp("nginx-http2")
    (directory / "big").write_bytes(bytes(range(256)) * 4096)
    port = free_port()
    server = f"""
        root {directory}; http2_max_concurrent_streams 1024;
        location = /big {{ default_type application/octet-stream; }}
        location / {{ default_type text/plain; return 200 "hello from nginx"; }}
    """
    made = Nginx(directory, port, server, listen="http2")
    yield made
    made.stop()


@pytest.fixture(scope="session")
def http2(tmp_path_factory, apus_binary, nginx, nginx_h2):
    """The proxy among HTTP/2 and gRPC peers."""
    m = material()
    plain, secure = GRPCServer(), GRPCServer(m.server, m.ca)
    directory = tmp_path_factory.mktemp("http2")
    made = http2peers.start(apus_binary, directory, nginx_h2.port, nginx.port, plain.port, secure.port)
    yield made
    alive, log, status = made.proxy.is_alive(), made.proxy.log(), made.proxy.stop()
    plain.stop()
    secure.stop()
    assert alive, f"the proxy died in the suite:\n{log}"
    assert status == 0, f"exit status {status} after SIGTERM:\n{log}"
