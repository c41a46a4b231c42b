# SPDX-License-Identifier: Apache-2.0
"""RFC 9113 §8 and RFC 8441: the messages a client may send, and those it may not."""

from conformance import Cases, received, w
from h2expect import answered, connection_error, ignored, malformed, refused, stream_error

CASES = Cases()
case = CASES


def test_messages(case, downstream):
    downstream.run(case)


def with_field(name, value):
    """The play that sends one more field, as it stands."""

    def play(c):
        return c.send_fields(*w.request_fields("/case", extra=[(name, value)]))

    return play


def with_fields(*fields, end=True):
    def play(c):
        return c.send_fields(*fields, end=end)

    return play


def with_trailers(*fields, end=True):
    def play(c):
        stream = c.open("/case", method="POST", end=False)
        c.send(w.data(stream, b"x"), w.headers(stream, w.plain_block(*fields), end=end))
        return stream

    return play


def with_body(length, *parts, ends_with_data=True):
    """A request that announces `length` and sends `parts`, in one segment."""

    def play(c):
        stream = next(c.ids)
        block = w.request_block("/case", method="POST", extra=[("content-length", length)])
        frames = [w.headers(stream, block, end=not parts and ends_with_data)]
        frames += [w.data(stream, part, end=part is parts[-1] and ends_with_data) for part in parts]
        if not ends_with_data:
            frames.append(w.headers(stream, w.literal(b"x-sum", b"1")))
        c.send(*frames)
        return stream

    return play


METHOD, SCHEME, AUTHORITY, PATH = w.request_fields("/case")
REGULAR = ("x-regular", "1")

# 8.1 Message framing


@case("8.1", "GET", answered(200, b"a"))
def _(c):
    stream = c.open("/case")
    c.until_over(stream)
    request = received(c)
    assert request.line == "GET /case HTTP/1.1" and request.header("host") == "example.test"
    return stream


@case("8.1", "HEAD has no body", answered(200, b""))
def _(c):
    return c.open("/case", method="HEAD")


@case("8.1", "POST with content-length", answered(200, b"a"))
def _(c):
    stream = with_body("4", b"bo", b"dy")(c)
    c.until_over(stream)
    assert bytes(received(c).body) == b"body"
    return stream


@case("8.1", "POST without content-length", answered(200, b"a"))
def _(c):
    stream = c.open("/case", method="POST", end=False)
    c.send(w.data(stream, b"body", end=True))
    c.until_over(stream)
    assert bytes(received(c).body) == b"body"
    return stream


@case("8.1", "POST with trailers", answered(200, b"a"))
def _(c):
    return with_trailers(("x-sum", "1"))(c)


@case("8.1", "GET with a body", answered(200, b"a"))
def _(c):
    stream = c.open("/case", end=False)
    c.send(w.data(stream, b"body", end=True))
    return stream


@case("8.1", "trailers without DATA", answered(200, b"a"))
def _(c):
    stream = c.open("/case", method="POST", end=False)
    c.send(w.headers(stream, w.literal(b"x-sum", b"1")))
    return stream


@case("8.1", "an interim response comes before the final one", answered(200, b"final"))
def _(c):
    stream = c.open("/interim")
    c.until_over(stream)
    interim = c.stream(stream).interim
    assert all(dict(fields)[":status"] == "103" for fields in interim)
    return stream


@case("8.1", "Expect: 100-continue", answered(200, b"a"))
def _(c):
    extra = [("expect", "100-continue"), ("content-length", "4")]
    stream = c.send_fields(*w.request_fields("/case", "POST", extra=extra), end=False)
    c.pump(lambda: c.stream(stream).interim, 1.0)
    c.send(w.data(stream, b"body", end=True))
    return stream


@case("8.1", "an answer that does not wait for the request", answered(200, b"early"))
def _(c):
    return c.open("/early", method="POST", end=False)


