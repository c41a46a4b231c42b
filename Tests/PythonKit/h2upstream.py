# SPDX-License-Identifier: Apache-2.0
"""A recording HTTP/2 upstream whose answers are scripts, so that it can also be a malicious one.

A script is a tuple of steps, run for every request in order:

* `BODY`: until the request has ended; `float`: wait so many seconds;
* `Head(...)`, `Data(...)`, `Trailers(...)`: frames of this stream;
* `bytes`: frames as they are; built for the stream STREAM_NUMBER, they go over this one;
* `Reset(code)`: RST_STREAM; `GoAway(...)`; `CLOSE`, `RESET`: end the connection;
* `ECHO`: send back DATA as it comes, and its end;
* `UNTIL_RESET`: until the proxy resets the stream, which is then part of the record although the request was complete;
* `READ_TO_END`: until the stream or the connection ended; a function: called with connection, stream and record.
"""

import dataclasses
import socket
import struct
import threading
import time

from . import h2frames as f
from .h2connection import H2Connection
from .tls import Refused, TLSTransport
from .upstream import BODY, CLOSE, ECHO, READ_TO_END, RESET, Recorded

UNTIL_RESET = "until-reset"
#: stands for the stream's number in raw frames
STREAM = b"\xf0STR"
STREAM_NUMBER = int.from_bytes(STREAM, "big")


@dataclasses.dataclass(frozen=True)
class Head:
    status: int | str = 200
    headers: tuple = ()
    end: bool = False


@dataclasses.dataclass(frozen=True)
class Data:
    payload: bytes = b""
    end: bool = False


@dataclasses.dataclass(frozen=True)
class Trailers:
    headers: tuple = ()


@dataclasses.dataclass(frozen=True)
class Reset:
    code: int = f.CANCEL


@dataclasses.dataclass(frozen=True)
class GoAway:
    code: int = f.NO_ERROR
    #: last stream processed; None: this one
    last: int | None = None


def by_attempt(*scripts):
    """A step that goes by the request's x-envoy-attempt-count, as `upstream.by_attempt`; of `Head`, `Data`, `Trailers` and
    `Reset`."""

    def run(connection, stream, record):
        number = int(record.header("x-envoy-attempt-count") or 1)
        for step in scripts[min(number, len(scripts)) - 1]:
            if isinstance(step, Head):
                connection.send_headers(stream.number, ((":status", str(step.status)), *step.headers), step.end)
            elif isinstance(step, Data):
                connection.send_data(stream.number, step.payload, step.end)
            elif isinstance(step, Trailers):
                connection.send_headers(stream.number, step.headers)
            elif isinstance(step, Reset):
                connection.send(f.rst_stream(stream.number, step.code))
            elif isinstance(step, float):
                time.sleep(step)
            else:
                raise ValueError(f"unknown step {step!r}")

    return run


def answer(status=200, body=b"ok", headers=(), trailers=None) -> tuple:
    """The steps of a usual response."""
    if trailers is not None:
        return (Head(status, tuple(headers)), Data(body), Trailers(tuple(trailers)))
    return (Head(status, tuple(headers)), Data(body, True)) if body else (Head(status, tuple(headers), True),)


