"""The disk of the cache folder is full: it is said so, all others go on, and when there is room again nobody has to do anything."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench.wire import Ask, Connection
from tests.faults.world import Scale, World, long, world
from tests.plugins.git.repositories import Remote
from tests.support.catalog import yaml_component
from tests.support.postgres import TestServer

MEGABYTE = 1_000_000
ROOM = 16 * MEGABYTE
PATIENCE = 90.0
REPOSITORIES = 3


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk with little room."""
    place = folder / "data"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "faults", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no small disk can be made: it needs root, and the right to mount")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@long
async def test_a_full_disk_of_the_cache_is_told_harms_no_other_source_and_is_overcome_as_soon_as_there_is_room(
    postgres_server: TestServer, folder: Path, small_disk: Path, scale: Scale
) -> None:
    draw = random.Random(1)
    remotes = [Remote(folder / "remotes" / f"{number}.git") for number in range(REPOSITORIES)]
    for number, remote in enumerate(remotes):
        remote.push({"catalog-info.yaml": _file(number, "first"), "binary": draw.randbytes(MEGABYTE).hex()})
    git = {"folder": str(folder / "remotes" / "*.git"), "schedule": {"frequency": {"seconds": 3}}}
    async with world(postgres_server, folder, scale._replace(entities=200), providers={"git": {"all": git}}) as place:
        place.fleet.start("api", "serve")
        await place.fleet.ready("api")
        await _until(place, [f"repository-{number}" for number in range(REPOSITORIES)], "first")

        filler = small_disk / "filler"
        _fill(filler)
        remotes[0].push({"catalog-info.yaml": _file(0, "second"), "binary": draw.randbytes(2 * MEGABYTE).hex()})
        error = await _until_failed(place)
        assert "No space left on device" in error, error
        await place.change(20, 5, 5)
        await place.settled()
        assert await _titles(place, ["repository-0", "repository-1", "repository-2"]) == ["first"] * 3

        filler.unlink()
        await _until(place, ["repository-0"], "second")
        remotes[1].push({"catalog-info.yaml": _file(1, "third")})
        await _until(place, ["repository-1"], "third")
        assert await _titles(place, ["repository-2"]) == ["first"]


def _file(number: int, title: str) -> str:
    return yaml_component(f"repository-{number}", extra=f"  title: {title}\n")


def _fill(file: Path) -> None:
    """To the last byte."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as out:
        while out.write(os.urandom(65536)):
            pass


async def _titles(place: World, names: list[str]) -> list[Any]:
    door = Connection(place.fleet.port("api"))
    try:
        replies = [await door.attempt(Ask(f"/api/catalog/entities/by-name/component/default/{name}")) for name in names]
    finally:
        door.close()
    return [reply.json()["metadata"].get("title") if reply.status == 200 else None for reply in replies]


async def _until(place: World, names: list[str], title: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while set(found := await _titles(place, names)) != {title}:
            await asyncio.sleep(0.3)
    assert found


async def _until_failed(place: World) -> str:
    door = Connection(place.fleet.port("api"))
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                runs = (await door.ask(Ask("/api/greenroom/catalog/providers/git:all/runs"))).json()["items"]
                if errors := [run["error"] for run in runs if run["error"]]:
                    return str(errors[0])
                await asyncio.sleep(0.3)
    finally:
        door.close()
