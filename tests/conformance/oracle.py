"""The real upstream backend, started for one data set: `oracle.sh` of the shared folder, on ports and a database of its own."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg

REPOSITORY = Path(__file__).parents[2]
QUIET_ROUNDS, ROUND_SECONDS, PATIENCE_SECONDS = 6, 0.5, 40.0


class OracleError(Exception):
    """The oracle did not do what was asked of it"""


def shared_folder() -> Path:
    """Where the oracle's scripts are: `GREENROOM_SHARED`, or `shared` beside the repository."""
    return Path(os.environ.get("GREENROOM_SHARED") or REPOSITORY.parent / "shared")


def home() -> Path:
    """Where upstream is installed and its database lives: `ORACLE_HOME`, or a cache of the recorder's own."""
    return Path(os.environ.get("ORACLE_HOME") or Path.home() / ".cache" / "greenroom-conformance")


def prepared_home() -> Path:
    """The same, there. Packages that `oracle.sh` has installed in its usual place already are used by the recorder's own."""
    own, installed = home(), Path.home() / ".cache" / "greenroom-oracle"
    if os.environ.get("ORACLE_HOME"):
        return own
    own.mkdir(parents=True, exist_ok=True)
    if not (own / "node_modules").exists() and (installed / "node_modules").is_dir():
        (own / "node_modules").symlink_to(installed / "node_modules")
    return own


class Oracle:
    """A started upstream."""

    def __init__(self, base: str, database_port: int, seeds: int) -> None:
        self.base, self._database_port, self._seeds = base, database_port, seeds

    async def settle(self, rounds: int = QUIET_ROUNDS) -> None:
        """Wait until nothing is due, nothing waits for stitching, and the tables stopped changing. Raises OracleError."""
        connection = await asyncpg.connect(
            host="127.0.0.1", port=self._database_port, user="postgres", database="backstage_plugin_catalog"
        )
        try:
            await asyncio.wait_for(self._quiet(connection, rounds), PATIENCE_SECONDS)
        except TimeoutError:
            raise OracleError(
                f"the oracle did not come to rest: {dict(await connection.fetchrow(PROGRESS) or {})}"
            ) from None
        finally:
            await connection.close()

    async def _quiet(self, connection: asyncpg.Connection, rounds: int) -> None:
        quiet, before = 0, None
        while quiet < rounds:
            now = await connection.fetchrow(PROGRESS)
            assert now is not None
            resting = now["entities"] >= self._seeds and not now["due"] and not now["stitches"] and not now["untouched"]
            quiet = quiet + 1 if resting and now == before else 0
            before = now
            await asyncio.sleep(ROUND_SECONDS)
        self._seeds = 0  # all have come; some may be deleted later


# An entity that cannot be stitched keeps its ticket, and is tried again a minute later: such a ticket is not waited for.
PROGRESS = """
select (select count(*) from refresh_state) as entities,
       (select count(*) from refresh_state where next_update_at <= now()) as due,
       (select count(*) from refresh_state where processed_entity is null and errors in ('', '[]')) as untouched,
       (select count(*) from stitch_queue where next_stitch_at <= now()) as stitches,
       (select max(next_update_at) from refresh_state) as latest,
       (select string_agg(hash, ',' order by entity_id) from final_entities) as hashes
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def upstream(seed: Path | None, config: Path, more: Mapping[str, str] | None = None) -> AsyncIterator[Oracle]:
    """A freshly emptied upstream with this seed and config layer, seeded and at rest; stopped at the end.

    `more` is what else its environment says."""
    port, database_port = free_port(), free_port()
    environ = {
        **os.environ,
        "ORACLE_HOME": str(home()),
        "ORACLE_PORT": str(port),
        "ORACLE_PG_PORT": str(database_port),
        "CONFIG": str(config),
        **({"SEED": str(seed)} if seed else {}),
        **(more or {}),
    }
    prepared_home().mkdir(parents=True, exist_ok=True)
    with _alone_in(home()):
        await _oracle_sh("reset", environ)
        try:
            await _oracle_sh("start", environ)
            oracle = Oracle(f"http://127.0.0.1:{port}", database_port, _lines(seed) if seed else 0)
            await oracle.settle()
            yield oracle
        finally:
            await _oracle_sh("reset", environ)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Two upstreams in one home would end each other. Raises OracleError where there is one already."""
    with (folder / "used.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OracleError(f"another run has its upstream in {folder}: wait for it, or set ORACLE_HOME") from None
        yield


def _lines(path: Path) -> int:
    return sum(1 for line in path.read_text().splitlines() if line)


async def _oracle_sh(command: str, environ: dict[str, str]) -> None:
    script = shared_folder() / "oracle" / "oracle.sh"
    with (home() / "oracle.sh.log").open("w+") as log:
        process = await asyncio.create_subprocess_exec(str(script), command, env=environ, stdout=log, stderr=log)
        if await process.wait():
            log.seek(0)
            raise OracleError(f"oracle.sh {command} failed:\n{log.read()}")
