"""Files are read out of followed repositories, as they were at the commit that was seen, and out of nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenroom.errors import NotAllowedError, NotFoundError, NotModifiedError
from greenroom.plugin import Tree
from greenroom.urls import UnreadableUrlError
from greenroom_plugins.git.command import GitError
from tests.plugins.git.conftest import MakeWorld, World
from tests.plugins.git.repositories import Remote


@pytest.fixture
async def here(world: MakeWorld, remote: Remote) -> World:
    remote.push(
        {
            "catalog-info.yaml": "one",
            "docs/text.md": "two",
            "docs/more.md": "three",
            "link.md": ("120000", "/etc/passwd"),
            "module": ("160000", "0" * 39 + "1"),
        }
    )
    here = world(repositories=[{"url": remote.url}])
    await here.run()
    return here


async def test_relative_targets_of_a_file_are_read_from_its_repository(here: World, remote: Remote) -> None:
    base = remote.target("catalog-info.yaml")
    assert (await here.urls.read(here.urls.resolve("./docs/text.md", base))).content == b"two"


async def test_an_unchanged_file_is_not_read_twice(here: World, remote: Remote) -> None:
    for path in ("catalog-info.yaml", "docs/text.md"):
        document = await here.urls.read(remote.target(path))
        with pytest.raises(NotModifiedError):
            await here.urls.read(remote.target(path), document.etag)


async def test_what_is_read_is_what_the_catalog_was_told_of(here: World, remote: Remote) -> None:
    remote.push({"catalog-info.yaml": "new"})
    assert (await here.urls.read(remote.target("catalog-info.yaml"))).content == b"one"
    await here.run()
    assert (await here.urls.read(remote.target("catalog-info.yaml"))).content == b"new"
    with pytest.raises(NotFoundError):
        await here.urls.read(remote.target("docs/text.md"))


async def test_another_process_without_a_mirror_fetches_it(here: World, world: MakeWorld, remote: Remote) -> None:
    other = world(repositories=[{"url": remote.url}], cache="other")
    assert (await other.urls.read(remote.target("docs/text.md"))).content == b"two"


async def test_another_process_can_read_after_the_seen_commit_was_forced_away(
    here: World, world: MakeWorld, remote: Remote
) -> None:
    remote.push({"catalog-info.yaml": "forced"}, force=True)
    remote.git("gc", "--prune=now", "--quiet")
    other = world(repositories=[{"url": remote.url}], cache="other")
    assert (await other.urls.read(remote.target("catalog-info.yaml"))).content == b"forced"


@pytest.mark.parametrize("path", ["link.md", "module", "docs", "missing.md", "docs/text.md/x"])
async def test_only_regular_files_are_read(here: World, remote: Remote, path: str) -> None:
    with pytest.raises(NotFoundError):
        await here.urls.read(remote.target(path))


@pytest.mark.parametrize(
    "path", ["%2e%2e/%2e%2e/etc/passwd", "..%2f..%2fetc%2fpasswd", "a%00b", "docs/", ":(top)docs/text.md"]
)
async def test_no_path_leads_out_of_the_tree(here: World, remote: Remote, path: str) -> None:
    with pytest.raises(NotFoundError):
        await here.reader.read(remote.target(path))


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "file:///etc/-/blob/main/passwd", "https://github.com/o/r/blob/main/x.yaml"]
)
async def test_no_other_repository_or_file_is_read(here: World, url: str) -> None:
    with pytest.raises(NotAllowedError):
        await here.urls.read(url)


async def test_a_repository_beside_the_folder_is_not_read(world: MakeWorld, tmp_path: Path) -> None:
    inside, outside = Remote(tmp_path / "srv" / "in.git"), Remote(tmp_path / "out.git")
    for remote in (inside, outside):
        remote.push({"catalog-info.yaml": "x"})
    here = world(folder=f"{tmp_path}/srv/*.git")
    await here.run()
    assert here.reader.reads(inside.target("catalog-info.yaml"))
    for url in (
        outside.target("catalog-info.yaml"),
        f"file://{tmp_path}/srv/../out.git/-/blob/main/catalog-info.yaml",
        f"file://{tmp_path}/srv/%2e%2e/out.git/-/blob/main/catalog-info.yaml",
        f"file://{tmp_path}/srv/deep/in.git/-/blob/main/catalog-info.yaml",
    ):
        with pytest.raises(NotAllowedError):
            await here.urls.read(url)


async def test_another_branch_is_not_served_under_this_ones_name(here: World, remote: Remote) -> None:
    remote.push({"catalog-info.yaml": "other"}, branch="other")
    with pytest.raises(NotFoundError, match="names no file of a repository and branch"):
        await here.urls.read(remote.target("catalog-info.yaml", "other"))


async def test_a_branch_with_a_slash_is_told_from_the_path(world: MakeWorld, remote: Remote) -> None:
    remote.push({"catalog-info.yaml": "x"}, branch="release/1")
    here = world(repositories=[{"url": remote.url, "branch": "release/1"}])
    source = await here.run()
    assert source.targets == {remote.target("catalog-info.yaml", "release/1")}
    assert (await here.urls.read(remote.target("catalog-info.yaml", "release/1"))).content == b"x"


async def test_a_pattern_stands_for_the_files_it_matches(here: World, remote: Remote) -> None:
    found = await here.urls.search(remote.target("docs/*.md"))
    assert [(url, document.content) for url, document in found] == [
        (remote.target("docs/more.md"), b"three"),
        (remote.target("docs/text.md"), b"two"),
    ]
    with pytest.raises(NotModifiedError):
        await here.urls.search(remote.target("docs/*.md"), found[0][1].etag)
    assert await here.urls.search(remote.target("*.md")) == []
    assert [url for url, _ in await here.urls.search(remote.target("catalog-info.yaml"))] == [
        remote.target("catalog-info.yaml")
    ]
    assert await here.urls.search(remote.target("missing.yaml")) == []


async def test_a_huge_file_is_refused(here: World, remote: Remote) -> None:
    mirror = here.provider.mirror(remote.url)
    file = await mirror.file(remote.tip(), b"docs/more.md")
    with pytest.raises(GitError, match="the file is larger than 2 bytes"):
        await mirror.content(file.blob, limit=2)


async def test_files_of_a_known_host_are_read_under_the_urls_of_its_pages(
    world: MakeWorld, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clone URL is github.com's; git itself is sent to the disk, as an `insteadOf` of the machine would."""
    remote.push({"catalog-info.yaml": "one", "sub/other.yaml": "two"})
    here = world(repositories=[{"url": "https://github.com/acme/app"}])
    mirror = here.provider.mirror("https://github.com/acme/app")
    local = here.provider.mirror(remote.url)
    for name in ("tip", "ensure", "files", "file", "content", "changed"):
        monkeypatch.setattr(mirror, name, getattr(local, name))
    source = await here.run()
    target = "https://github.com/acme/app/blob/main/catalog-info.yaml"
    assert source.targets == {target}
    assert (await here.urls.read(target)).content == b"one"
    resolved = here.urls.resolve("./sub/other.yaml", target)
    assert resolved == "https://github.com/acme/app/tree/main/sub/other.yaml"
    assert (await here.urls.read(resolved)).content == b"two"
    assert here.urls.edit_url(target) == "https://github.com/acme/app/edit/main/catalog-info.yaml"


