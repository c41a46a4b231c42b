# SPDX-License-Identifier: Apache-2.0
"""The suite against itself: enough cases, every section, and no case that an agreeable proxy would pass."""

import concurrent.futures
import contextlib
import socket
import threading

import deviations
import h2wire as w
import pytest
import test_h2_connection
import test_h2_flow_control
import test_h2_frames
import test_h2_hpack
import test_h2_messages
import test_h2_streams
import test_h2_upstream_connection
import test_h2_upstream_ends
import test_h2_upstream_limits
import test_h2_upstream_messages
from h2client import Client, Violation
from h2server import Server
from upstream_side import Answer

_DOWNSTREAM = (
    test_h2_connection,
    test_h2_streams,
    test_h2_flow_control,
    test_h2_frames,
    test_h2_messages,
    test_h2_hpack,
)
_UPSTREAM = (test_h2_upstream_connection, test_h2_upstream_limits, test_h2_upstream_ends, test_h2_upstream_messages)
DOWNSTREAM = [case for module in _DOWNSTREAM for case in module.CASES]
UPSTREAM = [case for module in _UPSTREAM for case in module.CASES]

SECTIONS = """3.3 3.4 4.1 4.2 4.3 5.1 5.1.1 5.1.2 5.2 5.3 5.4.1 5.4.2 5.4.3 5.5 6.1 6.2 6.3 6.4 6.5 6.5.2 6.5.3 6.6 6.7
6.8 6.9 6.9.1 6.9.2 6.10 7 8.1 8.1.1 8.2.1 8.2.2 8.2.3 8.3 8.3.1 8.4 8.5 8.7"""
HPACK_SECTIONS = "2.3.1 2.3.2 2.3.3 4.1 4.2 4.3 4.4 5.1 5.2 6.2.1 6.2.2 6.2.3 6.3 7.3"


def test_enough_cases_with_names_of_their_own():
    assert len(DOWNSTREAM) >= 150 and len(UPSTREAM) >= 65, (len(DOWNSTREAM), len(UPSTREAM))
    for cases in (DOWNSTREAM, UPSTREAM):
        names = [case.name for case in cases]
        assert not [name for name in names if names.count(name) > 1]


def test_every_section_has_a_case():
    found = {case.section for case in DOWNSTREAM}
    wanted = {*SECTIONS.split(), "8441 3", "8441 4", "8441 5"}
    wanted |= {f"7541 {section}" for section in HPACK_SECTIONS.split()}
    assert found >= wanted, f"no case for {sorted(wanted - found)}"
    assert {case.section for case in UPSTREAM} >= {"3.4", "4.2", "5.1", "6.8", "6.9", "8.1", "8.2.2", "8.3.2", "8.7"}


def test_every_deviation_names_a_case():
    names = {case.name for case in (*DOWNSTREAM, *UPSTREAM)}
    for table in (deviations.ENVOY, deviations.APUS):
        assert set(table) <= names, f"no such case: {sorted(set(table) - names)}"


class YesMan:
    """A server that acknowledges, answers every HEADERS frame with 200 and finds no fault."""

    def __init__(self, hangs_up=False):
        self.hangs_up = hangs_up
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            if self.hangs_up:
                connection.recv(65536)
                return
            buffer = bytearray()
            connection.sendall(w.settings())
            while received := connection.recv(65536):
                buffer += received
                if buffer.startswith(w.PREFACE):
                    del buffer[: len(w.PREFACE)]
                while len(buffer) >= 9 and len(buffer) >= 9 + int.from_bytes(buffer[:3], "big"):
                    size = 9 + int.from_bytes(buffer[:3], "big")
                    made, buffer = bytes(buffer[:size]), buffer[size:]
                    stream = int.from_bytes(made[5:9], "big") & w.MAX_WINDOW
                    connection.sendall(self._answer(made[3], made[4], stream, made[9:]))

    @staticmethod
    def _answer(kind, flags, stream, payload):
        if kind == w.HEADERS and stream:
            return w.headers(stream, b"\x88", end=False) + w.data(stream, b"a", end=True)
        if kind == w.SETTINGS and not flags & w.ACK:
            return w.settings(ack=True)
        if kind == w.PING and not flags & w.ACK and len(payload) == 8:
            return w.ping(payload, ack=True)
        return b""


def demands_an_error(case):
    """Not where the client ends the connection: the end of the other side is then right, and any server's."""
    wanted = case.expectation
    quiet = not wanted or wanted.silence or wanted.optional or 200 in wanted.statuses
    return not quiet and not case.options.get("ends")


def verdict(case, port):
    """None where the case needs the rest of the suite (upstreams); else whether it accepts this server."""
    options = {key: case.options[key] for key in ("settings", "preface") if key in case.options}
    with Client(port, **options) as client:
        client.patience = 0.15
        client.harness = None
        try:
            stream = case.play(client) or 1
            case.expectation.judge(client, stream)
        except AttributeError:
            return None
        except (AssertionError, Violation, StopIteration, OSError):
            return False
        return True


@pytest.mark.parametrize("hangs_up", [False, True], ids=["agreeable", "hangs up"])
def test_no_case_that_demands_an_error_accepts(hangs_up):
    server = YesMan(hangs_up)
    cases = [case for case in DOWNSTREAM if demands_an_error(case)]
    if hangs_up:
        cases = [case for case in cases if not case.expectation.bare_close]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        verdicts = list(pool.map(lambda case: verdict(case, server.port), cases))
    server.listener.close()
    toothless = [case.name for case, accepted in zip(cases, verdicts) if accepted]
    assert not toothless, f"these accept a server that does nothing: {toothless}"
    assert verdicts.count(False) >= 150, f"only {verdicts.count(False)} cases were put to the test"


def test_no_upstream_case_accepts_the_wrong_end():
    good, cut, hung = Answer(200, b"ok", True), Answer(200, b"o"), Answer(None, hung=True)
    for case in UPSTREAM:
        for answer in (hung, Answer(404, b"ok", True), Answer(504, b"", True), good, cut):
            accepted = True
            try:
                case.expectation.judge(answer)
            except AssertionError:
                accepted = False
            demand = case.expectation
            right = (
                answer.complete
                and (
                    answer.status in demand.errors
                    or answer.status in demand.statuses
                    and demand.body in (None, answer.body)
                )
                or not answer.complete
                and not answer.hung
                and demand.cut
            )
            assert accepted == bool(right), f"{case.name}: {answer}"


def complaints(case):
    """What the scripted server says of a client that asks once and then keeps its connection whatever comes."""
    server = Server(0, case.play, settings=case.options.get("settings", ()), patience=0.15)
    with server, socket.create_connection(server.listener.getsockname(), timeout=5) as client:
        client.sendall(
            w.PREFACE + w.settings((w.ENABLE_PUSH, 0)) + w.headers(1, w.request_block()) + w.settings(ack=True)
        )
        with contextlib.suppress(OSError):
            while client.recv(65536):
                pass
        return server.failures


def test_a_proxy_that_keeps_a_broken_connection_is_found_out():
    cases = [case for case in UPSTREAM if case.options.get("ends")]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        found = list(pool.map(complaints, cases))
    blind = [case.name for case, failures in zip(cases, found) if not failures]
    assert len(cases) >= 35 and not blind, f"{len(cases)} cases; these say nothing: {blind}"
