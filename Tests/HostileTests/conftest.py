# SPDX-License-Identifier: Apache-2.0
"""One proxy for the whole suite: that it survives every test is part of each test."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from hostile import Hostile  # noqa: E402


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
