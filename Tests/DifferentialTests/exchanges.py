# SPDX-License-Identifier: Apache-2.0
"""What the client of a case does where it speaks HTTP/2 or TLS; `Case.exchange` is one of these."""

import dataclasses
import ssl
import time

from cryptography import x509
from cryptography.x509.oid import NameOID

from PythonKit import h2client, tls
from PythonKit import h2frames as f
from PythonKit.certificates import material
from PythonKit.client import Connection, request


@dataclasses.dataclass(frozen=True)
class TLS:
    """The client's side of a handshake; credentials by their name in `certificates.Material`."""

    sni: str | None = "server.test"
    alpn: tuple[str, ...] = ()
    credential: str | None = None
    minimum: ssl.TLSVersion | None = None
    maximum: ssl.TLSVersion | None = None
    ciphers: str | None = None

    def context(self):
        return tls.client_context(
            credential=getattr(material(), self.credential) if self.credential else None,
            alpn=self.alpn,
            minimum=self.minimum,
            maximum=self.maximum,
            ciphers=self.ciphers,
        )


# Steps of an HTTP/2 exchange. `stream` counts the streams of the case from 0; -1 is the last one.


@dataclasses.dataclass(frozen=True)
class Ask:
    """A request, and its answer to the end."""

    path: str | None = "/"
    method: str | None = "GET"
    headers: tuple = ()
    authority: str | None = "example.test"
    scheme: str | None = "http"
    body: bytes | None = None
    trailers: tuple | None = None
    #: in place of all header fields
    fields: tuple | None = None

    def all_fields(self):
        made = f.request_fields(
            self.path, method=self.method, authority=self.authority, scheme=self.scheme, extra=self.headers
        )
        return made if self.fields is None else self.fields


@dataclasses.dataclass(frozen=True)
class Open(Ask):
    """A request whose body may follow; nothing is waited for."""

    end: bool = False


@dataclasses.dataclass(frozen=True)
class Say:
    """DATA."""

    payload: bytes
    end: bool = False
    stream: int = -1


@dataclasses.dataclass(frozen=True)
class SayTrailers:
    headers: tuple
    stream: int = -1


@dataclasses.dataclass(frozen=True)
class Cancel:
    code: int = f.CANCEL
    stream: int = -1


@dataclasses.dataclass(frozen=True)
class AwaitHead:
    stream: int = -1


@dataclasses.dataclass(frozen=True)
class AwaitBytes:
    count: int
    stream: int = -1


@dataclasses.dataclass(frozen=True)
class AwaitEnd:
    """To the end of a stream, and what came of it."""

    stream: int = -1


@dataclasses.dataclass(frozen=True)
class Frames:
    """Raw frames."""

    data: bytes


@dataclasses.dataclass(frozen=True)
class Sleep:
    seconds: float


@dataclasses.dataclass(frozen=True)
class AwaitRequest:
    """Until a request reached an upstream, and an upstream of HTTP/1 has read these bytes."""

    holding: bytes = b""


class Abandon:
    """The client goes away, and the case ends."""


class ShowSettings:
    """The server's SETTINGS."""


@dataclasses.dataclass(frozen=True)
class OverH2:
    steps: tuple
    tls: TLS | None = None
    settings: tuple = ()
    auto_window: bool = True
    #: whether SETTINGS and PING are acknowledged
    auto_answer: bool = True
    #: whether the life of the connection belongs to the observation
    life: bool = True

    def run(self, side, case, observation):
        options = {
            "settings": self.settings, "auto_window": self.auto_window, "auto_answer": self.auto_answer,
        }
        if self.tls:
            options.update(context=self.tls.context(), server_name=self.tls.sni)
        try:
            connection = h2client.connect(side.ports[case.listener], **options)
        except tls.Refused as refused:
            observation.add("tls", _refusal(refused.reason))
            return
        observation.names[connection.local_port] = "client"
        streams = []
        try:
            for step in self.steps:
                if isinstance(step, Abandon):
                    return
                self._step(step, connection, streams, side, observation)
            if self.life:
                observation.add("connection", _life(connection))
        finally:
            connection.close()

    def _step(self, step, connection, streams, side, observation):
        stream = streams[step.stream] if hasattr(step, "stream") else None
        if isinstance(step, Ask):
            fields = [(n, side.ports.fill_in(v.encode()).decode()) for n, v in step.all_fields()]
            end = getattr(step, "end", True)
            streams.append(connection.open(fields, end=end, body=step.body, trailers=step.trailers))
            if not isinstance(step, Open):
                add_stream(observation, _finish(connection, streams[-1]))
        elif isinstance(step, Say):
            connection.send_data(stream.number, step.payload, step.end)
        elif isinstance(step, SayTrailers):
            connection.send_headers(stream.number, step.headers)
        elif isinstance(step, Cancel):
            connection.send(f.rst_stream(stream.number, step.code))
        elif isinstance(step, AwaitHead):
            connection.wait_until(lambda: stream.head is not None or stream.done)
        elif isinstance(step, AwaitBytes):
            connection.wait_until(lambda: len(stream.body) >= step.count or stream.done)
        elif isinstance(step, AwaitEnd):
            add_stream(observation, _finish(connection, stream))
        elif isinstance(step, Frames):
            connection.send(step.data)
        elif isinstance(step, Sleep):
            time.sleep(step.seconds)
        elif isinstance(step, AwaitRequest):
            deadline = time.monotonic() + 3
            while not (side._arrived() and _read_upstream(side, step.holding)) and time.monotonic() < deadline:
                time.sleep(0.005)
        elif isinstance(step, ShowSettings):
            connection.wait_until(lambda: connection.settings)
            observation.add("settings", str(sorted(connection.settings[0])))


