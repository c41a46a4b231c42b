# SPDX-License-Identifier: Apache-2.0
"""meshbench's client against servers that are not ours: what they saw is what was asked for."""

import collections
import contextlib
import json

import pytest
from peers import Nginx, grpc_server, nghttpd, tcp_server, websocket_server

SHORT = ["-d", "0.5s", "--warm-up", "0s"]


@pytest.fixture(scope="module")
def certificates():
    from PythonKit import certificates

    return certificates.material()


@pytest.fixture(scope="module")
def nginx(tmp_path_factory, certificates):
    with Nginx(tmp_path_factory.mktemp("nginx"), certificates.server) as server:
        yield server


def test_nginx_answers_over_http1_and_by_alpn_over_http2(meshbench, tmp_path, nginx):
    for url, protocol, logged in (
        (f"http://127.0.0.1:{nginx.port}/one", "http1", "HTTP/1.1"),
        (f"https://127.0.0.1:{nginx.tls_port}/two", "http1", "HTTP/1.1"),
        (f"https://127.0.0.1:{nginx.tls_port}/three", "http2", "HTTP/2.0"),
    ):
        path = url.rpartition("/")[2]
        streams = ["-s", 8] if protocol == "http2" else []
        summary = meshbench.run(tmp_path, url, "-p", protocol, "-c", 2, *streams, *SHORT)
        assert summary["failures"] == {} and summary["completed"] > 20
        seen = [line for line in nginx.lines if line["path"] == f"/{path}"]
        assert {line["protocol"] for line in seen} == {logged}
        # Those that ended after the measured time were asked too.
        assert len(seen) >= summary["completed"]


def test_a_planned_number_of_requests_is_that_number_at_the_server(meshbench, tmp_path, nginx):
    summary = meshbench.run(tmp_path, f"http://127.0.0.1:{nginx.port}/counted", "--rate", 400, *SHORT)
    assert summary["planned"] == summary["completed"] == 200
    assert sum(line["path"] == "/counted" for line in nginx.lines) == 200


@pytest.mark.parametrize("flags", [["-c", 2], ["-p", "http2", "-c", 2, "-s", 8]], ids=["http1", "http2"])
def test_connections_that_end_by_agreement_lose_nothing(meshbench, tmp_path, flags):
    """nginx says `connection: close`, or GOAWAY, each twenty requests: the next ones go elsewhere and keep their times."""
    with Nginx(tmp_path, requests=20) as server:
        port = server.h2_port if "http2" in flags else server.port
        summary = meshbench.run(tmp_path, f"http://127.0.0.1:{port}/", "--rate", 1000, *flags, *SHORT)
        seen = server.lines
    assert summary["failures"] == {} and summary["planned"] == summary["completed"] == 500
    assert len(seen) == 500 and len({line["connection"] for line in seen}) >= 25


def test_http2_by_prior_knowledge(meshbench, tmp_path):
    with nghttpd(tmp_path) as port:
        summary = meshbench.run(tmp_path, f"http://127.0.0.1:{port}/index.html", "-p", "http2", "-c", 2, "-s", 16, *SHORT)
    assert summary["failures"] == {} and summary["completed"] > 20


def test_a_server_that_does_not_choose_http2_is_named(meshbench, tmp_path, certificates):
    """A TLS server without ALPN: speaking HTTP/2 to it would be guessing."""
    with meshbench.serve("--tcp", "--cert", certificates.server.certificate_path, "--key", certificates.server.key_path) as server:
        done = meshbench.command("run", f"https://{server.address}/", "-p", "http2", *SHORT)
    assert done.returncode == 1
    assert "the server chose no protocol by ALPN; wanted: h2" in done.stderr


def test_hosts_paths_headers_and_sizes_are_walked_through(meshbench, tmp_path, nginx):
    hosts = tmp_path / "hosts"
    hosts.write_text("one.test\ntwo.test\n")
    headers = tmp_path / "headers"
    headers.write_text("x-user: u{1..3}\n")
    meshbench.run(
        tmp_path, f"http://127.0.0.1:{nginx.port}/walk/{{1..5}}", "--hosts", hosts, "--headers", headers, "-X", "POST",
        "--body-size", "100*9,5000*1", "--rate", 2000, "-d", "0.51s", "--warm-up", "0s",
    )  # fmt: skip
    seen = [line for line in nginx.lines if line["path"].startswith("/walk/")]
    assert len(seen) == 1020
    # Every combination of two hosts, three users and five paths, as often as the others.
    combinations = collections.Counter((line["host"], line["user"], line["path"]) for line in seen)
    assert len(combinations) == 30 and set(combinations.values()) == {34}
    assert collections.Counter(line["length"] for line in seen) == {"100": 918, "5000": 102}


