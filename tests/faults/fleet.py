"""Servers and workers of one catalog, as processes of their own that can be killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg

from tests.bench.entities import HOST
from tests.bench.wire import TOKEN, Ask, Connection
from tests.faults.seen import Undone, undone
from tests.support.processes import READINESS, Process, started, until

PROVIDER = "ndjson:churn"
PATIENCE = 240.0
TAKEN = (200, 202, 204)
KINDS = ["Component", "API", "Resource", "System", "Domain", "Group", "User", "Location"]


def configuration(
    file: Path, *, port: int = 0, database: Mapping[str, Any] | None = None, **catalog: Any
) -> dict[str, Any]:
    """An app-config. No `database`: the embedded one. `catalog` is added to that section."""
    providers = catalog.pop("providers", {})
    backend: dict[str, Any] = {
        "listen": {"host": "127.0.0.1", "port": port},
        "auth": {"externalAccess": [{"type": "static", "options": {"token": TOKEN, "subject": "tests"}}]},
    }
    if database is not None:
        backend["database"] = {"client": "pg", **database}
    return {
        "backend": backend,
        "integrations": {"github": [{"host": HOST, "apiBaseUrl": f"https://{HOST}/api/v3"}]},
        "catalog": {
            "processingInterval": {"days": 30},
            "rules": [{"allow": KINDS}],
            **catalog,
            "providers": {
                **providers,
                "ndjson": {"churn": {"path": str(file)}, **providers.get("ndjson", {})},
            },
        },
    }


class Logs:
    """The logs of a folder, each line of them once: to read all of an hour's again would take a second."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: Counter[Path] = Counter()

    def more(self, *levels: str) -> list[dict[str, Any]]:
        """The whole lines of these levels that have come since the last time."""
        return [
            one
            for log in sorted(self._folder.glob("*.log"))
            for line in self._lines(log)
            if line.startswith(b"{") and (one := json.loads(line))["level"] in levels
        ]

    def _lines(self, log: Path) -> list[bytes]:
        with log.open("rb") as file:
            file.seek(self._read[log])
            whole, end, _ = file.read().rpartition(b"\n")
        self._read[log] += len(whole + end)
        return whole.splitlines()


