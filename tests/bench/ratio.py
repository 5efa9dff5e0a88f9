"""How many times better than upstream, in one run: `python -m tests.bench.ratio [--entities 20000] [--only ROW…] [--json FILE]`.

Both are server processes on this machine with the same entities; whatever can be is asked of them in turn.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from greenroom.entity import Entity
from tests.bench import weight
from tests.bench.asks import (
    API,
    FACETS,
    Question,
    by_name,
    essence,
    facets,
    filtered_pages,
    listed,
    query,
    questions,
    streams,
)
from tests.bench.entities import entities
from tests.bench.goals import GOALS, LOADED, goal
from tests.bench.origin import origin
from tests.bench.sides import (
    FILES,
    RECORDS,
    Greenroom,
    Side,
    Upstream,
    answered,
    both_sides,
    compare,
    installed,
    running_alone,
    workspace,
    write,
)
from tests.bench.table import Report, Row, Unit, compared, number
from tests.bench.wire import Ask
from tests.bench.wrk import load
from tests.conformance.client import serving

MUTATIONS, CHANGES, LOCATIONS, STARTS, LOADS, WARM_UP = 5, 3, 6, 3, 3, 3
"""How often each is done on either side."""
WARM_SECONDS = 2
ALONE_SECONDS, STREAM_SECONDS = 2, 4
"""Of each turn of a single client."""
IDLE_SECONDS = 5.0
WATCH_SECONDS = 3.0
"""Between two looks at what Postgres weighs: each goes through the pages of some twenty processes, on the core that is measured."""

Pair = tuple[Upstream, Greenroom]
Notes = dict[str, float | int | str]


class Options(argparse.Namespace):
    """Of the command line."""

    entities: int
    rounds: int
    seconds: int
    only: list[str]
    json: Path | None

    def wants(self, *ids: str) -> bool:
        """Whether one of these rows is to be measured."""
        return not self.only or any(id_.startswith(one) for id_ in ids for one in self.only)


class Bench:
    """Both sides, and what was found so far."""

    def __init__(self, options: Options, folder: Path, sides: Pair, file: Path) -> None:
        self.options, self.folder, self.sides, self.file = options, folder, sides, file
        self.rows: list[Row] = []
        self.notes: Notes = {}

    def row(self, id_: str, what: str, unit: Unit, taken: Sequence[Sequence[float]]) -> None:
        """What was taken of upstream and of ours."""
        found = compared(id_, what, unit, taken, goal(id_, self.options.entities))
        self.rows.append(found)
        sides = " and ".join(number(one.median, unit) for one in (found.upstream, found.greenroom) if one)
        say(f"{what}: {sides} {unit}")

    async def measure(self) -> None:
        """Fill both, check that they answer alike, time them in turn, weigh them, start them anew."""
        documents = list(entities(self.options.entities))
        await self._fill(documents)
        if self.options.wants("unchanged", "unchanged-rows"):
            await self._mutate_in_vain()
        if self.options.wants("changed"):
            await self._change(documents)
        if self.options.wants("location"):
            await self._register()
        await self._settle()
        small = [one for one in questions(documents) if self.options.wants(one.id, f"{one.id}-load")]
        large = [one for one in streams() if self.options.wants(one.id, f"{one.id}-memory")]
        asks = {question.id: await self._alike(question) for question in [*small, *large]}
        for question in small:
            if question.fresh:
                await self._in_turn(question, asks[question.id], self.options.rounds)
            else:
                await self._one_client(question, asks[question.id], ALONE_SECONDS)
            if question.loaded:
                await self._under_load(question, asks[question.id])
        for question in large:
            await self._stream(question, asks[question.id])
        if self.options.wants("database"):
            sizes = [[await side.database_bytes() / len(documents)] for side in self.sides]
            self.row("database", "database, an entity", "bytes", sizes)
        if self.options.wants("start", "memory-idle", "list-cold", "facets-cold"):
            await self._start_anew()

    async def _fill(self, documents: Sequence[Entity]) -> None:
        """New entities; and what the servers weigh meanwhile. One after the other: they would share the machine."""
        say("starting both")
        for side in self.sides:
            await side.start(query("limit=0"))
            await side.settle(2)
            await side.feed()  # nothing: what is timed is not the first run
            await side.settle(2)
        write(self.file, documents)
        self.notes["bytes of the entities' file"] = self.file.stat().st_size
        committed, served, peaks = [], [], []
        for side in self.sides:
            weight.forget_peak(side.pid)
            with running_alone(side, self.sides):
                began = time.perf_counter()
                async with self._watching_postgres(side):
                    _, seconds = await asyncio.gather(side.until_served(len(documents)), side.feed())
                served.append([time.perf_counter() - began])
                committed.append([seconds])
                peaks.append([weight.peak(side.pid)])
                await self._rest(side)
        self.row("ingest", f"until {len(documents):,} new entities are served", "s", served)
        self.row("committed", "until they are committed", "s", committed)
        self.row("memory-ingest", "memory, at most while they are read", "MB", peaks)

    @asynccontextmanager
    async def _watching_postgres(self, side: Side) -> AsyncIterator[None]:
        """What all of it weighs at most, by looks: it is not compared."""
        most = 0.0

        async def look() -> None:
            nonlocal most
            while True:
                most = max(most, side.postgres_memory())
                await asyncio.sleep(WATCH_SECONDS)

        looking = asyncio.create_task(look())
        yield
        looking.cancel()
        self.notes[f"Postgres of {side.name} meanwhile, MB"] = round(most)

    async def _mutate_in_vain(self) -> None:
        """The same entities once more, in memory already; what each writes for it, by its own Postgres' account."""
        await self._settle()
        taken: list[list[float]] = [[], []]
        before = [await side.rows_written() for side in self.sides]
        for _ in range(MUTATIONS):
            for side, times in zip(self.sides, taken, strict=True):
                with running_alone(side, self.sides):
                    times.append(await side.mutate() * 1000)
        after = [await side.rows_written() for side in self.sides]
        self.row("unchanged", "unchanged full mutation, in memory", "ms", taken)
        written = [_more(*one) for one in zip(before, after, strict=True)]
        self.notes["rows of entities written by each unchanged mutation"] = str([_told_rows(one) for one in written])
        counts = [[sum(one.values()) / MUTATIONS] for one in written]
        self.row("unchanged-rows", "rows written by it", "rows", counts)

    async def _change(self, documents: Sequence[Entity]) -> None:
        """Every hundredth entity gets another label."""
        taken: list[list[float]] = [[], []]
        for round_ in range(CHANGES):
            changed = _with_label(documents, f"r{round_}")
            write(self.file, changed)
            expected = len(range(0, len(changed), 100))
            asked = query(f"filter=metadata.labels.round=r{round_}&limit=0")
            for side, times in zip(self.sides, taken, strict=True):
                with running_alone(side, self.sides):
                    await side.settle(2)
                    began = time.perf_counter()
                    feeding = asyncio.create_task(side.feed())
                    await side.until(asked, lambda reply: answered(reply) and reply.json()["totalItems"] == expected)  # noqa: B023
                    times.append(time.perf_counter() - began)
                    await feeding
        self.row("changed", "until a changed hundredth is served", "s", taken)

    async def _register(self) -> None:
        """A file behind a URL, as a user registers it."""
        taken: list[list[float]] = [[], []]
        files = self.folder / FILES
        async with serving(files) as address:
            for index in range(LOCATIONS):
                (files / f"{index}.yaml").write_text(LOCATED.format(number=index))
                body = msgspec.json.encode({"type": "url", "target": f"{address}/{index}.yaml"})
                for side, times in zip(self.sides, taken, strict=True):
                    with running_alone(side, self.sides):
                        began = time.perf_counter()
                        await side.door.ask(Ask(f"{API}/locations", "POST", body), 201)
                        await side.until(by_name(f"component:default/located-{index}"), answered)
                        times.append(time.perf_counter() - began)
            await self._settle()  # while the files are there
        self.row("location", "until a registered location's entity is served", "s", taken)

    async def _settle(self) -> None:
        for side in self.sides:
            await self._rest(side)

    async def _rest(self, side: Side) -> None:
        """Until nothing is left of what it did that would burden who comes next: stitching, vacuuming, writing to the disk.
        Upstream's tables get the care that Postgres would give them in time. Greenroom sees to its own."""
        await side.settle()
        async with side.connected() as connection:
            if isinstance(side, Upstream):
                await connection.execute("vacuum analyze")
            await connection.execute("checkpoint")
        await asyncio.sleep(IDLE_SECONDS)

    async def _alike(self, question: Question) -> list[list[Ask]]:
        """What each side is to be asked. Raises DifferentError unless both answer the same."""
        theirs, ours = [await question.asks(side.door) for side in self.sides]
        if len(theirs) != len(ours):
            raise DifferentError(f"{question.what}: {len(theirs)} cursors upstream, {len(ours)} in Greenroom")
        looked = slice(-WARM_UP, None) if question.fresh else slice(None)
        for pair in zip(theirs[looked], ours[looked], strict=True):
            replies = [await side.door.ask(ask) for side, ask in zip(self.sides, pair, strict=True)]
            answers = [essence(reply.json()) for reply in replies]
            if answers[0] != answers[1]:
                raise DifferentError(f"{question.what}: {pair[1].target}\n{_difference(*answers)}")
        return [theirs, ours]

    async def _one_client(self, question: Question, asks: Sequence[Sequence[Ask]], seconds: int) -> None:
        """How long a client waits that is alone, by wrk: it takes next to nothing of the machine for itself."""
        taken: list[list[float]] = [[], []]
        for side, ways in zip(self.sides, asks, strict=True):
            for _ in range(WARM_UP):
                for way in ways[:WARM_UP]:
                    await side.door.ask(way, keep=False)
        for _, (index, side) in itertools.product(range(LOADS), enumerate(self.sides)):
            with running_alone(side, self.sides):
                taken[index] += (await load(side.port, asks[index], seconds, clients=1)).latencies
        self.row(question.id, question.what, "ms", taken)

    async def _in_turn(self, question: Question, asks: Sequence[Sequence[Ask]], rounds: int) -> None:
        """Each side once, then again."""
        taken: list[list[float]] = [[], []]
        for round_ in range(-WARM_UP, rounds):
            for side, ways, times in zip(self.sides, asks, taken, strict=True):
                with running_alone(side, self.sides):
                    reply = await side.door.ask(ways[round_ % len(ways)])
                if round_ >= 0:
                    times.append(reply.seconds * 1000)
        self.row(question.id, question.what, "ms", taken)

    async def _under_load(self, question: Question, asks: Sequence[Sequence[Ask]]) -> None:
        """Requests a second; and what CPU of the server each costs, which depends less on who else wants it."""
        rates: list[list[float]] = [[], []]
        costs: list[list[float]] = [[], []]
        for side, ways in zip(self.sides, asks, strict=True):
            await load(side.port, ways, WARM_SECONDS)
        for _, (index, side) in itertools.product(range(LOADS), enumerate(self.sides)):
            before = weight.cpu(side.pid)
            with running_alone(side, self.sides):
                found = await load(side.port, asks[index], self.options.seconds)
            rates[index].append(found.rate)
            costs[index].append((weight.cpu(side.pid) - before) * 1000 / found.requests)
        self.row(f"{question.id}-load", f"{question.what}{LOADED}", "requests/s", rates)
        self.row(f"{question.id}-cpu", f"{question.what}: CPU of the server for one", "ms", costs)

    async def _stream(self, question: Question, asks: Sequence[Sequence[Ask]]) -> None:
        """A large answer, and what the server weighs at most while it gives it."""
        for side in self.sides:
            weight.forget_peak(side.pid)
        await self._one_client(question, asks, STREAM_SECONDS)
        peaks = [[weight.peak(side.pid)] for side in self.sides]
        self.row(f"{question.id}-memory", f"{question.what}: memory, at most meanwhile", "MB", peaks)
        sizes = [(await side.door.ask(ways[0], keep=False)).size for side, ways in zip(self.sides, asks, strict=True)]
        self.notes[f"bytes of {question.what}"] = f"{sizes[0]:,} and {sizes[1]:,}"

    async def _start_anew(self) -> None:
        """Until a page of the catalog is there, Postgres running already; the first answers; what it weighs when nobody asks."""
        taken: dict[str, list[list[float]]] = {name: [[], []] for name in ("start", "list", "facets", "memory")}
        cold = {"list": listed(""), "facets": facets(*FACETS)}
        for _, (index, side) in itertools.product(range(STARTS), enumerate(self.sides)):
            await side.stop()
            with running_alone(side, self.sides):
                taken["start"][index].append(await side.start(filtered_pages()[0]))
                await asyncio.sleep(IDLE_SECONDS)
                taken["memory"][index].append(weight.resident(side.pid))
                for name, ask in cold.items():
                    taken[name][index].append((await side.door.ask(ask)).seconds * 1000)
        self.row("memory-idle", "memory, idle", "MB", taken["memory"])
        self.row("start", "start, until a page is served", "s", taken["start"])
        self.row("list-cold", "list 20 of all by name, with total, first after a start", "ms", taken["list"])
        self.row("facets-cold", "3 facets of all, first after a start", "ms", taken["facets"])
        for side in self.sides:
            self.notes[f"Postgres of {side.name} when idle, MB"] = round(side.postgres_memory())


