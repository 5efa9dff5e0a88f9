"""A real Postgres for every test: `TEST_DATABASE_URL`, else testcontainers if an engine answers, else the embedded one."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from greenroom.db import Database, open_pool
from greenroom.embedded import embedded_postgres
from greenroom.migrate import migrate, read_migrations
from greenroom.plugin import Migrations

UNSAFE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "autovacuum": "off",
}
"""Nothing of a test's data needs to outlive the machine, and nobody else tidies up in it, or counts its rows, at odd moments."""

ROOM = 2 * 1024**3

MigratedDatabase = Callable[[Sequence[Migrations]], Awaitable[Database]]


class TestServer:
    """A server on which databases are made from templates, some milliseconds each."""

    __test__ = False

    def __init__(self, arguments: dict[str, Any], strategy: str = "") -> None:
        """`strategy` is how databases are copied: `file_copy` is the fastest where nothing waits for a disk."""
        self.strategy = f"strategy {strategy}" if strategy else ""
        self.arguments = arguments
        self.prefix = f"test_{os.getpid()}"
        self.numbers = itertools.count(1)
        self.templates: dict[str, str] = {}

    def to(self, database: str) -> dict[str, Any]:
        """Arguments of `asyncpg.connect` for a database of this server."""
        return {**self.arguments, "database": database}

    async def command(self, sql: str) -> None:
        """One statement that cannot run inside a transaction."""
        connection = await asyncpg.connect(**self.arguments)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    @contextlib.asynccontextmanager
    async def empty(self, template: str = "template0") -> AsyncIterator[str]:
        """The name of a fresh database, dropped at the end with whatever is still connected to it."""
        name = f"{self.prefix}_{next(self.numbers)}"
        await self.command(f"create database {name} template {template} {self.strategy}")
        try:
            yield name
        finally:
            await self.command(f"drop database {name} with (force)")

    async def template(self, migrations: Sequence[Migrations]) -> str:
        """The name of a database with these migrations applied, made once."""
        files = read_migrations(migrations)
        key = hashlib.sha256("".join(file.label + file.checksum for file in files).encode()).hexdigest()
        if key not in self.templates:
            name = f"{self.prefix}_template_{len(self.templates) + 1}"
            await self.command(f"create database {name} template template0 {self.strategy}")
            async with open_pool(self.to(name), size=2) as database:
                await migrate(database, migrations)
            self.templates[key] = name
        return self.templates[key]


@pytest.fixture(scope="session")
async def postgres_server() -> AsyncIterator[TestServer]:
    """The one server of this test run."""
    async with contextlib.AsyncExitStack() as stack:
        server = await _found(stack)
        yield server
        for template in server.templates.values():
            await server.command(f"drop database if exists {template} with (force)")


@pytest.fixture(scope="session")
def database_url(postgres_server: TestServer) -> dict[str, Any]:
    """Arguments of `asyncpg.connect` for the server, to a database that no test may write to."""
    return postgres_server.arguments


@pytest.fixture
async def database(postgres_server: TestServer) -> AsyncIterator[Database]:
    """A fresh, empty database."""
    async with postgres_server.empty() as name, open_pool(postgres_server.to(name), size=5) as opened:
        yield opened


@pytest.fixture
async def migrated_database(postgres_server: TestServer) -> AsyncIterator[MigratedDatabase]:
    """`await migrated_database([Migrations("catalog", folder)])`: a fresh database with these migrations applied."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(migrations: Sequence[Migrations]) -> Database:
            name = await stack.enter_async_context(postgres_server.empty(await postgres_server.template(migrations)))
            return await stack.enter_async_context(open_pool(postgres_server.to(name), size=5))

        yield make


async def _found(stack: contextlib.AsyncExitStack) -> TestServer:
    if url := os.environ.get("TEST_DATABASE_URL"):
        return TestServer({"dsn": url})
    if (container := _container()) is not None:
        stack.callback(container.stop)
        host, port = container.get_container_host_ip(), int(container.get_exposed_port(5432))
        return TestServer({"host": host, "port": port, "user": "test", "password": "test", "database": "test"})
    server = await stack.enter_async_context(embedded_postgres(stack.enter_context(open_folder()), UNSAFE))
    return TestServer(server.dsn, "file_copy")


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that others may enter, as Postgres must when the tests run as root (pytest's own are closed)."""
    with tempfile.TemporaryDirectory(prefix="greenroom-test-", dir=_memory()) as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


def _memory() -> str | None:
    """A folder in memory, where a database is made in a tenth of the time; None where there is none, or little room."""
    with contextlib.suppress(OSError):
        if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > ROOM:
            return "/dev/shm"
    return None


def _container() -> Any:
    """A started container, None without testcontainers or an engine that answers."""
    try:
        docker = importlib.import_module("docker")
        containers = importlib.import_module("testcontainers.postgres")
    except ImportError:
        return None
    try:
        docker.from_env().ping()
    except docker.errors.DockerException:
        return None
    return containers.PostgresContainer("postgres:18", username="test", password="test", dbname="test").start()
