# SPDX-License-Identifier: Apache-2.0
"""Ledger cases 35–45, downstream: floods and starvation over HTTP/2."""

import struct
import threading
import time

import pytest

from PythonKit import h2client, kernel
from PythonKit import h2frames as f
from PythonKit.upstream import BODY, response

CALM = f.ENHANCE_YOUR_CALM
_TOO_LARGE = ("http2.header_overflow", "http2.header_list_size_too_large")
_TOO_LARGE_DETAILS = r"http2\.(too_many_headers|header_list_size_too_large)"
_MEGABYTE = bytes(range(256)) * 4096


def _get(stream, path="/direct", extra=(), end=True) -> bytes:
    return f.headers(stream, f.literal(*f.request_fields(path, extra=extra)), end)


def _numbers(count, first=1):
    return range(first, first + 2 * count, 2)


def test_case_35_rapid_reset(http2):
    with http2.connect() as client:
        client.send(b"".join(_get(n, "/x") + f.rst_stream(n) for n in _numbers(1000)))
        http2.flooded(client, "http.main.downstream_rq_too_many_premature_resets")
    assert len(http2.upstream.requests) < 600
    http2.logged(r"overload|http2\.remote_reset|downstream_\w+")


def test_case_35_rapid_reset_in_small_batches(http2):
    with http2.connect() as client:
        for start in range(1, 2001, 40):
            client.send(b"".join(_get(n, "/x") + f.rst_stream(n) for n in _numbers(20, start)))
            if client.ended:
                break
            time.sleep(0.002)
        http2.flooded(client, "http.main.downstream_rq_too_many_premature_resets")


def test_case_35_a_client_that_cancels_now_and_then_is_served(http2):
    with http2.connect() as client:
        for start in range(1, 1201, 12):
            client.send(b"".join(_get(n) for n in _numbers(5, start)) + _get(start + 10,
                "/x") + f.rst_stream(start + 10))
        assert client.answers_ping() and not client.goaways


@pytest.mark.parametrize(
    "provoke",
    [
        lambda n: f.window_update(0, n),
        lambda n: f.frame(f.WINDOW_UPDATE, 0, n, struct.pack("!I", 0x7FFFFFFF)) * 2,
        lambda n: f.data(n, b"longer than was said", end=True),
    ],
    ids=["window update of 0", "window overflow", "longer than its length"],
)
def test_case_36_resets_that_the_client_provokes(http2, provoke):
    """Counted like the client's own resets: neither may cost the upstream more."""
    http2.upstream.reset_records((BODY, 0.5, response()))
    with http2.connect() as client:
        fields = f.literal(*f.request_fields("/x", method="POST", extra=[("content-length", "3")]))
        for number in _numbers(1000):
            client.expect(number)
        client.send(b"".join(f.headers(n, fields) + provoke(n) for n in _numbers(1000)))
        http2.flooded(client, codes={CALM, f.PROTOCOL_ERROR, f.FLOW_CONTROL_ERROR})
    assert len(http2.upstream.requests) < 600


@pytest.mark.parametrize("piece", [f.literal(("x", "y")), b""], ids=["small fields", "empty"])
def test_case_37_continuation_flood(http2, piece):
    with http2.connect() as client:
        block = f.literal(*f.request_fields("/direct"))
        client.send(f.headers(1, block, True, False) + f.continuation(1, piece) * 1000)
        counted = (*_TOO_LARGE, "http2.inbound_empty_frames_flood", "http.main.downstream_cx_protocol_error")
        http2.flooded(client, *counted, codes={CALM, f.PROTOCOL_ERROR, f.INTERNAL_ERROR})
    http2.saw_nothing()


def test_case_37_header_block_without_end(http2):
    """16 KiB each: bytes, not only frames, are bounded."""
    with http2.connect() as client:
        client.send(f.headers(1, f.literal(*f.request_fields("/direct")), True, False))
        piece = f.literal(*((f"x-{i}", "v" * 1000) for i in range(15)))
        for _ in range(400):
            client.send(f.continuation(1, piece))
        assert client.is_closed_within(5), "the connection stayed open"
    http2.grew_by_less_than(8_000)
    http2.saw_nothing()


def test_case_37_a_few_continuations_are_served(http2):
    with http2.connect() as client:
        stream = client.expect(1)
        block = f.literal(*f.request_fields("/direct", extra=[("x", "v" * 100)]))
        parts = [block[i : i + 30] for i in range(0, len(block), 30)]
        client.send(f.headers(1, parts[0], True, False) + b"".join(
            f.continuation(1, part, part is parts[-1]) for part in parts[1:]))
        assert len(parts) <= 9 and client.finish(stream).status == 200


def test_case_37_another_frame_between(http2):
    with http2.connect() as client:
        client.send(f.headers(1, f.literal(*f.request_fields("/x")), True, False) + f.ping())
        http2.connection_refused(client, {f.PROTOCOL_ERROR})
    http2.saw_nothing()


def _bomb(count):
    """One large field in the table, then one byte for each further copy of it."""
    large = f.literal(("x-bomb", "v" * 3900), indexed=True)
    return f.literal(*f.request_fields("/x")) + large + b"\xbe" * count


