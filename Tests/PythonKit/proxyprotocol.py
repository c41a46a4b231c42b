# SPDX-License-Identifier: Apache-2.0
"""PROXY protocol headers, as a load balancer in front sends them."""

import socket
import struct

SIGNATURE_V2 = b"\r\n\r\n\x00\r\nQUIT\n"


def v1(source="203.0.113.7", source_port=4711, destination="192.0.2.9", destination_port=443, family="TCP4") -> bytes:
    return f"PROXY {family} {source} {destination} {source_port} {destination_port}\r\n".encode()


def v1_unknown() -> bytes:
    return b"PROXY UNKNOWN\r\n"


def v2(
    source="203.0.113.7", source_port=4711, destination="192.0.2.9", destination_port=443, tlvs=b"", command=1
) -> bytes:
    """Version 2 over TCP; the family follows from the address. `command` 0 is LOCAL."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    payload = socket.inet_pton(family, source) + socket.inet_pton(family, destination)
    payload += struct.pack("!HH", source_port, destination_port) + tlvs
    kind = 0x21 if family == socket.AF_INET6 else 0x11
    return SIGNATURE_V2 + bytes([0x20 | command, kind]) + struct.pack("!H", len(payload)) + payload


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value
