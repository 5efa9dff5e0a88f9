"""config -> the house in this very process, without a database: for what needs the plugins, and nothing that is kept."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

from greenroom.app import House, opened
from greenroom.cli.configuration import load_config
from greenroom.db import Database
from greenroom.errors import ServiceUnavailableError


class _NoPool:
    """Stands where connections would come from."""

    async def acquire(self) -> NoReturn:
        """Raises ServiceUnavailableError."""
        raise ServiceUnavailableError("There is no database here: this was asked of the command line, not of a server")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


@asynccontextmanager
async def without_database(layers: Sequence[Path] = ()) -> AsyncIterator[House]:
    """All plugins, built and not started; what they keep is gone with the block. Raises ConfigError."""
    config = load_config(layers, environ=os.environ)
    with TemporaryDirectory(prefix="greenroom-") as folder, _quietly():
        database = Database(_NoPool(), direct=None)  # type: ignore[arg-type]
        async with opened(config, {**os.environ, "GREENROOM_DATA": folder}, database=database) as house:
            yield house


@contextmanager
def _quietly() -> Iterator[None]:
    """A house warns of what matters to a server."""
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
