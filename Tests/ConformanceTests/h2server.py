# SPDX-License-Identifier: Apache-2.0
"""An HTTP/2 server that misbehaves by script. What follows the script, and every later connection, is honest."""

import collections
import dataclasses
import socket
import threading

from hyperframe import frame as hf

import h2wire as w
from h2client import PATIENCE, FrameReader, Violation

#: pseudo-headers of a request; anything else from the proxy would be malformed
_PSEUDO = {":method", ":scheme", ":authority", ":path", ":protocol"}


class Gone(Exception):
    """The proxy ended the connection."""


@dataclasses.dataclass
class Request:
    stream: int
    fields: list
    body: bytearray = dataclasses.field(default_factory=bytearray)
    trailers: list | None = None
    ended: bool = False
    reset: int | None = None

    def header(self, name):
        return dict(self.fields).get(name)


class Peer(FrameReader):
    """One connection from the proxy, read and checked as strictly as a client's."""

    def __init__(self, connection, number):
        super().__init__(connection)
        self.number = number
        self.requests: dict[int, Request] = {}
        self.waiting = collections.deque()
        self.goaway = None
        self.pongs = []
        self.acks = 0
        #: answers SETTINGS by itself; not before its own SETTINGS went out, which must be its first frame
        self.polite = False
        self.settings = {}
        self.connection_window = 65535
        self.windows = collections.Counter()
        self.last_stream = 0

    # The beginning

    def read_preface(self):
        while len(self.buffer) < len(w.PREFACE):
            if not self.fill(PATIENCE):
                raise Gone
        if self.buffer[: len(w.PREFACE)] != w.PREFACE:
            raise Violation(f"no preface: {bytes(self.buffer[:40])!r}")
        del self.buffer[: len(w.PREFACE)]
        self.until(lambda: self.frames)
        if not isinstance(self.frames[0], hf.SettingsFrame) or "ACK" in self.frames[0].flags:
            raise Violation(f"{self.frames[0]} follows the preface")

    def shake_hands(self, settings=()):
        self.read_preface()
        self.send(w.settings(*settings), w.settings(ack=True))
        self.polite = True

    # Receiving

    def until(self, condition, timeout=None):
        """Waits for a frame that makes the condition true; raises at the end and after the time."""
        if not self.pump(condition, timeout):
            if self.ended:
                raise Gone
            raise AssertionError(f"waited in vain: {self.describe()}")

    def next_request(self) -> Request:
        """The next request's head; its body may be still to come."""
        self.until(lambda: self.waiting)
        return self.waiting.popleft()

    def whole_request(self) -> Request:
        request = self.next_request()
        self.until(lambda: request.ended)
        return request

    def whole_request_or_wait(self, allow_more=False) -> Request:
        """For plays without an end: the next request, whenever it comes; `allow_more`: its body may stop half way."""
        request = self.next_request_or_end()
        self.pump(lambda: request.ended or request.reset is not None, 0.2 if allow_more else PATIENCE)
        return request

    def take(self, made):
        section = self.field_section(made)
        if section:
            self._take_fields(*section)
        elif isinstance(made, hf.DataFrame):
            request = self._known(made)
            request.body += made.data
            request.ended = "END_STREAM" in made.flags
        elif isinstance(made, hf.RstStreamFrame):
            if made.stream_id in self.requests:
                self.requests[made.stream_id].reset = made.error_code
        elif isinstance(made, hf.GoAwayFrame):
            self.goaway = made
        elif isinstance(made, hf.PingFrame):
            if "ACK" in made.flags:
                self.pongs.append(made.opaque_data)
            else:
                self.send(w.ping(made.opaque_data, ack=True))
        elif isinstance(made, hf.SettingsFrame):
            if "ACK" in made.flags:
                self.acks += 1
            else:
                self.settings.update(made.settings)
                if self.polite:
                    self.send(w.settings(ack=True))
        elif isinstance(made, hf.WindowUpdateFrame):
            if made.stream_id:
                self.windows[made.stream_id] += made.window_increment
            else:
                self.connection_window += made.window_increment
        elif isinstance(made, hf.PushPromiseFrame):
            raise Violation("PUSH_PROMISE from a client")

    def _known(self, made):
        request = self.requests.get(made.stream_id)
        if request is None or request.ended:
            raise Violation(f"{made} on a stream that is idle or that the proxy has ended")
        return request

    def _take_fields(self, first, fields):
        end = "END_STREAM" in first.flags
        if first.stream_id in self.requests:
            request = self._known(first)
            if not end:
                raise Violation("trailers without END_STREAM")
            request.trailers, request.ended = fields, True
            return
        if first.stream_id % 2 == 0 or first.stream_id <= self.last_stream:
            raise Violation(f"stream {first.stream_id} after {self.last_stream}")
        self.last_stream = first.stream_id
        _check_request(fields)
        request = Request(first.stream_id, fields, ended=end)
        self.requests[first.stream_id] = request
        self.waiting.append(request)

    # Sending

    def block(self, *fields):
        return self.encoder.encode(fields)

    def head(self, request, *extra, status="200", end=False):
        self.send(w.headers(request.stream, self.block((":status", status), *extra), end=end))

    def respond(self, request, *extra, status="200", body=b"ok"):
        """A whole response, in one segment."""
        block = self.block((":status", status), *extra)
        self.send(
            w.headers(request.stream, block, end=not body), w.data(request.stream, body, end=True) if body else b""
        )

    def credit(self, stream):
        window = self.settings.get(w.INITIAL_WINDOW_SIZE, 65535) + self.windows[stream]
        return min(self.connection_window, window)

    def send_data(self, stream, payload=b"", end=False):
        """DATA counted against the credit, one frame; it does not wait."""
        self.send(w.data(stream, payload, end=end))
        self.connection_window -= len(payload)
        self.windows[stream] -= len(payload)

    def send_body(self, request, payload, end=True):
        """A body as the proxy grants credit."""
        while payload:
            self.until(lambda: self.credit(request.stream) > 0 or request.reset is not None)
            part = payload[: min(w.MAX_FRAME, self.credit(request.stream))]
            payload = payload[len(part) :]
            self.send_data(request.stream, part, end=end and not payload)

    def serve(self):
        """Honest from here on, until the proxy ends the connection."""
        while True:
            request = self.next_request_or_end()
            self.pump(lambda request=request: request.ended or request.reset is not None)
            if request.reset is None:
                self.respond(request, body=b"connection %d" % self.number)

    def next_request_or_end(self):
        while not self.waiting:
            if not self.pump(lambda: self.waiting, 600) and self.ended:
                raise Gone
        return self.waiting.popleft()

    def barrier(self, mark=b"barrier!"):
        """Until the proxy has handled everything sent before."""
        self.send(w.ping(mark))
        self.until(lambda: mark in self.pongs)
        self.pongs.remove(mark)

    # Demands on the proxy

    def expect_end(self, *codes):
        """A connection error: the proxy ends the connection, and says nothing but one of these codes."""
        self.pump(lambda: False)
        assert self.ended, f"the connection stayed open after an error: {self.describe()}"
        if self.goaway is not None:
            right = {w.NO_ERROR, w.PROTOCOL_ERROR, *codes}
            assert self.goaway.error_code in right, f"GOAWAY {self.goaway.error_code}, wanted {right}"
        raise Gone

    def expect_reset(self, request, *codes):
        """A stream error, or the end of the connection instead (RFC 9113 §5.4.1)."""
        self.pump(lambda: request.reset is not None)
        if request.reset is None:
            self.expect_end(*codes)
        assert request.reset in {w.PROTOCOL_ERROR, *codes}, f"RST_STREAM {request.reset}, wanted 1 or {codes}"

    def hang_up(self):
        """An orderly end: everything sent arrives."""
        self.socket.shutdown(socket.SHUT_WR)
        self.pump(lambda: False, 1.0)
        raise Gone


