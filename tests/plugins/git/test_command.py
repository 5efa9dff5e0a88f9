"""The git command cannot be talked into anything: no programs, no other protocols, no waiting for ever, no leaks."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from greenroom_plugins.git.addresses import Address
from greenroom_plugins.git.command import Access, Git, GitError, TooMuchError, explain
from greenroom_plugins.git.mirror import Mirror
from tests.plugins.git.repositories import ENVIRON, Remote


@pytest.fixture
def git(tmp_path: Path) -> Git:
    return Git(tmp_path / "cache", ENVIRON)


def access(url: str, token: str | None = None) -> Access:
    return Access(Address.parse(url), "someone", token)


async def test_git_cannot_be_led_to_another_protocol(git: Git, remote: Remote, tmp_path: Path) -> None:
    """As an `insteadOf` or a redirect might do: the address says file, and only that is allowed."""
    for url in (f"ext::sh -c touch% {tmp_path}/owned", "https://127.0.0.1:1/x.git", "ssh://127.0.0.1/x.git"):
        with pytest.raises(GitError, match=r"protocol that is not allowed|not allowed"):
            await git.run("ls-remote", "--", url, access=access(remote.url))
    assert not (tmp_path / "owned").exists()


async def test_a_remote_cannot_run_hooks_or_bring_links_to_disk(git: Git, remote: Remote, tmp_path: Path) -> None:
    remote.push({"catalog-info.yaml": "x", "link": ("120000", "/etc/passwd")})
    hook = remote.path / "hooks" / "post-checkout"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/owned\n")
    hook.chmod(0o755)
    mirror = Mirror(git, tmp_path / "cache", access(remote.url))
    await mirror.ensure(remote.tip())
    assert not (tmp_path / "owned").exists()
    assert not (mirror.path / "hooks").exists()
    assert [path for path in mirror.path.rglob("*") if path.is_symlink()] == []


@pytest.mark.parametrize("option", ["--upload-pack=touch owned", "-u touch owned", "--exec=touch owned"])
async def test_a_url_is_never_an_option(git: Git, option: str, tmp_path: Path) -> None:
    with pytest.raises(GitError):
        await git.run("ls-remote", "--", option, cwd=tmp_path)
    assert not (tmp_path / "owned").exists()


HANG = ("-c", "alias.hang=!echo $$ > pid; sleep 600", "hang")


async def is_gone(pid: Path) -> bool:
    """Whether the program that wrote its number there ends soon; a zombie, which nobody may be there to bury, has ended."""
    for _ in range(6000):
        if not is_alive(pid):
            return True
        await asyncio.sleep(0.01)
    return False


def is_alive(pid: Path) -> bool:
    number = pid.read_text().strip()
    try:
        return "State:\tZ" not in Path(f"/proc/{number}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_git_that_hangs_is_ended_with_all_it_started(git: Git, tmp_path: Path) -> None:
    for seconds in (0.5, 5, 50):  # on a slow machine it takes a while to begin
        with pytest.raises(GitError, match=rf"git hang took longer than {seconds} s, and was stopped"):
            await git.run(*HANG, cwd=tmp_path, within=timedelta(seconds=seconds))
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            break
    assert await is_gone(tmp_path / "pid")


async def test_cancelling_ends_git(git: Git, tmp_path: Path) -> None:
    running = asyncio.ensure_future(git.run(*HANG, cwd=tmp_path))
    for _ in range(6000):
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            break
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await is_gone(tmp_path / "pid")


async def test_an_endless_answer_is_cut_off(git: Git) -> None:
    with pytest.raises(TooMuchError, match="git flood answered more than 1000 bytes"):
        await git.run("-c", "alias.flood=!yes", "flood", limit=1000)


async def test_git_gets_none_of_our_secrets_and_no_repository_from_outside(tmp_path: Path) -> None:
    git = Git(tmp_path, {**ENVIRON, "POSTGRES_PASSWORD": "x", "GIT_DIR": "/elsewhere", "GIT_TRACE": "/tmp/trace"})
    said = (await git.run("-c", "alias.show=!env", "show")).decode()
    assert "POSTGRES_PASSWORD" not in said
    assert "GIT_TRACE" not in said
    assert "/elsewhere" not in said


def test_an_error_names_the_reason_and_hides_the_token() -> None:
    said = "fatal: Authentication failed for 'https://someone:t0ken@git.example.com/a.git/'\n"
    error = explain("fetch", said, access("https://git.example.com/a.git", "t0ken"))
    assert error.message == (
        "https://git.example.com/a.git: access denied (check `credentials`, or the ssh key): "
        "fatal: Authentication failed for 'https://git.example.com/a.git/'"
    )


async def test_a_missing_git_is_named(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="the git command is not installed"):
        await Git(tmp_path, {"PATH": str(tmp_path)}).run("version")
