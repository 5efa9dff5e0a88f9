"""Upstream and Greenroom as server processes side by side: the same configuration, file of entities and kind of Postgres."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from greenroom.cli.running import run
from greenroom.embedded import Server, embedded_postgres
from greenroom.entity import Entity
from tests.bench import timed, weight, wrk
from tests.bench.entities import HOST
from tests.bench.table import Report, told, verdict
from tests.bench.wire import PATIENCE, Ask, Connection, Reply
from tests.conformance.oracle import REPOSITORY, OracleError, free_port, home, shared_folder
from tests.conformance.script import HERE, fill
from tests.support.installed import pretend_installed

START_SECONDS, STOP_SECONDS = 120.0, 30.0
QUIET_ROUNDS = 4
FILES = "files"
"""The folder for what is behind URLs."""
SHARE_OF_WAITING, SHORTEST_REST = 0.02, 0.02
"""Between two looks whether something is done: a fiftieth of how long it has taken, so that looking costs neither side much, and
no time is wrong by more."""
STATISTICS_SECONDS = 3.0
"""After which every process of Postgres has told what it wrote."""

WAITING = "select exists (select from stitch_queue)"
"""Upstream has such a table as well."""
SERVED = "select count(*) from final_entities where final_entity is not null"
AT_REST = """
select exists (select from stitch_queue) as waiting,
       (select row(count(*), sum(hashtext(hash::text)::bigint))::text from final_entities) as served
"""
SIZE = """
select sum(pg_total_relation_size(c.oid))::bigint from pg_class c
 where c.relkind in ('r', 'm') and c.relnamespace = 'public'::regnamespace
