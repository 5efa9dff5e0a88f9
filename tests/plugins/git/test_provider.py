"""What is in the repositories is in the catalog, and nothing is lost when repositories, hosts or processes misbehave."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import pytest

from greenroom.db import Database
from greenroom.urls import Integrations
from greenroom_plugins.git.addresses import Address, fill, forms
from greenroom_plugins.git.command import GitError
from greenroom_plugins.git.provider import SyncError, location_ref
from tests.plugins.git.conftest import MakeWorld
from tests.plugins.git.repositories import Remote
from tests.support.waiting import slowness

COMPONENT = "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: app}\n"


class KilledError(Exception):
    """Stands for the end of the process."""


async def test_a_catalog_file_becomes_a_location(world: MakeWorld, remote: Remote) -> None:
    remote.push({"catalog-info.yaml": COMPONENT, "README.md": "x"})
    source = await world(repositories=[{"url": remote.url}]).run()
    target = remote.target("catalog-info.yaml")
    ref = location_ref(target)
    assert source.entities == {
        ref: {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": "Location",
            "metadata": {
                "name": ref.removeprefix("location:default/"),
                "annotations": {
                    "backstage.io/managed-by-location": f"url:{target}",
                    "backstage.io/managed-by-origin-location": f"url:{target}",
                },
            },
            "spec": {"type": "url", "target": target, "presence": "required"},
        }
    }
    assert source.location_keys == {ref: "git:test"}


async def test_an_unchanged_repository_costs_the_catalog_nothing(world: MakeWorld, remote: Remote) -> None:
    remote.push({"catalog-info.yaml": COMPONENT})
    here = world(repositories=[{"url": remote.url}])
    await here.run()
    before = dict(here.source.entities)
    assert (await here.run()).calls == [("delta", (list(before), []))]  # which changes nothing
    assert (here.source.entities, here.source.refreshed) == (before, [])


async def test_a_location_that_somebody_deleted_comes_back(world: MakeWorld, remote: Remote) -> None:
    remote.push({"catalog-info.yaml": COMPONENT})
    here = world(repositories=[{"url": remote.url}])
    await here.run()
    here.source.entities.clear()
    assert len((await here.run()).entities) == 1


async def test_a_repository_is_left_alone_until_it_is_due(
    world: MakeWorld, remote: Remote, git_database: Database
) -> None:
    remote.push({"catalog-info.yaml": COMPONENT})
    here = world(repositories=[{"url": remote.url}], schedule={"frequency": timedelta(hours=1)})
    await here.run()
    remote.push({"catalog-info.yaml": COMPONENT, "other/catalog-info.yaml": COMPONENT})
    here.source.forget_calls()
    await here.provider.run(here.source)
    assert here.source.calls == []
    due = await git_database.fetchval("select due_at - now() from git_repository")
    assert timedelta(minutes=59) < due <= timedelta(hours=1)


async def test_a_repository_does_not_wait_for_a_day_when_the_clock_was_a_day_ahead_and_is_put_right(
    world: MakeWorld, remote: Remote
) -> None:
    remote.push({"catalog-info.yaml": COMPONENT})
    schedule = {"frequency": timedelta(hours=1)}
    here = world(repositories=[{"url": remote.url}], paths=["**/catalog-info.yaml"], schedule=schedule)
    await here.provider.run(here.source)
    await here.database.execute(
        "update git_repository set due_at = due_at + interval '1 day', checked_at = checked_at + interval '1 day', "
        "lease_until = now() + interval '1 day'"
    )
    remote.push({"catalog-info.yaml": COMPONENT, "more/catalog-info.yaml": COMPONENT})
    await here.provider.run(here.source)
    assert len(here.source.entities) == 2


async def test_a_run_by_hand_looks_at_a_repository_that_is_not_due_and_says_how_far_it_came(
    world: MakeWorld, remote: Remote
) -> None:
    remote.push({"catalog-info.yaml": COMPONENT})
    schedule = {"frequency": timedelta(hours=1)}
    here = world(repositories=[{"url": remote.url}], paths=["**/catalog-info.yaml"], schedule=schedule)
    await here.provider.run(here.source)
    assert here.source.progressed == (1, 1)
    remote.push({"catalog-info.yaml": COMPONENT, "other/catalog-info.yaml": COMPONENT})
    await here.provider.run(here.source)
    assert (len(here.source.entities), here.source.progressed) == (1, (0, 0))
    here.source.by_hand = True
    await here.provider.run(here.source)
    assert (len(here.source.entities), here.source.progressed) == (2, (1, 1))


async def test_files_come_go_and_move_in_one_step(world: MakeWorld, remote: Remote) -> None:
    remote.push({"a/catalog-info.yaml": COMPONENT, "b/catalog-info.yaml": COMPONENT})
    here = world(repositories=[{"url": remote.url}], paths=["**/catalog-info.yaml"])
    await here.run()
    remote.push({"b/catalog-info.yaml": COMPONENT, "moved/catalog-info.yaml": COMPONENT})
    source = await here.run()
    assert source.targets == {remote.target("b/catalog-info.yaml"), remote.target("moved/catalog-info.yaml")}
    assert source.calls[0] == (
        "delta",
        (
            [location_ref(remote.target("moved/catalog-info.yaml"))],
            [location_ref(remote.target("a/catalog-info.yaml"))],
        ),
    )


async def test_a_changed_file_is_read_again_with_whatever_includes_it(world: MakeWorld, remote: Remote) -> None:
    remote.push({"catalog-info.yaml": COMPONENT, "docs/text.md": "1", "same.md": "x"})
    here = world(repositories=[{"url": remote.url}])
    await here.run()
    remote.push({"catalog-info.yaml": COMPONENT + "spec: {}\n", "docs/text.md": "2", "same.md": "x"})
    source = await here.run()
    assert sorted(source.refreshed) == [
        f"url:{remote.target('catalog-info.yaml')}",
        f"url:{remote.target('docs/text.md')}",
    ]


async def test_on_github_a_change_is_known_by_both_spellings_of_a_file() -> None:
    """Upstream turns `blob` into `tree` when it resolves a relative target, so both are in use."""
    spelled = [
        fill(form, "main", b"a.yaml")
        for form in forms(Address.parse("git@github.com:o/r.git"), Integrations.from_config())
    ]
    assert spelled[:2] == ["https://github.com/o/r/blob/main/a.yaml", "https://github.com/o/r/tree/main/a.yaml"]


async def test_a_force_push_is_a_change_like_any_other(world: MakeWorld, remote: Remote) -> None:
    remote.push({"catalog-info.yaml": COMPONENT, "gone/catalog-info.yaml": COMPONENT})
    here = world(repositories=[{"url": remote.url}], paths=["**/catalog-info.yaml"])
    await here.run()
    remote.push({"catalog-info.yaml": "changed", "new/catalog-info.yaml": COMPONENT}, force=True)
    source = await here.run()
    assert source.targets == {remote.target("catalog-info.yaml"), remote.target("new/catalog-info.yaml")}
    assert f"url:{remote.target('catalog-info.yaml')}" in source.refreshed
    assert (await here.reader.read(remote.target("catalog-info.yaml"))).content == b"changed"


async def test_an_empty_repository_is_no_error(world: MakeWorld, remote: Remote) -> None:
    here = world(repositories=[{"url": remote.url}])
    assert (await here.run()).calls == []
    remote.push({"catalog-info.yaml": COMPONENT})
    assert (await here.run()).targets == {remote.target("catalog-info.yaml")}


async def test_a_deleted_branch_keeps_its_entities_and_says_so(world: MakeWorld, remote: Remote) -> None:
    remote.push({"catalog-info.yaml": COMPONENT})
    remote.push({"catalog-info.yaml": COMPONENT}, branch="release")
    here = world(repositories=[{"url": remote.url, "branch": "release"}])
    await here.run()
    remote.delete_branch("release")
    with pytest.raises(SyncError, match=r"has no branch 'release' \(name an existing one"):
        await here.run()
    assert here.source.targets == {remote.target("catalog-info.yaml", "release")}


async def test_a_repository_emptied_by_mistake_keeps_its_entities(world: MakeWorld, remote: Remote) -> None:
    remote.push({"catalog-info.yaml": COMPONENT})
    here = world(repositories=[{"url": remote.url}])
    await here.run()
    remote.delete_branch("main")
    with pytest.raises(SyncError, match="it is empty now"):
        await here.run()
    assert here.source.targets == {remote.target("catalog-info.yaml")}


async def test_a_renamed_default_branch_is_followed(world: MakeWorld, remote: Remote) -> None:
    remote.push({"catalog-info.yaml": COMPONENT})
    here = world(repositories=[{"url": remote.url}])
    await here.run()
    remote.git("branch", "-m", "main", "trunk")
    source = await here.run()
    assert source.targets == {remote.target("catalog-info.yaml", "trunk")}
    assert (await here.reader.read(remote.target("catalog-info.yaml", "trunk"))).content == COMPONENT.encode()


async def test_one_broken_repository_does_not_hold_up_the_others(
    world: MakeWorld, tmp_path: Path, remote: Remote
) -> None:
    remote.push({"catalog-info.yaml": COMPONENT})
    missing = (tmp_path / "missing.git").as_uri()
    here = world(repositories=[{"url": missing}, {"url": remote.url}])
    with pytest.raises(SyncError, match=r"a repository could not be read: .*missing\.git: not found"):
        await here.run()
    assert here.source.targets == {remote.target("catalog-info.yaml")}
    standing = {row["url"]: row["error"] for row in await here.repositories.standing(["git:test"])}
    assert standing[remote.url] is None
    assert "check the URL" in standing[missing]


async def test_an_unreachable_repository_is_tried_again_sooner_than_usual_and_then_later(
    world: MakeWorld, tmp_path: Path, git_database: Database
) -> None:
    here = world(repositories=[{"url": (tmp_path / "missing.git").as_uri()}])
    rests = []
    for _ in range(3):
        with pytest.raises(SyncError):
            await here.run()
        rests.append(
            await git_database.fetchval(
                "select round(extract(epoch from due_at - checked_at))::int from git_repository"
            )
        )
    assert rests == [10, 20, 40]


async def test_what_came_from_a_repository_goes_with_it(world: MakeWorld, remote: Remote, tmp_path: Path) -> None:
    other = Remote(tmp_path / "remotes" / "other.git")
    for one in (remote, other):
        one.push({"catalog-info.yaml": COMPONENT})
    before = world(repositories=[{"url": remote.url}, {"url": other.url}])
    await before.run()
    after = world(repositories=[{"url": other.url}])
    after.source = before.source
    source = await after.run()
    assert source.targets == {other.target("catalog-info.yaml")}
    assert len(list((tmp_path / "cache").glob("*.git"))) == 1


async def test_a_folder_of_repositories_is_followed_as_it_grows_and_shrinks(world: MakeWorld, tmp_path: Path) -> None:
    folder = tmp_path / "srv"
    folder.mkdir()
    (folder / "notes.git").mkdir()  # not a repository
    here = world(folder=f"{folder}/*.git")
    assert (await here.run()).targets == set()
    one, two = Remote(folder / "one.git"), Remote(folder / "two words.git")
    for remote in (one, two):
        remote.push({"catalog-info.yaml": COMPONENT})
    assert (await here.run()).targets == {one.target("catalog-info.yaml"), two.target("catalog-info.yaml")}
    assert (await here.reader.read(two.target("catalog-info.yaml"))).content == COMPONENT.encode()
    two.path.rename(tmp_path / "elsewhere.git")
    assert (await here.run()).targets == {one.target("catalog-info.yaml")}


async def test_a_folder_that_is_not_mounted_takes_nothing_away(world: MakeWorld, tmp_path: Path) -> None:
    folder = tmp_path / "srv"
    remote = Remote(folder / "one.git")
    remote.push({"catalog-info.yaml": COMPONENT})
    here = world(folder=f"{folder}/*.git")
    await here.run()
    folder.rename(tmp_path / "away")
    with pytest.raises(GitError, match="is not there; nothing was changed"):
        await here.run()
    assert here.source.targets == {remote.target("catalog-info.yaml")}


async def test_links_and_submodules_are_not_files_and_odd_names_are(world: MakeWorld, remote: Remote) -> None:
    remote.push(
        {
            "link/catalog-info.yaml": ("120000", "/etc/passwd"),
            "module/catalog-info.yaml": ("160000", "0" * 39 + "1"),
            "run/catalog-info.yaml": ("100755", COMPONENT),
            'a b/"*?#%\\/catalog-info.yaml': COMPONENT,
            "new\nline/catalog-info.yaml": COMPONENT,
            b"\xff\xfe/catalog-info.yaml": COMPONENT,
            "-rf/catalog-info.yaml": COMPONENT,
            ".hidden/catalog-info.yaml": COMPONENT,
            "catalog-info.yaml/but/a/folder": "x",
        }
    )
    here = world(repositories=[{"url": remote.url}], paths=["**/catalog-info.yaml"])
    source = await here.run()
    assert source.targets == {
        remote.target("run/catalog-info.yaml"),
        remote.target("a%20b/%22%2A%3F%23%25%5C/catalog-info.yaml"),
        remote.target("new%0Aline/catalog-info.yaml"),
        remote.target("%FF%FE/catalog-info.yaml"),
        remote.target("-rf/catalog-info.yaml"),
    }
    for target in source.targets:
        assert (await here.reader.read(target)).content == COMPONENT.encode()


async def test_new_patterns_take_effect_without_a_push(world: MakeWorld, remote: Remote) -> None:
    remote.push({"catalog-info.yaml": COMPONENT, "x/entity.yaml": COMPONENT})
    before = world(repositories=[{"url": remote.url}])
    await before.run()
    after = world(repositories=[{"url": remote.url}], paths=["*/entity.yaml"])
    after.source = before.source
    after.source.forget_calls()
    await after.provider.run(after.source)
    assert after.source.targets == {remote.target("x/entity.yaml")}


async def test_a_crash_after_telling_the_catalog_leaves_no_entity_behind(
    world: MakeWorld, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 between the delta and our own record of it; then the file goes before we look again."""
    remote.push({"catalog-info.yaml": COMPONENT})
    here = world(repositories=[{"url": remote.url}])

    async def killed(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(here.repositories, "told", killed)
        with pytest.raises(KilledError):
            await here.run()
    assert here.source.targets == {remote.target("catalog-info.yaml")}
    remote.push({"README.md": "x"})
    again = world(repositories=[{"url": remote.url}])
    again.source = here.source
    await again.database.execute("update git_repository set lease_until = now() - interval '1 second'")
    assert (await again.run()).targets == set()


async def test_a_crash_before_telling_the_catalog_loses_no_change(
    world: MakeWorld, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.push({"catalog-info.yaml": "1"})
    here = world(repositories=[{"url": remote.url}])
    await here.run()
    remote.push({"catalog-info.yaml": "2", "text.md": "new"})

    async def killed(*_: object) -> int:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(here.source, "refresh", killed)
        with pytest.raises(KilledError):
            await here.run()
    await here.database.execute("update git_repository set lease_until = now() - interval '1 second'")
    source = await here.run()
    assert sorted(source.refreshed) == [f"url:{remote.target('catalog-info.yaml')}", f"url:{remote.target('text.md')}"]


async def test_a_repository_is_worked_on_by_one_process_at_a_time(world: MakeWorld, remote: Remote) -> None:
    remote.push({"catalog-info.yaml": COMPONENT})
    one = world(repositories=[{"url": remote.url}])
    two = world(repositories=[{"url": remote.url}], cache="other")
    await asyncio.gather(one.provider.run(one.source), two.provider.run(two.source))
    assert sorted(len(here.source.calls) for here in (one, two)) == [0, 1]


async def test_a_lost_cache_is_fetched_again_and_errs_on_the_side_of_reading_more(
    world: MakeWorld, remote: Remote
) -> None:
    remote.push({"catalog-info.yaml": "1", "text.md": "1"})
    await world(repositories=[{"url": remote.url}]).run()
    remote.push({"catalog-info.yaml": "1", "text.md": "2"})
    other = world(repositories=[{"url": remote.url}], cache="other")
    source = await other.run()
    assert f"url:{remote.target('text.md')}" in source.refreshed


async def test_a_git_that_was_killed_does_not_lock_the_mirror_for_ever(
    world: MakeWorld, remote: Remote, tmp_path: Path
) -> None:
    remote.push({"catalog-info.yaml": "1"})
    here = world(repositories=[{"url": remote.url}])
    await here.run()
    (mirror,) = (tmp_path / "cache").glob("*.git")
    (mirror / "shallow.lock").touch()
    remote.push({"catalog-info.yaml": "2"})
    assert (await here.run()).refreshed == [f"url:{remote.target('catalog-info.yaml')}"]


async def test_old_commits_are_dropped_when_many_have_piled_up(
    world: MakeWorld, remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom_plugins.git.mirror.MANY_PACKS", 1)
    monkeypatch.setattr(
        "greenroom_plugins.git.command._SAFE_SETTINGS", ("core.hooksPath=/dev/null", "fetch.unpackLimit=1")
    )
    here = world(repositories=[{"url": remote.url}])
    for content in "123":
        remote.push({"catalog-info.yaml": content})
        await here.run()
    (mirror,) = (tmp_path / "cache").glob("*.git")
    assert len(list(mirror.glob("objects/pack/*.pack"))) == 1
    assert (await here.reader.read(remote.target("catalog-info.yaml"))).content == b"3"


async def test_a_push_reaches_the_catalog_within_half_a_second(world: MakeWorld, remote: Remote) -> None:
    remote.push({"catalog-info.yaml": COMPONENT})
    here = world(repositories=[{"url": remote.url}])
    await here.run()
    waits = []
    for number in range(3):
        remote.push({"catalog-info.yaml": COMPONENT, "new/catalog-info.yaml": f"x{number}"})
        await here.repositories.announce(["git:test"], [here_key(remote)], "main")
        begin = time.perf_counter()
        await here.provider.run(here.source)
        waits.append(time.perf_counter() - begin)
        assert here.source.refreshed[-1] == f"url:{remote.target('new/catalog-info.yaml')}"
    assert min(waits) < 0.5 * slowness()


def here_key(remote: Remote) -> str:
    return Address.parse(remote.url).key
