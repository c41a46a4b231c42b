# SPDX-License-Identifier: Apache-2.0
"""`/config_dump` against Envoy's, and both against the official protobuf classes."""

import json

import pytest
from envoy.admin.v3 import certs_pb2, clusters_pb2, config_dump_pb2, config_dump_shared_pb2  # noqa: F401
from envoy.admin.v3 import listeners_pb2, memory_pb2, server_info_pb2
from envoy.extensions.access_loggers.file.v3 import file_pb2  # noqa: F401
from envoy.extensions.filters.http.router.v3 import router_pb2  # noqa: F401
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2  # noqa: F401
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2  # noqa: F401
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2  # noqa: F401
from google.protobuf import json_format
from pair import content_type, same_text

MASKS = [
    "resource=static_clusters&mask=cluster.name",
    "resource=static_clusters&mask=cluster.name,last_updated",
    "resource=static_clusters&mask=cluster.circuit_breakers.thresholds",
    "resource=static_clusters&mask=cluster.load_assignment.cluster_name,cluster.alt_stat_name",
    "resource=static_clusters&mask=",
    "resource=static_listeners&mask=last_updated,listener.name&name_regex=w.*",
    "resource=static_route_configs&mask=route_config.name",
    "mask=bootstrap.node.id",
    "mask=bootstrap.node.id,bootstrap.admin",
    "mask=static_clusters",
    "mask=static_listeners",
]
MISTAKES = [
    "resource=nope", "resource=staticClusters", "resource=bootstrap", "resource=bootstrap&mask=bootstrap.node.id",
    "resource=version_info", "resource=error_state", "resource=static_endpoint_configs", "resource=static_clusters&mask=cluster",
    "resource=static_clusters&mask=cluster.nope", "resource=static_clusters&mask=nope",
    "resource=static_clusters&mask=cluster.name,nope", "resource=static_clusters&mask=cluster.connect_timeout..x",
    "resource=static_clusters&mask=cluster.circuit_breakers.thresholds.max_requests", "mask=configs", "mask=bootstrap.nodeId",
    "mask=static_clusters.cluster.name", "mask=bootstrap.admin,static_clusters", "mask=static_listeners,last_updated", "name_regex=(", "name_regex=[&resource=x",
    "resource=static_clusters&mask=" + "a." * 200,
]  # fmt: skip
LISTS = [
    "resource=static_clusters", "resource=static_listeners", "resource=static_route_configs", "resource=static_secrets",
    "resource=dynamic_listeners", "resource=dynamic_listeners&mask=nope", "resource=dynamic_active_clusters",
    "resource=inline_scoped_route_configs", "resource=static_clusters&name_regex=dead", "resource=static_clusters&name_regex=dea",
    "resource=static_clusters&name_regex=DEAD|dead|b.*", "name_regex=back.*&resource=static_clusters&mask=cluster.name",
    "resource=static_endpoint_configs&include_eds", "resource=static_endpoint_configs&include_eds&name_regex=dead",
    "resource=dynamic_endpoint_configs&include_eds",
]  # fmt: skip


def dumps(pair, query=""):
    envoy, apus = pair.ask("/config_dump" + query)
    assert apus.status == envoy.status == 200
    assert content_type(apus) == content_type(envoy) == "application/json"
    return json.loads(pair.envoy.named(envoy.body)), json.loads(pair.apus.named(apus.body))


def without_build(dump):
    """What each proxy says of itself: checked apart, then left out."""
    for config in dump.get("configs", []):
        node = config.get("bootstrap", {}).get("node", {})
        build = node.pop("user_agent_build_version", None)
        if build is not None:
            assert build["version"]["major_number"] == 1
            assert {"build.type", "revision.status", "ssl.version"} <= set(build["metadata"])
        node.pop("extensions", None)
    return dump


def normal(dump):
    """Envoy lists the clusters of endpoint sections in no order, and gives a host it has looked at an empty metadata."""
    for config in dump.get("configs", []):
        for key in ("static_endpoint_configs", "dynamic_endpoint_configs"):
            if key in config:
                config[key].sort(key=lambda entry: entry["endpoint_config"]["cluster_name"])
    if all("endpoint_config" in config for config in dump.get("configs", [])):
        dump.get("configs", []).sort(key=lambda config: config["endpoint_config"]["cluster_name"])
    return dump


@pytest.mark.parametrize("query", ["", "?include_eds", "?include_eds=false", "?name_regex=dead", "?name_regex=.*", "?resource=", "?mask=", "?x=y"])
def test_whole_dump(pair, query):
    envoy, apus = dumps(pair, query)
    assert normal(without_build(apus)) == normal(without_build(envoy))


@pytest.mark.parametrize("query", LISTS)
def test_one_list(pair, query):
    envoy, apus = dumps(pair, "?" + query)
    assert normal(apus) == normal(envoy)


@pytest.mark.parametrize("query", MASKS)
def test_masks(pair, query):
    envoy, apus = dumps(pair, "?" + query)
    assert without_build(apus) == without_build(envoy)


@pytest.mark.parametrize("query", MISTAKES)
def test_mistakes(pair, query):
    answer = same_text(pair, "/config_dump?" + query)
    assert answer.status in (400, 404)


def test_keys_are_not_shown(pair):
    secret = (pair.apus.proxy.bootstrap_path).read_text()
    assert "PRIVATE KEY" not in secret, "the configuration names files"
    assert b"PRIVATE KEY" not in pair.apus.ask("/config_dump").body


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/config_dump", config_dump_pb2.ConfigDump), ("/config_dump?include_eds", config_dump_pb2.ConfigDump),
        ("/config_dump?resource=static_clusters", config_dump_pb2.ConfigDump),
        ("/clusters?format=json", clusters_pb2.Clusters), ("/listeners?format=json", listeners_pb2.Listeners),
        ("/server_info", server_info_pb2.ServerInfo), ("/memory", memory_pb2.Memory), ("/certs", certs_pb2.Certificates),
    ],
)  # fmt: skip
def test_the_official_classes_parse_it(pair, path, message):
    """Strictly: an unknown field or an unknown type in an `Any` is an error."""
    document = json.loads(pair.apus.ask(path).body)
    # Envoy 1.40 has these, the classes of this version not yet.
    document.pop("hot_restart_initializing", None)
    for newer in ("file_flush_min_size", "log_stacktrace_single_entry"):
        document.get("command_line_options", {}).pop(newer, None)
    parsed = json_format.ParseDict(document, message())
    assert parsed.ByteSize() > 0


def test_clusters_of_a_dump_decode_to_what_was_configured(pair):
    dump = json_format.ParseDict(
        json.loads(pair.apus.ask("/config_dump?resource=static_clusters").body), config_dump_pb2.ConfigDump()
    )
    names = []
    for config in dump.configs:
        entry = config_dump_shared_pb2.ClustersConfigDump.StaticCluster()
        assert config.Unpack(entry)
        from envoy.config.cluster.v3 import cluster_pb2

        cluster = cluster_pb2.Cluster()
        assert entry.cluster.Unpack(cluster)
        names.append(cluster.name)
    assert names == ["backend", "dead", "dotted.name"]
