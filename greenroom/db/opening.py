"""From the config to an open pool: start or find the server, wait for it, look who answers, and say clearly what is wrong."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from greenroom.db.address import connect_arguments, place, without_password
from greenroom.db.budget import budget, check, look_for_room
from greenroom.db.connections import CLOSE_SECONDS, LOST, Database, DirectConnections, prepare_connection
from greenroom.db.pool import Pool
from greenroom.errors import ConfigError, ServiceUnavailableError
from greenroom.settings.backend import DatabaseConfig

log = logging.getLogger(__name__)

POOL_SIZE = 10
STATEMENTS = 256
"""Prepared statements kept per connection. Filters make queries of many shapes, hence more than asyncpg's 100."""
START_SECONDS = 60.0
"""How long a start waits for a database that is not there yet, as happens when both are started together."""
CONNECT_SECONDS = 10
KEEP_ALIVE = {"tcp_keepalives_idle": "15", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}
"""How soon the server notices that the machine of a session is gone, and frees its locks. (Its own default is two hours.)"""


@asynccontextmanager
async def open_database(config: DatabaseConfig, data: Path) -> AsyncIterator[Database]:
    """The database of the config: `client: pg` outside, and otherwise an embedded Postgres with its files in `data`.

    Raises ConfigError, ServiceUnavailableError."""
    async with AsyncExitStack() as stack:
        if config.embedded:
            from greenroom.embedded import embedded_postgres  # here, for it does not exist on Windows

            server = await stack.enter_async_context(embedded_postgres(data))
            arguments, direct = server.dsn, None
        else:
            arguments = connect_arguments(config.connection, "backend.database.connection")
            past = config.direct_connection
            direct = (
                connect_arguments(past, "backend.database.directConnection", arguments["database"]) if past else None
            )
        yield await stack.enter_async_context(
            open_pool(
                arguments,
                direct=direct,
                size=config.pool_max,
                least=config.pool_min,
                ensure_exists=config.ensure_exists,
            )
        )


@asynccontextmanager
async def open_pool(
    arguments: Mapping[str, Any],
    *,
    direct: Mapping[str, Any] | None = None,
    size: int = POOL_SIZE,
    least: int = 1,
    ensure_exists: bool = True,
    patience: float = START_SECONDS,
) -> AsyncIterator[Database]:
    """A pool from arguments of `asyncpg.connect`, once the database answers; waits `patience` seconds for it.

    `direct` are those of a way past the pooler, where `arguments` lead to one. Raises ConfigError when the database
    refuses us, ServiceUnavailableError when it does not come up; neither ever holds the password."""
    wanted = {"timeout": CONNECT_SECONDS, **arguments}
    wanted["server_settings"] = {"application_name": "greenroom", **wanted.get("server_settings", {})}
    pooled = await _first_contact(wanted, patience=patience, ensure_exists=ensure_exists) or direct is not None
    past = {"timeout": CONNECT_SECONDS, **(direct if direct is not None else wanted)}
    past["server_settings"] = {**KEEP_ALIVE, **past.get("server_settings", {})}
    pool = await asyncpg.create_pool(
        **wanted,
        min_size=least,
        max_size=size,
        init=prepare_connection,
        reset=_leave_as_it_is,
        statement_cache_size=0 if pooled else STATEMENTS,
    )
    lent = Pool(pool)
    try:
        if not pooled:  # what stands between us and the server has a budget of its own
            await _look_for_room(pool, budget(size, session=True))
        yield Database(
            lent, direct=DirectConnections(past) if direct is not None or not pooled else None, pooled=pooled
        )
    finally:
        await _close(lent, pool)


async def _look_for_room(pool: Any, wanted: int) -> None:
    """Raises ConfigError. A database that has just gone away again will be noticed by others."""
    try:
        async with pool.acquire() as connection:
            check(wanted, await look_for_room(connection))
    except LOST as error:
        log.warning("how many connections the database has could not be found out: %s", type(error).__name__)


async def _leave_as_it_is(connection: Any) -> None:
    """In place of asyncpg's reset query, which costs as much as a small query. Open transactions are ended anyhow."""


async def _close(lent: Pool, pool: Any) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await lent.close()
            await pool.close()
    except TimeoutError:
        log.warning("database connections were still in use at the end, and are cut")
        pool.terminate()


async def _first_contact(arguments: Mapping[str, Any], *, patience: float, ensure_exists: bool) -> bool:
    """Wait for the database, make it if need be, and say whether a pooler answers in its place."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    rest = 0.1
    while True:
        try:
            return await _look(arguments)
        except asyncpg.InvalidCatalogNameError as error:
            if not ensure_exists:
                raise _refusal(arguments, error) from error
            await _create_database(arguments)
            continue
        except LOST as error:
            if _is_about_tls(error):
                raise _refusal(arguments, error) from error
            said = without_password(str(error) or type(error).__name__, arguments)
            if loop.time() + rest > deadline:
                raise ServiceUnavailableError(f"The database {place(arguments)} does not answer: {said}") from error
            log.warning("the database %s does not answer yet, next attempt in %.1f s: %s", place(arguments), rest, said)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            raise _refusal(arguments, error) from error
        await asyncio.sleep(rest)
        rest = min(rest * 2, 5.0)


def _is_about_tls(error: BaseException) -> bool:
    """A certificate that does not fit, or a server without TLS: waiting mends neither."""
    return isinstance(error, ssl.SSLError) or "rejected SSL" in str(error)


def _refusal(arguments: Mapping[str, Any], error: BaseException) -> ConfigError:
    said = without_password(str(error), arguments)
    return ConfigError(
        "backend.database.connection", f"the database {place(arguments)} cannot be used: {said}", hint=_hint(error)
    )


def _hint(error: BaseException) -> str:
    if _is_about_tls(error):
        return "see `ssl` (ca, rejectUnauthorized), or `?sslmode=` in a URL"
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        return "check user and password"
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return "create the database, or allow `ensureExists`"
    return ""


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
    except (asyncpg.PostgresError, OSError) as error:
        hint = f"create it: create database {name} encoding 'UTF8'"
        said = without_password(str(error), arguments)
        raise ConfigError(
            "backend.database.connection", f"{place(arguments)} does not exist and cannot be created: {said}", hint=hint
        ) from error
