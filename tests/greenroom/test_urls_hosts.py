"""Files on Git hosts: the right request with the right token, and words that help when it fails.

The servers answer as the hosts do, as far as upstream's readers ask; paths and headers are those that upstream sends."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from greenroom.errors import GreenroomError, InputError, NotAllowedError, NotFoundError, NotModifiedError
from greenroom.plugin import Tree
from greenroom.settings import BitbucketCloudConfig, ReadingConfig
from greenroom.urls import UnreadableUrlError, Urls, parse
from greenroom.urls.configured import known_hosts, read_section
from greenroom.urls.hosts import BitbucketCloudReader, host_readers
from greenroom.urls.hosts.archives import gathered
from greenroom.urls.hosts.repository import RepositoryReader
from greenroom.urls.outgoing import Outgoing, open_outgoing
from greenroom.urls.reading import HttpReader


class Answers:
    """A server that answers what the test says, by path and query, and remembers what it was asked."""

    def __init__(self) -> None:
        self.said: dict[str, Any] = {}
        self.asked: list[str] = []
        self.headers: dict[str, Mapping[str, str]] = {}
        self.base = ""
        self.host = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.raw_path)
        self.headers[request.raw_path] = {name.lower(): value for name, value in request.headers.items()}
        said = self.said.get(request.raw_path)
        if said is None:
            return web.Response(status=404)
        if isinstance(said, web.Response):
            return web.Response(status=said.status, headers=said.headers, body=said.body)
        etag = '"e1"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304)
        return web.Response(body=said if isinstance(said, bytes) else json.dumps(said).encode(), headers={"ETag": etag})

    def authorization(self, path: str) -> str | None:
        return self.headers[path].get("authorization")


@asynccontextmanager
async def hosting(kind: str, **config: Any) -> AsyncIterator[tuple[Answers, Urls]]:
    """A server on this machine that is the host of one integration. `{base}` and `{host}` in its config stand for it."""
    answers = Answers()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answers.answer)
    async with TestServer(app) as server, open_outgoing() as outgoing:
        answers.host = f"127.0.0.1:{server.port}"
        answers.base = f"http://{answers.host}"
        filled = {
            key: value.format(base=answers.base, host=answers.host) if isinstance(value, str) else value
            for key, value in config.items()
        }
        section = read_section({kind: [{"host": answers.host, **filled}]})
        known = known_hosts(section)
        yield answers, Urls(list(host_readers(section, known, outgoing)), known)


def tar(files: Mapping[str, bytes], *odd: tarfile.TarInfo) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in odd:
            archive.addfile(member)
    return packed.getvalue()


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


async def found(urls: Urls, pattern: str, etag: str | None = None) -> dict[str, bytes]:
    return {url: document.content for url, document in await urls.search(pattern, etag)}


ADDRESSES: dict[str, Any] = json.loads(Path(__file__).with_name("test_urls_addresses.json").read_text(encoding="utf-8"))
CONFIGS: dict[str, dict[str, Any]] = {
    "github": {"github": [{"host": "github.com", "token": "x"}]},
    "raw": {},
    "gitlab": {"gitlab": [{"host": "gl.example.com"}]},
    "cloud": {},
    "server": {"bitbucketServer": [{"host": "bb.example.com"}]},
    "azure": {},
    "gerrit": {"gerrit": [{"host": "g.example.com", "gitilesBaseUrl": "https://g.example.com/gitiles"}]},
    "gitea": {"gitea": [{"host": "t.example.com"}]},
}


@pytest.mark.parametrize("case", [case for case in ADDRESSES if case != "about"])
async def test_a_file_is_read_where_upstream_reads_it(case: str) -> None:
    kind, url = case.split(" ", 1)
    section = read_section({"github": [], **CONFIGS[kind]})
    async with open_outgoing() as outgoing:
        readers = host_readers(section, known_hosts(section), outgoing)
        [reader] = [one for one in readers if isinstance(one, RepositoryReader) and one.reads(url)]
    try:
        ours: object = parse(reader.address(url)).href
    except GreenroomError:
        ours = False
    assert ours == ADDRESSES[case]


# --- GitHub


async def test_github_reads_through_the_api_with_a_token() -> None:
    async with hosting("github", apiBaseUrl="{base}/api/", token="secret ") as (host, urls):
        path = "/api/repos/o/r/contents/a%20b/c%23.yaml?ref=main"
        host.said[path] = b"kind: X"
        document = await urls.read(f"{host.base}/o/r/blob/main/a%20b/c%23.yaml")
        assert document.content == b"kind: X"
        assert host.authorization(path) == "Bearer secret"
        assert host.headers[path]["accept"] == "application/vnd.github.v3.raw"
        with pytest.raises(NotModifiedError):
            await urls.read(f"{host.base}/o/r/tree/main/a%20b/c%23.yaml", document.etag)


async def test_github_reads_raw_without_a_token() -> None:
    async with hosting("github", apiBaseUrl="{base}/api", rawBaseUrl="{base}/raw/") as (host, urls):
        host.said["/raw/o/r/main/x.yaml"] = b"kind: X"
        assert (await urls.read(f"{host.base}/o/r/blob/main/x.yaml")).content == b"kind: X"
        assert "authorization" not in host.headers["/raw/o/r/main/x.yaml"]


async def test_github_without_a_raw_address_is_asked_through_the_api_in_any_case() -> None:
    async with hosting("github", apiBaseUrl="{base}/api") as (host, urls):
        with pytest.raises(NotFoundError) as caught:
            await urls.read(f"{host.base}/o/r/blob/main/x.yaml")
        address = f"{host.base}/api/repos/o/r/contents/x.yaml?ref=main"
        assert caught.value.message == f"Request failed for {address}, 404 Not Found"


@pytest.mark.parametrize(
    ("status", "headers", "tail"),
    [
        (403, {"x-ratelimit-remaining": "0"}, "403 Forbidden (rate limit exceeded)"),
        (403, {"x-ratelimit-remaining": "1"}, "403 Forbidden"),
        (429, {}, "429 Too Many Requests (rate limit exceeded)"),
        (429, {"Retry-After": "30"}, "429 Too Many Requests (rate limit exceeded)"),
        (401, {}, "401 Unauthorized"),
        (500, {}, "500 Internal Server Error"),
    ],
)
async def test_github_says_that_it_was_asked_too_often(status: int, headers: dict[str, str], tail: str) -> None:
    async with hosting("github", apiBaseUrl="{base}/api") as (host, urls):
        host.said["/api/repos/o/r/contents/x.yaml?ref=main"] = web.Response(status=status, headers=headers)
        with pytest.raises(UnreadableUrlError) as caught:
            await urls.read(f"{host.base}/o/r/blob/main/x.yaml")
        address = f"{host.base}/api/repos/o/r/contents/x.yaml?ref=main"
        assert caught.value.message == f"Request failed for {address}, {tail}"
        assert caught.value.retry_after == (30 if "Retry-After" in headers else None)


@pytest.mark.parametrize("path", ["/o/r", "/o/r/edit/main/x.yaml", "/o/r/issues/1", "/o"])
async def test_what_names_no_file_on_github_is_told_so(path: str) -> None:
    async with hosting("github", apiBaseUrl="{base}/api") as (host, urls):
        with pytest.raises(UnreadableUrlError) as caught:
            await urls.read(host.base + path)
        assert caught.value.message == f"Incorrect URL: {host.base}{path}, Error: Invalid GitHub URL or file path"
        assert host.asked == []


REPOSITORY = "/api/repos/o/r"


def on_github(host: Answers, *, truncated: bool = False) -> None:
    paths = {
        "a/catalog.yaml": "1",
        "b/catalog.yaml": "2",
        "b/c/catalog.yaml": "3",
        "other.yaml": "4",
        ".x/catalog.yaml": "5",
    }
    tree = [{"path": path, "type": "blob", "sha": sha, "url": "x"} for path, sha in paths.items()]
    host.said[f"{REPOSITORY}/commits/main/status?per_page=0"] = {"sha": "c0ffee", "repository": {}}
    host.said[f"{REPOSITORY}/git/trees/c0ffee?recursive=true"] = {
        "tree": [
            *tree,
            {"path": "a", "type": "tree", "sha": "6"},
            {"path": "sub/catalog.yaml", "type": "commit", "sha": "7"},
        ],
        "truncated": truncated,
    }
    for path, sha in paths.items():
        host.said[f"{REPOSITORY}/git/blobs/{sha}"] = {"content": b64(path.encode()), "encoding": "base64"}
    host.said[f"{REPOSITORY}/tarball/c0ffee"] = tar({f"o-r-c0ffee/{path}": path.encode() for path in paths})


@pytest.mark.parametrize("truncated", [False, True])
async def test_github_lists_the_files_of_a_pattern_and_not_again_for_the_same_commit(truncated: bool) -> None:
    async with hosting("github", apiBaseUrl="{base}/api", token="secret") as (host, urls):
        on_github(host, truncated=truncated)
        pattern = f"{host.base}/o/r/blob/main/*/catalog.yaml"
        assert await found(urls, pattern) == {
            f"{host.base}/o/r/blob/main/a/catalog.yaml": b"a/catalog.yaml",
            f"{host.base}/o/r/blob/main/b/catalog.yaml": b"b/catalog.yaml",
        }
        assert {headers.get("authorization") for headers in host.headers.values()} == {"Bearer secret"}
        assert len(await found(urls, f"{host.base}/o/r/blob/main/**/catalog.yaml")) == 3
        [(_, document), *_] = await urls.search(pattern)
        host.asked.clear()
        with pytest.raises(NotModifiedError):
            await urls.search(pattern, document.etag)
        assert host.asked == [f"{REPOSITORY}/commits/main/status?per_page=0"]


async def test_a_search_without_wildcards_is_one_file_or_none() -> None:
    async with hosting("github", apiBaseUrl="{base}/api") as (host, urls):
        host.said[f"{REPOSITORY}/contents/x.yaml?ref=main"] = b"x"
        assert await found(urls, f"{host.base}/o/r/blob/main/x.yaml") == {f"{host.base}/o/r/blob/main/x.yaml": b"x"}
        assert await urls.search(f"{host.base}/o/r/blob/main/y.yaml") == []
        with pytest.raises(NotFoundError):
            await urls.search(f"{host.base}/o/gone/blob/main/*.yaml")


async def test_a_pattern_that_stands_for_a_whole_monorepo_is_refused() -> None:
    async with hosting("github", apiBaseUrl="{base}/api") as (host, urls):
        on_github(host)
        tree = [{"path": f"{n}.yaml", "type": "blob", "sha": "1"} for n in range(1001)]
        host.said[f"{REPOSITORY}/git/trees/c0ffee?recursive=true"] = {"tree": tree}
        with pytest.raises(UnreadableUrlError, match="More than 1000 files match the pattern"):
            await urls.search(f"{host.base}/o/r/blob/main/*.yaml")


@pytest.mark.parametrize("body", [b"<html>", b'{"sha": 1}', b"[]", b"\xff"])
async def test_an_answer_of_another_kind_is_told_and_is_no_crash(body: bytes) -> None:
    async with hosting("github", apiBaseUrl="{base}/api") as (host, urls):
        host.said[f"{REPOSITORY}/commits/main/status?per_page=0"] = body
        with pytest.raises(UnreadableUrlError, match="answered in an unexpected way"):
            await urls.search(f"{host.base}/o/r/blob/main/*.yaml")


@pytest.mark.parametrize(
    "path", ["/o/r/blob/main/%252e%252e/x.yaml", "/o/r/blob/main/a%2F..%2F..%2Fx", "/o/r/blob/main/..%5Cx/*"]
)
@pytest.mark.parametrize("kind", ["github", "gitlab", "gitea", "bitbucketServer"])
async def test_no_path_leads_out_of_the_repository_to_other_parts_of_the_api(kind: str, path: str) -> None:
    async with hosting(kind, **({} if kind == "gitea" else {"apiBaseUrl": "{base}/api"})) as (host, urls):
        for ask in (urls.read, urls.search):
            with pytest.raises(GreenroomError, match="path traversal"):
                await ask(host.base + path)
        assert host.asked == []


async def test_a_password_in_a_url_is_never_sent_to_a_host() -> None:
    async with hosting("github", apiBaseUrl="{base}/api") as (host, urls):
        with pytest.raises(NotAllowedError):
            await urls.read(f"http://user:pw@{host.host}/o/r/blob/main/x.yaml")
        assert host.asked == []


async def test_a_host_cannot_send_the_server_to_itself() -> None:
    async with hosting("github", apiBaseUrl="{base}/api", token="secret") as (host, urls):
        on_github(host, truncated=True)
        away = {"Location": "http://127.0.0.1:1/x"}
        host.said[f"{REPOSITORY}/tarball/c0ffee"] = web.Response(status=302, headers=away)
        with pytest.raises(NotAllowedError, match="loopback"):
            await urls.search(f"{host.base}/o/r/blob/main/*.yaml")


# --- archives


async def archived(archive: bytes, pattern: str = "*.yaml") -> dict[str, bytes]:
    """What a pattern finds in an archive, by name."""
    async with hosting("github", apiBaseUrl="{base}/api") as (host, urls):
        on_github(host, truncated=True)
        host.said[f"{REPOSITORY}/tarball/c0ffee"] = archive
        files = await found(urls, f"{host.base}/o/r/blob/main/{pattern}")
        return {url.partition("/blob/main/")[2]: content for url, content in files.items()}


async def test_only_plain_files_inside_an_archive_count() -> None:
    link = tarfile.TarInfo("root/link.yaml")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    hard = tarfile.TarInfo("root/hard.yaml")
    hard.type, hard.linkname = tarfile.LNKTYPE, "root/good.yaml"
    files = {"root/good.yaml": b"1", "root/../bad.yaml": b"2", "root//etc/bad.yaml": b"3", "top.yaml": b"4"}
    assert await archived(tar(files, link, hard), "**/*.yaml") == {"good.yaml": b"1"}


@pytest.mark.parametrize(
    "archive", [b"", b"no archive", gzip.compress(b"no tar" * 1000), tar({"root/x.yaml": b"x" * 5000})[:-40]]
)
async def test_a_broken_archive_is_told(archive: bytes) -> None:
    with pytest.raises(UnreadableUrlError, match="The archive of the repository cannot be read"):
        await archived(archive)


async def test_an_archive_full_of_nothing_is_not_gone_through_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenroom.urls.hosts.archives.MAX_UNPACKED", 50_000)
    monkeypatch.setattr("greenroom.urls.hosts.archives.MAX_FILE", 1_000)
    with pytest.raises(UnreadableUrlError, match="larger than 50000 bytes"):
        await archived(tar({f"root/{n}.bin": b"0" * 10_000 for n in range(10)}))
    with pytest.raises(UnreadableUrlError, match=r"x\.yaml is larger than 1000 bytes"):
        await archived(tar({"root/x.yaml": b"0" * 2_000}))


# --- GitLab


async def test_gitlab_reads_through_the_api_of_files() -> None:
    async with hosting("gitlab", apiBaseUrl="{base}/api/v4", token="glpat") as (host, urls):
        path = "/api/v4/projects/group%2Fsub%2Fproject/repository/files/a%2Fb%20c.yaml/raw?ref=main"
        host.said[path] = b"x"
        document = await urls.read(f"{host.base}/group/sub/project/-/blob/main/a/b%20c.yaml")
        assert (document.content, host.authorization(path)) == (b"x", "Bearer glpat")
        assert (await urls.read(f"{host.base}/group/sub/project/blob/main/a/b%20c.yaml")).content == b"x"
        with pytest.raises(NotModifiedError):
            await urls.read(f"{host.base}/group/sub/project/-/blob/main/a/b%20c.yaml", document.etag)


async def test_gitlab_below_a_path() -> None:
    async with hosting("gitlab", baseUrl="{base}/lab") as (host, urls):
        path = "/lab/api/v4/projects/g%2Fp/repository/files/x.yaml/raw?ref=main"
        host.said[path] = b"x"
        assert (await urls.read(f"{host.base}/lab/g/p/-/blob/main/x.yaml")).content == b"x"
        with pytest.raises(UnreadableUrlError, match=r"Url path must start with /lab/\."):
            await urls.read(f"{host.base}/g/p/-/blob/main/x.yaml")


async def test_gitlab_says_what_it_could_not_read() -> None:
    async with hosting("gitlab", apiBaseUrl="{base}/api/v4") as (host, urls):
        url = f"{host.base}/g/p/-/blob/main/x.yaml"
        address = f"{host.base}/api/v4/projects/g%2Fp/repository/files/x.yaml/raw?ref=main"
        with pytest.raises(NotFoundError) as caught:
            await urls.read(url)
        assert caught.value.message == f"{url} could not be read as {address}, 404 Not Found"
        with pytest.raises(UnreadableUrlError, match=r"from /g/p/-/tree/main/x\.yaml\. Url path must include /blob/\."):
            await urls.read(f"{host.base}/g/p/-/tree/main/x.yaml")


async def test_gitlab_reads_artifacts_of_jobs() -> None:
    async with hosting("gitlab", apiBaseUrl="{base}/api/v4") as (host, urls):
        host.said["/api/v4/projects/g%2Fp/jobs/artifacts/main/raw/out/x.yaml?job=build"] = b"x"
        url = f"{host.base}/g/p/-/jobs/artifacts/main/raw/out/x.yaml?job=build"
        assert (await urls.read(url, '"e1"')).content == b"x"


async def test_gitlab_is_asked_for_an_archive_of_the_folder_above_the_first_wildcard() -> None:
    async with hosting("gitlab", apiBaseUrl="{base}/api/v4", token="glpat") as (host, urls):
        project = "/api/v4/projects/g%2Fp"
        host.said[f"{project}/repository/commits?ref_name=main&path=docs"] = [{"id": "abc"}]
        host.said[f"{project}/repository/archive?sha=abc&path=docs"] = tar(
            {"p-abc-docs/docs/a.yaml": b"a", "p-abc-docs/docs/b.md": b"b", "p-abc-docs/docs/c/d.yaml": b"d"}
        )
        pattern = f"{host.base}/g/p/-/blob/main/docs/*.yaml"
        assert await found(urls, pattern) == {f"{host.base}/g/p/-/blob/main/docs/a.yaml": b"a"}
        with pytest.raises(NotModifiedError):
            await urls.search(pattern, "abc")


async def test_gitlab_failing_to_list_is_told() -> None:
    async with hosting("gitlab", apiBaseUrl="{base}/api/v4") as (host, urls):
        url = f"{host.base}/g/p/-/blob/main/*.yaml"
        with pytest.raises(NotFoundError) as caught:
            await urls.search(url)
        assert caught.value.message == f"Failed to read tree (branch) from {url}, 404 Not Found"


# --- Bitbucket


@asynccontextmanager
async def cloud(**config: str) -> AsyncIterator[tuple[Answers, Urls]]:
    """bitbucket.org, which has no other address in config."""
    async with hosting("gitea") as (host, _), open_outgoing() as outgoing:
        section = read_section({"bitbucketServer": [{"host": host.host}]})
        known = known_hosts(section)
        settings = msgspec.convert(config, BitbucketCloudConfig)
        own = BitbucketCloudReader(outgoing, known, settings, host=host.host, web=host.base, api=f"{host.base}/2.0")
        yield host, Urls([own], known)


@pytest.mark.parametrize(
    ("config", "authorization"),
    [
        ({"username": "u", "token": "t"}, f"Basic {b64(b'u:t')}"),
        ({"username": "u", "appPassword": "p"}, f"Basic {b64(b'u:p')}"),
        ({}, None),
    ],
)
async def test_bitbucket_cloud_reads_sources(config: dict[str, str], authorization: str | None) -> None:
    async with cloud(**config) as (host, urls):
        path = "/2.0/repositories/o/r/src/main/a/x.yaml"
        host.said[path] = b"x"
        assert (await urls.read(f"{host.base}/o/r/src/main/a/x.yaml")).content == b"x"
        assert host.authorization(path) == authorization
        with pytest.raises(UnreadableUrlError, match="Error: Invalid Bitbucket Cloud URL or file path"):
            await urls.read(f"{host.base}/o/r")


async def test_bitbucket_cloud_lists_files() -> None:
    async with cloud() as (host, urls):
        host.said["/2.0/repositories/o/r/commits/main"] = {"values": [{"hash": "0123456789abcdef"}]}
        host.said["/o/r/get/main.tar.gz"] = tar({"o-r-0123/a.yaml": b"a", "o-r-0123/b/c.yaml": b"c"})
        pattern = f"{host.base}/o/r/src/main/**/*.yaml"
        assert await found(urls, pattern) == {
            f"{host.base}/o/r/src/main/a.yaml": b"a",
            f"{host.base}/o/r/src/main/b/c.yaml": b"c",
        }
        with pytest.raises(NotModifiedError):
            await urls.search(pattern, "0123456789ab")


@pytest.mark.parametrize(
    ("config", "authorization"),
    [
        ({"token": "t", "username": "u", "password": "p"}, "Bearer t"),
        ({"username": "u", "password": "p"}, f"Basic {b64(b'u:p')}"),
    ],
)
async def test_bitbucket_server_reads_raw_files(config: dict[str, str], authorization: str) -> None:
    async with hosting("bitbucketServer", apiBaseUrl="{base}/rest/api/1.0", **config) as (host, urls):
        path = "/rest/api/1.0/projects/P/repos/r/raw/a%20b/x.yaml?at=main"
        host.said[path] = b"x"
        assert (await urls.read(f"{host.base}/projects/P/repos/r/browse/a%20b/x.yaml?at=main")).content == b"x"
        assert host.authorization(path) == authorization


async def test_bitbucket_server_lists_files_of_a_branch_or_of_the_default_one() -> None:
    async with hosting("bitbucketServer", apiBaseUrl="{base}/api") as (host, urls):
        repository = "/api/projects/~me/repos/r"
        host.said[f"{repository}/branches?filterText=main"] = {
            "size": 2,
            "values": [
                {"displayId": "main2", "latestCommit": "f" * 40},
                {"displayId": "main", "latestCommit": "0123456789abcdef"},
            ],
        }
        host.said[f"{repository}/archive?format=tgz&at=main&prefix=~me-r"] = tar(
            {"~me-r/a.yaml": b"a", "~me-r/b.md": b"b"}
        )
        pattern = f"{host.base}/users/me/repos/r/browse/*.yaml?at=main"
        assert await found(urls, pattern) == {f"{host.base}/users/me/repos/r/browse/a.yaml?at=main": b"a"}
        with pytest.raises(NotModifiedError):
            await urls.search(pattern, "0123456789ab")
        host.said[f"{repository}/branches/default"] = {"displayId": "main", "latestCommit": "abcdefabcdefabcdef"}
        pattern = f"{host.base}/users/me/repos/r/browse/*.yaml"
        assert await found(urls, pattern) == {f"{host.base}/users/me/repos/r/browse/a.yaml": b"a"}


# --- Azure DevOps


def zipped(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


CREDENTIALS = [{"organizations": ["org"], "personalAccessToken": "pat"}, {"personalAccessToken": "other"}]


@pytest.mark.parametrize(("organization", "token"), [("org", "pat"), ("else", "other")])
async def test_azure_reads_items_with_the_token_of_the_organization(organization: str, token: str) -> None:
    async with hosting("azure", credentials=CREDENTIALS) as (host, urls):
        path = f"/{organization}/my%20project/_apis/git/repositories/repo/items?api-version=6.0&path=%2Fa+b.yaml&version=main"
        host.said[path] = b"x"
        url = f"{host.base}/{organization}/my%20project/_git/repo?path=%2Fa+b.yaml&version=GBmain"
        assert (await urls.read(url)).content == b"x"
        assert host.authorization(path) == f"Basic {b64(f':{token}'.encode())}"


async def test_azure_asking_to_sign_in_is_no_file() -> None:
    async with hosting("azure") as (host, urls):
        path = "/org/repo/_apis/git/repositories/repo/items?api-version=6.0&path=%2Fx.yaml"
        host.said[path] = web.Response(status=203, body=b"<html>sign in</html>")
        with pytest.raises(UnreadableUrlError, match=r"could not be read as .* 203"):
            await urls.read(f"{host.base}/org/_git/repo?path=/x.yaml")
        with pytest.raises(UnreadableUrlError, match="Azure URL must point to a specific path"):
            await urls.read(f"{host.base}/org/_git/repo")
        with pytest.raises(UnreadableUrlError, match="Azure URL must point to a git repository"):
            await urls.read(f"{host.base}/org/repo")


async def test_azure_lists_files() -> None:
    async with hosting("azure", credentials=CREDENTIALS) as (host, urls):
        repository = "/org/project/_apis/git/repositories/repo"
        host.said[f"{repository}/commits?api-version=6.0&searchCriteria.itemVersion.version=main"] = {
            "value": [{"commitId": "abc"}]
        }
        items = f"{repository}/items?recursionLevel=full&download=true&api-version=6.0&version=main"
        host.said[items] = zipped({"a/x.yaml": b"x", "a/y.md": b"y", "../a/z.yaml": b"z"})
        pattern = f"{host.base}/org/project/_git/repo?path=%2Fa%2F*.yaml&version=GBmain"
        assert await found(urls, pattern) == {
            f"{host.base}/org/project/_git/repo?path=%2Fa%2Fx.yaml&version=GBmain": b"x"
        }
        assert host.headers[items]["accept"] == "application/zip"
        with pytest.raises(NotModifiedError):
            await urls.search(pattern, "abc")


# --- Gitea


@pytest.mark.parametrize(
    ("config", "authorization"),
    [
        ({"username": "u", "password": "p"}, f"Basic {b64(b'u:p')}"),
        ({"password": "p"}, "token p"),
        ({}, None),
    ],
)
async def test_gitea_reads_contents(config: dict[str, str], authorization: str | None) -> None:
    async with hosting("gitea", baseUrl="{base}/tea/", **config) as (host, urls):
        path = "/tea/api/v1/repos/o/r/contents/a%20b/x.yaml?ref=main"
        host.said[path] = {"encoding": "base64", "content": b64(b"x\xff")}
        document = await urls.read(f"{host.base}/tea/o/r/src/branch/main/a%20b/x.yaml")
        assert (document.content, host.authorization(path)) == (b"x\xff", authorization)
        with pytest.raises(InputError, match="Unsupported search pattern URL"):
            await urls.search(f"{host.base}/tea/o/r/src/branch/main/*.yaml")


async def test_gitea_answering_in_another_encoding_is_told() -> None:
    async with hosting("gitea", baseUrl="{base}") as (host, urls):
        host.said["/api/v1/repos/o/r/contents/x.yaml?ref=main"] = {"encoding": "rot13", "content": "k"}
        with pytest.raises(UnreadableUrlError, match="Unknown encoding: rot13"):
            await urls.read(f"{host.base}/o/r/src/branch/main/x.yaml")


# --- Gerrit


@pytest.mark.parametrize(
    ("version", "path"),
    [("refs/heads/main", "branches/main"), ("a" * 40, f"commits/{'a' * 40}")],
)
async def test_gerrit_reads_contents_signed_in(version: str, path: str) -> None:
    config = {"baseUrl": "{base}", "gitilesBaseUrl": "{base}/plugins/gitiles", "username": "u", "password": "p"}
    async with hosting("gerrit", **config) as (host, urls):
        address = f"/a/projects/web%2Fproject/{path}/files/a%2Fx%20y.yaml/content"
        host.said[address] = b64(b"x").encode()
        url = f"{host.base}/plugins/gitiles/web/project/+/{version}/a/x%20y.yaml"
        assert (await urls.read(url)).content == b"x"
        assert host.authorization(address) == f"Basic {b64(b'u:p')}"


async def test_gerrit_lists_files() -> None:
    config = {"baseUrl": "{base}", "gitilesBaseUrl": "{base}/plugins/gitiles"}
    async with hosting("gerrit", **config) as (host, urls):
        root = f"{host.base}/plugins/gitiles/project/+/refs/heads/main"
        host.said["/projects/project/branches/main"] = b")]}'\n" + json.dumps({"revision": "abc"}).encode()
        tree = {
            "entries": [
                {"type": "blob", "name": "a/x.yaml"},
                {"type": "blob", "name": "y.yaml"},
                {"type": "tree", "name": "a"},
            ]
        }
        host.said["/plugins/gitiles/project/+/refs/heads/main/?format=JSON&recursive"] = (
            b")]}'" + json.dumps(tree).encode()
        )
        host.said["/projects/project/branches/main/files/a%2Fx.yaml/content"] = b64(b"x").encode()
        assert await found(urls, f"{root}/*/*.yaml") == {f"{root}/a/x.yaml": b"x"}
        with pytest.raises(NotModifiedError):
            await urls.search(f"{root}/*/*.yaml", "abc")
        with pytest.raises(UnreadableUrlError, match="Unsupported gitiles ref type: tag"):
            await urls.read(f"{host.base}/plugins/gitiles/project/+/refs/tags/v1/x.yaml")
        with pytest.raises(UnreadableUrlError, match="Unable to parse gitiles : "):
            await urls.read(f"{host.base}/plugins/gitiles/project")


def test_gerrit_urls_beside_and_edit_links() -> None:
    known = known_hosts(
        read_section({"gerrit": [{"host": "g.example.com", "gitilesBaseUrl": "https://g.example.com/gitiles"}]})
    )
    base = "https://g.example.com/gitiles/web/project/+/refs/heads/main/a/x.yaml"
    assert known.resolve("./y.yaml", base) == "https://g.example.com/gitiles/web/project/+/refs/heads/main/a/y.yaml"
    assert known.resolve("/y.yaml", base) == "https://g.example.com/gitiles/web/project/+/refs/heads/main/y.yaml"
    assert known.edit_url(base) == (
        "https://g.example.com/admin/repos/edit/repo/web/project/branch/refs/heads/main/file/a/x.yaml"
    )


# --- whole folders


def entry(name: str, *, mode: int = 0o644, link: str = "", kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    """A member of an archive, without content."""
    member = tarfile.TarInfo(name)
    member.mode = mode
    if link:
        member.type, member.linkname = kind, link
    return member


def all_of(tree: Tree) -> dict[str, bytes | str]:
    """Content by path; of a link its target; an executable's path ends with a star."""
    return {f"{one.path}{'*' if one.executable else ''}": one.link or one.content for one in tree.files}