class DifferentError(Exception):
    """A fast answer that is another one is no answer"""


LOCATED = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {{name: located-{number}}}
spec: {{type: service, lifecycle: production, owner: group:default/team-1}}
"""


async def measured(options: Options) -> Report:
    """The whole run."""
    me = asyncio.current_task()
    assert me is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)  # or the servers would outlive us
    came_from = origin(installed())
    with workspace("ratio") as (folder, file):
        async with both_sides(folder, file) as sides:
            bench = Bench(options, folder, sides, file)
            await bench.measure()
            for side in sides:
                came_from.versions[f"Postgres of {side.name}"] = side.postgres_version
    command = f"python -m tests.bench.ratio --entities {options.entities}"
    return Report(f"{options.entities:,} entities", command, came_from, in_order(bench.rows), bench.notes)


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Those of the goal first, as they stand there."""
    goals = {id_: place for place, id_ in enumerate(GOALS)}
    return sorted(rows, key=lambda row: goals.get(row.id, len(goals)))


def say(text: str) -> None:
    """What is going on, for who watches."""
    sys.stderr.write(f"… {text}\n")


def _with_label(documents: Sequence[Entity], label: str) -> list[Entity]:
    changed = list(documents)
    for index in range(0, len(changed), 100):
        metadata = changed[index]["metadata"]
        labels = {**metadata["labels"], "round": label}
        changed[index] = {**changed[index], "metadata": {**metadata, "labels": labels}}
    return changed


