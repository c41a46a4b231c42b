# SPDX-License-Identifier: Apache-2.0
"""Apus in front of real software, and behind it."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from peers import Nginx, start_proxy  # noqa: E402

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
