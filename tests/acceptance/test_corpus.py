"""Real descriptors of public repositories: a dry run of each comes to what the running upstream said of it.

The corpus is no part of this repository. Its `verdicts.jsonl` holds, for each file, what upstream answered to
`POST /locations?dryRun=true` with the folder served at RECORDED_AT: the entities, or the error.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from greenroom.app import running
from greenroom.db import Database
from greenroom.settings import load
from greenroom.web import bind, serve
from tests.conformance.client import serving
from tests.conformance.script import HERE, TOKEN

SHARED = Path(os.environ.get("GREENROOM_SHARED") or Path(__file__).parents[3] / "shared")
CORPUS = SHARED / "corpus"
VERDICTS = CORPUS / "verdicts.jsonl"
RECORDED_AT = "http://127.0.0.1:8901"
AT_ONCE = 4

UNREACHABLE = "failed, reason: getaddrinfo"
"""Upstream's words for a host that its machine could not reach. What follows is not the catalog's to say."""

pytestmark = pytest.mark.skipif(
    not VERDICTS.exists(), reason="the corpus is not here (shared/corpus, or GREENROOM_SHARED)"
)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of other machines are not found, as on the machine where the verdicts were taken."""
    found = socket.getaddrinfo

    def only_here(host: Any, *arguments: Any, **named: Any) -> Any:
        if host in (None, "127.0.0.1", "localhost"):
            return found(host, *arguments, **named)
        raise socket.gaierror(socket.EAI_NONAME, f"no names are looked up here: {host}")

    monkeypatch.setattr(socket, "getaddrinfo", only_here)


@asynccontextmanager
async def greenroom(database: Database, folder: Path) -> AsyncIterator[str]:
    """The base URL of a Greenroom that is configured as upstream was."""
    with bind("127.0.0.1", 0) as listening:
        base = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = folder / "app-config.yaml"
        config.write_text((HERE / "base.yaml").read_text().replace("${self}", base))
        async with running(load([config], {}), {"GREENROOM_DATA": str(folder / "data")}, database=database) as house:
            stop = asyncio.Event()
            server = asyncio.create_task(serve(house.asgi, listening, house.asgi.state, stop=stop))
            try:
                yield base
            finally:
                stop.set()
                await server


async def dry_run(session: aiohttp.ClientSession, base: str, target: str) -> dict[str, Any]:
    """The answer in the form of the verdicts."""
    address = URL(f"{base}/api/catalog/locations?dryRun=true")
    async with session.post(
        address, json={"type": "url", "target": target}, headers={"authorization": f"Bearer {TOKEN}"}
    ) as response:
        answer = await response.json()
    if response.status != 201:
        return {"status": response.status, "error": answer["error"]}
    return {"status": 201, "entities": answer["entities"], "exists": answer["exists"]}


def as_recorded(answer: dict[str, Any], target: str, files: str) -> dict[str, Any]:
    """The same answer, had the files been served at RECORDED_AT."""
    recorded = target.replace(files, RECORDED_AT)
    text = json.dumps(answer).replace(files, RECORDED_AT).replace(files.removeprefix("http://"), RECORDED_AT[7:])
    moved: dict[str, Any] = json.loads(text.replace(generated(target), generated(recorded)))
    if "entities" in moved:
        moved["entities"] = in_order(moved["entities"])
    return moved


def generated(target: str) -> str:
    return hashlib.sha1(f"url:{target}".encode(), usedforsecurity=False).hexdigest()


def in_order(entities: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(entities, key=lambda entity: json.dumps(entity, sort_keys=True))


def difference(verdict: Mapping[str, Any], answer: Mapping[str, Any]) -> str | None:
    """The first thing that differs, in a line."""
    if verdict["status"] != answer["status"]:
        return f"status {verdict['status']}, answered {answer['status']}: {answer.get('error') or verdict.get('error')}"
    if "error" in verdict:
        return _error_difference(verdict["error"], answer["error"])
    wanted, found = in_order(verdict["entities"]), answer["entities"]
    if wanted == found and verdict["exists"] == answer["exists"]:
        return None
    lacking = [entity for entity in wanted if entity not in found]
    surplus = [entity for entity in found if entity not in wanted]
    return f"entities {json.dumps(lacking)[:600]}, answered {json.dumps(surplus)[:600]}"


def _error_difference(wanted: Mapping[str, str], found: Mapping[str, str]) -> str | None:
    one, other = wanted["message"], found["message"]
    if UNREACHABLE in one:
        one, other = (re.split("[,;]", text, maxsplit=1)[0] for text in (one, other))
    if (wanted["name"], one) == (found["name"], other):
        return None
    return f"{wanted['name']}: {one!r}, answered {found['name']}: {other!r}"


async def test_every_descriptor_of_the_corpus_gets_upstreams_verdict(
    database: Database, tmp_path: Path, no_network: None
) -> None:
    verdicts = [json.loads(line) for line in VERDICTS.read_text().splitlines()]
    limit = asyncio.Semaphore(AT_ONCE)
    async with serving(CORPUS) as files, greenroom(database, tmp_path) as base, aiohttp.ClientSession() as session:

        async def judged(verdict: Mapping[str, Any]) -> str | None:
            target = f"{files}/{quote(verdict['path'])}"
            async with limit:
                return difference(verdict, as_recorded(await dry_run(session, base, target), target, files))

        found = await asyncio.gather(*(judged(verdict) for verdict in verdicts))
    differing = [f"{verdict['path']}: {line}" for verdict, line in zip(verdicts, found, strict=True) if line]
    assert verdicts
    assert differing == [], "\n".join([f"{len(differing)} of {len(verdicts)} differ", *differing])
