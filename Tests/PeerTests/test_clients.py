# SPDX-License-Identifier: Apache-2.0
"""Real clients through Apus: zero errors."""

import hashlib
import re

import pytest
from peers import Nginx, run, tool

from PythonKit.ports import free_port
from PythonKit.upstream import BODY, response

_BIG = bytes(range(256)) * 4096


def curl(*arguments, **options):
    return run(tool("curl"), "--silent", "--show-error", "--fail", "--max-time", "15", *arguments, **options)


def test_curl_gets(apus):
    assert curl(apus.url("/")) == b"hello from nginx"


def test_curl_keeps_one_connection(apus):
    counts = curl(
        "-w",
        "%{num_connects}\n",
        "-o",
        "/dev/null",
        apus.url("/1"),
        "-o",
        "/dev/null",
        apus.url("/2"),
        "-o",
        "/dev/null",
        apus.url("/3"),
    )
    assert counts.split() == [b"1", b"0", b"0"]


def test_curl_downloads_a_mebibyte(apus):
    assert hashlib.sha256(curl(apus.url("/big"))).digest() == hashlib.sha256(_BIG).digest()


def test_curl_resumes_a_range(apus):
    assert curl("-r", "1000-1999", apus.url("/big")) == _BIG[1000:2000]


def test_curl_not_modified(apus):
    headers = curl("-I", apus.url("/big")).decode()
    tag = re.search(r"(?im)^etag: (.*?)\r?$", headers)[1]
    assert curl("-w", "%{http_code}", "-o", "/dev/null", "-H", f"If-None-Match: {tag}", apus.url("/big")) == b"304"


def test_curl_uploads_chunked(apus, recorder):
    recorder.reset_records()
    curl(
        "-H",
        "Transfer-Encoding: chunked",
        "-H",
        "Expect:",
        "--data-binary",
        "@-",
        apus.url("/up", "recorded"),
        input=_BIG * 3,
    )
    seen = recorder.requests[-1]
    assert seen.framing == "chunked" and seen.body == _BIG * 3


def test_curl_uploads_with_a_length(apus, recorder):
    recorder.reset_records()
    curl("-H", "Expect:", "--data-binary", "@-", apus.url("/up", "recorded"), input=_BIG * 3)
    seen = recorder.requests[-1]
    assert seen.framing == "length" and seen.body == _BIG * 3


def test_curl_expects_100(apus, recorder):
    """The proxy answers the expectation itself: curl does not wait its second."""
    recorder.reset_records()
    taken = curl(
        "-H",
        "Expect: 100-continue",
        "--expect100-timeout",
        "10",
        "--data-binary",
        "@-",
        "-o",
        "/dev/null",
        "-w",
        "%{time_total}",
        apus.url("/up", "recorded"),
        input=_BIG,
    )
    assert float(taken) < 5 and recorder.requests[-1].body == _BIG


def test_curl_head(apus):
    headers = curl("-I", apus.url("/big")).decode().lower()
    assert "200 ok" in headers and f"content-length: {len(_BIG)}" in headers


def test_curl_speaks_http_1_0(apus):
    assert curl("--http1.0", apus.url("/", "http10")) == b"hello from nginx"
    assert hashlib.sha256(curl("--http1.0", apus.url("/big", "http10"))).digest() == hashlib.sha256(_BIG).digest()


def test_curl_reads_a_chunked_answer(apus, recorder):
    recorder.reset_records((BODY, response(200, chunks=[b"one", b"two" * 10000, b"three"])))
    assert curl(apus.url("/", "recorded")) == b"one" + b"two" * 10000 + b"three"
    recorder.reset_records()


@pytest.mark.parametrize("connections", [1, 64])
def test_wrk_has_no_errors(apus, connections):
    output = run(tool("wrk"), "-t1", f"-c{connections}", "-d2s", "--timeout", "5s", apus.url("/")).decode()
    assert "Socket errors" not in output and "Non-2xx" not in output, output
    assert int(re.search(r"(\d+) requests in", output)[1]) > 100, output


@pytest.mark.parametrize("path", ["/", "/big"])
@pytest.mark.parametrize("keep_alive", [True, False], ids=["keep-alive", "connection per request"])
def test_ab_has_no_errors(apus, keep_alive, path):
    count = 2000 if path == "/" else 200
    output = run(
        tool("ab"), *(["-k"] if keep_alive else []), "-q", "-n", str(count), "-c", "16", apus.url(path, "http10")
    ).decode()
    assert f"Complete requests:      {count}" in output and "Failed requests:        0" in output, output
    assert "Non-2xx" not in output and "Write errors" not in output, output
    if keep_alive:
        assert int(re.search(r"Keep-Alive requests:\s+(\d+)", output)[1]) > count * 0.9, output


@pytest.mark.parametrize("keep_alive", [True, False], ids=["keep-alive", "connection per request"])
def test_nginx_as_a_client(apus, tmp_path, keep_alive):
    """wrk to nginx to Apus to nginx."""
    connection = 'proxy_set_header Connection "";' if keep_alive else ""
    front = Nginx(
        tmp_path,
        free_port(),
        f"location / {{ proxy_pass http://apus; proxy_http_version 1.1; {connection} }}",
        f"upstream apus {{ server 127.0.0.1:{apus.ports['main']}; keepalive 32; }}",
    )
    try:
        output = run(tool("wrk"), "-t1", "-c16", "-d1s", f"http://127.0.0.1:{front.port}/").decode()
        assert "Socket errors" not in output and "Non-2xx" not in output, output
        assert curl(f"http://127.0.0.1:{front.port}/big") == _BIG
    finally:
        front.stop()
    errors = front.error_log.read_text()
    assert "[error]" not in errors and "[warn]" not in [
        line for line in errors.splitlines() if "temporary file" not in line
    ], errors
