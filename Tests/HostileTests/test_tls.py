# SPDX-License-Identifier: Apache-2.0
"""Ledger cases 56–59: handshakes, names in certificates, resumption, rotation; and TLS of a hostile upstream."""

import re
import ssl
import struct
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hostile_tls import DOTTED

from PythonKit import tls
from PythonKit.certificates import SPIFFE, Authority, directory, material, new_key
from PythonKit.client import Connection, get, request
from PythonKit.upstream import BODY, CLOSE, RESET, response

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
versions = pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])


def _record(kind, payload, version=0x0301) -> bytes:
    return struct.pack("!BHH", kind, version, len(payload)) + payload


def _client_hello(server_name=b"exact.test", *, padding=0, extensions=b"") -> bytes:
    """A TLS 1.2 ClientHello with these bytes as its server name, whatever they are."""
    name = struct.pack("!HBH", len(server_name) + 3, 0, len(server_name)) + server_name
    offered = struct.pack("!HH", 0, len(name)) + name
    offered += bytes.fromhex("000a00060004001d0017" "000b00020100" "000d00060004" "04030804") + extensions
    if padding:
        offered += struct.pack("!HH", 21, padding) + bytes(padding)
    body = b"\x03\x03" + bytes(32) + b"\0" + bytes.fromhex("0004c02bc02f") + b"\x01\0"
    body += struct.pack("!H", len(offered) & 0xFFFF) + offered
    return b"\x01" + struct.pack("!I", len(body))[1:] + body


def _in_records(message, size=16384) -> bytes:
    return b"".join(_record(22, message[i : i + size]) for i in range(0, len(message), size))


@pytest.mark.parametrize("listener", ["main", "inspected"])
@pytest.mark.parametrize(
    "data",
    [
        request("/"), b"\0" * 200, b"\xff" * 200, b"\x80\x2e\x01\0\x02" + b"\0" * 60, _record(21, b"\x02\x28"),
        _record(23, b"x" * 50), _record(20, b"\x01"), _record(22, b""), _record(22, b"\x01\xff\xff\xff" + b"\0" * 100),
        _record(22, b"\x02\0\0\x26" + b"\0" * 38), b"\x16\x03\x01\xff\xff" + b"x" * 20000, _record(24, b"\x01\xff\xff"),
        _in_records(_client_hello(padding=60_000)), _record(22, _client_hello())[:-5] + b"\0" * 3000,
    ],
    ids=[
        "HTTP", "zeros", "ones", "SSLv2", "an alert", "application data", "ChangeCipherSpec", "empty handshake",
        "16 MB announced", "ServerHello", "record too large", "heartbeat", "60 KB ClientHello", "wrong length inside",
    ],
)
def test_case_56_no_client_hello(tls_proxy, listener, data):
    tls_proxy.closed_after(listener, data + b"\0" * 16)


@pytest.mark.parametrize(
    "name",
    [
        b"exact.test\0", b"exact.test\0.evil.test", b"\0exact.test", b"", b"." * 10, b"exact.test.", b"x" * 300,
        b"a" * 64 + b".test", "b\u00fccher.test".encode(), b"\xff\xfe", b"exact.test\r\nHost: x", b"exact.test/",
            b"*", b"*.test",
        b"127.0.0.1", b"exact.test:443", b" exact.test",
    ],
    ids=repr,
)
def test_case_56_server_name_that_is_none(tls_proxy, name):
    """It matches no chain; in the log and the stats it does no harm either."""
    tls_proxy.closed_after("inspected", _record(22, _client_hello(name)))


def test_case_56_server_name_is_taken_as_sent(tls_proxy):
    """The control: this ClientHello with the right name is answered."""
    with tls_proxy.raw("inspected") as connection:
        connection.sendall(_record(22, _client_hello(b"exact.test")))
        assert connection.recv(5)[:1] == b"\x16"


@pytest.mark.parametrize("extension", [
    b"\0\0\0\0", b"\0\0\0\x02\0\0", b"\0\0\0\x05\0\x03\0\0\0", b"\0\0\xff\xff", b"\0\x10\0\x02\0\0",
        b"\0\x10\0\x03\0\x01\0",
    b"\0\x10\0\x04\0\x02\x05h",
], ids=["empty", "empty list", "empty name", "cut", "empty ALPN list", "empty ALPN name", "ALPN cut"])
def test_case_56_broken_extensions(tls_proxy, extension):
    hello = _client_hello(b"other.test", extensions=extension)
    tls_proxy.closed_after("inspected", _record(22, hello))


