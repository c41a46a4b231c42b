# SPDX-License-Identifier: Apache-2.0
"""One HTTP/2 connection of a test, as client or as server: sends the frames it is told, reports what came.

Received header blocks are decoded by the `hpack` library; everything sent may be wrong on purpose. A reader thread
collects; waiting for something is `wait_until(condition)`.
"""

import dataclasses
import socket
import struct
import threading
import time

import hpack

from . import h2frames as f


@dataclasses.dataclass
class Stream:
    number: int
    #: the final head; as a server, the request's
    head: list[tuple[str, str]] | None = None
    interim: list[list[tuple[str, str]]] = dataclasses.field(default_factory=list)
    body: bytearray = dataclasses.field(default_factory=bytearray)
    trailers: list[tuple[str, str]] | None = None
    #: the other side said END_STREAM
    ended: bool = False
    #: code of the RST_STREAM that came
    reset: int | None = None
    #: this side said END_STREAM
    said_end: bool = False

    def values(self, name):
        return [value for key, value in self.head or () if key == name]

    def header(self, name):
        return ", ".join(self.values(name)) if self.values(name) else None

    @property
    def status(self) -> int | None:
        return int(self.header(":status")) if self.header(":status") else None

    @property
    def done(self):
        return self.ended or self.reset is not None


