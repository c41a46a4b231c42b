# SPDX-License-Identifier: Apache-2.0
"""The page at `/` in a browser, with traffic: it fills, complains about nothing, and runs nothing that it was not given.

With `APUS_SCREENSHOTS=<directory>` it leaves pictures there, for the eyes of a person.
"""

import json
import os
import pathlib
import re
import threading

import pytest
from pair import Side

from PythonKit import bootstrap as b
from PythonKit.chromium import Chromium
from PythonKit.client import get

HOSTILE = "<img src=x onerror=alert(1)>"
SIZES = {"desktop": (1280, 900, False), "phone": (390, 844, True)}


@pytest.fixture(scope="module")
def busy(tmp_path_factory, apus_binary):
    """A proxy with hostile names in its configuration, and clients that visit it until the module ends."""
    directory = tmp_path_factory.mktemp("page")
    made = Side("apus", apus_binary, directory, change=hostile)
    over = threading.Event()

    def visit():
        while not over.is_set():
            for path in ("/", "/direct", "/part", "/dead", "/", "/nothing"):
                try:
                    get(made.ports["web"], path)
                except OSError:
                    pass

    client = threading.Thread(target=visit, daemon=True)
    client.start()
    # A refused command is a line in the log.
    made.ask("/quitquitquit")
    yield made
    over.set()
    client.join(10)
    made.stop()


def hostile(config):
    config["static_resources"]["clusters"].append(b.cluster(HOSTILE, 9))
    config["node"]["id"] = "node-1"
    return config


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    made = Chromium(tmp_path_factory.mktemp("chromium"))
    yield made
    made.close()


@pytest.fixture
def page(browser, busy):
    browser.problems.clear()
    browser.look(1280, 900)
    browser.show(f"http://localhost:{busy.ports['admin']}/")
    browser.wait_for("document.body && Number(document.body.dataset.polls) >= 2")
    return browser


def cells(page, table):
    return page.evaluate(f"[...document.querySelectorAll('#{table} > tbody > tr')].map(r => [...r.cells].map(c => c.innerText.trim()))")


def test_the_tables_fill(page, busy):
    page.wait_for("[...document.querySelectorAll('#http > tbody > tr')].some(r => r.cells[0].innerText === 'web' && parseFloat(r.cells[1].innerText) > 0)")
    clusters = {row[0]: row for row in cells(page, "clusters")}
    assert clusters["backend"][1] == "1 of 3"
    assert clusters["dotted.name"][1] == "1 of 1"
    assert float(clusters["backend"][2].replace(",", "")) > 0
    assert clusters["backend"][6].endswith("ms")
    listeners = {row[0]: row for row in cells(page, "listeners")}
    assert listeners["web"][1] == f"127.0.0.1:{busy.ports['web']}"
    assert listeners["tcp"][1] == f"127.0.0.1:{busy.ports['tcp']}\n127.0.0.1:{busy.ports['more']}"
    assert float(listeners["web"][3].replace(",", "")) > 0
    certificates = cells(page, "certs")
    assert any("spiffe://" in row[0] and row[2].startswith("in ") for row in certificates)
    assert any("mutates state" in row[3] for row in cells(page, "errors"))
    assert page.evaluate("document.getElementById('state').innerText") == "LIVE"
    assert re.search(r"[1-9]", page.evaluate("document.querySelector('#t-rps dd').innerText"))
    assert page.problems == []


def test_a_cluster_opens_to_its_hosts(page, busy):
    page.evaluate("document.querySelector('[data-key=\"c:backend\"]').click()")
    hosts = page.evaluate("[...document.querySelectorAll('tr.hosts tbody tr')].map(r => [...r.cells].map(c => c.innerText.trim()))")
    assert hosts[0][0].startswith(f"127.0.0.1:{busy.ports['upstream']}") and hosts[0][1] == "healthy"
    assert int(hosts[0][4].replace(",", "")) > 0
    assert [row[1] for row in hosts] == ["healthy", "unhealthy", "degraded"]
    page.evaluate("document.querySelector('[data-key=\"c:backend\"]').click()")
    assert page.evaluate("document.querySelector('tr.hosts')") is None


