"""Greenroom in this process for one data set: composed from the same config layer, fed the same seed, on a port of its own."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec

from greenroom.app import Running, running
from greenroom.db import Database
from greenroom.settings import AppConfig, load
from greenroom.web import bind, serve
from tests.conformance.client import Run, copied_files, serving, variables
from tests.conformance.compare import Outcome
from tests.conformance.script import HERE, Script, fill

QUIET_ROUNDS, ROUND_SECONDS, PATIENCE_SECONDS = 6, 0.05, 240.0

PROGRESS = """
select (select md5(string_agg(s::text, ',' order by id)) from refresh_state s) as known,
       (select md5(string_agg(s::text, ',' order by id)) from refresh_schedule s) as scheduled,
       (select md5(string_agg(f::text, ',' order by id)) from final_entities f) as served
"""


async def ask_greenroom(script: Script, database: Database) -> list[Outcome]:
    """Start Greenroom on an empty database with the data set, and run the whole script against it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = copied_files(script, folder)
        async with serving(root) as files, aiohttp.ClientSession() as session:
            with bind("127.0.0.1", 0) as listening:
                known = variables(script, files, root, f"http://127.0.0.1:{listening.getsockname()[1]}")
                config = _config(script, folder, known)
                environ = {"GREENROOM_DATA": str(folder / "data")}
                async with running(config, environ, database=database) as house:
                    stop = asyncio.Event()
                    server = asyncio.create_task(serve(house.asgi, listening, house.asgi.state, stop=stop))
                    try:
                        await settle(house, database)
                        quiet = lambda: settle(house, database)  # noqa: E731
                        return await Run(script, known, session=session, settle=quiet).outcomes()
                    finally:
                        stop.set()
                        await server


def _config(script: Script, folder: Path, known: dict[str, str]) -> AppConfig:
    """The common layer, the data set's, and the provider of the seed."""
    layers = {"base.yaml": (HERE / "base.yaml").read_text(), "config.yaml": script.config}
    for name, text in layers.items():
        (folder / name).write_text(fill(text, known))
    seed = {"catalog": {"providers": {"ndjson": {"seed": {"path": str(script.entities)}}}}} if script.entities else {}
    (folder / "seed.yaml").write_bytes(msgspec.yaml.encode(seed))
    return load([folder / name for name in (*layers, "seed.yaml")], {})


async def settle(house: Running, database: Database) -> None:
    """Wait until every provider has run, nothing is due, under way or waits for a stitch, and the tables stopped changing.

    Raises AssertionError, with what is still waited for, when that takes too long."""
    quiet, before = 0, None
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while quiet < QUIET_ROUNDS:
        facts, now = (await house.house.status())["Catalog"], await database.fetchrow(PROGRESS)
        ran = all(run["last run"] != "never" and not run["running"] for run in facts["providers"])
        busy = any(beat.busy for beat in house.loops.beats())  # what is claimed waits no more, and is not done yet
        resting = ran and not busy and not facts["waiting to be processed"] and not facts["waiting to be stitched"]
        quiet = quiet + 1 if resting and now == before else 0
        before = now
        assert asyncio.get_running_loop().time() < deadline, f"Greenroom did not come to rest: {facts}"
        await asyncio.sleep(ROUND_SECONDS)


@asynccontextmanager
async def fresh_database() -> AsyncIterator[Database]:
    """An empty database of the tests' own server, for use outside pytest."""
    from greenroom.db import open_pool
    from greenroom.embedded import embedded_postgres
    from tests.support.postgres import UNSAFE, TestServer, open_folder

    with open_folder() as folder:
        async with embedded_postgres(folder, UNSAFE) as server:
            tests = TestServer(server.dsn)
            async with tests.empty() as name, open_pool(tests.to(name), size=5) as database:
                yield database
