# SPDX-License-Identifier: Apache-2.0
"""One proxy for the downstream cases and one for the upstream ones."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import deviations  # noqa: E402
from conformance import Downstream  # noqa: E402
from upstream_side import CLIENTS, Upstream, UpstreamCases  # noqa: E402

from PythonKit import binaries  # noqa: E402


@pytest.fixture(scope="session")
def downstream(tmp_path_factory, apus_binary):
    made = Downstream(apus_binary, tmp_path_factory.mktemp("downstream"))
    yield made
    made.stop()


@pytest.fixture(scope="session")
def upstream(tmp_path_factory, apus_binary):
    made = Upstream(apus_binary, tmp_path_factory.mktemp("upstream"), UpstreamCases.everywhere)
    yield made
    made.stop()


def pytest_generate_tests(metafunc):
    """The cases of a file are its `CASES`; the ones the proxy is known to fail must fail."""
    if "case" not in metafunc.fixturenames:
        return
    known = deviations.ENVOY if binaries.is_envoy(binaries.require_apus()) else deviations.APUS
    made = []
    for case in metafunc.module.CASES:
        marks = ()
        if case.name in known:
            deviation = known[case.name]
            marks = pytest.mark.xfail(reason=deviation.reason, strict=not deviation.sometimes)
        if "client" in metafunc.fixturenames:
            clients = case.options.get("clients", CLIENTS)
            made += [pytest.param(case, client, id=f"{case.name} ({client})", marks=marks) for client in clients]
        else:
            made.append(pytest.param(case, id=case.name, marks=marks))
    metafunc.parametrize(("case", "client") if "client" in metafunc.fixturenames else "case", made)
