"""The waits that tests bound are the server's, and not the machine's."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.support.waiting import THREADS, Wait


def compute(seconds: float) -> None:
    """For so long by the processor's clock."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


@pytest.mark.parametrize("hold_up", [time.sleep, compute])
def test_who_sleeps_or_computes_makes_others_wait(hold_up: Callable[[float], None]) -> None:
    wait = Wait()
    hold_up(0.2)
    assert wait.seconds() > 0.15


@pytest.mark.skipif(not THREADS.exists(), reason="only Linux tells")
def test_a_processor_that_others_have_is_no_wait() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as rival:  # on the same processor
            wait, began = Wait(), time.monotonic()
            compute(0.2)
            assert wait.seconds() < time.monotonic() - began - 0.02
            rival.kill()
    finally:
        os.sched_setaffinity(0, allowed)
