"""What was published into a folder of this machine is read by URL at once, and nothing beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenroom.errors import NotAllowedError, NotFoundError, NotModifiedError
from greenroom.urls import Integrations, Urls
from greenroom_plugins.git.command import Git, GitError
from greenroom_plugins.git.published import PublishedReader
from greenroom_plugins.git.settings import PublishFolder, PublishHost
from tests.plugins.git.https import git_host
from tests.plugins.git.repositories import ENVIRON, Remote


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    made = Remote(tmp_path / "srv" / "team" / "app.git")
    made.push({"catalog-info.yaml": "one", "docs/a.md": "a", "docs/b.md": "b", "docs/run": ("100755", "#!")})
    made.push({"x/catalog-info.yaml": "two"}, branch="other/x")
    return made


def reading(tmp_path: Path, url: str | None = None) -> Urls:
    folder = PublishFolder("git.local", str(tmp_path / "srv"), url)
    return Urls(
        [PublishedReader(Git(tmp_path / "cache", ENVIRON), tmp_path / "cache", [folder])], Integrations.from_config()
    )


async def test_a_file_is_read_as_it_is_now(tmp_path: Path, remote: Remote) -> None:
    urls = reading(tmp_path)
    document = await urls.read(remote.target("catalog-info.yaml"))
    assert document.content == b"one"
    with pytest.raises(NotModifiedError):
        await urls.read(remote.target("catalog-info.yaml"), document.etag)
    remote.push({"catalog-info.yaml": "new"})
    assert (await urls.read(remote.target("catalog-info.yaml"), document.etag)).content == b"new"


async def test_the_file_is_found_from_the_root_of_the_contents(tmp_path: Path, remote: Remote) -> None:
    urls = reading(tmp_path)
    for target in ("/catalog-info.yaml", "catalog-info.yaml"):
        base = remote.target("").rstrip("/") if target.startswith("/") else remote.target("")
        assert (await urls.read(urls.resolve(target, base))).content == b"one"


async def test_it_is_read_by_the_url_that_people_see_too(tmp_path: Path, remote: Remote) -> None:
    urls = reading(tmp_path, "https://git.example.org/")
    base = "https://git.example.org/team/app.git/-/blob/main"
    assert (await urls.read(f"{base}/catalog-info.yaml")).content == b"one"
    assert [url for url, _ in await urls.search(f"{base}/docs/*.md")] == [f"{base}/docs/a.md", f"{base}/docs/b.md"]


async def test_patterns_and_folders(tmp_path: Path, remote: Remote) -> None:
    urls = reading(tmp_path)
    found = await urls.search(remote.target("docs/*.md"))
    assert [document.content for _, document in found] == [b"a", b"b"]
    assert await urls.search(remote.target("missing.md")) == []
    with pytest.raises(NotModifiedError):
        await urls.search(remote.target("docs/*.md"), found[0][1].etag)
    tree = await urls.tree(remote.target("docs"))
    assert {file.path: (file.content, file.executable) for file in tree.files} == {
        "a.md": (b"a", False),
        "b.md": (b"b", False),
        "run": (b"#!", True),
    }
    with pytest.raises(NotModifiedError):
        await urls.tree(remote.target("docs"), tree.etag)


async def test_a_branch_with_a_slash_is_told_from_the_path(tmp_path: Path, remote: Remote) -> None:
    remote.git("update-ref", "-d", "refs/heads/main")
    remote.push({"x/catalog-info.yaml": "two"}, branch="release/1")
    url = remote.target("x/catalog-info.yaml", "release/1")
    assert (await reading(tmp_path).read(url)).content == b"two"


async def test_nothing_beside_the_folder_is_read(tmp_path: Path, remote: Remote) -> None:
    outside = Remote(tmp_path / "out" / "team" / "app.git")
    outside.push({"catalog-info.yaml": "secret"})
    top = Remote(tmp_path / "srv" / "top.git")
    top.push({"catalog-info.yaml": "secret"})
    urls = reading(tmp_path)
    for url in (
        outside.target("catalog-info.yaml"),
        top.target("catalog-info.yaml"),
        f"file://{tmp_path}/srv/../out/team/app.git/-/blob/main/catalog-info.yaml",
        f"file://{tmp_path}/srv/%2e%2e/out/team/app.git/-/blob/main/catalog-info.yaml",
        f"file://{tmp_path}/srv/..%2fout/team/app.git/-/blob/main/catalog-info.yaml",
        f"file://{tmp_path}/srv/team/app.git/HEAD",
        "file:///etc/passwd",
    ):
        with pytest.raises(NotAllowedError):
            await urls.read(url)
    for path in ("missing", "docs", "../../x", "catalog-info.yaml/x"):
        with pytest.raises(NotFoundError):
            await urls.read(remote.target(path).replace("../", "%2e%2e/"))
    with pytest.raises(NotFoundError, match="names no file of a branch"):
        await urls.read(remote.target("catalog-info.yaml", "gone"))
    with pytest.raises(NotFoundError, match="names no file of a repository"):
        await urls.read(f"file://{tmp_path}/srv/team/gone.git/-/blob/main/x")


TOKEN = "t0ken-that-nobody-may-see"


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_what_was_pushed_to_a_named_host_is_read_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    made = Remote(tmp_path / "remotes" / "team" / "app.git")
    made.push({"catalog-info.yaml": "one", "docs/run": ("100755", "#!")})
    async with git_host(tmp_path / "remotes", tmp_path, "someone", TOKEN, scheme=scheme) as (host, certificate):
        monkeypatch.setitem(ENVIRON, "GIT_SSL_CAINFO", str(certificate))
        named = PublishHost(host.origin.removeprefix(f"{scheme}://"), TOKEN, "someone", scheme == "http")
        cache = tmp_path / "cache"
        urls = Urls([PublishedReader(Git(cache, ENVIRON), cache, hosts=[named])], Integrations.from_config())
        base = f"{host.origin}/team/app.git/-/blob/main"
        document = await urls.read(f"{base}/catalog-info.yaml")
        assert document.content == b"one"
        assert [(file.path, file.executable) for file in (await urls.tree(f"{base}/docs")).files] == [("run", True)]
        made.push({"catalog-info.yaml": "new"})
        assert (await urls.read(f"{base}/catalog-info.yaml", document.etag)).content == b"new"
        for url in (f"{host.origin}/team/app/-/blob/main/x", "https://127.0.0.1/team/app.git/-/blob/main/x"):
            with pytest.raises(NotAllowedError):
                await urls.read(url)
        with pytest.raises(GitError, match="not found"):
            await urls.read(f"{host.origin}/team/gone.git/-/blob/main/x")