"""
WRITTEN = "select relname, n_tup_ins + n_tup_upd + n_tup_del as rows from pg_stat_user_tables"
RECORDS = {
    "providers",
    "provider_runs",
    "chores",
    "clock",
    "workers",
    "search_changes",  # a change of an entity is in `search` as well; what is trimmed of older ones was none
    "search_horizon",
    "backstage_backend_tasks__tasks",
}
"""Tables in which either side notes that something took place, and who is alive: no entities."""


def answered(reply: Reply) -> bool:
    """With what was asked for."""
    return reply.status == 200


class Side(ABC):
    """A server that can be started, fed, asked, weighed and stopped."""

    name: str

    def __init__(
        self, folder: Path, command: Sequence[str | Path], environ: Mapping[str, str], postgres: Server, port: int
    ) -> None:
        self._folder, self._command, self._environ = folder, command, environ
        self._postgres = postgres
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port
        self.door = self.connection()

    @abstractmethod
    async def feed(self) -> float:
        """Have it read the file. Returns when the entities are in its database, with the seconds that took."""

    @abstractmethod
    async def mutate(self) -> float:
        """The same, of a file that it has in memory before the stopwatch is started."""

    @property
    def database(self) -> dict[str, Any]:
        """Arguments of `asyncpg.connect`."""
        return self._postgres.dsn

    @property
    def pid(self) -> int:
        """Of the server process."""
        assert self._process is not None
        return self._process.pid

    def connection(self) -> Connection:
        """A new one."""
        return Connection(self.port)

    async def start(self, ask: Ask) -> float:
        """Seconds until the first time that the request is answered with 200."""
        began = time.perf_counter()
        self._process = self._spawned()
        await self.until(ask, answered, START_SECONDS)
        return time.perf_counter() - began

    def _spawned(self) -> subprocess.Popen[bytes]:
        unwanted = ("GREENROOM_", "APP_CONFIG_", "NODE_", "PYTHONDONTWRITEBYTECODE", "LOG_LEVEL")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        environ = {**kept, **self._environ}
        with (self._folder / f"{self.name}.log").open("ab") as log:
            return subprocess.Popen(
                list(map(str, self._command)), env=environ, cwd=self._folder, stdout=log, stderr=log
            )

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It stands still, as it is: what a server does by itself would be on the account of the one that is measured."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

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

    async def until(self, ask: Ask, holds: Callable[[Reply], bool], patience: float = PATIENCE) -> None:
        """Ask again and again until it holds. Raises OracleError when that takes too long, or the server has ended."""
        began = time.perf_counter()
        while True:
            reply = await self._reply(ask)
            if reply is not None and holds(reply):
                return
            self._check(began, f"answer {ask.target}: {reply}", patience)
            await asyncio.sleep(rest_after(time.perf_counter() - began))

    async def until_served(self, number: int) -> None:
        """Return when so many entities are served, and none waits to be stitched again. Raises OracleError.

        The database is asked, and not the server: a total takes a server more than a look at a table."""
        began = time.perf_counter()
        async with self.connected() as connection:
            while await connection.fetchval(WAITING) or await connection.fetchval(SERVED) != number:
                self._check(began, f"serve {number} entities")
                await asyncio.sleep(rest_after(time.perf_counter() - began))

    def _check(self, began: float, what: str, patience: float = 4 * PATIENCE) -> None:
        """Raises OracleError when there is nothing left to wait for."""
        if time.perf_counter() - began > patience or self._process is None or self._process.poll() is not None:
            raise OracleError(f"{self.name} did not come to {what}\n{self._tail()}")

    async def _reply(self, ask: Ask) -> Reply | None:
        try:
            return await self.door.attempt(ask)
        except (OSError, EOFError):  # not there yet
            self.door.close()
            return None

    async def settle(self, rounds: int = QUIET_ROUNDS) -> None:
        """Return when nothing waits for stitching, and what is served does not change. Raises OracleError."""
        began, quiet, before = time.perf_counter(), 0, None
        async with self.connected() as connection:
            while quiet < rounds:
                now = await connection.fetchrow(AT_REST)
                quiet = quiet + 1 if now == before and not now["waiting"] else 0
                before = now
                self._check(began, "rest")
                await asyncio.sleep(1.0)

    async def rows_written(self) -> dict[str, int]:
        """By table, since there is one."""
        await asyncio.sleep(STATISTICS_SECONDS)
        async with self.connected() as connection:
            return {row["relname"]: row["rows"] for row in await connection.fetch(WRITTEN)}

    async def database_bytes(self) -> int:
        """Of all tables of the catalog, with their indexes."""
        async with self.connected() as connection:
            return int(await connection.fetchval(SIZE))

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Any]:
        """A connection to its database."""
        connection = await asyncpg.connect(**self.database)
        try:
            yield connection
        finally:
            await connection.close()

    @property
    def postgres_version(self) -> str:
        """Of its own."""
        return self._postgres.version

    def postgres_memory(self) -> float:
        """Megabytes of its Postgres, what is shared counted once."""
        lines = (self._postgres.home.cluster / "postmaster.pid").read_text().splitlines()
        return weight.shared_out(weight.family(int(lines[0])))

    def _tail(self) -> str:
        lines = (self._folder / f"{self.name}.log").read_text().splitlines()[-20:]
        return "\n".join(line[:300] for line in lines)


class Upstream(Side):
    """The oracle's packages, with the plugins that Greenroom has."""

    name = "upstream"

    def __init__(
        self, folder: Path, entities: Path, modules: Path, postgres: Server, *, scaffolder: bool = False
    ) -> None:
        """`scaffolder`: with its plugins, too. Without them it is spared their memory and their start."""
        room, port, self._provider = folder / "upstream", free_port(), free_port()
        room.mkdir()
        (room / "node_modules").symlink_to(modules)
        shutil.copy(shared_folder() / "oracle" / "package.json", room)
        shutil.copy(Path(__file__).with_name("upstream.cjs"), room / "index.js")
        dsn = postgres.dsn
        connection = {"host": dsn["host"], "port": dsn["port"], "user": dsn["user"], "password": "none"}
        configs = _configs(room, port, {"backend": {"database": {"client": "pg", "connection": connection}}})
        environ = {"NODE_ENV": "production", "BENCH_FILE": str(entities), "BENCH_PORT": str(self._provider)}
        if scaffolder:
            environ["BENCH_SCAFFOLDER"] = "1"
        super().__init__(room, ["node", "index.js", *configs], environ, postgres, port)

    @property
    def database(self) -> dict[str, Any]:
        return self._postgres.to("backstage_plugin_catalog")

    async def feed(self) -> float:
        return (await self._fed()).seconds

    async def mutate(self) -> float:
        return float((await self._fed()).json()["seconds"])

    async def _fed(self) -> Reply:
        connection = Connection(self._provider)
        reply = await connection.ask(Ask("/", "POST"))
        connection.close()
        return reply