@pytest.mark.parametrize("listener", ["main", "inspected"])
@pytest.mark.parametrize("how", ["bytes", "records"])
def test_case_56_client_hello_in_pieces(tls_proxy, listener, how):
    """A byte at a time, and a byte per record: slow, but right."""
    context = tls.client_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="exact.test")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()
    with tls_proxy.raw(listener) as connection:
        if how == "bytes":
            for index in range(len(hello)):
                connection.sendall(hello[index : index + 1])
        else:
            connection.sendall(_in_records(hello[5:], 1))
        head = connection.recv(1)
        # RFC 8446 §5.1 allows to refuse so many small records, not to hang.
        assert head == b"\x16" or how == "records" and head in (b"", b"\x15")


@pytest.mark.parametrize("listener, part", [("slow", 0), ("slow", 3), ("slow", 60), ("inspected", 0), ("inspected",
    60)])
def test_case_56_slow_handshake(tls_proxy, listener, part):
    begun = time.monotonic()
    tls_proxy.closed_after(listener, _record(22, _client_hello())[:part], timeout=4)
    assert 0.2 < time.monotonic() - begun < 3
    assert tls_proxy.stat_moved("downstream_cx_transport_socket_connect_timeout", "downstream_pre_cx_timeout")


def test_case_56_many_handshakes_that_stop(tls_proxy):
    connections = [tls_proxy.raw("slow") for _ in range(300)]
    for connection in connections:
        connection.sendall(_record(22, _client_hello())[:100])
    time.sleep(0.2)
    tls_proxy.grew_by_less_than(30_000)
    assert tls_proxy.ask("main").status == 200
    for connection in connections:
        connection.close()


def _s_client(tls_proxy, *arguments, stdin=b""):
    return subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{tls_proxy.ports['main']}", "-servername", "server.test",
         *arguments],
        input=stdin, capture_output=True, timeout=15,
    )


def test_case_56_client_renegotiation(tls_proxy):
    found = _s_client(tls_proxy, "-tls1_2", stdin=b"R\n")
    said = found.stdout + found.stderr
    assert b"RENEGOTIATING" in said and re.search(rb"no renegotiation|unexpected message|error:", said), said[-500:]
    assert not tls_proxy.upstream.requests


def test_case_56_no_early_data_is_offered(tls_proxy):
    tickets = directory() / "session.pem"
    found = _s_client(tls_proxy, "-tls1_3", "-sess_out", str(tickets), "-ign_eof", stdin=request(
        "/first", headers=[("connection", "close")]))
    assert b"Max Early Data: 0" in found.stdout, found.stdout[-800:]
    early = directory() / "early"
    early.write_bytes(request("/early", headers=[("connection", "close")]))
    again = _s_client(tls_proxy, "-tls1_3", "-sess_in", str(tickets), "-early_data", str(early))
    assert b"Early data was accepted" not in again.stdout
    assert all(r.path != "/early" for r in tls_proxy.upstream.requests)


def test_case_56_reasons_are_not_sent_to_the_client(tls_proxy):
    """The upstream's certificate is wrong: the client learns that it failed, not why."""
    tls_proxy.secure.context = tls.server_context(material().foreign_server)
    answer = get(tls_proxy.ports["plain"], "/secure")
    assert answer.status == 503
    for word in (b"TLS", b"SSL", b"certificate", b"verify"):
        assert word not in answer.body, answer.body
    assert tls_proxy.stat_moved("fail_verify_error")


# Names in certificates


def _der(tag, payload):
    length = len(payload)
    encoded = bytes([length]) if length < 128 else b"\x82" + struct.pack("!H", length)
    return bytes([tag]) + encoded + payload


def _names(*pairs):
    """A subjectAltName from raw bytes: 0x82 DNS, 0x86 URI, 0x87 address, 0xa0 otherName."""
    return _der(0x30, b"".join(_der(tag, payload) for tag, payload in pairs))


