# SPDX-License-Identifier: Apache-2.0
"""A reset, an end and a pause at every byte of a good exchange, from both sides: nothing crashes, nothing leaks, nothing is invented."""

import pytest

from PythonKit.client import Connection, ConnectionEnded, chunked, get, request
from PythonKit.upstream import BODY, CLOSE, RESET, response

_REQUEST = request("/p", method="POST", headers=[("transfer-encoding", "chunked"), ("x-a", "b")]) + chunked(
    b"hello", b"world"
)
_RESPONSE = response(200, chunks=[b"hello", b"world"], trailers=[("x-t", "v")])


@pytest.mark.parametrize("how", ["reset", "close"])
def test_client_ends_at_every_byte_of_a_request(proxy, how):
    for length in range(len(_REQUEST)):
        connection = Connection(proxy.ports["main"])
        connection.send(_REQUEST[:length])
        connection.reset() if how == "reset" else connection.close()
    assert all(not r.complete or r.framing == "none" for r in proxy.upstream.requests) or how == "close"
    # Whatever had arrived when the end was noticed may have been passed on, in order and with nothing added.
    assert proxy.upstream.wait_until(lambda u: all(b"helloworld".startswith(r.body) for r in u.requests))


def test_request_split_at_every_byte(proxy):
    """Two segments, split anywhere, are one request."""
    for length in range(1, len(_REQUEST)):
        with Connection(proxy.ports["main"]) as connection:
            connection.send(_REQUEST[:length])
            connection.send(_REQUEST[length:])
            assert connection.read_response().status == 200, f"split at {length}"
    assert all(r.body == b"helloworld" for r in proxy.upstream.requests)
    assert len(proxy.upstream.requests) == len(_REQUEST) - 1


def test_request_byte_by_byte(proxy):
    with Connection(proxy.ports["main"]) as connection:
        for _ in range(3):
            connection.send_bytewise(_REQUEST)
            assert connection.read_response().status == 200
    assert [r.body for r in proxy.upstream.requests] == [b"helloworld"] * 3


@pytest.mark.parametrize("how", [RESET, CLOSE])
def test_upstream_ends_at_every_byte_of_a_response(proxy, how):
    """Before the head is complete the client gets an error, after it a cut; only the whole response is a clean end."""
    head_end = _RESPONSE.index(b"\r\n\r\n") + 4
    for length in range(len(_RESPONSE)):
        proxy.upstream.reset_records((BODY, _RESPONSE[:length], how) if length else (BODY, how))
        with Connection(proxy.ports["main"]) as connection:
            connection.send(request("/r"))
            answer = connection.read_response(timeout=3)
        if answer.status == 200:
            assert length >= head_end and not answer.complete, f"cut at {length} looks complete: {answer}"
        else:
            assert answer.status in (502, 503), f"cut at {length}: {answer.status}"
            # A reset may overtake the head that was sent before it, a close may not.
            assert length < head_end or how == RESET, f"cut at {length}: the head was complete"


def test_response_split_at_every_byte(proxy):
    for length in range(1, len(_RESPONSE)):
        proxy.upstream.reset_records((BODY, _RESPONSE[:length], 0.001, _RESPONSE[length:]))
        answer = get(proxy.ports["main"], "/r")
        assert (answer.status, answer.body, answer.complete) == (200, b"helloworld", True), (
            f"split at {length}: {answer}"
        )


def test_response_byte_by_byte(proxy):
    proxy.upstream.reset_records((BODY, *(_RESPONSE[i : i + 1] for i in range(len(_RESPONSE)))))
    for _ in range(3):
        assert get(proxy.ports["main"], "/r").body == b"helloworld"


def test_client_leaves_at_every_byte_of_a_response(proxy):
    """The client reads so much and resets; the upstream's answer goes nowhere, and nobody else gets it."""
    big = response(200, b"B" * 100_000)
    proxy.upstream.reset_records((BODY, big))
    for count in (1, 2, 5, 9, 12, 15, 17, 30, 60, 100, 150, 200, 1000, 10_000, 60_000, 99_000):
        connection = Connection(proxy.ports["main"])
        connection.send(request("/r"))
        try:
            connection.read_exactly(count)
        except ConnectionEnded:
            pytest.fail("the proxy ended first")
        connection.reset()
    proxy.upstream.reset_records()
    for _ in range(20):
        assert get(proxy.ports["main"], "/r").body == b"a"


def test_no_stream_is_left_active(proxy):
    """After all of it the gauges are back where they began."""
    for length in range(0, len(_REQUEST), 3):
        connection = Connection(proxy.ports["main"])
        connection.send(_REQUEST[:length])
        connection.reset()
    names = (
        "http.main.downstream_rq_active",
        "http.main.downstream_cx_active",
        "cluster.a.upstream_rq_active",
        "cluster.a.upstream_rq_pending_active",
    )
    for _ in range(100):
        stats = proxy.proxy.stats()
        left = {name: stats.get(name, 0) for name in names if stats.get(name, 0)}
        if not left:
            return
    assert not left
