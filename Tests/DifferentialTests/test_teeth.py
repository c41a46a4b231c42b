# SPDX-License-Identifier: Apache-2.0
"""The comparison can fail: a deliberate break in the configuration given to Apus turns it red, and only there."""

import pytest
from cases import headers, routing
from harness import Pair, difference

from PythonKit.binaries import require_apus, require_envoy


def _routes_of(config, listener):
    listeners = {made["name"]: made for made in config["static_resources"]["listeners"]}
    manager = listeners[listener]["filter_chains"][0]["filters"][0]["typed_config"]
    return manager["route_config"]["virtual_hosts"][0]["routes"]


def _drop_header_operation(config):
    del _routes_of(config, "levels")[0]["request_headers_to_add"]


def _swap_two_routes(config):
    routes = _routes_of(config, "paths")
    at = {route["match"].get("prefix"): index for index, route in enumerate(routes)}
    first, second = at["/first/long"], at["/first"]
    routes[first], routes[second] = routes[second], routes[first]


def _case(group, feature, outcome):
    return next(case for case in group.cases if case.identity == (feature, outcome))


@pytest.mark.parametrize(
    "group, mutate, broken, sound, expected",
    [
        pytest.param(
            headers.GROUP,
            _drop_header_operation,
            ("header operations levels", "request: cluster, route, host, config in order"),
            ("via", "added"),
            ["- upstream header: x-order: route"],
            id="one header operation dropped",
        ),
        pytest.param(
            routing.GROUP,
            _swap_two_routes,
            ("route order", "longer prefix first"),
            ("match path", "same path"),
            [
                "- header: content-length: 10",
                "- body: b'first-long'",
                "+ header: content-length: 11",
                "+ body: b'first-short'",
            ],
            id="two routes swapped",
        ),
    ],
)
def test_a_deliberate_break_turns_red(group, mutate, broken, sound, expected, tmp_path):
    pair = Pair(group, require_envoy(), require_apus(), tmp_path, mutate_apus=mutate)
    try:
        assert difference(*pair.observe(_case(group, *broken))) == expected
        assert difference(*pair.observe(_case(group, *sound))) == []
    finally:
        pair.stop()