def _more(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """Rows written in between, by table, but for the records of runs."""
    return {name: more for name, rows in after.items() if name not in RECORDS and (more := rows - before.get(name, 0))}


def _told_rows(written: Mapping[str, int]) -> str:
    return ", ".join(f"{table} {rows / MUTATIONS:g}" for table, rows in written.items()) or "none"


def _difference(upstream: Any, greenroom: Any) -> str:
    """The first place where they differ."""
    if isinstance(upstream, list) and isinstance(greenroom, list):
        for index, (one, other) in enumerate(itertools.zip_longest(upstream, greenroom)):
            if one != other:
                return f"element {index}:\n  upstream  {str(one)[:1000]}\n  Greenroom {str(other)[:1000]}"
    return f"  upstream  {str(upstream)[:1000]}\n  Greenroom {str(greenroom)[:1000]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and tell: the exit code is that of `compare`."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ratio", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--entities", type=int, default=20_000, metavar="N", help="how many (20,000)")
    parser.add_argument("--rounds", type=int, default=40, metavar="N", help="requests of each sort to each side (40)")
    parser.add_argument("--seconds", type=int, default=5, metavar="S", help="of each load by many clients (5)")
    parser.add_argument("--only", nargs="+", default=[], metavar="ROW", help="rows whose id begins so, and the loading")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args(arguments, Options())
    return compare(lambda: measured(options), options.json)


if __name__ == "__main__":
    raise SystemExit(main())
