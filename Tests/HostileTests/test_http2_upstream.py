# SPDX-License-Identifier: Apache-2.0
"""Ledger cases 35–52 with the roles swapped: a malicious HTTP/2 upstream behind an honest client."""

import threading
import time

import pytest

from PythonKit import h2frames as f
from PythonKit.h2upstream import STREAM_NUMBER, Data, GoAway, Head, Reset, Trailers, answer
from PythonKit.upstream import BODY

S = STREAM_NUMBER
CALM, PROTOCOL, SIZE = f.ENHANCE_YOUR_CALM, {f.PROTOCOL_ERROR}, {f.FRAME_SIZE_ERROR}
_OK = f.literal((":status", "200"))
_MEGABYTE = bytes(range(256)) * 4096
_CX_ERROR = ("cluster.m.upstream_cx_protocol_error",)


def _head(*fields, end=True, status="200"):
    return f.headers(S, f.literal((":status", status), *fields), end)


def test_case_35_swapped_every_stream_is_reset(http2):
    """Each client gets its own error; the proxy neither retries without end nor stops serving."""
    http2.malicious.reset_records((Reset(f.REFUSED_STREAM),))
    with http2.connect() as client:
        streams = [client.open(f.request_fields("/m")) for _ in range(300)]
        assert client.wait_until(lambda: all(s.done for s in streams), 5)
        assert {s.status for s in streams} == {503}
    # A request that was refused unseen is sent once more, and no more than that.
    assert len(http2.malicious.requests) <= 600


def test_case_35_swapped_reset_storm_of_unknown_streams(http2):
    http2.bad_gateway(b"".join(f.rst_stream(n) for n in range(1001, 3001, 2)), codes=PROTOCOL)


def test_case_36_swapped_window_overflow(http2):
    http2.bad_gateway(f.window_update(0x7FFFFFFF, S) * 2, codes={f.FLOW_CONTROL_ERROR}, stats=(),
        details=r"upstream_.*")


def test_case_36_swapped_window_update_of_zero(http2):
    http2.bad_gateway(f.window_update(0, S), codes=PROTOCOL, stats=(), details=r"upstream_.*")


@pytest.mark.parametrize("piece", [f.literal(("x", "y")), b""], ids=["small fields", "empty"])
def test_case_37_swapped_continuation_flood(http2, piece):
    http2.bad_gateway(f.headers(S, _OK, True, False) + f.continuation(S, piece) * 1000, stats=(),
        details=r"upstream_.*")
    assert http2.malicious.connections[0].is_closed_within(3)


def test_case_37_swapped_header_block_without_end(http2):
    piece = f.literal(*((f"x-{i}", "v" * 1000) for i in range(15)))
    http2.bad_gateway(
        f.headers(S, _OK, True, False), *(f.continuation(S, piece),) * 400, stats=(), details=r"upstream_.*"
    )
    http2.grew_by_less_than(8_000)


@pytest.mark.parametrize("count", [50, 10_000], ids=["200 KB", "39 MB"])
def test_case_38_swapped_bomb_of_indexed_fields(http2, count):
    bomb = f.headers(S, _OK + f.literal(("x-bomb", "v" * 3900), indexed=True) + b"\xbe" * count, True)
    http2.bad_gateway(BODY, bomb, stats=(), details=r"upstream_.*|http2\..*")
    http2.grew_by_less_than(12_000)


def test_case_38_swapped_many_set_cookies(http2):
    answer_ = http2.ask(BODY, _head(*[("set-cookie", f"c{i}=1") for i in range(700)]))
    assert answer_.status in (502, 503)


def test_case_39_swapped_trailers_count(http2):
    http2.truncated(BODY, Head(), Data(b"x"), Trailers(tuple((f"x-{i}", "1") for i in range(500))))


def test_case_40_swapped_small_frames_that_are_drained_are_served(http2):
    answer_ = http2.ask(BODY, Head(), f.data(S, b"x") * 20_000 + f.data(S, b"", True))
    assert answer_.status == 200 and answer_.body == b"x" * 20_000 and answer_.ended


def test_case_40_swapped_small_frames_that_nobody_drains(http2):
    http2.malicious.reset_records((BODY, Head(), f.data(S, b"x") * 60_000))
    with http2.connect(settings=((f.INITIAL_WINDOW_SIZE, 1),), auto_window=False) as client:
        client.open(f.request_fields("/m"))
        http2.malicious.wait_for(1)
        time.sleep(0.5)
        http2.grew_by_less_than(12_000)


