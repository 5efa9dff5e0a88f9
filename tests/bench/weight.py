"""What processes weigh, as Linux tells: the server's own, and its Postgres apart."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")


def missing() -> str | None:
    """Why nothing can be weighed here, in one line; None if it can."""
    return None if (PROC / "self" / "clear_refs").exists() else "memory and CPU are measured on Linux only"


def family(pid: int) -> list[int]:
    """A process and all that it has started."""
    return [pid, *(found for child in _children(pid) for found in family(child))]


def resident(pid: int) -> float:
    """Megabytes of a process and what it has started, now."""
    return sum(_status(one, "VmRSS:") for one in family(pid)) / 1024


def peak(pid: int) -> float:
    """The most megabytes that they had since `forget_peak`, each of them for itself."""
    return sum(_status(one, "VmHWM:") for one in family(pid)) / 1024


def forget_peak(pid: int) -> None:
    """From now on."""
    for one in family(pid):
        (PROC / str(one) / "clear_refs").write_text("5")


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has taken."""
    user, system = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def shared_out(pids: Iterable[int]) -> float:
    """Megabytes of processes that share memory, each page counted once among those who have it."""
    return sum(_proportional(pid) for pid in pids) / 1024


def _proportional(pid: int) -> int:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _children(pid: int) -> list[int]:
    try:
        tasks = list((PROC / str(pid) / "task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _status(pid: int, name: str) -> int:
    """Kilobytes."""
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(name))
