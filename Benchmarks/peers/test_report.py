# SPDX-License-Identifier: Apache-2.0
"""The arithmetic behind a verdict: python3 -m unittest discover -s Benchmarks/peers"""
import pathlib
import sys
import tempfile
import unittest
import xml.etree.ElementTree

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[1] / "micro")]
import callgrind
import plot
import report
from processes import DOORS, H2_DOORS, Proxy, binary_of
from scenarios import ALL_PEERS, BEST, SCENARIOS, Scenario, Target, last_route_path, routes_yaml

SCENARIO = Scenario("s", "a scenario", "wrk", targets=(Target("cpu", 1.0, "nginx"),))


def run(peer, number, cpu, **more):
    return {"peer": peer, "round": number, "cpu": cpu, "util": 1.0, "load_util": 0.5, "errors": 0, "not_200": 0, **more}


class Verdicts(unittest.TestCase):
    def verdict(self, runs, scenario=SCENARIO, failures=None):
        return report.verdicts(scenario, runs, failures or {})[0][2]

    def test_ratio_is_taken_within_a_round(self):
        # The machine is twice as slow in round 1; across rounds the ratios would be 0.45 and 1.8.
        runs = [run("apus", 0, 9), run("nginx", 0, 10), run("apus", 1, 18), run("nginx", 1, 20)]
        self.assertEqual(report.ratios(runs, "apus", "nginx", "cpu"), [0.9, 0.9])
        self.assertEqual(self.verdict(runs), "reached")

    def test_a_miss_says_by_how_much(self):
        self.assertEqual(self.verdict([run("apus", 0, 12), run("nginx", 0, 10)]), "**missed by 20 %**")

    def test_errors_make_a_good_figure_invalid(self):
        self.assertEqual(self.verdict([run("apus", 0, 5, not_200=1), run("nginx", 0, 10)]), "**invalid: errors**")

    def test_a_crash_is_not_a_figure(self):
        self.assertEqual(self.verdict([run("apus", 0, 5), run("nginx", 0, 10)], failures={"apus": "ended"}), "**failed**")

    def test_nothing_to_compare_with_is_not_measured(self):
        self.assertEqual(self.verdict([run("apus", 0, 5)]), "not measured")

    def test_dropped_runs_leave_the_ratio_unless_too_few_are_left(self):
        runs = [run("apus", i, 9) for i in range(3)] + [run("nginx", 0, 10), run("nginx", 1, 10), run("nginx", 2, 90, dropped=True)]
        self.assertEqual(len(report.ratios(runs, "apus", "nginx", "cpu")), 2)
        self.assertEqual(self.verdict(runs), "reached")
        runs[3]["dropped"] = True
        self.assertIn("noisy", self.verdict(runs))
        self.assertEqual(len(report.ratios(runs, "apus", "nginx", "cpu")), 3)

    def test_the_best_peer_is_the_one_with_the_lowest_median_and_never_the_floor_or_apus(self):
        scenario = Scenario("s", "a scenario", "rate", targets=(Target("p50", 1.05, BEST),))
        runs = [run(peer, i, 1, p50=p50) for i in range(2) for peer, p50 in
                (("apus", 102), ("baseline", 1), ("forward", 2), ("nginx", 100), ("haproxy", 120))]
        self.assertEqual(report.best_of(runs, "p50"), "nginx")
        self.assertEqual(report.verdicts(scenario, runs, {})[0], ("p50 ≤ 1.05 × best peer (nginx)", "1.02 (1.02–1.02)", "reached"))
        self.assertEqual(report.verdicts(scenario, runs[:2], {})[0][2], "not measured")

    def test_memory_per_connection_is_held_to_its_bound_in_kib(self):
        scenario = Scenario("s", "a scenario", "idle", targets=(Target("h2 mTLS", 46), Target("stream pair", 3)))
        rows = report.verdicts(scenario, [{"peer": "apus", "round": 0, "h2 mTLS": 44.0, "stream pair": 3.3}], {})
        self.assertEqual([row[2] for row in rows], ["reached", "**missed by 10 %**"])
        self.assertEqual(rows[0][:2], ("idle HTTP/2 mTLS connection ≤ 46 KiB", "44.0 KiB"))

    def test_the_generator_is_blamed_only_when_it_was_busy(self):
        blamed = report.remarks(SCENARIO, [run("apus", 0, 9, util=0.8, load_util=0.99)], {})
        self.assertIn("generator and backend were the bottleneck", blamed[0])
        idle = report.remarks(SCENARIO, [run("apus", 0, 9, util=0.8, load_util=0.4)], {})
        self.assertNotIn("bottleneck", idle[0])


