# SPDX-License-Identifier: Apache-2.0
"""Ledger cases 31–34, and 1–30 with the roles swapped: a malicious upstream behind an honest client."""

import pytest
from hostile import request

from PythonKit.client import Connection
from PythonKit.upstream import BODY, CLOSE, RESET, response

OK = b"HTTP/1.1 200 OK\r\n"
SECOND = b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


def test_case_31_content_length_and_chunked(proxy):
    proxy.bad_gateway(BODY, OK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + SECOND)


def test_case_31_body_shorter_than_its_length(proxy):
    proxy.truncated(BODY, OK + b"content-length: 10\r\n\r\nhello", CLOSE)


@pytest.mark.parametrize("extra", [b"!", SECOND], ids=["a byte", "a response"])
def test_case_31_body_longer_than_its_length(proxy, extra):
    """The client gets what was promised; the rest is nobody's answer."""
    outcome = proxy.answer_from(BODY, OK + b"content-length: 5\r\n\r\nhello" + extra)
    assert outcome.statuses == [200] and outcome.responses[0].body == b"hello"
    proxy.upstream_connection_not_reused()


@pytest.mark.parametrize("status", [204, 304])
def test_case_31_body_where_none_may_be(proxy, status):
    """What follows the head is not its body, and not the next response either."""
    outcome = proxy.answer_from(BODY, b"HTTP/1.1 %d X\r\ncontent-length: 5\r\n\r\nhello" % status)
    assert outcome.statuses in ([status], [502]) and outcome.responses[0].body in (b"",) or outcome.statuses == [502]
    proxy.upstream_connection_not_reused()


def test_case_31_head_with_a_body(proxy):
    outcome = proxy.answer_from(BODY, OK + b"content-length: 5\r\n\r\nhello", method="HEAD")
    assert outcome.statuses == [200]
    proxy.upstream_connection_not_reused()


@pytest.mark.parametrize("status", [204, 101])
def test_case_31_transfer_encoding_where_none_may_be(proxy, status):
    outcome = proxy.answer_from(BODY, b"HTTP/1.1 %d X\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" % status)
    assert outcome.statuses == [502] and outcome.log[0][2] == "UPE"
    proxy.upstream_connection_not_reused()


def test_case_32_response_before_the_request_ends_then_reset(proxy):
    outcome = proxy.answer_from(
        response(200, b"early"), 0.05, RESET, data=request(method="POST", headers=[("content-length", "100")]) + b"part"
    )
    assert outcome.statuses == [200] and outcome.responses[0].body == b"early"
    assert outcome.closed, "the rest of the body would be read as a request"


def test_case_32_bytes_between_responses(proxy):
    """An idle connection on which the upstream speaks unasked is dropped, and what it said is nobody's answer."""
    proxy.upstream.reset_records((BODY, response(200, b"good"), 0.1, SECOND))
    with Connection(proxy.ports["main"]) as connection:
        connection.send(request("/one"))
        assert connection.read_response().body == b"good"
        proxy.upstream.wait_until(lambda u: u.open_connections == 0, 2.0)
        proxy.upstream.reset_records((BODY, response(200, b"good")))
        connection.send(request("/two"))
        assert connection.read_response().body == b"good"


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"hello there\r\n\r\n",
        b"\xff" * 100,
        b"<html>\r\n\r\n",
        b" HTTP/1.1 200 OK\r\n\r\n",
        b"SSH-2.0-x\r\n",
    ],
    ids=repr,
)
def test_case_32_garbage_before_the_status_line(proxy, garbage):
    proxy.bad_gateway(BODY, garbage + response(200, b"x"))


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 99 X",
        b"HTTP/1.1 1000 X",
        b"HTTP/1.1 2147483649 X",
        b"HTTP/1.1 -200 X",
        b"HTTP/1.1 2x0 X",
        b"HTTP/1.1  200 X",
        b"HTTP/1.1 20 X",
        b"HTTP/1.1",
        b"HTTP/1.1 ",
        b"HTTP/2.0 200 OK",
        b"HTTP/1.1x 200 OK",
        b"HTP/1.1 200 OK",
        b"http/1.1 200 OK",
        b"HTTP/1.1 000 X",
        b"HTTP/1.1 2000 X",
        b"HTTP/1.1\t200\tOK",
    ],
    ids=repr,
)
def test_case_32_status_line(proxy, line):
    proxy.bad_gateway(BODY, line + b"\r\ncontent-length: 0\r\n\r\n")


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n",
    ],
    ids=["100", "102", "103"],
)
def test_case_28_interim_response_flood(proxy, interim):
    """After 16 interim responses the upstream has had its chance."""
    proxy.bad_gateway(BODY, interim * 200 + response(200, b"x"))


