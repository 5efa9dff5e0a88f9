"""Actions that say, answer and remember without end: each is stopped in words, the log says so, and the worker goes on."""

from __future__ import annotations

import asyncio
import random
import string
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from greenroom.plugin import ActionContext
from greenroom.telemetry import Metrics
from greenroom_scaffolder.tasks.dry_run import DryRuns
from greenroom_scaffolder.tasks.meters import Meters
from greenroom_scaffolder.tasks.runner import THREADS, Bounds
from greenroom_scaffolder.workspace.redaction import MOST_SECRET, MOST_SECRETS, LargeSecretsError
from tests.hostile.conftest import breathes, memory_of
from tests.scaffolder.tasks.rehearsal import Notebook, log, made, run_steps, runner_of, spec_of, task_of
from tests.support.waiting import slowness

MB = 1024**2
FULL = "The log of this task is full: what its actions log from here on is left out"
Run = Callable[[ActionContext[Any]], Awaitable[Mapping[str, Any] | None]]


async def ran(folder: Path, run: Run, **more: Any) -> tuple[str, list[str]]:
    """What a step that does this was told of, and all lines of the log; the step after it is done in any case."""
    outcome, notebook = await run_steps(
        folder, {"action": "x:y"}, log("still here", **{"if": "${{ always() }}"}), more=[made("x:y", run)], **more
    )
    assert notebook.lines[-1] == "Finished step debug:log"
    return str((outcome.error or {}).get("message", "")), notebook.lines


@pytest.mark.parametrize("secrets", [{}, {"S": "s3cr3t-value"}])
async def test_a_million_lines_are_cut_with_a_word(tmp_path: Path, secrets: Mapping[str, str]) -> None:
    async def talk(ctx: ActionContext[Any]) -> None:
        for number in range(1_000_000):
            ctx.log.info(f"line {number}")
            if number % 1_000 == 0:
                await asyncio.sleep(0)

    async with breathes():
        with memory_of(100 * MB):
            _, lines = await ran(tmp_path, talk, secrets=secrets)
    assert sum(line.endswith(FULL) for line in lines) == 1
    assert 50_000 <= len(lines) < 50_010


async def test_a_thread_that_talks_faster_than_anybody_writes_does_not_fill_the_memory(tmp_path: Path) -> None:
    async def talk(ctx: ActionContext[Any]) -> None:
        def chatter() -> None:
            for _ in range(2_000):
                ctx.log.info("x" * 1_000_000)

        await asyncio.to_thread(chatter)

    with memory_of(150 * MB):
        _, lines = await ran(tmp_path, talk)
    assert sum(line.endswith(FULL) for line in lines) == 1
    assert sum(map(len, lines)) < 20 * MB


async def test_a_line_of_100_mb_is_cut(tmp_path: Path) -> None:
    endless = "x" * (100 * MB)

    async def talk(ctx: ActionContext[Any]) -> None:
        ctx.log.info(endless)
        raise ValueError(endless)

    with memory_of(300 * MB):
        error, lines = await ran(tmp_path, talk, secrets={"S": "s3cr3t-value"})
    assert error.endswith("more characters left out)")
    assert max(map(len, lines)) < 2 * MB


async def test_outputs_of_a_gigabyte_are_refused(tmp_path: Path) -> None:
    piece = "x" * MB
    circle: list[Any] = []
    circle.append(circle)
    answers: list[Any] = [{"x": [piece] * 1_024}, {"x": [[0] * 1_000_000] * 1_000}, {piece * 20: 1}, {"x": circle}]
    for answer in answers:

        async def run(ctx: ActionContext[Any], found: Any = answer) -> Mapping[str, Any]:
            return dict(found)

        with memory_of(100 * MB):
            error, _ = await ran(tmp_path, run)
        assert error in (
            "The output is larger than 10485760 characters",
            "The output is nested deeper than 200 levels",
        )


async def test_checkpoints_without_end_are_refused(tmp_path: Path) -> None:
    def remembering(size: int) -> Run:
        async def value() -> str:
            return "x" * size

        async def run(ctx: ActionContext[Any]) -> None:
            for number in count():
                await ctx.checkpoint(str(number), value)

        return run

    for size, words in ((1, "more than 10000 checkpoints"), (100_000, "is larger than")):
        runner = runner_of(tmp_path, made("x:y", remembering(size)), bounds=Bounds(answers=5 * MB))
        with memory_of(50 * MB):
            outcome = await runner.run(task_of(spec_of({"action": "x:y"})), Notebook())
        assert outcome.error is not None
        assert words in outcome.error["message"]


class Odd(BaseException):
    """What some library has to end its own tasks with."""


