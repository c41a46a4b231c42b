# SPDX-License-Identifier: Apache-2.0
"""Every case to real Envoy and to Apus: the observations must be equal."""

import pytest
from accepted import ACCEPTED
from cases import ALL_CASES, GROUPS
from harness import Pair, difference

from PythonKit.binaries import is_envoy, require_apus, require_envoy

_PARAMETERS = [pytest.param(group, case, id=f"{case}") for group in GROUPS for case in group.cases]


class _Running:
    """One group's pair at a time: the cases come sorted by group."""

    def __init__(self, directory):
        self.directory = directory
        self.pair = None
        self.failed: dict[str, str] = {}

    def of(self, group):
        if group.name in self.failed:
            pytest.fail(f"group {group.name} did not start: {self.failed[group.name]}")
        if self.pair is None or self.pair.group is not group:
            self.stop()
            try:
                self.pair = Pair(group, require_envoy(), require_apus(), self.directory / group.name)
            except RuntimeError as error:
                self.failed[group.name] = str(error).splitlines()[0]
                pytest.fail(str(error))
        return self.pair

    def stop(self):
        if self.pair:
            self.pair.stop()
            self.pair = None


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    made = _Running(tmp_path_factory.mktemp("differential"))
    yield made
    made.stop()


@pytest.fixture(scope="session")
def subject_is_envoy():
    return is_envoy(require_apus())


@pytest.mark.parametrize("group, case", _PARAMETERS)
def test_agrees(group, case, running, subject_is_envoy):
    pair = running.of(group)
    envoy, apus = pair.observe(case)
    seen = "\n".join(envoy.lines()) + "\n"
    # First that the case shows what its name says: on Envoy.
    assert envoy.status == case.status, f"Envoy does not show this outcome:\n{seen}"
    assert case.shows in seen, f"Envoy does not show {case.shows!r}:\n{seen}"
    assert not case.lacks or case.lacks not in seen, f"Envoy shows {case.lacks!r}:\n{seen}"
    assert pair.apus.proxy.is_alive(), f"the proxy died: {pair.apus.proxy.log()}"
    found = difference(envoy, apus)
    accepted = ACCEPTED.get(case.identity)
    if accepted is None or subject_is_envoy:
        assert not found, "Envoy (-) and Apus (+) differ:\n" + "\n".join(found)
    else:
        # An accepted difference is pinned: it must still be there, and be this one.
        assert found, f"{case} no longer differs: take it off the table in accepted.py"
        for line in accepted.apus_says:
            assert any(line in text for text in apus.lines()), f"Apus does not say {line!r}:\n" + "\n".join(found)


def test_there_are_a_hundred_distinct_cases():
    identities = [case.identity for case in ALL_CASES]
    assert len(identities) >= 100
    repeated = {i for i in identities if identities.count(i) > 1}
    assert not repeated, repeated


def test_accepted_differences_are_few_and_each_has_its_reason():
    assert len(ACCEPTED) <= 8
    known = {case.identity for case in ALL_CASES}
    for identity, entry in ACCEPTED.items():
        assert identity in known, f"{identity} is no case"
        assert len(entry.reason) > 20 and entry.apus_says
