# SPDX-License-Identifier: Apache-2.0
"""TLS over a socket for tests: what was negotiated, and how the other side refused.

Over memory BIOs, because a reader and a writer thread may share the connection, which an `SSLSocket` does not allow.
"""

import socket
import ssl
import threading
import warnings

from cryptography import x509

# Old versions are asked for on purpose, to see them refused.
warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*TLSv1.*")


def client_context(*, credential=None, alpn=(), minimum=None, maximum=None, ciphers=None, trust=None) -> ssl.SSLContext:
    """A client's context; the server is verified only where `trust` names a CA file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if trust:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(str(trust))
    if credential:
        context.load_cert_chain(str(credential.certificate_path), str(credential.key_path))
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if ciphers:
        context.set_ciphers(ciphers)
    if minimum:
        context.minimum_version = minimum
    if maximum:
        context.maximum_version = maximum
    return context


def server_context(credential, *, trust=None, alpn=(), maximum=None) -> ssl.SSLContext:
    """A server's context; `trust` demands a client certificate of that CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(credential.certificate_path), str(credential.key_path))
    if trust:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(str(trust))
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if maximum:
        context.maximum_version = maximum

    def remember(connection, name, _):
        connection.requested_name = name

    context.sni_callback = remember
    return context


class Refused(OSError):
    """The handshake, or what followed it, was refused; `reason` is the alert's name, or `closed`, or `reset`."""

    def __init__(self, reason):
        super().__init__(reason)
        self.reason = reason


def _reason(error):
    # An alert that came reads "TLSV1_ALERT_UNKNOWN_CA", or "TLSV1_BAD_CERTIFICATE_HASH_VALUE" for newer ones.
    text = (error.reason or str(error)).lower()
    if "_alert_" in text:
        return text.split("_alert_", 1)[1].replace("_", " ")
    return text[6:].replace("_", " ") if text.startswith("tlsv1_") else f"local: {text}"


class TLSTransport:
    """Looks like the socket it wraps, as far as the kit uses sockets."""

    def __init__(self, raw, context, *, server_side=False, server_name=None, session=None):
        self.raw = raw
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self.incoming, self.outgoing, server_side, server_name, session)
        self._lock = threading.RLock()
        #: why the other side refused, once it did
        self.refusal: str | None = None
        while True:
            try:
                self.object.do_handshake()
                self._flush()
                return
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
            except ssl.SSLError as error:
                self._flush()
                self.refusal = _reason(error)
                raise Refused(self.refusal) from error

    def _flush(self):
        if pending := self.outgoing.read():
            try:
                self.raw.sendall(pending)
            except (BrokenPipeError, ConnectionResetError):
                pass

    def _feed(self):
        try:
            received = self.raw.recv(65536)
        except ConnectionResetError as error:
            self.refusal = "reset"
            raise Refused("reset") from error
        if not received:
            self.refusal = "closed"
            raise Refused("closed")
        self.incoming.write(received)

    def recv(self, count):
        while True:
            with self._lock:
                try:
                    return self.object.read(count)
                except ssl.SSLWantReadError:
                    self._flush()
                except ssl.SSLZeroReturnError:
                    return b""
                except ssl.SSLError as error:
                    self.refusal = _reason(error)
                    return b""
            # Outside the lock, so that a writer is not kept waiting.
            received = self.raw.recv(65536)
            if not received:
                self.refusal = self.refusal or "closed"
                return b""
            with self._lock:
                self.incoming.write(received)

    def sendall(self, data):
        with self._lock:
            # One record at a time: a memory BIO takes all, the peer's window does not matter here.
            for start in range(0, len(data), 16384):
                self.object.write(data[start : start + 16384])
            if pending := self.outgoing.read():
                self.raw.sendall(pending)

    def shutdown(self, how):
        with self._lock:
            try:
                self.object.unwrap()
            except ssl.SSLError:
                pass
            self._flush()
        self.raw.shutdown(how)

    def close(self):
        self.raw.close()

    def settimeout(self, timeout):
        self.raw.settimeout(timeout)

    def setsockopt(self, *arguments):
        self.raw.setsockopt(*arguments)

    def getsockname(self):
        return self.raw.getsockname()

    @property
    def version(self):
        return self.object.version()

    @property
    def protocol(self):
        """What ALPN chose."""
        return self.object.selected_alpn_protocol()

    @property
    def seen_by_the_server(self) -> str:
        """What a server knows of its client after the handshake, as text."""
        certificate = self.peer_certificate
        name = x509.load_der_x509_certificate(certificate).subject.rfc4514_string() if certificate else None
        requested = getattr(self.object, "requested_name", None)
        return f"{self.version}, SNI {requested}, ALPN {self.protocol}, client {name}"

    @property
    def peer_certificate(self) -> bytes:
        return self.object.getpeercert(binary_form=True)


def connect(port, context, *, server_name=None, host="127.0.0.1", source=None, timeout=8.0,
    session=None) -> TLSTransport:
    """A client's connection after its handshake; raises `Refused`."""
    raw = socket.create_connection((host, port), timeout=timeout, source_address=source)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        return TLSTransport(raw, context, server_name=server_name, session=session)
    except BaseException:
        raw.close()
        raise
