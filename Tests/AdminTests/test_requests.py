# SPDX-License-Identifier: Apache-2.0
"""The same requests to both admins: text compared exactly, JSON by structure. What differs on purpose is said where it is."""

import json
import re
import subprocess
import time

import pytest
from pair import content_type, same_text

from PythonKit.client import Connection

POST_ONLY = [
    "/allocprofiler", "/cpuprofiler", "/drain_listeners", "/healthcheck/fail", "/healthcheck/ok", "/heapprofiler",
    "/logging", "/quitquitquit", "/reopen_logs", "/reset_counters", "/runtime_modify",
]  # fmt: skip


def documents(pair, path, method="GET"):
    """Both answers as parsed JSON; status and content type are compared here."""
    envoy, apus = pair.ask(path, method)
    assert apus.status == envoy.status == 200
    assert content_type(apus) == content_type(envoy) == "application/json"
    return json.loads(pair.envoy.named(envoy.body)), json.loads(pair.apus.named(apus.body))


# Requests and their methods


@pytest.mark.parametrize("path", ["/ready", "/ready?x", "/%72eady", "/init_dump", "/init_dump?mask=listener", "/contention"])
def test_text(pair, path):
    same_text(pair, path)


@pytest.mark.parametrize("path", POST_ONLY)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_changes_something_needs_post(pair, path, method):
    same_text(pair, path, method)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_reading_takes_any_method(pair, method):
    same_text(pair, "/ready", method)


@pytest.mark.parametrize("path", ["/ready", "/clusters", "/config_dump", "/quitquitquit", "/nothing"])
def test_head_has_no_body(pair, path):
    answer = same_text(pair, path, "HEAD")
    assert answer.body == b""


def help_lines(text):
    """Lines of the list without what belongs to `/stats`, which has tests of its own, and to the paths Envoy lacks."""
    kept, keeps = [], True
    for line in text.splitlines():
        if not line.startswith("      "):
            keeps = not re.match(r"  /(stats|recent_errors|unsupported)\b", line)
        if keeps:
            kept.append(line)
    return kept


@pytest.mark.parametrize("path", ["/help", "/help?x", "/nothing", "/ready/", "//", "/ready%3Fa", "/READY", "/config_dump/x"])
def test_the_list_of_paths(pair, path):
    envoy, apus = pair.ask(path)
    assert apus.status == envoy.status == (200 if path.startswith("/help") else 404)
    assert content_type(apus) == content_type(envoy)
    assert help_lines(apus.body.decode()) == help_lines(envoy.body.decode())


def test_the_page_is_html(pair):
    envoy, apus = pair.ask("/")
    assert apus.status == envoy.status == 200
    assert content_type(apus) == content_type(envoy)


# Logging


@pytest.mark.parametrize(
    "query",
    ["level=foo", "foo=info", "admin=foo", "foo=bar", "admin=debug&http=info", "paths=admin:debug,foo:info", "level=warn",
     "paths=admin:debug,http:inf", "paths=admin", "paths=:info", "paths=admin:", "paths=admin:info:x", "=info", "group=http:debug",
     "paths=", "level=", "level", "admin=", "paths=,,", "level=%6Cevel"],
)  # fmt: skip
def test_logging_mistakes_and_empty_values_change_nothing(pair, query):
    same_text(pair, f"/logging?{query}", "POST")
    same_text(pair, "/logging", "POST")


@pytest.mark.parametrize(
    "query", ["level=trace", "level=off", "http=debug", "paths=admin:trace,http2:error", "paths=admin:info,", "%68ttp=debug"]
)
def test_logging_sets_levels(pair, query):
    try:
        same_text(pair, f"/logging?{query}", "POST")
        same_text(pair, "/logging", "POST")
    finally:
        same_text(pair, "/logging?level=error", "POST")


def test_a_level_takes_effect_for_its_component(fresh_apus):
    def lines():
        fresh_apus.ask("/ready")
        return [line for line in fresh_apus.proxy.log().splitlines() if "[debug][admin]" in line and "/ready" in line]

    assert lines() == []
    assert fresh_apus.ask("/logging?http=debug", "POST").status == 200
    assert lines() == []
    assert fresh_apus.ask("/logging?admin=debug", "POST").status == 200
    assert len(lines()) == 1
    assert fresh_apus.ask("/logging?level=error", "POST").status == 200
    assert len(lines()) == 1


