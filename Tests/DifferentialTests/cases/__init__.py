# SPDX-License-Identifier: Apache-2.0
"""The groups, one module each."""

from . import (
    actions, chains, drain, expressions, failures, grpc, headers, http2, log_values, logs, observing, overload, protocol, retries,
    routing, tls, tunnels,
)

_MODULES = (routing, actions, headers, protocol, failures, tunnels, chains, observing, http2, tls, grpc, logs, log_values, expressions, retries)
GROUPS = [module.GROUP for module in _MODULES] + [*overload.GROUPS, *drain.GROUPS]
ALL_CASES = [case for group in GROUPS for case in group.cases]
