# SPDX-License-Identifier: Apache-2.0
"""meshbench beside wrk and h2load, in a short form of `agreement.py`: it must not cost more than 1.2 times as much."""

import os

import agreement
import pytest
from peers import Nginx


@pytest.fixture(scope="module")
def comparisons(meshbench, tmp_path_factory):
    cpus = sorted(os.sched_getaffinity(0))
    with Nginx(tmp_path_factory.mktemp("nginx"), logs=False, cpu=cpus[0]) as server:
        return agreement.compare(meshbench.binary, server, cpus[-1], rounds=2, seconds=1)


@pytest.mark.parametrize("place", [0, 1], ids=["wrk", "h2load"])
def test_a_request_costs_no_more_than_with_others(meshbench, comparisons, place):
    found = comparisons[place]
    print(found)
    # A debug build is not what anybody measures with.
    limit = 30 if "/debug/" in meshbench.binary else 1.2
    # Of what both spent, the least: what other programs do to the machine only adds.
    assert min(r.cpu for r in found.ours) <= limit * min(r.cpu for r in found.theirs)


@pytest.mark.parametrize("place", [0, 1], ids=["wrk", "h2load"])
def test_throughput_is_that_of_the_others(meshbench, comparisons, place):
    found = comparisons[place]
    best = max(r.throughput for r in found.ours) / max(r.throughput for r in found.theirs)
    # Far wider than the noise; a debug build is slower than that.
    assert (0.02 if "/debug/" in meshbench.binary else 0.6) < best < 1.7


@pytest.mark.parametrize("place", [0, 1], ids=["HTTP/1.1", "HTTP/2"])
def test_little_s_law_holds(comparisons, place):
    """In a closed loop throughput times mean latency is what is on its way: 10 requests, or 4 times 32. (wrk and h2load do not
    count the time in which an answered connection waits for them, and wrk adds answers that it thinks it missed.)"""
    in_flight = (10, 128)[place]
    for ours in comparisons[place].ours:
        assert ours.throughput * ours.latency / 1e6 == pytest.approx(in_flight, rel=0.1)
