# SPDX-License-Identifier: Apache-2.0
"""One SVG of horizontal bars: a panel per scenario, readable on a light and on a dark page."""
import html
import math
import statistics

WIDTH, COLUMN, GAP, LEFT, BAR, STEP = 1080, 520, 40, 150, 15, 24

STYLE = """
svg { background: #ffffff; font-family: system-ui, sans-serif; }
text { fill: #1f2328; font-size: 12px; }
.title { font-size: 13px; font-weight: 600; }
.head { font-size: 18px; font-weight: 700; }
.quiet { fill: #59636e; font-size: 11px; }
.own text, text.own { font-weight: 700; }
.bar { fill: #a8b3bf; }
.own .bar { fill: #1f6feb; }
.floor .bar { fill: #dfe4ea; }
g text { paint-order: stroke; stroke: #ffffff; stroke-width: 3px; }
.whisker { stroke: #1f2328; stroke-width: 1.2; }
.grid { stroke: #e4e8ec; stroke-width: 1; }
.bound { stroke: #c9510c; stroke-width: 1.5; stroke-dasharray: 4 3; }
@media (prefers-color-scheme: dark) {
  svg { background: #0d1117; }
  text { fill: #e6edf3; }
  .quiet { fill: #9198a1; }
  .bar { fill: #57606a; }
  .own .bar { fill: #4493f8; }
  .floor .bar { fill: #2d333b; }
  g text { stroke: #0d1117; }
  .whisker { stroke: #e6edf3; }
  .grid { stroke: #22272e; }
  .bound { stroke: #f0883e; }
}
"""


def axis(value):
    """(step, number of steps) of an axis that reaches a value with three to six round steps."""
    power = 10 ** math.floor(math.log10(value)) if value > 0 else 1
    step = next(m * power for m in (0.2, 0.25, 0.5, 1, 2, 2.5, 5) if m * power * 5 >= value)
    return step, max(1, math.ceil(value / step - 1e-9))


def label(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def wrapped(title, limit=66):
    """A title in at most two lines."""
    if len(title) <= limit:
        return [title]
    cut = title.rfind(" ", 0, limit)
    return [title[:cut], title[cut + 1:]]


def panel(spec, x, y):
    """(SVG, height) of one panel."""
    titles = wrapped(spec["title"])
    top = y + 15 * len(titles) + 20
    height = STEP * len(spec["bars"])
    step, steps = axis(max([max(found) for _, found in spec["bars"]] + [spec["bound"] or 0]) * 1.02)
    room = COLUMN - LEFT - 60

    def at(value):
        return x + LEFT + room * value / (step * steps)

    parts = [f'<text class="title" x="{x}" y="{y + 15 * (i + 1)}">{html.escape(line)}</text>' for i, line in enumerate(titles)]
    for i in range(steps + 1):
        value = step * i
        parts.append(f'<line class="grid" x1="{at(value):.1f}" y1="{top}" x2="{at(value):.1f}" y2="{top + height}"/>')
        parts.append(f'<text class="quiet" text-anchor="middle" x="{at(value):.1f}" y="{top + height + 14}">{value:,g}</text>')
    parts.append(f'<text class="quiet" x="{x}" y="{top + height + 14}">{html.escape(spec["unit"])}</text>')
    rows = []
    for i, (name, found) in enumerate(spec["bars"]):
        middle, row = statistics.median(found), top + STEP * i + (STEP - BAR) / 2
        kind = "own" if name.startswith("Apus") and "before" not in name else "floor" if name.startswith("floor") else "peer"
        tip = f"{name}: minimum {label(min(found))}, median {label(middle)}, maximum {label(max(found))} of {len(found)}"
        centre = row + BAR / 2
        parts.append(
            f'<g class="{kind}"><title>{html.escape(tip)}</title><rect class="bar" x="{at(0):.1f}" y="{row:.1f}" width="{max(1.0, at(middle) - at(0)):.1f}" height="{BAR}" rx="2"/>'
            f'<line class="whisker" x1="{at(min(found)):.1f}" y1="{centre:.1f}" x2="{at(max(found)):.1f}" y2="{centre:.1f}"/>'
            + "".join(f'<line class="whisker" x1="{at(v):.1f}" y1="{centre - 3:.1f}" x2="{at(v):.1f}" y2="{centre + 3:.1f}"/>'
                      for v in (min(found), max(found)))
            + "</g>")
        rows.append(f'<g class="{kind}"><text text-anchor="end" x="{x + LEFT - 8}" y="{centre + 4:.1f}">{html.escape(name)}</text>'
                    f'<text x="{at(max(found)) + 6:.1f}" y="{centre + 4:.1f}">{label(middle)}</text></g>')
    if spec["bound"]:
        parts.append(f'<line class="bound" x1="{at(spec["bound"]):.1f}" y1="{top - 4}" x2="{at(spec["bound"]):.1f}" y2="{top + height}"/>')
    return "\n".join(parts + rows), 15 * len(titles) + 20 + height + 34


def draw(date, machine, specs):
    """The whole picture as text."""
    columns, parts = [84, 84], []
    for spec in specs:
        if not spec["bars"]:
            continue
        side = 0 if columns[0] <= columns[1] else 1
        text, height = panel(spec, 20 + side * (COLUMN + GAP - 20), columns[side])
        columns[side] += height
        parts.append(text)
    total = max(columns) + 10
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {total}" width="{WIDTH}" height="{total}" role="img" '
        f'aria-label="Apus and its peers, {date}">\n<style>{STYLE}</style>\n'
        f'<text class="head" x="20" y="30">Apus and its peers, {date}</text>\n'
        f'<text class="quiet" x="20" y="50">Less is better. Bars are medians of alternating rounds, lines reach from the least to the greatest; '
        f'dashed: what is asked of Apus.</text>\n<text class="quiet" x="20" y="66">One worker each, on {html.escape(machine)}.</text>\n' + "\n".join(parts) + "\n</svg>\n")