_UTF8_NAME = b"\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03"
_WRONG_NAMES = {
    "DNS with NUL": ("dns", _names((0x82, b"client.test\0.evil.test"))),
    "DNS with NUL at the end": ("dns", _names((0x82, b"client.test\0"))),
    "DNS name as URI": ("dns", _names((0x86, b"client.test"))),
    "DNS in pieces": ("dns", _names((0x82, b"client"), (0x82, b".test"))),
    "DNS empty": ("dns", _names((0x82, b""))),
    "DNS longer": ("dns", _names((0x82, b"client.test.evil.test"))),
    "URI with NUL": ("uri", _names((0x86, (SPIFFE + "client\0evil").encode()))),
    "URI with NUL at the end": ("uri", _names((0x86, (SPIFFE + "client\0").encode()))),
    "URI in other case": ("uri", _names((0x86, (SPIFFE + "client").upper().encode()))),
    "URI percent-encoded": ("uri", _names((0x86, (SPIFFE + "%63lient").encode()))),
    "URI with a slash more": ("uri", _names((0x86, (SPIFFE + "client/").encode()))),
    "URI with a query": ("uri", _names((0x86, (SPIFFE + "client?").encode()))),
    "URI as DNS": ("uri", _names((0x82, (SPIFFE + "client").encode()))),
    "otherName with the text": (
        "uri", _names((0xA0, _UTF8_NAME + _der(0xA0, _der(0x0C, (SPIFFE + "client").encode()))))),
    "otherName with NUL": (
        "uri", _names((0xA0, _UTF8_NAME + _der(0xA0, _der(0x0C, (SPIFFE + "client\0").encode()))))),
    "dots are dots": ("dotted", _names((0x86, (SPIFFE + "axb").encode()))),
    "regex matches the whole name": ("regex", _names((0x86, (SPIFFE + "client-evil").encode()))),
    "regex with something before": ("regex", _names((0x86, ("x" + SPIFFE + "client").encode()))),
    "regex over a line": ("regex", _names((0x86, (SPIFFE + "client\nevil").encode()))),
    "empty list": ("uri", b"\x30\0"),
}


@pytest.mark.parametrize("name", _WRONG_NAMES)
def test_case_57_names(tls_proxy, name):
    listener, encoded = _WRONG_NAMES[name]
    credential = material().ca.issue("hostile-client", subject_alternative_name=encoded)
    tls_proxy.refused(listener, credential, stats=("fail_verify_san", "fail_verify_error", "connection_error"))


@pytest.mark.parametrize("listener, uri", [("uri", SPIFFE + "client"), ("dotted", DOTTED), ("regex",
    SPIFFE + "client")])
def test_case_57_the_right_name_is_served(tls_proxy, listener, uri):
    credential = material().ca.issue("right-client", uris=[uri])
    assert tls_proxy.ask(listener, context=tls.client_context(credential=credential)).status == 200


@pytest.mark.parametrize("credential, stat", [
    ("nameless_client", "fail_verify_san"), ("expired_client", "fail_verify_error"),
    ("future_client", "fail_verify_error"), ("foreign_client", "fail_verify_error"),
    ("server_only_client", "fail_verify_error"), (None, "fail_verify_no_cert"),
])
@versions
def test_case_57_certificates(tls_proxy, credential, stat, version):
    tls_proxy.refused("uri", credential and getattr(material(), credential), stats=(stat,), maximum=version)


def test_case_57_certificate_for_mail(tls_proxy):
    credential = material().ca.issue("mail-client", uris=[SPIFFE + "client"], usage="email")
    tls_proxy.refused("uri", credential, stats=("fail_verify_error",))


def test_case_57_leaf_that_signs(tls_proxy):
    """A leaf is no authority, whatever it has signed."""
    leaf = material().ca.issue("signing-leaf", uris=[SPIFFE + "other"])
    false = Authority("false-authority")
    false.certificate, false.parent = leaf.certificate, material().ca
    false._key = serialization.load_pem_private_key(leaf.key_path.read_bytes(), None)
    tls_proxy.refused("uri", false.issue("signed-by-leaf", uris=[SPIFFE + "client"]), stats=("fail_verify_error",))