class Greenroom(Side):
    """`greenroom serve`, as installed."""

    name = "greenroom"
    RUN = "select id, finished_at, error from provider_runs where provider = $1 order by id desc limit 1"

    def __init__(self, folder: Path, entities: Path, postgres: Server, more: Mapping[str, Any] | None = None) -> None:
        """`more` is another layer of its configuration."""
        room, port = folder / "greenroom", free_port()
        room.mkdir()
        configs = _configs(room, port, {"catalog": {"providers": {"bench": {"path": str(entities)}}}}, more or {})
        plugins = pretend_installed(room / "plugins", {"bench": f"{timed.__name__}:timed"}, "bench")
        environ = {
            "GREENROOM_DATA": str(folder / "greenroom-data"),
            "PYTHONPATH": os.pathsep.join(map(str, filter(None, (plugins, REPOSITORY, os.environ.get("PYTHONPATH"))))),
            # As after an ordinary installation, which has the bytecode in place.
            "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        }
        super().__init__(room, [sys.executable, "-m", "greenroom", "serve", *configs], environ, postgres, port)
        self._entities = entities

    async def feed(self) -> float:
        async with self.connected() as connection:
            before = await self._another_run(connection, None)  # the one of the start
            door, began = self.connection(), time.time()  # the other one may be in use
            await door.ask(Ask(f"/api/greenroom/catalog/providers/{timed.PROVIDER}/trigger", "POST"))
            door.close()
            run = await self._another_run(connection, before["id"])
            return float(run["finished_at"].timestamp() - began)

    async def _another_run(self, connection: Any, before: int | None) -> Any:
        """The last run of its provider, which has ended. Raises OracleError when it went wrong."""
        began = time.perf_counter()
        while True:
            run = await connection.fetchrow(self.RUN, timed.PROVIDER)
            if run is not None and run["finished_at"] is not None and run["id"] != before:
                break
            self._check(began, "finish its provider's run")
            await asyncio.sleep(rest_after(time.perf_counter() - began))
        if run["error"]:
            raise OracleError(f"greenroom's provider failed: {run['error']}")
        return run

    async def mutate(self) -> float:
        marker = self._entities.with_name(timed.IN_MEMORY)
        marker.touch()
        try:
            await self.feed()
        finally:
            marker.unlink()
        times = msgspec.json.decode(self._entities.with_name(timed.TIMES).read_bytes())
        return float(times["seconds"])


@contextmanager
def running_alone(side: Side, sides: Iterable[Side]) -> Iterator[None]:
    """The others are paused: upstream goes through all of its entities again every two minutes, and would be measured, too."""
    with ExitStack() as stack:
        for other in sides:
            if other is not side:
                stack.enter_context(other.paused())
        yield


def rest_after(seconds: float) -> float:
    """How long to wait before the next look, after so long."""
    return max(SHORTEST_REST, SHARE_OF_WAITING * seconds)


def missing() -> str | None:
    """Why there is no upstream to compare with, in a few words; None if there can be one."""
    if shutil.which("node") is None:
        return "Node is not installed"
    if not (shared_folder() / "oracle" / "oracle.sh").is_file():
        return "there is no upstream: GREENROOM_SHARED does not name the shared folder"
    return None


def tools_missing() -> str | None:
    """What a measurement cannot do without, and how to get it, in one line."""
    return wrk.missing() or weight.missing()


def compare(measured: Callable[[], Coroutine[Any, Any, Report]], file: Path | None) -> int:
    """Measure both sides, tell, and write the figures to `file`, if there is one. Returns 1 when a row is below its floor, or a
    tool is missing; 0 also where there is no upstream."""
    if why := missing():
        sys.stdout.write(f"The comparison with upstream was skipped: {why}.\n")
        return 0
    if why := tools_missing():
        sys.stderr.write(f"Nothing was measured: {why}.\n")
        return 1
    report = run(measured())
    if file:
        report.save(file)
    sys.stdout.write("\n".join([told(report), "", *verdict(report.rows)]) + "\n")
    return 1 if any(row.fails for row in report.rows) else 0


@contextmanager
def workspace(purpose: str) -> Iterator[tuple[Path, Path]]:
    """A folder that goes with its servers, on a disk and not in memory; and the empty file of entities in it."""
    with tempfile.TemporaryDirectory(prefix=f"greenroom-{purpose}-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root, Postgres runs as another user
        (folder / FILES).mkdir()
        entities = folder / "entities.ndjson"
        entities.touch()
        yield folder, entities


def write(file: Path, documents: Iterable[Entity]) -> None:
    """One after another: a million of them would not fit into memory."""
    with file.open("wb") as lines:
        for document in documents:
            lines.write(msgspec.json.encode(document) + b"\n")


@asynccontextmanager
async def both_sides(
    folder: Path, entities: Path, *, scaffolder: bool = False
) -> AsyncIterator[tuple[Upstream, Greenroom]]:
    """Upstream (with its scaffolder, or without) and Greenroom, neither started, each with an empty Postgres that runs to the
    end; stopped then."""
    modules = await asyncio.to_thread(installed)
    async with (
        embedded_postgres(folder / "upstream-data") as theirs,
        embedded_postgres(folder / "greenroom-data") as ours,
    ):
        sides = Upstream(folder, entities, modules, theirs, scaffolder=scaffolder), Greenroom(folder, entities, ours)
        try:
            yield sides
        finally:
            for side in sides:
                await side.stop()


@asynccontextmanager
async def greenroom_alone(
    folder: Path, entities: Path, more: Mapping[str, Any] | None = None
) -> AsyncIterator[Greenroom]:
    """Greenroom, not started, with an empty Postgres; stopped at the end."""
    async with embedded_postgres(folder / "greenroom-data") as postgres:
        side = Greenroom(folder, entities, postgres, more)
        try:
            yield side
        finally:
            await side.stop()


def installed() -> Path:
    """Upstream's folder `node_modules`, filled by `oracle.sh install` if need be."""
    found = home() / "node_modules"
    if not found.exists():
        script = shared_folder() / "oracle" / "oracle.sh"
        subprocess.run([script, "install"], env={**os.environ, "ORACLE_HOME": str(home())}, check=True)
    return found.resolve()


def _configs(room: Path, port: int, *own: Mapping[str, Any]) -> list[str]:
    """What both are configured with, and what each has of its own, as arguments of either command line."""
    common = {
        "app": {"baseUrl": f"http://127.0.0.1:{port}"},
        "backend": {"listen": {"host": "127.0.0.1", "port": port}},
        "integrations": {"github": [{"host": HOST, "apiBaseUrl": f"https://{HOST}/api/v3"}]},
    }
    layers = {
        "base.yaml": fill((HERE / "base.yaml").read_text(), {"self": f"http://127.0.0.1:{port}"}).encode(),
        "common.yaml": msgspec.yaml.encode(common),
        **{f"own-{index}.yaml": msgspec.yaml.encode(layer) for index, layer in enumerate(own)},
    }
    for name, text in layers.items():
        (room / name).write_bytes(text)
    return [argument for name in layers for argument in ("--config", str(room / name))]
