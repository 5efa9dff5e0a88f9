"""Figures of both sides -> how many times better Greenroom is, what of the goals is reached, and a table for people.

`python -m tests.bench.table FILE.json…` prints the tables of runs that `ratio` and `growth` have written, in Markdown.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from tests.bench.goals import Goal
from tests.bench.origin import Origin

Unit = Literal["s", "ms", "µs", "MB", "bytes", "requests/s", "tasks/s", "rows", "times"]

MORE_IS_BETTER: frozenset[Unit] = frozenset({"requests/s", "tasks/s"})
WHOLE: frozenset[Unit] = frozenset({"rows", "bytes"})


class Figure(msgspec.Struct, frozen=True):
    """Of one side: the median, and the 95th percentile where there were enough rounds for one."""

    median: float
    p95: float | None = None


class Row(msgspec.Struct, frozen=True):
    """One thing that was measured, on both sides or on ours alone."""

    id: str
    what: str
    unit: Unit
    upstream: Figure | None
    greenroom: Figure
    goal: float | None = None
    """How many times better Greenroom's median is to be."""
    floor: float | None = None
    """How many times better it must be, or the run fails."""
    at_most: float | None = None
    """What Greenroom's median must not exceed, or the run fails."""
    size: int | None = None
    """How many entities there were, where that differs from row to row."""

    @property
    def times(self) -> float | None:
        """How many times better Greenroom's median is; below 1, it is the worse. None where there is nothing to compare."""
        if self.upstream is None:
            return None
        worse, better = self.upstream.median, self.greenroom.median
        if not worse and not better:
            return None
        if self.unit in MORE_IS_BETTER:
            worse, better = better, worse
        return worse / better if better else float("inf")

    @property
    def reached(self) -> bool | None:
        """Whether the goal is; None where there is none. By medians only: the best of several rounds would flatter."""
        if self.goal is None and self.at_most is None:
            return None
        return self._at_least(self.goal) and not self._exceeds

    @property
    def fails(self) -> bool:
        """Whether it is below what it must be."""
        return not self._at_least(self.floor) or self._exceeds

    @property
    def _exceeds(self) -> bool:
        return self.at_most is not None and self.greenroom.median > self.at_most

    def _at_least(self, wanted: float | None) -> bool:
        return wanted is None or (self.times or 0.0) >= wanted


class Report(msgspec.Struct):
    """A run: what was measured, where and when."""

    title: str
    """Of the table: `20,000 entities`."""
    command: str
    """That repeats it."""
    origin: Origin
    rows: list[Row]
    notes: dict[str, float | int | str] = {}
    """What else is worth knowing: sizes of answers, memory of Postgres."""

    def save(self, file: Path) -> None:
        """As JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(self.json())

    def json(self) -> bytes:
        """With what is derived, for who reads no Python."""
        found = msgspec.to_builtins(self)
        for row, told in zip(self.rows, found["rows"], strict=True):
            times = row.times
            told["times"] = None if times is None or times == float("inf") else round(times, 3)
            told["reached"] = row.reached
        return msgspec.json.format(msgspec.json.encode(found))


HELD = {None: "", True: "yes", False: "**no**"}
FEW = 20
"""Below so many rounds a 95th percentile would be the longest but for luck."""


def figure(taken: Sequence[float]) -> Figure:
    """Of what was taken in each round."""
    p95 = statistics.quantiles(taken, n=20)[-1] if len(taken) >= FEW else None
    return Figure(statistics.median(taken), p95)


def compared(id_: str, what: str, unit: Unit, taken: Sequence[Sequence[float]], goal: Goal | None = None) -> Row:
    """Of what was taken on both sides, upstream's first."""
    times, floor, at_most = goal or Goal()
    upstream, greenroom = map(figure, taken)
    return Row(id_, what, unit, upstream, greenroom, times, floor, at_most)


def alone(
    id_: str, what: str, unit: Unit, taken: Sequence[float], at_most: float | None = None, size: int | None = None
) -> Row:
    """Of what was taken of Greenroom only."""
    return Row(id_, what, unit, None, figure(taken), at_most=at_most, size=size)


