"""The results as one picture for the README: readable in light and dark, and half as wide as it is drawn."""

import math
from collections.abc import Iterable
from html import escape
from typing import Final

from bench.page import OURS
from bench.results import Results
from bench.stats import Spread

WIDTH: Final = 480
#: Pixels from one candidate to the next, of a bar, and of a heading.
ROW: Final = 42
BAR: Final = 14
HEADING: Final = 34
#: Where bars begin and end; figures stand to the right of that.
LEFT: Final = 8
RIGHT: Final = 384
#: The rate whose latencies are drawn, and the ends of their scale in milliseconds.
RATE: Final = "200/s"
SCALE: Final = (1.0, 10_000.0)

_STYLE: Final = """
text { font: 14px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
.head { font-weight: 600; font-size: 15px }
.note { fill: #59636e; font-size: 12px }
.bar { fill: #8c959f } .ours .bar { fill: #0969da } .ours text { font-weight: 600 }
.span { stroke: #1f2328; stroke-width: 1.5 } .grid { stroke: #d1d9e0 } .dot { fill: #1f2328 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .note { fill: #9198a1 }
  .bar { fill: #656c76 } .ours .bar { fill: #4493f8 }
  .span { stroke: #f0f6fc } .grid { stroke: #3d444d } .dot { fill: #f0f6fc }
}
"""


def chart(results: Results) -> str:
    """An SVG document; candidates that were not measured are left out."""
    top, drawn = 0, []
    for panel in (_backlog(results), _latency(results)):
        lines, height = list(panel[0]), panel[1]
        if height:
            drawn.append(f'<g transform="translate(0 {top})">')
            drawn += [*lines, "</g>"]
            top += height
    drawn.append(_text(LEFT, top + 16, _caption(results), "note"))
    height = top + 26
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img" '
            f'aria-label="{escape(_spoken(results))}">',
            f"<style>{_STYLE}</style>",
            *drawn,
            "</svg>",
            "",
        ]
    )


def _backlog(results: Results) -> tuple[Iterable[str], int]:
    """Bars from zero, with a line from the slowest to the fastest round."""
    found = _ordered(results, "backlog", "per_second", best_is_most=True)
    if not found:
        return (), 0
    most = max(each.most for _, _, each in found)

    def x(value: float) -> float:
        return LEFT + value / most * (RIGHT - LEFT)

    lines = [_text(LEFT, 20, "Orders per second, one backlog for all", "head")]
    for number, (name, label, each) in enumerate(found):
        lines += _row(
            number,
            name,
            label,
            f"{each.median:,.0f}",
            f'<rect class="bar" x="{LEFT}" y="20" width="{x(each.median) - LEFT:.1f}" height="{BAR}" rx="2"/>'
            f'<path class="span" d="M{x(each.least):.1f} 27H{x(each.most):.1f}"/>',
        )
    return lines, HEADING + ROW * len(found)


def _latency(results: Results) -> tuple[Iterable[str], int]:
    """From p50 to p99, on a scale where each line is ten times the one before."""
    found = _ordered(results, RATE, "p50_ms", best_is_most=False)
    if not found:
        return (), 0
    bottom = HEADING + ROW * len(found)
    ticks = [10.0**each for each in range(round(math.log10(SCALE[1])) + 1)]
    lines = [_text(LEFT, 20, f"Milliseconds to the ending at {RATE}, p50 to p99", "head")]
    for tick in ticks:
        lines.append(f'<path class="grid" d="M{_log(tick):.1f} {HEADING}V{bottom}"/>')
        lines.append(
            _text(_log(tick), bottom + 14, f"{tick:,.0f}", "note", "middle" if tick > 1 else "start")
        )
    for number, (name, label, each) in enumerate(found):
        slow = results.spread(name, RATE, "p99_ms") or each
        p50, p99 = _log(each.median), _log(slow.median)
        lines += _row(
            number,
            name,
            label,
            f"{each.median:,.0f} / {slow.median:,.0f}",
            f'<rect class="bar" x="{p50:.1f}" y="20" width="{max(p99 - p50, 1):.1f}" height="{BAR}" rx="2"/>'
            f'<circle class="dot" cx="{p50:.1f}" cy="27" r="4"/>',
        )
    return lines, bottom + 30


def _row(number: int, name: str, label: str, figure: str, drawing: str) -> Iterable[str]:
    ours = ' class="ours"' if name.startswith(OURS) else ""
    yield f'<g{ours} transform="translate(0 {HEADING + number * ROW})">'
    yield _text(LEFT, 14, label)
    yield drawing
    yield _text(WIDTH - LEFT, 32, figure, "", "end")
    yield "</g>"


def _ordered(results: Results, part: str, figure: str, best_is_most: bool) -> list[tuple[str, str, Spread]]:
    found = [
        (
            each["name"],
            each["label"] + (" (at a tenth)" if each["slow"] and part == "backlog" else ""),
            spread,
        )
        for each in results.candidates
        if (spread := results.spread(each["name"], part, figure))
    ]
    return sorted(found, key=lambda each: each[2].median, reverse=best_is_most)


def _log(milliseconds: float) -> float:
    least, most = map(math.log10, SCALE)
    share = (math.log10(min(max(milliseconds, SCALE[0]), SCALE[1])) - least) / (most - least)
    return LEFT + share * (RIGHT - LEFT - 20)


def _caption(results: Results) -> str:
    rounds, cores = results.plan["rounds"], results.machine["cores"]
    return f"Median of {rounds} rounds in turns, {cores} cores; lines: slowest to fastest."


def _spoken(results: Results) -> str:
    found = _ordered(results, "backlog", "per_second", best_is_most=True)
    return "Orders per second: " + ", ".join(f"{label} {each.median:,.0f}" for _, label, each in found)


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    styled = f' class="{kind}"' if kind else ""
    placed = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}"{styled}{placed}>{escape(words)}</text>'
