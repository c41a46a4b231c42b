# SPDX-License-Identifier: Apache-2.0
"""A real gRPC client and server through Apus: over plain HTTP/2, and over mTLS on both sides."""

import asyncio
import concurrent.futures
import time

import grpc
import pytest


@pytest.fixture(scope="module", params=[False, True], ids=["h2c", "mTLS"])
def channel(request, http2):
    with http2.channel(request.param) as made:
        yield made


def _unary(channel, method, message=b"", **options):
    return channel.unary_unary(f"/test.Echo/{method}")(message, timeout=options.pop("timeout", 10), **options)


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 65535, 1 << 20, 5 << 20])
def test_unary(channel, size):
    message = bytes(index & 0xFF for index in range(min(size, 65536))) * max(size // 65536, 1)
    assert _unary(channel, "Unary", message) == message


def test_many_in_a_row(channel):
    call = channel.unary_unary("/test.Echo/Unary")
    for index in range(500):
        assert call(str(index).encode(), timeout=5) == str(index).encode()


def test_client_stream(channel):
    messages = (bytes(1000) for _ in range(500))
    assert channel.stream_unary("/test.Echo/Upload")(messages, timeout=10) == b"500 500000"


def test_large_client_stream(channel):
    messages = (bytes(1 << 20) for _ in range(16))
    assert channel.stream_unary("/test.Echo/Upload")(messages, timeout=20) == b"16 16777216"


def test_server_stream(channel):
    found = list(channel.unary_stream("/test.Echo/Download")(b"500 1000", timeout=10))
    assert [int.from_bytes(m[:4], "big") for m in found] == list(range(500)) and {len(m) for m in found} == {1004}


def test_large_server_stream(channel):
    assert sum(len(m) for m in channel.unary_stream("/test.Echo/Download")(b"16 1048576", timeout=20)) > 16 << 20


def test_both_ways_in_turn(channel):
    """Each message waits for the answer to the one before: nothing is held back until the end."""
    turn, sent = [], []

    def messages():
        for index in range(100):
            deadline = time.monotonic() + 5
            while len(turn) < index and time.monotonic() < deadline:
                time.sleep(0.0005)
            sent.append(index)
            yield str(index).encode()

    for answer in channel.stream_stream("/test.Echo/Chat")(messages(), timeout=20):
        assert answer == str(len(turn)).encode() and len(sent) == len(turn) + 1
        turn.append(answer)
    assert len(turn) == 100


def test_metadata_both_ways(channel):
    call = channel.unary_unary("/test.Echo/Metadata")
    sent = (("x-text", "value"), ("x-twice", "1"), ("x-twice", "2"), ("x-data-bin", b"\0\x01\xff"))
    message, about = call.with_call(b"", metadata=sent, timeout=5)
    for line in (b"x-text='value'", b"x-twice='1'", b"x-twice='2'", b"x-data-bin=" + repr(b"\0\x01\xff").encode()):
        assert line in message.split(b"\n"), message
    assert {("x-initial", "i"), ("x-binary-bin", b"\0\xff\x80")} <= {tuple(p) for p in about.initial_metadata()}
    assert {("x-trailing", "t"), ("x-trailing-bin", b"\xfe\0")} <= {tuple(p) for p in about.trailing_metadata()}


@pytest.mark.parametrize("code", [c for c in grpc.StatusCode if c is not grpc.StatusCode.OK], ids=lambda c: c.name)
def test_error_status(channel, code):
    with pytest.raises(grpc.RpcError) as failed:
        _unary(channel, "Fail", f"{code.name} because: 100 % \u00e9".encode())
    assert (failed.value.code(), failed.value.details()) == (code, "because: 100 % \u00e9")
    assert ("x-trailing", "t") in {tuple(p) for p in failed.value.trailing_metadata()}


def test_error_after_messages(channel):
    answers = channel.unary_stream("/test.Echo/FailLate")(b"", timeout=5)
    found = []
    with pytest.raises(grpc.RpcError) as failed:
        for message in answers:
            found.append(message)
    assert found == [b"first", b"second"]
    assert (failed.value.code(), failed.value.details()) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED, "enough: 100 % \u00e9")


def test_unknown_method(channel):
    with pytest.raises(grpc.RpcError) as failed:
        _unary(channel, "Nothing")
    assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED


def _until(condition, timeout=5.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.02)


def test_deadline(channel):
    """The client gives up in time, and the server hears of it."""
    before = int(_unary(channel, "Cancelled"))
    begun = time.monotonic()
    with pytest.raises(grpc.RpcError) as failed:
        _unary(channel, "Sleep", b"30", timeout=0.3)
    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED and time.monotonic() - begun < 2
    _until(lambda: int(_unary(channel, "Cancelled")) == before + 1)


def test_cancellation(channel):
    before = int(_unary(channel, "Cancelled"))
    call = channel.unary_unary("/test.Echo/Sleep").future(b"30", timeout=60)
    time.sleep(0.2)
    call.cancel()
    with pytest.raises(grpc.FutureCancelledError):
        call.result()
    _until(lambda: int(_unary(channel, "Cancelled")) == before + 1)


def test_cancellation_of_a_stream(channel):
    opened = int(_unary(channel, "Open"))
    stop = concurrent.futures.Future()

    def messages():
        yield b"one"
        stop.result(10)

    call = channel.stream_stream("/test.Echo/Chat")(messages(), timeout=60)
    assert next(call) == b"one" and int(_unary(channel, "Open")) == opened + 1
    call.cancel()
    stop.set_result(None)
    _until(lambda: int(_unary(channel, "Open")) == opened)


@pytest.mark.parametrize("secure, channels, streams", [(False, 10, 1000), (True, 2, 500)], ids=["h2c", "mTLS"])
def test_concurrent_streams(http2, secure, channels, streams):
    """All open at once, each answering before and after the others have come: 10,000 over 10 connections."""
    assert asyncio.run(_talk_over_many(http2, secure, channels, streams)) == channels * streams


async def _talk_over_many(http2, secure, channels, streams):
    """In waves of one connection: grpcio's own client fails calls where ten thousand begin in one turn of its loop."""
    made = [http2.aio_channel(secure) for _ in range(channels)]
    waves = []

    async def say(call, message):
        await call.write(message)
        assert await call.read() == message

    async def end(call):
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF and await call.code() is grpc.StatusCode.OK

    try:
        for channel in made:
            waves.append([channel.stream_stream("/test.Echo/Chat")(timeout=120) for _ in range(streams)])
            await asyncio.gather(*(say(call, b"first") for call in waves[-1]))
        opened = int(await made[0].unary_unary("/test.Echo/Open")(b"", timeout=60))
        for calls in waves:
            await asyncio.gather(*(say(call, str(index).encode()) for index, call in enumerate(calls)))
        for calls in waves:
            await asyncio.gather(*(end(call) for call in calls))
        return opened
    finally:
        for channel in made:
            await channel.close()
