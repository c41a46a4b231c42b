# SPDX-License-Identifier: Apache-2.0
"""Cases that a proxy is known to fail, each with the sentence of the RFC that makes it a fault of the proxy.

A marked case must fail: one that passes fails the run, so that the table cannot grow stale. The names of the cases
where the proxy is the client begin with "upstream".
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Deviation:
    reason: str
    #: the outcome hangs on how the bytes arrive: such a case may pass too
    sometimes: bool = False


def _each(reason, *names):
    return {name: Deviation(reason) for name in names}


#: Envoy 1.40
ENVOY: dict[str, Deviation] = {
    **_each(
        "§5.4.1: an endpoint that encounters a connection error SHOULD first send GOAWAY. Envoy ends the connection, "
        "as it MUST, and sends none.",
        "5.1 idle: RST_STREAM",
        "5.1 idle: WINDOW_UPDATE",
        "5.1 half-closed (remote): HEADERS",
        "5.1.1 an even identifier",
        "5.4.1 GOAWAY names the last stream that was taken",
        "6.2 HEADERS on stream 0",
        "6.4 RST_STREAM on stream 0",
        "6.5 SETTINGS on a stream",
        "6.5 an acknowledgment nobody waits for",
        "6.5.2 ENABLE_PUSH 2",
        "6.5.2 INITIAL_WINDOW_SIZE 2^31",
        "6.5.2 MAX_FRAME_SIZE 16,383",
        "6.5.2 MAX_FRAME_SIZE 2^24",
        "6.6 PUSH_PROMISE from a client",
        "6.6 PUSH_PROMISE on stream 0",
        "6.7 PING on a stream",
        "6.8 GOAWAY on a stream",
        "6.9 WINDOW_UPDATE of zero on the connection",
        "6.9.1 the connection's window over 2^31-1",
        "8.4 a PUSH_PROMISE for an idle stream",
    ),
    **_each(
        "A stream error by the RFC (§5.1.2, §6.9, §6.9.1). Envoy makes it the end of the connection, which §5.4.1 "
        "allows, but sends no GOAWAY: every other stream is lost, and nobody is told why.",
        "5.1.2 a stream above the limit",
        "5.1.2 half-closed streams count",
        "5.1.2 a refused stream's block counts for the table",
        "5.4.2 a stream error leaves the other streams alone",
        "6.9 WINDOW_UPDATE of zero on a stream",
        "6.9.1 a stream's window over 2^31-1",
    ),
    **_each(
        "RFC 7540 made it a stream error; RFC 9113 (§5.3.2) does not interpret priorities. Envoy ends the connection, "
        "without GOAWAY.",
        "5.3 a stream that depends on itself in HEADERS is not an error any more",
    ),
    **_each(
        "§4.2: FRAME_SIZE_ERROR MUST be sent for a frame above SETTINGS_MAX_FRAME_SIZE, and it is a connection error "
        "where the frame carries a field block. Envoy takes the CONTINUATION frame.",
        "4.2 CONTINUATION one byte too large",
    ),
    **_each(
        "§5.1.1: an endpoint that receives an unexpected stream identifier MUST respond with a connection error. "
        "Envoy ignores the request, and leaves it without an answer.",
        "5.1.1 a lower identifier than one used before",
    ),
    **_each(
        "§6.3: PRIORITY with a stream identifier of 0 MUST be a connection error. Envoy ignores it.",
        "6.3 PRIORITY on stream 0",
    ),
    **_each(
        "§6.9.2: a change of SETTINGS_INITIAL_WINDOW_SIZE that lifts a window above the maximum MUST be a connection "
        "error. Envoy resets the stream only.",
        "6.9.2 SETTINGS that lift a stream's window over 2^31-1",
    ),
    **_each(
        "§8.2.1: a field value MUST NOT start or end with SP or HTAB, and the message MUST be treated as malformed. "
        "Envoy passes it on.",
        "8.2.1 leading space in a value",
        "8.2.1 trailing space in a value",
        "8.2.1 leading tab in a value",
        "8.2.1 trailing tab in a value",
        "upstream 8.2.1 leading space in a value",
        "upstream 8.2.1 trailing tab in a value",
    ),
    **_each(
        "§8.2.2: an intermediary transforming a message to HTTP/2 MUST remove the fields that Connection nominates. "
        "Envoy passes `x-hop` on.",
        "8.2.2 connection-specific fields of an HTTP/1 response are removed",
    ),
    **_each(
        "§8.3.1: a server SHOULD treat a request as malformed whose Host differs from :authority. Envoy drops Host.",
        "8.3.1 host that differs from :authority",
    ),
    **_each(
        "RFC 8441 §5: END_STREAM stands for the orderly TCP close. Envoy does not pass it to an HTTP/1 upgrade.",
        "8441 5 END_STREAM of the client ends the WebSocket",
    ),
    **_each(
        "RFC 9110 §15: a status outside 100–599 is invalid, to be processed as 5xx. Envoy passes 99 on, and an HTTP/1 "
        "client waits for ever.",
        "upstream 8.3.2 :status 099",
    ),
    **dict.fromkeys(
        ("7 an unknown error code in GOAWAY", "6.8 GOAWAY with debug data"),
        Deviation(
            "§6.7: a PING MUST be answered. Envoy stops reading at GOAWAY: a PING in the same read has no answer, and "
            "the connection is not closed either.",
            sometimes=True,
        ),
    ),
}

#: Apus: none. A case listed here needs a reason as good as those above.
APUS: dict[str, Deviation] = {}
