# SPDX-License-Identifier: Apache-2.0
"""A side that does not read stops the side that writes: nothing piles up in the proxy, and nothing is lost when it reads again."""

import socket
import threading
import time

from PythonKit import kernel
from PythonKit.client import Connection, request
from PythonKit.upstream import BODY, READ_TO_END

_MEGABYTE = bytes(range(256)) * 4096
#: MiB that may go although nobody reads: what the sockets of both sides hold, and the proxy's watermarks.
_HELD = kernel.megabytes_held(2) + 4
#: MiB that are to go: a proxy that took all it can get would take them all.
_COUNT = _HELD + 16


class _Progress:
    """Megabytes written so far."""

    def __init__(self):
        self.written = 0

    def settled(self):
        """Until no more goes for 0.3 s; returns how much went."""
        last, since = -1, time.monotonic()
        while time.monotonic() - since < 0.3:
            if self.written != last:
                last, since = self.written, time.monotonic()
            time.sleep(0.01)
        return self.written

    def write(self, send):
        for _ in range(_COUNT):
            send(_MEGABYTE)
            self.written += 1


def _bounded(proxy, progress, before):
    assert progress.settled() <= _HELD, f"{progress.written} MiB went although nobody reads"
    proxy.proxy.assert_grew_by_less_than(16_000, before)


def _responding(progress, head):
    def respond(connection, _):
        connection.sendall(head)
        progress.write(connection.sendall)

    return respond


def test_client_does_not_read_its_response(proxy):
    progress = _Progress()
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (_COUNT * len(_MEGABYTE))
    proxy.upstream.reset_records((BODY, _responding(progress, head)))
    before = proxy.proxy.resident_kilobytes()
    with Connection(proxy.ports["main"]) as connection:
        connection.send(request("/big"))
        proxy.upstream.wait_for(1)
        _bounded(proxy, progress, before)
        answer = connection.read_response(timeout=10)
    assert answer.complete and answer.body == _MEGABYTE * _COUNT


def test_upstream_does_not_read_its_request(proxy):
    progress = _Progress()
    proceed = threading.Event()
    proxy.upstream.reset_records((lambda *_: proceed.wait(10), BODY, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"))
    before = proxy.proxy.resident_kilobytes()
    with Connection(proxy.ports["main"]) as connection:
        connection.send(request("/big", method="POST", headers=[("content-length", str(_COUNT * len(_MEGABYTE)))]))
        connection.socket.settimeout(20)
        writer = threading.Thread(target=progress.write, args=(connection.socket.sendall,))
        writer.start()
        proxy.upstream.wait_for(1)
        try:
            _bounded(proxy, progress, before)
        finally:
            proceed.set()
        writer.join(20)
        assert connection.read_response(timeout=10).status == 200
    assert proxy.upstream.requests[0].body == _MEGABYTE * _COUNT


def test_client_does_not_read_its_tcp_stream(proxy):
    progress = _Progress()
    proxy.upstream.reset_records(accept_script=(lambda connection, _: progress.write(connection.sendall), "close"))
    before = proxy.proxy.resident_kilobytes()
    with Connection(proxy.ports["tcp"]) as connection:
        proxy.upstream.wait_for(1)
        _bounded(proxy, progress, before)
        assert connection.read_to_end(timeout=10) == _MEGABYTE * _COUNT


def test_upstream_does_not_read_its_tcp_stream(proxy):
    progress = _Progress()
    proceed = threading.Event()
    proxy.upstream.reset_records(accept_script=(lambda *_: proceed.wait(10), READ_TO_END))
    before = proxy.proxy.resident_kilobytes()
    with Connection(proxy.ports["tcp"]) as connection:
        connection.socket.settimeout(20)
        writer = threading.Thread(target=progress.write, args=(connection.socket.sendall,))
        writer.start()
        proxy.upstream.wait_for(1)
        try:
            _bounded(proxy, progress, before)
        finally:
            proceed.set()
        writer.join(20)
    total = _COUNT * len(_MEGABYTE)
    assert proxy.upstream.wait_until(lambda u: len(u.raw[u.requests[0].connection]) == total, 10)


def test_client_reads_a_little_now_and_then(proxy):
    """Stop and go, many times, and every byte in its place."""
    body = _MEGABYTE * 4
    proxy.upstream.reset_records((BODY, b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body))
    with Connection(proxy.ports["main"]) as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.send(request("/big"))
        received = bytearray()
        for _ in range(50):
            received += connection.read_exactly(1500)
            time.sleep(0.002)
        connection.buffer[:0] = received
        answer = connection.read_response(timeout=10)
    assert answer.complete and answer.body == body