SKELETON = tar(
    {"o-r/skeleton/a b.txt": b"\x00\xff", "o-r/skeleton/deep/er/c": b"c", "o-r/skeletons": b"", "o-r/other/d": b"d"},
    entry("o-r/skeleton/run", mode=0o755),
    entry("o-r/skeleton/deep/link", link="../run"),
    entry("o-r/skeleton/hard", link="o-r/other/d", kind=tarfile.LNKTYPE),
    entry("o-r/skeleton/out", link="../../etc/passwd"),
    entry("o-r/skeleton/abs", link="/etc/passwd"),
    entry("o-r/skeleton/pipe", link="x", kind=tarfile.FIFOTYPE),
    entry("o-r/skeleton/../up"),
)
INSIDE = {"a b.txt": b"\x00\xff", "deep/er/c": b"c", "run*": b"", "deep/link": "../run"}


async def test_a_folder_on_github_is_read_whole_with_modes_and_links_but_none_that_lead_out() -> None:
    async with hosting("github", apiBaseUrl="{base}/api", token="secret") as (host, urls):
        on_github(host)
        host.said[f"{REPOSITORY}/tarball/c0ffee"] = SKELETON
        assert urls.reads_folders(f"{host.base}/o/r/tree/main/skeleton/")
        tree = await urls.tree(f"{host.base}/o/r/tree/main/skeleton/")
        assert all_of(tree) == INSIDE
        assert all_of(tree) == INSIDE, "it can be gone through again"
        assert {headers.get("authorization") for headers in host.headers.values()} == {"Bearer secret"}
        host.asked.clear()
        with pytest.raises(NotModifiedError):
            await urls.tree(f"{host.base}/o/r/tree/main/skeleton", tree.etag)
        assert host.asked == [f"{REPOSITORY}/commits/main/status?per_page=0"]
        assert all_of(await urls.tree(f"{host.base}/o/r/tree/main/missing")) == {}
        host.said[REPOSITORY] = {"default_branch": "main"}
        assert {"skeleton/run*", "other/d"} < set(all_of(await urls.tree(f"{host.base}/o/r")))


