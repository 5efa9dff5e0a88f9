"""Files come out of a mirror a few at a time, and each as it is, whatever is wrong with the others."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from greenroom_plugins.git.addresses import Address
from greenroom_plugins.git.command import Access, Git, GitError
from greenroom_plugins.git.mirror import Mirror
from tests.plugins.git.repositories import ENVIRON, Remote


class CountingGit(Git):
    runs = 0

    async def run(self, *arguments: str | bytes, **options: Any) -> bytes:
        self.runs += 1
        return await super().run(*arguments, **options)


CONTENT = {f"{number}.yaml": f"kind: {number}\n\nÜ\n" * number for number in range(40)}
"""The first is empty."""


async def _mirror(remote: Remote, folder: Path) -> tuple[Mirror, CountingGit, dict[str, str]]:
    """With the name of each file's blob."""
    remote.push({path.encode(): content for path, content in CONTENT.items()})
    git = CountingGit(folder / "cache", ENVIRON)
    mirror = Mirror(git, folder / "cache", Access(Address.parse(remote.url), "someone", None))
    commit = await mirror.ensure(remote.tip())
    blobs = {file.path.decode(): file.blob async for file in mirror.files(commit)}
    git.runs = 0
    return mirror, git, blobs


async def test_many_files_are_read_by_few_gits(remote: Remote, tmp_path: Path) -> None:
    mirror, git, blobs = await _mirror(remote, tmp_path)
    read = await asyncio.gather(*(mirror.content(blobs[path]) for path in CONTENT))
    assert [content.decode() for content in read] == list(CONTENT.values())
    assert git.runs <= 3


async def test_a_file_that_is_missing_or_too_large_fails_alone(remote: Remote, tmp_path: Path) -> None:
    mirror, _, blobs = await _mirror(remote, tmp_path)
    good, missing, large, another = await asyncio.gather(
        mirror.content(blobs["1.yaml"]),
        mirror.content("0" * 40),
        mirror.content(blobs["39.yaml"], limit=10),
        mirror.content(blobs["2.yaml"]),
        return_exceptions=True,
    )
    assert (good, another) == (CONTENT["1.yaml"].encode(), CONTENT["2.yaml"].encode())
    assert isinstance(missing, GitError)
    assert isinstance(large, GitError)
    assert "larger than 10 bytes" in str(large)


async def test_who_gives_up_takes_no_other_along(remote: Remote, tmp_path: Path) -> None:
    mirror, _, blobs = await _mirror(remote, tmp_path)
    first, second, third = (asyncio.create_task(mirror.content(blobs[f"{number}.yaml"])) for number in (1, 2, 3))
    await asyncio.sleep(0)
    first.cancel()
    assert [await second, await third] == [CONTENT["2.yaml"].encode(), CONTENT["3.yaml"].encode()]
    with pytest.raises(asyncio.CancelledError):
        await first
