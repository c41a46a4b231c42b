# SPDX-License-Identifier: Apache-2.0
"""A recording HTTP/1 upstream whose answers are scripts of raw bytes, so that it can also be a malicious one.

A script is a tuple of steps, run for every request in order:

* `BODY`: read the request's body (nothing before it is sent until the body is complete);
* `bytes`: send them; `float`: wait so many seconds;
* `CLOSE`, `RESET`, `HALF_CLOSE`: end the connection;
* `ECHO`: copy everything that comes back until the end;
* `READ_TO_END`: record what comes until the proxy ends the connection, then close;
* `Read(n)`: record n raw bytes;
* a function: called with the socket and the record.
"""

import dataclasses
import socket
import struct
import threading
import time

from . import tls

BODY, CLOSE, RESET, HALF_CLOSE, ECHO, READ_TO_END = "body", "close", "reset", "half-close", "echo", "read-to-end"


@dataclasses.dataclass(frozen=True)
class Read:
    count: int


@dataclasses.dataclass
class Recorded:
    """One request as it arrived."""

    line: str
    headers: list[tuple[str, str]]
    body: bytearray = dataclasses.field(default_factory=bytearray)
    trailers: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    #: "length", "chunked" or "none"
    framing: str = "none"
    #: which connection to this upstream carried it, from 0
    connection: int = 0
    #: raw bytes after an upgrade, and whatever a `Read` took
    tunnelled: bytearray = dataclasses.field(default_factory=bytearray)
    #: False where the connection ended inside the body
    complete: bool = True
    #: what the handshake of its connection said, where that is TLS
    tls: str | None = None
    #: code of the RST_STREAM that ended it (HTTP/2)
    reset: int | None = None

    def values(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name):
        found = self.values(name)
        return ", ".join(found) if found else None

    @property
    def path(self):
        return self.line.split(" ")[1]


def response(
    status=200, body=b"ok", headers=(), *, reason="X", chunks=None, trailers=(), version="1.1", length=True
) -> bytes:
    """Response bytes; `chunks` makes it chunked, `length=False` leaves the framing to the end of the connection."""
    lines = [f"HTTP/{version} {status} {reason}", *(f"{name}: {value}" for name, value in headers)]
    if chunks is not None:
        lines.append("transfer-encoding: chunked")
        payload = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
        payload += b"0\r\n" + b"".join(f"{n}: {v}\r\n".encode() for n, v in trailers) + b"\r\n"
    else:
        payload = body
        if length and status not in (204, 304) and status >= 200:
            lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + payload


class _Ended(Exception):
    pass


def by_attempt(*scripts):
    """A step that goes by the request's x-envoy-attempt-count: the first script for the first attempt, and so on; the last
    one for all that follow. Its steps are bytes, times to wait, `CLOSE` and `RESET`."""

    def run(connection, record):
        number = int(record.header("x-envoy-attempt-count") or 1)
        for step in scripts[min(number, len(scripts)) - 1]:
            if isinstance(step, float):
                time.sleep(step)
            elif step == CLOSE:
                connection.shutdown(socket.SHUT_WR)
                raise _Ended
            elif step == RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                raise _Ended
            else:
                connection.sendall(step)

    return run


class _Stream:
    def __init__(self, connection):
        self.connection = connection
        self.buffer = bytearray()

    def fill(self):
        try:
            data = self.connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            raise _Ended
        self.buffer += data

    def take(self, count):
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    def exactly(self, count):
        while len(self.buffer) < count:
            self.fill()
        return self.take(count)

    def line(self):
        while b"\n" not in self.buffer:
            self.fill()
        return self.take(self.buffer.index(b"\n") + 1).rstrip(b"\r\n")