# Runtime


def test_runtime_layers(pair):
    envoy, apus = documents(pair, "/runtime")
    assert apus == envoy


@pytest.mark.parametrize(
    "query", ["a.b=zz", "new.key=5&feature.ratio=%25x", "flag=", "=b&=", "novalue", "a.b=1&a.b=2", "x=%00%41%zz", "a=b=c"]
)
def test_runtime_modify(pair, query):
    try:
        same_text(pair, f"/runtime_modify?{query}", "POST")
        envoy, apus = documents(pair, "/runtime")
        assert apus == envoy
    finally:
        for key in ("a.b", "new.key", "feature.ratio", "", "x", "a", "flag"):
            pair.ask(f"/runtime_modify?{key}=", "POST")
        envoy, apus = documents(pair, "/runtime")
        assert apus == envoy


def test_runtime_modify_without_parameters(pair):
    same_text(pair, "/runtime_modify", "POST")


def test_runtime_modify_reads_a_form(pair):
    body = b"from=form&more=%41"
    request = (
        b"POST /runtime_modify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)
    )
    try:
        assert [side.raw(request).body for side in pair.both()] == [b"OK\n", b"OK\n"]
        envoy, apus = documents(pair, "/runtime")
        assert apus == envoy
        assert apus["entries"]["more"]["final_value"] == "A"
    finally:
        pair.ask("/runtime_modify?from=&more=", "POST")


@pytest.mark.parametrize(
    ("value", "statuses"),
    [("0", {202}), ("100", {201}), ("", {201}), ("50", {201, 202}), ("text", {201}), ("-1", {201}),
     ("numerator%3A%200", {202}), ("numerator%3A%20999999%0Adenominator%3A%20MILLION", {201}), ("1e2", {201})],
)  # fmt: skip
def test_runtime_steers_a_route(pair, value, statuses):
    try:
        pair.ask(f"/runtime_modify?part.on={value}", "POST")
        for side in pair.both():
            assert {side.visit("/part").status for _ in range(60)} == statuses, side.name
    finally:
        pair.ask("/runtime_modify?part.on=", "POST")


# Clusters and listeners


@pytest.mark.parametrize(
    "path",
    ["/listeners", "/listeners?format=text", "/listeners?format=xml", "/clusters?filter=^nothing$", "/clusters?filter=^dead|x$"],
)
def test_lists_as_text(pair, path):
    same_text(pair, path)


@pytest.mark.parametrize("path", ["/clusters", "/clusters?format=xml", "/clusters?filter=a", "/clusters?filter=d[.]n", "/clusters?filter="])
def test_clusters_as_text(pair, path):
    """Envoy lists clusters in the order of a hash table; Apus by name."""
    envoy, apus = pair.ask(path)
    assert apus.status == envoy.status
    assert content_type(apus) == content_type(envoy)
    assert sorted(pair.apus.named(apus.body).splitlines()) == sorted(pair.envoy.named(envoy.body).splitlines())


@pytest.mark.parametrize("path", ["/clusters?format=json", "/clusters?format=json&filter=^b", "/clusters?format=json&filter=no"])
def test_clusters_as_json(pair, path):
    envoy, apus = documents(pair, path)
    for document in (envoy, apus):
        document.get("cluster_statuses", []).sort(key=lambda status: status["name"])
    assert apus == envoy


def test_listeners_as_json(pair):
    envoy, apus = documents(pair, "/listeners?format=json")
    assert apus == envoy


def test_hosts_are_counted(fresh_pair):
    """After the same traffic each host has the same numbers."""
    for _ in range(3):
        assert [answer.status for answer in fresh_pair.visit("/")] == [200, 200]
    assert [answer.status for answer in fresh_pair.visit("/dead")] == [503, 503]
    for path in ("/clusters?filter=backend", "/clusters?filter=dead"):
        # Workers publish what a connection's end counts a moment after the client has its answer.
        deadline = time.monotonic() + 5
        while True:
            envoy, apus = fresh_pair.ask(path)
            texts = fresh_pair.apus.named(apus.body), fresh_pair.envoy.named(envoy.body)
            if texts[0] == texts[1] or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        assert texts[0] == texts[1]
    assert b"rq_total::3\n" in fresh_pair.apus.ask("/clusters?filter=backend").body


