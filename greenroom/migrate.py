"""Forward-only migrations: the `.sql` files of each part, applied once, in name order, by one process at a time.

A file is `0001_name.sql`, and never changes once released. It runs in one transaction, unless its first line is
`-- online`: then each statement runs on its own, as `CREATE INDEX CONCURRENTLY` demands, and the file must bear being
run again from the start when it was interrupted (`IF NOT EXISTS`; an index left invalid is dropped first).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from greenroom.db import Connection, Database
from greenroom.errors import ConfigError, ConflictError
from greenroom.plugin import Migrations

log = logging.getLogger(__name__)

FILE = re.compile(r"\d{4}_[a-z0-9_]+\.sql")
ONLINE = "-- online"
INDEX = re.compile(r"create\s+(?:unique\s+)?index\s+concurrently\s+(?:if\s+not\s+exists\s+)?([\w.\"]+)", re.IGNORECASE)
LOCK = 4_711_001
"""The key of the advisory lock that says: this process is migrating."""
POLL = 0.2
LOCK_TIMEOUT = "5s"
"""Whoever waits for a table lock makes everybody behind wait too: so it gives up after this, and is tried again."""
ATTEMPTS = 12

TABLE = """
create table if not exists greenroom_migrations (
    part text not null,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now(),
    primary key (part, name)
)
"""


APPLIED = "select part, name from greenroom_migrations"
"""What `difference` is told of."""


class Migration(msgspec.Struct, frozen=True):
    """One file."""

    part: str
    path: Path
    sql: str

    @property
    def name(self) -> str:
        """`0001_entities.sql`."""
        return self.path.name

    @property
    def label(self) -> str:
        """`catalog/0001_entities.sql`."""
        return f"{self.part}/{self.name}"

    @property
    def online(self) -> bool:
        """Whether it runs statement by statement, outside of a transaction."""
        return self.sql.lstrip().partition("\n")[0].strip() == ONLINE

    @property
    def checksum(self) -> str:
        """Of the text, whatever its line ends."""
        return hashlib.sha256("\n".join(self.sql.splitlines()).encode()).hexdigest()


async def migrate(database: Database, migrations: Sequence[Migrations]) -> list[str]:
    """Bring the database up to date; answers the labels (`catalog/0001_entities.sql`) of the files applied by this process.

    Raises ConflictError when an applied file has changed or is unknown here (the database is newer than the code), and
    ConfigError when there is something to apply and no way past the pooler."""
    files = read_migrations(migrations)
    if not await _missing(database, files):
        return []
    if database.direct is None:
        raise ConfigError(
            "backend.database.directConnection",
            "migrations need a connection that does not go through the pooler",
            hint="name the database server itself here",
        )
    async with database.direct.open() as connection, _alone(connection):
        await connection.execute(TABLE)
        missing = await _missing(connection, files)
        for migration in missing:
            log.info("applying %s", migration.label)
            await _apply(connection, migration)
    return [migration.label for migration in missing]


async def pending(database: Database, migrations: Sequence[Migrations]) -> list[str]:
    """The labels of the files that are still to be applied. Raises ConflictError like `migrate`."""
    return [migration.label for migration in await _missing(database, read_migrations(migrations))]


def read_migrations(migrations: Sequence[Migrations]) -> list[Migration]:
    """The files of all parts, part by part, in name order. Raises ConfigError for a wrong name and a number used twice."""
    files: list[Migration] = []
    for part in migrations:
        numbers: dict[str, str] = {}
        for path in sorted(part.folder.glob("*.sql")):
            other = numbers.setdefault(path.name[:4], path.name)
            if not FILE.fullmatch(path.name) or other != path.name:
                problem = f"{path.name} is not named like 0001_name.sql, or shares its number with {other}"
                raise ConfigError(f"migrations of {part.part}", problem, file=str(path))
            files.append(Migration(part.part, path, path.read_text(encoding="utf-8")))
    return files


def difference(files: Sequence[Migration], applied: Collection[tuple[str, str]]) -> tuple[list[Migration], list[str]]:
    """The files that are missing in a database, and the labels of those, of the same parts, that it has beyond them."""
    known, parts = {(file.part, file.name) for file in files}, {file.part for file in files}
    missing = [file for file in files if (file.part, file.name) not in applied]
    return missing, sorted(f"{part}/{name}" for part, name in applied if part in parts and (part, name) not in known)


async def _missing(database: Database | Connection, files: Sequence[Migration]) -> list[Migration]:
    if not await database.fetchval("select to_regclass('greenroom_migrations') is not null"):
        return list(files)
    parts = sorted({migration.part for migration in files})
    rows = await database.fetch(
        "select part, name, checksum from greenroom_migrations where part = any($1::text[]) order by part, name", parts
    )
    applied = {(row["part"], row["name"]): row["checksum"] for row in rows}
    missing, unknown = difference(files, applied)
    if unknown:
        raise ConflictError(
            f"The database is newer than this program: it holds {', '.join(unknown)}; install the version that brought it"
        )
    for migration in files:
        if applied.get((migration.part, migration.name), migration.checksum) != migration.checksum:
            raise ConflictError(
                f"{migration.path} has changed since it was applied; undo that, and add a new file instead"
            )
    return missing


@asynccontextmanager
async def _alone(connection: Any) -> AsyncIterator[None]:
    """Poll for the lock: a session that waited inside `pg_advisory_lock` would deadlock with CREATE INDEX CONCURRENTLY."""
    while not await connection.fetchval("select pg_try_advisory_lock($1)", LOCK):  # noqa: ASYNC110
        await asyncio.sleep(POLL)
    try:
        await connection.execute(f"set lock_timeout = '{LOCK_TIMEOUT}'")
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("select pg_advisory_unlock_all()")


async def _apply(connection: Any, migration: Migration) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            if migration.online:
                await _run_online(connection, migration)
            else:
                await _run(connection, migration)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            if attempt == ATTEMPTS:
                raise
            log.warning("%s waits for others (%s), attempt %d of %d", migration.label, error, attempt, ATTEMPTS)
            await asyncio.sleep(POLL * attempt)
        except asyncpg.PostgresError as error:
            raise ConflictError(f"{migration.path} cannot be applied: {error}", cause=None) from error
        else:
            return


async def _run(connection: Any, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(migration.sql)
        await _record(connection, migration)


async def _run_online(connection: Any, migration: Migration) -> None:
    for statement in statements(migration.sql):
        if found := INDEX.match(statement):
            await _drop_if_invalid(connection, found.group(1))
            await _execute_patiently(connection, statement)
        else:
            await connection.execute(statement)
    await _record(connection, migration)


async def _execute_patiently(connection: Any, statement: str) -> None:
    """An index built concurrently waits for old transactions, but nobody waits behind it."""
    await connection.execute("set lock_timeout = 0")
    try:
        await connection.execute(statement)
    finally:
        await connection.execute(f"set lock_timeout = '{LOCK_TIMEOUT}'")


async def _drop_if_invalid(connection: Any, index: str) -> None:
    """An interrupted CREATE INDEX CONCURRENTLY leaves an index that is kept up to date but never used."""
    invalid = await connection.fetchval(
        "select true from pg_index where indexrelid = to_regclass($1) and not indisvalid", index
    )
    if invalid:
        log.warning("the index %s was left invalid by an interrupted migration; building it anew", index)
        await connection.execute(f"drop index concurrently {index}")


async def _record(connection: Any, migration: Migration) -> None:
    await connection.execute(
        "insert into greenroom_migrations (part, name, checksum) values ($1, $2, $3)",
        migration.part,
        migration.name,
        migration.checksum,
    )


TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/) | (?P<quoted>'(?:[^']|'')*' | "(?:[^"]|"")*" | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
      | (?P<end>;) | (?P<text>[^;'"$/-]+ | .)""",
    re.VERBOSE | re.DOTALL,
)


def statements(sql: str) -> Iterator[str]:
    """The statements of a script, without comments; knows quotes and dollar quotes."""
    statement: list[str] = []
    for token in TOKEN.finditer(sql):
        if token.lastgroup == "end" or token.group("end"):
            if text := "".join(statement).strip():
                yield text
            statement = []
        elif not token.group("comment"):
            statement.append(token.group())
    if text := "".join(statement).strip():
        yield text
