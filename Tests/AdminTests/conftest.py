# SPDX-License-Identifier: Apache-2.0
"""Admin of Envoy and of Apus, asked the same on the same configuration."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from pair import Pair, Side  # noqa: E402

from PythonKit import binaries  # noqa: E402


@pytest.fixture(scope="session")
def pair(tmp_path_factory, apus_binary):
    """Both proxies, running for the whole session: a case leaves them as it found them."""
    made = Pair(binaries.require_envoy(), apus_binary, tmp_path_factory.mktemp("admin"))
    yield made
    made.stop()


@pytest.fixture
def fresh_pair(tmp_path, apus_binary):
    """Both proxies for one case that changes them for good."""
    made = Pair(binaries.require_envoy(), apus_binary, tmp_path)
    yield made
    made.stop()


@pytest.fixture
def fresh_apus(tmp_path, apus_binary):
    made = Side("apus", apus_binary, tmp_path)
    yield made
    made.stop()