case("8.1", "trailers without END_STREAM", malformed())(with_trailers(("x-sum", "1"), end=False))
case("8.1", "pseudo-header in trailers", malformed())(with_trailers((":method", "GET"), ("x-sum", "1")))
case("8.1", ":status in trailers", malformed())(with_trailers((":status", "200")))
case("8.1", "upper-case name in trailers", malformed())(with_trailers(("X-Sum", "1")))
case("8.1", "connection-specific field in trailers", malformed())(with_trailers(("connection", "close")))
case("8.1", "LF in a trailer's value", malformed())(with_trailers(("x-sum", "1\n2")))


@case("8.1", "DATA after trailers", stream_error(w.STREAM_CLOSED))
def _(c):
    stream = c.open("/stall", method="POST", end=False)
    c.send(w.headers(stream, w.literal(b"x-sum", b"1")))
    c.barrier()
    c.send(w.data(stream, b"x", end=True))
    return stream


@case("8.1", "a second header section in the middle of the body", malformed())
def _(c):
    stream = c.open("/case", method="POST", end=False)
    c.send(w.data(stream, b"x"), w.headers(stream, w.request_block(), end=False), w.data(stream, b"y", end=True))
    return stream


# 8.1.1 content-length

case("8.1.1", "content-length without a body", malformed())(with_body("5"))
case("8.1.1", "less DATA than content-length", malformed())(with_body("5", b"body"))
case("8.1.1", "more DATA than content-length", malformed())(with_body("3", b"body"))
case("8.1.1", "more DATA than content-length in a later frame", malformed(progressive=True))(
    with_body("4", b"body", b"more")
)
case("8.1.1", "content-length 0 with DATA", malformed(progressive=True))(with_body("0", b"x"))
case("8.1.1", "less DATA than content-length before trailers", malformed())(with_body("5", b"x", ends_with_data=False))
case("8.1.1", "content-length 0 with empty DATA", answered(200, b"a"))(with_body("0", b""))
case("8.1.1", "a negative content-length", malformed())(with_body("-4", b"body"))
case("8.1.1", "content-length with a sign", malformed())(with_body("+4", b"body"))
case("8.1.1", "content-length in hexadecimal", malformed())(with_body("0x4", b"body"))
case("8.1.1", "content-length above 2^64", malformed())(with_body("18446744073709551620", b"body"))
case("8.1.1", "an empty content-length", malformed())(with_body("", b"body"))


@case("8.1.1", "two content-lengths that differ", malformed())
def _(c):
    extra = [("content-length", "4"), ("content-length", "5")]
    stream = c.send_fields(*w.request_fields("/case", "POST", extra=extra), end=False)
    c.send(w.data(stream, b"body", end=True))
    return stream


@case("8.1.1", "padding does not count for content-length", answered(200, b"a"))
def _(c):
    stream = c.send_fields(*w.request_fields("/case", "POST", extra=[("content-length", "4")]), end=False)
    c.send(w.data(stream, b"bo", pad=9), w.data(stream, b"dy", pad=0, end=True))
    return stream


# 8.2.1 Field validity

for title, name, value in [
    ("upper-case name", "X-Upper", "1"),
    ("one upper-case letter at the end of a name", "x-uppeR", "1"),
    ("empty name", "", "1"),
    ("space in a name", "x bad", "1"),
    ("tab in a name", "x\tbad", "1"),
    ("colon in a name", "x:bad", "1"),
    ("CR in a name", "x\rbad", "1"),
    ("LF in a name", "x\nbad", "1"),
    ("NUL in a name", "x\0bad", "1"),
    ("DEL in a name", "x\x7fbad", "1"),
    ("8-bit name", "x-\xe9", "1"),
    ("a whole field line in a name", "x: 1\r\ny", "1"),
    ("CR in a value", "x-bad", "a\rb"),
    ("LF in a value", "x-bad", "a\nb"),
    ("NUL in a value", "x-bad", "a\0b"),
    ("CRLF and a field in a value", "x-bad", "a\r\nx-smuggled: 1"),
    ("leading space in a value", "x-bad", " a"),
    ("trailing space in a value", "x-bad", "a "),
    ("leading tab in a value", "x-bad", "\ta"),
    ("trailing tab in a value", "x-bad", "a\t"),
    ("LF at the end of a value", "x-bad", "a\n"),
]:
    case("8.2.1", title, malformed())(with_field(name, value))

