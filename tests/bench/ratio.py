"""How many times better than upstream, in one run: `python -m tests.bench.ratio [--entities 5000] [--rounds 40] [--json FILE]`.

Both are server processes on this machine with the same entities; whatever can be is asked of them in turn.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from greenroom.cli.running import run
from greenroom.entity import Entity
from tests.bench.asks import API, Question, by_name, essence, filtered_pages, query, questions
from tests.bench.entities import entities
from tests.bench.sides import Side, answered, both_sides, missing
from tests.bench.table import Row, Unit, broken, figure, table
from tests.bench.wire import Ask, Reply
from tests.conformance.client import serving

CLIENTS = 16
PROMISES = {
    "until all are served": 5.0,
    "until a changed hundredth is served": 1.3,
    "until a registered location's entity is served": 3.0,
    "a filtered page, with its total": 2.0,
    f"filtered pages, {CLIENTS} clients": 2.0,
    "filtered pages, CPU of the server for one": 2.0,
    "entities by name, CPU of the server for one": 1.5,
    "memory of the server": 1.5,
    "database, an entity": 2.5,
    "start, until a page is served": 1.5,
}
"""By what is measured: how many times better at least. With a margin, so that only a change of ours breaks one."""

CHANGES, LOCATIONS, STARTS = 3, 6, 3
LOAD_REST, REST = 0.25, 0.02
"""Seconds between two looks whether it is done."""

Pair = tuple[Side, Side]


class Report(msgspec.Struct):
    """The run."""

    entities: int
    at: datetime
    machine: str
    rows: list[Row]


async def measure(number: int, rounds: int, seconds: float) -> Report:
    """Fill both, check that they answer alike, time them in turn, weigh them, start them anew."""
    me = asyncio.current_task()
    assert me is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)  # or the servers would outlive us
    with tempfile.TemporaryDirectory(prefix="greenroom-ratio-", dir="/var/tmp") as name:  # a disk, not memory
        folder, documents = Path(name), list(entities(number))
        file = _empty(folder)
        async with both_sides(folder, file) as sides:
            _say("starting both")
            for side in sides:
                await side.start(query("limit=0"))
                await side.settle(2)
                await side.feed()  # nothing: what is timed is not the first run
                await side.settle(2)
            rows = [await _filled(sides, documents, file), await _changed(sides, documents, file)]
            rows.append(await _registered(sides, folder))
            for side in sides:
                await side.settle()
            asked = questions(documents, PROMISES)
            await _alike(sides, asked)
            rows += [await _answered(sides, question, rounds) for question in asked]
            rows += await _under_load("filtered pages", sides, filtered_pages(), seconds)
            names = [by_name(f"group:default/team-{index}") for index in range(4)]
            rows += await _under_load("entities by name", sides, names, seconds)
            rows += await _weighed(sides, number)
            rows.append(await _started(sides))
            return Report(number, datetime.now(UTC), _machine(), rows)


def _empty(folder: Path) -> Path:
    """The file of entities, which has none."""
    folder.chmod(0o755)  # as root, Postgres runs as another user
    file = folder / "entities.ndjson"
    file.write_bytes(b"")
    return file


def _say(text: str) -> None:
    """What is going on, for who watches."""
    sys.stderr.write(f"… {text}\n")


def _row(what: str, unit: Unit, taken: Sequence[Sequence[float]]) -> Row:
    upstream, greenroom = (figure(of_side, unit) for of_side in taken)
    row = Row(what, unit, upstream, greenroom, PROMISES.get(what))
    _say(f"{what}: {upstream.median:.2f} and {greenroom.median:.2f} {unit}")
    return row


async def _filled(sides: Pair, documents: Sequence[Entity], file: Path) -> Row:
    _write(file, documents)
    taken = [[await _fed(side, "limit=0", len(documents), LOAD_REST)] for side in sides]
    return _row("until all are served", "s", taken)


async def _changed(sides: Pair, documents: Sequence[Entity], file: Path) -> Row:
    """Every hundredth entity gets another label."""
    taken: list[list[float]] = [[], []]
    for round_ in range(CHANGES):
        changed = list(documents)
        for index in range(0, len(changed), 100):
            metadata = changed[index]["metadata"]
            labels = {**metadata["labels"], "round": f"r{round_}"}
            changed[index] = {**changed[index], "metadata": {**metadata, "labels": labels}}
        _write(file, changed)
        expected = len(range(0, len(changed), 100))
        for side, times in zip(sides, taken, strict=True):
            await side.settle()
            times.append(await _fed(side, f"filter=metadata.labels.round=r{round_}&limit=0", expected, REST))
    return _row("until a changed hundredth is served", "s", taken)


def _write(file: Path, documents: Sequence[Entity]) -> None:
    file.write_bytes(b"\n".join(map(msgspec.json.encode, documents)))


async def _fed(side: Side, asked: str, expected: int, rest: float) -> float:
    """Seconds until a query has so many results."""
    began = time.perf_counter()
    feeding = asyncio.create_task(side.feed())

    def complete(reply: Reply) -> bool:
        if feeding.done():
            feeding.result()  # raises what went wrong
        return answered(reply) and reply.json()["totalItems"] == expected

    await side.until(query(asked), complete, rest)
    seconds = time.perf_counter() - began
    await feeding
    return seconds


LOCATED = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {{name: located-{number}}}
spec: {{type: service, lifecycle: production, owner: group:default/team-1}}
"""