def test_requests_come_from_a_file(meshbench, tmp_path, nginx):
    file = tmp_path / "requests"
    file.write_text(
        '{"path": "/file/a", "host": "a.test"}\n{"path": "/file/b", "method": "POST", "size": 7, "headers": {"X-User": "me"}}\n'
    )
    meshbench.run(tmp_path, f"http://127.0.0.1:{nginx.port}/", "--requests", file, "--rate", 100, "-d", "0.2s", "--warm-up", "0s")
    seen = collections.Counter(
        (line["path"], line["host"], line["user"], line["length"]) for line in nginx.lines if line["path"].startswith("/file/")
    )
    assert seen == {("/file/a", "a.test", "-", "-"): 10, ("/file/b", "127.0.0.1", "me", "7"): 10}


@pytest.mark.parametrize("resume", [False, True])
def test_sessions_are_resumed_when_asked_to(meshbench, tmp_path, nginx, resume):
    path = f"/resume-{resume}"
    summary = meshbench.run(
        tmp_path, f"https://127.0.0.1:{nginx.tls_port}{path}", "--connect-per-request", *(["--resume"] if resume else []), "--rate",
        100, "-c", 1, *SHORT,
    )  # fmt: skip
    assert summary["failures"] == {}
    seen = collections.Counter(line["reused"] for line in nginx.lines if line["path"] == path)
    # The first connection has nothing to resume.
    assert seen == ({"r": 49, ".": 1} if resume else {".": 50})
    assert summary["resumedSessions"] == (49 if resume else 0)
    assert summary["connectionsMade"] == 50


def test_a_client_certificate_is_shown(meshbench, tmp_path, certificates):
    with Nginx(tmp_path, certificates.server, client_ca=certificates.ca.path) as server:
        url = f"https://127.0.0.1:{server.tls_port}/"
        flags = ["--cert", certificates.client.certificate_path, "--key", certificates.client.key_path]
        summary = meshbench.run(tmp_path, url, "-p", "http2", "--rate", 40, *flags, *SHORT)
        assert summary["failures"] == {} and summary["completed"] == 20
        assert {line["verified"] for line in server.lines} == {"SUCCESS"}
        without = meshbench.run(tmp_path, url, "--rate", 40, *SHORT)
        assert without["failures"] == {"4xx": 20}


def test_an_untrusted_server_is_refused(meshbench, tmp_path, nginx, certificates):
    url = f"https://127.0.0.1:{nginx.tls_port}/trust"
    trusted = meshbench.run(tmp_path, url, "--ca", certificates.ca.path, "--rate", 40, *SHORT)
    assert trusted["failures"] == {} and trusted["completed"] == 20
    done = meshbench.command("run", url, "--ca", certificates.other_ca.path, "--rate", 40, *SHORT)
    assert done.returncode == 1 and "TLS:" in done.stderr


@pytest.mark.parametrize(
    "call, method, messages, expected",
    [
        ("unary", "Unary", 1, ("unary", 50)),
        ("client-stream", "ClientStream", 4, ("client-stream", 50, 50, 50, 50)),
        ("server-stream", "ServerStream", 7, ("server-stream", 50)),
        ("bidi", "Bidi", 5, ("bidi", 5)),
    ],
)
def test_every_kind_of_grpc_call_arrives(meshbench, tmp_path, call, method, messages, expected):
    with grpc_server() as (port, seen):
        summary = meshbench.run(
            tmp_path, f"http://127.0.0.1:{port}/test.Echo/{method}", "-p", "grpc", "--grpc-call", call, "--messages", messages,
            "--body-size", 50, "--rate", 40, "-c", 2, *SHORT,
        )  # fmt: skip
    assert summary["failures"] == {} and summary["completed"] == 20
    assert collections.Counter(seen) == {expected: 20}
    each = {"unary": 2, "client-stream": 5, "server-stream": 8, "bidi": 10}[call]
    # The last call may end after the measured time.
    assert summary["messagesPerSecond"] == pytest.approx(40 * each, rel=0.06)


def test_grpc_failures_and_wrong_counts_are_told_apart(meshbench, tmp_path):
    with grpc_server() as (port, _):
        flags = ["-p", "grpc", "--rate", 40, "-c", 2, *SHORT]
        failing = meshbench.run(tmp_path, f"http://127.0.0.1:{port}/test.Fail/Unary", *flags)
        unknown = meshbench.run(tmp_path, f"http://127.0.0.1:{port}/test.Echo/Nothing", *flags)
        fewer = meshbench.run(
            tmp_path, f"http://127.0.0.1:{port}/test.Echo/ServerStream", "--grpc-call", "server-stream", "--messages", 8, *flags
        )
    assert failing["failures"] == unknown["failures"] == {"grpc status": 20}
    assert fewer["failures"] == {"malformed": 20}


