"""Figures of both sides -> how many times better Greenroom is, which promises that breaks, and a table for people."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Literal

import msgspec

Unit = Literal["s", "ms", "MB", "bytes", "requests/s"]

MORE_IS_BETTER: frozenset[Unit] = frozenset({"requests/s"})


class Figure(msgspec.Struct, frozen=True):
    """Of one side: the median, and the 95th percentile where there were enough rounds for one."""

    median: float
    p95: float | None = None
    best: float | None = None
    """What others who work on the machine spoil least. Not in the table."""


class Row(msgspec.Struct, frozen=True):
    """One thing that was measured on both sides."""

    what: str
    unit: Unit
    upstream: Figure
    greenroom: Figure
    promised: float | None = None
    """How many times better Greenroom's median is at least."""

    @property
    def times(self) -> float:
        """How many times better Greenroom's median is; below 1, it is the worse."""
        return self._times(self.upstream.median, self.greenroom.median)

    @property
    def kept(self) -> bool:
        """Whether the promise holds, if there is one: for the medians, or for the best, since who waits for others on a busy
        machine waits as long on either side."""
        best = 0.0
        if self.upstream.best is not None and self.greenroom.best is not None:
            best = self._times(self.upstream.best, self.greenroom.best)
        return self.promised is None or max(self.times, best) >= self.promised

    def _times(self, upstream: float, greenroom: float) -> float:
        worse, better = (greenroom, upstream) if self.unit in MORE_IS_BETTER else (upstream, greenroom)
        return worse / better if better else float("inf")


FEW = 20
"""Below so many rounds a 95th percentile would be the longest but for luck."""


def figure(taken: Sequence[float], unit: Unit) -> Figure:
    """Of what was taken in each round."""
    p95 = statistics.quantiles(taken, n=20)[-1] if len(taken) >= FEW else None
    best = max(taken) if unit in MORE_IS_BETTER else min(taken)
    return Figure(statistics.median(taken), p95, best)


def table(rows: Sequence[Row]) -> str:
    """For people: aligned, and a table in Markdown."""
    lines = [("", "upstream", "Greenroom", "times better", "promised")]
    lines += [(row.what, *_told(row), f"{row.times:.1f}", f"{row.promised:g}" if row.promised else "") for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    padded = [_line(line, widths) for line in lines]
    return "\n".join([padded[0], "|".join(["", *("-" * (width + 2) for width in widths), ""]), *padded[1:]])


def broken(rows: Sequence[Row]) -> list[str]:
    """The promises that do not hold."""
    return [f"{row.what}: {row.times:.1f} times better, promised {row.promised:g}" for row in rows if not row.kept]


def _told(row: Row) -> tuple[str, str]:
    first, second = ((f"{_number(one.median)} {row.unit}", one.p95) for one in (row.upstream, row.greenroom))
    return _with_p95(*first), _with_p95(*second)


def _with_p95(median: str, p95: float | None) -> str:
    return median if p95 is None else f"{median} (95 %: {_number(p95)})"


def _number(value: float) -> str:
    """With as many digits as mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
