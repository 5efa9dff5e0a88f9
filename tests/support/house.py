"""Greenroom as it is installed, in this process, on an empty database and at an address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from greenroom.app import Running, running
from greenroom.db import Database, open_pool
from greenroom.settings import load
from greenroom.web import bind, serve
from tests.support.postgres import TestServer


class Opened(NamedTuple):
    """A running Greenroom."""

    address: str
    house: Running
    database: Database


@asynccontextmanager
async def at_an_address(
    postgres: TestServer, folder: Path, config: Callable[[str], str], port: int = 0
) -> AsyncIterator[Opened]:
    """`config` is given the address and makes the text of `app-config.yaml`. Port 0 is a free one."""
    with bind("127.0.0.1", port) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        layer = folder / "app-config.yaml"
        layer.write_text(config(address))
        environ = {"GREENROOM_DATA": str(folder / "data")}
        async with (
            postgres.empty() as name,
            open_pool(postgres.to(name), size=5) as database,
            running(load([layer], {}), environ, database=database) as house,
        ):
            stop = asyncio.Event()
            server = asyncio.create_task(serve(house.asgi, listening, house.asgi.state, stop=stop))
            try:
                yield Opened(address, house, database)
            finally:
                stop.set()
                await server
