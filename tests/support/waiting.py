"""How long somebody waited, without what the rest of the machine is to blame for; and how slow the machine itself is."""

from __future__ import annotations

import time
from pathlib import Path

THREADS = Path("/proc/self/task")
"""Linux; elsewhere there is nothing to take off."""
QUICK = 0.002
"""Seconds of a processor for `_compute`, on the machine that the bounds of the tests are for."""


class Wait:
    """Begins when it is made."""

    def __init__(self) -> None:
        self._began, self._delayed = time.monotonic(), _delayed()

    def seconds(self) -> float:
        """Until now, less those in which threads of this process could run and were not let, since others had the processors.

        Of all threads, since the one that waits may wait for another's lock. On a quiet machine that is next to nothing."""
        waited = time.monotonic() - self._began
        delayed = sum(at - self._delayed.get(thread, 0) for thread, at in _delayed().items())
        return max(0.0, waited - delayed / 1e9)


def slowness() -> float:
    """How many times slower this machine is, at this moment, than the one that the bounds are for; at least 1.

    Multiply a bound with it: what takes its time from the processor takes so much more there."""
    return max(1.0, min(_compute() for _ in range(3)) / QUICK)


def _compute() -> float:
    """Seconds of the processor, for what Python usually does."""
    began = time.thread_time()
    counts: dict[str, int] = {}
    for number in range(12_000):
        word = str(number % 997)
        counts[word] = counts.get(word, 0) + len(word)
    return time.thread_time() - began


def _delayed() -> dict[str, int]:
    """By thread, the nanoseconds it could have run and did not, in all its life."""
    found = {}
    for thread in THREADS.iterdir() if THREADS.exists() else ():
        try:
            found[thread.name] = int((thread / "schedstat").read_text().split()[1])
        except (OSError, IndexError):  # it has just ended, or this kernel does not count
            continue
    return found