async def test_what_is_no_exception_is_an_error_of_a_dry_run_all_the_same(tmp_path: Path) -> None:
    async def run(ctx: ActionContext[Any]) -> None:
        raise Odd("enough")

    spec = spec_of({"action": "x:y"})
    with pytest.raises(Exception, match="enough"):
        await DryRuns(runner_of(tmp_path, made("x:y", run, dry_run=True))).run(spec)


async def test_names_of_steps_do_not_fill_the_memory_with_figures(tmp_path: Path) -> None:
    metrics = Metrics()
    meters = Meters(metrics)
    for number in range(3_000):
        meters.step(f"template:default/t{number % 1_500}", f"s{number}", "ok", 0.1)
        meters.step("template:default/t0", f"s{number}", "ok", 0.1)
    meters.step("template:default/t1", "x" * MB, "ok", 0.1)
    told = metrics.render()
    assert told.count(b"scaffolder_step_count") < 2_500
    assert b'step="other",template="other"' in told
    assert b'step="other",template="template:default/t0"' in told
    assert len(told) < 5 * MB


# --- secrets that are made to be looked for ---------------------------------------------------------------------------


async def test_secrets_that_take_long_to_look_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LargeSecretsError, match="65536 characters together"):
        await DryRuns(runner_of(tmp_path)).run(spec_of(), secrets={"A": "x" * 60_000, "B": "y" * 6_000})


async def test_more_secrets_than_anybody_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LargeSecretsError, match="1000 secrets, and no more"):
        await DryRuns(runner_of(tmp_path)).run(spec_of(), secrets={f"S{n}": "pin" for n in range(MOST_SECRETS + 1)})


@pytest.mark.parametrize("size", [5, 8, 60])
async def test_a_thousand_small_secrets_keep_nobody_waiting(tmp_path: Path, size: int) -> None:
    chance = random.Random(1)
    secrets = {f"S{n}": "".join(chance.choices(string.printable[:94], k=size)) for n in range(MOST_SECRETS)}

    async def talk(ctx: ActionContext[Any]) -> None:
        for _ in range(150):
            ctx.log.info("some line of a log")
            await asyncio.sleep(0)

    began = time.process_time()
    async with breathes():
        await ran(tmp_path, talk, secrets=secrets)
        await DryRuns(runner_of(tmp_path)).run(spec_of(log("hello")), secrets=secrets)
    assert time.process_time() - began < 30 * slowness()


LETTERS = "".join(random.Random(1).choices(string.ascii_letters + "\n", k=MOST_SECRET))
SLOW: dict[str, tuple[str, str]] = {
    "a long one": (LETTERS, "some line of a log"),
    "one of many lines": (LETTERS.replace("x", "\n"), LETTERS[100:1_000]),
    "one that each line may begin": ("a" * 60_000 + "b", "a" * 100),
    "one that each place may begin": ("a" * 500 + "b", "a" * 4_000),
}


@pytest.mark.parametrize("kind", SLOW)
async def test_no_secret_makes_a_log_slow(tmp_path: Path, kind: str) -> None:
    secret, line = SLOW[kind]

    async def talk(ctx: ActionContext[Any]) -> None:
        for _ in range(150):
            ctx.log.info(line)
            await asyncio.sleep(0)

    began = time.process_time()
    async with breathes():
        await ran(tmp_path, talk, secrets={"S": secret})
    assert time.process_time() - began < 5 * slowness()


# --- threads -----------------------------------------------------------------------------------------------------------


async def test_tasks_that_fill_their_threads_keep_neither_the_house_nor_dry_runs_waiting(tmp_path: Path) -> None:
    """40 of them wait in a thread, or for one. Names are looked up in the house's own threads, too."""
    over, inside = threading.Event(), threading.Semaphore(0)

    def wait() -> None:
        inside.release()
        over.wait()

    async def block(ctx: ActionContext[Any]) -> None:
        await ctx.in_thread(wait)

    runner = runner_of(tmp_path, made("x:y", block))
    runs = [asyncio.ensure_future(runner.run(task_of(spec_of({"action": "x:y"})), Notebook())) for _ in range(40)]
    try:
        async with asyncio.timeout(60):
            await asyncio.to_thread(lambda: [inside.acquire() for _ in range(THREADS)])
            await asyncio.to_thread(lambda: None)
            slow = log("${{ [1, 2] | map(attribute='x') | dump }}{% if true %}done{% endif %}")
            dry = await DryRuns(runner).run(spec_of(slow), files=[("a", b"x")])
        assert "done" in str(dry.log)
        cancelled = [run.cancel() for run in runs[THREADS:]]
        async with asyncio.timeout(60):
            await asyncio.wait(runs[THREADS:])
        assert all(cancelled), "what has not begun is not waited for"
    finally:
        over.set()
        await asyncio.gather(*runs, return_exceptions=True)
