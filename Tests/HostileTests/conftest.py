# SPDX-License-Identifier: Apache-2.0
"""One proxy for the whole suite: that it survives every test is part of each test."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from hostile import Hostile  # noqa: E402
from hostile_http2 import HostileHTTP2  # noqa: E402
from hostile_tls import HostileTLS  # noqa: E402


@pytest.fixture(scope="session")
def running(tmp_path_factory, apus_binary):
    made = Hostile(apus_binary, tmp_path_factory.mktemp("hostile"))
    yield made
    made.stop()


@pytest.fixture
def proxy(running):
    """The proxy, proved alive and serving after the test."""
    running.begin()
    yield running
    running.prove_it_still_serves()


@pytest.fixture(scope="session")
def running_http2(tmp_path_factory, apus_binary):
    made = HostileHTTP2(apus_binary, tmp_path_factory.mktemp("hostile-http2"))
    yield made
    made.stop()


@pytest.fixture
def http2(running_http2):
    """The HTTP/2 proxy, proved alive and serving after the test."""
    running_http2.begin()
    yield running_http2
    running_http2.prove_it_still_serves()


@pytest.fixture(scope="session")
def running_tls(tmp_path_factory, apus_binary):
    made = HostileTLS(apus_binary, tmp_path_factory.mktemp("hostile-tls"))
    yield made
    made.stop()


@pytest.fixture
def tls_proxy(running_tls):
    """The TLS proxy, proved alive and serving after the test."""
    running_tls.begin()
    yield running_tls
    running_tls.prove_it_still_serves()
