"""Files on Gerrit, named by the URLs of Gitiles and read through Gerrit's API (facts: upstream's GerritUrlReader)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from urllib.parse import unquote

import msgspec

from greenroom.errors import InputError, NotFoundError
from greenroom.settings import GerritConfig
from greenroom.urls.hosts.repository import (
    Matches,
    Packed,
    RepositoryReader,
    basic,
    decoded,
    from_base64,
    part,
    parts,
    read_all,
)
from greenroom.urls.integrations import Integrations
from greenroom.urls.outgoing import Answer, Outgoing
from greenroom.urls.repositories import GitilesFile, gitiles_file
from greenroom.urls.service import UnreadableUrlError
from greenroom.urls.whatwg import parse

_PREFIX = b")]}'"
"""Before all JSON, so that no browser runs it."""


class GerritReader(RepositoryReader):
    """A Gerrit and its Gitiles."""

    def __init__(self, outgoing: Outgoing, integrations: Integrations, config: GerritConfig) -> None:
        headers = basic(config.username or "", config.password) if config.password else {}
        host = parse(config.gitiles_base_url).host
        super().__init__(outgoing, integrations, host, headers, config.base_url, config.gitiles_base_url)
        signed_in = "/a" if config.password else ""
        self._gitiles = config.gitiles_base_url
        self._api = f"{config.base_url}{signed_in}"
        self._listing = self._gitiles.replace(f"{config.base_url}/", f"{self._api}/", 1)

    def address(self, url: str) -> str:
        return self._content(self._file(url))

    def check(self, answer: Answer, message: str) -> None:
        if answer.status == 404:
            raise NotFoundError(message)
        super().check(answer, message)

    def content(self, answer: Answer) -> bytes:
        return from_base64(answer.content, answer.url)

    def pattern(self, url: str) -> str:
        return unquote(self._file(url).path).lstrip("/")

    def beside(self, url: str, path: str) -> str:
        return f"{self._file(url).base}/{path}"

    async def commit(self, url: str) -> str:
        file = self._file(url)
        if file.ref_type == "sha":
            return file.ref
        if file.ref_type != "branch":
            raise UnreadableUrlError(f"Unsupported gitiles ref type: {file.ref_type}")
        address = f"{self._project(file)}/branches/{part(unquote(file.ref))}"
        answer = await self.get(address)
        self.check(answer, f"Request failed with {answer.said}, {address}")
        return decoded(_unprefixed(answer), _Branch, address).revision

    async def matching(self, url: str, commit: str, pattern: str, matches: Matches) -> list[tuple[str, bytes]]:
        file = self._file(url)
        address = f"{file.base.replace(self._gitiles, self._listing, 1)}/?format=JSON&recursive"
        answer = await self.get(address)
        self.check(answer, f"Request failed with {answer.said}, {address}")
        entries = decoded(_unprefixed(answer), _Tree, address).entries
        paths = [one.name for one in entries if one.type == "blob" and matches(one.name)]
        return await read_all(paths, partial(self._inside, file))

    async def packed(self, url: str, commit: str) -> Packed:
        """The folder alone, of which Gitiles makes the root of the archive."""
        file = self._file(url)
        if file.ref_type not in ("branch", "sha"):
            raise UnreadableUrlError(f"Unsupported gitiles ref type: {file.ref_type}")
        version = f"refs/heads/{file.ref}" if file.ref_type == "branch" else file.ref
        inside = f"/{file.path.strip('/')}" if file.path.strip("/") else ""
        listing = self._listing.removesuffix("/")
        address = f"{listing}/{file.project}/+archive/{version}{inside}.tar.gz"
        return Packed(address, f"{url} could not be read as {address}", "", "bare tar")

    def given(self, token: str) -> Mapping[str, str]:
        """Gerrit has passwords of users, and no tokens: what it is given opens nothing more than config does (as upstream)."""
        return self._headers

    async def _inside(self, root: GitilesFile, path: str) -> bytes:
        address = self._content(msgspec.structs.replace(root, path=parts(path)))
        answer = await self.get(address)
        self.check(answer, f"{path} could not be read as {address}, {answer.said}")
        return self.content(answer)

    def _content(self, file: GitilesFile) -> str:
        versions = {"branch": "branches", "sha": "commits"}
        if file.ref_type not in versions:
            raise UnreadableUrlError(f"Unsupported gitiles ref type: {file.ref_type}")
        version = f"{versions[file.ref_type]}/{part(unquote(file.ref))}"
        return f"{self._project(file)}/{version}/files/{part(unquote(file.path))}/content"

    def _project(self, file: GitilesFile) -> str:
        return f"{self._api}/projects/{part(unquote(file.project))}"

    def _file(self, url: str) -> GitilesFile:
        try:
            return gitiles_file(url, self._gitiles)
        except InputError as error:
            raise UnreadableUrlError(error.message) from error


def _unprefixed(answer: Answer) -> bytes:
    if not answer.content.startswith(_PREFIX):
        shown = answer.content[:10].decode("utf-8", "replace")
        raise UnreadableUrlError(f"Gerrit JSON body prefix missing. Found: {shown}")
    return answer.content[len(_PREFIX) :]


class _Branch(msgspec.Struct):
    revision: str


class _Entry(msgspec.Struct):
    type: str
    name: str


class _Tree(msgspec.Struct):
    entries: list[_Entry]
