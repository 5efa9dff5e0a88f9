"""Real descriptors of public repositories, ingested for real on both sides: all that comes of them is compared.

    python -m tests.conformance.corpus

Those that upstream accepts are registered; those that it refuses come as Location entities, whose status then says why. What
claims the same entity is never registered at the same time, since it is chance who comes first.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from greenroom.entity import LOCATION, ORIGIN_LOCATION, Entity, ref_of
from greenroom.errors import GreenroomError
from greenroom_catalog.ingestion.parser import Parsed, parse
from greenroom_catalog.model import validate_envelope
from tests.conformance.client import serving
from tests.conformance.compare import Outcome, differences
from tests.conformance.fuzz.sides import Side, asking, feed, rest, started_greenroom, started_upstream
from tests.conformance.fuzz.world import EVERYTHING, by_name
from tests.conformance.oracle import shared_folder
from tests.conformance.script import Request
from tests.conformance.server import fresh_database

AT_ONCE = 4
LOCATIONS = Request(name="the registered locations", get="/locations", order="any")


OUT_OF_REACH = re.compile(
    r"(?:FetchError: )?request to \S+ failed, reason: getaddrinfo \w+ [\w.-]+"
    r'|(?:Error: )?Unable to read \S+, Cannot connect to host [^"]*'
)
"""What either side says of a host that has no address here."""


def corpus() -> Path:
    return shared_folder() / "corpus"


def waves(claims: Mapping[str, set[str]]) -> list[list[str]]:
    """Paths, and the refs that each claims -> groups of paths that claim nothing twice."""
    found: list[tuple[set[str], list[str]]] = []
    for path, refs in claims.items():
        for claimed, paths in found:
            if not claimed & refs:
                claimed.update(refs)
                paths.append(path)
                break
        else:
            found.append((set(refs), [path]))
    return [paths for _, paths in found]


def claimed(verdict: Any) -> set[str]:
    """What a descriptor brings: as the verdict has it, or of one that was refused, what stands in the file itself."""
    if "entities" in verdict:
        return {ref_of(entity) for entity in verdict["entities"]}
    return set(_refs(corpus() / verdict["path"]))


def _refs(path: Path) -> Iterator[str]:
    for document in parse(path.read_bytes()):
        if isinstance(document, Parsed):
            with suppress(GreenroomError):
                yield ref_of(validate_envelope(document.value))


def registration(target: str) -> Request:
    return Request(post="/locations", json={"type": "url", "target": target}, order="any")


def location(target: str) -> Entity:
    """A Location entity as a provider would feed it."""
    name = f"refused-{hashlib.sha256(target.encode()).hexdigest()[:20]}"
    marks = dict.fromkeys((LOCATION, ORIGIN_LOCATION), f"url:{target}")
    metadata = {"name": name, "annotations": marks}
    spec = {"type": "url", "target": target}
    return {"apiVersion": "backstage.io/v1alpha1", "kind": "Location", "metadata": metadata, "spec": spec}


async def outcomes(sides: Sequence[Side], request: Request) -> list[Outcome]:
    """What each answers. The words about hosts that have no address are the machine's."""
    found = await asyncio.gather(*(side.run.outcome(request) for side in sides))
    for outcome in found:
        text = msgspec.json.encode(outcome.answer.body).decode()
        outcome.answer.body = msgspec.json.decode(OUT_OF_REACH.sub("a host out of reach", text))
    return list(found)


async def asked(sides: Sequence[Side], request: Request) -> list[str]:
    """What differs between the answers."""
    theirs, ours = await outcomes(sides, request)
    return [f"{request.name}: {line}" for line in differences(theirs, ours, request.order)]


async def registered(sides: Sequence[Side], targets: Iterable[str]) -> list[str]:
    """Register all on both sides, and wait. Returns what differs in the answers."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(target: str) -> list[str]:
        async with gate:
            return await asked(sides, registration(target))

    lines = [line for some in await asyncio.gather(*map(one, targets)) for line in some]
    await asyncio.gather(*(side.settle() for side in sides))
    return lines


async def compared(sides: Sequence[Side]) -> list[str]:
    """What differs in all that is served and waits."""
    found = await asked(sides, LOCATIONS)
    for request in EVERYTHING:
        theirs, ours = await outcomes(sides, request)
        for name, lines in by_name(theirs, ours).items():
            found += [f"{request.name}, {name}: {line}" for line in lines]
    return found


@asynccontextmanager
async def both() -> AsyncIterator[tuple[list[Side], str]]:
    """Upstream and Greenroom, empty, and where the corpus is served to them."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        files = await stack.enter_async_context(serving(corpus()))
        connections = aiohttp.TCPConnector(keepalive_timeout=2.0)  # shorter than servers keep them
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connections))
        ask = asking(session, files, corpus())
        database = await stack.enter_async_context(fresh_database())
        ours = await stack.enter_async_context(started_greenroom(folder, database, ask))
        theirs = await stack.enter_async_context(started_upstream(session, ask))
        yield [theirs, ours], files


async def ingested(verdicts: Sequence[Any]) -> list[str]:
    """Feed the whole corpus to both. Returns what differs."""
    async with both() as (sides, files):
        found: list[str] = []
        accepted = {verdict["path"]: claimed(verdict) for verdict in verdicts if verdict["status"] == 201}
        for paths in waves(accepted):
            found += await registered(sides, [f"{files}/{quote(path)}" for path in paths])
        found += await compared(sides)
        refused = {verdict["path"]: claimed(verdict) for verdict in verdicts if verdict["status"] != 201}
        for paths in waves(refused):
            await feed(sides, [location(f"{files}/{quote(path)}") for path in paths], [])
            await rest(sides)
        return [*found, *(f"with those refused: {line}" for line in await compared(sides))]


def main() -> int:
    path = corpus() / "verdicts.jsonl"
    if not path.exists():
        sys.stdout.write(f"corpus: skipped, {path} is not here\n")
        return 0
    verdicts = [json.loads(line) for line in path.read_text().splitlines()]
    found = asyncio.run(ingested(verdicts))
    sys.stdout.writelines(
        f"{line}\n" for line in [f"corpus: {len(verdicts)} descriptors, {len(found)} differences", *found]
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
