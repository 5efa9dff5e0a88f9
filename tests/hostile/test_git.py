"""Repositories that were made to hurt: links, submodules, names, refs, trees, blobs. Nothing of theirs runs or leads elsewhere."""

from __future__ import annotations

import asyncio
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from greenroom.errors import GreenroomError, NotFoundError
from greenroom_plugins.git import reader as reader_module
from greenroom_plugins.git.command import GitError
from greenroom_plugins.git.provider import SyncError
from tests.hostile.conftest import breathes
from tests.hostile.test_bombs import HEAD, REFUSED
from tests.plugins.git.conftest import MakeWorld, git_database, remote, world
from tests.plugins.git.repositories import ENVIRON, Remote

__all__ = ["git_database", "remote", "world"]

COMPONENT = HEAD.format("app")


async def test_a_chain_and_a_ring_of_links_are_no_files(world: MakeWorld, remote: Remote) -> None:
    remote.push(
        {
            "catalog-info.yaml": COMPONENT,
            "a": ("120000", "b"),
            "b": ("120000", "a"),
            "up/catalog-info.yaml": ("120000", "../../../../../etc/passwd"),
            "dir": ("120000", "/etc"),
            "self/catalog-info.yaml": ("120000", "catalog-info.yaml"),
        }
    )
    here = world(repositories=[{"url": remote.url}], paths=["**/catalog-info.yaml"])
    assert (await here.run()).targets == {remote.target("catalog-info.yaml")}
    for path in ("a", "b", "up/catalog-info.yaml", "dir/passwd", "self/catalog-info.yaml"):
        with pytest.raises(NotFoundError):
            await here.reader.read(remote.target(path))


async def test_submodules_are_never_fetched(world: MakeWorld, remote: Remote) -> None:
    asked: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    modules = "".join(
        f'[submodule "{name}"]\n path = {name}\n url = {url}\n update = !touch /tmp/owned\n branch = .\n'
        for name, url in (("m", f"http://127.0.0.1:{port}/x.git"), ("../../hooks", "-u./x"), ("e", "ext::sh -c id"))
    )
    remote.push({"catalog-info.yaml": COMPONENT, ".gitmodules": modules, "m": ("160000", "1" * 40)})
    async with server:
        here = world(repositories=[{"url": remote.url}])
        assert (await here.run()).targets == {remote.target("catalog-info.yaml")}
    assert asked == []


async def test_attributes_filters_and_config_of_a_repository_are_only_text(
    world: MakeWorld, remote: Remote, tmp_path: Path
) -> None:
    owned = tmp_path / "owned"
    remote.push(
        {
            "catalog-info.yaml": COMPONENT,
            ".gitattributes": "* filter=evil diff=evil merge=evil\n",
            ".git/config": "[core]\n fsmonitor = touch owned\n",
            ".lfsconfig": "[lfs]\n url = http://127.0.0.1:1/\n",
        }
    )
    for name, value in (
        ("filter.evil.smudge", f"touch {owned}"),
        ("diff.evil.textconv", f"touch {owned}"),
        ("core.fsmonitor", f"touch {owned}"),
        ("core.sshCommand", f"touch {owned}"),
        ("uploadpack.packObjectsHook", f"touch {owned}"),
        ("alias.ls-tree", f"!touch {owned}"),
    ):
        remote.git("config", name, value)
    here = world(repositories=[{"url": remote.url}])
    await here.run()
    assert (await here.reader.read(remote.target("catalog-info.yaml"))).content == COMPONENT.encode()
    assert not owned.exists()


@pytest.mark.parametrize(
    "branch",
    ["-x", "--upload-pack=touch owned".replace(" ", "%20"), "-oProxyCommand=id", "a;id", "a$(id)", "HEAD", "a'b\"c"],
)
async def test_a_branch_that_is_called_like_an_option_is_a_branch(
    world: MakeWorld, remote: Remote, branch: str
) -> None:
    remote.push({"catalog-info.yaml": COMPONENT})
    remote.git("update-ref", f"refs/heads/{branch}", remote.tip())
    remote.set_head(branch)
    here = world(repositories=[{"url": remote.url}])
    [target] = (await here.run()).targets
    assert (await here.reader.read(target)).content == COMPONENT.encode()


def _tree(remote: Remote, *entries: tuple[bytes, bytes, str]) -> str:
    """A tree as git would not write one: (mode, name, object)."""
    content = b"".join(mode + b" " + name + b"\0" + bytes.fromhex(object_) for mode, name, object_ in entries)
    command = ["git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally"]
    done = subprocess.run(command, cwd=remote.path, input=content, env=ENVIRON, check=True, capture_output=True)
    return done.stdout.decode().strip()


