# SPDX-License-Identifier: Apache-2.0
"""A raw HTTP/1 client: it sends the bytes it is given and reports exactly what came back."""

import dataclasses
import socket
import struct
import time

from . import tls


class ConnectionEnded(OSError):
    """The peer closed or reset before the expected bytes came."""


class ProtocolViolation(Exception):
    """The proxy answered something that is not HTTP/1."""


@dataclasses.dataclass
class Response:
    version: str
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    trailers: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    interim: list["Response"] = dataclasses.field(default_factory=list)
    #: False where the connection ended before the framing said so.
    complete: bool = True
    #: "length", "chunked", "close" or "none"
    framing: str = "none"

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        found = self.values(name)
        return ", ".join(found) if found else None


class Connection:
    """One connection to the proxy, over TCP, or over a unix socket where `host` is a path. Reads are buffered; writes are not."""

    def __init__(self, port, host="127.0.0.1", source=None, timeout=8.0, context=None, server_name=None):
        """Over TLS where there is an `ssl.SSLContext`; raises `tls.Refused` then."""
        if context is not None:
            self.socket = tls.connect(
                port, context, server_name=server_name, host=host, source=source, timeout=timeout
            )
            self.local_port = self.socket.getsockname()[1]
        elif host.startswith("/"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(host)
            self.local_port = 0
        else:
            self.socket = socket.create_connection((host, port), timeout=timeout, source_address=source)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.local_port = self.socket.getsockname()[1]
        self.buffer = bytearray()
        self.ended = False
        self.was_reset = False

    @classmethod
    def over(cls, transport):
        """A connection that is there already."""
        made = cls.__new__(cls)
        made.socket, made.local_port = transport, transport.getsockname()[1]
        made.buffer, made.ended, made.was_reset = bytearray(), False, False
        return made

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data: bytes):
        """Sends all of it; a peer that has gone shows on the next read, not here."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            self.was_reset = True

    def send_bytewise(self, data: bytes, pause=0.0):
        """One segment per byte (TCP_NODELAY is on)."""
        for index in range(len(data)):
            self.send(data[index : index + 1])
            if pause:
                time.sleep(pause)

    def half_close(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def reset(self):
        """Ends the connection with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()

    def _fill(self, timeout):
        """Reads once. False at the end of the stream, by FIN or by RST."""
        if self.ended:
            return False
        self.socket.settimeout(timeout)
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            self.was_reset = True
            self.ended = True
            return False
        if not data:
            self.ended = True
            return False
        self.buffer += data
        return True

    def _take(self, count):
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    def read_exactly(self, count, timeout=5.0) -> bytes:
        while len(self.buffer) < count:
            if not self._fill(timeout):
                raise ConnectionEnded(f"ended after {bytes(self.buffer)!r}, wanted {count} bytes")
        return self._take(count)

    def read_available(self, quiet=0.1) -> bytes:
        """Everything that comes until nothing came for `quiet` seconds, or the end."""
        try:
            while self._fill(quiet):
                pass
        except TimeoutError:
            pass
        return self._take(len(self.buffer))

    def read_to_end(self, timeout=5.0) -> bytes:
        """Everything up to the end of the stream; TimeoutError when the peer keeps it open."""
        while self._fill(timeout):
            pass
        return self._take(len(self.buffer))

    def is_closed_within(self, timeout) -> bool:
        """True when the peer ends the connection in that time, without sending anything more."""
        if self.ended:
            return True
        try:
            return not self._fill(timeout)
        except TimeoutError:
            return False

    def _read_line(self, timeout):
        while True:
            end = self.buffer.find(b"\n")
            if end >= 0:
                line = self._take(end + 1)
                if not line.endswith(b"\r\n"):
                    raise ProtocolViolation(f"line not ended by CRLF: {line!r}")
                return line[:-2]
            if not self._fill(timeout):
                raise ConnectionEnded(f"ended in a line after {bytes(self.buffer)!r}")

    def _read_fields(self, timeout):
        fields = []
        while line := self._read_line(timeout):
            name, colon, value = line.partition(b":")
            if not colon or not name or name != name.strip():
                raise ProtocolViolation(f"bad header line {line!r}")
            fields.append((name.decode("latin-1"), value.strip(b" \t").decode("latin-1")))
        return fields

    def read_response(self, *, method="GET", timeout=5.0, timing_of_body=None) -> Response:
        """One final response with the interim ones before it. A cut body gives `complete == False`."""
        interim = []
        while True:
            line = self._read_line(timeout)
            parts = line.split(b" ", 2)
            if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
                raise ProtocolViolation(f"bad status line {line!r}")
            response = Response(
                parts[0].decode(),
                int(parts[1]),
                parts[2].decode("latin-1") if len(parts) > 2 else "",
                self._read_fields(timeout),
                interim=interim,
            )
            if 100 <= response.status < 200 and response.status != 101:
                interim.append(response)
                continue
            break
        self._read_body(response, method, timing_of_body or timeout)
        return response

    def _read_body(self, response, method, timeout):
        status = response.status
        if method == "HEAD" or status in (101, 204, 304) or (method == "CONNECT" and 200 <= status < 300):
            return
        codings = response.values("transfer-encoding")
        lengths = response.values("content-length")
        if codings and lengths:
            raise ProtocolViolation("both content-length and transfer-encoding in a response")
        body = bytearray()
        try:
            if codings:
                if [c.lower() for c in codings] != ["chunked"]:
                    raise ProtocolViolation(f"transfer-encoding {codings}")
                response.framing = "chunked"
                while True:
                    size = int(self._read_line(timeout).split(b";")[0], 16)
                    if size == 0:
                        break
                    body += self.read_exactly(size, timeout)
                    if self.read_exactly(2, timeout) != b"\r\n":
                        raise ProtocolViolation("chunk not ended by CRLF")
                response.trailers = self._read_fields(timeout)
            elif lengths:
                if len(set(lengths)) != 1 or not lengths[0].isdigit():
                    raise ProtocolViolation(f"content-length {lengths}")
                response.framing = "length"
                wanted = int(lengths[0])
                while len(self.buffer) < wanted:
                    if not self._fill(timeout):
                        response.complete = False
                        break
                body += self._take(wanted)
            else:
                response.framing = "close"
                while self._fill(timeout):
                    pass
                # A reset is never a clean end of a body that only the end of the connection delimits.
                response.complete = not self.was_reset
                body += self._take(len(self.buffer))
        except ConnectionEnded:
            response.complete = False
        response.body = bytes(body)


def request(path="/", *, method="GET", host="example.test", headers=(), body=b"", version="1.1") -> bytes:
    """A well-formed request. A body gets its content-length unless a framing header is among `headers`."""
    lines = [f"{method} {path} HTTP/{version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    names = {name.lower() for name, _ in headers}
    lines += [f"{name}: {value}" for name, value in headers]
    if body and not names & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chunked(*chunks: bytes, trailers=()) -> bytes:
    """A chunked body."""
    encoded = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return encoded + b"0\r\n" + b"".join(f"{n}: {v}\r\n".encode() for n, v in trailers) + b"\r\n"


def get(port, path="/", *, method="GET", host="example.test", headers=(), timeout=5.0) -> Response:
    """One request on its own connection."""
    with Connection(port, timeout=timeout) as connection:
        connection.send(request(path, method=method, host=host, headers=[*headers, ("Connection", "close")]))
        return connection.read_response(method=method, timeout=timeout)
