"""The catalog's promises, measured: `python -m tests.bench.catalog [--entities 20000] [--json FILE]`.

An empty Postgres with a data folder on disk, the whole house above it, and a file of entities that its ndjson provider reads.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from greenroom.app import Running, running
from greenroom.db import Database, open_pool
from greenroom.embedded import embedded_postgres
from greenroom.entity import ref_of
from greenroom.plugin import CatalogProviders
from greenroom.settings import load
from tests.bench.entities import HOST, entities
from tests.bench.promises import told
from tests.bench.sides import RECORDS
from tests.support.asgi import Client

SERVED_SECONDS = 15.0
"""Until 20,000 new entities are served; other numbers in proportion."""
PAGE_MILLISECONDS = 5.0
"""For a filtered page with its total, in the median."""

PROVIDER = "ndjson:bench"
PATIENCE = 600.0
REQUESTS = 300

CONFIG = """
backend:
  baseUrl: http://localhost:7007
  auth: {{dangerouslyDisableDefaultAuthPolicy: true}}
integrations:
  github: [{{host: {host}}}]
catalog:
  processingInterval: {{hours: 24}}
  rules: [{{allow: [Component, API, Resource, System, Domain, Group, User]}}]
  providers: {{ndjson: {{bench: {{path: {path}}}}}}}
"""

TABLES = """
select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace and not relname = any ($1)
"""
"""All but those in which runs are noted."""

Timed = tuple[float, float]
"""Two of median, 95th percentile and longest, in milliseconds."""


class Figures(msgspec.Struct):
    """What was measured."""

    entities: int
    served_seconds: float
    """From the provider's start until the last entity is served."""
    cpu_seconds: float
    """Of this process meanwhile; what Postgres takes comes on top."""
    pauses: Timed
    """How much later than it might a request has got its turn meanwhile: 95th percentile and longest, in milliseconds."""
    filtered_page: Timed
    by_name: Timed
    facets: Timed
    unchanged_seconds: float
    """The same file once more."""
    unchanged_rows_written: int
    bytes_per_entity: dict[str, int]
    """By table, with its indexes; and `all` of them."""

    def broken(self) -> list[str]:
        """The promises that do not hold."""
        most = SERVED_SECONDS * max(1.0, self.entities / 20_000)
        checks = {
            f"{self.served_seconds:.1f} s until all are served, promised {most:.0f}": self.served_seconds <= most,
            f"{self.filtered_page[0]:.1f} ms for a filtered page, promised {PAGE_MILLISECONDS:.0f}": self.filtered_page[
                0
            ]
            <= PAGE_MILLISECONDS,
            f"{self.unchanged_rows_written} rows written for an unchanged file": self.unchanged_rows_written == 0,
        }
        return [text for text, kept in checks.items() if not kept]