def table(rows: Sequence[Row]) -> str:
    """For people: aligned, and a table in Markdown."""
    both = any(row.upstream for row in rows)
    head = ("", *(["upstream"] if both else []), "Greenroom", *(["times better"] if both else []), "goal", "")
    return _aligned([head, *(_cells(row, both) for row in rows)])


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """The first is the head."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    padded = [_line(line, widths) for line in lines]
    return "\n".join([padded[0], "|".join(["", *("-" * (width + 2) for width in widths), ""]), *padded[1:]])


def verdict(rows: Sequence[Row]) -> list[str]:
    """Which rows hold, which fall short of the goal, which are below their floor or above a limit: a line of each sort."""
    sorts = {
        "HOLDS": [_named(row) for row in rows if row.reached and not row.fails],
        "FALLS SHORT": [_short(row) for row in rows if row.reached is False and not row.fails],
        "FAILS": [_short(row) for row in rows if row.fails],
    }
    return [f"{sort}: {'; '.join(found)}" for sort, found in sorts.items() if found]


def told(report: Report) -> str:
    """A whole run for people: in Markdown."""
    notes = [f"- {name}: {value}" for name, value in report.notes.items()]
    sized, others = [row for row in report.rows if row.size], [row for row in report.rows if not row.size]
    tables = [*([by_size(sized)] if sized else []), *([table(others)] if others else [])]
    return "\n".join([origin_of(report), "", "\n\n".join(tables), *([""] if notes else []), *notes])


def origin_of(report: Report) -> str:
    """Where its figures come from, and what repeats them."""
    of, machine = report.origin, report.origin.machine
    versions = ", ".join(f"{name} {version}" for name, version in of.versions.items())
    where = f"{machine.cores} cores ({machine.cpu}), {machine.memory_gb:g} GB, load {machine.load:g} before"
    facts = f"{report.title}; {of.at:%Y-%m-%d %H:%M} UTC, commit {of.commit}; {where}; {versions}."
    return f"{facts}\n`{report.command}`"


def by_size(rows: Sequence[Row]) -> str:
    """A line for each thing that was measured, a column for each size."""
    sizes = sorted({row.size for row in rows if row.size})
    lines = [("", *(f"{size:,}" for size in sizes), "goal", "")]
    for id_ in dict.fromkeys(row.id for row in rows):
        of = {row.size: row for row in rows if row.id == id_}
        last = of[max(size for size in sizes if size in of)]
        cells = [_figure(of[size].greenroom, last.unit) if size in of else "" for size in sizes]
        lines.append((last.what, *cells, _goal(last), HELD[last.reached]))
    return _aligned(lines)


def number(value: float, unit: Unit) -> str:
    """With as many digits as mean something."""
    if value >= 100 or (unit in WHOLE and not 0 < value < 1):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def times_told(times: float) -> str:
    """How many times better."""
    return "∞" if times == float("inf") else f"{times:,.0f}" if times >= 100 else f"{times:.1f}"


def _cells(row: Row, both: bool) -> tuple[str, ...]:
    times = row.times
    compared = [_figure(row.upstream, row.unit)] if both else []
    ratio = ["" if times is None else times_told(times)] if both else []
    return (row.what, *compared, _figure(row.greenroom, row.unit), *ratio, _goal(row), HELD[row.reached])


def _goal(row: Row) -> str:
    if row.goal is not None:
        return f"{row.goal:g}"
    return "" if row.at_most is None else f"≤ {number(row.at_most, row.unit)} {row.unit}"


def _figure(one: Figure | None, unit: Unit) -> str:
    if one is None:
        return ""
    median = f"{number(one.median, unit)} {unit}"
    return median if one.p95 is None else f"{median} (95 %: {number(one.p95, unit)})"


def _named(row: Row) -> str:
    return f"{row.id}@{row.size}" if row.size else row.id


def _short(row: Row) -> str:
    if row._exceeds:
        return f"{_named(row)} {number(row.greenroom.median, row.unit)}, {_goal(row)}"
    wanted = {"goal": row.goal, "floor": row.floor}
    return ", ".join(
        [f"{_named(row)} {times_told(row.times or 0.0)}", *(f"{name} {of:g}" for name, of in wanted.items() if of)]
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"


def main(files: Sequence[str]) -> None:
    """Print the tables."""
    reports = [msgspec.json.decode(Path(file).read_bytes(), type=Report) for file in files]
    sys.stdout.write("\n\n".join(map(told, reports)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