def test_websocket_messages_come_back(meshbench, tmp_path):
    sizes = collections.Counter()

    def echo(connection):
        with contextlib.suppress(Exception):
            connection.ping()
            for message in connection:
                assert isinstance(message, bytes)
                sizes[len(message)] += 1
                # In pieces: the answer is whole when the last one came.
                connection.send([message[:1], message[1:]] if len(message) > 1 else message)

    with websocket_server(echo) as port:
        summary = meshbench.run(
            tmp_path, f"ws://127.0.0.1:{port}/", "--body-size", "0*1,70000*1", "--rate", 100, "-c", 2, "-d", "0.4s", "--warm-up", "0s"
        )
    assert summary["failures"] == {} and summary["completed"] == 40
    assert set(sizes) == {0, 70000} and sum(sizes.values()) == 40


def test_a_websocket_that_is_refused_or_closed_is_a_failure(meshbench, tmp_path, nginx):
    done = meshbench.command("run", f"ws://127.0.0.1:{nginx.port}/", *SHORT)
    assert done.returncode == 1 and "the server answered 200 to the upgrade" in done.stderr

    def leave(connection):
        with contextlib.suppress(Exception):
            connection.recv()

    with websocket_server(leave) as port:
        summary = meshbench.run(tmp_path, f"ws://127.0.0.1:{port}/", "--rate", 40, "-c", 1, *SHORT, "--timeout", "2s")
    assert summary["completed"] == 0 and set(summary["failures"]) <= {"closed", "not sent"}
    assert sum(summary["failures"].values()) == 20


def test_tcp_blocks_and_bulk_move_bytes_both_ways(meshbench, tmp_path):
    def echo(client):
        while data := client.recv(65536):
            client.sendall(data)

    def sink(client):
        received.append(0)
        place = len(received) - 1
        while data := client.recv(1 << 20):
            received[place] += len(data)

    def source(client):
        while True:
            client.sendall(bytes(1 << 20))

    received = []
    with tcp_server(echo) as port:
        blocks = meshbench.run(tmp_path, f"tcp://127.0.0.1:{port}", "--body-size", 3000, "--rate", 100, "-c", 2, *SHORT)
        duplex = meshbench.run(tmp_path, f"tcp://127.0.0.1:{port}", "--tcp-mode", "duplex", "-c", 1, *SHORT)
    assert blocks["failures"] == {} and blocks["completed"] == 50
    # The last of them may come after the measured time.
    assert blocks["bytesPerSecond"] == blocks["bytesSentPerSecond"] == pytest.approx(300_000, rel=0.05)
    assert duplex["failures"] == {} and duplex["bytesPerSecond"] == duplex["bytesSentPerSecond"] > 10_000_000
    with tcp_server(sink) as port:
        upload = meshbench.run(tmp_path, f"tcp://127.0.0.1:{port}", "--tcp-mode", "upload", "-c", 2, *SHORT)
    assert upload["failures"] == {} and upload["bytesPerSecond"] == 0
    # The sink has all of it, and what was sent beyond the measured time.
    assert sum(received) >= upload["bytesSentPerSecond"] * 0.5 > 5_000_000
    with tcp_server(source) as port:
        download = meshbench.run(tmp_path, f"tcp://127.0.0.1:{port}", "--tcp-mode", "download", "-c", 2, *SHORT)
    assert download["failures"] == {} and download["bytesSentPerSecond"] == 0
    assert download["bytesPerSecond"] > 10_000_000


def test_an_echo_of_other_bytes_is_a_wrong_answer(meshbench, tmp_path):
    def scramble(client):
        while data := client.recv(65536):
            client.sendall(data[:-1] + b"!")

    def shout(connection):
        with contextlib.suppress(Exception):
            for message in connection:
                connection.send(message.upper())

    with tcp_server(scramble) as port:
        flags = ["--body-size", 100, "--rate", 40, "-c", 1, *SHORT]
        block = meshbench.run(tmp_path, f"tcp://127.0.0.1:{port}", *flags)
        duplex = meshbench.run(tmp_path, f"tcp://127.0.0.1:{port}", "--tcp-mode", "duplex", "-c", 1, "--body-size", 65536, *SHORT)
    with websocket_server(shout) as port:
        message = meshbench.run(tmp_path, f"ws://127.0.0.1:{port}/", *flags)
    assert block["failures"] == message["failures"] == {"wrong answer": 20}
    assert duplex["failures"]["wrong answer"] > 0


def test_a_wrong_echo_is_malformed(meshbench, tmp_path):
    def babble(client):
        client.recv(65536)
        client.sendall(bytes(5000))
        while client.recv(65536):
            pass

    with tcp_server(babble) as port:
        summary = meshbench.run(tmp_path, f"tcp://127.0.0.1:{port}", "--body-size", 100, "--rate", 40, "-c", 1, *SHORT)
    assert summary["completed"] == 0 and summary["failures"]["malformed"] > 0
    assert json.dumps(summary["failures"]).count("timeout") == 0
