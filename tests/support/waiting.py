"""How long somebody waited, without what the rest of the machine is to blame for."""

from __future__ import annotations

import time
from pathlib import Path

THREADS = Path("/proc/self/task")
"""Linux; elsewhere there is nothing to take off."""


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


def _delayed() -> dict[str, int]:
    """By thread, the nanoseconds it could have run and did not, in all its life."""
    found = {}
    for thread in THREADS.iterdir() if THREADS.exists() else ():
        try:
            found[thread.name] = int((thread / "schedstat").read_text().split()[1])
        except (OSError, IndexError):  # it has just ended, or this kernel does not count
            continue
    return found