def test_case_41_swapped_empty_data(http2):
    http2.truncated(BODY, Head(), 0.1, f.data(S) * 1000)
    assert http2.stat_moved("cluster.m.http2.inbound_empty_frames_flood")


def test_case_41_swapped_empty_header_blocks(http2):
    http2.bad_gateway(f.headers(S, b"") * 200, stats=(), details=r"upstream_.*")


@pytest.mark.parametrize("frames", [f.ping() * 1000, f.settings() * 1000], ids=["PING", "SETTINGS"])
def test_case_42_swapped_answers_that_nobody_reads(http2, frames):
    """The upstream asks without end and reads nothing after the request."""
    stopped = threading.Event()

    def flood(connection, *_):
        connection.socket.settimeout(2)
        try:
            for _ in range(3000):
                connection.socket.sendall(frames)
        except OSError:
            pass
        stopped.set()

    http2.malicious.reset_records((flood,))
    with http2.connect() as client:
        stream = client.open(f.request_fields("/m"))
        client.finish(stream, 6)
        assert stopped.wait(8), "the flood was taken in to its end"
        moved = http2.stat_moved("cluster.m.http2.outbound_control_flood")
        assert moved or stream.status is None or stream.status >= 500
    http2.grew_by_less_than(8_000)


def test_case_42_swapped_settings_with_many_entries(http2):
    http2.bad_gateway(f.settings(*[(0x99, i) for i in range(2000)]) * 50, stats=(), details=r"upstream_.*")


@pytest.mark.parametrize("frames, stat", [
    (f.frame(f.PRIORITY, 0, 1, b"\0\0\0\0\x10") * 10_000, "inbound_priority_frames_flood"),
    (f.window_update(1) * 20_000, "inbound_window_update_frames_flood"),
], ids=["PRIORITY", "WINDOW_UPDATE"])
def test_case_43_swapped_floods(http2, frames, stat):
    http2.bad_gateway(frames, stats=(f"cluster.m.http2.{stat}",), details=r"upstream_.*")


def test_case_44_swapped_goaway_storm(http2):
    answer_ = http2.ask(*(GoAway(),) * 500, BODY, *answer())
    assert answer_.status in (200, 502, 503)


def test_case_45_swapped_dribble(http2):
    """The upstream opens its window byte by byte: what waits in the proxy is bounded, and the client is held back."""
    script = (lambda connection, stream, _: [
        (connection.send(f.window_update(1, stream.number)), time.sleep(0.003)) for _ in range(200)],)
    http2.malicious.reset_records(script, settings=((f.INITIAL_WINDOW_SIZE, 1),), auto_window=False)
    sent = []

    with http2.connect("small_window") as client:
        stream = client.open(f.request_fields("/m", method="POST"), end=False)

        def write():
            for _ in range(64):
                try:
                    client.send_data(stream.number, _MEGABYTE, timeout=1)
                except TimeoutError:
                    return
                if stream.done or client.ended:
                    # The dribble was taken for a flood: an answer as well.
                    return
                sent.append(1)

        writer = threading.Thread(target=write)
        writer.start()
        writer.join(10)
        assert len(sent) < 24, f"{len(sent)} MiB were taken from the client"
        http2.grew_by_less_than(20_000)


_BAD_FIELDS = (
    ("X-Upper", "1"), ("connection", "close"), ("keep-alive", "5"), ("transfer-encoding", "chunked"), ("upgrade", "x"),
    (":path", "/"), (":nonsense", "1"), ("x", "a\nb"), ("x", "a\rb"), ("x", "a\0b"),
    ("x", "a\r\nset-cookie: stolen=1"), ("x", " a"), ("x", "a "), ("", "v"), ("x y", "v"), ("x:y", "v"), ("x\n", "v"),
    ("content-length", "+5"), ("content-length", "5, 6"), ("content-length", ""), ("proxy-connection", "close"),
)


@pytest.mark.parametrize("field", _BAD_FIELDS, ids=repr)
def test_case_46_47_swapped_bad_fields(http2, field):
    answer_ = http2.bad_gateway(BODY, _head(field), codes=PROTOCOL, stats=("cluster.m.http2.rx_messaging_error",))
    assert not answer_.values("set-cookie") and not answer_.values("x")