async def test_a_token_that_is_given_is_used_in_place_of_the_hosts_own_and_goes_nowhere_else() -> None:
    async with (
        hosting("github", apiBaseUrl="{base}/api", token="secret") as (host, urls),
        hosting("gitea") as (away, _),
    ):
        on_github(host)
        moved = {"Location": f"http://localhost:{away.host.rpartition(':')[2]}/archive"}
        host.said[f"{REPOSITORY}/tarball/c0ffee"] = web.Response(status=302, headers=moved)
        with pytest.raises(NotAllowedError):
            await urls.tree(f"{host.base}/o/r/tree/main/skeleton", token="mine")
        assert {headers.get("authorization") for headers in host.headers.values()} == {"Bearer mine"}
        assert away.asked == []
        host.said[f"{REPOSITORY}/contents/x.yaml?ref=main"] = b"x"
        await urls.read(f"{host.base}/o/r/blob/main/x.yaml", token="mine")
        assert host.authorization(f"{REPOSITORY}/contents/x.yaml?ref=main") == "Bearer mine"
        await urls.read(f"{host.base}/o/r/blob/main/x.yaml")
        assert host.authorization(f"{REPOSITORY}/contents/x.yaml?ref=main") == "Bearer secret"


async def test_a_token_opens_the_api_of_github_where_config_has_none() -> None:
    async with hosting("github", apiBaseUrl="{base}/api", rawBaseUrl="{base}/raw") as (host, urls):
        host.said[f"{REPOSITORY}/contents/x.yaml?ref=main"] = b"x"
        assert (await urls.read(f"{host.base}/o/r/blob/main/x.yaml", token="mine")).content == b"x"


