"""How a running catalog is, at one moment: its processes, its tables, its queues, and what those who read it had to wait."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tests.soak.readers import Read

TABLES = """
    SELECT relname AS name, pg_table_size(relid) AS heap, pg_indexes_size(relid) AS indexes, n_dead_tup AS dead, n_live_tup AS live
    FROM pg_stat_user_tables WHERE schemaname = 'public'
"""
QUEUES = """
    SELECT (SELECT count(*) FROM refresh_schedule WHERE next_update_at < now()) AS due,
           (SELECT coalesce(extract(epoch FROM now() - min(next_update_at)), 0)::float8 FROM refresh_schedule
            WHERE next_update_at < now()) AS oldest_due,
           (SELECT count(*) FROM stitch_queue) AS stitching,
           (SELECT coalesce(extract(epoch FROM now() - min(requested_at)), 0)::float8 FROM stitch_queue) AS oldest_ticket
"""
CONNECTIONS = """
    SELECT coalesce(state, 'other') AS state, count(*) AS number FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() GROUP BY 1
"""


class Table(msgspec.Struct, frozen=True):
    """Bytes and rows of one table."""

    heap: int
    indexes: int
    dead: int
    live: int


class Waits(msgspec.Struct, frozen=True):
    """Of the requests of one kind: how many, and milliseconds until they were answered."""

    number: int
    p50: float
    p95: float
    p99: float


class Sample(msgspec.Struct, frozen=True):
    """One moment. Megabytes of memory by process; `postgres` is what its processes have of their own, together."""

    at: float
    """Seconds since the churn began."""
    memory: dict[str, float]
    cpu: dict[str, float]
    """Seconds that each process has used so far."""
    files: dict[str, int]
    """Open descriptors."""
    waits: dict[str, Waits]
    problems: list[str]
    """Requests that went wrong, the first few."""
    failed: int
    tables: dict[str, Table]
    connections: dict[str, int]
    queues: dict[str, float]
    errors: int
    """Log lines of level error so far."""
    load: float
    """Of the machine, over a minute: others may be busy."""

    @property
    def size(self) -> int:
        """Bytes of all tables, with their indexes."""
        return sum(table.heap + table.indexes for table in self.tables.values())


async def look(connection: Any) -> tuple[dict[str, Table], dict[str, int], dict[str, float]]:
    """Tables, connections and queues."""
    tables = {name: Table(*rest) for name, *rest in await connection.fetch(TABLES)}
    held = {row["state"]: row["number"] for row in await connection.fetch(CONNECTIONS)}
    return tables, held, {name: float(value) for name, value in (await connection.fetchrow(QUEUES)).items()}


def memory(pid: int) -> float:
    """Resident megabytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has taken."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def files(pid: int) -> int:
    """Open descriptors of a process."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def own_memory(postmaster: int) -> float:
    """Megabytes that Postgres and its children have of their own, beside the buffers that they share and that fill in time."""
    total = 0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (int(folder.name) == postmaster or _parent(folder) == postmaster):
            total += _anonymous(folder)
    return total / 1e3


def waits(reads: Iterable[Read]) -> dict[str, Waits]:
    """By kind."""
    times: dict[str, list[float]] = defaultdict(list)
    for read in reads:
        times[read.kind].append(read.seconds * 1000)
    return {kind: _waits(sorted(found)) for kind, found in times.items()}


def _waits(found: Sequence[float]) -> Waits:
    return Waits(
        len(found), *(round(found[min(len(found) - 1, int(len(found) * part))], 2) for part in (0.5, 0.95, 0.99))
    )


def _parent(folder: Path) -> int | None:
    try:
        return int(folder.joinpath("stat").read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has just ended
        return None


def _anonymous(folder: Path) -> int:
    """Kilobytes; 0 for one that has just ended, or may not be looked at."""
    try:
        lines: Mapping[str, str] = dict(
            line.split(":", 1) for line in folder.joinpath("smaps_rollup").read_text().splitlines()[1:]
        )
    except OSError:
        return 0
    return int(lines["Pss_Anon"].split()[0])
