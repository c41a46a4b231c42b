# SPDX-License-Identifier: Apache-2.0
"""Where Apus differs from Envoy 1.40 on purpose. At most eight, each with its reason."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Accepted:
    reason: str
    #: lines (or parts of them) that Apus's observation must contain
    apus_says: tuple[str, ...]


ACCEPTED: dict[tuple[str, str], Accepted] = {
    ("status", "unknown code keeps the number"): Accepted(
        "A status nobody registered has no reason phrase of its own, and the phrase carries no meaning (RFC 9112 §4).",
        ("HTTP/1.1 599 Unknown",),
    ),
    ("pipelining", "answers in order"): Accepted(
        "Envoy drops a request that was pipelined behind one with a direct response; Apus answers it.",
        ("upstream: a GET /3 HTTP/1.1",),
    ),
    ("ROUND_ROBIN", "weights 3 and 1"): Accepted(
        "The shares are the same; only the place of the lighter endpoint in the first cycle is another.",
        ("order: a a a a b a a b a a a b a a a b",),
    ),
}