# The rest of the process


def test_certificates(pair):
    envoy, apus = documents(pair, "/certs")
    assert apus == envoy
    assert len(apus["certificates"]) == 1
    days = [int(c["days_until_expiration"]) for entry in apus["certificates"] for kind in ("cert_chain", "ca_cert") for c in entry[kind]]
    assert [counters(side, "server.days_until_first_cert_expiring") for side in pair.both()] == [[min(days)]] * 2


def test_server_info(pair):
    envoy, apus = documents(pair, "/server_info")
    assert set(apus) == set(envoy)
    assert (apus["state"], envoy["state"]) == ("LIVE", "LIVE")
    options = {side: dict(document["command_line_options"]) for side, document in (("envoy", envoy), ("apus", apus))}
    # Envoy prints 0 where its defaults of 64 KiB and 0600 are in force.
    assert (options["envoy"].pop("file_flush_min_size"), options["apus"].pop("file_flush_min_size")) == (0, 64)
    assert (options["envoy"].pop("socket_mode"), options["apus"].pop("socket_mode")) == (0, 0o600)
    assert options["apus"] == options["envoy"]
    nodes = [dict(document["node"]) for document in (envoy, apus)]
    for node in nodes:
        # The lists of extensions differ, and so do the builds.
        assert isinstance(node.pop("extensions"), list)
        build = node.pop("user_agent_build_version")
        assert build["version"]["major_number"] == 1
        assert {"build.type", "revision.status", "ssl.version"} <= set(build["metadata"])
    assert nodes[1] == nodes[0]


def test_memory(pair):
    envoy, apus = documents(pair, "/memory")
    assert set(apus) == set(envoy)
    assert all(value.isdigit() for value in apus.values())
    assert int(apus["total_physical_bytes"]) > 1 << 20


@pytest.mark.parametrize(
    "path",
    ["/cpuprofiler", "/cpuprofiler?enable=n", "/cpuprofiler?enable=q", "/heapprofiler", "/heapprofiler?enable=y",
     "/allocprofiler", "/allocprofiler?enable=n", "/reopen_logs", "/reopen_logs?x=y", "/healthcheck/ok"],
)  # fmt: skip
def test_post(pair, path):
    same_text(pair, path, "POST")


def counters(side, *names):
    stats = side.proxy.stats()
    return [stats[name] for name in names]


def test_reset_counters(fresh_pair):
    names = ("cluster.other.upstream_rq_total", "http.web.downstream_rq_total", "listener.127.0.0.1_{}.downstream_cx_total")
    fresh_pair.visit("/"), fresh_pair.visit("/")
    for side in fresh_pair.both():
        mine = [name.format(side.ports["web"]) for name in names]
        assert counters(side, *mine) == [2, 2, 2], side.name
        assert side.ask("/reset_counters", "POST").body == b"OK\n"
        assert counters(side, *mine) == [0, 0, 0], side.name
        side.visit("/")
        assert counters(side, *mine) == [1, 1, 1], side.name


def test_failing_health_check(fresh_pair):
    def look():
        ready = same_text(fresh_pair, "/ready").status
        closes = {side.name: side.visit("/direct").header("connection") for side in fresh_pair.both()}
        states = [json.loads(side.ask("/server_info").body)["state"] for side in fresh_pair.both()]
        live = [counters(side, "server.live")[0] for side in fresh_pair.both()]
        return ready, closes, states, live

    same_text(fresh_pair, "/healthcheck/fail", "POST")
    ready, closes, states, live = look()
    assert ready == 503
    assert closes == {"envoy": "close", "apus": "close"}
    assert states == ["DRAINING", "DRAINING"]
    assert live == [0, 0]
    same_text(fresh_pair, "/healthcheck/ok", "POST")
    ready, _, states, live = look()
    assert (ready, states, live) == (200, ["LIVE", "LIVE"], [1, 1])


