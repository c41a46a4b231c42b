# SPDX-License-Identifier: Apache-2.0
"""One proxy for each test: a fault is the process's, and what it leaves behind must not meet the next one."""

import pathlib
import stat
import sys
import types

import pytest

_HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "PeerTests")]

from PythonKit import bootstrap as b  # noqa: E402
from PythonKit.ports import free_port  # noqa: E402
from PythonKit.process import Proxy  # noqa: E402
from PythonKit.upstream import Upstream  # noqa: E402

_ROUTES = """
- {match: {prefix: /direct}, direct_response: {status: 200, body: {inline_string: direct}}}
- {match: {prefix: /impatient}, route: {cluster: a, timeout: 0.5s}}
- {match: {prefix: /}, route: {cluster: a, timeout: 20s}}
"""


@pytest.fixture
def upstream():
    made = Upstream(free_port(), "a")
    yield made
    made.close()


@pytest.fixture
def start(apus_binary, tmp_path, upstream):
    """`start(options=, arguments=, upstream_port=, descriptors=, **bootstrap)` makes a running proxy with listener `main`."""
    running = []

    def make(*, options=None, arguments=(), upstream_port=None, descriptors=None, concurrency=1, listener=None, **fields):
        ports = {"main": free_port(), "admin": free_port()}
        binary = apus_binary
        if descriptors:
            wrapper = tmp_path / "limited"
            wrapper.write_text(f'#!/bin/sh\nulimit {descriptors}\nexec {apus_binary} "$@"\n')
            wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
            binary = str(wrapper)
        config = b.bootstrap(
            ports["admin"], [b.listener("main", ports["main"], b.hcm(_ROUTES, options=options), **(listener or {}))],
            [b.cluster("a", upstream_port or upstream.port)], **fields,
        )
        path = b.write(tmp_path / f"bootstrap-{ports['main']}.yaml", config)
        proxy = Proxy(binary, path, ports["admin"], concurrency=concurrency, extra_arguments=arguments)
        proxy.wait_until_ready()
        running.append(proxy)
        return types.SimpleNamespace(proxy=proxy, ports=ports, port=ports["main"], upstream=upstream)

    yield make
    for proxy in running:
        if proxy.process.returncode == 0:
            continue
        alive = proxy.is_alive()
        status = proxy.stop()
        assert alive, f"the proxy died:\n{proxy.log()}"
        assert status == 0, f"exit status {status}:\n{proxy.log()}"
