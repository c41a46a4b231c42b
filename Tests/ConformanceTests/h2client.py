# SPDX-License-Identifier: Apache-2.0
"""A client that sends what it is told and checks every frame of the answer. It never waits without a deadline."""

import dataclasses
import itertools
import socket
import time

import hpack
from hyperframe import frame as hf
from hyperframe.exceptions import HyperframeError

import h2wire as w

#: Longest wait for an answer that must come. Only a failing case uses it up.
PATIENCE = 3.0


class Violation(AssertionError):
    """The proxy itself broke the protocol."""


@dataclasses.dataclass
class Stream:
    interim: list = dataclasses.field(default_factory=list)
    headers: list | None = None
    trailers: list | None = None
    data: bytearray = dataclasses.field(default_factory=bytearray)
    ended: bool = False
    reset: int | None = None

    @property
    def status(self):
        return int(dict(self.headers)[":status"]) if self.headers else None

    def header(self, name):
        return dict(self.headers or ()).get(name)

    @property
    def over(self):
        return self.ended or self.reset is not None


class FrameReader:
    """What both ends of the suite do with received bytes: whole frames by hyperframe, field blocks by hpack."""

    def __init__(self, connection):
        self.socket = connection
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.frames = []
        self.ended = False
        self.was_reset = False
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self._block = None
        #: longest wait for an answer that must come
        self.patience = PATIENCE

    def send(self, *parts: bytes):
        """Sends all of it as one write; a peer that has gone shows on the next read, not here."""
        try:
            self.socket.settimeout(PATIENCE)
            self.socket.sendall(b"".join(parts))
        except OSError:
            pass

    def close(self):
        self.socket.close()

    def fill(self, timeout) -> bool:
        """Reads once; False at the end of the connection. Raises TimeoutError."""
        if self.ended:
            return False
        self.socket.settimeout(max(timeout, 0.001))
        try:
            received = self.socket.recv(65536)
        except TimeoutError:
            raise
        except OSError:
            self.was_reset = True
            received = b""
        if not received:
            self.ended = True
            return False
        self.buffer += received
        return True

    def next_frame(self):
        """The next whole frame in the buffer, or None."""
        if len(self.buffer) < 9:
            return None
        try:
            made, length = hf.Frame.parse_frame_header(memoryview(bytes(self.buffer[:9])))
            if length > w.MAX_FRAME:
                raise Violation(f"a frame of {length} bytes was sent, larger than our SETTINGS_MAX_FRAME_SIZE")
            if len(self.buffer) < 9 + length:
                return None
            made.parse_body(memoryview(bytes(self.buffer[9 : 9 + length])))
        except HyperframeError as error:
            raise Violation(f"not an HTTP/2 frame ({error!r}): {bytes(self.buffer[:40])!r}") from error
        del self.buffer[: 9 + length]
        self.frames.append(made)
        return made

    def field_section(self, made):
        """(first frame, fields) once the block of a HEADERS frame is complete, else None."""
        if isinstance(made, hf.ContinuationFrame):
            if self._block is None or self._block[0].stream_id != made.stream_id:
                raise Violation("CONTINUATION without HEADERS")
            self._block[1].extend(made.data)
        elif self._block is not None:
            raise Violation(f"{made} inside a field block")
        elif isinstance(made, hf.HeadersFrame):
            self._block = (made, bytearray(made.data))
        else:
            return None
        if "END_HEADERS" not in made.flags:
            return None
        first, block = self._block
        self._block = None
        try:
            return first, self.decoder.decode(bytes(block))
        except hpack.HPACKError as error:
            raise Violation(f"undecodable field block: {error!r}") from error

    def pump(self, until, timeout=None) -> bool:
        """Takes frames until `until()` holds: True then, False at the end of the connection or of the time."""
        deadline = time.monotonic() + (self.patience if timeout is None else timeout)
        while not until():
            made = self.next_frame()
            if made is not None:
                self.take(made)
                continue
            try:
                if not self.fill(deadline - time.monotonic()):
                    return until()
            except TimeoutError:
                return False
        return True

    def take(self, made):
        raise NotImplementedError

    def describe(self):
        shown = "; ".join(str(f)[:160] for f in self.frames[-12:]) or "nothing"
        return f"received {shown}{'; then the end' if self.ended else ''}"


