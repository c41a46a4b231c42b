# SPDX-License-Identifier: Apache-2.0
"""The proxy as a client, RFC 9113 §8 and RFC 7541: the responses it may pass on, and those it must not."""

from conformance import w
from upstream_side import UpstreamCases, cut_short, gateway_error, whole, whole_or

CASES = UpstreamCases()
case = CASES


def test_upstream_messages(case, client, upstream):
    upstream.run(case, client)


OK = (":status", "200")


def sends(*fields, body=b"ok"):
    """The play that answers with exactly these fields, and is honest after it."""

    def play(p):
        request = p.whole_request()
        frames = [w.headers(request.stream, w.plain_block(*fields), end=not body)]
        if body:
            frames.append(w.data(request.stream, body, end=True))
        p.send(*frames)

    return play


def refused(section, title, *fields, body=b"ok"):
    """A malformed head: nothing of it may be passed on."""
    case(section, title, gateway_error())(sends(*fields, body=body))


# 8.3.2 :status

refused("8.3.2", "no :status", ("x-a", "1"))
refused("8.3.2", "an empty field block")
refused("8.3.2", ":status twice", OK, OK)
refused("8.3.2", "two statuses that differ", OK, (":status", "404"))
refused("8.3.2", ":status after a regular field", ("x-a", "1"), OK)
refused("8.3.2", ":status of letters", (":status", "abc"))
refused("8.3.2", "an empty :status", (":status", ""))
refused("8.3.2", ":status 20", (":status", "20"))
refused("8.3.2", ":status 2000", (":status", "2000"))
refused("8.3.2", ":status with a sign", (":status", "+200"))
refused("8.3.2", ":status with a reason phrase", (":status", "200 OK"))
refused("8.3.2", ":status 099", (":status", "099"))
refused("8.3", ":path in a response", OK, (":path", "/"))
refused("8.3", ":method in a response", OK, (":method", "GET"))
refused("8.3", "an unknown pseudo-header", OK, (":unknown", "1"))

# 8.2 Fields

for title, name, value in [
    ("upper-case name", "X-Upper", "1"),
    ("empty name", "", "1"),
    ("space in a name", "x bad", "1"),
    ("colon in a name", "x:bad", "1"),
    ("LF in a name", "x\nbad", "1"),
    ("8-bit name", "x-\xe9", "1"),
    ("CR in a value", "x-bad", "a\rb"),
    ("LF in a value", "x-bad", "a\nb"),
    ("NUL in a value", "x-bad", "a\0b"),
    ("CRLF and a field in a value", "x-bad", "a\r\nset-cookie: stolen=1"),
    ("leading space in a value", "x-bad", " a"),
    ("trailing tab in a value", "x-bad", "a\t"),
]:
    refused("8.2.1", title, OK, (name, value))

for name, value in [
    ("connection", "close"),
    ("connection", "keep-alive"),
    ("keep-alive", "timeout=5"),
    ("proxy-connection", "close"),
    ("transfer-encoding", "chunked"),
    ("upgrade", "h2c"),
]:
    refused("8.2.2", f"{name}: {value}", OK, (name, value))


def fields_arrive(answers, server):
    for answer in answers:
        assert [v for n, v in answer.headers if n.lower() == "set-cookie"] == ["a=1", "b=2"], answer.headers
        assert [v for n, v in answer.headers if n.lower() == "x-empty"] == [""], answer.headers


case("8.2", "fields in order, repeats and empty values", whole(), check=fields_arrive)(
    sends(OK, ("set-cookie", "a=1"), ("x-empty", ""), ("set-cookie", "b=2"))
)


@case("8.2.2", "the proxy's request has no connection-specific field", whole(), headers=[("te", "trailers")])
def _(p):
    # The reader checks every request: pseudo-headers first, lower case, no such field, te of "trailers" only.
    p.respond(p.whole_request())


@case("8.2.3", "cookies of the client arrive whole", whole(), headers=[("cookie", "a=b; c=d")])
def _(p):
    request = p.whole_request()
    assert "; ".join(value for name, value in request.fields if name == "cookie") == "a=b; c=d"
    p.respond(request)


# 8.1 Message framing


@case("8.1", "a response without a body", whole(b""))
def _(p):
    p.respond(p.whole_request(), body=b"")


@case("8.1", "END_STREAM on an empty DATA frame", whole())
def _(p):
    request = p.whole_request()
    p.head(request)
    p.send(w.data(request.stream, b"ok"), w.data(request.stream), w.data(request.stream, end=True))


case("8.1", "HEAD with content-length", whole(b""), method="HEAD")(sends(OK, ("content-length", "5"), body=b""))
case("8.1", "204", whole(b"", 204))(sends((":status", "204"), body=b""))
case("8.1", "304 with content-length", whole(b"", 304))(sends((":status", "304"), ("content-length", "5"), body=b""))