@pytest.mark.parametrize(
    "interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"], ids=["100", "103"]
)
def test_case_28_few_interim_responses_pass(proxy, interim):
    outcome = proxy.answer_from(BODY, interim * 3 + response(200, b"done"))
    assert outcome.statuses == [200] and outcome.responses[0].body == b"done"
    assert len(outcome.responses[0].interim) <= 3


def test_case_32_interim_responses_without_end(proxy):
    """They trickle for ever: ended by count, long before the route's timeout."""
    proxy.bad_gateway(BODY, *(step for _ in range(60) for step in (b"HTTP/1.1 100 Continue\r\n\r\n", 0.002)))


@pytest.mark.parametrize(
    "line",
    [b"x: a\nset-cookie: stolen=1", b"x: a\rb", b"x: a\rset-cookie: stolen=1", b"x: a\x00b", b"x: \x01"],
    ids=repr,
)
def test_case_33_response_splitting(proxy, line):
    outcome = proxy.bad_gateway(BODY, OK + line + b"\r\ncontent-length: 0\r\n\r\n")
    assert not outcome.responses[0].values("set-cookie")


@pytest.mark.parametrize("end", [CLOSE, RESET])
def test_case_34_chunked_body_cut(proxy, end):
    proxy.truncated(BODY, CHUNKED + b"5\r\nhello\r\n", 0.1, end)


@pytest.mark.parametrize(
    "cut",
    [
        b"5\r\nhel",
        b"5\r\nhello",
        b"5\r\nhello\r",
        b"5\r\nhello\r\n0",
        b"5\r\nhello\r\n0\r\n",
        b"5\r\nhello\r\n0\r\n\r",
        b"5\r\nhello\r\n0\r\nx: y\r\n",
    ],
    ids=repr,
)
def test_case_34_chunked_body_cut_at_every_part(proxy, cut):
    proxy.truncated(BODY, CHUNKED, 0.05, cut, CLOSE)


def test_case_34_content_length_cut_by_reset(proxy):
    proxy.truncated(BODY, OK + b"content-length: 100\r\n\r\nhello", 0.1, RESET)


def test_case_34_body_to_the_end_of_the_connection_cut_by_reset(proxy):
    """Without any framing a reset is the only sign of a cut, so that it must be passed on."""
    proxy.truncated(BODY, OK + b"\r\n", 0.05, b"some of it", 0.1, RESET)


# Roles swapped


@pytest.mark.parametrize("values", [(b"5", b"6"), (b"5", b"0"), (b"5", b"5")], ids=repr)
def test_case_02_swapped_two_content_lengths(proxy, values):
    fields = b"".join(b"content-length: " + v + b"\r\n" for v in values)
    proxy.bad_gateway(BODY, OK + fields + b"\r\nhello")


@pytest.mark.parametrize("value", [b"+5", b"-5", b"0x5", b"1_0", b"5Z", b"", b"5 5", b"5,5"], ids=repr)
def test_case_03_swapped_content_length_not_a_number(proxy, value):
    proxy.bad_gateway(BODY, OK + b"content-length: " + value + b"\r\n\r\nhello")


@pytest.mark.parametrize("value", [b"9223372036854775808", b"18446744073709551616", b"18446744073709551621"], ids=repr)
def test_case_04_swapped_content_length_overflow(proxy, value):
    proxy.bad_gateway(BODY, OK + b"content-length: " + value + b"\r\n\r\nhello")