async def test_a_tree_made_by_hand_leads_nowhere(world: MakeWorld, remote: Remote) -> None:
    remote.push({"catalog-info.yaml": COMPONENT})
    blob = remote.git("rev-parse", "HEAD:catalog-info.yaml").decode().strip()
    inner = _tree(remote, (b"100644", b"catalog-info.yaml", blob))
    outer = _tree(
        remote,
        (b"40000", b".", inner),
        (b"40000", b"..", inner),
        (b"40000", b".git", inner),
        (b"40000", b"a/../..", inner),
        (b"100644", b"catalog-info.yaml", blob),
        (b"40000", b"sound", inner),
    )
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.org"]
    commit = remote.git(*identity, "commit-tree", outer, "-m", "x").decode().strip()
    remote.git("update-ref", "refs/heads/main", commit)
    here = world(repositories=[{"url": remote.url}], paths=["**/catalog-info.yaml", "../catalog-info.yaml"])
    source = await here.run()
    assert source.targets == {remote.target("catalog-info.yaml"), remote.target("sound/catalog-info.yaml")}


async def test_names_that_differ_in_case_alone_are_two_files(world: MakeWorld, remote: Remote) -> None:
    remote.push({"A/catalog-info.yaml": "upper", "a/catalog-info.yaml": "lower", "a/Catalog-Info.yaml": "no"})
    here = world(repositories=[{"url": remote.url}], paths=["**/catalog-info.yaml"])
    assert (await here.run()).targets == {remote.target("A/catalog-info.yaml"), remote.target("a/catalog-info.yaml")}
    assert (await here.reader.read(remote.target("A/catalog-info.yaml"))).content == b"upper"
    assert (await here.reader.read(remote.target("a/catalog-info.yaml"))).content == b"lower"


async def test_a_tree_of_100_000_files_is_gone_through_while_others_are_served(
    world: MakeWorld, remote: Remote
) -> None:
    remote.push({**{f"d{n % 300}/f{n}": "" for n in range(100_000)}, "catalog-info.yaml": COMPONENT})
    here = world(repositories=[{"url": remote.url}], paths=["**/catalog-info.yaml"])
    async with breathes():
        assert (await here.run()).targets == {remote.target("catalog-info.yaml")}


async def test_more_catalog_files_than_anybody_has_are_refused(
    world: MakeWorld, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom_plugins.git.provider.MAX_FILES", 100)
    remote.push({f"d{n}/catalog-info.yaml": "" for n in range(101)})
    here = world(repositories=[{"url": remote.url}], paths=["**/catalog-info.yaml"])
    with pytest.raises(SyncError, match="more than 100 files match"):
        await here.run()


async def test_a_pattern_does_not_bring_more_than_memory_holds(
    world: MakeWorld, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "MAX_BYTES", 10_000)
    remote.push({**{f"x/{n}.yaml": "#" * 3_000 for n in range(3)}, **{f"y/{n}.yaml": "#" * 3_000 for n in range(4)}})
    here = world(repositories=[{"url": remote.url}])
    await here.run()
    assert len(await here.reader.search(remote.target("x/*.yaml"))) == 3
    with pytest.raises(GitError, match="larger than 10000 bytes together"):
        await here.reader.search(remote.target("y/*.yaml"))


async def test_a_blob_of_30_mb_is_refused_and_its_neighbour_read(world: MakeWorld, remote: Remote) -> None:
    remote.push({"huge.yaml": b"\0" * 30_000_000, "catalog-info.yaml": COMPONENT})
    here = world(repositories=[{"url": remote.url}])
    await here.run()
    with pytest.raises(GitError, match="larger than"):
        await here.reader.read(remote.target("huge.yaml"))
    assert (await here.reader.read(remote.target("catalog-info.yaml"))).content == COMPONENT.encode()


@pytest.mark.parametrize(
    "path", ["a" * 19_000, "a" * 300_000, "a/" * 200_000 + "b", "*x" * 500, "**/" * 500 + "x", "{a,b}" * 30]
)
async def test_no_path_is_too_long_to_be_told_that_it_is_not_there(world: MakeWorld, remote: Remote, path: str) -> None:
    remote.push({"catalog-info.yaml": COMPONENT})
    here = world(repositories=[{"url": remote.url}])
    await here.run()
    async with asyncio.timeout(60):
        with suppress(GreenroomError):
            assert await here.reader.search(remote.target(path)) == []


async def test_a_bomb_in_a_repository_is_a_file_like_any_other(world: MakeWorld, remote: Remote) -> None:
    bomb, _ = REFUSED["aliases that stand for billions"]
    remote.push({"catalog-info.yaml": bomb})
    here = world(repositories=[{"url": remote.url}])
    [target] = (await here.run()).targets
    assert (await here.reader.read(target)).content == bomb.encode()