@case("8.1", "HEAD with DATA", whole_or(cut_short(), b""), method="HEAD")
def _(p):
    request = p.whole_request()
    p.head(request)
    p.send(w.data(request.stream, b"not for HEAD", end=True))


def trailers_arrive(answers, server):
    for answer in answers:
        assert answer.trailers is None or [(n.lower(), v) for n, v in answer.trailers] == [("x-sum", "1")]


@case("8.1", "trailers", whole(), check=trailers_arrive)
def _(p):
    request = p.whole_request()
    p.head(request)
    p.send(w.data(request.stream, b"ok"), w.headers(request.stream, w.literal(b"x-sum", b"1")))


@case("8.1", "trailers without a body", whole(b""))
def _(p):
    request = p.whole_request()
    p.head(request)
    p.send(w.headers(request.stream, w.literal(b"x-sum", b"1")))


def bad_trailers(title, *fields, end=True):
    @case("8.1", title, cut_short())
    def _(p):
        request = p.whole_request()
        p.head(request)
        p.send(w.data(request.stream, b"ok"), w.headers(request.stream, w.plain_block(*fields), end=end))
        p.expect_reset(request)


bad_trailers("trailers without END_STREAM", ("x-sum", "1"), end=False)
bad_trailers(":status in trailers", (":status", "200"), ("x-sum", "1"))
bad_trailers("upper-case name in trailers", ("X-Sum", "1"))
bad_trailers("connection-specific field in trailers", ("transfer-encoding", "chunked"))
bad_trailers("LF in a trailer's value", ("x-sum", "1\n2"))


@case("8.1", "a second final head in the body", cut_short())
def _(p):
    request = p.whole_request()
    p.head(request)
    p.send(w.data(request.stream, b"one"))
    p.head(request, status="500")
    p.send(w.data(request.stream, b"two", end=True))


@case(
    "8.1",
    "a response before the request has ended",
    whole(b"early"),
    method="POST",
    body=b"x" * 30000,
    settings=((4, 0),),
)
def _(p):
    request = p.next_request()
    p.respond(request, body=b"early")


# Interim responses


def interim(p, request, status, end=False):
    p.send(w.headers(request.stream, w.plain_block((":status", status), ("link", "</s>")), end=end))


def at_most(count):
    def check(answers, server):
        for answer in answers:
            assert len(answer.interim) <= count and set(answer.interim) <= {100, 102, 103}, answer

    return check


@case("8.1", "100 and 103 before the final head", whole(), check=at_most(2))
def _(p):
    request = p.whole_request()
    interim(p, request, "100")
    interim(p, request, "103")
    p.respond(request)


@case("8.1", "103 in one segment with the final head", whole(), check=at_most(1))
def _(p):
    request = p.whole_request()
    early = w.headers(request.stream, w.plain_block((":status", "103")), end=False)
    p.send(early, w.headers(request.stream, p.block(OK), end=False), w.data(request.stream, b"ok", end=True))


@case("8.1", "an interim head with END_STREAM", gateway_error())
def _(p):
    interim(p, p.whole_request(), "103", end=True)


@case("8.1", "DATA after an interim head", gateway_error())
def _(p):
    request = p.whole_request()
    interim(p, request, "103")
    p.send(w.data(request.stream, b"ok", end=True))


@case("8.1", "an interim head after the final one", cut_short())
def _(p):
    request = p.whole_request()
    p.head(request)
    p.send(w.data(request.stream, b"ok"))
    interim(p, request, "103")
    p.send(w.data(request.stream, b"!", end=True))


@case("8.1", "a thousand interim heads", whole_or(gateway_error()))
def _(p):
    request = p.whole_request()
    for _ in range(1000):
        interim(p, request, "103")
    p.respond(request)


@case("8.1", "an interim head and then nothing", gateway_error(504))
def _(p):
    request = p.whole_request()
    interim(p, request, "103")
    p.until(lambda: request.reset is not None)


@case("8.1", "an interim head and then the end of the connection", gateway_error(), fresh=True)
def _(p):
    interim(p, p.whole_request(), "103")
    p.barrier()
    p.hang_up()


case("8.6", "101 does not exist in HTTP/2", gateway_error())(sends((":status", "101"), body=b"switched"))

# 8.1.1 content-length


def length(value, *parts, end_with_head=False):
    """Announces `value` and sends `parts`; the head is on its way first."""

    def play(p):
        request = p.whole_request()
        p.head(request, ("content-length", value), end=end_with_head)
        p.send(*(w.data(request.stream, part, end=part is parts[-1]) for part in parts))

    return play


