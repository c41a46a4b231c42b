# SPDX-License-Identifier: Apache-2.0
"""Envoy and Apus after the same traffic."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from scenario import Scenario  # noqa: E402

from PythonKit import binaries  # noqa: E402

#: An interval of Envoy's histograms is over when the tests look.
FLUSH = {"stats_flush_interval": "0.5s"}


def run(binary, directory, **fields):
    made = Scenario(binary, directory, **FLUSH, **fields)
    try:
        made.start().run()
    except BaseException:
        made.stop()
        raise
    return made


@pytest.fixture(scope="session")
def envoy(tmp_path_factory):
    made = run(binaries.require_envoy(), tmp_path_factory.mktemp("envoy"))
    made.wait_for_flush()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def apus(tmp_path_factory, apus_binary):
    made = run(apus_binary, tmp_path_factory.mktemp("apus"))
    yield made
    alive = made.proxy.is_alive()
    made.stop()
    assert alive, f"the proxy died in the suite:\n{made.proxy.log()}"
