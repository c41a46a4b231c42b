# SPDX-License-Identifier: Apache-2.0
"""Counters that were reset. The last file of the suite, for it changes what the others read."""


def test_counters_that_were_reset_begin_again(envoy, apus):
    for side in (envoy, apus):
        before = side.values()
        assert before["cluster.h2.upstream_rq_total"] == 2
        assert side.proxy.admin("/reset_counters", "POST").body == b"OK\n"
        after = side.values()
        assert after["cluster.h2.upstream_rq_total"] == 0
        # What counts levels stays, and a counter that was used is still listed.
        assert after["cluster.h2.membership_total"] == 1
        assert "cluster.h2.upstream_rq_total: 0\n" in side.text("?usedonly")
        assert "No recorded" not in side.text("?filter=http.in.downstream_rq_time")
