"""Greenroom alone, as the catalog grows: `python -m tests.bench.growth [--sizes 20000,200000,1000000] [--only …] [--json FILE]`.

Each size in a server process of its own on an empty database, asked right after the load: nobody analyses by hand.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from greenroom.cli.running import run
from greenroom.embedded.programs import find_programs
from greenroom.entity import Entity
from tests.bench import members, webhook, weight
from tests.bench.asks import API, by_name, everything, facets, filtered_pages, listed, query
from tests.bench.entities import entities
from tests.bench.origin import origin
from tests.bench.ratio import say
from tests.bench.sides import FILES, Greenroom, answered, greenroom_alone, tools_missing, workspace, write
from tests.bench.table import Report, Row, alone, told, verdict
from tests.bench.wire import Ask
from tests.conformance.client import serving

SIZES = "20000,200000,1000000"
ROUNDS = 40
WATCHED_SECONDS = 30.0
"""How long counts and facets are asked for while entities change."""
BETWEEN_ASKS = 0.1
"""So that each question comes about once a second: a change, or two, lies between one time and the next."""
STREAMS = 3
IDLE_SECONDS = 5.0

TWENTIETH = 450 / 20
"""Milliseconds: a twentieth of what others found for upstream at 740,000 entities (Spotify: 450 to 630 ms)."""
GROWTH = 1.5
"""How many times longer a list may take at the largest size than at the smallest."""
MORE_MEMORY = 48.0
"""MB that an answer of any size may need."""

COUNTS = (
    "kind=component",
    "kind=component,spec.type=service",
    "kind=component,spec.lifecycle=production",
    "kind=component,metadata.tags=java",
    "spec.lifecycle=experimental",
)
FACETS = ("kind", "spec.type", "spec.lifecycle", "metadata.tags")

CHANGING = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {{name: changing, tags: [{tag}], labels: {{change: c{number}}}}}
spec: {{type: {type}, lifecycle: {lifecycle}, owner: group:default/team-1}}
"""


class WrongError(Exception):
    """A count that was kept is another than one that is made anew"""


async def grown(size: int) -> list[Row]:
    """One size."""
    async with _served(entities(size)) as (side, folder), serving(folder / FILES) as address:
        rows = await _loaded(side, folder, size)
        rows += [row for what, asks in PAGES.items() for row in await _paged(side, size, what, asks)]
        rows.append(await _walked(side, size))
        await side.stop()
        await side.start(query("limit=0"))
        await asyncio.sleep(IDLE_SECONDS)
        rows.append(alone("memory-idle", "memory, idle", "MB", [weight.resident(side.pid)], size=size))
        rows += await _counted(side, size, folder, address)
        rows += await _streamed(side, size)
        sizes = [await side.database_bytes() / size]
        return [*rows, alone("database", "database, an entity", "bytes", sizes, size=size)]


PAGES = {
    "list": [listed("")],
    "list-kind": [listed("filter=kind=component")],
    "filtered": filtered_pages(),
}
NAMES = {
    "list": "list 20 of all by name, with total",
    "list-kind": "list 20 components by name, with total",
    "filtered": "a filtered page, with its total",
    "walk": "the next 20 of all by name, each page another",
}


@asynccontextmanager
async def _served(documents: Iterable[Entity]) -> AsyncIterator[tuple[Greenroom, Path]]:
    """A server that has not read the file of entities yet."""
    with workspace("growth") as (folder, file):
        async with greenroom_alone(folder, file) as side:
            await side.start(query("limit=0"))
            await side.feed()
            write(file, documents)
            yield side, folder


async def _loaded(side: Greenroom, folder: Path, size: int) -> list[Row]:
    say(f"{size:,} entities")
    weight.forget_peak(side.pid)
    began = time.perf_counter()
    _, committed = await asyncio.gather(side.until_served(size), side.feed())
    seconds = time.perf_counter() - began
    say(f"served after {seconds:.1f} s")
    (folder / "entities.ndjson").write_bytes(b"")  # some gigabytes
    return [
        alone("ingest", "until new entities are served", "s", [seconds], size=size),
        alone("committed", "until they are committed", "s", [committed], size=size),
        alone("memory-ingest", "memory, at most while they are read", "MB", [weight.peak(side.pid)], size=size),
    ]


