"""Files on GitHub: raw without a token, through the API with one or as an app (facts: upstream's GithubUrlReader)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import ClassVar
from urllib.parse import unquote

import msgspec

from greenroom.settings import GithubConfig
from greenroom.urls.globs import is_glob
from greenroom.urls.hosts.github_apps import GithubApps
from greenroom.urls.hosts.repository import (
    Matches,
    Packed,
    RepositoryReader,
    bearer,
    file_of,
    from_base64,
    part,
    parts,
    read_all,
)
from greenroom.urls.integrations import Integrations
from greenroom.urls.outgoing import Answer, Outgoing
from greenroom.urls.repositories import repository_file
from greenroom.urls.service import UnreadableUrlError
from greenroom.urls.whatwg import parse

_VIEWS = ("blob", "raw", "tree")


class GithubReader(RepositoryReader):
    """github.com, or an Enterprise Server."""

    accept: ClassVar[Mapping[str, str]] = {"Accept": "application/vnd.github.v3.raw"}

    def __init__(self, outgoing: Outgoing, integrations: Integrations, config: GithubConfig) -> None:
        apis = (config.api_base_url, config.raw_base_url)
        super().__init__(outgoing, integrations, config.host, bearer(config.token), *apis)
        self._config = config
        self._apps = GithubApps(outgoing, config.api_base_url, config.apps, self._named)

    async def credentials(self, address: str) -> Mapping[str, str]:
        """Those of an app that is installed for the owner, or else the token."""
        below = f"{self._config.api_base_url}/repos/"
        if not self._config.apps or not address.startswith(below):
            return self._headers
        owner, name, *_ = (unquote(folder) for folder in re.split("[/?]", address.removeprefix(below) + "/"))
        return bearer(await self._apps.token(owner, name)) or self._headers

    async def place(self, url: str) -> str:
        file_of(url, "GitHub", _VIEWS)
        opened = await self.opening(self._repository(url))
        return self._address(url, signed_in=bool(opened))

    def address(self, url: str) -> str:
        return self._address(url, signed_in=bool(self._config.token))

    def _address(self, url: str, *, signed_in: bool) -> str:
        file = file_of(url, "GitHub", _VIEWS)
        if not file.ref:
            raise UnreadableUrlError(f"Incorrect URL: {url}, Error: Invalid GitHub URL or file path")
        inside = parts(file.path.removeprefix("/"))
        if signed_in or not self._config.raw_base_url:
            return f"{self._repository(url)}/contents/{inside}?ref={part(file.ref)}"
        return f"{self._config.raw_base_url}/{parts(file.owner)}/{part(file.name)}/{part(file.ref)}/{inside}"

    def check(self, answer: Answer, message: str) -> None:
        super().check(answer, f"Request failed for {answer.url}, {answer.said}")

    def pattern(self, url: str) -> str:
        return repository_file(url).path

    def is_pattern(self, path: str) -> bool:
        return is_glob(path)

    def beside(self, url: str, path: str) -> str:
        parsed = parse(url)
        return parsed.with_path(f"{'/'.join(parsed.pathname.split('/')[:5])}/{path}").href

    async def commit(self, url: str) -> str:
        ref = repository_file(url).ref or (await self.json(self._repository(url), _Repository, "")).default_branch
        return (await self.json(f"{self._repository(url)}/commits/{part(ref)}/status?per_page=0", _Commit, "")).sha

    async def matching(self, url: str, commit: str, pattern: str, matches: Matches) -> list[tuple[str, bytes]]:
        repository = self._repository(url)
        tree = await self.json(f"{repository}/git/trees/{part(commit)}?recursive=true", _Tree, "")
        if tree.truncated:
            return await self.archive(f"{repository}/tarball/{part(commit)}", "", matches)
        blobs = {one.path: one.sha for one in tree.tree if one.type == "blob" and matches(one.path)}
        return await read_all(list(blobs), partial(self._blob, repository, blobs))

    async def packed(self, url: str, commit: str) -> Packed:
        return Packed(f"{self._repository(url)}/tarball/{part(commit)}", "", repository_file(url).path)

    async def _blob(self, repository: str, blobs: dict[str, str], path: str) -> bytes:
        address = f"{repository}/git/blobs/{part(blobs[path])}"
        return from_base64((await self.json(address, _Blob, "")).content, address)

    def _repository(self, url: str) -> str:
        file = repository_file(url)
        return f"{self._config.api_base_url}/repos/{parts(file.owner)}/{part(file.name)}"


class _Repository(msgspec.Struct):
    default_branch: str


class _Commit(msgspec.Struct):
    sha: str


class _Item(msgspec.Struct):
    path: str
    type: str
    sha: str


class _Tree(msgspec.Struct):
    tree: list[_Item]
    truncated: bool = False


class _Blob(msgspec.Struct):
    content: str