async def test_a_folder_on_gitlab() -> None:
    async with hosting("gitlab", apiBaseUrl="{base}/api/v4", token="glpat") as (host, urls):
        project = "/api/v4/projects/g%2Fp"
        url = f"{host.base}/g/p/-/tree/main/skeleton"
        with pytest.raises(NotFoundError) as caught:
            await urls.tree(url)
        assert caught.value.message == f"Failed to read tree from {url}, 404 Not Found"
        host.said[project] = {"default_branch": "trunk"}
        host.said[f"{project}/repository/commits?ref_name=main&path=skeleton"] = [{"id": "abc"}]
        archive = f"{project}/repository/archive?sha=abc&path=skeleton"
        with pytest.raises(NotFoundError) as caught:
            await urls.tree(url)
        assert caught.value.message == f"Failed to read tree (archive) from {url}, {host.base}{archive}, 404 Not Found"
        host.said[archive] = SKELETON
        assert all_of(await urls.tree(url, token="mine")) == INSIDE
        assert host.authorization(archive) == "Bearer mine"
        host.said[f"{project}/repository/commits?ref_name=trunk"] = [{"id": "def"}]
        host.said[f"{project}/repository/archive?sha=def"] = SKELETON
        assert "other/d" in all_of(await urls.tree(f"{host.base}/g/p"))


