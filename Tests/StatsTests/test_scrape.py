# SPDX-License-Identifier: Apache-2.0
"""A scrape of a hundred thousand rows holds up nobody: shown by the order in which answers come, not by how long they take."""

import os
import threading

import pytest

from PythonKit import bootstrap as b
from PythonKit.client import Connection, get, request
from PythonKit.ports import free_port
from PythonKit.process import Proxy
from PythonKit.upstream import Upstream

CLUSTERS = 1000

pytestmark = pytest.mark.skipif(
    "APUS_SANITIZED" in os.environ, reason="a scrape of this size takes minutes with a sanitizer and without the optimizer")


@pytest.fixture(scope="module")
def proxy(tmp_path_factory, apus_binary):
    """A thousand clusters, each of which served a request."""
    upstream = Upstream(free_port(), "u")
    port, admin = free_port(), free_port()
    routes = "[{match: {prefix: /}, route: {cluster_header: x-cluster}}]"
    clusters = [b.cluster(f"c{n}", upstream.port, alt_stat_name=f"outbound|80||c{n}.ns.svc.cluster.local;") for n in range(CLUSTERS)]
    config = b.bootstrap(admin, [b.listener("main", port, b.hcm(routes))], clusters)
    made = Proxy(apus_binary, b.write(tmp_path_factory.mktemp("scrape") / "bootstrap.yaml", config), admin)
    try:
        made.wait_until_ready(60)
        made.port = port
        with Connection(port) as connection:
            for n in range(CLUSTERS):
                connection.send(request("/", headers=[("x-cluster", f"c{n}")]))
                assert connection.read_response(timeout=10).status == 200
        yield made
    finally:
        made.stop()
        upstream.close()


def _rows(text):
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_every_cluster_is_in_the_scrape(proxy):
    rows = _rows(get(proxy.admin_port, "/stats/prometheus", host="admin", timeout=120).body.decode())
    found = [line for line in rows if "upstream_rq_total{" in line and line.endswith("} 1")]
    assert len(found) == CLUSTERS
    assert len(rows) > 60 * CLUSTERS


def test_ready_is_answered_inside_a_scrape(proxy):
    """The scrape's reader takes everything as it comes; between its first and its last byte others are answered."""
    events = []
    with Connection(proxy.admin_port) as scrape, Connection(proxy.admin_port) as asker:
        scrape.send(request("/stats/prometheus", host="admin"))
        scrape._fill(60)
        events.append("first byte")

        def read():
            scrape.read_response(timeout=120)
            events.append("last byte")

        reader = threading.Thread(target=read)
        reader.start()
        while reader.is_alive():
            asker.send(request("/ready", host="admin"))
            assert asker.read_response(timeout=60).body == b"LIVE\n"
            events.append("ready")
        reader.join()
    assert "ready" in events[: events.index("last byte")], events


def test_a_scraper_that_does_not_read_holds_nobody(proxy):
    with Connection(proxy.admin_port) as scrape:
        scrape.send(request("/stats/prometheus", host="admin"))
        scrape._fill(60)
        for n in range(20):
            assert get(proxy.admin_port, "/ready", host="admin", timeout=60).body == b"LIVE\n"
            assert get(proxy.port, "/", headers=[("x-cluster", f"c{n}")], timeout=60).status == 200
        # Another scraper gets its own answer meanwhile.
        assert get(proxy.admin_port, "/stats?filter=server.live", host="admin", timeout=60).body == b"server.live: 1\n"
        text = scrape.read_response(timeout=120).body.decode()
        assert len([line for line in _rows(text) if "upstream_rq_total{" in line]) == CLUSTERS


def test_unused_clusters_are_listed_but_not_as_used(tmp_path, apus_binary):
    port, admin = free_port(), free_port()
    clusters = [b.cluster("used", port), b.cluster("unused", port)]
    made = Proxy(apus_binary, b.write(tmp_path / "bootstrap.yaml", b.bootstrap(admin, [], clusters)), admin)
    try:
        made.wait_until_ready()
        assert "cluster.unused.upstream_rq_total: 0\n" in get(admin, "/stats", host="admin").body.decode()
        used = get(admin, "/stats?usedonly&filter=cluster.unused", host="admin").body.decode()
        assert "membership_total: 1" in used and "upstream_" not in used
    finally:
        made.stop()
