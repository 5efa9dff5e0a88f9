"""A run -> a picture: how many times better than upstream each row is, as bars on a logarithmic scale, with the goal as a tick.

`python -m tests.bench.chart FILE.json docs/bench.svg`. Plain SVG, whose colours follow the
reader's light or dark.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import msgspec

from tests.bench.table import Report, Row, times_told

WIDTH, LABELS, RIGHT = 900, 400, 70
TOP, LINE, BAR = 64, 24, 14
TIMES = "\N{MULTIPLICATION SIGN}"
LEAST, MOST = 0.5, 10.0
"""What the scale shows at least."""

STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.small { font-size: 11px; fill: #59636e; }
.title { font-size: 16px; font-weight: 600; }
.grid { stroke: #d1d9e0; }
.even { stroke: #59636e; }
.reached { fill: #1a7f37; }
.short { fill: #bc4c00; }
.other { fill: #6e7781; }
.goal { stroke: #1f2328; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .small { fill: #9198a1; }
  .grid { stroke: #3d444d; }
  .even { stroke: #9198a1; }
  .reached { fill: #3fb950; }
  .short { fill: #f0883e; }
  .other { fill: #8b949e; }
  .goal { stroke: #f0f6fc; }
}"""


class Scale:
    """times better -> where."""

    def __init__(self, rows: Sequence[Row]) -> None:
        shown = [times for row in rows if (times := row.times) and times != float("inf")]
        goals = [row.goal for row in rows if row.goal]
        self.least = min(LEAST, *shown) if shown else LEAST
        self.most = max(MOST, *shown, *goals) if shown else MOST

    def at(self, times: float) -> float:
        """Pixels from the left; what is off the scale stands at its end."""
        share = math.log(min(max(times, self.least), self.most) / self.least) / math.log(self.most / self.least)
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
    """The whole picture."""
    rows = [row for row in report.rows if row.times is not None and (row.goal or row.at_most is not None)]
    scale, height = Scale(rows), TOP + LINE * len(rows) + 34
    machine = report.origin.machine
    where = f"{report.origin.at:%Y-%m-%d}, {machine.cores} cores, {machine.cpu}; upstream and Greenroom in one run"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
            f"<title>{escape(report.title)}: times better than upstream</title>",
            f"<style>{STYLE}</style>",
            _text(12, 24, f"{report.title}: how many times better than upstream", "title"),
            _text(12, 43, f"{where}. Tick: the goal.", "small"),
            *_grid(scale, height - 28),
            *(line for place, row in enumerate(rows) for line in _bar(scale, row, TOP + LINE * place)),
            "</svg>\n",
        ]
    )


def _grid(scale: Scale, bottom: int) -> Iterator[str]:
    for times in scale.lines():
        x = scale.at(times)
        style = "even" if times == 1 else "grid"
        yield f'<line class="{style}" x1="{x}" x2="{x}" y1="{TOP - 6}" y2="{bottom}"/>'
        yield _text(x, bottom + 16, f"{times:g}{TIMES}", "small", "middle")


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
    Path(picture).write_text(chart(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
