# SPDX-License-Identifier: Apache-2.0
"""The groups, one module each."""

from . import actions, chains, failures, headers, observing, protocol, routing, tunnels

GROUPS = [module.GROUP for module in (routing, actions, headers, protocol, failures, tunnels, chains, observing)]
ALL_CASES = [case for group in GROUPS for case in group.cases]