async def test_a_folder_on_bitbucket_cloud() -> None:
    async with cloud(username="u", token="t") as (host, urls):
        host.said["/2.0/repositories/o/r/commits/main"] = {"values": [{"hash": "0123456789abcdef"}]}
        host.said["/o/r/get/main.tar.gz"] = SKELETON
        tree = await urls.tree(f"{host.base}/o/r/src/main/skeleton")
        assert (all_of(tree), tree.etag) == (INSIDE, "0123456789ab")


async def test_a_folder_on_bitbucket_server() -> None:
    async with hosting("bitbucketServer", apiBaseUrl="{base}/api", token="t") as (host, urls):
        repository = "/api/projects/P/repos/r"
        branches = {"values": [{"displayId": "main", "latestCommit": "0123456789abcdef"}]}
        host.said[f"{repository}/branches?filterText=main"] = branches
        host.said[f"{repository}/archive?format=tgz&at=main&prefix=P-r&path=skeleton"] = SKELETON
        url = f"{host.base}/projects/P/repos/r/browse/skeleton?at=main"
        assert all_of(await urls.tree(url)) == INSIDE


async def test_a_folder_on_azure_is_named_by_the_last_part_of_its_path() -> None:
    async with hosting("azure", credentials=CREDENTIALS) as (host, urls):
        repository = "/org/project/_apis/git/repositories/repo"
        commits = f"{repository}/commits?api-version=6.0&searchCriteria.itemVersion.version=main"
        host.said[commits] = {"value": [{"commitId": "abc"}]}
        items = (
            f"{repository}/items?recursionLevel=full&download=true&api-version=6.0&scopePath=%2Fa%2Fskel&version=main"
        )
        host.said[items] = zipped({"skel/x y": b"x", "skel/deep/y": b"y", "skel/": b""})
        url = f"{host.base}/org/project/_git/repo?path=%2Fa%2Fskel&version=GBmain"
        tree = await urls.tree(url, token="mine")
        assert (all_of(tree), tree.etag) == ({"x y": b"x", "deep/y": b"y"}, "abc")
        assert host.authorization(items) == f"Basic {b64(b':mine')}"


