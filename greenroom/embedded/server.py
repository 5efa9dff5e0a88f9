"""The door: `embedded_postgres` lends a running server to this process, and starts, shares, guards and leaves it."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from greenroom.embedded.folders import Home, make_private, open_home
from greenroom.embedded.locks import ALONE, POLL, SHARED, is_held, lock_soon, locked, open_lock, try_lock
from greenroom.embedded.programs import QUIET, Programs, find_programs, staged
from greenroom.embedded.supervisor import Job, launch
from greenroom.errors import ConfigError, ServiceUnavailableError

log = logging.getLogger(__name__)

USER = "greenroom"
DATABASE = "greenroom"
PORT = 5432
PATIENCE = 60.0
"""Seconds without a sign of life of a server that ought to be there. One that is recovering gets all it needs."""
GUARD_SECONDS = 2.0
LEAVE_SECONDS = 70.0
SETTINGS = {
    "port": str(PORT),
    "listen_addresses": "",  # no network: whoever may enter the sockets' folder is trusted, and nobody else comes in
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "jit": "off",
    "random_page_cost": "1.1",
    "wal_compression": "pglz",
    "max_wal_size": "1GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "logging_collector": "off",
    "log_destination": "stderr",
}


class Server(msgspec.Struct, frozen=True):
    """A running server, as arguments of `asyncpg.connect`."""

    dsn: dict[str, Any]
    home: Home
    version: str

    def to(self, database: str) -> dict[str, Any]:
        """The same arguments for another database of this server."""
        return {**self.dsn, "database": database}


@asynccontextmanager
async def embedded_postgres(data: Path, settings: Mapping[str, str] | None = None) -> AsyncIterator[Server]:
    """Postgres with its data in `data/postgres-<major>`, shared by every process that names the same folder.

    It runs from the first of them to the last, whichever way they end; the last one waits for its shutdown. `settings`
    are added to ours and count for the process that happens to start it. Raises ConfigError for a folder or a machine
    it cannot run in, ServiceUnavailableError (with the end of its log) when it does not come up."""
    programs = await asyncio.to_thread(find_programs)
    home = await asyncio.to_thread(open_home, data, programs.major)
    job_settings = {**SETTINGS, **(settings or {})}
    users = open_lock(home.users_lock)
    guard: asyncio.Task[None] | None = None
    try:
        await _join(home, programs, job_settings, users)
        guard = asyncio.create_task(_guard(home, programs, job_settings, users), name="embedded-postgres-guard")
        yield Server({**_address(home), "database": DATABASE}, home, programs.version)
    finally:
        if guard is not None:
            guard.cancel()
            await asyncio.wait([guard])
        os.close(users)
        await _leave(home, programs, job_settings)


async def _join(home: Home, programs: Programs, settings: dict[str, str], users: int) -> None:
    """Be counted among the users, then see that the server runs: in this order, as it could be stopped in between."""
    async with locked(home.start_lock, ALONE):
        await lock_soon(users, SHARED)  # a supervisor that is just stopping the server lets go when it has
        make_private(home.sockets, home.owner)
        if not is_held(home.supervisor_lock) or not await _comes_up(home):
            await asyncio.to_thread(_prepare_and_launch, home, programs, settings)
            if not await _comes_up(home):
                raise ServiceUnavailableError(f"Postgres does not start; the end of {home.log}:\n{_tail(home.log)}")


async def _guard(home: Home, programs: Programs, settings: dict[str, str], users: int) -> None:
    """The supervisor guards Postgres, and we the supervisor: should it be killed, another takes over."""
    rest = GUARD_SECONDS
    while True:
        await asyncio.sleep(rest)
        if is_held(home.supervisor_lock):
            rest = GUARD_SECONDS
            continue
        log.warning("the supervisor of the embedded Postgres has ended; starting another")
        try:
            await _join(home, programs, settings, users)
        except (ServiceUnavailableError, ConfigError, OSError) as error:
            rest = min(rest * 2, 30.0)
            log.error("the embedded Postgres cannot be started again, next attempt in %.0f s: %s", rest, error)


async def _comes_up(home: Home) -> bool:
    """Wait until the server answers and has our database. False: its supervisor has ended."""
    loop = asyncio.get_running_loop()
    patience = loop.time() + PATIENCE
    while True:
        try:
            connection = await asyncpg.connect(**_address(home), database="postgres", timeout=int(PATIENCE))
        except (asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError):
            patience = loop.time() + PATIENCE  # it is there, and busy with recovery or with others
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if not is_held(home.supervisor_lock):
                return False
            if loop.time() > patience:
                text = f"Postgres does not answer in {home.sockets}: {error}; the end of {home.log}:\n{_tail(home.log)}"
                raise ServiceUnavailableError(text) from error
        else:
            try:
                await _ensure_database(connection)
            finally:
                await connection.close()
            return True
        await asyncio.sleep(POLL)


async def _ensure_database(connection: Any) -> None:
    """The caller holds the start lock, so nobody else makes it at the same time."""
    if not await connection.fetchval("select true from pg_database where datname = $1", DATABASE):
        await connection.execute(f"create database {DATABASE}")


def _address(home: Home) -> dict[str, Any]:
    return {"host": str(home.sockets), "port": PORT, "user": USER, "ssl": False}


def _prepare_and_launch(home: Home, programs: Programs, settings: dict[str, str]) -> None:
    usable = staged(programs, home)
    if not home.cluster.is_dir():
        _make_cluster(home, usable)
    try:
        launch(Job(home, usable.folder, settings))
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise ServiceUnavailableError(f"the supervisor of Postgres does not start: {said}") from error


def _make_cluster(home: Home, programs: Programs) -> None:
    """Make it under another name and rename it when it is whole: a crash in the middle leaves nothing to be trusted."""
    draft = home.root / "cluster.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if home.owner.switch:
        os.chown(draft, home.owner.uid, home.owner.gid)
    command: list[str | Path] = [
        programs.folder / "initdb",
        "-D",
        draft,
        "-U",
        USER,
        "--auth=trust",
        "--encoding=UTF8",
        "--no-instructions",
    ]
    try:
        subprocess.run(  # noqa: S603
            [*command, *_locale(programs.major)],
            env=QUIET,
            cwd=home.root,
            capture_output=True,
            check=True,
            **home.owner.run_as,
        )
    except PermissionError as error:
        hint = "allow CAP_SETUID and CAP_SETGID, run as another user, or use a database outside"
        raise ConfigError("backend.database", f"Postgres cannot be run as another user: {error}", hint=hint) from error
    except subprocess.CalledProcessError as error:
        raise ServiceUnavailableError(f"initdb failed: {error.stderr.decode(errors='replace').strip()}") from error
    draft.rename(home.cluster)


def _locale(major: int) -> list[str]:
    """Order by code point and the whole of Unicode in `lower()`: as upstream's, and the same on every machine."""
    if major >= 17:
        return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    return ["--locale=C", "--lc-ctype=C.UTF-8"]


