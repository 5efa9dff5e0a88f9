"""Repositories behind HTTPS and a token: reached, read sparingly, and the token told to nobody else."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from greenroom_plugins.git.addresses import Address
from greenroom_plugins.git.command import Access, Git
from greenroom_plugins.git.provider import SyncError
from tests.plugins.git.conftest import MakeWorld, World
from tests.plugins.git.https import GitHost, git_host
from tests.plugins.git.repositories import ENVIRON, Remote

TOKEN = "t0ken-that-nobody-may-see"


@pytest.fixture
async def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GitHost]:
    async with git_host(tmp_path / "remotes", tmp_path, "someone", TOKEN) as (host, certificate):
        monkeypatch.setitem(ENVIRON, "GIT_SSL_CAINFO", str(certificate))
        yield host


def followed(world: MakeWorld, host: GitHost, token: str = TOKEN) -> World:
    return world(
        repositories=[{"url": f"{host.origin}/app.git"}],
        paths=["**/catalog-info.yaml"],
        credentials={"token": token, "username": "someone"},
    )


async def test_a_monorepo_is_read_without_getting_all_of_it(world: MakeWorld, remote: Remote, host: GitHost) -> None:
    remote.git("config", "uploadpack.allowFilter", "true")
    remote.git("config", "uploadpack.allowAnySHA1InWant", "true")
    remote.push(
        {"big.bin": "x" * 100_000, "text.md": "text", **{f"{name}/catalog-info.yaml": name for name in "abcdef"}}
    )
    here = followed(world, host)
    source = await here.run()
    assert len(source.targets) == 6
    assert host.fetches == 2  # the commit with its trees, then all catalog files
    for target in source.targets:
        assert len((await here.urls.read(target)).content) == 1
    assert host.fetches == 2
    base = f"{host.origin}/app.git/-/blob/main/a/catalog-info.yaml"
    assert (await here.urls.read(here.urls.resolve("../text.md", base))).content == b"text"
    assert host.fetches == 3
    big = remote.git("rev-parse", "main:big.bin").decode().strip()
    (mirror,) = here.cache.glob("*.git")
    here_now = await here.git.run("cat-file", "--batch-all-objects", "--batch-check", cwd=mirror)
    assert big not in here_now.decode()


async def test_a_folder_is_got_in_one_go_and_only_what_is_missing(
    world: MakeWorld, remote: Remote, host: GitHost
) -> None:
    remote.git("config", "uploadpack.allowFilter", "true")
    remote.git("config", "uploadpack.allowAnySHA1InWant", "true")
    remote.push({"catalog-info.yaml": "x", "big.bin": "x" * 100_000, **{f"skel/{n}": f"{n}" for n in range(50)}})
    here = followed(world, host)
    await here.run()
    before = host.fetches
    url = f"{host.origin}/app.git/-/blob/main/skel"
    for _ in range(3):
        tree = await here.urls.tree(url)
        assert {file.path: file.content for file in tree.files} == {f"{n}": f"{n}".encode() for n in range(50)}
    assert host.fetches == before + 1


async def test_a_host_that_cannot_leave_files_out_is_read_all_the_same(
    world: MakeWorld, remote: Remote, host: GitHost
) -> None:
    remote.push({"a/catalog-info.yaml": "a", "b/catalog-info.yaml": "b", "c/catalog-info.yaml": "c"})
    here = followed(world, host)
    source = await here.run()
    for target in source.targets:
        assert (await here.urls.read(target)).content in (b"a", b"b", b"c")
    remote.push({"a/catalog-info.yaml": "changed"})
    assert (await here.run()).targets == {f"{host.origin}/app.git/-/blob/main/a/catalog-info.yaml"}


async def test_a_wrong_token_is_an_honest_error_without_the_token(
    world: MakeWorld, remote: Remote, host: GitHost, caplog: pytest.LogCaptureFixture
) -> None:
    remote.push({"catalog-info.yaml": "a"})
    with pytest.raises(SyncError, match="access denied"):
        await followed(world, host, token="wr0ng-token").run()
    assert "wr0ng" not in caplog.text


async def test_the_token_is_on_no_command_line_and_in_no_file(world: MakeWorld, remote: Remote, host: GitHost) -> None:
    remote.push({"catalog-info.yaml": "a"})
    here = followed(world, host)
    await here.run()
    found = [path for path in here.cache.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert found == []


async def test_a_redirect_to_another_host_does_not_get_the_token(
    tmp_path: Path, world: MakeWorld, remote: Remote, host: GitHost
) -> None:
    remote.push({"catalog-info.yaml": "a"})
    (tmp_path / "second").mkdir()
    async with git_host(tmp_path / "remotes", tmp_path / "second", "someone", TOKEN) as (other, certificate):
        trust_too(certificate)
        host.redirect_to = other.origin
        with pytest.raises(SyncError, match="access denied"):
            await followed(world, host).run()
        assert other.fetches == 0


def trust_too(certificate: Path) -> None:
    trusted = Path(ENVIRON["GIT_SSL_CAINFO"])
    trusted.write_bytes(trusted.read_bytes() + certificate.read_bytes())


async def test_the_password_program_answers_only_for_its_own_host(tmp_path: Path) -> None:
    git = Git(tmp_path, ENVIRON)
    access = Access(Address.parse("https://git.example.com/a.git"), "someone", TOKEN)
    environ = await git._environment(access)

    def ask(prompt: str) -> tuple[int, str]:
        done = subprocess.run(
            [environ["GIT_ASKPASS"], prompt], env=environ, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout

    assert ask("Username for 'https://git.example.com': ") == (0, "someone\n")
    assert ask("Password for 'https://someone@git.example.com': ") == (0, f"{TOKEN}\n")
    assert ask("Password for 'https://someone@git.example.com.evil.org': ") == (1, "")
    assert ask("Password for 'https://someone@evil.org': ") == (1, "")
    assert ask("Are you sure you want to continue connecting?") == (1, "")