case("8.1.1", "content-length as announced", whole(b"four"))(length("4", b"fo", b"ur"))
case("8.1.1", "less DATA than content-length", cut_short())(length("10", b"half"))
case("8.1.1", "no DATA where content-length says 5", cut_short())(length("5", end_with_head=True))
case("8.1.1", "an empty DATA frame where content-length says 5", cut_short())(length("5", b""))
case("8.1.1", "content-length that is no number", gateway_error())(length("abc", b"ok"))
case("8.1.1", "a negative content-length", gateway_error())(length("-2", b"ok"))
case("8.1.1", "content-length above 2^64", gateway_error())(length("18446744073709551618", b"ok"))
case("8.1.1", "two content-lengths that differ", gateway_error())(
    sends(OK, ("content-length", "2"), ("content-length", "3"))
)


def nothing_beyond(limit):
    """Where the framing of the client ends at `limit`, no byte may follow it."""

    def check(answers, server):
        for answer in answers:
            assert len(answer.body) <= limit, f"the surplus was passed on: {answer}"

    return check


@case("8.1.1", "more DATA than content-length", whole_or(cut_short(), b"four"), check=nothing_beyond(4))
def _(p):
    length("4", b"four", b"HTTP/1.1 200 OK\r\n\r\n")(p)


@case("8.1.1", "more DATA than content-length in one frame", whole_or(cut_short(), b"four"), check=nothing_beyond(4))
def _(p):
    length("4", b"fourHTTP/1.1 200 OK\r\n\r\n")(p)


@case("8.1.1", "less DATA than content-length before trailers", cut_short())
def _(p):
    request = p.whole_request()
    p.head(request, ("content-length", "10"))
    p.send(w.data(request.stream, b"half"), w.headers(request.stream, w.literal(b"x-sum", b"1")))


# RFC 7541


def uncompressable(section, title, block):
    """A field block that cannot be decoded: a connection error, whatever the stream."""

    @case(section, title, gateway_error(), fresh=True, ends=True)
    def _(p):
        request = p.whole_request()
        p.send(w.headers(request.stream, b"\x88" + block))
        p.expect_end(w.COMPRESSION_ERROR)


def coded_value(raw):
    return b"\x00" + w.string(b"x-coded") + w.integer(len(raw), 7, 0x80) + raw


uncompressable("7541 2.3.3", "index 0", b"\x80")
uncompressable("7541 2.3.3", "an index beyond the table", w.indexed(62))
uncompressable("7541 4.2", "a size update after a field", w.table_size(0))
uncompressable("7541 5.1", "an integer that never ends", b"\xff" + b"\x80" * 64 + b"\x01")
uncompressable("7541 5.1", "an index over 2^64", b"\xff" + b"\xff" * 9 + b"\x7f")
uncompressable("7541 5.2", "Huffman padding of 16 bits", coded_value(b"\x1f\xff\xff"))
uncompressable("7541 5.2", "the EOS symbol", coded_value(b"\xff\xff\xff\xff"))
uncompressable("7541 5.2", "Huffman padding of zeros", coded_value(b"\x18"))
uncompressable("7541 5.2", "a string longer than the block", b"\x00\x01x\x7eabc")


@case("7541 6.3", "a size update above what the proxy allows", gateway_error(), fresh=True)
def _(p):
    request = p.whole_request()
    p.until(lambda: p.settings)
    p.send(w.headers(request.stream, w.table_size(p.settings.get(1, 4096) + 1) + b"\x88"))
    p.expect_end(w.COMPRESSION_ERROR)


@case("7541 4.2", "size updates at the beginning of a response", whole())
def _(p):
    request = p.whole_request()
    p.send(w.headers(request.stream, w.table_size(0) + w.table_size(1024) + b"\x88", end=False))
    p.send(w.data(request.stream, b"ok", end=True))


@case("7541 2.3.2", "the table is kept from response to response, over one that was malformed", gateway_error())
def _(p):
    request = p.whole_request()
    # What is refused as a message still enters the table: the connection's later blocks build on it.
    p.send(w.headers(request.stream, w.literal(b"X-Upper", b"1", w.INDEXING) + b"\x88"))
    p.pump(lambda: p.waiting, 1.0)
    if p.waiting:
        after = p.whole_request()
        kept = b"\x88" + w.literal(b"x-a", b"1", w.INDEXING) + w.indexed(62)
        p.send(w.headers(after.stream, kept, end=False), w.data(after.stream, b"kept", end=True))


@case("7541 7.3", "a field list far above the limit out of one table entry", gateway_error())
def _(p):
    request = p.whole_request()
    bomb = b"\x88" + w.literal(b"x-bomb", b"v" * 3900, w.INDEXING) + w.indexed(62) * 4000
    p.send(w.headers(request.stream, bomb))
