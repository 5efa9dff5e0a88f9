"""A group of everybody, measured: `python -m tests.bench.group [--members 50000] [--json FILE]`.

So many users who say that they are members, and the group which names them all, through the ndjson provider: how long until the
group is served without one of them, how often it is stitched while they come in, and what the process needs. `measure` is for
`tests.bench` to call.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from greenroom.app import Running
from greenroom.db import Database
from greenroom.entity import LOCATION, ORIGIN_LOCATION, Entity
from greenroom.plugin import CatalogProviders
from tests.bench.catalog import CONFIG, PROVIDER, _house, _until
from tests.bench.entities import HOST
from tests.bench.promises import told
from tests.support.asgi import Client

GROUP = "everybody"
STITCHED_SECONDS = 2.0
MEGABYTES = 300.0
PATIENCE = 60.0
REST = 15.0
"""Seconds after which the group, which rests after each stitch, may be stitched at once."""


class Figures(msgspec.Struct):
    """What was measured."""

    members: int
    served_seconds: float
    """From the provider's start until all users, and the group with all of them, are served."""
    cpu_seconds: float
    stitches: int
    """Of the group meanwhile."""
    stitched_seconds: float
    """The group once more, with all its members, from the ticket until it is served."""
    member_gone_seconds: float
    """From the commit by which a user is gone until the group is served without it."""
    document_bytes: int
    answered_seconds: float
    """Of a request for the group by name."""
    peak_megabytes: float
    """Of this process, with what the bench itself needs: some 10 MB."""

    def broken(self) -> list[str]:
        """The promises that do not hold."""
        checks = {
            f"{self.stitched_seconds:.1f} s until the group is stitched, promised {STITCHED_SECONDS:g}": (
                self.stitched_seconds <= STITCHED_SECONDS
            ),
            f"{self.peak_megabytes:.0f} MB, promised {MEGABYTES:.0f}": self.peak_megabytes <= MEGABYTES,
        }
        return [text for text, kept in checks.items() if not kept]


def people(members: int, *, gone: int | None = None) -> Iterator[Entity]:
    """The users, and then the group that names them; but for the one of that number."""
    numbers = [number for number in range(members) if number != gone]
    for number in numbers:
        name = f"user-{number}"
        profile = {"displayName": f"User {number}", "email": f"{name}@example.com"}
        yield _entity("User", name, {"profile": profile, "memberOf": [GROUP]})
    named = [f"user-{number}" for number in numbers]
    yield _entity("Group", GROUP, {"type": "all", "children": [], "members": named})