def all_of(tree: Tree) -> dict[str, bytes | str]:
    """Content by path; of a link its target; an executable's path ends with a star."""
    return {f"{one.path}{'*' if one.executable else ''}": one.link or one.content for one in tree.files}


@pytest.fixture
async def skeleton(world: MakeWorld, remote: Remote) -> World:
    remote.push(
        {
            "catalog-info.yaml": "one",
            "skel/run": ("100755", "#!"),
            "skel/${{ values.name }}/a b.txt": b"\x00\xff\nblob 3\n",
            "skel/empty": "",
            "skel/deep/link": ("120000", "../run"),
            "skel/out": ("120000", "../../etc/passwd"),
            "skel/abs": ("120000", "/etc/passwd"),
            "skel/module": ("160000", "0" * 39 + "1"),
            b"skel/odd\xff": "odd",
            "skeletons/x": "x",
        }
    )
    here = world(repositories=[{"url": remote.url}])
    await here.run()
    return here


@pytest.mark.parametrize("path", ["skel", "skel/", "skel//"])
async def test_a_folder_is_read_whole_with_modes_links_and_binary_files(
    skeleton: World, remote: Remote, path: str
) -> None:
    tree = await skeleton.urls.tree(remote.target(path))
    assert all_of(tree) == {
        "run*": b"#!",
        "${{ values.name }}/a b.txt": b"\x00\xff\nblob 3\n",
        "empty": b"",
        "deep/link": "../run",
        "odd\udcff": b"odd",
    }
    assert tree.etag == remote.tip()
    with pytest.raises(NotModifiedError):
        await skeleton.urls.tree(remote.target(path), tree.etag)


async def test_a_template_finds_the_folder_beside_it_and_the_whole_repository(skeleton: World, remote: Remote) -> None:
    beside = skeleton.urls.resolve("./skel", remote.target("catalog-info.yaml"))
    assert "run*" in all_of(await skeleton.urls.tree(beside))
    for url in (remote.target(""), remote.target("").rstrip("/"), skeleton.urls.resolve(".", remote.target("x.yaml"))):
        assert {"catalog-info.yaml", "skel/run*"} < set(all_of(await skeleton.urls.tree(url)))


@pytest.mark.parametrize("path", ["missing", "catalog-info.yaml", "ske", "skel/../skeletons", "skel/run", ":(top)skel"])
async def test_what_is_no_folder_is_not_found(skeleton: World, remote: Remote, path: str) -> None:
    with pytest.raises(NotFoundError):
        await skeleton.reader.tree(remote.target(path))


async def test_a_folder_that_is_too_large_is_refused(
    skeleton: World, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom_plugins.git.mirror.MAX_TREE_BYTES", -900)
    with pytest.raises(GitError, match="the files of the folder are larger than"):
        await skeleton.urls.tree(remote.target("skel"))
    monkeypatch.setattr("greenroom_plugins.git.mirror.MAX_TREE_BYTES", 10_000)
    monkeypatch.setattr("greenroom.urls.trees.MAX_TREE_FILES", 2)
    with pytest.raises(UnreadableUrlError, match="more than 2 files"):
        await skeleton.urls.tree(remote.target("skel"))
