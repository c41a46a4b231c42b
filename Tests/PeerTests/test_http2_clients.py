# SPDX-License-Identifier: Apache-2.0
"""Real HTTP/2 and TLS clients through Apus: nghttp, h2load, curl, openssl, and Python's h2 library."""

import hashlib
import os
import socket
import ssl
import subprocess

import h2.config
import h2.connection
import h2.events
import pytest
from peers import h2load, run, tool

from PythonKit.certificates import material

_BIG = bytes(range(256)) * 4096
_HELLO = b"hello from nginx"
#: Requests without one error; a million where the time is there.
_REQUESTS = int(os.environ.get("APUS_PEER_REQUESTS", "100000"))


def _curl(*arguments, **options):
    return run(tool("curl"), "--silent", "--show-error", "--fail", "--max-time", "15", *arguments, **options)


def _secure(http2, listener, path="/"):
    """curl's arguments for a verified server, and a client certificate where one is demanded."""
    m, port = material(), http2.ports[listener]
    own = ["--cert", str(m.client.certificate_path), "--key", str(m.client.key_path)] if listener == "mtls" else []
    return [
        "--cacert", str(m.ca.path), "--resolve", f"server.test:{port}:127.0.0.1", *own,
        f"https://server.test:{port}{path}",
    ]


@pytest.mark.parametrize("listener", ["h2", "h2_to_h1"])
def test_curl_with_prior_knowledge(http2, listener):
    url = f"http://127.0.0.1:{http2.ports[listener]}"
    version = "%{http_version}"
    assert _curl("--http2-prior-knowledge", "-w", version, f"{url}/") == _HELLO + b"2"
    assert hashlib.sha256(_curl("--http2-prior-knowledge", f"{url}/big")).digest() == hashlib.sha256(_BIG).digest()


@pytest.mark.parametrize("listener", ["tls", "mtls"])
@pytest.mark.parametrize("option, version", [("--http2", b"2"), ("--http1.1", b"1.1")])
@pytest.mark.parametrize("tls", ["--tlsv1.3", "--tls-max=1.2"])
def test_curl_over_tls(http2, listener, option, version, tls):
    found = _curl(option, *tls.split("="), "-w", "%{http_version}", *_secure(http2, listener))
    assert found == _HELLO + version
    assert _curl(option, *tls.split("="), *_secure(http2, listener, "/big")) == _BIG


def test_curl_without_its_certificate_is_refused(http2):
    m, port = material(), http2.ports["mtls"]
    found = subprocess.run(
        [tool("curl"), "--silent", "--show-error", "--cacert", str(m.ca.path), "--resolve",
         f"server.test:{port}:127.0.0.1", f"https://server.test:{port}/"],
        capture_output=True, timeout=15,
    )
    assert found.returncode in (16, 35, 55, 56) and not found.stdout, found


def test_curl_from_http_1_to_http_2(http2):
    url = f"http://127.0.0.1:{http2.ports['h1_to_h2']}"
    assert _curl(f"{url}/") == _HELLO and _curl(f"{url}/big") == _BIG


def test_curl_many_streams_of_one_connection(http2):
    """Over TLS: this curl loses its way where prior knowledge and --parallel meet."""
    *options, url = _secure(http2, "tls")
    targets = [part for index in range(50) for part in ("-o", "/dev/null", f"{url}{index}")]
    counts = _curl(
        "--http2", "--parallel", "-w", "%{num_connects} %{http_version} %{http_code}\n", *options, *targets).split()
    assert counts[1::3] == [b"2"] * 50 and counts[2::3] == [b"200"] * 50 and sum(map(int, counts[::3])) <= 2


@pytest.mark.parametrize("listener", ["h2", "h2_to_h1"])
def test_nghttp(http2, listener):
    url = f"http://127.0.0.1:{http2.ports[listener]}"
    assert run(tool("nghttp"), f"{url}/") == _HELLO
    assert hashlib.sha256(run(tool("nghttp"), f"{url}/big")).digest() == hashlib.sha256(_BIG).digest()
    # A tiny window, padding, and many requests of one connection.
    shown = run(tool("nghttp"), "-nv", "-w", "10", "-W", "10", "-b", "64", "-m", "20", f"{url}/big").decode()
    assert shown.count(":status: 200") == 20 and "RST_STREAM" not in shown