class Fleet:
    """Processes by name. `database` are arguments of `asyncpg.connect` for looking into their database."""

    def __init__(
        self, folder: Path, config: Mapping[str, Any], database: Mapping[str, Any], *, before: str | None = None
    ) -> None:
        """`before` is Python that each process runs first."""
        self.folder, self.database, self.before = folder, dict(database), before
        self.config = folder / "app-config.yaml"
        self.config.write_text(json.dumps(config))  # JSON is YAML
        self.environ: dict[str, str] = {"GREENROOM_DATA": str(folder / "data")}
        self.running: dict[str, tuple[Process, ExitStack]] = {}
        self.starts = 0

    def start(self, name: str, *arguments: str) -> Process:
        """`fleet.start("api", "serve", "--api-only")`. Does not wait until it is ready."""
        self.starts += 1
        stack = ExitStack()
        log = self.folder / f"{name}-{self.starts}.log"
        line = [*arguments, "--config", str(self.config), *(["--port", "0"] if arguments[0] == "worker" else [])]
        process = stack.enter_context(started(log, line, self.environ, before=self.before))
        self.running[name] = process, stack
        return process

    def process(self, name: str) -> Process:
        """One that runs."""
        return self.running[name][0]

    def kill(self, name: str) -> None:
        """As the kernel does when memory is short: at once, without a word."""
        self.end(name, signal.SIGKILL)

    def end(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        """End one, and forget it."""
        process, stack = self.running.pop(name)
        with stack:
            process.stop(how)

    def end_all(self) -> None:
        """All of them, in order."""
        for name in list(self.running):
            process, stack = self.running.pop(name)
            with stack:
                if process.process.poll() is None:
                    process.process.terminate()

    def logged(self, *levels: str) -> list[dict[str, Any]]:
        """The log lines of these levels of all processes, also of those that ended."""
        return Logs(self.folder).more(*levels)

    def port(self, name: str) -> int:
        """Where it listens."""
        return int(self.process(name).url.rpartition(":")[2])

    async def ready(self, *names: str) -> None:
        """Wait until these are."""
        for name in names:
            process = self.process(name)
            await asyncio.to_thread(until, partial(_is_ready, process), PATIENCE)

    async def trigger(self, api: str, provider: str = PROVIDER) -> None:
        """Have the provider run, whoever does it. Tries until somebody takes the order."""
        deadline = time.monotonic() + PATIENCE
        order = Ask(f"/api/greenroom/catalog/providers/{provider}/trigger", "POST")
        while await self._status(api, order) not in TAKEN:
            assert time.monotonic() < deadline, f"nobody takes the order to run {provider}"
            await asyncio.sleep(0.1)

    async def _status(self, api: str, ask: Ask) -> int | None:
        """None where nobody answers."""
        door = Connection(await asyncio.to_thread(self.port, api))
        try:
            return (await door.attempt(ask)).status
        except (OSError, EOFError):
            return None
        finally:
            door.close()

    async def last_run(self, provider: str = PROVIDER) -> int:
        """The number of the provider's last run so far."""
        connection = await self.look()
        try:
            return int(
                await connection.fetchval(
                    "select coalesce(max(id), 0) from provider_runs where provider = $1", provider
                )
            )
        finally:
            await connection.close()

    async def look(self) -> Any:
        """A connection to the database, once it answers."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return await asyncpg.connect(**self.database, timeout=10)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)

    async def settled(self, after: int = 0, provider: str = PROVIDER, patience: float = PATIENCE) -> float:
        """Seconds until a run later than `after` has ended well, and nothing is left to do. Fails when that never comes."""
        began = time.monotonic()
        while True:
            left = await self._left(after, provider)
            if left is None:
                return time.monotonic() - began
            if time.monotonic() - began > patience:
                raise AssertionError(f"it does not come to rest: {left}\n{self._last_words()}")
            await asyncio.sleep(0.25)

    async def _left(self, after: int, provider: str) -> str | None:
        try:
            connection = await self.look()
            try:
                run = await connection.fetchrow(LAST_RUN, provider)
                left = await undone(connection)
            finally:
                await connection.close(timeout=5)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            return f"the database went away: {error!r}"
        if run is None or run["id"] <= after or not run["well"]:
            return f"the provider's last run: {dict(run) if run else None}, wanted one after {after}"
        return None if left == Undone(0, 0, 0) else str(left)

    def _last_words(self) -> str:
        said = [
            f"{one['level']}: {one['message']} {one.get('stack', '')[-600:]}" for one in self.logged("error", "warn")
        ]
        alive = {name: process.process.poll() for name, (process, _) in self.running.items()}
        return "\n".join([f"processes: {alive}", *said[:6], "…", *said[-6:]])


def _is_ready(process: Process) -> bool:
    return process.get(READINESS)[0] == 200


LAST_RUN = """
    SELECT r.id, r.error, r.finished_at IS NOT NULL AND r.error IS NULL AND p.triggered_at IS NULL AS well
    FROM provider_runs r JOIN providers p ON p.name = r.provider WHERE r.provider = $1 ORDER BY r.id DESC LIMIT 1
"""


@contextlib.contextmanager
def fleet(
    folder: Path, config: Mapping[str, Any], database: Mapping[str, Any], *, before: str | None = None
) -> Iterator[Fleet]:
    """Ended at the end of the block, whatever it did."""
    made = Fleet(folder, config, database, before=before)
    try:
        yield made
    finally:
        made.end_all()


__all__ = ["PROVIDER", "Fleet", "configuration", "fleet"]