async def _paged(side: Greenroom, size: int, id_: str, asks: Sequence[Ask]) -> list[Row]:
    """The first time of each that is asked, and then all the other times."""
    first = [(await side.door.ask(ask)).seconds * 1000 for ask in asks]
    taken = [(await side.door.ask(asks[round_ % len(asks)])).seconds * 1000 for round_ in range(ROUNDS)]
    return [
        _told(alone(f"{id_}-first", f"{NAMES[id_]}: the first time after the load", "ms", first, size=size)),
        _told(alone(id_, NAMES[id_], "ms", taken, size=size)),
    ]


async def _walked(side: Greenroom, size: int) -> Row:
    """Page after page by cursor, as nobody has asked before: of the others it may be known that they have not changed."""
    page = (await side.door.ask(listed(""))).json()
    taken = []
    for _ in range(ROUNDS):
        reply = await side.door.ask(query(f"cursor={page['pageInfo']['nextCursor']}&limit=20"))
        page = reply.json()
        taken.append(reply.seconds * 1000)
    return _told(alone("walk", NAMES["walk"], "ms", taken, size=size))


async def _counted(side: Greenroom, size: int, folder: Path, address: str) -> list[Row]:
    """Counts and facets: the first time after a start; then while one entity changes every second. What is answered in the
    end has to be what a fresh process answers. Raises WrongError."""
    asked = {"count": [query(f"filter={one}&limit=0") for one in COUNTS], "facet": [facets(one) for one in FACETS]}
    cold: dict[str, list[float]] = {what: [] for what in asked}
    warm: dict[str, list[float]] = {what: [] for what in asked}
    for what, asks in asked.items():
        cold[what] += [(await side.door.ask(ask)).seconds * 1000 for ask in asks]
    changes = await _asked_while_changing(side, folder, address, asked, warm)
    await side.settle(2)
    known = [(await side.door.ask(ask)).json() for asks in asked.values() for ask in asks]
    await side.stop()
    await side.start(by_name("component:default/changing"))
    for what, asks in asked.items():
        for ask in asks:
            reply = await side.door.ask(ask)
            cold[what].append(reply.seconds * 1000)
            if _sorted(reply.json()) != _sorted(known.pop(0)):
                raise WrongError(ask.target)
    names = {"count": "a count", "facet": "a facet of all"}
    during = "one entity changing every second"
    say(f"{changes} changes")
    return [
        row
        for what, name in names.items()
        for row in (
            _told(alone(f"{what}-cold", f"{name}, the first time after a start", "ms", cold[what], size=size)),
            _told(alone(f"{what}-warm", f"{name}, {during}", "ms", warm[what], TWENTIETH, size=size)),
        )
    ]


def _sorted(answer: Any) -> Any:
    if "facets" in answer:
        return {name: sorted(map(repr, found)) for name, found in answer["facets"].items()}
    return answer["totalItems"]


async def _asked_while_changing(
    side: Greenroom, folder: Path, address: str, asked: dict[str, list[Ask]], warm: dict[str, list[float]]
) -> int:
    """How often the entity changed."""
    changes = _Changes(side, folder / FILES / "changing.yaml")
    changes.write()
    body = msgspec.json.encode({"type": "url", "target": f"{address}/changing.yaml"})
    await side.door.ask(Ask(f"{API}/locations", "POST", body), 201)
    await side.until(by_name("component:default/changing"), answered)
    changing = asyncio.create_task(changes.every_second())
    deadline = time.perf_counter() + WATCHED_SECONDS
    while time.perf_counter() < deadline:
        for what, asks in asked.items():
            for ask in asks:
                warm[what].append((await side.door.ask(ask)).seconds * 1000)
                await asyncio.sleep(BETWEEN_ASKS)
    if changing.done():
        changing.result()  # raises what went wrong
    changing.cancel()
    return changes.number


