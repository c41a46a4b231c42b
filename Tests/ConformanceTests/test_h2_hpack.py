# SPDX-License-Identifier: Apache-2.0
"""RFC 7541: the field blocks a decoder must take, and those it must refuse."""

from conformance import Cases, received, w
from h2expect import answered, connection_error, malformed, refused

CASES = Cases()
case = CASES
BROKEN = connection_error(w.COMPRESSION_ERROR)
REQUEST = w.request_block("/case")


def test_hpack(case, downstream):
    downstream.run(case)


def sends(*blocks):
    """The play that sends one request; its block is the request's followed by these bytes."""

    def play(c):
        return c.send_block(REQUEST + b"".join(blocks))

    return play


def delivers(name, value, *blocks):
    """The same, and the upstream must have got this field."""

    def play(c):
        stream = sends(*blocks)(c)
        c.until_over(stream)
        assert received(c).values(name) == [value], (received(c).headers, c.describe())
        return stream

    return play


OK = answered(200, b"a")

# 2.3 Tables

case("7541 2.3.1", "the static table's entries", OK)(delivers("accept-encoding", "gzip, deflate", w.indexed(16)))


@case("7541 2.3.1", "a request of static entries only", OK)
def _(c):
    stream = c.send_block(b"\x82\x86\x84" + w.literal(1, b"example.test"))
    c.until_over(stream)
    assert received(c).line == "GET / HTTP/1.1"
    return stream


@case("7541 2.3.2", "entries are dropped oldest first", OK)
def _(c):
    entries = b"".join(w.literal(b"x-e%d" % n, b"%d" % n, w.INDEXING) for n in range(3))
    c.until_over(c.send_block(REQUEST + entries))
    stream = c.send_block(w.request_block("/second") + w.indexed(62) + w.indexed(64))
    c.until_over(stream)
    second = received(c, "/second")
    assert (second.header("x-e2"), second.header("x-e0")) == ("2", "0"), second.headers
    return stream


@case("7541 2.3.2", "duplicate entries are allowed", OK)
def _(c):
    twice = w.literal(b"x-twin", b"1", w.INDEXING) * 2
    c.until_over(c.send_block(REQUEST + twice))
    return c.send_block(w.request_block("/second") + w.indexed(63))


case("7541 2.3.3", "index 0", BROKEN)(sends(b"\x80"))
case("7541 2.3.3", "an index beyond the static table, the dynamic one being empty", BROKEN)(sends(w.indexed(62)))
case("7541 2.3.3", "an index one beyond the dynamic table", BROKEN)(
    sends(w.literal(b"x-a", b"1", w.INDEXING), w.indexed(63))
)
case("7541 2.3.3", "a name index beyond the table", BROKEN)(sends(w.literal(70, b"v", w.INDEXING)))
case("7541 2.3.3", "a name index beyond the table, without indexing", BROKEN)(sends(w.literal(70, b"v", w.PLAIN)))
case("7541 2.3.3", "a name index beyond the table, never indexed", BROKEN)(sends(w.literal(70, b"v", w.NEVER)))

# 4 Table management


def exact_fit(c, value_length, survives):
    """A table of 100 bytes and an entry of `value_length + 4 + 32`."""
    c.until_over(c.send_block(w.table_size(100) + REQUEST + w.literal(b"x-ex", b"v" * value_length, w.INDEXING)))
    stream = c.send_block(w.request_block("/second") + w.indexed(62))
    if survives:
        c.until_over(stream)
        assert received(c, "/second").header("x-ex") == "v" * value_length
    return stream


@case("7541 4.1", "an entry that fits exactly stays", OK)
def _(c):
    return exact_fit(c, 64, True)


@case("7541 4.4", "an entry one byte too large empties the table", BROKEN)
def _(c):
    return exact_fit(c, 65, False)