@pytest.mark.parametrize("count", [50, 10_000], ids=["200 KB", "39 MB"])
def test_case_38_bomb_of_indexed_fields(http2, count):
    with http2.connect(settings=((f.INITIAL_WINDOW_SIZE, 0),)) as client:
        for number in _numbers(20):
            client.expect(number)
        # The table lives on: later streams need only the references.
        client.send(f.headers(1, _bomb(count), True))
        http2.stream_refused(client, client.streams[1], {f.INTERNAL_ERROR, CALM, f.PROTOCOL_ERROR, f.REFUSED_STREAM})
        for number in _numbers(19, 3):
            client.send(f.headers(number, f.literal(*f.request_fields("/x")) + b"\xbe" * count, True))
        client.is_closed_within(0.3)
    assert http2.stat_moved(*_TOO_LARGE), f"none of {_TOO_LARGE} moved"
    http2.logged(_TOO_LARGE_DETAILS)
    http2.grew_by_less_than(16_000)
    http2.saw_nothing()


def test_case_38_cookie_crumbs(http2):
    """Each crumb counts as a field and with its bytes, before they are joined."""
    with http2.connect() as client:
        stream = client.open([*f.request_fields("/x"), *[("cookie", "crumb=1")] * 1500])
        http2.stream_refused(client, stream, {f.INTERNAL_ERROR, CALM, f.PROTOCOL_ERROR})
    assert http2.stat_moved(*_TOO_LARGE), f"none of {_TOO_LARGE} moved"
    http2.logged(_TOO_LARGE_DETAILS)
    http2.saw_nothing()


def test_case_38_streams_held_by_a_zero_window_are_freed(http2):
    http2.upstream.reset_records((BODY, response(200, _MEGABYTE)))
    with http2.connect("idle", settings=((f.INITIAL_WINDOW_SIZE, 0),)) as client:
        streams = [client.open(f.request_fields("/x")) for _ in range(20)]
        assert client.wait_until(lambda: all(s.done for s in streams), 4), "streams that nobody reads live on"
        assert all(s.reset is not None for s in streams)
    assert http2.stat_moved("http2.tx_flush_timeout", "http.idle.downstream_rq_idle_timeout")


def test_case_39_dropped_host_fields_count(http2):
    with http2.connect() as client:
        stream = client.open([*f.request_fields("/x"), *[("host", "example.test")] * 150])
        http2.stream_refused(client, stream, {f.INTERNAL_ERROR, CALM, f.PROTOCOL_ERROR})
    # Refused for a second, different or equal host as well.
    assert http2.stat_moved(*_TOO_LARGE, "http2.rx_messaging_error")
    http2.logged(_TOO_LARGE_DETAILS + r"|http2\.(invalid\.header\.field|violation\.of\.messaging\.rule)")
    http2.saw_nothing()


def test_case_40_small_frames_that_are_drained_are_served(http2):
    with http2.connect() as client:
        stream = client.open(f.request_fields("/x", method="POST"), end=False)
        for _ in range(20):
            client.send(f.data(stream.number, b"x") * 1000)
        client.send(f.data(stream.number, b"", end=True))
        assert client.finish(stream, 10).status == 200
    assert http2.upstream.requests[0].body == b"x" * 20_000


def test_case_40_small_frames_that_nobody_drains(http2):
    """What a byte in a frame of its own costs the proxy is bounded by the window."""
    release = threading.Event()
    http2.upstream.reset_records((lambda *_: release.wait(10), BODY, response()))
    with http2.connect("small_window") as client:
        stream = client.open(f.request_fields("/x", method="POST"), end=False)
        http2.upstream.wait_for(1)
        for _ in range(60):
            client.send(f.data(stream.number, b"x") * 1000)
        client.answers_ping(timeout=1)
        http2.grew_by_less_than(12_000)
        release.set()


@pytest.mark.parametrize(
    "flood",
    [
        f.data(1) * 200,
        f.headers(1, b"") * 200,
        f.headers(1, b"", end_headers=False) + f.continuation(1, b"") * 200,
        f.frame(f.DATA, f.PADDED, 1, b"\x01\x00") * 20_000,
    ],
    ids=["DATA", "HEADERS", "CONTINUATION", "padding only"],
)
def test_case_41_empty_frames(http2, flood):
    with http2.connect() as client:
        stream = client.open(f.request_fields("/x", method="POST"), end=False)
        client.send(flood.replace(struct.pack("!I", 1), struct.pack("!I", stream.number)))
        assert client.is_closed_within(3) or stream.reset is not None, "an endless row of nothing is served"
        assert not client.ended or client.goaways or http2.silence_is_an_answer, "closed without GOAWAY"


def test_case_41_empty_data_is_counted(http2):
    with http2.connect() as client:
        stream = client.open(f.request_fields("/x", method="POST"), end=False)
        client.send(f.data(stream.number) * 200)
        http2.flooded(client, "http2.inbound_empty_frames_flood", details=r"http2\.inbound_empty_frames_flood")


