# SPDX-License-Identifier: Apache-2.0
"""`meshbench serve` against clients that are not ours."""

import re
import shutil
import socket
import ssl
import subprocess

import grpc
import pytest
import websockets.sync.client

from PythonKit import tls


@pytest.fixture(scope="module")
def certificates():
    from PythonKit import certificates

    return certificates.material()


@pytest.fixture(scope="module")
def plain(meshbench):
    with meshbench.serve("--size", "1000") as server:
        yield server


@pytest.fixture(scope="module")
def secure(meshbench, certificates):
    with meshbench.serve("--cert", certificates.server.certificate_path, "--key", certificates.server.key_path) as server:
        yield server


def curl(*arguments):
    form = "%{http_version} %{response_code} %{size_download}"
    return subprocess.run(
        ["curl", "-s", "-k", "-o", "/dev/null", "-w", form, *arguments], capture_output=True, text=True, timeout=20
    ).stdout


def test_curl_gets_what_the_path_asks_for(plain, secure):
    assert curl(f"http://{plain.address}/") == "1.1 200 1000"
    assert curl(f"http://{plain.address}/x?size=100000&status=404") == "1.1 404 100000"
    assert curl("--http2-prior-knowledge", f"http://{plain.address}/?size=70000") == "2 200 70000"
    assert curl("--http2", f"https://{secure.address}/?size=5&status=503") == "2 503 5"
    assert curl("--http1.1", "-d", "body", f"https://{secure.address}/?size=5") == "1.1 200 5"
    assert curl("-I", f"http://{plain.address}/") == "1.1 200 0"


def test_h2load_succeeds_with_every_request(plain):
    binary = shutil.which("h2load")
    assert binary, "no h2load: run Scripts/packages.sh"
    done = subprocess.run(
        [binary, "-n", "2000", "-c", "4", "-m", "10", f"http://{plain.address}/"], capture_output=True, text=True, timeout=60
    )
    assert re.search(r"2000 done, 2000 succeeded, 0 failed", done.stdout), done.stdout


def test_wrk_meets_no_error(plain):
    done = subprocess.run(
        ["wrk", "-d", "1", "-c", "4", "-t", "1", f"http://{plain.address}/"], capture_output=True, text=True, timeout=60
    )
    assert "requests in" in done.stdout and "Socket errors" not in done.stdout and "Non-2xx" not in done.stdout, done.stdout


def test_google_grpc_makes_every_kind_of_call(meshbench):
    with meshbench.serve("--size", "30") as server, grpc.insecure_channel(server.address) as channel:
        assert channel.unary_unary("/meshbench.Echo/Echo")(b"hello", timeout=10) == b"hello"
        collected = channel.stream_unary("/meshbench.Echo/Collect")(iter([b"a", b"b" * 100_000]), timeout=10)
        assert len(collected) == 30
        repeated = list(channel.unary_stream("/meshbench.Echo/Repeat?messages=2000&size=1000")(b"", timeout=20))
        assert len(repeated) == 2000 and {len(m) for m in repeated} == {1000}
        sent = [b"x" * n for n in (0, 1, 5, 200_000)]
        assert list(channel.stream_stream("/meshbench.Echo/Echo")(iter(sent), timeout=10)) == sent
        with pytest.raises(grpc.RpcError) as failure:
            channel.unary_unary("/meshbench.Echo/Echo?status=503")(b"hello", timeout=10)
        assert failure.value.code() == grpc.StatusCode.UNAVAILABLE


def test_websockets_are_echoed(plain, secure):
    for url, context in ((f"ws://{plain.address}/", None), (f"wss://{secure.address}/", tls.client_context())):
        with websockets.sync.client.connect(url, ssl=context, max_size=None, compression=None, proxy=None) as client:
            for message in ("text", b"", b"x" * 125, b"y" * 126, b"z" * 65_536, b"w" * 3_000_000):
                client.send(message)
                assert client.recv(timeout=10) == message
            client.send([b"in ", b"three ", b"pieces"])
            assert client.recv(timeout=10) == b"in three pieces"
            assert client.ping().wait(10)
        assert client.close_code == 1000


@pytest.mark.parametrize(
    "wire", [b"\x82\x01x", b"\x83\x80\0\0\0\0", b"\xf2\x80\0\0\0\0", b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"]
)
def test_what_is_no_frame_of_a_client_ends_the_websocket(plain, wire):
    host, port = plain.address.split(":")
    with socket.create_connection((host, int(port)), 10) as client:
        client.sendall(
            b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += client.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101") and b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer
        client.sendall(wire)
        try:
            assert client.recv(4096) == b""
        except ConnectionResetError:
            pass
    assert curl(f"http://{plain.address}/") == "1.1 200 1000"


def test_tcp_echoes_discards_and_sends(meshbench):
    def connect(server):
        host, port = server.address.split(":")
        return socket.create_connection((host, int(port)), 10)

    with meshbench.serve("--tcp") as server, connect(server) as client:
        # More than the kernel holds: the server stops reading while nobody takes its echo.
        block = bytes(range(256)) * 64
        client.setblocking(False)
        sent = 0
        stuck = 0
        while stuck < 20 and sent < 100_000_000:
            try:
                sent += client.send(block)
                stuck = 0
            except BlockingIOError:
                stuck += 1
                client.settimeout(0.05)
                try:
                    sent += client.send(block)
                except TimeoutError:
                    pass
                client.setblocking(False)
        assert sent < 100_000_000
        client.settimeout(10)
        received = 0
        while received < sent:
            received += len(client.recv(1 << 20))
        assert received == sent
    with meshbench.serve("--tcp") as server, connect(server) as client:
        # All of it comes back although the client has ended its side.
        client.sendall(bytes(300_000))
        client.shutdown(socket.SHUT_WR)
        received = 0
        while data := client.recv(1 << 20):
            received += len(data)
        assert received == 300_000
    with meshbench.serve("--tcp", "--tcp-answer", "discard") as server, connect(server) as client:
        client.sendall(bytes(1_000_000))
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
    with meshbench.serve("--tcp", "--tcp-answer", "source") as server, connect(server) as client:
        received = 0
        while received < 5_000_000:
            received += len(client.recv(1 << 20))


def test_clients_without_a_certificate_are_refused(meshbench, certificates):
    flags = ["--cert", certificates.server.certificate_path, "--key", certificates.server.key_path, "--ca", certificates.ca.path]
    with meshbench.serve(*flags) as server:
        assert curl(f"https://{server.address}/").startswith("0 000") or curl(f"https://{server.address}/").endswith(" 000 0")
        shown = ["--cert", str(certificates.client.certificate_path), "--key", str(certificates.client.key_path)]
        assert curl(*shown, f"https://{server.address}/") == "2 200 0"


def test_a_foreign_client_resumes_its_session(secure):
    host, port = secure.address.split(":")
    context = tls.client_context(maximum=ssl.TLSVersion.TLSv1_2)
    session = None
    for expected in (False, True):
        with socket.create_connection((host, int(port)), 10) as bare, context.wrap_socket(bare, session=session) as client:
            assert client.session_reused is expected
            client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
            session = client.session
