"""Where figures come from: versions of all that was measured, the machine, the commit and the hour."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from tests.conformance.oracle import REPOSITORY


class Machine(msgspec.Struct):
    """What it ran on."""

    cores: int
    cpu: str
    memory_gb: float
    system: str
    load: float
    """Of the last minute before: above one half, figures are those of a busy machine."""


class Origin(msgspec.Struct):
    """All that somebody needs who doubts a figure."""

    at: datetime
    commit: str
    machine: Machine
    versions: dict[str, str]


def origin(modules: Path | None = None) -> Origin:
    """Of this run; `modules` is upstream's folder of packages, where it takes part."""
    versions = {"greenroom": version("greenroom"), "python": platform.python_version()}
    if modules is not None:
        package = modules / "@backstage" / "plugin-catalog-backend" / "package.json"
        versions["@backstage/plugin-catalog-backend"] = msgspec.json.decode(package.read_bytes())["version"]
        versions["node"] = _said("node", "--version").lstrip("v")
    return Origin(datetime.now(UTC), _commit(), _machine(), versions)


def _machine() -> Machine:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"{platform.system()} {platform.release()}"
    return Machine(os.cpu_count() or 1, _cpu(), round(memory, 1), system, round(os.getloadavg()[0], 2))


def _cpu() -> str:
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _commit() -> str:
    """With a sign where files differ from it."""
    try:
        return _said("git", "-C", str(REPOSITORY), "describe", "--always", "--dirty", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