def _entity(kind: str, name: str, spec: dict[str, Any]) -> Entity:
    location = f"url:https://{HOST}/people/{name}"
    metadata = {"name": name, "annotations": {LOCATION: location, ORIGIN_LOCATION: location}}
    return {"apiVersion": "backstage.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


async def measure(members: int) -> Figures:
    """Load them, look at the group, let one user go."""
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-", dir="/var/tmp") as name:  # a disk, not memory
        folder = Path(name)
        folder.chmod(0o711)  # noqa: ASYNC240 - nobody waits; as root, Postgres runs as another user
        file = folder / "people.ndjson"
        _write(file, people(members))
        (folder / "config.yaml").write_text(CONFIG.format(host=HOST, path=file))
        async with _house(folder) as (house, database):
            cpu, began, memory = time.process_time(), time.perf_counter(), _Memory()
            stitches = await _until_stitched(database, members)
            served, cpu = time.perf_counter() - began, time.process_time() - cpu
            client = Client(house.asgi, token=None)
            answered = time.perf_counter()
            answer = await client.get(f"/api/catalog/entities/by-name/group/default/{GROUP}")
            answered = time.perf_counter() - answered
            stitched = await _stitch(database)
            _write(file, people(members, gone=7))
            await asyncio.sleep(REST)
            gone = await _until_gone(house, database, members)
            return Figures(
                members=members,
                served_seconds=round(served, 2),
                cpu_seconds=round(cpu, 2),
                stitches=stitches,
                stitched_seconds=round(stitched, 2),
                member_gone_seconds=round(gone, 2),
                document_bytes=len(answer.text),
                answered_seconds=round(answered, 3),
                peak_megabytes=round(memory.stop(), 1),
            )


def _write(file: Path, entities: Iterator[Entity]) -> None:
    with file.open("wb") as lines:
        for entity in entities:
            lines.write(msgspec.json.encode(entity) + b"\n")


class _Memory:
    """The most that this process has had resident."""

    def __init__(self) -> None:
        self._most = 0.0
        self._task = asyncio.create_task(self._watch())

    def stop(self) -> float:
        self._task.cancel()
        return self._most

    async def _watch(self) -> None:
        while True:
            status = Path("/proc/self/status").read_text()  # noqa: ASYNC240 - no disk is behind it
            self._most = max(self._most, int(status.partition("VmRSS:")[2].split()[0]) / 1024)
            await asyncio.sleep(0.05)


_SIZE = "select coalesce((select length(final_entity::text) from final_entities where entity_ref = $1), 0)"
_VERSION = "select coalesce((select xmin::text from final_entities where entity_ref = $1), '')"


async def _until_stitched(database: Database, members: int) -> int:
    """Until all are served, and nothing is to be stitched. Returns how many versions of the group there were."""
    versions: set[str] = set()

    async def done() -> bool:
        versions.add(await database.fetchval(_VERSION, f"group:default/{GROUP}"))
        row = await database.fetchrow(
            "select (select count(*) from final_entities), (select count(*) from stitch_queue),"
            " (select count(*) from refresh_schedule where next_update_at <= now())"
        )
        return row is not None and tuple(row) == (members + 1, 0, 0)

    await _until(done)
    versions.add(await database.fetchval(_VERSION, f"group:default/{GROUP}"))
    return len(versions - {""})


async def _stitch(database: Database) -> float:
    """Have the group stitched as if it had changed. Returns the seconds."""
    await asyncio.sleep(REST)
    ref = f"group:default/{GROUP}"
    await database.execute("update final_entities set hash = '' where entity_ref = $1", ref)
    began = time.perf_counter()
    await database.execute(
        "with ticket as (insert into stitch_queue (id) select id from refresh_state where entity_ref = $1 returning id)"
        " select pg_notify('greenroom', 'catalog.stitch ') from ticket",
        ref,
    )
    while not await database.fetchval("select length(hash) > 0 from final_entities where entity_ref = $1", ref):
        await asyncio.sleep(0.02)
    return time.perf_counter() - began


async def _until_gone(house: Running, database: Database, members: int) -> float:
    """Have the file without one user read. Returns the seconds from that commit to the group without it."""
    ref = f"group:default/{GROUP}"
    before = await database.fetchval(_SIZE, ref)
    await house.house.services.get(CatalogProviders, "bench").trigger(PROVIDER)
    removed = "select count(*) from refresh_state"
    while await database.fetchval(removed) > members:
        await asyncio.sleep(0.02)
    committed = time.perf_counter()

    async def without_it() -> bool:
        return bool(await database.fetchval(_SIZE, ref) < before - 30)

    while not await without_it():
        if time.perf_counter() - committed > PATIENCE:
            raise TimeoutError(f"the group was not served without it within {PATIENCE:.0f} s")
        await asyncio.sleep(0.02)
    return time.perf_counter() - committed


def report(figures: Figures) -> str:
    """For people."""
    rows = [
        (f"until {figures.members:,} users and their group are served", f"{figures.served_seconds:.1f} s"),
        ("  of it CPU of this process, Postgres apart", f"{figures.cpu_seconds:.1f} s"),
        ("  stitches of the group meanwhile", f"{figures.stitches}"),
        ("a stitch of the group", f"{figures.stitched_seconds:.2f} s"),
        ("from a user gone until the group is served without it", f"{figures.member_gone_seconds:.2f} s"),
        ("the group by name", f"{figures.answered_seconds:.3f} s, {figures.document_bytes:,} bytes"),
        ("memory of this process at most", f"{figures.peak_megabytes:.0f} MB"),
    ]
    return "\n".join(f"{name:<56}{value}" for name, value in rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and tell. Returns 1 when a promise does not hold."""
    return told(arguments, "tests.bench.group", __doc__, ("members", 50_000), measure, report)


if __name__ == "__main__":
    raise SystemExit(main())
