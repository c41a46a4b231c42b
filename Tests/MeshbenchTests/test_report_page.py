# SPDX-License-Identifier: Apache-2.0
"""The pages that `run`, `find`, `report`, `compare` and `mesh` write with `--html`, in a browser: light and dark, on a desk and on a phone.

With `APUS_SCREENSHOTS=<directory>` it leaves pictures there, for the eyes of a person.
"""

import os
import pathlib

import pytest

from PythonKit import binaries
from PythonKit.chromium import Chromium

SIZES = {"desktop": (1280, 900, False), "phone": (390, 844, True)}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    made = Chromium(tmp_path_factory.mktemp("chromium"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def pages(meshbench, tmp_path_factory):
    """A run with everything on it, and two runs compared."""
    directory = tmp_path_factory.mktemp("pages")
    with meshbench.serve("--stall", "100ms", "--stall-every", "400ms", "--errors", "0.02") as server, meshbench.serve() as bare:
        flags = ["--rate", 500, "-c", 20, "-d", "2s", "--warm-up", "0s"]
        for name, target, base in (("a", server, ["--baseline", f"http://{bare.address}/"]), ("b", bare, [])):
            done = meshbench.command(
                "run", f"http://{target.address}/", *flags, "--name", f"run {name} <&>", "--json", directory / f"{name}.json", "--html",
                directory / f"{name}.html", *base, "--observe", target.pid,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
    done = meshbench.command("report", directory / "a.json", directory / "b.json", "--html", directory / "compared.html")
    assert done.returncode == 0, done.stderr
    with meshbench.serve("--delay", "5ms") as server:
        flags = ["-c", 4, "--keep", "p90<50ms", "--start", 100, "-d", "0.3s", "--warm-up", "0s", "--precision", "0.2", "--observe", server.pid]
        done = meshbench.command("find", f"http://{server.address}/", *flags, "--html", directory / "found.html")
        assert done.returncode == 0, done.stderr
    environment = dict(os.environ, APUS_BINARY=binaries.require_apus(), ENVOY_BINARY=binaries.require_envoy())
    flags = ["--proxy", "apus,envoy", "--duration", "300ms"]
    for name, more in (("compare", ["--scenario", "h1-8000,h1-logged", "--rounds", 2]), ("mesh", ["--services", "5,50", "--rounds", 1])):
        done = meshbench.command(name, *flags, *more, "--html", directory / f"{name}.html", timeout=120, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
    return directory


def show(browser, page, look):
    width, height, dark, mobile = look
    browser.problems.clear()
    browser.look(width, height, dark=dark, mobile=mobile)
    browser.show(page.as_uri())
    browser.wait_for(f"document.readyState === 'complete' && location.href.endsWith({page.name!r})")


PLOT_FAULTS = """
[...document.querySelectorAll('svg')].flatMap(svg => {
    const name = svg.getAttribute('aria-label'), faults = [];
    const box = svg.viewBox.baseVal;
    for (const line of svg.querySelectorAll('polyline')) {
        if (line.points.length < 2) faults.push(name + ': fewer than two points');
        for (const p of line.points)
            if (p.x < 0 || p.y < 0 || p.x > box.width || p.y > box.height) faults.push(name + ': a point outside');
        if (getComputedStyle(line).stroke === 'none') faults.push(name + ': a line without colour');
    }
    const texts = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBBox()]);
    texts.forEach(([text, a], i) => {
        if (a.x < 0 || a.x + a.width > box.width) faults.push(name + ': text cut: ' + text);
        for (const [other, b] of texts.slice(i + 1))
            if (a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height)
                faults.push(name + ': ' + text + ' over ' + other);
    });
    return faults;
})
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["a", "found", "compared", "compare", "mesh"])
def test_a_page_can_be_read(browser, pages, name, size, dark):
    width, height, mobile = SIZES[size]
    show(browser, pages / f"{name}.html", (width, height, dark, mobile))
    assert browser.problems == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(PLOT_FAULTS) == []
    # Tables fit too, without scrolling in their place.
    # The tables of several proxies have more columns than a phone has room for; they scroll in their own box.
    if name in ("a", "compared"):
        assert browser.evaluate("[...document.querySelectorAll('.wide')].filter(w => w.scrollWidth > w.clientWidth).length") == 0
    # The text of a plot shrinks with it.
    scale = browser.evaluate("Math.min(...[...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect().width / s.viewBox.baseVal.width))")
    assert scale * browser.evaluate("parseFloat(getComputedStyle(document.querySelector('svg text')).fontSize)") >= 9
    background = browser.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (max(background) < 60) is dark
    directory = os.environ.get("APUS_SCREENSHOTS")
    if directory:
        pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
        browser.screenshot(pathlib.Path(directory) / f"meshbench-{name}-{size}-{'dark' if dark else 'light'}.png")


def test_the_page_says_what_was_measured(browser, pages):
    show(browser, pages / "a.html", (1280, 900, False, False))
    labels = browser.evaluate("[...document.querySelectorAll('svg')].map(s => s.getAttribute('aria-label'))")
    assert labels == [
        "Latency by percentile", "Throughput over time", "Latency over time", "Cores used by the observed process",
        "Memory of the observed process", "Descriptors of the observed process",
    ]  # fmt: skip
    text = browser.evaluate("document.body.innerText")
    assert "run a <&>" in text and "beyond the baseline" in text and "CPU per answer" in text
    heads = browser.evaluate("[...document.querySelectorAll('tbody th')].map(h => h.innerText)")
    assert heads == ["p50", "p75", "p90", "p95", "p99", "p99.9", "p99.99", "max"]


def test_a_search_shows_its_trials(browser, pages):
    show(browser, pages / "found.html", (1280, 900, False, False))
    labels = browser.evaluate("[...document.querySelectorAll('svg')].map(s => s.getAttribute('aria-label'))")
    assert labels == ["Latency by rate, where the condition held", "Answers a second by rate", "CPU per answer"]
    rows = browser.evaluate("[...document.querySelectorAll('tbody tr')].map(r => [...r.cells].map(c => c.innerText))")
    assert [row[0] for row in rows][:3] == ["100", "200", "400"] and {row[1] for row in rows} == {"yes", "no"}
    assert "highest rate that keeps p90<50ms: " in browser.evaluate("document.body.innerText")


def test_two_runs_are_compared_on_one_page(browser, pages):
    show(browser, pages / "compared.html", (1280, 900, False, False))
    rows = browser.evaluate("[...document.querySelectorAll('section:first-of-type tbody tr')].map(r => [...r.cells].map(c => c.innerText))")
    found = {row[0]: row for row in rows}
    # A stalls and B does not: a quarter of A's requests waited for up to 100 ms. Not p99, which a busy machine raises for B.
    assert found["latency p90"][4] == "lower" and float(found["latency p90"][3]) < 0.5
    assert {"answers a second", "failures, %", "CPU per answer", "RSS"} <= set(found)
    assert browser.evaluate("document.querySelectorAll('section').length") == 3
