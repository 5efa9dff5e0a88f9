"""Work that blocks, done in a thread a slice at a time: the log moves on meanwhile, and a cancelled step stops soon."""

from __future__ import annotations

import time
from collections.abc import Iterator

from greenroom.plugin import ActionLog
from greenroom_scaffolder.workspace.threads import in_thread

SLICE = 0.1
"""Seconds for which a thread works before it tells what it did, and hears whether to go on."""


async def told(log: ActionLog, lines: Iterator[str]) -> None:
    """Go through the lines in a thread, and log each. An error is raised after the lines that came before it."""
    error: Exception | None = None
    done = False
    while not done:
        some, done, error = await in_thread(lambda: _slice(lines))
        for line in some:
            log.info(line)
    if error is not None:
        raise error


def _slice(lines: Iterator[str]) -> tuple[list[str], bool, Exception | None]:
    some: list[str] = []
    end = time.monotonic() + SLICE
    try:
        for line in lines:
            some.append(line)
            if time.monotonic() > end:
                return some, False, None
    except Exception as error:  # noqa: BLE001 - raised by `told`, after the lines
        return some, True, error
    return some, True, None
