"""Files on GitLab, through its API (facts: upstream's GitlabUrlReader)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote, urlencode

import msgspec

from greenroom.plugin import Document
from greenroom.settings import GitlabConfig
from greenroom.urls.hosts.repository import Matches, Packed, RepositoryReader, bearer, part
from greenroom.urls.integrations import Integrations
from greenroom.urls.outgoing import Outgoing
from greenroom.urls.repositories import decoded, repository_file
from greenroom.urls.service import UnreadableUrlError
from greenroom.urls.whatwg import parse

_ARTIFACTS = "/-/jobs/artifacts/"


class GitlabReader(RepositoryReader):
    """gitlab.com, or a GitLab of one's own."""

    def __init__(self, outgoing: Outgoing, integrations: Integrations, config: GitlabConfig) -> None:
        super().__init__(outgoing, integrations, config.host, bearer(config.token), config.api_base_url)
        self._api = config.api_base_url
        self._below = "" if config.host == GitlabConfig.PUBLIC else parse(config.base_url).pathname.rstrip("/")

    def address(self, url: str) -> str:
        parsed = parse(url)
        path = parsed.pathname
        if _ARTIFACTS in path:
            project, _, artifact = path.partition(_ARTIFACTS)
            return f"{self._project(project)}/jobs/artifacts/{artifact}{parsed.search}"
        if "/blob/" not in path:
            raise UnreadableUrlError(f"Failed extracting project path from {path}. Url path must include /blob/.")
        branch, _, file = path.partition("/blob/")[2].partition("/")
        project = self._project(path.partition("/-/blob/")[0].partition("/blob/")[0])
        return f"{project}/repository/files/{part(decoded(file))}/raw?{urlencode({'ref': decoded(branch)})}"

    async def read(self, url: str, etag: str | None = None) -> Document:
        return await super().read(url, None if _ARTIFACTS in url else etag)

    def pattern(self, url: str) -> str:
        return repository_file(url).path

    async def commit(self, url: str) -> str:
        return await self._commit(url, await self._branch(url), self._folder(self.pattern(url)))

    async def commit_of_tree(self, url: str) -> str:
        """A missing project is told in the words that upstream has for it."""
        branch = (await self._found(url)).default_branch
        return await self._commit(url, repository_file(url).ref or branch, _inside(url))

    async def _commit(self, url: str, branch: str, folder: Mapping[str, str]) -> str:
        query = {"ref_name": branch, **folder}
        address = f"{self._whole_project(url)}/repository/commits?{urlencode(query)}"
        commits = await self.json(address, list[_Commit], f"Failed to read tree (branch) from {url}")
        return commits[0].id if commits else ""

    async def matching(self, url: str, commit: str, pattern: str, matches: Matches) -> list[tuple[str, bytes]]:
        query = {"sha": commit or await self._branch(url), **self._folder(pattern)}
        address = f"{self._whole_project(url)}/repository/archive?{urlencode(query)}"
        return await self.archive(address, f"Failed to read tree (archive) from {url}, {address}", matches)

    async def packed(self, url: str, commit: str) -> Packed:
        query = {"sha": commit or await self._branch(url), **_inside(url)}
        address = f"{self._whole_project(url)}/repository/archive?{urlencode(query)}"
        return Packed(address, f"Failed to read tree (archive) from {url}, {address}", repository_file(url).path)

    async def _branch(self, url: str) -> str:
        return repository_file(url).ref or (await self._found(url)).default_branch

    async def _found(self, url: str) -> _Project:
        return await self.json(self._whole_project(url), _Project, f"Failed to read tree from {url}")

    def _folder(self, pattern: str) -> dict[str, str]:
        """The folder above the first wildcard, which is all that is asked for."""
        folders: list[str] = []
        for segment in pattern.split("/"):
            if self.is_pattern(segment):
                break
            folders.append(segment)
        return {"path": "/".join(folders)} if folders else {}

    def _whole_project(self, url: str) -> str:
        file = repository_file(url)
        return self._project(f"/{file.owner}/{file.name}")

    def _project(self, path: str) -> str:
        """The address of a project by its path, which is below that of the GitLab."""
        if not path.startswith(f"{self._below}/"):
            raise UnreadableUrlError(
                f"Failed extracting project path from {path}. Url path must start with {self._below}/."
            )
        return f"{self._api}/projects/{part(unquote(path[len(self._below) + 1 :]))}"


def _inside(url: str) -> dict[str, str]:
    """The folder of a URL, as a parameter."""
    path = repository_file(url).path
    return {"path": path} if path else {}


class _Project(msgspec.Struct):
    default_branch: str


class _Commit(msgspec.Struct):
    id: str