@pytest.mark.parametrize(
    "value", [b",chunked", b"xchunked", b"identity", b"chunked, chunked", b"gzip, chunked", b""], ids=repr
)
def test_case_05_swapped_transfer_encoding_other_than_chunked(proxy, value):
    proxy.bad_gateway(BODY, OK + b"transfer-encoding: " + value + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n")


def test_case_06_swapped_two_transfer_encodings(proxy):
    proxy.bad_gateway(
        BODY, OK + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    )


def test_case_07_swapped_transfer_encoding_in_http_1_0(proxy):
    proxy.bad_gateway(BODY, b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    "line",
    [
        b"Transfer-Encoding : chunked",
        b" Transfer-Encoding: chunked",
        b"X: X\nTransfer-Encoding: chunked",
        b"Transfer-Encoding:\x0bchunked",
        b"Transfer-Encoding\x00: chunked",
        b"Transfer-Encoding:\r\n chunked",
    ],
    ids=repr,
)
def test_case_08_swapped_transfer_encoding_obfuscated(proxy, line):
    proxy.bad_gateway(BODY, OK + line + b"\r\ncontent-length: 5\r\n\r\nhello")


@pytest.mark.parametrize(
    "size", [b"0x5", b"+5", b" 5", b"5_", b"-0x0", b"", b"G", b"10000000000000005", b"8000000000000005"], ids=repr
)
def test_case_09_swapped_chunk_size_not_a_number(proxy, size):
    proxy.truncated(
        BODY,
        CHUNKED,
        0.05,
        size + b"\r\nhello\r\n0\r\n\r\n",
        flags="UPE|UPE,UC",
        details=r"upstream_reset_after_response_started\{protocol_error\}",
    )


@pytest.mark.parametrize(
    "body",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello\r\n0\n\r\n",
        b"5\rXhello\r\n0\r\n\r\n",
        b"5;a=\rb\r\nhello\r\n0\r\n\r\n",
    ],
    ids=repr,
)
def test_case_10_swapped_bare_line_ends(proxy, body):
    proxy.truncated(BODY, CHUNKED, 0.05, body)


def test_case_10_swapped_bare_line_ends_in_a_head(proxy):
    proxy.bad_gateway(BODY, b"HTTP/1.1 200 OK\ncontent-length: 5\n\nhello")


def test_case_11_swapped_oversized_chunk_extension(proxy):
    proxy.truncated(BODY, CHUNKED, 0.05, b"5;" + b"e" * 20000 + b"\r\nhello\r\n0\r\n\r\n")


@pytest.mark.parametrize("body", [b"5\r\nhelloXX0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"0\r\nX\r\n\r\n"], ids=repr)
def test_case_12_swapped_wrong_bytes_after_a_chunk(proxy, body):
    proxy.truncated(BODY, CHUNKED, 0.05, body)


@pytest.mark.parametrize(
    "line", [b"X : a", b"X: a\r\n b", b"no colon", b": empty", b"X(Y: v", b"X\x80: v", b"X\x01: v"], ids=repr
)
def test_case_16_17_18_swapped_bad_fields(proxy, line):
    proxy.bad_gateway(BODY, OK + line + b"\r\ncontent-length: 0\r\n\r\n")


def test_case_16_swapped_first_field_starts_with_a_blank(proxy):
    proxy.bad_gateway(BODY, OK + b" X: a\r\ncontent-length: 0\r\n\r\n")


def test_case_27_swapped_head_too_large(proxy):
    proxy.bad_gateway(BODY, OK + b"x: " + b"v" * 100_000 + b"\r\n\r\n")


def test_case_27_swapped_too_many_fields(proxy):
    proxy.bad_gateway(BODY, OK + b"x: v\r\n" * 150 + b"content-length: 0\r\n\r\n")


def test_case_27_swapped_head_without_end(proxy):
    proxy.bad_gateway(BODY, OK, *(b"x-endless: " + b"v" * 1000 + b"\r\n" for _ in range(200)))


def test_case_13_swapped_request_abandoned_by_the_client_frees_the_upstream(proxy):
    """The client goes in the middle of an answer: the upstream's connection is closed, not reused with the rest in it."""
    proxy.upstream.reset_records((BODY, OK + b"content-length: 10\r\n\r\nhello", 0.2, b"world"))
    with Connection(proxy.ports["main"]) as connection:
        connection.send(request("/one"))
        connection.read_exactly(20)
    proxy.upstream.wait_for(1)
    proxy.upstream_connection_not_reused()


def test_case_30_swapped_nominated_headers_are_stripped(proxy):
    outcome = proxy.answer_from(
        BODY,
        response(200, b"ok", [("connection", "x-one"), ("x-one", "1"), ("keep-alive", "timeout=5"), ("x-two", "2")]),
    )
    answer = outcome.responses[0]
    assert answer.status == 200 and answer.header("x-two") == "2"
    assert answer.header("keep-alive") is None and "x-one" not in (answer.header("connection") or "")


def test_case_14_swapped_101_nobody_asked_for(proxy):
    outcome = proxy.answer_from(
        BODY, b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nframe"
    )
    assert outcome.statuses and outcome.statuses[0] in (502, 503), f"answered {outcome.statuses}"
    proxy.upstream_connection_not_reused()
