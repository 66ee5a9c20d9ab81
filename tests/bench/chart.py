"""Draws the medians as bars, in an SVG that needs no program to make and none but a browser to read.

It says in words what it shows (title and description), writes every figure beside its bar, and has colours for
light and for dark surroundings.
"""

from __future__ import annotations

import math
from typing import Sequence
from xml.sax.saxutils import escape

from figures import Result

WIDTH = 760
NAMES = 186
FIGURES = 120
LINE = 26
BAR = 16
HEAD = 58
NOTE = 18
FOOT = 16

STYLE = """\
text { font: 14px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 16px; font-weight: 600; }
.note { font-size: 12px; fill: #59636e; }
.name { text-anchor: end; }
.ours { font-weight: 600; }
.bar { fill: #8c959f; }
.bar.ours { fill: #1a7f37; }
.reach { stroke: #59636e; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .note { fill: #9198a1; }
  .bar { fill: #656c76; }
  .bar.ours { fill: #3fb950; }
  .reach { stroke: #b7bdc8; }
}
"""


def label(value_ms: float) -> str:
    """Returns a time for people."""
    return f"{value_ms:,.0f} ms" if value_ms >= 10 else f"{value_ms:.1f} ms"


def draw(results: Sequence[Result], ours: str, title: str, notes: Sequence[str]) -> str:
    """Returns the SVG: a bar for each result that has a median, the longest first, and a line to its 90th percentile.

    `notes` are lines of text below it.
    """
    shown = [result for result in results if not math.isnan(result.median_ms)]
    shown.sort(key=lambda result: -result.median_ms)
    longest = max((max(r.median_ms, r.quantile_ms(0.9)) for r in shown), default=1.0)
    scale = (WIDTH - NAMES - FIGURES) / longest
    foot = HEAD + LINE * len(shown) + FOOT
    height = foot + NOTE * len(notes)
    told = "; ".join(f"{r.name}: {label(r.median_ms)}" for r in shown)
    told = ". ".join([f"Medians. {told}", *notes])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-labelledby="title description">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="description">{escape(told)}.</desc>',
        f"<style>\n{STYLE}</style>",
        f'<text class="title" x="12" y="24">{escape(title)}</text>',
        '<text class="note" x="12" y="44">bar: median; line: 90th percentile</text>',
    ]
    for row, result in enumerate(shown):
        parts += draw_row(result, HEAD + LINE * row, scale, result.name == ours)
    for row, note in enumerate(notes):
        parts.append(f'<text class="note" x="12" y="{foot + NOTE * row}">{escape(note)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def draw_row(result: Result, top: int, scale: float, is_ours: bool) -> list[str]:
    """Returns name, bar, line and figure of one result."""
    ours = " ours" if is_ours else ""
    bar = max(result.median_ms * scale, 1.0)
    reach = max(result.quantile_ms(0.9) * scale, bar)
    middle, text = top + BAR / 2, top + BAR - 3
    return [
        f'<text class="name{ours}" x="{NAMES - 10}" y="{text}">{escape(result.name)}</text>',
        f'<rect class="bar{ours}" x="{NAMES}" y="{top}" width="{bar:.1f}" height="{BAR}" rx="2"/>',
        f'<line class="reach" x1="{NAMES + bar:.1f}" y1="{middle}" x2="{NAMES + reach:.1f}" y2="{middle}"/>',
        f'<text class="figure{ours}" x="{NAMES + reach + 8:.1f}" y="{text}">{label(result.median_ms)}</text>',
    ]