class Client(FrameReader):
    def __init__(self, port, *, settings=(), preface=True):
        super().__init__(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
        self.streams: dict[int, Stream] = {}
        self.goaway = None
        self.pongs = []
        self.settings = {}
        self.acks = 0
        #: credit for the streams the client opens and for the connection
        self.initial_window = self.connection_window = 65535
        self.windows: dict[int, int] = {}
        self.ids = itertools.count(1, 2)
        self._pings = itertools.count(1)
        #: answers SETTINGS and PING by itself
        self.polite = True
        if preface:
            self.send(w.PREFACE, w.settings(*settings))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Sending

    def open(self, path="/", *, method="GET", end=True, extra=(), **pseudo) -> int:
        """A well-formed request head on the next stream."""
        stream = next(self.ids)
        block = self.encoder.encode(w.request_fields(path, method=method, extra=extra, **pseudo))
        first, rest = block[: w.MAX_FRAME], block[w.MAX_FRAME :]
        parts = [w.headers(stream, first, end=end, end_headers=not rest)]
        while rest:
            first, rest = rest[: w.MAX_FRAME], rest[w.MAX_FRAME :]
            parts.append(w.continuation(stream, first, end_headers=not rest))
        self.send(*parts)
        return stream

    def send_block(self, block: bytes, *, end=True) -> int:
        """A request head from the block's bytes, on the next stream."""
        stream = next(self.ids)
        self.send(w.headers(stream, block, end=end))
        return stream

    def send_fields(self, *fields, end=True) -> int:
        return self.send_block(w.plain_block(*fields), end=end)

    def credit(self, stream):
        """How many bytes of DATA this stream may carry now."""
        return min(self.connection_window, self.windows.get(stream, 0) + self.initial_window)

    def send_data(self, stream, payload=b"", *, end=False):
        """DATA that keeps to the frame size, and counts against the credit; it does not wait for credit."""
        chunks = [payload[at : at + w.MAX_FRAME] for at in range(0, len(payload), w.MAX_FRAME)] or [b""]
        self.send(*(w.data(stream, c, end=end and c is chunks[-1]) for c in chunks))
        self.connection_window -= len(payload)
        self.windows[stream] = self.windows.get(stream, 0) - len(payload)

    # Receiving

    def stream(self, stream) -> Stream:
        return self.streams.setdefault(stream, Stream())

    def take(self, made):
        section = self.field_section(made)
        if section:
            self._take_fields(*section)
        elif isinstance(made, hf.DataFrame):
            stream = self.stream(made.stream_id)
            if stream.headers is None or stream.over:
                raise Violation(f"DATA before the header section or after the end of stream {made.stream_id}")
            stream.data += made.data
            stream.ended = "END_STREAM" in made.flags
        elif isinstance(made, hf.RstStreamFrame):
            self.stream(made.stream_id).reset = made.error_code
        elif isinstance(made, hf.GoAwayFrame):
            self.goaway = made
        elif isinstance(made, hf.PingFrame):
            if "ACK" in made.flags:
                self.pongs.append(made.opaque_data)
            elif self.polite:
                self.send(w.ping(made.opaque_data, ack=True))
        elif isinstance(made, hf.SettingsFrame):
            self._take_settings(made)
        elif isinstance(made, hf.WindowUpdateFrame):
            if made.stream_id:
                self.windows[made.stream_id] = self.windows.get(made.stream_id, 0) + made.window_increment
            else:
                self.connection_window += made.window_increment
        elif isinstance(made, hf.PushPromiseFrame):
            raise Violation("PUSH_PROMISE from a proxy whose peer did not ask for one")

    def _take_settings(self, made):
        if "ACK" in made.flags:
            self.acks += 1
            return
        self.settings.update(made.settings)
        self.initial_window = self.settings.get(w.INITIAL_WINDOW_SIZE, 65535)
        if self.polite:
            self.send(w.settings(ack=True))

    def _take_fields(self, first, fields):
        stream = self.stream(first.stream_id)
        if stream.over:
            raise Violation(f"HEADERS after the end of stream {first.stream_id}")
        _check_fields(fields)
        end = "END_STREAM" in first.flags
        if stream.headers is not None:
            if not end:
                raise Violation("trailers without END_STREAM")
            stream.trailers = fields
        elif fields and fields[0][0] == ":status" and fields[0][1].startswith("1"):
            if end:
                raise Violation("interim response with END_STREAM")
            stream.interim.append(fields)
        else:
            if not fields or fields[0][0] != ":status":
                raise Violation(f"response without :status: {fields}")
            stream.headers = fields
        stream.ended = end

    def barrier(self) -> bool:
        """True once the proxy has handled every frame sent before: it answers PINGs in order. False if it ended."""
        mark = b"%08d" % next(self._pings)
        self.send(w.ping(mark))
        return self.pump(lambda: mark in self.pongs)

    def until_over(self, stream, timeout=None) -> Stream:
        self.pump(lambda: self.stream(stream).over, timeout)
        return self.stream(stream)

    def until_settled(self) -> bool:
        """Until each side has the other's SETTINGS and our acknowledgment was sent."""
        return self.pump(lambda: self.settings and self.acks > 0)


def _check_fields(fields):
    """RFC 9113 §8.2: what no endpoint may generate."""
    seen_regular = False
    for name, value in fields:
        if name.startswith(":"):
            if seen_regular or name != ":status":
                raise Violation(f"misplaced pseudo-header {name}")
        else:
            seen_regular = True
        if name != name.lower() or name in w.CONNECTION_FIELDS:
            raise Violation(f"field {name!r} in an HTTP/2 message")
        if any(c in value for c in "\r\n\0") or value != value.strip(" \t"):
            raise Violation(f"invalid value {value!r}")
