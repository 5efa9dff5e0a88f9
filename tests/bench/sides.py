"""Upstream and Greenroom as server processes side by side: the same configuration, file of entities and kind of Postgres."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from greenroom.embedded import embedded_postgres
from tests.bench.entities import HOST
from tests.bench.wire import Ask, Connection, Reply
from tests.conformance.oracle import OracleError, free_port, home, shared_folder
from tests.conformance.script import HERE, fill

PATIENCE = 600.0
STOP_SECONDS = 30.0
QUIET_ROUNDS = 4

AT_REST = """
select (select count(*) from stitch_queue) as waiting,
       (select md5(string_agg(f::text, ',' order by f::text)) from final_entities f) as served
"""

SIZE = """
select sum(pg_total_relation_size(c.oid))::bigint from pg_class c
 where c.relkind in ('r', 'm') and c.relnamespace = 'public'::regnamespace
"""


def answered(reply: Reply) -> bool:
    """With what was asked for."""
    return reply.status == 200


class Side:
    """A server that can be started, fed, asked, weighed and stopped."""

    def __init__(
        self,
        name: str,
        folder: Path,
        command: Sequence[str | Path],
        environ: Mapping[str, str],
        database: dict[str, Any],
        port: int,
        trigger: tuple[int, str],
    ) -> None:
        """`database` are arguments of `asyncpg.connect`; a post to `trigger` (port and path) has it read the file of entities."""
        self.name = name
        self._folder, self._command, self._environ = folder, command, environ
        self._database, self._port, self._trigger = database, port, trigger
        self._process: subprocess.Popen[bytes] | None = None
        self.door = self.connection()

    def connection(self) -> Connection:
        """A new one."""
        return Connection(self._port)

    async def start(self, ask: Ask) -> float:
        """Seconds until the first time that the request is answered with 200."""
        began = time.perf_counter()
        self._process = self._spawned()
        await self.until(ask, answered, 0.02)
        return time.perf_counter() - began

    def _spawned(self) -> subprocess.Popen[bytes]:
        unwanted = ("GREENROOM_", "APP_CONFIG_", "NODE_", "PYTHONDONTWRITEBYTECODE", "LOG_LEVEL")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        environ = {**kept, **self._environ}
        with (self._folder / f"{self.name}.log").open("ab") as log:
            return subprocess.Popen(
                list(map(str, self._command)), env=environ, cwd=self._folder, stdout=log, stderr=log
            )

    async def stop(self) -> None:
        """Ask it to end, and wait for that."""
        process, self._process = self._process, None
        self.door.close()
        if process is None:
            return
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)

    async def until(self, ask: Ask, holds: Callable[[Reply], bool], rest: float) -> None:
        """Ask again and again until it holds. Raises OracleError when that takes too long, or the server has ended."""
        deadline = time.perf_counter() + PATIENCE
        while True:
            reply = await self._reply(ask)
            if reply is not None and holds(reply):
                return
            if time.perf_counter() > deadline or self._process is None or self._process.poll() is not None:
                raise OracleError(f"{self.name} did not come to answer {ask.target}: {reply}\n{self._tail()}")
            await asyncio.sleep(rest)

    async def _reply(self, ask: Ask) -> Reply | None:
        try:
            return await self.door.attempt(ask)
        except (OSError, EOFError):  # not there yet
            self.door.close()
            return None

    async def feed(self) -> None:
        """Have it read the file. Greenroom answers at once, upstream when the entities are in its database."""
        port, path = self._trigger
        connection = Connection(port)
        await connection.ask(Ask(path, "POST"))
        connection.close()

    async def settle(self, rounds: int = QUIET_ROUNDS) -> None:
        """Return when nothing waits for stitching, and what is served does not change. Raises OracleError."""
        connection = await asyncpg.connect(**self._database)
        deadline, quiet, before = time.perf_counter() + PATIENCE, 0, None
        try:
            while quiet < rounds:
                now = await connection.fetchrow(AT_REST)
                quiet = quiet + 1 if now == before and not now["waiting"] else 0
                before = now
                if time.perf_counter() > deadline:
                    raise OracleError(f"{self.name} did not come to rest")
                await asyncio.sleep(1.0)
            await connection.execute("vacuum analyze")
        finally:
            await connection.close()

    async def database_bytes(self) -> int:
        """Of all tables of the catalog, with their indexes."""
        connection = await asyncpg.connect(**self._database)
        try:
            return int(await connection.fetchval(SIZE))
        finally:
            await connection.close()

    def memory(self) -> float:
        """Resident megabytes of the server process, without its Postgres."""
        assert self._process is not None
        shown = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(self._process.pid)], check=True, capture_output=True, text=True
        )
        return int(shown.stdout) / 1024

    def cpu(self) -> float | None:
        """Seconds of CPU that the server process has taken, without its Postgres; None on a system that does not tell."""
        assert self._process is not None
        told = Path(f"/proc/{self._process.pid}/stat")
        if not told.is_file():
            return None
        user, system = told.read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def _tail(self) -> str:
        return "\n".join((self._folder / f"{self.name}.log").read_text().splitlines()[-20:])


def missing() -> str | None:
    """Why there is no upstream to compare with, in a few words; None if there can be one."""
    if shutil.which("node") is None:
        return "Node is not installed"
    if not (shared_folder() / "oracle" / "oracle.sh").is_file():
        return "there is no upstream: GREENROOM_SHARED does not name the shared folder"
    return None


@asynccontextmanager
async def both_sides(folder: Path, entities: Path) -> AsyncIterator[tuple[Side, Side]]:
    """Upstream and Greenroom, neither started, each with an empty Postgres that runs to the end; stopped then."""
    modules = await asyncio.to_thread(_installed)
    async with (
        embedded_postgres(folder / "upstream-data") as theirs,
        embedded_postgres(folder / "greenroom-data") as ours,
    ):
        sides = _upstream(folder, entities, modules, theirs.dsn), _greenroom(folder, entities, ours.dsn)
        try:
            yield sides
        finally:
            for side in sides:
                await side.stop()


def _installed() -> Path:
    """The folder `node_modules`, filled by `oracle.sh install` if need be."""
    found = home() / "node_modules"
    if not found.exists():
        script = shared_folder() / "oracle" / "oracle.sh"
        subprocess.run([script, "install"], env={**os.environ, "ORACLE_HOME": str(home())}, check=True)
    return found.resolve()


def _upstream(folder: Path, entities: Path, modules: Path, dsn: dict[str, Any]) -> Side:
    room, port, provider = folder / "upstream", free_port(), free_port()
    room.mkdir()
    (room / "node_modules").symlink_to(modules)
    shutil.copy(shared_folder() / "oracle" / "package.json", room)
    shutil.copy(Path(__file__).with_name("upstream.cjs"), room / "index.js")
    connection = {"host": dsn["host"], "port": dsn["port"], "user": dsn["user"], "password": "none"}
    configs = _configs(room, port, {"backend": {"database": {"client": "pg", "connection": connection}}})
    environ = {"NODE_ENV": "production", "BENCH_FILE": str(entities), "BENCH_PORT": str(provider)}
    database = {**dsn, "database": "backstage_plugin_catalog"}
    return Side("upstream", room, ["node", "index.js", *configs], environ, database, port, (provider, "/"))


def _greenroom(folder: Path, entities: Path, dsn: dict[str, Any]) -> Side:
    room, port = folder / "greenroom", free_port()
    room.mkdir()
    configs = _configs(room, port, {"catalog": {"providers": {"ndjson": {"bench": {"path": str(entities)}}}}})
    trigger = port, "/api/greenroom/catalog/providers/ndjson:bench/trigger"
    command = [sys.executable, "-m", "greenroom", "serve", *configs]
    # As after an ordinary installation, which has the bytecode in place.
    environ = {"GREENROOM_DATA": str(folder / "greenroom-data"), "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    return Side("greenroom", room, command, environ, dsn, port, trigger)


def _configs(room: Path, port: int, own: dict[str, Any]) -> list[str]:
    """What both are configured with, and what each has of its own, as arguments of either command line."""
    common = {
        "app": {"baseUrl": f"http://127.0.0.1:{port}"},
        "backend": {"listen": {"host": "127.0.0.1", "port": port}},
        "integrations": {"github": [{"host": HOST, "apiBaseUrl": f"https://{HOST}/api/v3"}]},
    }
    layers = {
        "base.yaml": fill((HERE / "base.yaml").read_text(), {"self": f"http://127.0.0.1:{port}"}).encode(),
        "common.yaml": msgspec.yaml.encode(common),
        "own.yaml": msgspec.yaml.encode(own),
    }
    for name, text in layers.items():
        (room / name).write_bytes(text)
    return [argument for name in layers for argument in ("--config", str(room / name))]