class H2Connection:
    def __init__(self, transport, *, client=True, settings=(), greet=True, auto_window=True, auto_answer=True,
        read=True):
        """`auto_window`: give back what DATA used; `auto_answer`: acknowledge SETTINGS and PING; `read`: at all."""
        self.socket = transport
        self.is_client = client
        self.streams: dict[int, Stream] = {}
        #: (last stream, code, debug data) of every GOAWAY that came
        self.goaways: list[tuple[int, int, bytes]] = []
        #: the other side's settings, each SETTINGS frame as a list of pairs
        self.settings: list[list[tuple[int, int]]] = []
        self.frame_counts: dict[int, int] = {}
        self.pings: list[bytes] = []
        self.settings_acks = 0
        self.ended = False
        self.was_reset = False
        self.violation: str | None = None
        #: frames of streams that were opened by raw frames are no violation
        self.knows_its_streams = True
        self.changed = threading.Condition()
        self._windows = {0: 65535}
        self._initial_window = 65535
        self._maximum_frame = 16384
        self._auto_window, self._auto_answer = auto_window, auto_answer
        self._encoder, self._decoder = hpack.Encoder(), hpack.Decoder()
        self._decoder.max_header_list_size = 1 << 24
        self._block: tuple[int, int, bytearray] | None = None
        self._buffer = bytearray()
        self._next = 1 if client else 2
        self._send_lock = threading.RLock()
        self.on_stream = lambda stream: None
        if greet:
            self.send((f.PREFACE if client else b"") + f.settings(*settings))
        self._reader = threading.Thread(target=self._read_all, args=(client,), daemon=True)
        if read:
            self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Sending

    def send(self, data: bytes):
        """All of it; a peer that has gone shows in `ended`, not here."""
        with self._send_lock:
            try:
                self.socket.sendall(data)
            except (OSError, ValueError):
                pass

    def next_stream(self) -> int:
        self._next += 2
        return self._next - 2

    def block(self, fields) -> bytes:
        return self._encoder.encode([(_raw(n), _raw(v)) for n, v in fields])

    def open(self, fields, *, end=True, body=None, trailers=None) -> Stream:
        """A request; with a body or trailers these end it."""
        number = self.next_stream()
        with self.changed:
            stream = self.streams[number] = Stream(number)
            self._windows[number] = self._initial_window
        if body is not None and 0 < len(body) <= 1024 and self._room(number) >= len(body):
            self._open_at_once(number, fields, body, trailers, end)
            return stream
        self.send_headers(number, fields, end=end and body is None and trailers is None)
        if body is not None:
            self.send_data(number, body, end=end and trailers is None)
        if trailers is not None:
            self.send_headers(number, trailers)
        return stream

    def _open_at_once(self, number, fields, body, trailers, end):
        """One segment, so that the proxy does not answer between head and body."""
        with self._send_lock, self.changed:
            self._windows[0] -= len(body)
            self._windows[number] -= len(body)
            frames = f.headers(number, self.block(fields)) + f.data(number, body, end and trailers is None)
            if trailers is not None:
                frames += f.headers(number, self.block(trailers), end=True)
            self._ending(number, end)
            self.send(frames)

    def expect(self, number) -> Stream:
        """The record of a stream that raw frames open."""
        with self.changed:
            return self.streams.setdefault(number, Stream(number))

    def send_headers(self, number, fields, end=True):
        # Encoding and sending in one piece: the other side decodes in the order of arrival.
        with self._send_lock:
            self._ending(number, end)
            self.send(f.headers(number, self.block(fields), end))

    def _ending(self, number, end):
        if end and number in self.streams:
            self.streams[number].said_end = True

    def send_data(self, number, body, end=False, timeout=10.0):
        """Within the windows of the other side; raises TimeoutError where they stay shut."""
        view = memoryview(bytes(body))
        while True:
            with self.changed:
                wanted = min(len(view), self._maximum_frame)
                ready = self.changed.wait_for(lambda: self._room(number) > 0 or not wanted or self._gone(number),
                    timeout)
                if self._gone(number):
                    return
                if not ready:
                    raise TimeoutError(f"stream {number}: the window stayed shut with {len(view)} bytes to go")
                count = min(wanted, self._room(number)) if wanted else 0
                self._windows[0] -= count
                self._windows[number] = self._windows.get(number, self._initial_window) - count
            self._ending(number, end and count == len(view))
            self.send(f.data(number, bytes(view[:count]), end and count == len(view)))
            view = view[count:]
            if not len(view):
                return

    def _room(self, number):
        return min(self._windows[0], self._windows.get(number, self._initial_window))

    def _gone(self, number):
        stream = self.streams.get(number)
        return self.ended or (stream is not None and stream.reset is not None)

    # Waiting

    def wait_until(self, condition, timeout=5.0) -> bool:
        """Until the condition holds or the connection has ended; says whether it holds."""
        with self.changed:
            self.changed.wait_for(lambda: condition() or self.ended, timeout)
            return bool(condition())

    def finish(self, stream, timeout=5.0) -> Stream:
        """Until the stream ended one way or the other."""
        self.wait_until(lambda: stream.done, timeout)
        return stream

    def request(self, fields, *, timeout=5.0, **options) -> Stream:
        return self.finish(self.open(fields, **options), timeout)

    def answers_ping(self, payload=b"are-you?", timeout=3.0) -> bool:
        self.send(f.ping(payload))
        return self.wait_until(lambda: payload in self.pings, timeout)

    def is_closed_within(self, timeout) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.ended, timeout)

    @property
    def goaway_code(self) -> int | None:
        return self.goaways[-1][1] if self.goaways else None

    @property
    def local_port(self):
        return self.socket.getsockname()[1]

    def half_close(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def reset(self):
        """Ends the TCP connection with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        raw = getattr(self.socket, "raw", self.socket)
        try:
            # Wakes the reader, which a close alone does not.
            raw.shutdown(socket.SHUT_RD)
        except OSError:
            pass
        if self._reader.is_alive() and self._reader is not threading.current_thread():
            self._reader.join(2)
        self.socket.close()

    # Receiving

    def _fill(self):
        while True:
            try:
                received = self.socket.recv(65536)
            except TimeoutError:
                continue
            except ConnectionResetError:
                self.was_reset = True
                return False
            except (OSError, ValueError):
                return False
            if not received:
                return False
            self._buffer += received
            return True

    def _take(self, count):
        while len(self._buffer) < count:
            if not self._fill():
                return None
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _read_all(self, client):
        try:
            self.socket.settimeout(60)
            if not client and self._take(len(f.PREFACE)) != f.PREFACE:
                self.violation = "no connection preface"
                return
            while head := self._take(9):
                length = int.from_bytes(head[:3], "big")
                kind, flags, number = struct.unpack("!BBI", head[3:])
                payload = self._take(length)
                if payload is None:
                    self.violation = "a frame was cut"
                    return
                self._received(kind, flags, number & 0x7FFFFFFF, payload)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with what came belongs to the observation
            self.violation = f"{type(error).__name__}: {error}"
        finally:
            with self.changed:
                self.ended = True
                self.changed.notify_all()

    def _received(self, kind, flags, number, payload):
        answers, begun = b"", None
        with self.changed:
            self.frame_counts[kind] = self.frame_counts.get(kind, 0) + 1
            if kind == f.SETTINGS and not flags & f.ACK:
                self._settings([struct.unpack("!HI", payload[i : i + 6]) for i in range(0, len(payload), 6)])
                answers = f.settings(ack=True) if self._auto_answer else b""
            elif kind == f.SETTINGS:
                self.settings_acks += 1
            elif kind == f.PING and flags & f.ACK:
                self.pings.append(payload)
            elif kind == f.PING:
                answers = f.ping(payload, ack=True) if self._auto_answer else b""
            elif kind == f.GOAWAY:
                last, code = struct.unpack("!II", payload[:8])
                self.goaways.append((last & 0x7FFFFFFF, code, payload[8:]))
            elif kind == f.WINDOW_UPDATE:
                known = self._windows.get(number, self._initial_window)
                self._windows[number] = known + (struct.unpack("!I", payload)[0] & 0x7FFFFFFF)
            elif kind == f.RST_STREAM:
                self._stream(number).reset = struct.unpack("!I", payload)[0]
            elif kind == f.DATA:
                answers = self._data(flags, number, payload)
            elif kind in (f.HEADERS, f.CONTINUATION):
                begun = self._headers(kind, flags, number, payload)
            self.changed.notify_all()
        if answers:
            self.send(answers)
        if begun is not None:
            self.on_stream(begun)

    def _stream(self, number):
        if number not in self.streams:
            if self.is_client and self.knows_its_streams:
                raise ValueError(f"a frame of stream {number}, which nobody opened")
            self.streams[number] = Stream(number)
            self._windows.setdefault(number, self._initial_window)
        return self.streams[number]

    def _settings(self, pairs):
        self.settings.append(pairs)
        for name, value in pairs:
            if name == f.INITIAL_WINDOW_SIZE:
                for number in self._windows:
                    if number:
                        self._windows[number] += value - self._initial_window
                self._initial_window = value
            elif name == f.MAX_FRAME_SIZE:
                self._maximum_frame = value
            elif name == f.HEADER_TABLE_SIZE:
                self._encoder.header_table_size = min(value, 4096)

    def _data(self, flags, number, payload):
        stream = self._stream(number)
        size = len(payload)
        if flags & f.PADDED:
            payload = payload[1 : len(payload) - payload[0]]
        if stream.done:
            raise ValueError(f"DATA after the end of stream {number}")
        stream.body += payload
        stream.ended = bool(flags & f.END_STREAM)
        if not size or not self._auto_window:
            return b""
        return f.window_update(size) + (b"" if stream.ended else f.window_update(size, number))

    def _headers(self, kind, flags, number, payload):
        if kind == f.HEADERS:
            if flags & f.PADDED:
                payload = payload[1 : len(payload) - payload[0]]
            if flags & f.PRIORITY_FLAG:
                payload = payload[5:]
            self._block = (number, flags, bytearray())
        if self._block is None or self._block[0] != number:
            raise ValueError("CONTINUATION out of place")
        self._block[2].extend(payload)
        if not flags & f.END_HEADERS:
            return None
        _, first_flags, block = self._block
        self._block = None
        fields = [(_text(n), _text(v)) for n, v in self._decoder.decode(bytes(block), raw=True)]
        stream = self._stream(number)
        status = dict(fields).get(":status", "")
        begun = None
        if self.is_client and status.startswith("1"):
            stream.interim.append(fields)
        elif stream.head is None:
            stream.head = fields
            begun = None if self.is_client else stream
        else:
            stream.trailers = fields
        stream.ended = bool(first_flags & f.END_STREAM)
        return begun


def _raw(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def _text(raw):
    return raw.decode("latin-1") if isinstance(raw, bytes) else raw


def settled(connection, quiet=0.1, timeout=3.0):
    """Until no frame came for `quiet` seconds."""
    deadline = time.monotonic() + timeout
    last, since = -1, time.monotonic()
    while time.monotonic() < deadline and time.monotonic() - since < quiet:
        count = sum(connection.frame_counts.values())
        if count != last:
            last, since = count, time.monotonic()
        time.sleep(0.01)
