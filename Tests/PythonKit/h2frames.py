# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 frames as bytes (RFC 9113 §4, §6). Nothing is checked: a test may send whatever it wants."""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY_FLAG = 0x1, 0x1, 0x4, 0x8, 0x20

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED = range(6)
FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = range(6, 12)
INADEQUATE_SECURITY, HTTP_1_1_REQUIRED = 12, 13

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS = range(1, 4)
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(4, 7)
ENABLE_CONNECT_PROTOCOL = 8


def frame(kind, flags=0, stream=0, payload=b"", length=None) -> bytes:
    """`length` lies about the payload where it is given."""
    size = len(payload) if length is None else length
    return struct.pack("!I", size)[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def settings(*pairs, ack=False) -> bytes:
    return frame(SETTINGS, ACK if ack else 0, 0, b"".join(struct.pack("!HI", k, v) for k, v in pairs))


def window_update(increment, stream=0) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, struct.pack("!I", increment))


def rst_stream(stream, code=CANCEL) -> bytes:
    return frame(RST_STREAM, 0, stream, struct.pack("!I", code))


def goaway(last=0, code=NO_ERROR, debug=b"") -> bytes:
    return frame(GOAWAY, 0, 0, struct.pack("!II", last, code) + debug)


def ping(payload=b"12345678", ack=False) -> bytes:
    return frame(PING, ACK if ack else 0, 0, payload)


def data(stream, payload=b"", end=False) -> bytes:
    return frame(DATA, END_STREAM if end else 0, stream, payload)


def headers(stream, block: bytes, end=False, end_headers=True) -> bytes:
    return frame(HEADERS, (END_STREAM if end else 0) | (END_HEADERS if end_headers else 0), stream, block)


def continuation(stream, block: bytes, end_headers=False) -> bytes:
    return frame(CONTINUATION, END_HEADERS if end_headers else 0, stream, block)


def integer(value, prefix, first=0) -> bytes:
    """RFC 7541 §5.1."""
    limit = (1 << prefix) - 1
    if value < limit:
        return bytes([first | value])
    encoded = bytearray([first | limit])
    value -= limit
    while value >= 128:
        encoded.append(value % 128 + 128)
        value //= 128
    encoded.append(value)
    return bytes(encoded)


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def literal(*fields, indexed=False) -> bytes:
    """A header block of plain literals (RFC 7541 §6.2), added to the dynamic table where `indexed`."""
    block = b""
    for name, value in fields:
        name, value = _bytes(name), _bytes(value)
        block += (b"\x40" if indexed else b"\x00") + integer(len(name), 7) + name + integer(len(value), 7) + value
    return block


def request_fields(path="/", *, method="GET", authority="example.test", scheme="http", extra=()) -> list:
    """The four pseudo-headers, then `extra`."""
    fields = [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path)]
    return [(name, value) for name, value in fields if value is not None] + list(extra)
