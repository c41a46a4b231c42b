# SPDX-License-Identifier: Apache-2.0
"""An honest client by the library h2: its own state machine checks every frame of the proxy."""

import socket

from conformance import BIG
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset


def exchange(port, requests):
    """Sends them all at once; (status, body) by stream. `requests` are (path, body or None)."""
    connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    connection.initiate_connection()
    connection.increment_flow_control_window(1 << 24)
    left, statuses, bodies = {}, {}, {}
    with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
        for path, body in requests:
            stream = connection.get_next_available_stream_id()
            fields = [
                (":method", "POST" if body else "GET"),
                (":scheme", "http"),
                (":authority", "example.test"),
                (":path", path),
            ]
            connection.send_headers(stream, fields, end_stream=not body)
            left[stream], bodies[stream] = body or b"", bytearray()
        open_streams = set(left)
        while open_streams:
            for stream, body in left.items():
                while body and (room := connection.local_flow_control_window(stream)):
                    part = body[: min(room, connection.max_outbound_frame_size)]
                    body = left[stream] = body[len(part) :]
                    connection.send_data(stream, part, end_stream=not body)
            peer.sendall(connection.data_to_send())
            received = peer.recv(65536)
            assert received, f"the proxy ended the connection with {len(open_streams)} streams open"
            for event in connection.receive_data(received):
                assert not isinstance(event, (StreamReset, ConnectionTerminated)), event
                if isinstance(event, ResponseReceived):
                    statuses[event.stream_id] = dict(event.headers)[":status"]
                elif isinstance(event, DataReceived):
                    bodies[event.stream_id] += event.data
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, StreamEnded):
                    open_streams.discard(event.stream_id)
    return [(statuses[stream], bytes(bodies[stream])) for stream in sorted(statuses)]


def test_a_hundred_requests_at_once(downstream):
    downstream.upstreams["a"].reset_records()
    assert exchange(downstream.ports["main"], [(f"/{n}", None) for n in range(100)]) == [("200", b"a")] * 100


def test_bodies_larger_than_every_window(downstream):
    downstream.upstreams["a"].reset_records()
    answers = exchange(downstream.ports["main"], [("/", b"u" * 300_000), ("/big", None), ("/", b"v" * 200_000)])
    assert answers == [("200", b"a"), ("200", BIG), ("200", b"a")]
    assert sorted(len(r.body) for r in downstream.requests) == [200_000, 300_000]