async def test_a_folder_on_gitea() -> None:
    async with hosting("gitea", baseUrl="{base}/tea", password="p") as (host, urls):
        repository = "/tea/api/v1/repos/o/r"
        url = f"{host.base}/tea/o/r/src/branch/main/skeleton"
        with pytest.raises(NotFoundError) as caught:
            await urls.tree(url)
        commits = f"{host.base}{repository}/git/commits/main"
        assert caught.value.message == f"Failed to retrieve latest commit information from {commits}, 404 Not Found"
        host.said[f"{repository}/git/commits/main"] = {"sha": "abc"}
        host.said[f"{repository}/archive/main.tar.gz"] = SKELETON
        assert all_of(await urls.tree(url)) == INSIDE
        assert host.authorization(f"{repository}/archive/main.tar.gz") == "token p"


async def test_a_folder_on_gerrit_is_the_root_of_its_archive() -> None:
    config = {"baseUrl": "{base}", "gitilesBaseUrl": "{base}/plugins/gitiles", "username": "u", "password": "p"}
    async with hosting("gerrit", **config) as (host, urls):
        host.said["/a/projects/web%2Fproject/branches/main"] = b")]}'\n" + json.dumps({"revision": "abc"}).encode()
        archive = "/a/plugins/gitiles/web/project/+archive/refs/heads/main/skeleton.tar.gz"
        host.said[archive] = tar({"a/b": b"b"}, entry("run", mode=0o755))
        tree = await urls.tree(f"{host.base}/plugins/gitiles/web/project/+/refs/heads/main/skeleton", token="ignored")
        assert (all_of(tree), tree.etag) == ({"a/b": b"b", "run*": b""}, "abc")
        assert host.authorization(archive) == f"Basic {b64(b'u:p')}"


