"""What a template made becomes a repository: all of it as it is, once, and only where the operator lets it be."""

from __future__ import annotations

import asyncio
import io
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from hashlib import sha1
from pathlib import Path
from time import sleep
from typing import Any

import msgspec
import pytest

from greenroom.errors import ConflictError, GreenroomError, InputError, NotAllowedError
from greenroom.urls import Integrations
from greenroom_plugins.git.command import Git, GitError
from greenroom_plugins.git.commits import Author, Commit, files_in, is_branch, write_stream
from greenroom_plugins.git.publishing import Published, Publisher
from greenroom_plugins.git.settings import PublishConfig
from tests.plugins.git.https import GitHost, git_host
from tests.plugins.git.repositories import ENVIRON, Remote

TOKEN = "t0ken-that-nobody-may-see"
AT = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
REPO = "git.local?owner=team&repo=app"


def publisher(tmp_path: Path, *, url: str | None = None, hosts: list[Any] | None = None) -> Publisher:
    folders = [{"host": "git.local", "path": str(tmp_path / "srv"), **({"url": url} if url else {})}]
    config = msgspec.convert({"folders": folders, "hosts": hosts or []}, PublishConfig)
    return Publisher(Git(tmp_path / "cache", ENVIRON), config, Integrations.from_config())


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    made = tmp_path / "workspace"
    made.mkdir()
    return made


