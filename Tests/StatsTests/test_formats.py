# SPDX-License-Identifier: Apache-2.0
"""The answers of /stats in every form, against Envoy's."""

import json
import re

import pytest

FORMS = ("", "cumulative", "disjoint", "detailed", "summary", "none")


def _skeleton(text):
    """A line without its numbers."""
    return re.sub(r"\d+(\.\d+)?(e[+-]\d+)?|nan", "#", text)


@pytest.mark.parametrize("form", FORMS)
def test_histograms_in_text_look_alike(envoy, apus, form):
    query = f"?type=Histograms&usedonly&filter=http.in.downstream_rq_time&histogram_buckets={form}"
    lines = [_skeleton(side.text(query)) for side in (envoy, apus)]
    if form == "detailed":
        # Which bins are filled depends on how long requests took.
        lines = [re.sub(r"(totals|intervals)=.*", r"\1=", text) for text in lines]
    assert lines[0] == lines[1]
    assert lines[1], "nothing was recorded"


@pytest.mark.parametrize("form", FORMS)
def test_histograms_in_json_look_alike(envoy, apus, form):
    query = f"/stats?format=json&type=Histograms&filter=http.in.downstream_rq_time&histogram_buckets={form}"

    def shape(value):
        if isinstance(value, dict):
            # Which bins are filled depends on how long requests took and when the last interval began.
            return {key: key if key in ("totals", "intervals") else shape(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [shape(inner) for inner in value]
        return value if isinstance(value, str) else "number or null"

    answers = [side.proxy.admin(query) for side in (envoy, apus)]
    assert shape(json.loads(answers[0].body)) == shape(json.loads(answers[1].body))
    assert answers[0].header("content-type") == answers[1].header("content-type")


def test_bounds_of_buckets_are_written_alike(envoy, apus):
    for query in ("?histogram_buckets=cumulative", "?format=json&histogram_buckets=cumulative"):
        found = [
            re.findall(r'B([\d.e+]+)\(|"upper_bound":([\d.e+]+)', side.text(query + "&filter=http.in.downstream_rq_time"))
            for side in (envoy, apus)
        ]
        assert found[0] == found[1] and found[1]


@pytest.mark.parametrize(
    "path",
    [
        "/stats?type=x", "/stats?format=x", "/stats?histogram_buckets=x", "/stats/prometheus?histogram_buckets=x",
        "/stats/prometheus?histogram_buckets=disjoint", "/stats/prometheus?histogram_buckets=detailed",
        "/stats?type=TextReadouts", "/stats?type=TextReadouts&format=json", "/stats?filter=nothingisnamedso",
        "/stats?filter=nothingisnamedso&format=json", "/stats?filter=^server.live$", "/stats?filter=^server.live$&format=json",
        "/stats?filter=^server.live$&format=prometheus", "/stats?usedonly&filter=^(server\\.state|listener_manager\\.workers_started)",
        "/stats?hidden=only&filter=server.live", "/stats?filter=server.(live|state)&invert_filter&type=Gauges&usedonly",
    ],
)
def test_other_answers_are_envoys(envoy, apus, path):
    answers = [side.proxy.admin(path) for side in (envoy, apus)]
    assert answers[0].status == answers[1].status
    assert answers[0].header("content-type") == answers[1].header("content-type")
    if "invert" in path:
        assert "server.live" not in answers[1].body.decode() and answers[1].body
        return
    assert answers[0].body == answers[1].body


def test_recent_lookups_answer_as_those_of_envoy_do(envoy, apus):
    for action in ("enable", "clear", "disable"):
        assert apus.proxy.admin(f"/stats/recentlookups/{action}", "POST").body == b"OK\n"
        assert envoy.proxy.admin(f"/stats/recentlookups/{action}", "POST").body == b"OK\n"
    assert apus.proxy.admin("/stats/recentlookups/enable").status == 405
    texts = [re.sub(r"\d+", "#", side.text("/recentlookups")) for side in (envoy, apus)]
    assert texts[0] == texts[1]
