# SPDX-License-Identifier: Apache-2.0
"""Shared by the Python suites: PythonKit on the import path, and the binaries checked before anything runs."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from PythonKit import binaries  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def proxies_are_installed():
    """A missing binary fails the run: a suite that skips proves nothing."""
    binaries.require_apus()


@pytest.fixture(scope="session")
def apus_binary(proxies_are_installed):
    return binaries.require_apus()