class Upstream:
    """Listens on a port of loopback; `requests` is what arrived, in order of arrival."""

    def __init__(self, port, name="upstream", host="127.0.0.1", context=None):
        self.name = name
        self.port = port
        #: an `ssl.SSLContext`, where this upstream speaks TLS
        self.context = context
        #: TLS handshakes that failed, by reason
        self.refusals: list[str] = []
        self.requests: list[Recorded] = []
        #: every byte of every connection, in case what arrived was not a request
        self.raw: list[bytearray] = []
        self.script = None
        self.accept_script = None
        self._changed = threading.Condition()
        self._open: dict[socket.socket, int] = {}
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, port))
        self.listener.listen(1024)
        threading.Thread(target=self._accept, daemon=True).start()

    def reset_records(self, script=None, accept_script=None):
        """Forgets what arrived, and answers from now on by this script (None: 200 with this upstream's name)."""
        with self._changed:
            self.requests = []
            self.refusals = []
            for received in self.raw:
                received.clear()
            self.script = script
            self.accept_script = accept_script

    def close_connections(self):
        """Ends every open connection, so that the next request needs a new one."""
        with self._changed:
            for connection in list(self._open):
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.listener.close()
        self.close_connections()

    def wait_for(self, count=1, timeout=3.0) -> list[Recorded]:
        """Until so many requests arrived; returns all that did."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.requests) >= count, timeout)
            return list(self.requests)

    def wait_until(self, condition, timeout=3.0) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: condition(self), timeout)

    @property
    def open_connections(self):
        return len(self._open)

    def has_unfinished_request(self):
        """A request whose body has not ended, on a connection that is still open."""
        numbers = set(self._open.values())
        return any(not r.complete and r.connection in numbers for r in self.requests)

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._changed:
            number = len(self.raw)
            raw = bytearray()
            self.raw.append(raw)
            self._open[connection] = number
            self._changed.notify_all()
            accept_script = self.accept_script
        transport = connection
        if self.context is not None:
            try:
                transport = tls.TLSTransport(connection, self.context, server_side=True)
            except tls.Refused as refused:
                with self._changed:
                    self.refusals.append(refused.reason)
                    self._open.pop(connection, None)
                connection.close()
                return
        stream = _Stream(transport)
        received = stream.fill

        def fill():
            before = len(stream.buffer)
            received()
            with self._changed:
                raw.extend(stream.buffer[before:])
                self._changed.notify_all()

        stream.fill = fill
        try:
            if accept_script is not None:
                record = Recorded("", [], connection=number)
                with self._changed:
                    self.requests.append(record)
                self._run(accept_script, stream, record)
            while True:
                self._serve_one(stream, number, getattr(transport, "seen_by_the_server", None))
        except (_Ended, OSError, ValueError):
            pass
        finally:
            with self._changed:
                self._open.pop(connection, None)
                self._changed.notify_all()
            connection.close()

    def _serve_one(self, stream, number, handshake):
        line = stream.line().decode("latin-1")
        record = Recorded(line, self._fields(stream), connection=number, tls=handshake)
        script = self.script
        with self._changed:
            self.requests.append(record)
            self._changed.notify_all()
        self._run(script if script is not None else (BODY, self._default(record)), stream, record)

    def _fields(self, stream):
        fields = []
        while line := stream.line():
            name, _, value = line.partition(b":")
            fields.append((name.decode("latin-1"), value.strip(b" \t").decode("latin-1")))
        return fields

    def _default(self, record):
        if record.line.startswith("HEAD "):
            return response(200, b"", [("x-upstream", self.name), ("content-length", "7")], length=False)
        return response(200, self.name.encode(), [("x-upstream", self.name)])

    def _read_body(self, stream, record):
        record.complete = False
        lengths = record.values("content-length")
        if record.values("transfer-encoding"):
            record.framing = "chunked"
            while size := int(stream.line().split(b";")[0], 16):
                record.body += stream.exactly(size)
                stream.exactly(2)
            record.trailers = self._fields(stream)
        elif lengths:
            record.framing = "length"
            wanted = int(lengths[0])
            while wanted > len(record.body):
                if not stream.buffer:
                    stream.fill()
                record.body += stream.take(wanted - len(record.body))
        record.complete = True
        with self._changed:
            self._changed.notify_all()

    def _run(self, script, stream, record):
        connection = stream.connection
        for step in script:
            if step == BODY:
                self._read_body(stream, record)
            elif isinstance(step, bytes):
                connection.sendall(step)
            elif isinstance(step, float):
                time.sleep(step)
            elif isinstance(step, Read):
                record.tunnelled += stream.exactly(step.count)
            elif step == ECHO:
                while True:
                    if not stream.buffer:
                        try:
                            stream.fill()
                        except _Ended:
                            connection.shutdown(socket.SHUT_WR)
                            raise
                    data = stream.take(len(stream.buffer))
                    record.tunnelled += data
                    connection.sendall(data)
            elif step == READ_TO_END:
                try:
                    while True:
                        record.tunnelled += stream.take(len(stream.buffer))
                        stream.fill()
                finally:
                    with self._changed:
                        self._changed.notify_all()
            elif callable(step):
                step(connection, record)
            elif step == HALF_CLOSE:
                connection.shutdown(socket.SHUT_WR)
            elif step == CLOSE:
                # An orderly end needs the receive queue empty, or the kernel sends RST.
                connection.shutdown(socket.SHUT_WR)
                raise _Ended
            elif step == RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                raise _Ended
            else:
                raise ValueError(f"unknown step {step!r}")