@pytest.mark.parametrize("status", ["", "20", "2000", "-200", "2x0", "099", "000", "200 OK", " 200", "200\n", "+20"],
    ids=repr)
def test_case_46_swapped_status(http2, status):
    http2.bad_gateway(BODY, _head(status=status), stats=())


@pytest.mark.parametrize("block", [
    f.literal(("x", "1")), f.literal(("x", "1"), (":status", "200")), f.literal((":status", "200"), (":status", "200")),
    f.literal((":status", "101")),
], ids=["none", "after a field", "twice", "101"])
def test_case_46_swapped_pseudo_headers(http2, block):
    http2.bad_gateway(BODY, f.headers(S, block, True), codes=PROTOCOL, stats=())


@pytest.mark.parametrize("field", [(":status", "200"), ("X-Upper", "1"), ("connection", "close"), ("x", "a\nb")],
    ids=repr)
def test_case_46_swapped_bad_trailers(http2, field):
    http2.truncated(BODY, Head(), Data(b"body"), 0.05, f.headers(S, f.literal(field), True))


@pytest.mark.parametrize("steps", [
    (Head(200, (("content-length", "10"),)), Data(b"hello"), 0.05, Data(b"", True)),
    (Head(200, (("content-length", "10"),)), Data(b"hello"), 0.05, Trailers((("x-t", "1"),))),
    (Head(200, (("content-length", "3"),)), 0.05, Data(b"hello", True)),
], ids=["less", "less, then trailers", "more"])
def test_case_48_swapped_length_and_data_differ(http2, steps):
    answer_ = http2.truncated(BODY, *steps)
    assert len(answer_.body) <= 10


def test_case_48_swapped_length_without_data(http2):
    answer_ = http2.ask(BODY, Head(200, (("content-length", "5"),), True))
    assert answer_.status in (502, 503) or answer_.reset is not None and not answer_.ended, "a clean end"


def test_case_49_swapped_trailers_without_end(http2):
    http2.truncated(BODY, Head(), Data(b"x"), 0.05, f.headers(S, f.literal(("x-t", "1")), end=False))


def test_case_32_swapped_interim_responses_without_end(http2):
    http2.bad_gateway(BODY, _head(("link", "</x>"), end=False, status="103") * 200, stats=(), details=r"upstream_.*")


def test_case_32_swapped_interim_response_with_end(http2):
    http2.bad_gateway(BODY, _head(end=True, status="103"), stats=(), details=r"upstream_.*")


_FRAME_ERRORS = {
    "frame larger than allowed": (_head(end=False) + f.data(S, b"x" * 16385), SIZE),
    "SETTINGS of 5 bytes": (f.frame(f.SETTINGS, 0, 0, b"12345"), SIZE),
    "SETTINGS on a stream": (f.frame(f.SETTINGS, 0, S), PROTOCOL),
    "ENABLE_PUSH 1": (f.settings((f.ENABLE_PUSH, 1)), PROTOCOL),
    "INITIAL_WINDOW_SIZE 2^31": (f.settings((f.INITIAL_WINDOW_SIZE, 1 << 31)), {f.FLOW_CONTROL_ERROR}),
    "MAX_FRAME_SIZE 100": (f.settings((f.MAX_FRAME_SIZE, 100)), PROTOCOL),
    "PING of 7 bytes": (f.frame(f.PING, 0, 0, b"1234567"), SIZE),
    "GOAWAY on a stream": (f.frame(f.GOAWAY, 0, S, b"\0" * 8), PROTOCOL),
    "WINDOW_UPDATE of 0 on the connection": (f.window_update(0), PROTOCOL),
    "WINDOW_UPDATE on an idle stream": (f.window_update(1, 0x7FFFFF1), PROTOCOL),
    "RST_STREAM of 3 bytes": (f.frame(f.RST_STREAM, 0, S, b"\0\0\0"), SIZE),
    "RST_STREAM on stream 0": (f.rst_stream(0), PROTOCOL),
    "DATA on stream 0": (f.data(0, b"x"), PROTOCOL),
    "DATA on an idle stream": (f.data(0x7FFFFF1, b"x"), PROTOCOL),
    "DATA before HEADERS": (f.data(S, b"x", True), PROTOCOL),
    "HEADERS on stream 0": (f.headers(0, _OK, True), PROTOCOL),
    "HEADERS on an idle stream": (f.headers(0x7FFFFF1, _OK, True), PROTOCOL),
    "HEADERS on an even stream": (f.headers(2, _OK, True), PROTOCOL),
    "PUSH_PROMISE although refused": (
        f.frame(f.PUSH_PROMISE, f.END_HEADERS, S, b"\0\0\0\2" + f.literal(*f.request_fields("/pushed"))), PROTOCOL),
    "CONTINUATION alone": (f.continuation(S, b"", True), PROTOCOL),
    "another frame inside a header block": (f.headers(S, _OK, True, False) + f.ping(), PROTOCOL),
    "too much padding": (f.frame(f.HEADERS, f.END_HEADERS | f.PADDED, S, b"\xff" + _OK), PROTOCOL),
    "connection window overflow": (f.window_update(0x7FFFFFFF) * 2, {f.FLOW_CONTROL_ERROR}),
}


