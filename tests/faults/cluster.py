"""A Postgres of the tests' own that can be ended in every way, copied to a standby, and whose standby can take over."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg

from greenroom.embedded.folders import Home, open_home
from greenroom.embedded.programs import QUIET, Programs, find_programs, staged

USER = "greenroom"
PATIENCE = 60.0
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "wal_level": "replica",
    "max_wal_senders": "4",
    "wal_keep_size": "256MB",
    "hot_standby": "on",
    "timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}


def lasting_port() -> int:
    """A free one that no client is given for its end of a connection while the server is away."""
    while True:
        port = random.randint(15_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Cluster:
    """One server on a port of its own, below `folder`, which others must be able to enter."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.programs = find_programs()
        self.home: Home = open_home(folder, self.programs.major)
        self.usable: Programs = staged(self.programs, self.home)
        self.port = lasting_port()
        self.settings = {**SETTINGS, **(settings or {})}
        self.environ = dict(QUIET)
        """Of its processes: a place for a clock that jumps."""
        self.numbers = itertools.count(1)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> dict[str, Any]:
        """Arguments of `asyncpg.connect`."""
        return {"host": "127.0.0.1", "port": self.port, "user": USER, "database": "postgres", "ssl": False}

    def to(self, database: str) -> dict[str, Any]:
        """The same for a database of it."""
        return {**self.address, "database": database}

    def make(self) -> None:
        """An empty cluster, whose strangers are trusted: it listens to this machine only."""
        where: list[str | Path] = [
            "-D",
            self._folder(),
            "-U",
            USER,
            "--auth=trust",
            "--encoding=UTF8",
            "--no-instructions",
        ]
        locale = (
            ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"] if self.programs.major >= 17 else []
        )
        self._run("initdb", *where, *locale)

    def copy_of(self, primary: Cluster) -> None:
        """A standby that streams from the other."""
        where = ["-h", "127.0.0.1", "-p", str(primary.port), "-U", USER]
        self._run("pg_basebackup", "-D", self._folder(), *where, "-R", "-X", "stream", "-c", "fast")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [str(self.usable.folder / "postgres"), "-D", str(self.home.cluster), "-p", str(self.port)]
        for name, value in self.settings.items():
            command += ["-c", f"{name}={value}"]
        deadline = time.monotonic() + PATIENCE
        while True:
            with self.home.log.open("ab") as log:
                self.process = subprocess.Popen(
                    command,
                    env=self.environ,
                    cwd=self.home.cluster,
                    stdout=log,
                    stderr=log,
                    umask=0o077,
                    **self.home.owner.run_as,
                )
            if self._comes_up(deadline):
                return
            # the children of one that was killed may not have noticed yet, and hold its memory
            assert time.monotonic() < deadline, f"Postgres does not start: {self.home.log.read_text()[-2000:]}"
            time.sleep(0.1)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGTERM waits for its clients, SIGINT is fast, SIGQUIT is immediate, SIGKILL is the end of the machine."""
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(how)
            process.wait(PATIENCE)

    def _comes_up(self, deadline: float) -> bool:
        assert self.process is not None
        ready = [str(self.usable.folder / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER]
        while self.process.poll() is None and time.monotonic() < deadline:
            if subprocess.run(ready, env=QUIET, check=False).returncode == 0:
                return True
            time.sleep(0.05)
        return False

    def _folder(self) -> Path:
        self.home.cluster.mkdir(mode=0o700)
        if self.home.owner.switch:
            os.chown(self.home.cluster, self.home.owner.uid, self.home.owner.gid)
        return self.home.cluster

    def _run(self, program: str, *arguments: str | Path) -> None:
        command = [self.usable.folder / program, *arguments]
        subprocess.run(
            command, env=QUIET, cwd=self.home.root, check=True, capture_output=True, **self.home.owner.run_as
        )

    async def query(self, sql: str, *arguments: object, database: str = "postgres") -> list[Any]:
        """Rows of one statement on a connection of its own."""
        connection = await asyncpg.connect(**self.to(database))
        try:
            return list(await connection.fetch(sql, *arguments))
        finally:
            await connection.close()

    @asynccontextmanager
    async def empty(self) -> AsyncIterator[dict[str, Any]]:
        """Arguments of `asyncpg.connect` to a new database, dropped at the end."""
        name = f"spare_{next(self.numbers)}"
        await self.query(f"create database {name} template template0")
        try:
            yield self.to(name)
        finally:
            await self.query(f"drop database {name} with (force)")

    async def caught_up(self) -> None:
        """Wait until every standby has all that was committed so far."""
        wanted = (await self.query("select pg_current_wal_lsn()::text as lsn"))[0]["lsn"]
        while await self.query("select 1 from pg_stat_replication where replay_lsn < $1::text::pg_lsn", wanted):
            await asyncio.sleep(0.05)

    async def promote(self) -> None:
        """Make a standby the one that is written to."""
        await self.query("select pg_promote(true, 60)")


@contextmanager
def running(cluster: Cluster) -> Iterator[Cluster]:
    """Started if need be, and ended with the block."""
    try:
        if cluster.process is None:
            cluster.start()
        yield cluster
    finally:
        with suppress(subprocess.TimeoutExpired):
            cluster.stop()
