# SPDX-License-Identifier: Apache-2.0
"""A real WebSocket client and server through the upgrade."""

import concurrent.futures
import threading

import pytest
from peers import start_proxy
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import serve

from PythonKit.ports import free_port


def _echo(socket):
    for message in socket:
        if message == "close me":
            socket.close(4001, "as asked")
            return
        socket.send(message)


@pytest.fixture(scope="module")
def apus(tmp_path_factory, apus_binary, nginx):
    port = free_port()
    server = serve(_echo, "127.0.0.1", port, max_size=None, compression=None)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    made = start_proxy(apus_binary, tmp_path_factory.mktemp("websocket"), nginx.port, nginx.port, websocket_port=port)
    yield made
    made.proxy.stop()
    server.shutdown()
    thread.join(5)


def _connect(apus, listener="websocket", **options):
    return connect(f"ws://127.0.0.1:{apus.ports[listener]}/chat", max_size=None, proxy=None, **options)


def test_messages_both_ways(apus):
    with _connect(apus, compression=None) as socket:
        for message in ("text", "ünïcode", b"\x00\xff binary", "", b"x" * 70000):
            socket.send(message)
            assert socket.recv(timeout=5) == message


def test_a_mebibyte_in_one_message(apus):
    message = bytes(range(256)) * 4096
    with _connect(apus, compression=None) as socket:
        socket.send(message)
        assert socket.recv(timeout=10) == message


def test_ping_is_answered_by_the_server(apus):
    with _connect(apus) as socket:
        assert socket.ping().wait(5)


def test_compression_is_negotiated_through(apus):
    with _connect(apus) as socket:
        socket.send("a" * 10000)
        assert socket.recv(timeout=5) == "a" * 10000


def test_server_closes_with_its_code(apus):
    with _connect(apus) as socket:
        socket.send("close me")
        with pytest.raises(Exception):
            socket.recv(timeout=5)
        assert socket.close_code == 4001 and socket.close_reason == "as asked"


def test_client_closes_cleanly(apus):
    with _connect(apus) as socket:
        socket.send("x")
        assert socket.recv(timeout=5) == "x"
        socket.close(1000)
        assert socket.close_code == 1000


def test_twenty_at_once(apus):
    def talk(number):
        with _connect(apus, compression=None) as socket:
            for turn in range(50):
                message = f"{number}-{turn}" * 20
                socket.send(message)
                assert socket.recv(timeout=10) == message
        return True

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        assert all(pool.map(talk, range(20)))


def test_refused_where_not_enabled(apus):
    with pytest.raises(InvalidStatus) as refused:
        _connect(apus, "main")
    assert refused.value.response.status_code == 403