async def _leave(home: Home, programs: Programs, settings: dict[str, str]) -> None:
    """If we were the last, wait for the shutdown: in a container, everything is killed when its first process ends.

    A supervisor that was killed just now, before a guard saw it, is replaced once more: nobody else would ever stop
    Postgres."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LEAVE_SECONDS
    replaced = False
    while loop.time() < deadline and not _others(home):
        if not is_held(home.supervisor_lock):
            if replaced or not is_held(home.postmaster_lock):
                return
            replaced = await _supervise_the_end(home, programs, settings)
        await asyncio.sleep(POLL)


async def _supervise_the_end(home: Home, programs: Programs, settings: dict[str, str]) -> bool:
    """Start a supervisor under which nobody uses the server, so that it stops it; that it cannot be started is logged.

    False: somebody else is just seeing to the server, for which we do not wait, or has done so."""
    start = open_lock(home.start_lock)
    try:
        if not try_lock(start, ALONE) or is_held(home.supervisor_lock):
            return False
        await asyncio.to_thread(_prepare_and_launch, home, programs, settings)
    except (ServiceUnavailableError, ConfigError, OSError) as error:
        log.error("the embedded Postgres has lost its supervisor and cannot be stopped: %s", error)
    finally:
        os.close(start)
    return True


def _others(home: Home) -> bool:
    """Whether other processes use the server. The supervisor, which waits to be alone, is no user.

    It may come to be alone between any two of these steps, hence the third: shared with it there is nothing."""
    probe = open_lock(home.users_lock)
    try:
        return try_lock(probe, SHARED) and not try_lock(probe, ALONE) and try_lock(probe, SHARED)
    finally:
        os.close(probe)


def _tail(path: Path, lines: int = 12) -> str:
    if not path.exists():
        return "(there is none)"
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
