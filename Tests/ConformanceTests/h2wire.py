# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 bytes: well-formed frames by hyperframe, field blocks by hpack, and `frame` for what these refuse to build."""

import struct

from hpack.hpack import encode_integer
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hyperframe import frame as hf

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#: the size no frame may exceed while SETTINGS_MAX_FRAME_SIZE has its initial value (RFC 9113 §4.2)
MAX_FRAME = 16384
MAX_WINDOW = 2**31 - 1

# Frame types (RFC 9113 §6)
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

# Flags
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITIZED = 0x4, 0x8, 0x20

# Settings (RFC 9113 §6.5.2, RFC 8441 §3)
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 1, 2, 3, 4, 5
MAX_HEADER_LIST_SIZE, ENABLE_CONNECT_PROTOCOL = 6, 8

# Error codes (RFC 9113 §7)
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED = range(6)
FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = range(6, 12)

#: what no HTTP/2 message may carry (RFC 9113 §8.2.2); `te` has a rule of its own
CONNECTION_FIELDS = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}


def frame(kind, flags=0, stream=0, payload=b"", length=None) -> bytes:
    """Any frame at all; `length` lies about the payload, the top bit of `stream` is the reserved one."""
    size = len(payload) if length is None else length
    return struct.pack("!BHBBI", size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def data(stream, payload=b"", end=False, pad=None) -> bytes:
    flags = ["END_STREAM"] * end + ["PADDED"] * (pad is not None)
    return hf.DataFrame(stream, payload, pad_length=pad or 0, flags=flags).serialize()


def headers(stream, block, end=True, end_headers=True, pad=None, priority=None) -> bytes:
    """`priority` is (depends on, weight, exclusive)."""
    flags = ["END_STREAM"] * end + ["END_HEADERS"] * end_headers + ["PADDED"] * (pad is not None)
    made = hf.HeadersFrame(stream, block, pad_length=pad or 0, flags=flags)
    if priority is not None:
        made.flags.add("PRIORITY")
        made.depends_on, made.stream_weight, made.exclusive = priority
    return made.serialize()


def continuation(stream, block, end_headers=True) -> bytes:
    return hf.ContinuationFrame(stream, block, flags=["END_HEADERS"] * end_headers).serialize()


def priority(stream, depends_on=0, weight=15, exclusive=False) -> bytes:
    return hf.PriorityFrame(stream, depends_on=depends_on, stream_weight=weight, exclusive=exclusive).serialize()


def reset(stream, code=CANCEL) -> bytes:
    return hf.RstStreamFrame(stream, error_code=code).serialize()


def settings(*pairs, ack=False) -> bytes:
    """In the order given, repeats included."""
    return frame(SETTINGS, ACK if ack else 0, 0, b"".join(struct.pack("!HI", key, value) for key, value in pairs))


def push_promise(stream, promised, block) -> bytes:
    return frame(PUSH_PROMISE, END_HEADERS, stream, struct.pack("!I", promised) + block)


def ping(payload=b"pingpong", ack=False) -> bytes:
    return hf.PingFrame(0, payload, flags=["ACK"] * ack).serialize()


def goaway(last, code=NO_ERROR, debug=b"") -> bytes:
    return hf.GoAwayFrame(0, last_stream_id=last, error_code=code, additional_data=debug).serialize()


def window_update(stream, increment) -> bytes:
    """Zero and the reserved bit included, which hyperframe does not build."""
    return frame(WINDOW_UPDATE, 0, stream, struct.pack("!I", increment))


# Field blocks (RFC 7541)


def integer(value, prefix_bits, pattern=0) -> bytes:
    encoded = encode_integer(value, prefix_bits)
    encoded[0] |= pattern
    return bytes(encoded)


def huffman(text: bytes) -> bytes:
    return HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH).encode(text)


def string(text: bytes, coded=False) -> bytes:
    raw = huffman(text) if coded else text
    return integer(len(raw), 7, 0x80 if coded else 0) + raw


def indexed(index) -> bytes:
    return integer(index, 7, 0x80)


#: pattern and prefix of the three literal forms (RFC 7541 §6.2)
INDEXING, PLAIN, NEVER = (0x40, 6), (0x00, 4), (0x10, 4)


def literal(name, value, form=PLAIN, coded=False) -> bytes:
    """A literal field; `name` is bytes, or the index of a table entry."""
    pattern, prefix_bits = form
    if isinstance(name, int):
        return integer(name, prefix_bits, pattern) + string(value, coded)
    return bytes([pattern]) + string(name, coded) + string(value, coded)


def table_size(size) -> bytes:
    return integer(size, 5, 0x20)


def plain_block(*fields) -> bytes:
    """A field block without table or Huffman code: what stands on the wire is what stands in the test."""
    made = b""
    for name, value in fields:
        made += literal(*(text if isinstance(text, bytes) else text.encode("latin-1") for text in (name, value)))
    return made


def request_fields(path="/", method="GET", scheme="http", authority="example.test", extra=()):
    """A request's fields in order; a pseudo-header that is None is left out."""
    pseudo = ((":method", method), (":scheme", scheme), (":authority", authority), (":path", path))
    return [(name, value) for name, value in pseudo if value is not None] + list(extra)


def request_block(path="/", *, extra=(), **pseudo) -> bytes:
    return plain_block(*request_fields(path, extra=extra, **pseudo))
