# SPDX-License-Identifier: Apache-2.0
"""A name server on loopback whose answers are a script, over UDP and TCP.

`server.names["a.test"] = Answer("127.0.0.1", ttl=1)`; a name that is not there does not exist. What was asked is recorded.
"""

import dataclasses
import ipaddress
import socket
import struct
import threading

A, AAAA = 1, 28
NXDOMAIN, SERVFAIL, REFUSED = 3, 2, 5


class Answer:
    """Addresses of either family; without any the name exists all the same."""

    def __init__(self, *addresses, ttl=60, code=0):
        self.addresses = [ipaddress.ip_address(a) for a in addresses]
        self.ttl = ttl
        #: the response code
        self.code = code


class Silence:
    """No answer at all."""


@dataclasses.dataclass(frozen=True)
class Question:
    name: str
    kind: int
    over: str


class DNSServer:
    def __init__(self, port, names=None):
        self.port = port
        self.names = dict(names or {})
        self.questions: list[Question] = []
        self._changed = threading.Condition()
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", port))
        self._tcp = socket.socket()
        self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._tcp.bind(("127.0.0.1", port))
        self._tcp.listen(16)
        threading.Thread(target=self._serve_udp, daemon=True).start()
        threading.Thread(target=self._serve_tcp, daemon=True).start()

    def close(self):
        self._udp.close()
        self._tcp.close()

    def wait_for(self, name, count=1, timeout=8.0):
        """Until `name` was asked for so many times from now on."""
        with self._changed:
            wanted = count + sum(q.name == name for q in self.questions)
            return self._changed.wait_for(lambda: sum(q.name == name for q in self.questions) >= wanted, timeout)

    def kinds(self, name):
        """The record types `name` was asked for, in order."""
        return [{A: "A", AAAA: "AAAA"}.get(q.kind, q.kind) for q in self.questions if q.name == name]

    def _serve_udp(self):
        while True:
            try:
                data, peer = self._udp.recvfrom(4096)
            except OSError:
                return
            reply = self._answer(data, "udp")
            if reply:
                self._udp.sendto(reply, peer)

    def _serve_tcp(self):
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_connection, args=(connection,), daemon=True).start()

    def _serve_connection(self, connection):
        stream = connection.makefile("rb")
        while len(head := stream.read(2)) == 2:
            reply = self._answer(stream.read(struct.unpack("!H", head)[0]), "tcp")
            if reply:
                connection.sendall(struct.pack("!H", len(reply)) + reply)

    def _answer(self, data, over):
        labels, offset = [], 12
        while data[offset]:
            labels.append(data[offset + 1 : offset + 1 + data[offset]].decode())
            offset += 1 + data[offset]
        kind = struct.unpack("!H", data[offset + 1 : offset + 3])[0]
        question = data[12 : offset + 5]
        name = ".".join(labels).lower()
        answer = self.names.get(name, Answer(code=NXDOMAIN))
        with self._changed:
            self.questions.append(Question(name, kind, over))
            self._changed.notify_all()
        if isinstance(answer, Silence):
            return None
        version = {A: 4, AAAA: 6}.get(kind)
        records = [
            struct.pack("!HHHIH", 0xC00C, kind, 1, answer.ttl, len(a.packed)) + a.packed
            for a in answer.addresses
            if a.version == version
        ]
        flags = 0x8180 | answer.code
        head = data[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
        return head + question + b"".join(records)