def test_case_57_deep_chain(tls_proxy):
    """Deeper than the 100 that OpenSSL and BoringSSL allow by default."""
    authority = material().ca
    for index in range(110):
        authority = Authority(f"depth-{index}", authority)
    begun = time.monotonic()
    deep = authority.issue("deep-client", uris=[SPIFFE + "client"])
    made = time.monotonic()
    tls_proxy.refused("uri", deep)
    assert time.monotonic() - made < 2, f"took {time.monotonic() - made} s (made in {made - begun} s)"


def test_case_57_huge_key_in_the_chain(tls_proxy):
    """A made-up 16,384-bit authority, properly signed; verifying with it may not cost seconds."""
    m = material()
    modulus = (1 << 16383) | (new_key().private_numbers().private_value << 64) | 1
    huge = rsa.RSAPublicNumbers(65537, modulus).public_key()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "huge")])
    template = m.ca.certificate
    authority = (
        x509.CertificateBuilder().subject_name(name).issuer_name(template.subject).public_key(huge)
        .serial_number(x509.random_serial_number()).not_valid_before(template.not_valid_before_utc)
        .not_valid_after(template.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(m.ca._key, hashes.SHA256())
    )
    signer = Authority("huge-signer")
    signer.certificate, signer.parent, signer._key = authority, m.ca, new_key("rsa")
    credential = signer.issue("under-huge", uris=[SPIFFE + "client"])
    begun = time.monotonic()
    for _ in range(5):
        tls_proxy.refused("uri", credential)
    assert time.monotonic() - begun < 2


# Resumption


@versions
@pytest.mark.parametrize("start, start_name, to, to_name", [
    ("sni", "open.test", "sni", "secure.test"),
    ("main", "server.test", "mutual", "server.test"),
    ("main", "server.test", "sni", "secure.test"),
], ids=["chain to chain", "listener to listener", "listener to chain"])
def test_case_58_a_session_without_a_certificate_opens_nothing(tls_proxy, version, start, start_name, to, to_name):
    context = tls.client_context(maximum=version)
    first = tls_proxy.ask(start, server_name=start_name, context=context)
    assert first.status == 200 and first.session is not None
    tls_proxy.upstream.reset_records()
    with pytest.raises(tls.Refused):
        tls_proxy.ask(to, server_name=to_name, context=context, session=first.session)
    assert not tls_proxy.upstream.requests


@versions
def test_case_58_a_session_of_another_authority(tls_proxy, version):
    context = tls.client_context(credential=material().client, maximum=version)
    first = tls_proxy.ask("sni", server_name="secure.test", context=context)
    assert first.status == 200
    tls_proxy.upstream.reset_records()
    with pytest.raises(tls.Refused):
        tls_proxy.ask("sni", server_name="other.test", context=context, session=first.session)
    assert not tls_proxy.upstream.requests


@versions
def test_case_58_a_session_of_another_name(tls_proxy, version):
    """Good for the authority alone: the other listener wants another name of the same authority."""
    context = tls.client_context(credential=material().other_client, maximum=version)
    first = tls_proxy.ask("mutual", context=context)
    assert first.status == 200
    tls_proxy.upstream.reset_records()
    with pytest.raises(tls.Refused):
        tls_proxy.ask("uri", context=context, session=first.session)
    assert not tls_proxy.upstream.requests


@versions
def test_case_58_its_own_session_is_resumed(tls_proxy, version):
    context = tls.client_context(credential=material().client, maximum=version)
    first = tls_proxy.ask("mutual", context=context)
    second = tls_proxy.ask("mutual", context=context, session=first.session)
    assert second.status == 200 and second.resumed


# Rotation


def _served_name(tls_proxy):
    transport = tls.connect(tls_proxy.ports["rotated"], tls.client_context(), server_name="second.test")
    name = x509.load_der_x509_certificate(transport.peer_certificate).subject.rfc4514_string()
    transport.close()
    return name


@pytest.mark.parametrize("wrong", ["key mismatch", "empty", "garbage", "missing"])
def test_case_59_wrong_files_keep_the_last_good(tls_proxy, wrong):
    m, rotated = material(), tls_proxy.rotated
    try:
        if wrong == "key mismatch":
            rotated.replace(m.second, key=m.plain)
        elif wrong == "missing":
            rotated.key_path.unlink()
        else:
            rotated.certificate_path.write_bytes(b"" if wrong == "empty" else b"-----BEGIN CERTIFICATE-----\nAAAA\n")
        deadline = time.monotonic() + 0.7
        while time.monotonic() < deadline:
            assert _served_name(tls_proxy) == "CN=second"
    finally:
        rotated.replace(m.second)
    assert tls_proxy.ask("rotated").status == 200


def test_case_59_rotation_under_handshakes(tls_proxy):
    """Every handshake succeeds, with the old certificate or the new one; open connections stay."""
    m, rotated = material(), tls_proxy.rotated
    kept = Connection.over(tls.connect(tls_proxy.ports["rotated"], tls.client_context(), server_name="second.test"))
    seen = set()
    try:
        for turn in range(6):
            rotated.replace(m.plain if turn % 2 == 0 else m.second)
            until = time.monotonic() + 0.15
            while time.monotonic() < until:
                seen.add(_served_name(tls_proxy))
        rotated.replace(m.plain)
        deadline = time.monotonic() + 5
        while tls_proxy.reloads_files and _served_name(tls_proxy) != "CN=plain":
            assert time.monotonic() < deadline, "the new certificate is not served within 5 s"
            time.sleep(0.05)
        kept.send(request("/kept"))
        assert kept.read_response().status == 200
    finally:
        kept.close()
        rotated.replace(m.second)
    assert seen <= {"CN=second", "CN=plain"}


# The hostile upstream


def _failed(answer, tls_proxy):
    assert answer.status in (502, 503) and answer.complete
    assert not any(r.line.startswith("GET") for r in tls_proxy.secure.requests)


@pytest.mark.parametrize("script", [
    (response(200, b"injected"), CLOSE), (b"\x15\x03\x03\0\x02\x02\x28", CLOSE), (b"\0" * 500, CLOSE), (CLOSE,),
        (RESET,),
    (b"\x16\x03\x03\0\x05\x02\0\xff\xff\xff" + b"x" * 3000, CLOSE), (_record(23, b"x" * 100), CLOSE),
    (_record(22, b"") * 1000, CLOSE),
], ids=["HTTP", "an alert", "zeros", "end", "reset", "ServerHello without end", "application data", "empty records"])
def test_case_33_swapped_plaintext_before_tls(tls_proxy, script):
    """What comes before the handshake is nobody's answer."""
    tls_proxy.secure.reset_records(accept_script=script)
    _failed(get(tls_proxy.ports["plain"], "/secure", timeout=6), tls_proxy)


@pytest.mark.parametrize("credential", ["foreign_server", "expired_server"])
def test_case_57_swapped_certificates(tls_proxy, credential):
    tls_proxy.secure.context = tls.server_context(getattr(material(), credential))
    _failed(get(tls_proxy.ports["plain"], "/secure"), tls_proxy)
    assert tls_proxy.stat_moved("fail_verify_error")


@pytest.mark.parametrize("encoded", [
    _names((0x82, b"server.test\0.evil.test")), _names((0x86, b"server.test")), _names((0x82, b"*")),
    _names((0x82, b"other.test")), _names((0x82, b"xserver.test")), b"\x30\0",
], ids=["NUL", "as URI", "wildcard", "another", "longer", "none"])
def test_case_57_swapped_names(tls_proxy, encoded):
    credential = material().ca.issue("hostile-server", subject="server.test", subject_alternative_name=encoded)
    tls_proxy.pinned.context = tls.server_context(credential)
    answer = get(tls_proxy.ports["plain"], "/pinned")
    assert answer.status in (502, 503) and not tls_proxy.pinned.requests
    assert tls_proxy.stat_moved("fail_verify_san", "fail_verify_error")


def test_case_34_swapped_end_without_close_notify(tls_proxy):
    """A TCP end inside a body of the connection's length is a cut, as the length says."""
    tls_proxy.secure.context = tls.server_context(material().server)
    tls_proxy.secure.reset_records((BODY, b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello", 0.1, CLOSE))
    answer = get(tls_proxy.ports["plain"], "/secure")
    assert answer.status in (200, 502, 503) and (answer.status != 200 or not answer.complete)
