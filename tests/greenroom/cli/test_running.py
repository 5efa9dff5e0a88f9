"""A process ends when its work is done, whatever it has left behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

DEAF = """
import asyncio, sys, threading, time
from greenroom.cli import running

running.LEAVING = 0.2

async def deaf():
    while True:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            pass

async def work():
    if "{left}" == "coroutine":
        work.left = asyncio.create_task(deaf())
    else:
        work.left = asyncio.get_running_loop().run_in_executor(None, time.sleep, 600)
    await asyncio.sleep(0.05)
    print("done", flush=True)

running.run(work())
"""


@pytest.mark.parametrize("left", ["coroutine", "thread"])
def test_what_does_not_heed_its_end_does_not_hold_the_process_up(left: str) -> None:
    program = [sys.executable, "-c", DEAF.replace("{left}", left)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "done\n"
