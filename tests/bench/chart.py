"""A run -> a picture: bars on a logarithmic scale.

Of a run against upstream, how many times better each row is, with its goal as a tick; of one of Greenroom alone, what rows take
as the catalog grows, a bar for each size. `python -m tests.bench.chart FILE.json docs/bench.svg`. Plain SVG, whose colours
follow the reader's light or dark.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path

import msgspec

from tests.bench.table import Report, Row, number, times_told

WIDTH, LABELS, RIGHT = 900, 400, 70
TOP, LINE, BAR = 64, 24, 14
TIMES = "\N{MULTIPLICATION SIGN}"
LEAST, MOST = 0.5, 10.0
"""Times: what the scale shows at least."""
SIZED = ("list", "walk", "filtered", "count-warm", "facet-warm", "count-cold", "facet-cold")
"""Rows whose milliseconds are shown as the catalog grows."""

STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.small { font-size: 11px; fill: #59636e; }
.title { font-size: 16px; font-weight: 600; }
.grid { stroke: #d1d9e0; }
.even { stroke: #59636e; }
.reached { fill: #1a7f37; }
.short { fill: #bc4c00; }
.other { fill: #6e7781; }
.size0 { fill: #8ec5ff; }
.size1 { fill: #3b8ee0; }
.size2 { fill: #0b4f99; }
.goal { stroke: #1f2328; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .small { fill: #9198a1; }
  .grid { stroke: #3d444d; }
  .even { stroke: #9198a1; }
  .reached { fill: #3fb950; }
  .short { fill: #f0883e; }
  .other { fill: #8b949e; }
  .size0 { fill: #164e87; }
  .size1 { fill: #3b8ee0; }
  .size2 { fill: #a8d3ff; }
  .goal { stroke: #f0f6fc; }
}"""


class Scale:
    """value -> where, at least from `least` to `most`."""

    def __init__(self, values: Iterable[float], least: float, most: float) -> None:
        shown = [value for value in values if 0 < value < float("inf")]
        self.least, self.most = min([least, *shown]), max([most, *shown])

    def at(self, value: float) -> float:
        """Pixels from the left; what is off the scale stands at its end."""
        share = math.log(min(max(value, self.least), self.most) / self.least) / math.log(self.most / self.least)
        return round(LABELS + share * (WIDTH - LABELS - RIGHT), 1)

    def lines(self) -> list[float]:
        """1, 2, 5, 10, 20, … as far as it goes."""
        exponents = range(math.floor(math.log10(self.least)), math.ceil(math.log10(self.most)) + 1)
        return [
            one
            for power in exponents
            for one in (10.0**power, 2 * 10.0**power, 5 * 10.0**power)
            if self.least <= one <= self.most
        ]


def chart(report: Report) -> str:
    """How many times better than upstream each row with a goal is."""
    rows = [row for row in report.rows if row.times is not None and (row.goal or row.at_most is not None)]
    scale = Scale([one for row in rows for one in (row.times, row.goal) if one], LEAST, MOST)
    title, note = (
        f"{report.title}: how many times better than upstream",
        "upstream and Greenroom in one run. Tick: the goal.",
    )
    bars = [line for place, row in enumerate(rows) for line in _bar(scale, row, TOP + LINE * place)]
    return _picture(report, title, note, LINE * len(rows), scale, TIMES, bars)


def growth_chart(report: Report) -> str:
    """What some rows take as the catalog grows, in milliseconds."""
    rows = {id_: [row for row in report.rows if row.id == id_ and row.size] for id_ in SIZED}
    shown = [sorted(of, key=lambda row: row.size or 0) for of in rows.values() if of]
    sizes = " · ".join(f"{row.size:,}" for row in shown[0]) if shown else ""
    scale = Scale([row.greenroom.median for of in shown for row in of], 0.1, 100)
    bars, y = list[str](), TOP
    for of in shown:
        bars.append(_text(LABELS - 12, y + 8 * len(of) - 1, of[0].what.replace("`", ""), "", "end"))
        bars += [line for place, row in enumerate(of) for line in _sized(scale, row, place, y + 13 * place)]
        y += 13 * len(of) + 10
    return _picture(report, "Greenroom alone, as the catalog grows", f"entities: {sizes}", y - TOP, scale, " ms", bars)


def _picture(report: Report, title: str, note: str, space: int, scale: Scale, unit: str, bars: Iterable[str]) -> str:
    height, machine = TOP + space + 34, report.origin.machine
    where = f"{report.origin.at:%Y-%m-%d}, {machine.cores} cores, {machine.cpu}; {note}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            _text(12, 24, title, "title"),
            _text(12, 43, where, "small"),
            *_grid(scale, unit, height - 28),
            *bars,
            "</svg>\n",
        ]
    )


def _grid(scale: Scale, unit: str, bottom: int) -> Iterator[str]:
    free = 0.0
    for value in scale.lines():
        x = scale.at(value)
        style = "even" if value == 1 else "grid"
        yield f'<line class="{style}" x1="{x}" x2="{x}" y1="{TOP - 6}" y2="{bottom}"/>'
        told = f"{value:g}{unit}"
        if x >= free:
            yield _text(x, bottom + 16, told, "small", "middle")
            free = x + 7 * len(told)


def _sized(scale: Scale, row: Row, place: int, y: int) -> Iterator[str]:
    """One size of one row."""
    right = scale.at(row.greenroom.median)
    yield f'<rect class="size{min(place, 2)}" x="{LABELS}" y="{y}" width="{max(1.0, right - LABELS):.1f}" height="11"/>'
    yield _text(right + 6, y + 9, f"{number(row.greenroom.median, row.unit)} {row.unit}", "small")


def _bar(scale: Scale, row: Row, y: int) -> Iterator[str]:
    """From one, which is upstream itself."""
    times = row.times or 0.0
    left, right = sorted((scale.at(1), scale.at(times)))
    style = "other" if row.reached is None else "reached" if row.reached else "short"
    middle = y + BAR - 3
    yield _text(LABELS - 12, middle, row.what.replace("`", ""), "", "end")
    yield f'<rect class="{style}" x="{left}" y="{y}" width="{max(1.0, right - left):.1f}" height="{BAR}" rx="2"/>'
    yield _text(right + 6, middle, f"{times_told(times)}{TIMES}", "small")
    if row.goal:
        x = scale.at(row.goal)
        yield f'<line class="goal" x1="{x}" x2="{x}" y1="{y - 3}" y2="{y + BAR + 3}"/>'


def _text(x: float, y: float, text: str, style: str, anchor: str = "start") -> str:
    return f'<text class="{style}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def main(file: str, picture: str) -> None:
    """Draw it."""
    report = msgspec.json.decode(Path(file).read_bytes(), type=Report)
    Path(picture).parent.mkdir(parents=True, exist_ok=True)
    Path(picture).write_text(growth_chart(report) if any(row.size for row in report.rows) else chart(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