def test_the_filter_narrows_the_clusters(page):
    page.evaluate("(f => { f.value = 'DOTTED'; f.dispatchEvent(new Event('input')) })(document.getElementById('filter'))")
    assert [row[0] for row in cells(page, "clusters")] == ["dotted.name"]


def test_names_are_text(page):
    assert HOSTILE in [row[0] for row in cells(page, "clusters")]
    assert page.evaluate("document.images.length") == 0
    assert page.problems == []


def test_no_other_script_runs(page):
    """The policy stops markup that got in all the same."""
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hit = 1\"><a id=probe href=\"javascript:window.hit=1\">x</a>')")
    page.evaluate("document.getElementById('probe').click()")
    page.evaluate("(() => { const s = document.createElement('script'); s.textContent = 'window.hit = 1'; document.body.append(s) })()")
    page.evaluate("new Promise(r => setTimeout(r, 300))")
    assert page.evaluate("window.hit") is None
    assert any("Content Security Policy" in problem for problem in page.problems)


def test_commands_are_posts_with_an_answer(page):
    page.evaluate("(f => { f.elements.logger.value = 'http'; f.elements.level.value = 'debug'; f.requestSubmit() })(document.forms[0])")
    page.wait_for("document.getElementById('answer').textContent.includes('http: debug')")
    page.evaluate("(f => { f.elements.key.value = 'part.on'; f.elements.value.value = '7'; f.requestSubmit() })(document.forms[1])")
    page.wait_for("document.getElementById('answer').textContent.endsWith('200\\nOK\\n')")
    assert page.problems == []


def test_the_head_says_who_may_do_what(busy):
    first, second = busy.ask("/"), busy.ask("/")
    policy = first.header("content-security-policy")
    nonces = [re.search(r"script-src 'nonce-([0-9a-f]{32})'", answer.header("content-security-policy")).group(1) for answer in (first, second)]
    assert nonces[0] != nonces[1]
    assert f'<script nonce="{nonces[0]}">'.encode() in first.body
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert first.header("x-frame-options") == "DENY"
    assert b"http://" not in first.body.replace(b"http://www.w3.org/2000/svg", b"") and b"https://" not in first.body
    assert b"innerHTML" not in first.body


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_can_be_read(page, size, scheme):
    width, height, mobile = SIZES[size]
    page.look(width, height, dark=scheme == "dark", mobile=mobile)
    page.evaluate("document.querySelector('[data-key=\"c:backend\"]').click()")
    # Nothing makes the page itself wider than the window; wide tables scroll on their own.
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # Every control has a name, every table a header, and text stands out from what is behind it (WCAG: 4.5 to 1).
    assert page.evaluate("[...document.querySelectorAll('button, input, select')].filter(e => !e.innerText && !e.ariaLabel && !e.labels?.length).length") == 0
    assert page.evaluate("[...document.querySelectorAll('table')].every(t => t.tHead && t.tHead.rows.length)")
    assert json.loads(page.evaluate(CONTRASTS)) == []
    if "APUS_SCREENSHOTS" in os.environ:
        page.wait_for("Number(document.body.dataset.polls) >= 8", timeout=60)
        directory = pathlib.Path(os.environ["APUS_SCREENSHOTS"])
        directory.mkdir(exist_ok=True)
        page.screenshot(directory / f"home-{size}-{scheme}.png")


CONTRASTS = """JSON.stringify((() => {
  const parse = c => { const m = c.match(/[\\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m };
  const light = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 }); return .2126 * r + .7152 * g + .0722 * b };
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] > 0) return c } return [255, 255, 255, 1] };
  const low = new Set();
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || !e.checkVisibility()) continue;
    if (['SCRIPT', 'STYLE', 'NOSCRIPT', 'OPTION'].includes(e.tagName) || e.classList.contains('skip')) continue;
    const a = light(parse(getComputedStyle(e).color)), c = light(behind(e)), ratio = (Math.max(a, c) + .05) / (Math.min(a, c) + .05);
    if (ratio < 4.5) low.add(e.tagName + '.' + e.className + ' ' + e.textContent.slice(0, 20) + ' ' + ratio.toFixed(2));
  }
  return [...low];
})())"""