class H2Upstream:
    """The same interface as `Upstream`: `requests` is what arrived, in order of arrival."""

    def __init__(self, port, name="upstream", host="127.0.0.1", context=None, settings=()):
        self.name = name
        self.port = port
        self.requests: list[Recorded] = []
        self.script = None
        self.accept_script = None
        #: every connection so far, with what came over it
        self.connections: list[H2Connection] = []
        #: handshakes that failed, by reason
        self.refusals: list[str] = []
        #: what each TLS handshake said
        self.handshakes: list[str] = []
        #: sent as the server's own SETTINGS
        self.settings = settings
        #: bytes sent as soon as a connection is there, in place of nothing
        self.greeting = b""
        #: options of the connections made from now on
        self.options: dict = {}
        self._changed = threading.Condition()
        self._context = context
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, port))
        self.listener.listen(1024)
        threading.Thread(target=self._accept, daemon=True).start()

    def reset_records(self, script=None, accept_script=None, greeting=b"", settings=(), **options):
        """Forgets what arrived, and answers from now on by this script (None: 200 with this upstream's name)."""
        with self._changed:
            self.requests = []
            self.refusals, self.handshakes = [], []
            self.script, self.accept_script = script, accept_script
            self.greeting, self.settings, self.options = greeting, settings, options

    def close_connections(self):
        with self._changed:
            connections, self.connections = self.connections, []
        for connection in connections:
            connection.close()

    def close(self):
        self.listener.close()
        self.close_connections()

    def wait_for(self, count=1, timeout=3.0) -> list[Recorded]:
        with self._changed:
            self._changed.wait_for(lambda: len(self.requests) >= count, timeout)
            return list(self.requests)

    def wait_until(self, condition, timeout=3.0) -> bool:
        deadline = time.monotonic() + timeout
        while not condition(self):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    @property
    def open_connections(self):
        return sum(not connection.ended for connection in self.connections)

    def _accept(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._begin, args=(raw,), daemon=True).start()

    def _begin(self, raw):
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.settimeout(8)
        transport = raw
        if self._context is not None:
            try:
                transport = TLSTransport(raw, self._context, server_side=True)
            except Refused as refused:
                with self._changed:
                    self.refusals.append(refused.reason)
                raw.close()
                return
            with self._changed:
                self.handshakes.append(transport.seen_by_the_server)
        with self._changed:
            connection = H2Connection(
                transport, client=False, settings=self.settings, read=False, **self.options
            )
            number = len(self.connections)
            self.connections.append(connection)
        connection.on_stream = lambda stream: threading.Thread(
            target=self._serve, args=(connection, stream, number), daemon=True
        ).start()
        connection._reader.start()
        if self.greeting:
            connection.send(self.greeting)

    def _serve(self, connection, stream, number):
        fields = dict(stream.head)
        line = f"{fields.get(':method')} {fields.get(':path', '-')} HTTP/2"
        handshake = getattr(connection.socket, "seen_by_the_server", None)
        record = Recorded(
            line, list(stream.head), body=stream.body, connection=number, complete=False, tls=handshake
        )
        script = self.script
        with self._changed:
            self.requests.append(record)
            self._changed.notify_all()
        record.stream = stream
        for step in script if script is not None else (BODY, *self._default(fields)):
            if not self._step(step, connection, stream, record):
                break
            if step == UNTIL_RESET:
                return
        connection.wait_until(lambda: stream.done, 30)
        self._note(stream, record)

    def _default(self, fields):
        if fields.get(":method") == "HEAD":
            return (Head(200, (("x-upstream", self.name), ("content-length", "7")), True),)
        return answer(200, self.name.encode(), (("x-upstream", self.name),))

    def _note(self, stream, record, awaited_reset=False):
        with self._changed:
            record.trailers = stream.trailers or []
            record.complete = stream.ended
            # Whether a reset after a complete request is seen in time is a matter of luck: only where it is waited for.
            record.reset = None if stream.ended and not awaited_reset else stream.reset
            self._changed.notify_all()

    def _step(self, step, connection, stream, record):
        number = stream.number
        if step == BODY:
            connection.wait_until(lambda: stream.done, 10)
            self._note(stream, record)
            return stream.ended
        if isinstance(step, Head):
            connection.send_headers(number, ((":status", str(step.status)), *step.headers), step.end)
        elif isinstance(step, Data):
            connection.send_data(number, step.payload, step.end)
        elif isinstance(step, Trailers):
            connection.send_headers(number, step.headers)
        elif isinstance(step, Reset):
            connection.send(f.rst_stream(number, step.code))
        elif isinstance(step, GoAway):
            connection.send(f.goaway(number if step.last is None else step.last, step.code))
        elif isinstance(step, bytes):
            connection.send(step.replace(STREAM, struct.pack("!I", number)))
        elif isinstance(step, float):
            time.sleep(step)
        elif step == ECHO:
            self._echo(connection, stream)
        elif step == UNTIL_RESET:
            with self._changed:
                record.complete = False
            connection.wait_until(lambda: stream.reset is not None, 3)
            self._note(stream, record, awaited_reset=True)
        elif step == READ_TO_END:
            connection.wait_until(lambda: stream.done, 10)
        elif step in (CLOSE, RESET):
            connection.reset() if step == RESET else connection.close()
            return False
        elif callable(step):
            step(connection, stream, record)
        else:
            raise ValueError(f"unknown step {step!r}")
        return True

    def _echo(self, connection, stream):
        sent = 0
        while connection.wait_until(lambda: len(stream.body) > sent or stream.done, 10):
            payload = bytes(stream.body[sent:])
            sent += len(payload)
            finished = stream.done and sent == len(stream.body)
            connection.send_data(stream.number, payload, finished)
            if finished:
                return