@pytest.mark.parametrize("name", _FRAME_ERRORS)
def test_case_50_swapped_frames(http2, name):
    frames, codes = _FRAME_ERRORS[name]
    answer_ = http2.ask(BODY, frames)
    connection = http2.malicious.connections[0]
    assert answer_.status in (502, 503) or answer_.reset is not None and not answer_.ended, f"{answer_}"
    told = connection.wait_until(lambda: http2._told(connection) & codes, 2)
    assert told or http2.silence_is_an_answer, f"the upstream was told {http2._told(connection)}, expected {codes}"


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 64, b"SSH-2.0-x\r\n",
    b"\xff" * 200], ids=repr)
def test_case_50_swapped_not_http_2(http2, greeting):
    answer_ = http2.ask(BODY, greeting=greeting, greet=False)
    assert answer_.status in (502, 503)


@pytest.mark.parametrize("block", [
    b"\x80", b"\xff\x80\x80\x01", b"\xbe", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x00\x05ab",
    b"\x00\x01x\x84\xff\xff\xff\xff", b"\x3f\xe1\xff\x03",
], ids=["index 0", "past the table", "empty table", "overflow", "string cut", "Huffman EOS",
    "size update over the limit"])
def test_case_52_swapped_header_compression(http2, block):
    http2.bad_gateway(BODY, f.headers(S, block + _OK, True), codes=None, stats=(), details=r"upstream_.*")
    connection = http2.malicious.connections[0]
    told = connection.wait_until(lambda: http2._told(connection), 2)
    codes = {f.COMPRESSION_ERROR, f.PROTOCOL_ERROR}
    assert told and http2._told(connection) & codes or http2.silence_is_an_answer, f"told {http2._told(connection)}"


@pytest.mark.parametrize("second", [
    f.frame(f.SETTINGS, 0, 0, b"12345"), f.data(S, b"x" * 20000), f.frame(0, 0, 0, b"", 1 << 23),
], ids=["SETTINGS", "DATA", "8 MB announced"])
def test_case_51_swapped_a_second_error_in_the_same_bytes(http2, second):
    http2.bad_gateway(BODY, (f.window_update(0) + second) * 20, codes=PROTOCOL, stats=(), details=r"upstream_.*")


def test_case_54_swapped_frames_after_the_end(http2):
    answer_ = http2.ask(BODY, Head(), Data(b"good", True), f.data(S, b"zombie", True) + f.rst_stream(S) * 3)
    assert answer_.status == 200 and answer_.body == b"good" and answer_.ended


def test_case_53_swapped_more_than_the_window(http2):
    """The client does not read, the upstream goes on all the same: refused, not stored."""
    def write(connection, stream, _):
        for _ in range(1500):
            if connection.ended or stream.reset is not None:
                return
            connection.send(f.data(stream.number, b"x" * 16384))

    http2.malicious.reset_records((BODY, Head(), write))
    with http2.connect(settings=((f.INITIAL_WINDOW_SIZE, 1),), auto_window=False) as client:
        stream = client.open(f.request_fields("/m"))
        client.finish(stream, 6)
        assert stream.reset is not None and not stream.ended
    http2.grew_by_less_than(60_000)
