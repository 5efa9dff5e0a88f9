"""An hour of churn under readers: `python -m tests.soak.run [--minutes 60] [--entities 20000] [--rate 50] [--out FOLDER]`.

Ends with 1 when a verdict does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import msgspec

from greenroom.cli.running import run
from greenroom.embedded import embedded_postgres
from tests.bench.wire import Ask, Connection
from tests.conformance.oracle import free_port
from tests.faults.churn import Churn, Turn
from tests.faults.fleet import Fleet, Logs, configuration, fleet
from tests.faults.seen import Seen, counted, differences, impossible, seen
from tests.soak.readers import Readers
from tests.soak.samples import Sample, cpu, files, look, memory, own_memory, waits
from tests.soak.verdicts import Verdict, verdicts

TURN_SECONDS = 60.0
SAMPLE_SECONDS = 10.0
ADDED = 20
"""In each turn, and as many removed."""


class Report(msgspec.Struct, frozen=True):
    """What `report.json` holds."""

    minutes: float
    entities: int
    rate: float
    machine: str
    postgres: str
    load_seconds: float
    """Until the first entities were served."""
    turns: int
    served_after: list[float]
    """Seconds from each turn until the last of what it changed was served."""
    settled_after: float
    """Seconds from the last turn until nothing was left to do."""
    verdicts: list[Verdict]
    samples: list[Sample]

    @property
    def holds(self) -> bool:
        """All of it."""
        return all(verdict.holds for verdict in self.verdicts)

    def text(self) -> str:
        """For people."""
        served = sorted(self.served_after) or [0.0]
        size = f"{self.entities:,} entities, {self.minutes:g} minutes, {self.turns} turns, {self.rate:g} requests/s"
        after = f"{served[len(served) // 2]:.1f} s in the median, {served[-1]:.1f} s at most"
        lines = [
            f"{size}; {self.machine}; Postgres {self.postgres}",
            f"served after {self.load_seconds:.1f} s at first; after a turn {after}; at rest {self.settled_after:.1f} s later",
            "",
            *(f"{'holds' if one.holds else 'FAILS'}  {one.what}: {one.figures}" for one in self.verdicts),
        ]
        return "\n".join(lines)


class Soak:
    """One run: the churn, its readers and who watches them."""

    def __init__(
        self, churn: Churn, processes: Fleet, postmaster: int, out: Path, arguments: argparse.Namespace
    ) -> None:
        self.churn, self.fleet, self.postmaster, self.out = churn, processes, postmaster, out
        self.minutes, self.rate = arguments.minutes, arguments.rate
        self.steady = sorted(churn.entities)
        self.port = processes.port("api")
        self.readers = Readers(self.port, self.rate, lambda: self.steady)
        self.samples: list[Sample] = []
        self.logs, self.errors = Logs(processes.folder), 0
        self.served_after: list[float] = []

    async def go(self) -> float:
        """Churn for so many minutes. Returns the seconds that the catalog took to come to rest afterwards."""
        last = await self.fleet.last_run()
        async with _meanwhile(self.readers.run()):
            began = time.monotonic()
            async with _meanwhile(self._watch(began)):
                while (left := began + self.minutes * 60 - time.monotonic()) > 0:
                    turn_began = time.monotonic()
                    last = await self.fleet.last_run()
                    await self._turn()
                    await asyncio.sleep(min(max(0.0, turn_began + TURN_SECONDS - time.monotonic()), max(0.0, left)))
                settled = await self.fleet.settled(after=last, patience=900)
                await asyncio.sleep(2 * SAMPLE_SECONDS)
        return settled

    async def _turn(self) -> None:
        """Readers ask for nothing that goes."""
        began = time.monotonic()
        self.steady = [ref for ref in self.steady if ref in self.churn.entities]
        turn = self._planned()
        await self.fleet.trigger("api")
        await self._until_served(turn)
        self.served_after.append(round(time.monotonic() - began, 2))

    def _planned(self) -> Turn:
        before = dict(self.churn.entities)
        turn = self.churn.turn(len(before) // 100, ADDED, ADDED)
        gone = set(turn.removed)
        self.steady = [ref for ref in self.steady if ref not in gone]
        return turn

    async def _until_served(self, turn: Turn) -> None:
        """Until all that changed or came is served so, and what went is not."""
        door, waiting = Connection(self.port), [*turn.changed, *turn.added]
        deadline = time.monotonic() + TURN_SECONDS
        body = msgspec.json.encode
        while waiting and time.monotonic() < deadline:
            ask = Ask(
                "/api/catalog/entities/by-refs", "POST", body({"entityRefs": waiting, "fields": ["metadata.title"]})
            )
            with suppress(OSError, EOFError):
                items = (await door.ask(ask)).json()["items"]
                wanted = [self.churn.entities[ref]["metadata"]["title"] for ref in waiting]
                waiting = [
                    ref for ref, item, title in zip(waiting, items, wanted, strict=True)
                    if item is None or item["metadata"].get("title") != title
                ]  # fmt: skip
            await asyncio.sleep(0.5)
        door.close()

    async def _watch(self, began: float) -> None:
        connection = await self.fleet.look()
        with (self.out / "samples.jsonl").open("w") as file:
            while True:
                self.samples.append(await self._sample(connection, time.monotonic() - began))
                _append(file, self.samples[-1])
                await asyncio.sleep(SAMPLE_SECONDS)

    async def _sample(self, connection: Any, at: float) -> Sample:
        tables, held, queues = await look(connection)
        pids = {name: process.process.pid for name, (process, _) in self.fleet.running.items()}
        reads = self.readers.taken()
        problems = [read.problem for read in reads if read.problem]
        self.errors += len(self.logs.more("error"))
        return Sample(
            at=round(at, 1),
            memory={
                **{name: round(memory(pid), 1) for name, pid in pids.items()},
                "postgres": round(await asyncio.to_thread(own_memory, self.postmaster), 1),
            },
            cpu={name: round(cpu(pid), 1) for name, pid in pids.items()},
            files={name: files(pid) for name, pid in pids.items()},
            waits=waits(reads),
            problems=problems[:5],
            failed=len(problems),
            tables=tables,
            connections=held,
            queues=queues,
            errors=self.errors,
            load=os.getloadavg()[0],
        )


@asynccontextmanager
async def _meanwhile(work: Any) -> AsyncIterator[None]:
    """Do it while the block lasts. What it fails by is raised."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _append(file: TextIO, sample: Sample) -> None:
    file.write(msgspec.json.encode(sample).decode() + "\n")
    file.flush()


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="greenroom-soak-", dir="/var/tmp") as name:  # a disk, not memory
        folder = Path(name)
        folder.chmod(0o711)  # as root, Postgres runs as another user
        yield folder