@case("7541 4.4", "an entry larger than the table is no error", OK)
def _(c):
    stream = c.send_block(w.table_size(64) + REQUEST + w.literal(b"x-large", b"v" * 200, w.INDEXING))
    c.until_over(stream)
    assert received(c).header("x-large") == "v" * 200
    c.send(w.headers(next(c.ids), w.table_size(4096) + w.request_block("/again")))
    c.until_over(stream + 2)
    return stream


@case("7541 4.4", "adding evicts the oldest first", BROKEN)
def _(c):
    entries = b"".join(w.literal(b"x-e%d" % n, b"1", w.INDEXING) for n in range(3))
    c.until_over(c.send_block(w.table_size(80) + REQUEST + entries))
    # Two entries of 37 fit into 80: the third from the top is gone.
    return c.send_block(w.request_block("/second") + w.indexed(64))


@case("7541 4.4", "a name taken from the entry that its own insertion evicts", OK)
def _(c):
    c.until_over(c.send_block(w.table_size(45) + REQUEST + w.literal(b"x-old", b"1", w.INDEXING)))
    stream = c.send_block(w.request_block("/second") + w.literal(62, b"2", w.INDEXING))
    c.until_over(stream)
    assert received(c, "/second").header("x-old") == "2"
    return stream


@case("7541 4.3", "a size update to 0 empties the table", BROKEN)
def _(c):
    c.until_over(c.send_block(REQUEST + w.literal(b"x-a", b"1", w.INDEXING)))
    return c.send_block(w.table_size(0) + w.table_size(4096) + w.request_block("/second") + w.indexed(62))


@case("7541 4.3", "a smaller size evicts", BROKEN)
def _(c):
    c.until_over(c.send_block(REQUEST + b"".join(w.literal(b"x-e%d" % n, b"1", w.INDEXING) for n in range(3))))
    return c.send_block(w.table_size(40) + w.request_block("/second") + w.indexed(63))


@case("7541 4.2", "size updates at the beginning of a block", OK)
def _(c):
    return c.send_block(w.table_size(0) + w.table_size(4096) + REQUEST)


case("7541 4.2", "a size update after the first field", BROKEN)(sends(w.table_size(100)))


@case("7541 4.2", "a size update between two fields", BROKEN)
def _(c):
    return c.send_block(b"\x82" + w.table_size(0) + b"\x86\x84" + w.literal(1, b"example.test"))


@case("7541 4.2", "a smaller table that the server's SETTINGS allow needs no update", OK)
def _(c):
    c.until_settled()
    return c.send_block(REQUEST)


# 5.1 Integers


@case("7541 5.1", "a length with one continuation byte", OK)
def _(c):
    value = b"v" * 127
    stream = c.send_block(REQUEST + b"\x00" + w.string(b"x-len") + b"\x7f\x00" + value)
    c.until_over(stream)
    assert received(c).header("x-len") == value.decode()
    return stream


case("7541 5.1", "an index over 2^32", BROKEN)(sends(b"\xff\xff\xff\xff\xff\x1f"))
case("7541 5.1", "an index over 2^64", BROKEN)(sends(b"\xff" + b"\xff" * 9 + b"\x7f"))
case("7541 5.1", "an integer that never ends", BROKEN)(sends(b"\xff" + b"\x80" * 100 + b"\x01"))
case("7541 5.1", "an integer cut short", BROKEN)(sends(b"\xff\x80"))
case("7541 5.1", "a length that wraps around 2^32", BROKEN)(
    sends(b"\x00" + w.string(b"x-wrap") + b"\x7f\x82\xff\xff\xff\x0f" + b"v")
)

# 5.2 Strings

case("7541 5.2", "a name by Huffman code", OK)(
    delivers("x-coded", "plain", w.literal(b"x-coded", b"plain", coded=True))
)
case("7541 5.2", "every form in one block", OK)(
    delivers(
        "x-c",
        "3",
        w.literal(b"x-a", b"1", w.INDEXING),
        w.literal(b"x-b", b"2", w.PLAIN, coded=True),
        w.literal(b"x-c", b"3", w.NEVER),
    )
)


