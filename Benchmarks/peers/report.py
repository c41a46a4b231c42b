# SPDX-License-Identifier: Apache-2.0
"""From raw runs to tables: medians with spread, ratios within a round, verdicts against the issue's figures."""
import json
import os
import platform
import statistics

import plot
from scenarios import BEST

NAMES = {"apus": "Apus", "bare": "Apus without log", "baseline": "Apus before", "envoy": "Envoy", "haproxy": "HAProxy", "nginx": "nginx", "nghttpx": "nghttpx",
         "forward": "floor (forwards bytes)"}


def machine():
    """What the figures were measured on."""
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown CPU")
    return f"{os.cpu_count()} × {model}, Linux {platform.release()}"


def name_of(label):
    first, _, rest = label.partition(" ")
    return (NAMES.get(first, first) + (" " + rest if rest else "")).strip()


def kept(runs, label):
    """The runs of one peer that count: those without outside load, or all if fewer than two of those are left."""
    mine = [r for r in runs if r["peer"] == label]
    clean = [r for r in mine if not r.get("dropped")]
    return clean if len(clean) >= 2 else mine


def labels_of(runs):
    return list(dict.fromkeys(r["peer"] for r in runs))


def values(runs, label, metric):
    return [r[metric] for r in kept(runs, label) if r.get(metric) is not None]


def median(numbers):
    return statistics.median(numbers) if numbers else None


def ratios(runs, subject, against, metric):
    """subject / against, within the same round."""
    other = {r["round"]: r[metric] for r in kept(runs, against) if r.get(metric)}
    return [r[metric] / other[r["round"]] for r in kept(runs, subject) if r.get(metric) and other.get(r["round"])]


def number(value):
    if value is None:
        return "–"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 10 else f"{value:.1f}"


def spread(numbers):
    if not numbers:
        return "–"
    if len(numbers) == 1:
        return f"**{number(numbers[0])}**"
    return f"{number(min(numbers))} / **{number(median(numbers))}** / {number(max(numbers))}"


METRIC_NAMES = {"cpu": "CPU", "p50": "p50", "change": "change", "idle": "idle", "idle 1,000": "1,000 idle connections",
                "idle 10,000": "10,000 idle connections", "pending 10,000": "10,000 connections with one byte pending",
                "h1 mTLS": "idle HTTP/1 mTLS connection", "h2": "idle HTTP/2 connection", "h2 mTLS": "idle HTTP/2 mTLS connection",
                "stream pair": "open HTTP/2 stream pair", "ratio": "p50 beside 1,000 handshakes/s over p50 alone"}



def best_of(runs, metric):
    """The peer, of those that were measured, with the lowest median; None where there is none."""
    found = [(median(mine), label) for label in labels_of(runs)
             if label.split(" ")[0] not in ("apus", "bare", "baseline", "forward") and (mine := values(runs, label, metric))]
    return min(found)[1] if found else None


def verdicts(scenario, runs, failures):
    """[(what is asked, measured, 'reached' | 'missed by …' | 'not measured')] of one scenario."""
    rows = []
    for target in scenario.targets:
        what = METRIC_NAMES[target.metric]
        against = best_of(runs, target.metric) if target.against == BEST else target.against
        if target.against:
            asked = f"{what} ≤ {target.bound:.2f} × {name_of(target.against)}" + (f" ({name_of(against)})" if target.against == BEST and against else "")
            found = ratios(runs, target.subject, against, target.metric) if against else []
            measured = f"{median(found):.2f} ({min(found):.2f}–{max(found):.2f})" if found else "–"
        elif target.metric == "change":
            asked = f"RSS within {100 * (target.bound - 1):.0f} %"
            found = values(runs, target.subject, "change")
            measured = f"{100 * (median(found) - 1):+.1f} %" if found else "–"
        elif target.metric == "ratio":
            asked = f"{what} ≤ {target.bound:.1f}"
            found = values(runs, target.subject, "ratio")
            measured = f"{median(found):.2f} ({min(found):.2f}–{max(found):.2f})" if found else "–"
        elif scenario.kind == "idle":
            asked = f"{what} ≤ {target.bound:.0f} KiB"
            found = values(runs, target.subject, target.metric)
            measured = f"{median(found):.1f} KiB" if found else "–"
        else:
            asked = f"RSS {what} ≤ {target.bound:.0f} MB"
            found = values(runs, target.subject, target.metric)
            measured = f"{median(found):.1f} MB" if found else "–"
        if target.subject in failures:
            verdict = "**failed**"
        elif not found:
            verdict = "not measured"
        elif any(r.get("errors") or r.get("not_200") for r in runs if r["peer"] == target.subject):
            verdict = "**invalid: errors**"
        elif median(found) <= target.bound:
            verdict = "reached"
        else:
            verdict = f"**missed by {100 * (median(found) / target.bound - 1):.0f} %**"
        used = [r for label in (target.subject, against) if label for r in kept(runs, label)]
        if found and any(r.get("dropped") for r in used):
            verdict += " (noisy: outside load in the runs it rests on)"
        rows.append((asked, measured, verdict))
    return rows


