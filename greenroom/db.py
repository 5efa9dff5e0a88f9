"""The database as the parts see it: one pool of connections to Postgres, on which JSON columns come and go as bytes.

`json` and `jsonb` values are `bytes` both ways (a `str` parameter is encoded): what was stored is served without being
decoded. Nothing may change the session of a pooled connection (`SET`, `LISTEN`, session advisory locks): it is handed on
as it is, which saves a round trip per use, and a pooler in transaction mode would give it to somebody else anyway.
`SET LOCAL` and `pg_advisory_xact_lock` are fine. What needs a session of its own takes one from `Database.direct`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeVar

import asyncpg

from greenroom.errors import ConfigError, ServiceUnavailableError

log = logging.getLogger(__name__)

T = TypeVar("T")

Record = asyncpg.Record
"""One row: by position, by name, or unpacked."""

POOL_SIZE = 10
STATEMENTS = 256
"""Prepared statements kept per connection. Filters make queries of many shapes, hence more than asyncpg's 100."""
START_SECONDS = 60.0
"""How long a start waits for a database that is not there yet, as happens when both are started together."""
CONNECT_SECONDS = 10.0
CLOSE_SECONDS = 10.0

LOST = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)
"""What connecting or a query raises when it is the database that is away, and another attempt may succeed."""


class Connection(Protocol):
    """One session, as far as the parts may use it. The methods are asyncpg's, whose types are not checked."""

    async def fetch(self, query: str, *args: object) -> list[Record]:
        """All rows."""

    async def fetchrow(self, query: str, *args: object) -> Record | None:
        """The first row."""

    async def fetchval(self, query: str, *args: object) -> Any:
        """The first value of the first row, None without rows."""

    async def execute(self, query: str, *args: object) -> str:
        """The status, such as `UPDATE 3`. Without args, `query` may be several statements."""

    async def executemany(self, command: str, args: Iterable[Sequence[object]]) -> None:
        """The command once per sequence of args, all or nothing."""

    async def copy_records_to_table(
        self, table_name: str, *, records: Iterable[Sequence[object]], columns: Sequence[str] | None = None
    ) -> str:
        """The fastest way in. Answers the status, `COPY 500`."""

    def cursor(self, query: str, *args: object, prefetch: int | None = None) -> Any:
        """Rows one after another, inside a transaction: `async for row in connection.cursor(…)`."""

    def transaction(
        self, *, isolation: str | None = None, readonly: bool = False, deferrable: bool = False
    ) -> AbstractAsyncContextManager[object]:
        """A transaction, or a savepoint inside one."""


class DirectConnections:
    """Opens sessions that are ours alone, past any pooler: for LISTEN, session locks, and statements outside transactions."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self.arguments = dict(arguments)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        """A new asyncpg connection, closed at the end. Raises ServiceUnavailableError when the database is away."""
        connection = await self.connect()
        try:
            yield connection
        finally:
            await connection.close(timeout=CLOSE_SECONDS)

    async def connect(self) -> Any:
        """A new asyncpg connection; closing it is the caller's."""
        try:
            connection = await asyncpg.connect(**self.arguments)
            await prepare_connection(connection)
        except LOST as error:
            raise unavailable(error) from error
        return connection


class Database:
    """A pool of connections. `pooled`: a pooler such as PgBouncer stands between, so sessions are not ours.

    Every method raises ServiceUnavailableError when the database is away, and asyncpg's errors otherwise."""

    def __init__(self, pool: Any, *, direct: DirectConnections | None, pooled: bool = False) -> None:
        self.pool = pool
        self.direct = direct
        self.pooled = pooled

    async def fetch(self, query: str, *args: object) -> list[Record]:
        """All rows."""
        async with self.acquire() as connection:
            return await connection.fetch(query, *args)

    async def fetchrow(self, query: str, *args: object) -> Record | None:
        """The first row."""
        async with self.acquire() as connection:
            return await connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: object) -> Any:
        """The first value of the first row, None without rows."""
        async with self.acquire() as connection:
            return await connection.fetchval(query, *args)

    async def execute(self, query: str, *args: object) -> str:
        """The status, such as `UPDATE 3`. Without args, `query` may be several statements."""
        async with self.acquire() as connection:
            return await connection.execute(query, *args)

    async def executemany(self, command: str, args: Iterable[Sequence[object]]) -> None:
        """The command once per sequence of args, all or nothing."""
        async with self.acquire() as connection:
            await connection.executemany(command, args)

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        """A connection for some statements, each its own transaction."""
        try:
            connection = await self.pool.acquire()
        except LOST as error:
            raise unavailable(error) from error
        try:
            yield connection
        except (*LOST[1:], asyncpg.InterfaceError) as error:
            if isinstance(error, asyncpg.InterfaceError) and not connection.is_closed():
                raise
            raise unavailable(error) from error
        finally:
            await self.pool.release(connection)

    @asynccontextmanager
    async def transaction(self, *, isolation: str | None = None, readonly: bool = False) -> AsyncIterator[Connection]:
        """A connection inside one transaction, rolled back when the block raises. `isolation` as asyncpg: `repeatable_read`…"""
        async with self.acquire() as connection, connection.transaction(isolation=isolation, readonly=readonly):
            yield connection

    async def retrying(self, work: Callable[[Connection], Awaitable[T]], *, attempts: int = 5) -> T:
        """Do the work in a transaction, and again when that lost against another (deadlock, serialization failure)."""
        for attempt in range(1, attempts + 1):
            try:
                async with self.transaction() as connection:
                    return await work(connection)
            except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError):
                if attempt == attempts:
                    raise
                await asyncio.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 (spreads rivals, hides nothing)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def ping(self) -> None:
        """One round trip. Raises ServiceUnavailableError."""
        await self.fetchval("select 1")


