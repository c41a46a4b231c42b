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
    ("bridge 2 to 1", "hop-by-hop response headers are gone"): Accepted(
        "RFC 9113 §8.2.2: what an HTTP/1 response's Connection nominates must not reach HTTP/2; Envoy passes `x-hop` on.",
        ("status: HTTP/2 200",),
    ),
    ("reset by upstream before the answer", "REFUSED_STREAM"): Accepted(
        "A request that the upstream refused unseen is sent once more by default (RFC 9113 §8.7); Envoy wants a policy.",
        ("remote_refused_stream_reset",),
    ),
    ("upstream goes away", "before this stream"): Accepted(
        "A request above GOAWAY's last stream is sent once more by default (RFC 9113 §8.7); Envoy wants a policy.",
        ("remote_refused_stream_reset",),
    ),
    ("WebSocket", "from HTTP/2 to HTTP/1"): Accepted(
        "The client's END_STREAM reaches an HTTP/1 upstream as FIN, and the tunnel ends when both sides have ended it.",
        ("log: 101 - via_upstream",),
    ),
    ("WebSocket", "extended CONNECT where it is not allowed"): Accepted(
        "The connection ends with a GOAWAY that names the error (RFC 9113 §5.4.1); Envoy just closes it.",
        ("GOAWAY 1",),
    ),
}
