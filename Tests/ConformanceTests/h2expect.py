# SPDX-License-Identifier: Apache-2.0
"""What a case demands, and the judge. Each demand names every answer the RFC allows, and nothing else passes."""

import dataclasses

import h2wire as w
from h2client import PATIENCE, Client


@dataclasses.dataclass(frozen=True)
class Expectation:
    #: RST_STREAM codes that are right
    resets: frozenset = frozenset()
    #: GOAWAY codes that are right; the connection must end after it
    goaways: frozenset = frozenset()
    #: ending the connection without GOAWAY is right too
    bare_close: bool = False
    #: final status codes that are right
    statuses: frozenset = frozenset()
    body: bytes | None = None
    #: nothing is demanded on the stream: only that the connection goes on
    silence: bool = False
    #: the RFC allows the error and allows to ignore what was sent
    optional: bool = False
    #: the upstream must not have got a whole request
    unforwarded: bool = False

    def judge(self, client: Client, stream: int):
        """Returns True where the connection is still usable; raises AssertionError on any other answer."""
        if self.silence:
            assert client.barrier(), f"the connection did not go on: {client.describe()}"
            assert client.stream(stream).reset is None, f"stream {stream} was reset: {client.describe()}"
            return self._still_open(client)
        if self.optional and client.barrier() and client.stream(stream).reset is None and client.goaway is None:
            return self._still_open(client) and not self.bare_close
        client.pump(lambda: self._is_decided(client, stream))
        answered = client.stream(stream)
        if client.goaway is not None and client.goaway.error_code != w.NO_ERROR or client.ended:
            return self._judge_end(client)
        if answered.reset is not None and not (answered.ended and self.statuses):
            assert answered.reset in self.resets, f"RST_STREAM {answered.reset}: wanted {self}; {client.describe()}"
            return self._still_open(client)
        assert answered.ended, f"no answer within {PATIENCE} s: wanted {self}; {client.describe()}"
        assert answered.status in self.statuses, f"answered {answered.status}: wanted {self}"
        assert self.body is None or answered.data == self.body, f"body {bytes(answered.data)[:80]!r}: wanted {self}"
        assert answered.reset in (None, w.NO_ERROR, *self.resets), f"reset {answered.reset} after the answer"
        return self._still_open(client)

    def _is_decided(self, client, stream):
        if client.goaway is not None and client.goaway.error_code != w.NO_ERROR:
            return True
        answered = client.stream(stream)
        # A demand for an error only is not decided by an answer that was on its way before it.
        return answered.reset is not None or answered.ended and bool(self.statuses)

    def _judge_end(self, client):
        if client.goaway is None or client.goaway.error_code == w.NO_ERROR:
            assert client.ended and self.bare_close, f"closed without GOAWAY: wanted {self}; {client.describe()}"
            return False
        code = client.goaway.error_code
        assert code in self.goaways, f"GOAWAY {code}: wanted {self}; {client.describe()}"
        # RFC 9113 §5.4.1: after GOAWAY for an error the endpoint MUST close the TCP connection.
        client.pump(lambda: False)
        assert client.ended, f"the connection stayed open after GOAWAY {code}"
        return False

    @staticmethod
    def _still_open(client):
        assert client.goaway is None, f"GOAWAY on a connection that must go on: {client.describe()}"
        assert not client.ended, f"closed a connection that must go on: {client.describe()}"
        return True

    def __str__(self):
        shown = []
        for name, codes in (("RST_STREAM", self.resets), ("GOAWAY", self.goaways), ("status", self.statuses)):
            if codes:
                shown.append(f"{name} {'/'.join(map(str, sorted(codes)[:6]))}")
        return " or ".join(shown + ["close"] * self.bare_close + ["silence"] * self.silence)


# RFC 9113 §5.4: a generic code may always stand for a specific one, and any applicable one may be used.
def _codes(codes):
    return frozenset(codes) | {w.PROTOCOL_ERROR}


def connection_error(*codes, or_close=False) -> Expectation:
    """GOAWAY with the code, and the end of the connection."""
    return Expectation(goaways=_codes(codes), bare_close=or_close, unforwarded=False)


def stream_error(*codes) -> Expectation:
    """RST_STREAM; an endpoint may treat it as a connection error (§5.4.1)."""
    return Expectation(resets=_codes(codes), goaways=_codes(codes))


def malformed(progressive=False) -> Expectation:
    """§8.1.1: a stream error, or a 4xx answer and then the end of the stream; never forwarded whole.

    `progressive`: what came before the fault is a whole HTTP/1 request, and may have been forwarded by then."""
    codes = _codes(())
    refusals = frozenset(range(400, 500)) | {501}
    return Expectation(resets=codes, goaways=codes, statuses=refusals, unforwarded=not progressive)


def answered(status=200, body: bytes | None = None) -> Expectation:
    return Expectation(statuses=frozenset({status} if isinstance(status, int) else status), body=body)


def refused(*codes, statuses=()) -> Expectation:
    """A limit of the proxy: an error of the stream or an answer that says so."""
    allowed = frozenset(codes)
    return Expectation(resets=allowed, goaways=allowed, statuses=frozenset(statuses))


def ignored() -> Expectation:
    return Expectation(silence=True)


def tolerated(*codes) -> Expectation:
    """An error with this code, or nothing at all: then the connection must go on."""
    return dataclasses.replace(stream_error(*codes), optional=True)


def may_close() -> Expectation:
    """The connection goes on for what is under way, or ends in an orderly way; nothing is demanded of new requests."""
    return Expectation(optional=True, bare_close=True, goaways=_codes((w.NO_ERROR,)))


def either(first: Expectation, second: Expectation) -> Expectation:
    return Expectation(
        first.resets | second.resets,
        first.goaways | second.goaways,
        first.bare_close or second.bare_close,
        first.statuses | second.statuses,
        first.body or second.body,
        unforwarded=first.unforwarded and second.unforwarded,
    )
