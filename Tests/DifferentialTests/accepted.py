# SPDX-License-Identifier: Apache-2.0
"""Where Apus differs from Envoy 1.40 on purpose. At most eight, each with its reason."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Accepted:
    reason: str
    #: lines (or parts of them) that Apus's observation must contain
    apus_says: tuple[str, ...]


ACCEPTED: dict[tuple[str, str], Accepted] = {}