def plant(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files; one whose name ends with a star is executable, and one whose content begins with `->` is a link."""
    for name, content in files.items():
        path = folder / name.rstrip("*")
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str) and content.startswith("->"):
            path.symlink_to(content.removeprefix("->"))
            continue
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(0o755 if name.endswith("*") else 0o644)


def commit(message: str = "First", branch: str = "main", at: datetime = AT, author: Author | None = None) -> Commit:
    return Commit(branch, message, author or Author("Jo", "jo@example.org"), at)


def git(repository: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", f"--git-dir={repository}", *arguments], env=ENVIRON, check=True, capture_output=True, text=True
    ).stdout.strip()


def blob(content: bytes) -> str:
    """The name that git has for a content."""
    return sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def listed(repository: Path, branch: str = "main") -> dict[str, str]:
    """Mode by path."""
    lines = git(repository, "ls-tree", "-r", branch).splitlines()
    return {line.partition("\t")[2]: line.split()[0] for line in lines}


async def publish(
    tmp_path: Path, workspace: Path, said: Commit | None = None, repo_url: str = REPO, **more: Any
) -> Published:
    own = publisher(tmp_path)
    return await own.publish(workspace, own.by_repo_url(repo_url), said or commit(), **more)


# --- what


async def test_a_folder_becomes_a_bare_repository_with_all_that_is_in_it(tmp_path: Path, workspace: Path) -> None:
    plant(
        workspace,
        {
            "catalog-info.yaml": "kind: X",
            "run*": "#!",
            'a b/ü " \\ \n.bin': b"\0\xff\r\n",
            ".github/x": "x",
            "link": "->run",
            "out": "->/etc/passwd",
            "sub/.git/config": "[core]",
            "sub/file": "f",
            ".git/hooks/post-commit*": "#!/bin/false",
            ".gitattributes": "*.bin text eol=lf\n*.lfs filter=lfs\n",
            "big.lfs": "b",
        },
    )
    done = await publish(tmp_path, workspace, description="An app\nof ours")
    home = tmp_path / "srv" / "team" / "app.git"
    assert done.remote_url == home.as_uri()
    assert done.contents_url == f"{home.as_uri()}/-/blob/main"
    assert git(home, "rev-parse", "HEAD") == done.commit
    assert git(home, "rev-list", "--count", "--all") == "1"
    shown = git(home, "log", "-1", "--format=%an|%ae|%cn|%ce|%at|%s")
    assert shown == f"Jo|jo@example.org|Jo|jo@example.org|{int(AT.timestamp())}|First"
    modes = listed(home)
    assert modes.pop("link") == modes.pop("out") == "120000"
    assert modes.pop("run") == "100755"
    assert set(modes.values()) == {"100644"}
    assert set(modes) >= {"catalog-info.yaml", ".github/x", "sub/file", ".gitattributes", "big.lfs"}
    assert not any(".git/" in path for path in modes)
    assert git(home, "rev-parse", 'main:a b/ü " \\ \n.bin') == blob(b"\0\xff\r\n")
    git(home, "fsck", "--strict")
    assert (home / "description").read_text(encoding="utf-8") == "An app of ours\n"
    assert (workspace / ".git").is_dir(), "the workspace stays as it was"
    assert [path.name for path in (tmp_path / "srv" / "team").iterdir()] == ["app.git"]


async def test_what_gitignore_names_is_left_out(tmp_path: Path, workspace: Path) -> None:
    plant(
        workspace,
        {".gitignore": "*.log\n/out/\n!keep.log\n", "a.log": "", "keep.log": "", "out/x": "", "sub/out/x": "", ":(top)x": ""},
    )  # fmt: skip
    plant(workspace, {"sub/.gitignore": "y\n", "sub/y": "", "y": ""})
    await publish(tmp_path, workspace)
    expected = {".gitignore", "keep.log", "sub/out/x", ":(top)x", "sub/.gitignore", "y"}
    assert set(listed(tmp_path / "srv" / "team" / "app.git")) == expected


async def test_the_machines_own_git_settings_change_nothing(
    tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, ignore, attributes = tmp_path / "gitconfig", tmp_path / "ignore", tmp_path / "attributes"
    ignore.write_text("*.txt\n", encoding="utf-8")
    attributes.write_text("* filter=evil\n", encoding="utf-8")
    settings.write_text(
        f"[core]\nexcludesFile={ignore}\nattributesFile={attributes}\nautocrlf=true\nhooksPath={tmp_path}/hooks\n"
        f'[filter "evil"]\nclean=touch {tmp_path}/ran; cat\n[init]\ntemplateDir={tmp_path}/template\n'
        "[commit]\ngpgSign=true\n[user]\nname=Machine\n",
        encoding="utf-8",
    )
    plant(
        tmp_path,
        {"hooks/pre-push*": f"#!/bin/sh\ntouch {tmp_path}/ran\n", "template/hooks/post-receive*": "#!/bin/sh\n"},
    )
    monkeypatch.setitem(ENVIRON, "GIT_CONFIG_GLOBAL", str(settings))
    plant(workspace, {"a.txt": "a\r\n", ".gitignore": "nothing\n"})
    done = await publish(tmp_path, workspace)
    again = await publish(tmp_path, workspace, commit("Second"), onto_existing=True)
    assert done.commit == again.commit
    home = tmp_path / "srv" / "team" / "app.git"
    assert set(listed(home)) == {"a.txt", ".gitignore"}
    assert git(home, "cat-file", "-s", "main:a.txt") == "3"
    assert not (tmp_path / "ran").exists()
    assert not (home / "hooks").exists()


async def test_an_empty_workspace_makes_an_empty_commit(tmp_path: Path, workspace: Path) -> None:
    await publish(tmp_path, workspace)
    assert listed(tmp_path / "srv" / "team" / "app.git") == {}


async def test_what_is_no_file_is_refused(tmp_path: Path, workspace: Path) -> None:
    os.mkfifo(workspace / "pipe")
    with pytest.raises(InputError, match="pipe is neither a file nor a link"):
        await publish(tmp_path, workspace)


def test_a_folder_that_is_swapped_for_a_link_is_not_published_from(tmp_path: Path) -> None:
    """As a program does that lives on beside the step: of what it leads to nothing is read."""
    outside, folder = tmp_path / "outside", tmp_path / "ws"
    outside.mkdir()
    (outside / "f").write_text("not yours")
    (folder / "d").mkdir(parents=True)
    (folder / "d/f").write_text("mine")
    commit = Commit("main", "x", Author(), datetime.now(UTC))
    paths = files_in(folder)
    with io.BytesIO() as stream:
        write_stream(stream, folder, paths, commit, None)
        assert b"mine" in stream.getvalue()
    (folder / "d").rename(tmp_path / "aside")
    (folder / "d").symlink_to(outside)
    with io.BytesIO() as stream, pytest.raises(InputError, match="d/f changed while it was published"):
        write_stream(stream, folder, paths, commit, None)


async def test_an_odd_name_of_an_author_does_not_break_the_commit(tmp_path: Path, workspace: Path) -> None:
    said = commit("\n\nSubject\n\nBody ü\n", author=Author("J <o>\n> x", "a@b>\nc"))
    await publish(tmp_path, workspace, said)
    shown = git(tmp_path / "srv" / "team" / "app.git", "log", "-1", "--format=%an|%ae|%B")
    assert shown == "J o x|a@b c|Subject\n\nBody ü"
    anonymous = await publish(tmp_path, workspace, commit(author=Author()), "git.local?owner=o&repo=r")
    assert git(tmp_path / "srv/o/r.git", "log", "-1", "--format=%an|%ae") == "Scaffolder|scaffolder@backstage.io"
    assert anonymous.files == 0


@pytest.mark.parametrize("name", ["main", "release/1.0", "ü", "a.b"])
def test_branches_have_names(name: str) -> None:
    assert is_branch(name)


@pytest.mark.parametrize(
    "name", ["", "-f", "a..b", "a b", "a~1", "a:b", "/a", "a/", "a//b", ".a", "a.lock", "a/.b", "@", "a@{b", "HEAD", "a\n", "a."]
)  # fmt: skip
def test_what_is_no_branch_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="is no name of a branch"):
        commit(branch=name)


# --- again


async def test_publishing_again_after_a_crash_is_the_same_commit(tmp_path: Path, workspace: Path) -> None:
    plant(workspace, {"a": "1", "d/b": "2"})
    first = await publish(tmp_path, workspace)
    assert await publish(tmp_path, workspace) == first
    later = commit(at=datetime(2026, 12, 1, tzinfo=UTC))
    assert await publish(tmp_path, workspace, later) == first, "the same files are the same, also from another run"
    assert git(tmp_path / "srv/team/app.git", "rev-list", "--count", "--all") == "1"


async def test_a_repository_with_something_else_is_not_touched_unless_asked_for(
    tmp_path: Path, workspace: Path
) -> None:
    plant(workspace, {"a": "1", "old": "o"})
    first = await publish(tmp_path, workspace)
    (workspace / "old").unlink()
    plant(workspace, {"b": "2"})
    home = tmp_path / "srv" / "team" / "app.git"
    for said in (commit(), commit(branch="other")):
        with pytest.raises(ConflictError, match=r"file:///.*/app\.git already exists, and has something else in it"):
            await publish(tmp_path, workspace, said)
    assert git(home, "rev-parse", "main") == first.commit
    second = await publish(tmp_path, workspace, commit("More"), onto_existing=True)
    assert git(home, "rev-list", "main").split() == [second.commit, first.commit]
    assert set(listed(home)) == {"a", "b"}
    assert await publish(tmp_path, workspace, commit("More"), onto_existing=True) == second
    third = await publish(tmp_path, workspace, commit(branch="other"), onto_existing=True)
    assert git(home, "rev-parse", "other") == third.commit


async def test_of_two_who_publish_at_once_one_is_told(tmp_path: Path, workspace: Path) -> None:
    plant(workspace, {"a": "1"})
    other = tmp_path / "other"
    plant(other, {"a": "2"})
    results = await asyncio.gather(
        *(publish(tmp_path, folder) for folder in (workspace, other) * 2), return_exceptions=True
    )
    done = [one for one in results if isinstance(one, Published)]
    refused = [one for one in results if isinstance(one, ConflictError)]
    assert (len(done), len(refused)) == (2, 2), results
    assert done[0] == done[1]


async def test_nothing_half_done_is_left_by_one_who_is_cancelled(
    tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(workspace, {"a": "1"})
    own = publisher(tmp_path)
    reached, run = asyncio.Event(), Git.run

    async def hanging(self: Git, *arguments: Any, **more: Any) -> bytes:
        if "fast-import" in arguments:
            reached.set()
            await asyncio.sleep(60)
        return await run(self, *arguments, **more)

    monkeypatch.setattr(Git, "run", hanging)
    task = asyncio.create_task(own.publish(workspace, own.by_repo_url(REPO), commit()))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list((tmp_path / "srv" / "team").iterdir()) == []


@pytest.mark.parametrize("seed", range(2))
def test_a_process_that_is_killed_anywhere_leaves_nothing_half_done(tmp_path: Path, workspace: Path, seed: int) -> None:
    """First a new repository is made, then it is pushed to: each is killed some times before it may finish."""
    chance = random.Random(seed)
    home = tmp_path / "srv" / "team" / "app.git"
    for message in ("First", "Second"):
        plant(workspace, {f"{message}/{n}": f"{n}" * 100 for n in range(150)})
        for _ in range(4):
            process = publishing(tmp_path, workspace, message)
            assert process.stdout is not None
            process.stdout.readline()
            sleep(chance.random() * 0.08)
            process.kill()
            process.communicate()
            if home.exists():
                assert git(home, "log", "-1", "--format=%s") in ("First", message)
                git(home, "fsck", "--strict")
        told, complaints = publishing(tmp_path, workspace, message).communicate()
        assert told.split()[1:] == [git(home, "rev-parse", "main")], complaints
        assert git(home, "log", "-1", "--format=%s") == message
    assert git(home, "rev-list", "--count", "--all") == "2"


def publishing(tmp_path: Path, workspace: Path, message: str) -> subprocess.Popen[str]:
    program = Path(__file__).with_name("publishing_once.py")
    command = [sys.executable, str(program), str(tmp_path), str(workspace), message]
    return subprocess.Popen(command, env=ENVIRON, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


async def test_workshops_of_the_dead_are_cleared_away(tmp_path: Path, workspace: Path) -> None:
    left, recent = tmp_path / "srv/team/.publishing-old", tmp_path / "srv/team/.publishing-new"
    for one in (left, recent):
        (one / "new.git").mkdir(parents=True)
    os.utime(left, (0, 0))
    await publish(tmp_path, workspace)
    assert not left.exists()
    assert recent.exists()


# --- where


@pytest.mark.parametrize(
    ("repo_url", "message"),
    [
        ("git.local?owner=team", "missing repo"),
        ("git.local?repo=app", "missing owner"),
        ("git.local?owner=..&repo=app", "owner or repo is no name"),
        ("git.local?owner=a/../../b&repo=app", "owner or repo is no name"),
        ("git.local?owner=team&repo=%2e%2e", "owner or repo is no name"),
        ("git.local?owner=team&repo=a%2f..%2fb", "owner or repo is no name"),
        ("git.local?owner=team&repo=-x", "owner or repo is no name"),
        ("git.local?owner=team.git&repo=x", "owner or repo is no name"),
        ("git.local?owner=team&repo=a%0ab", "owner or repo is no name"),
        ("elsewhere.example?owner=a&repo=b", "No matching integration configuration for host elsewhere.example"),
        ("github.com?owner=a&repo=b", "No token provided for host github.com"),
        (" ", "Invalid repo URL passed to publisher, got  "),
    ],
)
def test_what_names_no_repository_is_told_in_upstreams_words(tmp_path: Path, repo_url: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        publisher(tmp_path).by_repo_url(repo_url)
    assert message in caught.value.message


def test_groups_and_urls_are_understood(tmp_path: Path) -> None:
    own = publisher(tmp_path, url="https://git.example.org/")
    target = own.by_repo_url("git.local?owner=a/b&repo=app.git")
    assert target.folder == tmp_path / "srv/a/b/app.git"
    assert target.folder is not None
    assert target.url == "https://git.example.org/a/b/app.git"
    for url in (target.url, target.folder.as_uri()):
        assert own.by_remote_url(url) == target
    hosted = own.by_repo_url("github.com?owner=o&repo=r", "mine")
    assert (hosted.url, hosted.form) == ("https://github.com/o/r.git", "https://github.com/o/r/blob/{branch}/{path}")


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/a/b.git",
        "ssh://git@github.com/a/b.git",
        "git@github.com:a/b.git",
        "file:///etc/x/y.git",
        "file:///{tmp}/srv/../secret/x/y.git",
        "file:///{tmp}/srv/app.git",
        "http://github.com/a/b.git",
        "ext::sh -c id",
        "https://user:pw@github.com/a/b.git",
        "https://github.com/a/b.git?x=y",
        "-oProxyCommand=id",
    ],
)
def test_nothing_is_pushed_to_where_the_operator_has_not_said(tmp_path: Path, url: str) -> None:
    own = publisher(tmp_path)
    with pytest.raises((InputError, NotAllowedError)):
        own.by_remote_url(url.replace("/{tmp}", str(tmp_path)))


# --- a Git host


@pytest.fixture
async def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GitHost]:
    async with git_host(tmp_path / "remotes", tmp_path, "someone", TOKEN) as (host, certificate):
        monkeypatch.setitem(ENVIRON, "GIT_SSL_CAINFO", str(certificate))
        yield host


@pytest.fixture
def receiving(remote: Remote) -> Remote:
    """A repository that takes pushes over http."""
    remote.git("config", "http.receivepack", "true")
    return remote


def named(host: GitHost, token: str | None = TOKEN) -> dict[str, Any]:
    return {"host": host.origin.removeprefix("https://"), "username": "someone", "token": token}


async def test_a_git_host_is_pushed_to_with_the_token_of_config_or_of_the_user(
    tmp_path: Path, workspace: Path, receiving: Remote, host: GitHost
) -> None:
    plant(workspace, {f"d{n}/f": f"{n}" for n in range(200)})
    own = publisher(tmp_path, hosts=[named(host)])
    target = own.by_remote_url(f"{host.origin}/app.git")
    done = await own.publish(workspace, target, commit())
    assert receiving.tip() == done.commit
    assert done.contents_url == f"{host.origin}/app.git/-/blob/main"
    users = publisher(tmp_path, hosts=[named(host, None)])
    again = await users.publish(workspace, users.by_remote_url(f"{host.origin}/app.git", TOKEN), commit())
    assert again == done
    plant(workspace, {"new": "n"})
    with pytest.raises(ConflictError):
        await own.publish(workspace, target, commit())
    more = await own.publish(workspace, target, commit("More"), onto_existing=True)
    assert receiving.git("rev-list", "main").decode().split() == [more.commit, done.commit]


async def test_a_host_is_asked_by_http_only_where_the_operator_says_so(
    tmp_path: Path, workspace: Path, receiving: Remote
) -> None:
    plant(workspace, {"a": "1"})
    async with git_host(tmp_path / "remotes", tmp_path, "someone", TOKEN, scheme="http") as (host, _):
        name = host.origin.removeprefix("http://")
        settings = {"host": name, "username": "someone", "token": TOKEN}
        with pytest.raises(NotAllowedError, match="dangerouslyAllowHttp"):
            publisher(tmp_path, hosts=[settings]).by_remote_url(f"{host.origin}/app.git")
        with pytest.raises(NotAllowedError):
            publisher(tmp_path).by_remote_url(f"{host.origin}/app.git", TOKEN)
        own = publisher(tmp_path, hosts=[{**settings, "dangerouslyAllowHttp": True}])
        assert own.by_repo_url(f"{name}?owner=team&repo=app").url == f"{host.origin}/team/app.git"
        done = await own.publish(workspace, own.by_remote_url(f"{host.origin}/app.git"), commit())
    assert receiving.tip() == done.commit
    assert done.contents_url == f"{host.origin}/app.git/-/blob/main"


async def test_a_refused_token_is_an_honest_error_without_the_token(
    tmp_path: Path, workspace: Path, receiving: Remote, host: GitHost
) -> None:
    own = publisher(tmp_path, hosts=[named(host, None)])
    with pytest.raises(GitError, match="access denied") as caught:
        await own.publish(workspace, own.by_remote_url(f"{host.origin}/app.git", "wr0ng-token"), commit())
    assert "wr0ng" not in f"{caught.value.message} {caught.value!r}"


async def test_the_token_is_on_no_command_line_and_in_no_file(
    tmp_path: Path, workspace: Path, receiving: Remote, host: GitHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    start = asyncio.create_subprocess_exec

    async def watched(*arguments: Any, **more: Any) -> asyncio.subprocess.Process:
        seen.extend(os.fsdecode(one) for one in arguments)
        return await start(*arguments, **more)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", watched)
    plant(workspace, {"a": "1"})
    own = publisher(tmp_path, hosts=[named(host)])
    await own.publish(workspace, own.by_remote_url(f"{host.origin}/app.git"), commit())
    assert "push" in seen
    assert not any(TOKEN in one for one in seen)
    places = [tmp_path / "cache", tmp_path / "remotes", workspace]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []


async def test_a_credential_helper_of_the_machine_is_not_asked(
    tmp_path: Path, workspace: Path, receiving: Remote, host: GitHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "gitconfig"
    settings.write_text(
        f'[credential]\nhelper = "!f() {{ echo username=someone; echo password={TOKEN}; }}; f"\n', encoding="utf-8"
    )
    monkeypatch.setitem(ENVIRON, "GIT_CONFIG_GLOBAL", str(settings))
    own = publisher(tmp_path, hosts=[named(host, None)])
    with pytest.raises(GitError, match="access denied"):
        await own.publish(workspace, own.by_remote_url(f"{host.origin}/app.git"), commit())


async def test_a_repository_that_is_not_there_is_told(tmp_path: Path, workspace: Path, host: GitHost) -> None:
    own = publisher(tmp_path, hosts=[named(host)])
    with pytest.raises(GreenroomError, match="not found"):
        await own.publish(workspace, own.by_remote_url(f"{host.origin}/missing.git"), commit())