async def _registered(sides: Pair, folder: Path) -> Row:
    """A file behind a URL, as a user registers it."""
    taken: list[list[float]] = [[], []]
    files = folder / "files"
    files.mkdir()
    async with serving(files) as address:
        for number in range(LOCATIONS):
            (files / f"{number}.yaml").write_text(LOCATED.format(number=number))
            body = msgspec.json.encode({"type": "url", "target": f"{address}/{number}.yaml"})
            for side, times in zip(sides, taken, strict=True):
                began = time.perf_counter()
                await side.door.ask(Ask(f"{API}/locations", "POST", body), 201)
                ask = by_name(f"component:default/located-{number}")
                await side.until(ask, answered, REST)
                times.append(time.perf_counter() - began)
        for side in sides:
            await side.settle()  # while the files are there
    return _row("until a registered location's entity is served", "s", taken)


class DifferentError(Exception):
    """A fast answer that is another one is no answer"""


async def _alike(sides: Pair, asked: Sequence[Question]) -> None:
    """Raises DifferentError."""
    for question in asked:
        theirs, ours = [await question.asks(side.door) for side in sides]
        if len(theirs) != len(ours):
            raise DifferentError(f"{question.what}: {len(theirs)} cursors upstream, {len(ours)} in Greenroom")
        for pair in zip(theirs, ours, strict=True):
            answers = [essence((await side.door.ask(ask)).json()) for side, ask in zip(sides, pair, strict=True)]
            if answers[0] != answers[1]:
                raise DifferentError(f"{question.what}: {pair[1].target}\n{_difference(*answers)}")


def _difference(upstream: Any, greenroom: Any) -> str:
    """The first place where they differ."""
    if isinstance(upstream, list) and isinstance(greenroom, list):
        for number, (one, other) in enumerate(itertools.zip_longest(upstream, greenroom)):
            if one != other:
                return f"element {number}:\n  upstream  {str(one)[:1000]}\n  Greenroom {str(other)[:1000]}"
    return f"  upstream  {str(upstream)[:1000]}\n  Greenroom {str(greenroom)[:1000]}"


async def _answered(sides: Pair, question: Question, rounds: int) -> Row:
    """In milliseconds: one request to each in turn."""
    asks = [await question.asks(side.door) for side in sides]
    taken: list[list[float]] = [[], []]
    for round_ in range(-3, rounds):  # three to warm up
        for side, ways, times in zip(sides, asks, taken, strict=True):
            reply = await side.door.ask(ways[round_ % len(ways)])
            if round_ >= 0:
                times.append(reply.seconds * 1000)
    return _row(question.what, "ms", taken)


async def _under_load(what: str, sides: Pair, asks: Sequence[Ask], seconds: float) -> list[Row]:
    """Requests a second that so many clients get answered who each wait for one answer before they ask for the next.

    And, where the system tells, what CPU each costs, which does not depend on who else wants it."""
    rates: list[list[float]] = [[], []]
    costs: list[list[float]] = [[], []]
    for _ in range(3):
        for number, side in enumerate(sides):
            before, deadline = side.cpu(), time.perf_counter() + seconds
            counts = await asyncio.gather(*(_asking(side, asks, start, deadline) for start in range(CLIENTS)))
            rates[number].append(sum(counts) / seconds)
            if before is not None and (after := side.cpu()) is not None:
                costs[number].append((after - before) * 1000 / sum(counts))
    rows = [_row(f"{what}, {CLIENTS} clients", "requests/s", rates)]
    return [*rows, _row(f"{what}, CPU of the server for one", "ms", costs)] if all(costs) else rows


async def _asking(side: Side, asks: Sequence[Ask], start: int, deadline: float) -> int:
    connection, count = side.connection(), 0
    while time.perf_counter() < deadline:
        await connection.ask(asks[(start + count) % len(asks)])
        count += 1
    connection.close()
    return count


async def _weighed(sides: Pair, number: int) -> list[Row]:
    sizes = [[await side.database_bytes() / number] for side in sides]
    return [
        _row("memory of the server", "MB", [[side.memory()] for side in sides]),
        _row("database, an entity", "bytes", sizes),
    ]


async def _started(sides: Pair) -> Row:
    """Until a page of the catalog is there, Postgres running already."""
    taken: list[list[float]] = [[], []]
    for _ in range(STARTS):
        for side, times in zip(sides, taken, strict=True):
            await side.stop()
            times.append(await side.start(filtered_pages()[0]))
    return _row("start, until a page is served", "s", taken)


def _machine() -> str:
    """What it is, and how busy."""
    model = platform.processor() or platform.machine()
    if (cpus := Path("/proc/cpuinfo")).is_file():
        lines = [line for line in cpus.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].partition(":")[2].strip() if lines else model
    return f"{os.cpu_count()} cores, {model}, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and tell. Returns 1 when a promise does not hold, 0 also where there is no upstream."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ratio", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--entities", type=int, default=5_000, metavar="N", help="how many (5,000)")
    parser.add_argument("--rounds", type=int, default=40, metavar="N", help="requests of each sort to each side (40)")
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="of each load by many clients (3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args(arguments)
    if why := missing():
        sys.stdout.write(f"The comparison with upstream was skipped: {why}.\n")
        return 0
    found = run(measure(options.entities, options.rounds, options.seconds))
    sys.stdout.write(
        f"{found.entities:,} entities, {found.at:%Y-%m-%d %H:%M} UTC, {found.machine}\n\n{table(found.rows)}\n"
    )
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    lines = broken(found.rows)
    for line in lines:
        sys.stderr.write(f"NOT KEPT: {line}\n")
    return 1 if lines else 0


if __name__ == "__main__":
    raise SystemExit(main())