class Output(unittest.TestCase):
    def test_plot_is_well_formed_and_holds_every_bar(self):
        text = plot.draw("2026-01-01", "a & b <machine>", [
            {"title": "t <1>", "unit": "µs", "bars": [("Apus", [1, 2, 3]), ("nginx", [0.5])], "bound": 0.5},
            {"title": "empty", "unit": "µs", "bars": [], "bound": None}])
        root = xml.etree.ElementTree.fromstring(text)
        self.assertEqual(len(root.findall(".//{*}rect")), 2)

    def test_an_axis_reaches_its_value_in_round_steps(self):
        for value in (0.013, 0.9, 1, 7.3, 44, 101, 6390, 77070):
            step, steps = plot.axis(value)
            self.assertGreaterEqual(step * steps, value * 0.9999)
            self.assertLessEqual(steps, 6)

    def test_scenario_names_are_unique(self):
        self.assertEqual(len({s.name for s in SCENARIOS}), len(SCENARIOS))

    def test_every_metric_that_is_asked_for_has_a_name_and_a_column_or_is_measured_by_every_load(self):
        for scenario in SCENARIOS:
            self.assertIn(scenario.door, DOORS)
            for target in scenario.targets:
                self.assertIn(target.metric, report.METRIC_NAMES)
                if scenario.kind in report.COLUMNS:
                    self.assertIn(target.metric, [metric for metric, _ in report.COLUMNS[scenario.kind]])

    def test_no_configuration_has_a_placeholder_left(self):
        for peer in ALL_PEERS:
            for door in DOORS:
                if peer == "forward" or binary_of(peer) is None or (peer == "nghttpx" and door not in H2_DOORS):
                    continue
                proxy = Proxy(peer, 0, label="test", door=door)
                proxy.command()
                for config in proxy.directory.glob("*.*"):
                    self.assertNotRegex(config.read_text(), r"\$[a-z_{]")

    def test_only_the_last_route_matches_the_requested_path(self):
        lines = routes_yaml(1000).splitlines()
        self.assertEqual(sum("safe_regex" in line for line in lines), 100)
        prefix = last_route_path(1000).rsplit("/", 2)[0] + "/"
        self.assertEqual([i for i, line in enumerate(lines) if f'"{prefix}"' in line], [999])


class Callgrind(unittest.TestCase):
    DUMP = """events: Ir
fn=(1) main
1 10
cfn=(2) swift_retain
calls=3 0
1 60
+1 5
fn=(2)
7 60
fn=(3) main'2
1 4
totals: 79
"""

    def test_self_cost_leaves_out_the_callee_and_calls_are_counted(self):
        profile = self.parsed(self.DUMP)
        self.assertEqual(profile.total(), 79)
        self.assertEqual(profile.cost["main"], 19)
        self.assertEqual(profile.calls["swift_retain"], 3)

    OBJECTS = """events: Ir
ob=(1) /usr/bin/apus
fn=(1) onHeader
1 100
cob=(2) /usr/lib/libnghttp2.so.14.20.1
cfn=(2) nghttp2_session_mem_recv
calls=1 0
1 75
cfn=(1)
calls=1 0
1 6
ob=(2)
fn=(2)
7 30
cob=(3) /usr/lib/libc.so.6
cfn=(3) memcpy
calls=2 0
7 20
cfn=(4) nghttp2_hd_inflate
calls=1 0
7 25
cob=(1)
cfn=(1)
calls=1 0
7 9
fn=(4)
9 25
ob=(3)
fn=(3)
1 55
totals: 210
"""

    def test_libnghttp2_and_what_libc_does_for_it_are_told_apart(self):
        profile = self.parsed(self.OBJECTS)
        self.assertEqual(profile.total(), 210)
        self.assertEqual(profile.nghttp2(), 55)  # not the 9 of our callback, which it called
        self.assertEqual(profile.for_nghttp2, 20)  # of libc's 55: the rest was asked for by others
        self.assertEqual(profile.objects["/usr/bin/apus"], 100)

    def parsed(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".out") as file:
            file.write(text)
            file.flush()
            return callgrind.Profile(file.name)


if __name__ == "__main__":
    unittest.main()
