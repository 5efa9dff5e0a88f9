"""Providers that throw, hang, flood, or have nothing any more: they harm nobody else, and not what they brought before."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from tests.bench.wire import Ask, Connection
from tests.faults.unruly.unruly import DEEDS, HELD
from tests.faults.world import Scale, World, long, world
from tests.support.installed import pretend_installed
from tests.support.postgres import TestServer

PATIENCE = 60.0
BLOCKS_BRIEFLY = """
from greenroom_catalog.ingestion import runner
runner.BLOCKED = 1.0
"""
WORDS = {
    "throws": "the source ended in the middle",
    "hangs": "was not done within",
    "blocks": "",
    "floods": "more than 1000 entities",
    "empties": "Refused to remove",
}
"""What an operator reads in the run's error."""
OPTIONS: dict[str, Any] = {
    "providerOptions": {
        "unruly-hangs": {"timeout": {"seconds": 1}},
        "unruly-floods": {"maxEntities": 1000},
    }
}


@long
async def test_providers_that_do_what_they_should_not_keep_what_they_brought_and_hinder_no_other(
    postgres_server: TestServer, folder: Path, scale: Scale
) -> None:
    config = folder / "unruly.yaml"
    config.write_text(f"unruly: [{', '.join(DEEDS)}]\n")
    async with world(postgres_server, folder, scale._replace(entities=300), **OPTIONS) as place:
        place.fleet.before = BLOCKS_BRIEFLY
        path = [
            pretend_installed(folder / "installed", {"unruly": "unruly:unruly"}, "unruly"),
            Path(__file__).parent / "unruly",
        ]
        place.fleet.environ["PYTHONPATH"] = os.pathsep.join([*map(str, path), os.environ.get("PYTHONPATH", "")])
        for name, role in (("api", "serve"), ("worker", "worker")):
            place.fleet.start(name, role, "--config", str(config))
        await place.fleet.ready("api")
        await place.settled()
        for deed in DEEDS:
            await _until_told(place, deed)
        for _ in range(3):
            await place.change(scale.changed, 5, 5)
            await place.settled()
        assert await _held(place) == dict.fromkeys(sorted(DEEDS), HELD)
        rows = await _rows(place, "SELECT entity_ref FROM final_entities WHERE entity_ref NOT LIKE '%unruly-%'")
        assert {row["entity_ref"] for row in rows} == place.churn.entities.keys()


async def _until_told(place: World, deed: str) -> None:
    door = Connection(place.fleet.port("api"))
    ask = Ask(f"/api/greenroom/catalog/providers/unruly-{deed}/runs")
    runs: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                runs = (await door.ask(ask)).json()["items"]
                if any(run["error"] and WORDS[deed] in run["error"] for run in runs):
                    return
                await asyncio.sleep(0.3)
    except TimeoutError as error:
        raise AssertionError(f"{deed}: {[run['error'] for run in runs]}") from error
    finally:
        door.close()


async def _held(place: World) -> dict[str, int]:
    rows = await _rows(
        place,
        "SELECT replace(source_key, 'unruly-', '') AS deed, count(*) AS number FROM refresh_state_references "
        "WHERE source_key LIKE 'unruly-%' GROUP BY 1 ORDER BY 1",
    )
    return {row["deed"]: row["number"] for row in rows}


async def _rows(place: World, sql: str) -> list[Any]:
    connection = await place.fleet.look()
    try:
        return list(await connection.fetch(sql))
    finally:
        await connection.close()