async def measure(number: int) -> Figures:
    """Load, ask, load again, weigh."""
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-", dir="/var/tmp") as name:  # a disk, not memory
        folder = Path(name)
        refs = _prepare(folder, number)
        async with _house(folder) as (house, database):
            cpu, pauses = time.process_time(), _Pauses()
            served = await _until_served(database, number)
            cpu = time.process_time() - cpu
            client = Client(house.asgi, token=None)
            await _rested(house)
            return Figures(
                entities=number,
                served_seconds=served,
                cpu_seconds=cpu,
                pauses=pauses.stop(),
                filtered_page=await _timed(client, _pages()),
                by_name=await _timed(client, [_by_name(ref) for ref in refs[:: max(1, number // REQUESTS)]]),
                facets=await _timed(client, ["/entity-facets?facet=kind&facet=spec.type&facet=metadata.tags"] * 30),
                **await _unchanged(house, database),
                bytes_per_entity=await _sizes(database, number),
            )


class _Pauses:
    """Looks how long the event loop is kept by others."""

    def __init__(self) -> None:
        self._late: list[float] = []
        self._task = asyncio.create_task(self._watch())

    def stop(self) -> Timed:
        self._task.cancel()
        return round(statistics.quantiles(self._late, n=20)[-1], 1), round(max(self._late), 1)

    async def _watch(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            self._late.append((time.perf_counter() - before - 0.005) * 1000)


def _prepare(folder: Path, number: int) -> list[str]:
    """Write what the house is given, and return the refs of the entities."""
    folder.chmod(0o711)  # as root, Postgres runs as another user
    documents = list(entities(number))
    file = folder / "entities.ndjson"
    file.write_bytes(b"\n".join(map(msgspec.json.encode, documents)))
    (folder / "config.yaml").write_text(CONFIG.format(host=HOST, path=file))
    return [ref_of(document) for document in documents]


@asynccontextmanager
async def _house(folder: Path) -> AsyncIterator[tuple[Running, Database]]:
    config = load([folder / "config.yaml"], {})
    async with (
        embedded_postgres(folder / "data") as server,
        open_pool(server.dsn) as database,
        running(config, {"GREENROOM_DATA": str(folder / "data")}, database=database) as house,
    ):
        yield house, database


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.perf_counter() + PATIENCE
    while not await condition():
        if time.perf_counter() > deadline:
            raise TimeoutError(f"it took more than {PATIENCE:.0f} s")
        await asyncio.sleep(0.2)


async def _until_served(database: Database, number: int) -> float:
    async def served() -> bool:
        return bool(await database.fetchval("select count(*) = $1 from final_entities", number))

    await _until(served)
    started = (
        "select extract(epoch from clock_timestamp() - min(started_at))::float8 from provider_runs where provider = $1"
    )
    return float(await database.fetchval(started, PROVIDER))


async def _rested(house: Running) -> None:
    """Nothing is due. The server sees to its statistics itself."""

    async def at_rest() -> bool:
        facts = (await house.house.status())["Catalog"]
        return not (facts["waiting to be processed"] or facts["waiting to be stitched"])

    await _until(at_rest)


def _pages() -> list[str]:
    """The lists of a catalog page, filtered as people do, with their totals."""
    filters = [
        "kind=component,spec.type=service",
        "kind=component,spec.lifecycle=production",
        "kind=component,metadata.tags=java",
        "kind=component,relations.ownedBy=group:default/team-3",
        "kind=api",
    ]
    order = "orderField=metadata.name,asc&limit=20"
    queries = [f"/entities/by-query?{order}&filter={quote(one, safe='=,')}" for one in filters]
    return queries * (REQUESTS // len(queries))


def _by_name(ref: str) -> str:
    kind, _, rest = ref.partition(":")
    return f"/entities/by-name/{kind}/{rest}"


async def _timed(client: Client, targets: Sequence[str]) -> Timed:
    for target in dict.fromkeys(targets[:20]):
        await client.get(f"/api/catalog{target}")
    taken = []
    for target in targets:
        began = time.perf_counter()
        answer = await client.get(f"/api/catalog{target}")
        taken.append((time.perf_counter() - began) * 1000)
        if answer.status != 200:
            raise RuntimeError(f"{target}: {answer.status} {answer.text[:500]}")
    return round(statistics.median(taken), 2), round(statistics.quantiles(taken, n=20)[-1], 2)


async def _unchanged(house: Running, database: Database) -> dict[str, Any]:
    """Have the provider read its file again."""
    before = await _rows(database)
    ended = "select count(*) from provider_runs where provider = $1 and finished_at is not null"
    runs = await database.fetchval(ended, PROVIDER)

    async def finished() -> bool:
        return bool(await database.fetchval(ended, PROVIDER) > runs)

    await house.house.services.get(CatalogProviders, "bench").trigger(PROVIDER)
    await _until(finished)
    spent = """
        select extract(epoch from finished_at - started_at)::float8 from provider_runs
        where provider = $1 and finished_at is not null order by id desc limit 1
    """
    return {
        "unchanged_seconds": round(float(await database.fetchval(spent, PROVIDER)), 2),
        "unchanged_rows_written": len(before ^ await _rows(database)),
    }


async def _rows(database: Database) -> set[tuple[Any, ...]]:
    """Every version of every row: where it stands, and who wrote it."""
    found: set[tuple[Any, ...]] = set()
    for table in await _tables(database):
        rows = await database.fetch(f"select ctid::text, xmin::text from {table}")  # noqa: S608 - ours
        found.update((table, *row) for row in rows)
    return found


async def _tables(database: Database) -> list[str]:
    return [row["relname"] for row in await database.fetch(TABLES, sorted(RECORDS))]


async def _sizes(database: Database, number: int) -> dict[str, int]:
    sizes = {
        table: round(await database.fetchval("select pg_total_relation_size($1::text::regclass)", table) / number)
        for table in await _tables(database)
    }
    return dict(sorted(sizes.items(), key=lambda item: -item[1])) | {"all": sum(sizes.values())}


def report(figures: Figures) -> str:
    """For people."""
    rows = [
        (f"until {figures.entities:,} new entities are served", f"{figures.served_seconds:.1f} s"),
        ("  of it CPU of this process, Postgres apart", f"{figures.cpu_seconds:.1f} s"),
        ("  a request waits for it, 95 % and longest", f"{figures.pauses[0]:.0f} ms  {figures.pauses[1]:.0f} ms"),
        *(
            (f"{name}, median and 95 %", f"{timed[0]:.1f} ms  {timed[1]:.1f} ms")
            for name, timed in (
                ("a filtered page with its total", figures.filtered_page),
                ("an entity by name", figures.by_name),
                ("three facets of all", figures.facets),
            )
        ),
        ("the same file again", f"{figures.unchanged_seconds:.1f} s, {figures.unchanged_rows_written} rows written"),
        ("bytes of an entity, indexes included", f"{figures.bytes_per_entity['all']:,}"),
        *((f"  {table}", f"{size:,}") for table, size in figures.bytes_per_entity.items() if table != "all" and size),
    ]
    return "\n".join(f"{name:<52}{value}" for name, value in rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and tell. Returns 1 when a promise does not hold."""
    return told(arguments, "tests.bench.catalog", __doc__, ("entities", 20_000), measure, report)


if __name__ == "__main__":
    raise SystemExit(main())