async def soak(arguments: argparse.Namespace) -> Report:
    """The whole of it, in folders of its own."""
    out: Path = arguments.out
    with _folder() as folder:
        churn = Churn(folder / "entities.ndjson", arguments.entities)
        ours = folder / "ours"
        ours.mkdir(mode=0o711)
        async with embedded_postgres(ours / "data") as postgres:
            postmaster = int((postgres.home.cluster / "postmaster.pid").read_text().split()[0])
            with fleet(ours, configuration(churn.file, port=free_port()), postgres.dsn) as processes:
                processes.start("api", "serve")
                await processes.ready("api")
                processes.start("worker", "worker")
                load = await processes.settled(patience=900)
                run_ = Soak(churn, processes, postmaster, out, arguments)
                settled = await run_.go()
                catalog = await seen(run_.port, postgres.dsn)
                found = [*await impossible(postgres.dsn), *_miscounted(catalog)]
                errors = [one["message"] for one in processes.logged("error")]
                processes.end_all()
            version = postgres.version
        found += [*differences(catalog, await fresh(folder, churn))]
    return Report(
        arguments.minutes, arguments.entities, arguments.rate, f"{os.cpu_count()} cores, {platform.platform()}", version,
        load, churn.turns, run_.served_after, settled, verdicts(run_.samples, found, errors), run_.samples,
    )  # fmt: skip


async def fresh(folder: Path, churn: Churn) -> Seen:
    """What a catalog that never knew anything else makes of the same file."""
    theirs = folder / "fresh"
    theirs.mkdir(mode=0o711)
    async with embedded_postgres(theirs / "data", {"fsync": "off"}) as postgres:
        with fleet(theirs, configuration(churn.file), postgres.dsn) as processes:
            processes.start("api", "serve")
            await processes.settled(patience=900)
            return await seen(processes.port("api"), postgres.dsn)


def _miscounted(catalog: Seen) -> list[str]:
    """Totals and facets that the API tells, and that are not what it serves."""
    told, true = catalog.counts, counted(catalog.entities)
    return [f"{name} is told wrongly" for name in true if told[name] != true[name]]


def main(argv: Sequence[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.run")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--entities", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument(
        "--out", type=Path, default=Path(".greenroom/soak"), help="folder of report.json, report.txt and samples.jsonl"
    )
    arguments = parser.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    report = run(soak(arguments))
    (arguments.out / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    (arguments.out / "report.txt").write_text(report.text() + "\n")
    sys.stdout.write(report.text() + "\n")
    return 0 if report.holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
