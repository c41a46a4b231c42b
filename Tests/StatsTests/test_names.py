# SPDX-License-Identifier: Apache-2.0
"""The names of stats and their values, Envoy's against those of Apus; what differs is listed with its reason."""

import fnmatch

import pytest
from known import DIFFERENT, EXTRA, MISSING


def _matches(name, patterns):
    return [pattern for pattern in patterns if fnmatch.fnmatchcase(name, pattern)]


@pytest.fixture(scope="module")
def seen(envoy, apus):
    """Values by name, of histograms the number of values in them."""

    def everything(side):
        found = dict(side.values())
        for name, buckets in side.histograms().items():
            found[name] = buckets[-1]["cumulative"] if buckets else 0
        return found

    return everything(envoy), everything(apus)


def test_every_missing_name_is_listed(seen):
    ours = set(seen[1])
    missing = sorted(name for name in seen[0] if name not in ours)
    unlisted = [name for name in missing if not _matches(name, MISSING)]
    assert not unlisted, f"{len(unlisted)} stats of Envoy that Apus lacks and known.py does not list:\n" + "\n".join(unlisted)


@pytest.mark.parametrize("pattern", MISSING)
def test_what_is_listed_as_missing_is_missing(seen, pattern):
    assert fnmatch.filter(seen[0], pattern), "Envoy has no such stat in this scenario"
    assert not (found := fnmatch.filter(seen[1], pattern)), f"Apus has it: {found[:5]}"


def test_every_extra_name_is_listed(seen):
    extra = sorted(name for name in seen[1] if name not in seen[0] and not _matches(name, EXTRA))
    assert not extra, "stats that only Apus has and known.py does not list:\n" + "\n".join(extra)


@pytest.mark.parametrize("pattern", EXTRA)
def test_what_is_listed_as_extra_is_extra(seen, pattern):
    assert fnmatch.filter(seen[1], pattern), "Apus has no such stat in this scenario"
    assert not (found := fnmatch.filter(seen[0], pattern)), f"Envoy has it: {found[:5]}"


def test_values_are_equal(seen):
    envoy, apus = seen
    wrong = [
        f"{name}: Envoy {envoy[name]}, Apus {apus[name]}"
        for name in sorted(set(envoy) & set(apus))
        if envoy[name] != apus[name] and not _matches(name, DIFFERENT)
    ]
    assert not wrong, f"{len(wrong)} values differ:\n" + "\n".join(wrong)


@pytest.mark.parametrize("pattern", DIFFERENT)
def test_what_is_listed_as_different_exists_on_both(seen, pattern):
    assert fnmatch.filter(seen[0], pattern) and fnmatch.filter(seen[1], pattern)
