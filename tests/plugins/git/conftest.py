"""Fixtures of the git plugin's tests: real repositories, a real database, and a provider over both."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from greenroom.db import Database
from greenroom.testing import RecordingSource
from greenroom.urls import Integrations, Urls
from greenroom_plugins.git.command import Git
from greenroom_plugins.git.provider import GitProvider
from greenroom_plugins.git.reader import GitReader
from greenroom_plugins.git.settings import GitConfig
from greenroom_plugins.git.state import MIGRATIONS, Repositories
from tests.plugins.git.repositories import ENVIRON, Remote
from tests.support.postgres import MigratedDatabase


class World:
    """One provider with all it needs. A second one over the same database is a second process."""

    def __init__(self, database: Database, cache: Path, config: GitConfig, integrations: Integrations) -> None:
        self.database = database
        self.cache = cache
        self.repositories = Repositories(database)
        self.git = Git(cache, ENVIRON)
        self.source = RecordingSource()
        self.provider = GitProvider(
            "test",
            config,
            repositories=self.repositories,
            git=self.git,
            cache=cache,
            integrations=integrations,
            log=logging.getLogger("greenroom.git"),
        )
        self.reader = GitReader({self.provider.name: self.provider}, self.repositories, integrations)
        self.urls = Urls([self.reader], integrations)

    async def run(self) -> RecordingSource:
        """Look at every repository now, whether or not it is due."""
        await self.database.execute("update git_repository set due_at = now()")
        self.source.forget_calls()
        await self.provider.run(self.source)
        return self.source


MakeWorld = Callable[..., World]


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    """An empty repository, `app.git`."""
    return Remote(tmp_path / "remotes" / "app.git")


@pytest.fixture
async def git_database(migrated_database: MigratedDatabase) -> Database:
    return await migrated_database([MIGRATIONS])


@pytest.fixture
def world(git_database: Database, tmp_path: Path) -> MakeWorld:
    """`world(repositories=[…], paths=[…])`: a provider with that config; `cache=` gives it another data folder."""

    def make(*, cache: str = "cache", integrations: dict[str, Any] | None = None, **config: Any) -> World:
        read = msgspec.convert(config, GitConfig, dec_hook=lambda into, value: into.from_shorthand(value))
        return World(git_database, tmp_path / cache, read, Integrations.from_config(integrations))

    return make