def _check_request(fields):
    """RFC 9113 §8.2 and §8.3.1: what the proxy may send as a client."""
    names = [name for name, _ in fields]
    pseudo = [name for name in names if name.startswith(":")]
    if names[: len(pseudo)] != pseudo or len(set(pseudo)) != len(pseudo) or not set(pseudo) <= _PSEUDO:
        raise Violation(f"bad pseudo-headers in {names}")
    method = dict(fields).get(":method")
    if method != "CONNECT" and not {":method", ":scheme", ":path"} <= set(pseudo):
        raise Violation(f"missing pseudo-headers in {names}")
    if dict(fields).get("host", authority := dict(fields).get(":authority")) != authority and authority is not None:
        raise Violation(f"host differs from :authority in {fields}")
    for name, value in fields:
        if name != name.lower() or name in w.CONNECTION_FIELDS:
            raise Violation(f"field {name!r} in an HTTP/2 request")
        if name == "te" and value != "trailers":
            raise Violation(f"te: {value}")
        if any(c in value for c in "\r\n\0") or value != value.strip(" \t"):
            raise Violation(f"invalid value {value!r}")


class Server:
    """Listens while a case runs. `play` has the first connection, or every one where `every` is set."""

    def __init__(self, port, play, *, settings=(), handshake=True, every=False, patience=PATIENCE):
        self.play, self.settings, self.handshake, self.every = play, settings, handshake, every
        self.patience = patience
        self.failures = []
        self.peers: list[Peer] = []
        #: for plays that run on every connection: what is to happen once has happened
        self.reached = threading.Event()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        for peer in self.peers:
            try:
                peer.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            peer = Peer(connection, len(self.peers))
            peer.server, peer.patience = self, self.patience
            self.peers.append(peer)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        scripted = self.every or peer.number == 0
        try:
            if not scripted or self.handshake:
                peer.shake_hands(self.settings if scripted else ())
            if scripted:
                self.play(peer)
            peer.serve()
        except Gone:
            pass
        except (OSError, ValueError):
            pass
        except AssertionError as error:
            self.failures.append(f"connection {peer.number}: {error}")
        finally:
            peer.close()