async def test_a_folder_on_harness_is_asked_for_by_commit_and_zip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Harness is always https; the requests are looked at before they leave."""
    section = read_section({"harness": [{"host": "h.example.com", "apiKey": "key"}]})
    asked: list[tuple[str, str]] = []

    async def get(self: Outgoing, url: str, headers: Mapping[str, str], *_: Any, **more: Any) -> Any:
        asked.append((url, headers["X-Api-Key"]))
        content = json.dumps({"latest_commit": {"sha": "abc"}}).encode()
        if (into := more.get("into")) is not None:
            into.write(linked({"s/run": (0o100755, b"#!"), "t": (0o100644, b"")}))
        return SimpleNamespace(ok=True, status=200, headers={}, content=content, said="200 OK")

    monkeypatch.setattr(Outgoing, "get", get)
    async with open_outgoing() as outgoing:
        known = known_hosts(section)
        urls = Urls(list(host_readers(section, known, outgoing)), known)
        url = "https://h.example.com/ng/account/acc/module/code/orgs/o/projects/p/repos/r/files/main/~/s"
        tree = await urls.tree(url, token="mine")
        assert (all_of(tree), tree.etag) == ({"run*": b"#!"}, "abc")
    base = "https://h.example.com/gateway/code/api/v1/repos/acc/o/p/r/+"
    assert asked == [
        (f"{base}/content?routingId=acc&include_commit=true&git_ref=refs/heads/main", "mine"),
        (f"{base}/archive/main.zip?routingId=acc", "mine"),
    ]


def linked(files: Mapping[str, tuple[int, bytes]]) -> bytes:
    """A zip file of names to mode and content."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, (mode, content) in files.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            archive.writestr(member, content)
    return packed.getvalue()


def test_a_zip_keeps_modes_and_links() -> None:
    packed = linked(
        {
            "s/run": (0o100755, b"#!"),
            "s/plain": (0o100644, b"p"),
            "s/link": (0o120777, b"run"),
            "s/out": (0o120777, b"../../x"),
            "t": (0, b""),
        }
    )
    assert all_of(gathered(io.BytesIO(packed), "zip", "s").tree(None)) == {"run*": b"#!", "plain": b"p", "link": "run"}


async def test_plain_http_reads_no_folders() -> None:
    async with open_outgoing() as outgoing:
        reading = msgspec.convert({"allow": [{"host": "example.com"}]}, ReadingConfig)
        urls = Urls([HttpReader(outgoing, reading)])
        with pytest.raises(UnreadableUrlError, match=r"^FetchUrlReader does not implement readTree$"):
            await urls.tree("https://example.com/folder")
        assert not urls.reads_folders("https://example.com/folder")
        assert not urls.reads_folders("https://example.org/folder")
        with pytest.raises(NotAllowedError, match=r"Reading from 'https://example\.org/folder' is not allowed"):
            await urls.tree("https://example.org/folder")