def test_nghttp_with_a_client_certificate(http2):
    m, port = material(), http2.ports["mtls"]
    found = run(
        tool("nghttp"), "--cert", str(m.client.certificate_path), "--key", str(m.client.key_path),
        f"https://localhost:{port}/")
    assert found == _HELLO


@pytest.mark.parametrize("listener", ["h2", "h2_to_h1"])
def test_h2load_has_no_errors(http2, listener):
    h2load("-n", str(_REQUESTS), "-c", "10", "-m", "32", f"http://127.0.0.1:{http2.ports[listener]}/")


def test_h2load_over_tls_has_no_errors(http2):
    output = h2load("-n", str(_REQUESTS // 5), "-c", "10", "-m", "32", f"https://127.0.0.1:{http2.ports['tls']}/")
    assert "Application protocol: h2" in output


def test_h2load_of_large_bodies_has_no_errors(http2):
    h2load("-n", "400", "-c", "4", "-m", "8", f"http://127.0.0.1:{http2.ports['h2']}/big")


def test_h2load_connection_after_connection_has_no_errors(http2):
    h2load("-n", "500", "-c", "500", "-m", "1", "-r", "250", f"https://127.0.0.1:{http2.ports['tls']}/")


def test_openssl_negotiates(http2):
    m = material()
    found = run(
        tool("openssl"), "s_client", "-connect", f"127.0.0.1:{http2.ports['mtls']}", "-servername", "server.test",
        "-alpn", "h2,http/1.1", "-CAfile", str(m.ca.path), "-cert", str(m.client.certificate_path),
        "-key", str(m.client.key_path), "-verify_return_error", "-verify_hostname", "server.test", input=b"",
    ).decode()
    assert "ALPN protocol: h2" in found and "Verify return code: 0 (ok)" in found, found
    assert "Acceptable client certificate CA names" in found and "CN = ca" in found, found


@pytest.mark.parametrize("version, status", [("-tls1_2", 0), ("-tls1_3", 0), ("-tls1_1", 1), ("-tls1", 1)])
def test_openssl_versions(http2, version, status):
    found = subprocess.run(
        [tool("openssl"), "s_client", "-connect", f"127.0.0.1:{http2.ports['tls']}", version, "-cipher",
         "ALL:@SECLEVEL=0"],
        input=b"", capture_output=True, timeout=15,
    )
    assert min(found.returncode, 1) == status, found.stderr


def test_the_h2_library(http2):
    """A client that checks all that comes: any breach of the protocol is an exception."""
    context = ssl.create_default_context(cafile=str(material().ca.path))
    context.set_alpn_protocols(["h2"])
    m = material()
    context.load_cert_chain(str(m.client.certificate_path), str(m.client.key_path))
    raw = socket.create_connection(("127.0.0.1", http2.ports["mtls"]), timeout=10)
    with context.wrap_socket(raw, server_hostname="server.test") as connection:
        assert connection.selected_alpn_protocol() == "h2"
        session = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        session.initiate_connection()
        bodies, statuses = {}, {}
        for path in ["/", "/big"] * 20:
            stream = session.get_next_available_stream_id()
            bodies[stream] = bytearray()
            session.send_headers(stream, [
                (":method", "GET"), (":scheme", "https"), (":authority", "server.test"), (":path", path)],
                end_stream=True)
        left = set(bodies)
        while left:
            connection.sendall(session.data_to_send())
            for event in session.receive_data(connection.recv(65536)):
                if isinstance(event, h2.events.ResponseReceived):
                    statuses[event.stream_id] = dict(event.headers)[":status"]
                elif isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] += event.data
                    session.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    left.discard(event.stream_id)
                assert not isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)), event
    assert set(statuses.values()) == {"200"}
    assert [bytes(bodies[stream]) for stream in sorted(bodies)] == [_HELLO, _BIG] * 20