def remarks(scenario, runs, failures):
    """What a reader must know before believing a figure."""
    lines = [f"{name_of(label)} failed: {text.strip().splitlines()[0][:300]}" for label, text in failures.items() if text.strip()]
    for label in labels_of(runs):
        mine = [r for r in runs if r["peer"] == label]
        errors = sum(r.get("errors", 0) for r in mine), sum(r.get("not_200", 0) for r in mine)
        if any(errors):
            lines.append(f"{name_of(label)}: {errors[0]} socket errors, {errors[1]} answers other than 200: its figures do not count.")
        dropped = [r for r in mine if r.get("dropped")]
        if dropped:
            lines.append(f"{name_of(label)}: {len(dropped)} of {len(mine)} runs had more than 0.25 core of CPU used from outside and were "
                         + ("dropped." if len(mine) - len(dropped) >= 2 else "kept only because too few others were left."))
        util, load = median(values(runs, label, "util")), median(values(runs, label, "load_util"))
        if util is None:
            continue
        if scenario.saturated and util < 0.95:
            cause = "**generator and backend were the bottleneck**" if load >= 0.85 else "neither side was busy all the time"
            lines.append(f"{name_of(label)}: it used {util:.2f} of its core, the load side {load:.2f} of the other: {cause}; throughput "
                         "is a lower bound and latency an upper one, CPU per request holds.")
        arrived = median(values(runs, label, "handshakes"))
        if arrived and arrived < 950:
            lines.append(f"{name_of(label)}: {arrived:,.0f} of the 1,000 handshakes/s came about, for want of CPU on one side or the other.")
        rps = median(values(runs, label, "rps"))
        if scenario.rate and rps and rps < 0.97 * scenario.rate:
            lines.append(f"{name_of(label)}: it answered {rps:,.0f} of {scenario.rate:,} requests/s: its latency is that of overload.")
        elif scenario.rate and util >= 0.95:
            lines.append(f"{name_of(label)}: it used {util:.2f} of its core at this rate: its latency is that of overload.")
    return lines