for title, name, value in [
    ("empty value", "x-empty", ""),
    ("8-bit value", "x-latin", "caf\xe9"),
    ("inner space and tab in a value", "x-inner", "a b\tc"),
    ("every character of a token in a name", "x!#$%&'*+-.^_`|~09az", "1"),
]:
    case("8.2.1", title, answered(200, b"a"))(with_field(name, value))

# 8.2.2 Connection-specific fields

for name, value in [
    ("connection", "close"),
    ("connection", "x-hop"),
    ("keep-alive", "timeout=5"),
    ("proxy-connection", "keep-alive"),
    ("transfer-encoding", "chunked"),
    ("transfer-encoding", "identity"),
    ("upgrade", "websocket"),
    ("te", "gzip"),
    ("te", "trailers, deflate"),
]:
    case("8.2.2", f"{name}: {value}", malformed())(with_field(name, value))

case("8.2.2", "te: trailers", answered(200, b"a"))(with_field("te", "trailers"))


@case("8.2.2", "transfer-encoding with a body", malformed())
def _(c):
    fields = w.request_fields("/case", "POST", extra=[("transfer-encoding", "chunked")])
    stream = c.send_fields(*fields, end=False)
    c.send(w.data(stream, b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", end=True))
    c.until_over(stream)
    assert not any("smuggled" in r.line for r in c.harness.requests)
    return stream


@case("8.2.2", "connection-specific fields of an HTTP/1 response are removed", answered(200, b"ok"))
def _(c):
    stream = c.open("/connection-fields")
    c.until_over(stream)
    names = [name for name, _ in c.stream(stream).headers or ()]
    assert "x-hop" not in names and "x-mixed-case" in names, names
    return stream


# 8.2.3 Cookie


@case("8.2.3", "cookie crumbs are joined by '; ' for HTTP/1", answered(200, b"a"))
def _(c):
    crumbs = [("cookie", "a=b"), ("x-between", "1"), ("cookie", "c=d"), ("cookie", "e=f; g=h")]
    stream = c.send_fields(*w.request_fields("/case", extra=crumbs))
    c.until_over(stream)
    assert received(c).values("cookie") == ["a=b; c=d; e=f; g=h"]
    return stream


# 8.3 Control data

for title, fields in [
    ("a pseudo-header after a regular field", (METHOD, SCHEME, AUTHORITY, REGULAR, PATH)),
    ("an unknown pseudo-header", (METHOD, SCHEME, AUTHORITY, PATH, (":unknown", "1"))),
    (":status in a request", (METHOD, SCHEME, AUTHORITY, PATH, (":status", "200"))),
    (":protocol that was not negotiated", (METHOD, SCHEME, AUTHORITY, PATH, (":protocol", "websocket"))),
    ("an upper-case pseudo-header", ((":Method", "GET"), SCHEME, AUTHORITY, PATH)),
    ("a name that is a colon only", (METHOD, SCHEME, AUTHORITY, PATH, (":", "1"))),
    (":method twice", (METHOD, METHOD, SCHEME, AUTHORITY, PATH)),
    (":path twice", (METHOD, SCHEME, AUTHORITY, PATH, PATH)),
    (":scheme twice", (METHOD, SCHEME, SCHEME, AUTHORITY, PATH)),
    (":authority twice", (METHOD, SCHEME, AUTHORITY, AUTHORITY, PATH)),
]:
    case("8.3", title, malformed())(with_fields(*fields))

for title, fields in [
    ("no :method", (SCHEME, AUTHORITY, PATH)),
    ("no :scheme", (METHOD, AUTHORITY, PATH)),
    ("no :path", (METHOD, SCHEME, AUTHORITY)),
    ("an empty :path", (METHOD, SCHEME, AUTHORITY, (":path", ""))),
    ("an empty :method", ((":method", ""), SCHEME, AUTHORITY, PATH)),
    (":path without a slash", (METHOD, SCHEME, AUTHORITY, (":path", "case"))),
    (":path '*' with GET", (METHOD, SCHEME, AUTHORITY, (":path", "*"))),
    ("space in :path", (METHOD, SCHEME, AUTHORITY, (":path", "/case HTTP/1.1"))),
    ("CRLF in :path", (METHOD, SCHEME, AUTHORITY, (":path", "/case HTTP/1.1\r\nx: y"))),
    ("NUL in :path", (METHOD, SCHEME, AUTHORITY, (":path", "/ca\0se"))),
    ("space in :method", ((":method", "GET /x"), SCHEME, AUTHORITY, PATH)),
    ("CRLF in :method", ((":method", "GET / HTTP/1.1\r\nx: y\r\n"), SCHEME, AUTHORITY, PATH)),
    ("LF in :authority", (METHOD, SCHEME, (":authority", "example.test\nx: y"), PATH)),
    ("space in :authority", (METHOD, SCHEME, (":authority", "example .test"), PATH)),
    ("userinfo in :authority", (METHOD, SCHEME, (":authority", "user@example.test"), PATH)),
    ("space in :scheme", (METHOD, (":scheme", "ht tp"), AUTHORITY, PATH)),
    ("LF in :scheme", (METHOD, (":scheme", "http\n"), AUTHORITY, PATH)),
    ("host that differs from :authority", (METHOD, SCHEME, AUTHORITY, PATH, ("host", "other.test"))),
    ("neither :authority nor host", (METHOD, SCHEME, PATH)),
]:
    case("8.3.1", title, malformed())(with_fields(*fields))


@case("8.3.1", "host instead of :authority", answered(200, b"a"))
def _(c):
    stream = c.send_fields(METHOD, SCHEME, PATH, ("host", "by-host.test"))
    c.until_over(stream)
    assert received(c).values("host") == ["by-host.test"]
    return stream


@case("8.3.1", "host equal to :authority is sent once", answered(200, b"a"))
def _(c):
    stream = c.send_fields(METHOD, SCHEME, AUTHORITY, PATH, ("host", "example.test"))
    c.until_over(stream)
    assert received(c).values("host") == ["example.test"]
    return stream


@case("8.3.1", "pseudo-headers in any order", answered(200, b"a"))
def _(c):
    return c.send_fields(PATH, AUTHORITY, SCHEME, METHOD, REGULAR)


@case("8.3.1", "OPTIONS *", answered((200, 404)))
def _(c):
    return c.send_fields((":method", "OPTIONS"), SCHEME, AUTHORITY, (":path", "*"))


@case("8.3.1", "an unknown method", answered((200, 405, 501)))
def _(c):
    return c.open("/case", method="BREW")


@case("8.3.1", "a query", answered(200, b"a"))
def _(c):
    stream = c.open("/case?a=b&c=%20")
    c.until_over(stream)
    assert received(c).path == "/case?a=b&c=%20"
    return stream


# 8.4 Push


@case("8.4", "a PUSH_PROMISE for an idle stream", connection_error())
def _(c):
    c.send(w.push_promise(1, 2, w.request_block()))


@case("8.4", "the proxy does not push", ignored(), settings=((w.ENABLE_PUSH, 1),))
def _(c):
    # The reader fails on any PUSH_PROMISE.
    assert c.until_over(c.open()).status == 200


# 8.5 CONNECT

CONNECT = (":method", "CONNECT")
TARGET = (":authority", "example.test:443")

case("8.5", "CONNECT with :scheme and :path", malformed(), listener="connect")(
    with_fields(CONNECT, SCHEME, TARGET, PATH)
)
case("8.5", "CONNECT with :path", malformed(), listener="connect")(with_fields(CONNECT, TARGET, PATH))
case("8.5", "CONNECT with :scheme", malformed(), listener="connect")(with_fields(CONNECT, SCHEME, TARGET))
case("8.5", "CONNECT without :authority", malformed(), listener="connect")(with_fields(CONNECT))


def tunnel(c, *fields, expect=200):
    stream = c.send_fields(*(fields or (CONNECT, TARGET)), end=False)
    c.pump(lambda: c.stream(stream).headers is not None or c.stream(stream).over)
    assert c.stream(stream).status == expect, c.describe()
    return stream


def echo(c, stream, payload):
    before = len(c.stream(stream).data)
    c.send(w.data(stream, payload))
    c.pump(lambda: len(c.stream(stream).data) >= before + len(payload))
    assert c.stream(stream).data[before:] == payload, c.describe()


@case("8.5", "DATA goes both ways through a tunnel", ignored(), listener="connect")
def _(c):
    stream = tunnel(c)
    echo(c, stream, b"hello")
    echo(c, stream, b"x" * 10000)
    return stream


@case("8.5", "END_STREAM of the client is the end of the tunnel", answered(200, b"hello"), listener="connect")
def _(c):
    stream = tunnel(c)
    echo(c, stream, b"hello")
    c.send(w.data(stream, b"", end=True))
    return stream


@case("8.5", "HEADERS in a tunnel", stream_error(), listener="connect")
def _(c):
    stream = tunnel(c)
    echo(c, stream, b"hello")
    c.send(w.headers(stream, w.literal(b"x-trailer", b"1"), end=False))
    return stream


@case("8.5", "CONNECT where it is not allowed", refused(1, 7, 8, statuses=range(400, 600)))
def _(c):
    return c.send_fields(CONNECT, TARGET)


# RFC 8441 Extended CONNECT

WEBSOCKET = (CONNECT, (":protocol", "websocket"), SCHEME, (":path", "/chat"), AUTHORITY)


@case("8441 3", "SETTINGS_ENABLE_CONNECT_PROTOCOL is announced", ignored(), listener="connect")
def _(c):
    c.until_settled()
    assert c.settings.get(w.ENABLE_CONNECT_PROTOCOL) == 1, c.settings


@case("8441 3", "it is not announced where it is not allowed", ignored())
def _(c):
    c.until_settled()
    assert c.settings.get(w.ENABLE_CONNECT_PROTOCOL, 0) == 0, c.settings


@case("8441 5", "WebSocket over a stream, to an HTTP/1 upgrade", ignored(), listener="connect")
def _(c):
    stream = tunnel(c, *WEBSOCKET, ("sec-websocket-version", "13"))
    echo(c, stream, b"\x81\x05hello")
    request = next(r for r in c.harness.upstreams["chat"].requests if r.path == "/chat")
    assert request.line.startswith("GET ") and request.header("upgrade") == "websocket", request
    return stream


@case("8441 5", "END_STREAM of the client ends the WebSocket", answered(200), listener="connect")
def _(c):
    stream = tunnel(c, *WEBSOCKET)
    echo(c, stream, b"bye")
    c.send(w.data(stream, b"", end=True))
    return stream


case("8441 4", ":protocol without :path", malformed(), listener="connect")(
    with_fields(CONNECT, (":protocol", "websocket"), SCHEME, AUTHORITY)
)
case("8441 4", ":protocol without :scheme", malformed(), listener="connect")(
    with_fields(CONNECT, (":protocol", "websocket"), (":path", "/chat"), AUTHORITY)
)
case("8441 4", ":protocol with GET", malformed(), listener="connect")(
    with_fields(METHOD, (":protocol", "websocket"), SCHEME, (":path", "/chat"), AUTHORITY)
)
case("8441 4", ":protocol twice", malformed(), listener="connect")(
    with_fields(CONNECT, (":protocol", "websocket"), (":protocol", "websocket"), SCHEME, (":path", "/chat"), AUTHORITY)
)
case("8441 5", "Upgrade and Connection in extended CONNECT", malformed(), listener="connect")(
    with_fields(*WEBSOCKET, ("connection", "upgrade"), ("upgrade", "websocket"))
)
case("8441 4", ":protocol where extended CONNECT was not announced", malformed())(with_fields(*WEBSOCKET))

# 8.7 Request reliability


@case("8.7", "a request the client cancels is cancelled upstream", None)
def _(c):
    stream = c.open("/stall/cancelled")
    stall = c.harness.upstreams["stall"]
    assert stall.wait_until(lambda u: any(r.path == "/stall/cancelled" for r in u.requests))
    number = next(r.connection for r in stall.requests if r.path == "/stall/cancelled")
    c.send(w.reset(stream))
    assert stall.wait_until(lambda u: number not in u._open.values()), "the upstream's request goes on"


@case("8.7", "PING tests an idle connection", ignored())
def _(c):
    assert c.barrier() and c.barrier()