def coded_value(raw):
    return b"\x00" + w.string(b"x-coded") + w.integer(len(raw), 7, 0x80) + raw


case("7541 5.2", "an empty Huffman string", OK)(delivers("x-coded", "", coded_value(b"")))
case("7541 5.2", "Huffman padding of up to 7 ones", OK)(delivers("x-coded", "a", coded_value(b"\x1f")))
case("7541 5.2", "Huffman padding of 8 bits", BROKEN)(sends(coded_value(b"\x1f\xff")))
case("7541 5.2", "Huffman padding of 16 bits", BROKEN)(sends(coded_value(b"\x1f\xff\xff")))
case("7541 5.2", "Huffman padding of zeros", BROKEN)(sends(coded_value(b"\x18")))
case("7541 5.2", "the EOS symbol inside a Huffman string", BROKEN)(sends(coded_value(b"\xff\xff\xff\xff")))
case("7541 5.2", "the EOS symbol followed by text", BROKEN)(sends(coded_value(b"\xff\xff\xff\xfc\x7f")))
case("7541 5.2", "a Huffman string that ends in the middle of a symbol", BROKEN)(sends(coded_value(b"\xff\xfe")))
case("7541 5.2", "a string longer than the block", BROKEN)(sends(b"\x00" + w.string(b"x-long") + b"\x7e" + b"abc"))
case("7541 5.2", "a name longer than the block", BROKEN)(sends(b"\x00\x7e" + b"abc"))
case("7541 5.2", "a literal without its value", BROKEN)(sends(b"\x40" + w.string(b"x-alone")))
case("7541 5.2", "LF by Huffman code is LF all the same", malformed())(sends(w.literal(b"x-bad", b"a\nb", coded=True)))
case("7541 5.2", "an upper-case name by Huffman code", malformed())(sends(w.literal(b"X-Bad", b"1", coded=True)))

# 6 Representations

case("7541 6.2.1", "an indexed name with a new value", OK)(
    delivers("user-agent", "suite", w.literal(58, b"suite", w.INDEXING))
)
case("7541 6.2.2", "a literal without indexing does not enter the table", BROKEN)(
    sends(w.literal(b"x-a", b"1", w.PLAIN), w.indexed(62))
)
case("7541 6.2.3", "a literal never indexed does not enter the table", BROKEN)(
    sends(w.literal(b"x-a", b"1", w.NEVER), w.indexed(62))
)
case("7541 6.2.3", "never indexed is forwarded", OK)(
    delivers("authorization", "secret", w.literal(23, b"secret", w.NEVER))
)


@case("7541 6.3", "a size update above what SETTINGS allow", BROKEN)
def _(c):
    c.until_settled()
    return c.send_block(w.table_size(c.settings.get(w.HEADER_TABLE_SIZE, 4096) + 1) + REQUEST)


@case("7541 6.3", "a size update of exactly what SETTINGS allow", OK)
def _(c):
    c.until_settled()
    return c.send_block(w.table_size(c.settings.get(w.HEADER_TABLE_SIZE, 4096)) + REQUEST)


@case("7541 6.3", "a size update over 2^32", BROKEN)
def _(c):
    return c.send_block(b"\x3f\xff\xff\xff\xff\x7f" + REQUEST)


@case("7541 6.3", "a block of nothing but a size update", malformed())
def _(c):
    return c.send_block(w.table_size(100))


# 7 Security: what a table makes of few bytes


@case("7541 7.3", "a field list far above the limit out of one table entry", refused(1, 2, 11, statuses=(431,)))
def _(c):
    c.until_over(c.send_block(REQUEST + w.literal(b"x-bomb", b"v" * 3900, w.INDEXING)))
    return c.send_block(w.request_block("/second") + w.indexed(62) * 4000)
