# SPDX-License-Identifier: Apache-2.0
"""Clusters, their hosts, limits and connections: what Envoy does, and that Apus does it too."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import pytest  # noqa: E402

from PythonKit.binaries import require_envoy  # noqa: E402


@pytest.fixture(scope="session")
def envoy_binary():
    return require_envoy()
