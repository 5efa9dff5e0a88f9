"""Files in the repositories of a Harness, through its gateway (facts: upstream's HarnessUrlReader)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

import msgspec

from greenroom.errors import InputError
from greenroom.settings import HarnessConfig
from greenroom.urls.hosts.repository import Matches, Packed, RepositoryReader, bearer, part, parts
from greenroom.urls.integrations import Integrations
from greenroom.urls.outgoing import Outgoing
from greenroom.urls.repositories import harness_file
from greenroom.urls.service import UnreadableUrlError


class HarnessReader(RepositoryReader):
    """app.harness.io, or a Harness of one's own."""

    def __init__(self, outgoing: Outgoing, integrations: Integrations, config: HarnessConfig) -> None:
        headers = {"X-Api-Key": config.api_key} if config.api_key else bearer(config.token)
        super().__init__(outgoing, integrations, config.host, headers)

    def address(self, url: str) -> str:
        """`/ng/account/<account>/module/code/…/repos/<name>/files/<branch>/~/<path>`; organization and project may be missing."""
        file = harness_file(url)
        if not file.path:
            raise UnreadableUrlError(f"Incorrect URL: {url}, Error: Invalid Harness URL or file path")
        repository, account = self._repository(url)
        query = f"routingId={account}&git_ref=refs/heads/{_in_query(file.branch)}"
        return f"{repository}/+/raw/{parts(unquote(file.path))}?{query}"

    async def commit_of_tree(self, url: str) -> str:
        repository, account = self._repository(url)
        query = f"routingId={account}&include_commit=true&git_ref=refs/heads/{_in_query(harness_file(url).branch)}"
        address = f"{repository}/+/content?{query}"
        failure = f"Failed to retrieve latest commit information from {address}"
        return (await self.json(address, _Content, failure)).latest_commit.sha

    async def packed(self, url: str, commit: str) -> Packed:
        repository, account = self._repository(url)
        file = harness_file(url)
        address = f"{repository}/+/archive/{parts(unquote(file.branch))}.zip?routingId={account}"
        return Packed(address, f"{url} could not be read as {address}", unquote(file.path), "zip")

    def given(self, token: str) -> Mapping[str, str]:
        return {"X-Api-Key": token}

    def _repository(self, url: str) -> tuple[str, str]:
        """Its address, and the account. Raises UnreadableUrlError."""
        file = harness_file(url)
        if "undefined" in (file.account, file.name):
            raise UnreadableUrlError(f"Incorrect URL: {url}, Error: Invalid Harness URL or file path")
        folders = [part(unquote(folder)) for folder in (file.account, file.org, file.project, file.name) if folder]
        return f"https://{self.host}/gateway/code/api/v1/repos/{'/'.join(folders)}", folders[0]

    def pattern(self, url: str) -> str:
        return unquote(harness_file(url).path)

    async def commit(self, url: str) -> str:
        raise InputError("Unsupported search pattern URL")

    async def matching(self, url: str, commit: str, pattern: str, matches: Matches) -> list[tuple[str, bytes]]:
        raise InputError("Unsupported search pattern URL")


def _in_query(branch: str) -> str:
    return parts(unquote(branch)).replace("&", "%26").replace("+", "%2B")


class _Commit(msgspec.Struct):
    sha: str


class _Content(msgspec.Struct):
    latest_commit: _Commit
