# SPDX-License-Identifier: Apache-2.0
"""Prometheus output: read by Prometheus' own parser, and line by line against Envoy's."""

import re

import pytest
from conftest import run
from prometheus_client.parser import text_string_to_metric_families

from PythonKit import binaries

#: `stats_tags` of Istio's bootstrap, two of which are no RE2.
ISTIO_TAGS = {
    "cluster_name": r"^cluster(\.(.+);)",
    "http_conn_manager_prefix": r"^http\.(((?:[_.[:digit:]\w]*|[_\[\]aAbBcCdDeEfF[:digit:]\w\:]*));\.)",
    "tcp_prefix": r"^tcp\.((.*?)\.)\w+?$",
    "response_code": r"_rq(_(\d{3}))$",
    "response_code_class": r"_rq(_(\dxx))$",
    "http_conn_manager_listener_prefix": (
        r"^listener(?=\.).*?\.http\.(((?:[_.[:digit:]]*|[_\[\]aAbBcCdDeEfF[:digit:]]*))\.)"
    ),
    "listener_address": r"^listener\.(((?:[_.[:digit:]]*|[_\[\]aAbBcCdDeEfF[:digit:]]*))\.)",
}

CONFIGS = {
    "default": {},
    "istio": {
        "use_all_default_tags": False,
        "stats_tags": [{"tag_name": name, "regex": regex} for name, regex in ISTIO_TAGS.items()],
    },
    "fixed tags, some defaults, own buckets": {
        "use_all_default_tags": False,
        "stats_tags": [
            {"tag_name": "zone", "fixed_value": "z1"},
            {"tag_name": "envoy.cluster_name"},
            {"tag_name": "mine", "regex": r"^http\.((in)\.)"},
        ],
        "histogram_bucket_settings": [
            {"match": {"prefix": "cluster.dead"}, "buckets": [1, 2, 4.5]},
            {"match": {"suffix": "_length_ms"}, "buckets": [0.5, 100, 1000000]},
        ],
    },
    "inclusion list": {
        "stats_matcher": {
            "inclusion_list": {
                "patterns": [
                    {"prefix": "cluster_manager"},
                    {"suffix": "upstream_rq_total"},
                    {"safe_regex": {"regex": r"vhost\..*\.route\..*"}},
                    {"prefix": "server.live"},
                ]
            }
        }
    },
    "exclusion list": {"stats_matcher": {"exclusion_list": {"patterns": [{"prefix": "cluster."}, {"contains": "rq"}]}}},
    "reject all": {"stats_matcher": {"reject_all": True}},
}


@pytest.fixture(scope="module", params=CONFIGS)
def pair(request, tmp_path_factory, apus_binary):
    """Both proxies with one `stats_config`."""
    fields = {"stats_config": CONFIGS[request.param]} if CONFIGS[request.param] else {}
    sides = []
    try:
        sides.append(run(binaries.require_envoy(), tmp_path_factory.mktemp("envoy"), **fields))
        sides.append(run(apus_binary, tmp_path_factory.mktemp("apus"), **fields))
        sides[0].wait_for_flush()
        yield sides
    finally:
        for side in sides:
            side.stop()


def _series(side, query=""):
    """(name, labels) of each line in order, with what the line says before its value."""
    answer = side.proxy.admin("/stats/prometheus" + query)
    assert answer.status == 200
    return [side.named(line.rpartition(" ")[0]) for line in answer.body.decode().splitlines()]


@pytest.mark.parametrize("query", ["", "?usedonly", "?usedonly&histogram_buckets=summary", "?text_readouts&filter=cluster"])
def test_a_prometheus_parser_reads_it(pair, query):
    text = pair[1].proxy.admin("/stats/prometheus" + query).body.decode()
    families = list(text_string_to_metric_families(text))
    # The parser takes `_total` from the names of counters; what stands in the text must be there once.
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(set(names)) == len(names) == len(families), "a name in two groups"
    for family in families:
        assert family.type in ("counter", "gauge", "histogram", "summary"), family
        assert family.name.startswith("envoy_")
        labels = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
        assert len(set(labels)) == len(labels), f"a series twice: {family.name}"
        if family.type == "histogram":
            _check_histogram(family)


def _check_histogram(family):
    buckets = {}
    for sample in family.samples:
        key = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
        if sample.name.endswith("_bucket"):
            buckets.setdefault(key, []).append((float(sample.labels["le"]), sample.value))
    for values in buckets.values():
        assert [bound for bound, _ in values] == sorted(bound for bound, _ in values)
        assert [count for _, count in values] == sorted(count for _, count in values)
        assert values[-1][0] == float("inf")


def test_lines_are_envoys_in_envoys_order(pair):
    """Series that both have are written alike and stand in the same order."""
    envoy, apus = (_series(side) for side in pair)
    common = set(envoy) & set(apus)
    assert [line for line in envoy if line in common] == [line for line in apus if line in common]
    # Of every metric that both have, the labels are the same too.
    kinds = set(line for line in common if line.startswith("# TYPE"))
    names = {line.split()[2] for line in kinds}
    strays = [line for line in apus if line not in common and re.split(r"[{ ]", line)[0] in names]
    # Of admin's manager and of files Apus lists what Envoy does not (known.py, EXTRA); it writes more files, too.
    extra = re.compile(r'envoy_http_(no|rq)_\w+\{[^}]*"admin"|envoy_filesystem_')
    assert not [line for line in strays if "le=" not in line and not extra.match(line)], "labels that Envoy does not print"


def test_the_sum_of_series_is_the_stat(apus):
    """What a parser reads is what /stats says."""
    text = apus.proxy.admin("/stats/prometheus?filter=^cluster\\..*upstream_rq_total").body.decode()
    read = {s.labels["envoy_cluster_name"]: s.value for f in text_string_to_metric_families(text) for s in f.samples}
    values = apus.values()
    assert read["h2"] == values["cluster.h2.upstream_rq_total"] > 0
    assert read["silent"] == values["cluster.silent.upstream_rq_total"] > 0
