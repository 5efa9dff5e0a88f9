"""samples -> verdicts: is its memory flat, are its answers as quick as at first, do its tables stay in bounds, is it all there."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from tests.soak.samples import Sample

WARM = 0.25
"""The part of the run in which caches fill: memory and latency are judged after it."""
GROWTH = {"postgres": 30.0}
USUAL_GROWTH = 12.0
"""Megabytes an hour that a process may grow by; each of Postgres' two dozen sessions keeps what its greatest query took."""
DEARER = 1.3
"""CPU of the server for a request, in the last quarter by the second: unlike time, it hardly depends on who else is busy."""
SLOWER = 1.5
"""The last quarter's p95 may be so many times the second quarter's,"""
SLOWER_MS = 5.0
"""and so many milliseconds more, for kinds that take one or two."""
BLOAT = 1.5
"""The tables may be so many times what they were at the start, the number of entities being the same."""
CONNECTIONS = 30
"""Of two processes: a pool of ten each, one to hear events on each, and what a start takes."""
QUEUE_SECONDS = 30.0
"""The oldest work of either queue, in 19 of 20 samples."""


class Verdict(msgspec.Struct, frozen=True):
    """One thing promised, whether it held, and the figures."""

    what: str
    holds: bool
    figures: str


def verdicts(samples: Sequence[Sample], differences: Sequence[str], log_errors: Sequence[str]) -> list[Verdict]:
    """All of them, about a run's samples, how the catalog differs from a fresh one, and lines of level error."""
    return [
        *(_memory(name, samples) for name in samples[0].memory),
        *_latency(samples),
        _cost(samples),
        _bloat(samples),
        _at_most("connections to the database", [sum(one.connections.values()) for one in samples], CONNECTIONS),
        _mostly("seconds that the oldest due entity waits", [one.queues["oldest_due"] for one in samples]),
        _mostly("seconds that the oldest ticket waits", [one.queues["oldest_ticket"] for one in samples]),
        _files(samples),
        _none(
            "failed requests", [problem for one in samples for problem in one.problems], sum(s.failed for s in samples)
        ),
        _none("lines of level error in the logs", log_errors, len(log_errors)),
        _none("differences from a fresh catalog of the same source", differences, len(differences)),
    ]


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Of a line through the points, per second: the median of the slopes between points half a run apart, which single
    peaks do not bend (Theil and Sen, thinned out)."""
    half = len(times) // 2
    pairs = [(times[n + half] - times[n], values[n + half] - values[n]) for n in range(len(times) - half)]
    return statistics.median(rise / time for time, rise in pairs if time > 0) if half else 0.0


def _memory(name: str, samples: Sequence[Sample]) -> Verdict:
    warm, most = _after(samples, WARM), GROWTH.get(name, USUAL_GROWTH)
    growth = slope([one.at for one in warm], [one.memory[name] for one in warm]) * 3600
    values = [one.memory[name] for one in warm]
    figures = f"{growth:+.1f} MB an hour after the warm-up (at most {most:.0f}); from {values[0]:.0f} to {values[-1]:.0f} MB, "
    return Verdict(f"flat memory of {name}", growth <= most, f"{figures}most {max(values):.0f} MB")


def _cost(samples: Sequence[Sample]) -> Verdict:
    before, after = _cpu_of_one(_between(samples, 0.25, 0.5)), _cpu_of_one(_after(samples, 0.75))
    figures = (
        f"{before:.2f} ms of CPU for one in the second quarter, {after:.2f} ms in the last (with the work behind it)"
    )
    return Verdict("flat cost of a request", not before or after <= before * DEARER, figures)


def _cpu_of_one(samples: Sequence[Sample]) -> float:
    number = sum(waits.number for one in samples[1:] for waits in one.waits.values())
    return (samples[-1].cpu["api"] - samples[0].cpu["api"]) * 1000 / max(1, number)


def _latency(samples: Sequence[Sample]) -> Iterator[Verdict]:
    kinds = sorted({kind for one in samples for kind in one.waits})
    first, last = _between(samples, 0.25, 0.5), _after(samples, 0.75)
    for kind in kinds:
        before, after = _p95(first, kind), _p95(last, kind)
        holds = after <= max(SLOWER * before, before + SLOWER_MS)
        load = f"load {_middle(first, lambda one: one.load):.1f} and {_middle(last, lambda one: one.load):.1f}"
        figures = f"p95 {before:.1f} ms in the second quarter, {after:.1f} ms in the last; {load}"
        yield Verdict(f"flat latency of {kind}", holds, figures)


def _p95(samples: Sequence[Sample], kind: str) -> float:
    """The median of the samples' 95th percentiles: that of most of the time."""
    found = [one.waits[kind].p95 for one in samples if kind in one.waits]
    return statistics.median(found) if found else 0.0


def _bloat(samples: Sequence[Sample]) -> Verdict:
    first, last = samples[0], samples[-1]
    worst = sorted(
        ((one.heap + one.indexes) / max(1, first.tables[name].heap + first.tables[name].indexes), name)
        for name, one in last.tables.items()
        if name in first.tables and one.heap + one.indexes > 1_000_000
    )
    grown = ", ".join(f"{name} {times:.2f}" for times, name in reversed(worst[-3:]))
    dead = max(sum(table.dead for table in one.tables.values()) for one in samples)
    times = last.size / max(1, first.size)
    sizes = f"{first.size / 1e6:.1f} to {last.size / 1e6:.1f} MB, {times:.2f} times (at most {BLOAT})"
    return Verdict("bounded bloat", times <= BLOAT, f"{sizes}; most dead rows {dead:,}; most grown: {grown}")


def _files(samples: Sequence[Sample]) -> Verdict:
    warm = _after(samples, WARM)
    grown = {name: warm[-1].files[name] - warm[0].files[name] for name in warm[0].files}
    return Verdict("no descriptors left open", all(more <= 10 for more in grown.values()), _listed(grown))


def _at_most(what: str, values: Sequence[int], most: int) -> Verdict:
    return Verdict(
        what, max(values) <= most, f"at most {max(values)} of {most}, mostly {statistics.median(values):.0f}"
    )


def _mostly(what: str, values: Sequence[float]) -> Verdict:
    usual = sorted(values)[int(len(values) * 0.95)]
    figures = f"{usual:.1f} in 95 of 100 samples (at most {QUEUE_SECONDS:.0f}), ever {max(values):.1f}"
    return Verdict(what, usual <= QUEUE_SECONDS, figures)


def _none(what: str, found: Sequence[str], number: int) -> Verdict:
    return Verdict(f"no {what}", not number, "none" if not number else f"{number}: " + " | ".join(found[:5]))


def _middle(samples: Sequence[Sample], of: Callable[[Sample], float]) -> float:
    return statistics.median(map(of, samples))


def _listed(values: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {value:+d}" for name, value in values.items())


def _between(samples: Sequence[Sample], start: float, end: float) -> Sequence[Sample]:
    length = samples[-1].at
    return [one for one in samples if start * length <= one.at <= end * length] or samples


def _after(samples: Sequence[Sample], start: float) -> Sequence[Sample]:
    return _between(samples, start, 1.0)
