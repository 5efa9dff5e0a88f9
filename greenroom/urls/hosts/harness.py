"""Files in the repositories of a Harness, through its gateway (facts: upstream's HarnessUrlReader)."""

from __future__ import annotations

from urllib.parse import unquote

from greenroom.errors import InputError
from greenroom.settings import HarnessConfig
from greenroom.urls.hosts.repository import Matches, RepositoryReader, bearer, part, parts
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
        folders = [part(unquote(folder)) for folder in (file.account, file.org, file.project, file.name) if folder]
        if not file.path or "undefined" in (file.account, file.name):
            raise UnreadableUrlError(f"Incorrect URL: {url}, Error: Invalid Harness URL or file path")
        branch = parts(unquote(file.branch)).replace("&", "%26").replace("+", "%2B")
        query = f"routingId={folders[0]}&git_ref=refs/heads/{branch}"
        inside = parts(unquote(file.path))
        return f"https://{self.host}/gateway/code/api/v1/repos/{'/'.join(folders)}/+/raw/{inside}?{query}"

    def pattern(self, url: str) -> str:
        return unquote(harness_file(url).path)

    async def commit(self, url: str) -> str:
        raise InputError("Unsupported search pattern URL")

    async def matching(self, url: str, commit: str, pattern: str, matches: Matches) -> list[tuple[str, bytes]]:
        raise InputError("Unsupported search pattern URL")