def _read_upstream(side, piece):
    return not piece or any(piece in raw for upstream in side.upstreams.values() for raw in getattr(upstream, "raw", ()))


def _finish(connection, stream):
    """To its end; where the answer ended before the request, RST_STREAM may follow (RFC 9113 §8.1)."""
    connection.finish(stream)
    if stream.ended and not stream.said_end:
        connection.wait_until(lambda: stream.reset is not None, 0.5)
    return stream


def add_stream(observation, stream):
    """What came back over one stream."""
    for fields in stream.interim:
        observation.add("interim", f"HTTP/2 {dict(fields)[':status']}")
        for line in observation._headers([pair for pair in fields if pair[0] != ":status"]):
            observation.add("interim header", line)
    if stream.head is not None:
        observation.status = stream.status
        observation.add("status", f"HTTP/2 {stream.status}")
        for line in observation._headers([pair for pair in stream.head if pair[0] != ":status"]):
            observation.add("header", line)
        observation.add("body", observation.shown(stream.body))
    for line in observation._headers(stream.trailers or []):
        observation.add("trailer", line)
    # Whether NO_ERROR still comes after both sides' ends depends on what crossed on the way.
    if stream.reset is not None and not (stream.reset == f.NO_ERROR and stream.ended and stream.said_end):
        observation.add("stream", f"reset, code {stream.reset}")
    elif not stream.ended:
        observation.add("stream", "not ended")


def _life(connection):
    """Open, or ended with which GOAWAY codes. The connection of a refused request may take a moment to end."""
    alive = connection.answers_ping(timeout=2)
    codes = ", ".join(f"GOAWAY {code}" for _, code, _ in connection.goaways)
    said = f" after {codes}" if codes else ""
    wrong = f" ({connection.violation})" if connection.violation else ""
    return ("open" if alive else "closed" if connection.ended else "silent") + said + wrong


#: Which of these a library sends for the same finding is its own affair (RFC 8446 §6.2 leaves it open).
_BAD_CERTIFICATE = {
    "bad certificate", "certificate unknown", "unsupported certificate", "certificate expired",
    "bad certificate hash value",
}


def _refusal(reason):
    """FIN or RST depends on whether the bytes had been read; what counts is that nothing was said."""
    if reason in ("closed", "reset"):
        return "closed"
    return "alert " + ("about the certificate" if reason in _BAD_CERTIFICATE else reason)


@dataclasses.dataclass(frozen=True)
class OverTLS:
    """A handshake, and where it succeeds a request in the protocol that ALPN chose."""

    tls: TLS = TLS()
    path: str = "/"
    host: str = "example.test"
    headers: tuple = ()
    #: bytes sent over HTTP/1 in place of a request
    data: bytes = b""
    #: handshake twice, the second time with the first one's session
    resume: bool = False

    def run(self, side, case, observation):
        context = self.tls.context()
        port = side.ports[case.listener]
        try:
            transport = tls.connect(port, context, server_name=self.tls.sni)
        except tls.Refused as refused:
            observation.add("tls", f"refused: {_refusal(refused.reason)}")
            return
        observation.add("tls", _negotiated(transport))
        self._ask(transport, observation)
        if self.resume:
            session = transport.object.session
            transport = tls.connect(port, context, server_name=self.tls.sni, session=session)
            observation.add("tls", "resumed" if transport.object.session_reused else "not resumed")
            self._ask(transport, observation)

    def _ask(self, transport, observation):
        observation.names[transport.getsockname()[1]] = "client"
        answered = True
        if transport.protocol == "h2":
            with h2client.H2Connection(transport) as connection:
                fields = f.request_fields(self.path, authority=self.host, scheme="https", extra=self.headers)
                stream = connection.request(fields)
                add_stream(observation, stream)
                answered = stream.head is not None
        else:
            connection = Connection.over(transport)
            with connection:
                connection.send(self.data or request(self.path, host=self.host, headers=self.headers))
                try:
                    observation.add_response(connection.read_response())
                except OSError:
                    answered = False
        if not answered:
            observation.add("tls", f"refused after the client's handshake: {_refusal(transport.refusal or 'silence')}")


class Several:
    """Exchanges one after the other."""

    def __init__(self, *exchanges):
        self.exchanges = exchanges

    def run(self, side, case, observation):
        for exchange in self.exchanges:
            exchange.run(side, case, observation)


def _negotiated(transport):
    certificate = x509.load_der_x509_certificate(transport.peer_certificate)
    name = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    return f"{transport.version}, ALPN {transport.protocol}, certificate {name}"


__all__ = [name for name in dir() if name[0].isupper()]