def test_case_41_one_empty_frame_is_served(http2):
    with http2.connect() as client:
        stream = client.open(f.request_fields("/x", method="POST"), end=False)
        client.send(f.data(stream.number) + f.data(stream.number, b"x") + f.data(stream.number, end=True))
        assert client.finish(stream).status == 200


_CONTROL = {
    "PING": f.ping() * 1000,
    "SETTINGS": f.settings((f.INITIAL_WINDOW_SIZE, 65535)) * 1000,
    "empty SETTINGS": f.settings() * 1000,
}


@pytest.mark.parametrize("name", _CONTROL)
def test_case_42_answers_that_nobody_reads(http2, name):
    """The client sends what must be answered and never reads."""
    client = http2.connect(read=False, receive_buffer=4096)
    client.socket.settimeout(3)
    ended = False
    try:
        for _ in range(3000):
            client.socket.sendall(_CONTROL[name])
    except TimeoutError:
        pass
    except OSError:
        ended = True
    moved = http2.stat_moved("http2.outbound_control_flood")
    client.socket.close()
    assert ended or moved, "the flood was taken in to its end"
    # In Envoy the library may notice first, which counts nothing.
    assert moved or http2.silence_is_an_answer, "http2.outbound_control_flood did not move"
    http2.grew_by_less_than(8_000)


def test_case_42_settings_with_many_entries(http2):
    with http2.connect() as client:
        client.send(f.settings(*[(0x99, i) for i in range(2000)]) * 50)
        counted = "http.main.downstream_cx_protocol_error"
        http2.flooded(client, counted, codes={CALM, f.PROTOCOL_ERROR, f.INTERNAL_ERROR})


def test_case_43_priority_flood(http2):
    with http2.connect() as client:
        client.send(f.frame(f.PRIORITY, 0, 1, b"\0\0\0\0\x10") * 10_000)
        http2.flooded(client, "http2.inbound_priority_frames_flood")


def test_case_43_priority_flood_after_churn(http2):
    """Closed streams earn no credit."""
    with http2.connect() as client:
        for _ in range(100):
            assert client.request(f.request_fields("/direct")).status == 200
        client.send(f.frame(f.PRIORITY, 0, 201, b"\0\0\0\0\x10") * 9_000)
        http2.flooded(client, "http2.inbound_priority_frames_flood")


@pytest.mark.parametrize("number", [0, 1], ids=["connection", "stream"])
def test_case_43_window_update_flood(http2, number):
    http2.upstream.reset_records((BODY, 2.0, response()))
    with http2.connect() as client:
        client.open(f.request_fields("/x", method="POST"), end=False)
        for _ in range(20):
            client.send(f.window_update(1, number) * 1000)
        http2.flooded(client, "http2.inbound_window_update_frames_flood")


def test_case_44_reset_storm_in_one_read(http2):
    """A thousand streams end at once: others hardly notice."""
    http2.upstream.reset_records((BODY, 5.0, response()))
    with http2.connect() as client, http2.connect() as other:
        assert other.request(f.request_fields("/direct")).status == 200
        client.send(b"".join(_get(n, "/x", end=False) for n in _numbers(1000)))
        assert client.answers_ping()
        begun = time.monotonic()
        client.send(b"".join(f.rst_stream(n) for n in _numbers(1000)))
        assert other.request(f.request_fields("/direct")).status == 200
        assert time.monotonic() - begun < 1.5


def test_case_45_dribble(http2):
    """A window of one byte and a large answer: what waits in the proxy is bounded, and the upstream is held back."""
    written = []
    held = kernel.megabytes_held(1) + 4

    def write(connection, _):
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (held + 16 << 20))
        for _ in range(held + 16):
            connection.sendall(_MEGABYTE)
            written.append(1)

    http2.upstream.reset_records((BODY, write))
    with http2.connect(settings=((f.INITIAL_WINDOW_SIZE, 1),), auto_window=False) as client:
        stream = client.open(f.request_fields("/x"))
        client.wait_until(lambda: stream.body)
        for _ in range(100):
            client.send(f.window_update(1, stream.number))
            time.sleep(0.003)
        assert 1 <= len(stream.body) <= 102
        assert len(written) <= held, f"{len(written)} MiB were taken from the upstream"
        http2.grew_by_less_than(20_000)


def test_case_45_dribble_by_a_client_that_stops(http2):
    http2.upstream.reset_records((BODY, response(200, _MEGABYTE)))
    with http2.connect("idle", settings=((f.INITIAL_WINDOW_SIZE, 1),), auto_window=False) as client:
        stream = client.open(f.request_fields("/x"))
        assert client.finish(stream, 4).reset is not None, "the stream lives on"


def test_case_45_many_connections_that_never_read(http2):
    http2.upstream.reset_records((BODY, response(200, _MEGABYTE)))
    clients = [h2client.connect(http2.ports["main"], read=False, receive_buffer=4096) for _ in range(20)]
    try:
        for client in clients:
            client.send(b"".join(_get(n, "/x") for n in _numbers(3)))
        time.sleep(0.5)
        http2.grew_by_less_than(60_000)
    finally:
        for client in clients:
            client.socket.close()