def unavailable(error: BaseException) -> ServiceUnavailableError:
    """What the caller of a route is told when the database is away; the cause stays for the log."""
    return ServiceUnavailableError(f"The database is not available: {type(error).__name__}")


async def prepare_connection(connection: Any) -> None:
    """JSON as bytes. `jsonb` in binary form is a version byte, always 1, and then the text."""
    async with connection.transaction():  # behind a pooler, outside of one, each statement may see another session
        await connection.set_type_codec("json", schema="pg_catalog", format="binary", encoder=_as_bytes, decoder=bytes)
        await connection.set_type_codec(
            "jsonb",
            schema="pg_catalog",
            format="binary",
            encoder=lambda value: b"\x01" + _as_bytes(value),
            decoder=lambda value: bytes(value[1:]),
        )


def _as_bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value


@asynccontextmanager
async def open_pool(
    arguments: Mapping[str, Any],
    *,
    direct: Mapping[str, Any] | None = None,
    size: int = POOL_SIZE,
    patience: float = START_SECONDS,
) -> AsyncIterator[Database]:
    """A pool from arguments of `asyncpg.connect`, once the database answers; waits `patience` seconds for it.

    `direct` are those of a way past the pooler, where `arguments` lead to one. Raises ConfigError when the database
    refuses us, ServiceUnavailableError when it does not come up; neither ever holds the password."""
    wanted = {"timeout": CONNECT_SECONDS, **arguments}
    wanted["server_settings"] = {"application_name": "greenroom", **wanted.get("server_settings", {})}
    pooled = await _first_contact(wanted, patience) or direct is not None
    past = {**wanted, **direct} if direct is not None else wanted
    pool = await asyncpg.create_pool(
        **wanted,
        min_size=1,
        max_size=size,
        init=prepare_connection,
        reset=_leave_as_it_is,
        statement_cache_size=0 if pooled else STATEMENTS,
    )
    try:
        yield Database(
            pool, direct=DirectConnections(past) if direct is not None or not pooled else None, pooled=pooled
        )
    finally:
        await _close(pool)


async def _leave_as_it_is(connection: Any) -> None:
    """In place of asyncpg's reset query, which costs as much as a small query (an open transaction is ended all the same)."""


async def _close(pool: Any) -> None:
    try:
        await asyncio.wait_for(pool.close(), CLOSE_SECONDS)
    except TimeoutError:
        log.warning("database connections were still in use at the end, and are cut")
        pool.terminate()


async def _first_contact(arguments: Mapping[str, Any], patience: float) -> bool:
    """Wait for the database, and see whether a pooler answers in its place."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    rest = 0.1
    while True:
        try:
            return await _look(arguments)
        except LOST as error:
            if loop.time() + rest > deadline:
                text = f"The database {place(arguments)} does not answer: {error or type(error).__name__}"
                raise ServiceUnavailableError(text) from error
            log.warning(
                "the database %s does not answer yet (%s), next attempt in %.1f s", place(arguments), error, rest
            )
        except asyncpg.InvalidCatalogNameError:
            await _create_database(arguments)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            hint = "see backend.database.connection"
            raise ConfigError("backend.database", f"{place(arguments)} refuses us: {error}", hint=hint) from error
        await asyncio.sleep(rest)
        rest = min(rest * 2, 5.0)


async def _look(arguments: Mapping[str, Any]) -> bool:
    """A pooler makes up a process id of its own (its key for cancelling), Postgres tells the true one."""
    connection = await asyncpg.connect(**arguments, statement_cache_size=0)
    try:
        row = await connection.fetchrow(
            "select pg_backend_pid() as pid, current_setting('server_encoding') as encoding"
        )
        if row["encoding"] != "UTF8":
            raise ConfigError(
                "backend.database",
                f"{place(arguments)} stores text as {row['encoding']}",
                hint="create it with encoding 'UTF8'",
            )
        return bool(row["pid"] != connection.get_server_pid())
    finally:
        await connection.close(timeout=CLOSE_SECONDS)


async def _create_database(arguments: Mapping[str, Any]) -> None:
    """As upstream does (`ensureExists`), so that a stock Postgres image needs no preparation."""
    name = str(arguments["database"])
    try:
        connection = await asyncpg.connect(**{**arguments, "database": "postgres"}, statement_cache_size=0)
        try:
            await connection.execute('create database "{}"'.format(name.replace('"', '""')))
        finally:
            await connection.close(timeout=CLOSE_SECONDS)
    except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
        pass  # another process was faster
    except asyncpg.PostgresError as error:
        hint = f"create it: create database {name} encoding 'UTF8'"
        raise ConfigError(
            "backend.database", f"{place(arguments)} does not exist and cannot be created: {error}", hint=hint
        ) from error


def place(arguments: Mapping[str, Any]) -> str:
    """`catalog at db.example.net:5432`, for messages: never the user or the password."""
    host, port = arguments.get("host", "the default host"), arguments.get("port", 5432)
    return f"{arguments.get('database', 'the default database')} at {host}:{port}"
