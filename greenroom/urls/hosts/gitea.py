"""Files on Gitea and Forgejo, through their API of contents (facts: upstream's GiteaUrlReader)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

import msgspec

from greenroom.errors import InputError
from greenroom.settings import GiteaConfig
from greenroom.urls.hosts.repository import Matches, Packed, RepositoryReader, basic, decoded, from_base64, part
from greenroom.urls.integrations import Integrations
from greenroom.urls.outgoing import Answer, Outgoing
from greenroom.urls.repositories import repository_file
from greenroom.urls.service import UnreadableUrlError
from greenroom.urls.whatwg import parse


class GiteaReader(RepositoryReader):
    """A Gitea of one's own."""

    def __init__(self, outgoing: Outgoing, integrations: Integrations, config: GiteaConfig) -> None:
        headers: dict[str, str] = {}
        if config.password:
            token = {"Authorization": f"token {config.password}"}
            headers = basic(config.username, config.password) if config.username else token
        super().__init__(outgoing, integrations, config.host, headers, config.base_url)
        self._base = config.base_url

    def address(self, url: str) -> str:
        """`/owner/name/src/branch/ref/path`, below the base."""
        repository, ref, file = self._named_by(url)
        return f"{repository}/contents/{file}?ref={part(ref)}"

    def content(self, answer: Answer) -> bytes:
        file = decoded(answer.content, _Contents, answer.url)
        if file.encoding != "base64":
            raise UnreadableUrlError(f"Unknown encoding: {file.encoding}")
        return from_base64(file.content, answer.url)

    def pattern(self, url: str) -> str:
        return repository_file(url).path

    async def commit_of_tree(self, url: str) -> str:
        repository, ref, _ = self._named_by(url)
        address = f"{repository}/git/commits/{part(ref)}"
        return (await self.json(address, _Commit, f"Failed to retrieve latest commit information from {address}")).sha

    async def packed(self, url: str, commit: str) -> Packed:
        repository, ref, file = self._named_by(url)
        address = f"{repository}/archive/{part(ref)}.tar.gz"
        return Packed(address, f"{url} could not be read as {address}", unquote(file))

    def given(self, token: str) -> Mapping[str, str]:
        return {"Authorization": f"token {token}"}

    async def commit(self, url: str) -> str:
        raise InputError("Unsupported search pattern URL")

    async def matching(self, url: str, commit: str, pattern: str, matches: Matches) -> list[tuple[str, bytes]]:
        raise InputError("Unsupported search pattern URL")

    def _named_by(self, url: str) -> tuple[str, str, str]:
        """Address of the repository, version, and path still in the URL's encoding. Raises UnreadableUrlError."""
        path = parse(url).pathname.removeprefix(parse(self._base).pathname.rstrip("/"))
        _, owner, name, _, _, ref, *file = path.split("/") + [""] * (6 - len(path.split("/")))
        if not ref:
            raise UnreadableUrlError(f"Incorrect URL: {url}, Error: Invalid Gitea URL or file path")
        return f"{self._base}/api/v1/repos/{owner}/{name}", unquote(ref), "/".join(file).removeprefix("/")


class _Commit(msgspec.Struct):
    sha: str


class _Contents(msgspec.Struct):
    encoding: str
    content: str