@pytest.mark.parametrize("query", ["?skip_exit", "?graceful&skip_exit", "?inboundonly&graceful", "?graceful=x", "?inboundonly", ""])
def test_drain_answers(fresh_pair, query):
    same_text(fresh_pair, "/drain_listeners" + query, "POST")
    same_text(fresh_pair, "/listeners")


def test_quit(fresh_pair):
    same_text(fresh_pair, "/quitquitquit", "POST")
    assert [side.proxy.process.wait(10) for side in fresh_pair.both()] == [0, 0]


# Hostile and odd clients


def test_an_unknown_method_is_refused(pair):
    answers = [side.raw(b"FOO /ready HTTP/1.1\r\nHost: localhost\r\n\r\n") for side in pair.both()]
    assert [answer.status for answer in answers] == [400, 400]


def test_a_huge_query_is_refused(pair):
    # Envoy refuses above 60 KiB, Apus above 64.
    head = b"GET /ready?" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert [side.raw(head).status for side in pair.both()] == [431, 431]


def test_a_large_query_is_taken(pair):
    same_text(pair, "/ready?" + "a" * 50_000)


def test_regex_characters_need_no_encoding(pair):
    """pilot-agent sends them as they are."""
    path = "/clusters?filter=^(dead|backend)$"
    envoy, apus = pair.ask(path)
    assert envoy.status == apus.status == 200
    assert b"dead::default_priority" in apus.body and b"backend::default_priority" in apus.body


@pytest.mark.parametrize("pattern", ["(", "[", "*", "a{2000}", "(?<=x)"])
def test_bad_expressions_are_refused(pair, pattern):
    envoy, apus = pair.ask(f"/clusters?filter={pattern}")
    assert apus.status == envoy.status == 400
    assert apus.body.startswith(b"Invalid re2 regex") and envoy.body.startswith(b"Invalid re2 regex")


def test_requests_on_one_connection(pair):
    """Envoy ends a connection on which requests are sent before the answer to the last has come; Apus answers them all."""
    request = b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for side in pair.both():
        with Connection(side.ports["admin"]) as connection:
            for _ in range(3):
                connection.send(request)
                assert connection.read_response().body == b"LIVE\n", side.name
    with Connection(pair.apus.ports["admin"]) as connection:
        connection.send(request * 3)
        assert [connection.read_response().body for _ in range(3)] == [b"LIVE\n"] * 3