class _Changes:
    """A file behind a URL that says something else each time."""

    def __init__(self, side: Greenroom, file: Path) -> None:
        self.number = 0
        self._file, self._door = file, side.connection()

    def write(self) -> None:
        number = self.number = self.number + 1
        facts = {
            "tag": ("java", "go", "rust")[number % 3],
            "type": ("service", "library")[number % 2],
            "lifecycle": ("production", "experimental", "deprecated")[number % 3],
        }
        self._file.write_text(CHANGING.format(number=number, **facts))

    async def every_second(self) -> None:
        while True:
            self.write()
            body = msgspec.json.encode({"entityRef": "component:default/changing"})
            await self._door.ask(Ask(f"{API}/refresh", "POST", body))
            await asyncio.sleep(1.0)


async def _streamed(side: Greenroom, size: int) -> list[Row]:
    """All components in one answer, which nobody keeps."""
    weight.forget_peak(side.pid)
    before = weight.resident(side.pid)
    replies = [await side.door.ask(everything(), keep=False) for _ in range(STREAMS)]
    more = max(0.0, weight.peak(side.pid) - before)
    say(f"all components: {replies[0].size / 1e6:,.0f} MB")
    return [
        _told(alone("all", "all components in one answer", "s", [reply.seconds for reply in replies], size=size)),
        _told(alone("all-memory", "more memory meanwhile", "MB", [more], MORE_MEMORY, size=size)),
    ]


def compared(rows: Sequence[Row]) -> list[Row]:
    """The largest size against the smallest."""
    found = []
    for id_, name in NAMES.items():
        of = sorted((row for row in rows if row.id == id_), key=lambda row: row.size or 0)
        if len(of) > 1:
            times = of[-1].greenroom.median / of[0].greenroom.median
            what = f"{name}: at {of[-1].size:,} entities against {of[0].size:,}"
            found.append(alone(f"{id_}-growth", what, "times", [times], GROWTH if id_ in ("list", "walk") else None))
    return found


def _told(row: Row) -> Row:
    say(f"{row.what}: {row.greenroom.median:.2f} {row.unit}")
    return row


class Options(argparse.Namespace):
    """Of the command line."""

    sizes: str
    webhook: int
    members: int
    only: list[str]
    json: Path | None

    def wants(self, part: str) -> bool:
        """Whether a part is to be measured."""
        return not self.only or part in self.only


async def measured(options: Options) -> Report:
    """The whole run."""
    me = asyncio.current_task()
    assert me is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)  # or the servers would outlive us
    rows: list[Row] = []
    command = (
        f"python -m tests.bench.growth --sizes {options.sizes} --webhook {options.webhook} --members {options.members}"
    )
    report = Report("Greenroom alone", command, origin(), rows)
    report.origin.versions["Postgres"] = find_programs().version
    async for part in _parts(options):
        rows += part
        if options.json:
            report.save(options.json)  # an hour's work may yet be cut short
    return report


async def _parts(options: Options) -> AsyncIterator[list[Row]]:
    """Those that are wanted, one after another."""
    if options.wants("growth"):
        found = list[Row]()
        for size in map(int, options.sizes.split(",")):
            rows = await grown(size)
            found += rows
            yield rows
        yield compared(found)
    if options.wants("webhook"):
        yield await webhook.committed(options.webhook)
    if options.wants("members"):
        yield await members.stitched(options.members)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and tell. Returns 1 when a row exceeds what it may take."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.growth", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", default=SIZES, metavar="N,N", help=f"numbers of entities ({SIZES})")
    parser.add_argument(
        "--webhook", type=int, default=100_000, metavar="N", help="entities beside a commit's (100,000)"
    )
    parser.add_argument("--members", type=int, default=50_000, metavar="N", help="of a group (50,000)")
    parser.add_argument("--only", nargs="+", choices=["growth", "webhook", "members"], default=[], help="these parts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args(arguments, Options())
    if why := tools_missing():
        sys.stderr.write(f"Nothing was measured: {why}.\n")
        return 1
    report = run(measured(options))
    sys.stdout.write("\n".join([told(report), "", *verdict(report.rows)]) + "\n")
    return 1 if any(row.fails for row in report.rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