def load_table(scenario, runs):
    labels = labels_of(runs)
    against = [p for p in ("bare", "baseline", "envoy", "haproxy", "nginx", "nghttpx") if p in labels]
    bulk = scenario.kind == "bulk"
    head = ["", "proxy CPU-s per GB" if bulk else "proxy CPU µs per request"] + [f"× {NAMES[p]}, paired" for p in against]
    head += ["GB/s" if bulk else "requests/s"] + ([] if bulk else ["p50 µs", "p99 µs"]) + ["proxy util", "load util", "RSS MB", "runs"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for label in labels:
        mine = kept(runs, label)
        row = [name_of(label), spread(values(runs, label, "cpu"))]
        row += ["1" if p == label else spread(ratios(runs, label, p, "cpu")) for p in against]
        row.append(spread(values(runs, label, "rps")))
        if not bulk:
            row += [spread(values(runs, label, "p50")), number(median(values(runs, label, "p99")))]
        row += [f"{median(values(runs, label, 'util')):.2f}", f"{median(values(runs, label, 'load_util')):.2f}",
                number(median(values(runs, label, "rss"))), str(len(mine))]
        lines.append("| " + " | ".join(row) + " |")
    return lines


def plain_table(runs, columns):
    lines = ["| | " + " | ".join(title for _, title in columns) + " | runs |", "|" + "---|" * (len(columns) + 2)]
    for label in labels_of(runs):
        cells = [spread(values(runs, label, metric)) for metric, _ in columns]
        lines.append(f"| {name_of(label)} | " + " | ".join(cells) + f" | {len(kept(runs, label))} |")
    return lines


COLUMNS = {
    "memory": [("idle", "idle, MB"), ("idle 1,000", "1,000 idle"), ("idle 10,000", "10,000 idle"), ("pending 10,000", "10,000 with one byte pending")],
    "flat": [("start", "after 5 % of the requests, MB"), ("highest", "highest since"), ("end", "at the end"), ("change", "highest over start")],
    "burst": [("idle", "idle, MB"), ("pending", "5,000 pending"), ("highest", "highest"), ("after", "60 s later"), ("change", "over idle")],
    "idle": [("h1 mTLS", "HTTP/1 mTLS connection, KiB"), ("h2", "HTTP/2 connection"), ("h2 mTLS", "HTTP/2 mTLS connection"),
             ("stream pair", "HTTP/2 stream pair")],
    "beside": [("alone", "p50 alone, µs"), ("beside", "p50 beside handshakes"), ("ratio", "ratio"), ("handshakes", "handshakes/s"),
               ("util", "proxy util beside them")],
}


def table(scenario, runs):
    return plain_table(runs, COLUMNS[scenario.kind]) if scenario.kind in COLUMNS else load_table(scenario, runs)


def write_scenario(out, scenario, record):
    """<date>-<scenario>.md"""
    runs = record["runs"]
    lines = [f"# {scenario.title}", "", f"{record['date']} · `{record['command']}` · {record['machine']} · proxy on CPU 0, backend and load on "
             f"CPU 1, one worker each · {record['rounds']} alternating rounds · minimum / **median** / maximum", ""]
    lines += table(scenario, runs) + [""]
    rows = verdicts(scenario, runs, record["failures"])
    if rows:
        lines += ["| asked of Apus | measured (median, spread of the rounds) | |", "|---|---|---|"]
        lines += [f"| {asked} | {measured} | {verdict} |" for asked, measured, verdict in rows] + [""]
    lines += [f"- {text}" for text in remarks(scenario, runs, record["failures"])]
    lines += [f"- {NAMES[peer]}: {version}" for peer, version in record["versions"].items()]
    (out / f"{record['date']}-{scenario.name}.md").write_text("\n".join(lines) + "\n")


def write_all(out, raw, date, scenarios):
    """Every table of that date again, the summary of all verdicts and the plot; returns the summary."""
    records = []
    for scenario in scenarios:
        path = raw / f"{date}-{scenario.name}.json"
        if path.exists():
            record = json.loads(path.read_text())
            if record["runs"]:
                write_scenario(out, scenario, record)
                records.append((scenario, record))
    lines = [f"# Apus and its peers, {date}", "", f"{machine()}. One worker each; method in [Benchmarks/README.md](../README.md).", "",
             f"![plot]({date}-peers.svg)", "", "| scenario | asked of Apus | measured | |", "|---|---|---|---|"]
    for scenario, record in records:
        for asked, measured, verdict in verdicts(scenario, record["runs"], record["failures"]):
            lines.append(f"| [{scenario.name}]({date}-{scenario.name}.md) | {asked} | {measured} | {verdict} |")
    shown = [p for p in NAMES if any(p in labels_of(record["runs"]) for _, record in records)]
    lines += ["", "| scenario | " + " | ".join(NAMES[p] for p in shown) + " |", "|" + "---|" * (len(shown) + 1)]
    for scenario, record in records:
        if scenario.kind in COLUMNS or scenario.route_counts:
            continue
        cells = [number(median(values(record["runs"], p, "cpu"))) for p in shown]
        lines.append(f"| {scenario.name}, {scenario.unit if scenario.kind == 'bulk' else 'CPU µs per request'} | " + " | ".join(cells) + " |")
    text = "\n".join(lines) + "\n"
    (out / f"{date}-summary.md").write_text(text)
    (out / f"{date}-peers.svg").write_text(plot.draw(date, machine(), panels(records)))
    return text


def panels(records):
    """What the plot shows: for each scenario its main figure per peer, with spread and the bound asked of Apus."""
    result = []
    for scenario, record in records:
        runs = record["runs"]
        metrics = [("cpu", scenario.title)]
        if scenario.kind == "memory":
            metrics = [(metric, f"resident memory, {METRIC_NAMES[metric]}") for metric, _ in COLUMNS["memory"]]
        elif scenario.kind == "idle":
            metrics = [(metric, f"resident memory per {METRIC_NAMES[metric]}") for metric, _ in COLUMNS["idle"]]
        elif scenario.kind in COLUMNS:
            continue
        if scenario.rate:
            metrics.append(("p50", f"latency p50, {scenario.title}"))
        for metric, title in metrics:
            bars = [(name_of(label), found) for label in labels_of(runs) if (found := values(runs, label, metric))]
            bounds = []
            for target in scenario.targets:
                if target.metric != metric:
                    continue
                against = best_of(runs, metric) if target.against == BEST else target.against
                base = median(values(runs, against, metric)) if against else None if target.against else 1
                if base:
                    bounds.append(target.bound * base)
            unit = scenario.unit if scenario.kind in ("memory", "idle") else "CPU-seconds per GB" if scenario.kind == "bulk" else \
                "µs" if metric == "p50" else "CPU µs per request"
            result.append({"title": title, "unit": unit, "bars": bars, "bound": min(bounds) if bounds else None})
    return result