def test_a_body_is_skipped(pair):
    for framing in (b"Content-Length: 5\r\n\r\nabcde", b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: v\r\n\r\n"):
        for side in pair.both():
            with Connection(side.ports["admin"]) as connection:
                connection.send(b"POST /ready HTTP/1.1\r\nHost: localhost\r\n" + framing)
                connection.send(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert [connection.read_response().status for _ in range(2)] == [200, 200], (side.name, framing)


def test_a_slow_client_keeps_nobody_waiting(pair):
    for side in pair.both():
        with Connection(side.ports["admin"]) as slow:
            for byte in b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r":
                slow.send(bytes([byte]))
                assert side.ask("/ready").status == 200
            slow.send(b"\n")
            assert slow.read_response().body == b"LIVE\n", side.name


def test_a_client_that_does_not_read_keeps_nobody_waiting(pair):
    for side in pair.both():
        deaf = [Connection(side.ports["admin"]) for _ in range(10)]
        for connection in deaf:
            connection.send(b"GET /config_dump HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert side.ask("/ready").body == b"LIVE\n", side.name
        for connection in deaf:
            connection.close()


def test_http_1_0_is_answered(pair):
    """Envoy tells HTTP/1.0 clients to upgrade (426); Apus answers them, for probes that speak nothing else."""
    envoy, apus = (side.raw(b"GET /ready HTTP/1.0\r\n\r\n") for side in pair.both())
    assert (envoy.status, apus.status) == (426, 200)
    assert apus.header("connection") == "close"


# What Envoy does not do: a browser on this machine is not the operator


def send(side, path, method, *headers):
    lines = [f"{method} {path} HTTP/1.1", *headers, "Connection: close", "", ""]
    return side.raw("\r\n".join(lines).encode(), method=method)


@pytest.mark.parametrize(
    "headers",
    [("Host: localhost", "Origin: http://evil.example"), ("Host: localhost", "Sec-Fetch-Site: cross-site"),
     ("Host: localhost", "Sec-Fetch-Site: same-site"), ("Host: localhost", "Origin: null"),
     ("Host: 127.0.0.1:1", "Origin: http://127.0.0.1:2"), ("Host: evil.example", "Origin: http://evil.example"),
     ("Host: 127.0.0.1.evil.example",), ("Host: localhost.evil.example:15000",)],
)  # fmt: skip
def test_another_origin_commands_nothing(fresh_apus, headers):
    assert send(fresh_apus, "/quitquitquit", "POST", *headers).status == 403
    assert fresh_apus.ask("/ready").status == 200


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:15000", "127.0.0.1:15000", "[::1]:15000", "LOCALHOST.", "a.localhost", "admin", "127.9.8.7"]
)
def test_names_of_this_machine_are_answered(pair, host):
    assert send(pair.apus, "/ready", "GET", f"Host: {host}").status == 200
    own = send(pair.apus, "/reopen_logs", "POST", f"Host: {host}", f"Origin: http://{host}", "Sec-Fetch-Site: same-origin")
    assert own.status == 200
    assert send(pair.apus, "/reopen_logs", "POST", f"Host: {host}").status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:15000", "1.2.3.4.5", "1.2.3", "256.1.1.1", "xn--bcher-kva.example"])
def test_another_name_for_this_machine_reads_nothing(pair, host):
    for path in ("/config_dump", "/ready", "/"):
        assert send(pair.apus, path, "GET", f"Host: {host}").status == 403


@pytest.mark.parametrize("levels", ["foo:info", "http:inf", "http", "http:debug:x,", "http:debug,foo:off"])
def test_component_log_levels_are_checked_at_start(pair, levels):
    """Both name the mistake and exit 1."""
    said = []
    for side in pair.both():
        arguments = [side.proxy.binary, "-c", str(side.proxy.bootstrap_path), "--mode", "validate", "--component-log-level", levels]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=30)
        assert done.returncode == 1
        said.append(re.search(r"error: .*", done.stdout + done.stderr, re.IGNORECASE).group(0).lower())
    assert said[0].split("error: ")[-1] == said[1].split("error: ")[-1]


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [("/ready?marker=1", "GET", [("User-Agent", "agent"), ("X-Request-Id", "id-1")]), ("/nothing?marker=2", "GET", []),
     ("/ready?marker=3", "HEAD", []), ("/logging?marker=4", "GET", [("x-forwarded-for", "1.2.3.4")]), ("/ready?marker=5", "POST", [])],
)  # fmt: skip
def test_requests_are_logged(pair, path, method, headers):
    """Bytes sent differ where the texts do (the list of paths), and so do milliseconds."""
    for side in pair.both():
        side.ask(path, method, headers)
    envoy, apus = ([side.named(line.encode()) for line in side.logged(path)] for side in pair.both())
    assert len(apus) == len(envoy) == 1
    numbers = re.compile(r'" (\d+) - (\d+) (\d+) (\d+) ')
    if "nothing" in path:
        envoy, apus = [numbers.sub(r'" \1 - \2 n n ', envoy[0])], [numbers.sub(r'" \1 - \2 n n ', apus[0])]
    assert numbers.sub(r'" \1 - \2 \3 n ', apus[0]) == numbers.sub(r'" \1 - \2 \3 n ', envoy[0])


def test_the_access_log_is_filtered(pair):
    for side in pair.both():
        side.ask("/ready?other=1"), side.ask("/nothing?other=2")
        side.logged("/nothing?other=2")
        filtered = side.access_log.with_suffix(".filtered")
        deadline = time.monotonic() + 15
        while "other=2" not in filtered.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert [line for line in filtered.read_text().splitlines() if "other" in line] == ["/nothing?other=2 404"], side.name
