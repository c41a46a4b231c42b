# SPDX-License-Identifier: Apache-2.0
"""The comparison can fail: a deliberate break in the configuration given to Apus turns it red, and only there."""

import pytest
from cases import headers, http2, routing, tls
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


def _manager_of(config, listener):
    listeners = {made["name"]: made for made in config["static_resources"]["listeners"]}
    return listeners[listener]["filter_chains"][0]["filters"][0]["typed_config"]


def _no_client_certificate_wanted(config):
    listeners = {made["name"]: made for made in config["static_resources"]["listeners"]}
    listeners["required"]["filter_chains"][0]["transport_socket"]["typed_config"]["require_client_certificate"] = False


def _fewer_streams(config):
    _manager_of(config, "settings")["http2_protocol_options"]["max_concurrent_streams"] = 4


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
        pytest.param(
            tls.GROUP,
            _no_client_certificate_wanted,
            ("client certificate", "required: None (TLSv1_3)"),
            # Of another log: the line about the request that should not have been is still to come.
            ("TLS to the upstream", "URI SAN matches"),
            None,
            id="client certificate not demanded",
        ),
        pytest.param(
            http2.GROUP,
            _fewer_streams,
            ("settings", "sent as configured"),
            ("settings", "the default ones"),
            [
                "- settings: [(1, 1024), (3, 3), (4, 70000), (8, 0)]",
                "+ settings: [(1, 1024), (3, 4), (4, 70000), (8, 0)]",
            ],
            id="HTTP/2 setting",
        ),
    ],
)
def test_a_deliberate_break_turns_red(group, mutate, broken, sound, expected, tmp_path):
    pair = Pair(group, require_envoy(), require_apus(), tmp_path, mutate_apus=mutate)
    try:
        found = difference(*pair.observe(_case(group, *broken)))
        # None: what an accepted request looks like is not repeated here.
        assert found == expected if expected is not None else "+ status: HTTP/1.1 200 OK" in found
        assert difference(*pair.observe(_case(group, *sound))) == []
    finally:
        pair.stop()
