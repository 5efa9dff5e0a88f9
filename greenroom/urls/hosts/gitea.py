"""Files on Gitea and Forgejo, through their API of contents (facts: upstream's GiteaUrlReader)."""

from __future__ import annotations

from urllib.parse import unquote

import msgspec

from greenroom.errors import InputError
from greenroom.settings import GiteaConfig
from greenroom.urls.hosts.repository import Matches, RepositoryReader, basic, decoded, from_base64, part
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
        path = parse(url).pathname.removeprefix(parse(self._base).pathname.rstrip("/"))
        _, owner, name, _, _, ref, *file = path.split("/") + [""] * (6 - len(path.split("/")))
        if not ref:
            raise UnreadableUrlError(f"Incorrect URL: {url}, Error: Invalid Gitea URL or file path")
        return f"{self._base}/api/v1/repos/{owner}/{name}/contents/{'/'.join(file).removeprefix('/')}?ref={part(unquote(ref))}"

    def content(self, answer: Answer) -> bytes:
        file = decoded(answer.content, _Contents, answer.url)
        if file.encoding != "base64":
            raise UnreadableUrlError(f"Unknown encoding: {file.encoding}")
        return from_base64(file.content, answer.url)

    def pattern(self, url: str) -> str:
        return repository_file(url).path

    async def commit(self, url: str) -> str:
        raise InputError("Unsupported search pattern URL")

    async def matching(self, url: str, commit: str, pattern: str, matches: Matches) -> list[tuple[str, bytes]]:
        raise InputError("Unsupported search pattern URL")


class _Contents(msgspec.Struct):
    encoding: str
    content: str
