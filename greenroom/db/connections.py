"""What a part does with the database: statements on a pooled connection, in a transaction, or on a session of its own."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeVar

import asyncpg

from greenroom.db.pool import Pool, is_gone
from greenroom.errors import ServiceUnavailableError

T = TypeVar("T")

CLOSE_SECONDS = 10.0
SILENCE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}
"""Seconds, seconds, times, milliseconds."""

LOST = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InternalClientError,  # the session was ended by an administrator, and the end of the stream is yet to come
    asyncpg.ReadOnlySQLTransactionError,  # a standby, be it that it was the primary when the session began
)
"""What connecting or a query raises when it is the database that is away, and another attempt may succeed."""


class Record(Protocol):
    """One row: by position, by name, or unpacked."""

    def __getitem__(self, key: str | int) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...
    def get(self, key: str, default: Any = None) -> Any: ...
    def keys(self) -> Iterable[str]: ...
    def values(self) -> Iterable[Any]: ...
    def items(self) -> Iterable[tuple[str, Any]]: ...


class Connection(Protocol):
    """One session, as far as the parts may use it. The methods are asyncpg's, whose types are not checked."""

    async def fetch(self, query: str, *args: object) -> list[Record]:
        """All rows."""
        ...

    async def fetchrow(self, query: str, *args: object) -> Record | None:
        """The first row."""
        ...

    async def fetchval(self, query: str, *args: object) -> Any:
        """The first value of the first row, None without rows."""
        ...

    async def execute(self, query: str, *args: object) -> str:
        """The status, such as `UPDATE 3`. Without args, `query` may be several statements."""
        ...

    async def executemany(self, command: str, args: Iterable[Sequence[object]]) -> None:
        """The command once per sequence of args, all or nothing."""
        ...

    async def copy_records_to_table(
        self, table_name: str, *, records: Iterable[Sequence[object]], columns: Sequence[str] | None = None
    ) -> str:
        """The fastest way in. Answers the status, `COPY 500`."""
        ...

    def cursor(self, query: str, *args: object, prefetch: int | None = None) -> Any:
        """Rows one after another, inside a transaction: `async for row in connection.cursor(…)`."""
        ...

    def transaction(
        self, *, isolation: str | None = None, readonly: bool = False, deferrable: bool = False
    ) -> AbstractAsyncContextManager[object]:
        """A transaction, or a savepoint inside one."""
        ...


class DirectConnections:
    """Opens sessions that are ours alone, past any pooler: for LISTEN, session locks, statements outside transactions."""

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
            try:
                await prepare_connection(connection)
            except BaseException:
                connection.terminate()
                raise
        except LOST as error:
            raise unavailable(error) from error
        return connection


class Database:
    """A pool of connections. `pooled`: a pooler such as PgBouncer stands between, so sessions are not ours.

    Every method raises ServiceUnavailableError when the database is away, and asyncpg's errors otherwise."""

    def __init__(
        self, pool: Pool, *, direct: DirectConnections | None, pooled: bool = False, seconds: float | None = None
    ) -> None:
        """`seconds`: see `within`."""
        self.pool = pool
        self.direct = direct
        self.pooled = pooled
        self._seconds = seconds

    async def fetch(self, query: str, *args: object) -> list[Record]:
        """All rows."""
        async with _Lent(self.pool, self._seconds) as connection:
            rows: list[Record] = await connection.fetch(query, *args, timeout=self._seconds)
            return rows

    async def fetchrow(self, query: str, *args: object) -> Record | None:
        """The first row."""
        async with _Lent(self.pool, self._seconds) as connection:
            row: Record | None = await connection.fetchrow(query, *args, timeout=self._seconds)
            return row

    async def fetchval(self, query: str, *args: object) -> Any:
        """The first value of the first row, None without rows."""
        async with _Lent(self.pool, self._seconds) as connection:
            return await connection.fetchval(query, *args, timeout=self._seconds)

    async def execute(self, query: str, *args: object) -> str:
        """The status, such as `UPDATE 3`. Without args, `query` may be several statements."""
        async with _Lent(self.pool, self._seconds) as connection:
            status: str = await connection.execute(query, *args, timeout=self._seconds)
            return status

    async def executemany(self, command: str, args: Iterable[Sequence[object]]) -> None:
        """The command once per sequence of args, all or nothing."""
        async with self.acquire() as connection:
            await connection.executemany(command, args)

    def within(self, seconds: float) -> Database:
        """The same, for questions that somebody waits for: `fetch`, `fetchrow`, `fetchval` and `execute` are cancelled in the
        server after so long, and raise ServiceUnavailableError. (A timer here costs a request 3 µs, a setting of the session
        would cost a round trip.)"""
        return Database(self.pool, direct=self.direct, pooled=self.pooled, seconds=seconds)

    def acquire(self) -> AbstractAsyncContextManager[Connection]:
        """A connection for some statements, each its own transaction."""
        return _Lent(self.pool)

    @asynccontextmanager
    async def transaction(self, *, isolation: str | None = None, readonly: bool = False) -> AsyncIterator[Connection]:
        """A connection inside one transaction, rolled back when the block raises. `isolation`: `repeatable_read`, …"""
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


class _Lent:
    """A connection of the pool for the time of a block, which holds one query if it is bounded by `seconds`. (By a class: a
    generator costs as much again.)"""

    __slots__ = ("_connection", "_pool", "_seconds")

    def __init__(self, pool: Pool, seconds: float | None = None) -> None:
        self._pool = pool
        self._seconds = seconds

    async def __aenter__(self) -> Any:
        try:
            self._connection = await self._pool.acquire()
        except LOST as error:
            raise unavailable(error) from error
        return self._connection

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        connection = self._connection
        if error is None:
            if not self._pool.keep(connection):
                await self._pool.release(connection)
            return
        if isinstance(error, (asyncpg.InternalClientError, asyncpg.ReadOnlySQLTransactionError)):
            connection.terminate()  # it can say nothing sensible any more, or another server has the address by now
        lost = isinstance(error, LOST[1:]) or (isinstance(error, asyncpg.InterfaceError) and is_gone(connection))
        await self._pool.release(connection)
        if lost:
            raise unavailable(error) from error
        if self._seconds is not None and isinstance(error, TimeoutError):
            raise ServiceUnavailableError(f"The database took longer than {self._seconds:g} s to answer") from error


def unavailable(error: BaseException) -> ServiceUnavailableError:
    """What the caller of a route is told when the database is away; the cause stays for the log."""
    return ServiceUnavailableError(f"The database is not available: {type(error).__name__}")


def notice_silence(fileno: int) -> None:
    """Have the system end a TCP connection whose other machine has gone without a word, after about 30 s: otherwise a query that
    is under way at a failover waits for a quarter of an hour, and its loop with it."""
    with socket.socket(fileno=os.dup(fileno)) as other:
        if other.family not in (socket.AF_INET, socket.AF_INET6):
            return
        other.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in SILENCE.items():
            if (option := getattr(socket, name, None)) is not None:  # some are Linux' own
                other.setsockopt(socket.IPPROTO_TCP, option, value)


async def prepare_connection(connection: Any) -> None:
    """JSON as bytes. `jsonb` in binary form is a version byte, always 1, and then the text."""
    if (transport := getattr(connection, "_transport", None)) is not None:  # asyncpg has no other way to its socket
        notice_silence(transport.get_extra_info("socket").fileno())
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
