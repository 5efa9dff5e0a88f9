"""The scaffolder against upstream's, in one run: `python -m tests.bench.tasks [--only ROW…] [--json FILE]`.

Both are server processes on this machine with the same templates; while one is measured, the other stands still.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import itertools
import signal
import statistics
import time
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from greenroom.entity import LOCATION, ORIGIN_LOCATION, Entity
from greenroom_scaffolder.templates.generate import good_values
from greenroom_scaffolder.templates.located import read_documents
from tests.bench.asks import by_name
from tests.bench.expressions import timed
from tests.bench.goals import TASK_GOALS
from tests.bench.origin import origin
from tests.bench.ratio import DifferentError, say
from tests.bench.sides import (
    Greenroom,
    Side,
    Upstream,
    both_sides,
    compare,
    installed,
    rest_after,
    running_alone,
    workspace,
    write,
)
from tests.bench.table import Report, Row, Unit, alone, compared, number
from tests.bench.wire import Ask, Connection
from tests.bench.wrk import load
from tests.conformance.oracle import OracleError, shared_folder

API = "/api/scaffolder/v2"
BURST, BURSTS, CLIENTS = 300, 3, 8
SINGLES = 100
FILES, VALUES, FETCHES = 2_000, 10, 5
LISTED = (20_000, 200_000)
CREATORS = 200
SECONDS, TURNS = 4, 3
SMALLEST_CORPUS = 50
PATIENCE = 120.0

Pair = tuple[Upstream, Greenroom]


class Options(argparse.Namespace):
    """Of the command line."""

    only: list[str]
    json: Path | None

    def wants(self, id_: str) -> bool:
        """Whether this row is to be measured."""
        return not self.only or any(id_.startswith(one) for one in self.only)


class Bench:
    """Both sides, and what was found so far."""

    def __init__(self, options: Options, folder: Path, sides: Pair, file: Path) -> None:
        self.options, self.folder, self.sides, self.file = options, folder, sides, file
        self.rows: list[Row] = []
        self.notes: dict[str, float | int | str] = {}

    def row(self, id_: str, what: str, unit: Unit, taken: Sequence[Sequence[float]]) -> None:
        """What was taken of upstream and of ours."""
        found = compared(id_, what, unit, taken, TASK_GOALS.get(id_))
        self.rows.append(found)
        sides = " and ".join(number(one.median, unit) for one in (found.upstream, found.greenroom) if one)
        say(f"{what}: {sides} {unit}")

    async def measure(self) -> None:
        """Each row that is wanted, in the order of the goal."""
        say("starting both")
        write(self.file, [trivial(), *([filling(self.folder)] if self.options.wants("fetch-template") else [])])
        for side in self.sides:
            await side.start(Ask("/api/catalog/entities?limit=1"))
            await side.feed()
            await side.until(by_name("template:default/trivial"), lambda reply: reply.status == 200)
        rows = {
            "burst": self._burst, "single": self._single, "dry-run": self._dry_run, "fetch-template": self._fetch,
            "expressions": self._expressions,
            "corpus": self._corpus, "task-list": self._list,
        }  # fmt: skip
        for id_, measure in rows.items():
            if self.options.wants(id_):
                await measure()

    async def _burst(self) -> None:
        """All at once, from the first request to the last end."""
        taken: list[list[float]] = [[], []]
        body = msgspec.json.encode({"templateRef": "template:default/trivial", "values": {"name": "a"}})
        for round_, (index, side) in itertools.product(range(-1, BURSTS), enumerate(self.sides)):
            with running_alone(side, self.sides):
                async with tasks_of(side) as table:
                    before = await table.ended()
                    began = time.perf_counter()
                    await at_once(side, [Ask(f"{API}/tasks", "POST", body)] * BURST)
                    await table.until(before + BURST)
                    seconds = time.perf_counter() - began
            if round_ >= 0:
                taken[index].append(BURST / seconds)
        self.row("burst", f"trivial tasks of two steps, {BURST} at once", "tasks/s", taken)

    async def _single(self) -> None:
        """One after another, each from its request to its end."""
        taken: list[list[float]] = [[], []]
        body = msgspec.json.encode({"templateRef": "template:default/trivial", "values": {"name": "a"}})
        for index, side in enumerate(self.sides):
            with running_alone(side, self.sides):
                async with tasks_of(side) as table:
                    for round_ in range(-5, SINGLES):
                        seconds = await table.through(body)
                        if round_ >= 0:
                            taken[index].append(seconds * 1000)
        self.row("single", "one trivial task, until it is completed", "ms", taken)

    async def _dry_run(self) -> None:
        ask = dry_run(trivial(), {"name": "a"}, [])
        await self._alike([ask])
        taken: list[list[float]] = [[], []]
        for _, (index, side) in itertools.product(range(TURNS), enumerate(self.sides)):
            with running_alone(side, self.sides):
                taken[index] += (await load(side.port, [ask], SECONDS, clients=1)).latencies
        self.row("dry-run", "a dry run of a trivial template", "ms", taken)

    async def _fetch(self) -> None:
        """Tasks of one step; the skeleton lies beside the template, on the disk."""
        taken: list[list[float]] = [[], []]
        values = {f"value{index}": f"what it says {index}" for index in range(VALUES)}
        body = msgspec.json.encode({"templateRef": "template:default/filling", "values": values})
        for index, side in enumerate(self.sides):
            with running_alone(side, self.sides):
                async with tasks_of(side) as table:
                    for round_ in range(-1, FETCHES):
                        seconds = await table.through(body)
                        if round_ >= 0:
                            taken[index].append(seconds)
        self.row("fetch-template", f"fetch:template of {FILES:,} small files, {VALUES} values", "s", taken)

    async def _expressions(self) -> None:
        """In processes of their own, in turn: an expression costs less than any way to ask a server for it."""
        with ExitStack() as stack:
            for side in self.sides:
                stack.enter_context(side.paused())
            sides = await timed(installed(), self.folder)
        warm = [[one for taken in side for one in taken.warm] for side in sides]
        self.row("expressions", "rendering an expression of real templates", "µs", warm)
        self.row(
            "expressions-cold", "the same, the first time", "µs", [[taken.cold for taken in side] for side in sides]
        )

    async def _corpus(self) -> None:
        """Of each real template that both run to its end; with the files of its folder, and generated values. Without the steps
        that neither side could do here: the vendors' actions, and what would be read from the internet."""
        listed = [(await side.door.ask(Ask(f"{API}/actions"))).json() for side in self.sides]
        known = set.intersection(*({one["id"] for one in actions} for actions in listed))
        asks = list(corpus(known))
        kept = []
        for name, ask in asks:
            replies = [await side.door.attempt(ask) for side in self.sides]
            statuses = tuple(reply.status for reply in replies)
            if statuses == (200, 200):
                kept.append((name, ask))
            elif statuses[0] != statuses[1]:
                self.notes[f"dry run of {name}"] = f"{statuses[0]} upstream, {statuses[1]} in Greenroom"
        self.notes["dry runs of real templates"] = f"{len(asks)}, of which {len(kept)} end well on both sides"
        if len(kept) < SMALLEST_CORPUS:
            raise DifferentError(f"only {len(kept)} of {len(asks)} dry runs end well on both sides")
        taken: list[list[float]] = [[], []]
        for _, (index, side) in itertools.product(range(TURNS), enumerate(self.sides)):
            with running_alone(side, self.sides):
                taken[index].append(sum([(await side.door.ask(ask)).seconds for _, ask in kept]))
        self.row("corpus", f"dry runs of {len(kept)} real templates", "s", taken)

    async def _list(self) -> None:
        """A page of many tasks, by creator and status, with the total."""
        ours: list[list[float]] = []
        for size in LISTED:
            for each in self.sides:
                async with tasks_of(each) as table:
                    await table.fill(size)
            asks = [listing(creator) for creator in range(0, CREATORS, CREATORS // 20)]
            await self._alike(asks)
            taken: list[list[float]] = [[], []]
            for _, (index, side) in itertools.product(range(TURNS), enumerate(self.sides)):
                with running_alone(side, self.sides):
                    taken[index] += (await load(side.port, asks, SECONDS, clients=1)).latencies
            ours.append(taken[1])
            if size == LISTED[-1]:
                self.row("task-list", f"50 of {size:,} tasks, by creator and status, with total", "ms", taken)
        growth = statistics.median(ours[-1]) / statistics.median(ours[0])
        self.rows.append(
            alone(
                "task-list-growth",
                f"the same, {LISTED[-1]:,} tasks against {LISTED[0]:,}",
                "times",
                [growth],
                at_most=1.5,
            )
        )

    async def _alike(self, asks: Sequence[Ask]) -> None:
        """Raises DifferentError unless both answer the same."""
        for ask in asks:
            theirs, ours = [(await side.door.ask(ask)).json() for side in self.sides]
            if theirs != ours:
                raise DifferentError(f"{ask.target}\n  upstream  {str(theirs)[:2000]}\n  Greenroom {str(ours)[:2000]}")


class TaskTable:
    """The tasks of one side, in its database: to look at them there costs neither server anything."""

    ENDED = "select count(*) from tasks where status in ('completed', 'failed')"

    def __init__(self, side: Side, connection: Any) -> None:
        self._side, self._db = side, connection

    async def ended(self) -> int:
        """How many tasks have come to an end, all of them well. Raises OracleError."""
        failed = await self._db.fetchval("select count(*) from tasks where status = 'failed'")
        if failed:
            raise OracleError(f"{failed} tasks of {self._side.name} failed")
        return int(await self._db.fetchval(self.ENDED))

    async def until(self, number_: int) -> None:
        """Return when so many have ended. Raises OracleError."""
        began = time.perf_counter()
        while await self.ended() < number_:
            waited = time.perf_counter() - began
            if waited > PATIENCE:
                raise OracleError(f"{self._side.name} did not come to the end of {number_} tasks")
            await asyncio.sleep(rest_after(waited))

    async def over(self, task: str) -> None:
        """Return when that task is completed. Raises OracleError."""
        began = time.perf_counter()
        while (status := await self._db.fetchval("select status from tasks where id::text = $1", task)) != "completed":
            if status not in ("open", "processing") or time.perf_counter() - began > PATIENCE:
                raise OracleError(f"the task {task} of {self._side.name} is {status}")
            await asyncio.sleep(0.001)

    async def through(self, body: bytes) -> float:
        """Seconds that one task took, from its request to its end. Raises OracleError."""
        began = time.perf_counter()
        reply = await self._side.door.ask(Ask(f"{API}/tasks", "POST", body), 201)
        await self.over(reply.json()["id"])
        return time.perf_counter() - began

    async def fill(self, number_: int) -> None:
        """Old tasks: the same on both sides, up to so many."""
        there = int(await self._db.fetchval("select count(*) from tasks where created_by like 'user:bench/%'"))
        async with self._db.transaction():
            await self._db.execute("create temporary table what (spec text) on commit drop")
            await self._db.execute("insert into what values ($1)", SPEC)
            await self._db.execute(OLD, there + 1, number_, CREATORS)
            await self._db.execute(UPSTREAM_FILL if isinstance(self._side, Upstream) else GREENROOM_FILL)
        await self._db.execute("vacuum analyze")


SPEC = msgspec.json.encode(
    {
        "apiVersion": "scaffolder.backstage.io/v1beta3",
        "steps": [{"id": "a", "name": "A", "action": "debug:log", "input": {"message": "${{ parameters.name }}"}}] * 6,
        "output": {},
        "parameters": {
            "name": "some-service",
            "owner": "group:default/team-1",
            "description": "What it is there for " * 5,
        },
        "templateInfo": {"entityRef": "template:default/trivial"},
    }
).decode()

OLD = """
create temporary table old on commit drop as
select md5(n::text)::uuid as id, 'user:bench/u' || (n % $3::int) as created_by,
       timestamptz '2026-01-01' + n * interval '1 second' as at,
       (array['completed', 'completed', 'completed', 'failed', 'cancelled'])[1 + (n / $3::int) % 5] as status
  from generate_series($1::int, $2::int) as n
"""
UPSTREAM_FILL = """
insert into tasks (id, spec, status, created_at, last_heartbeat_at, created_by)
select id, (select spec from what), status, at, at, created_by from old
"""
GREENROOM_FILL = """
insert into tasks (id, created_by, created_at, status, heartbeat_at) select id, created_by, at, status, at from old;
insert into task_specs (task_id, spec) select id, (select spec from what)::json from old;
delete from task_tallies;
insert into task_tallies (created_by, status, n) select created_by, status, count(*) from tasks group by 1, 2
"""


@asynccontextmanager
async def tasks_of(side: Side) -> AsyncIterator[TaskTable]:
    """A connection to where it keeps them."""
    import asyncpg

    where = side._postgres.to("backstage_plugin_scaffolder") if isinstance(side, Upstream) else side.database
    connection = await asyncpg.connect(**where)
    try:
        yield TaskTable(side, connection)
    finally:
        await connection.close()


async def at_once(side: Side, asks: Sequence[Ask]) -> None:
    """By some clients, each with its share."""

    async def client(share: Sequence[Ask]) -> None:
        door = Connection(side.port)
        for ask in share:
            await door.ask(ask, 201)
        door.close()

    await asyncio.gather(*(client(asks[start::CLIENTS]) for start in range(CLIENTS)))


def trivial() -> Entity:
    """Two steps that say something."""
    step = {"action": "debug:log", "input": {"message": "hello ${{ parameters.name }}"}}
    return template("trivial", [{"id": "one", "name": "One", **step}, {"id": "two", "name": "Two", **step}])


def filling(folder: Path) -> Entity:
    """One step, and its skeleton of many small files."""
    home = folder / "filling"
    for index in range(FILES):
        file = home / "skeleton" / f"folder{index % 40}" / f"file{index}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"line {line}: ${{{{ values.value{line} }}}}, in file {index}" for line in range(VALUES)]
        file.write_text("\n".join(lines) + "\n")
    values = {f"value{index}": f"${{{{ parameters.value{index} }}}}" for index in range(VALUES)}
    step = {"id": "fill", "name": "Fill", "action": "fetch:template", "input": {"url": "./skeleton", "values": values}}
    return template("filling", [step], f"file:{home}/template.yaml")


def template(name: str, steps: Sequence[Any], where: str = "url:https://git.example.com/template.yaml") -> Entity:
    """A Template entity as a provider gives it."""
    return {
        "apiVersion": "scaffolder.backstage.io/v1beta3",
        "kind": "Template",
        "metadata": {"name": name, "annotations": {LOCATION: where, ORIGIN_LOCATION: where}},
        "spec": {"owner": "group:default/team-1", "type": "service", "parameters": {}, "steps": list(steps)},
    }


def dry_run(entity: Entity, values: Any, files: Sequence[tuple[str, bytes]]) -> Ask:
    """With the files of the template's folder."""
    contents = [{"path": path, "base64Content": base64.b64encode(content).decode()} for path, content in files]
    body = {"template": entity, "values": values, "secrets": {}, "directoryContents": contents}
    return Ask(f"{API}/dry-run", "POST", msgspec.json.encode(body))


def listing(creator: int) -> Ask:
    """Newest first, as the stock frontend asks."""
    return Ask(f"{API}/tasks?createdBy=user:bench/u{creator}&status=completed&limit=50&offset=0&order=desc:created_at")


def corpus(known: Collection[str]) -> Iterator[tuple[str, Ask]]:
    """The real templates, as dry runs, with those steps whose actions are known, and read nothing from the internet."""
    folder = shared_folder() / "corpus"
    seen = set()
    for line in (folder / "templates.jsonl").read_bytes().splitlines():
        file = folder / msgspec.json.decode(line)["file"]
        if file in seen:
            continue
        seen.add(file)
        beside = [one for one in sorted(file.parent.rglob("*")) if one.is_file()]
        files = [(str(one.relative_to(file.parent)), one.read_bytes()) for one in beside]
        for document in read_documents(file.read_text(encoding="utf-8")):
            entity = document.value
            if isinstance(entity, dict) and entity.get("kind") == "Template":
                steps = [step for step in entity["spec"].get("steps") or [] if can_be_done(step, known)]
                kept = {**entity, "spec": {**entity["spec"], "steps": steps}}
                yield f"{file.relative_to(folder)}", dry_run(kept, filled_in(entity), files)


def can_be_done(step: Any, known: Collection[str]) -> bool:
    """On a machine without a vendor or the internet."""
    url = (step.get("input") or {}).get("url")
    return step.get("action") in known and not (isinstance(url, str) and url.startswith("http"))


def filled_in(entity: Entity) -> dict[str, Any]:
    """Values that its form takes."""
    blocks = entity["spec"].get("parameters") or []
    values: dict[str, Any] = {}
    for block in blocks if isinstance(blocks, list) else [blocks]:
        values |= next((found for found in good_values(block) if isinstance(found, dict)), {})
    return values


async def measured(options: Options) -> Report:
    """The whole run."""
    me = asyncio.current_task()
    assert me is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)  # or the servers would outlive us
    came_from = origin(installed())
    with workspace("tasks") as (folder, file):
        async with both_sides(folder, file, scaffolder=True) as sides:
            bench = Bench(options, folder, sides, file)
            await bench.measure()
            for side in sides:
                came_from.versions[f"Postgres of {side.name}"] = side.postgres_version
    return Report("the scaffolder", "python -m tests.bench.tasks", came_from, bench.rows, bench.notes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and tell: the exit code is that of `compare`."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tasks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="ROW", help="rows whose id begins so")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args(arguments, Options())
    return compare(lambda: measured(options), options.json)


if __name__ == "__main__":
    raise SystemExit(main())
