"""Files on Bitbucket, the cloud and servers of one's own (facts: upstream's BitbucketCloudUrlReader, BitbucketServerUrlReader)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote, urlencode

import msgspec

from greenroom.settings import BitbucketCloudConfig, BitbucketServerConfig
from greenroom.urls.hosts.client_credentials import ClientCredentials
from greenroom.urls.hosts.repository import Matches, Packed, RepositoryReader, basic, bearer, file_of, part, parts
from greenroom.urls.integrations import Integrations
from greenroom.urls.outgoing import Outgoing
from greenroom.urls.repositories import repository_file
from greenroom.urls.service import UnreadableUrlError

_SHORT = 12


class BitbucketCloudReader(RepositoryReader):
    """bitbucket.org."""

    def __init__(
        self,
        outgoing: Outgoing,
        integrations: Integrations,
        config: BitbucketCloudConfig,
        *,
        host: str = BitbucketCloudConfig.PUBLIC,
        web: str = f"https://{BitbucketCloudConfig.PUBLIC}",
        api: str = "https://api.bitbucket.org/2.0",
    ) -> None:
        """Host and addresses are always the same, but in tests."""
        password = config.token or config.app_password
        headers = basic(config.username, password) if config.username and password else {}
        super().__init__(outgoing, integrations, host, headers, web, api)
        self._web, self._api = web, api
        self._client: ClientCredentials | None = None
        if config.client_id and config.client_secret:
            client = basic(config.client_id, config.client_secret)
            self._client = ClientCredentials(outgoing, f"{web}/site/oauth2/access_token", self._named, {}, client)

    async def credentials(self, address: str) -> Mapping[str, str]:
        """Those of an OAuth consumer before all others."""
        return self._headers if self._client is None else bearer(await self._client.token())

    def address(self, url: str) -> str:
        file = file_of(url, "Bitbucket Cloud", ("src", "raw"))
        if not file.ref:
            raise UnreadableUrlError(f"Incorrect URL: {url}, Error: Invalid Bitbucket Cloud URL or file path")
        return f"{self._repository(url)}/src/{part(file.ref)}/{parts(file.path)}"

    def pattern(self, url: str) -> str:
        return repository_file(url).path

    async def commit(self, url: str) -> str:
        address = f"{self._repository(url)}/commits/{part(await self._branch(url))}"
        commits = (await self.json(address, _Commits, f"Failed to retrieve commits from {address}")).values
        if not commits:
            raise UnreadableUrlError(f"Failed to read response from {address}")
        return commits[0].hash[:_SHORT]

    async def matching(self, url: str, commit: str, pattern: str, matches: Matches) -> list[tuple[str, bytes]]:
        packed = await self.packed(url, commit)
        return await self.archive(packed.address, packed.failure, matches)

    async def packed(self, url: str, commit: str) -> Packed:
        file = repository_file(url)
        address = f"{self._web}/{parts(file.owner)}/{part(file.name)}/get/{part(await self._branch(url))}.tar.gz"
        return Packed(address, f"Failed to read tree from {url}", file.path)

    async def _branch(self, url: str) -> str:
        ref = repository_file(url).ref
        if ref:
            return ref
        address = self._repository(url)
        found = await self.json(address, _Repository, f"Failed to retrieve default branch from {address}")
        return found.mainbranch.name

    def _repository(self, url: str) -> str:
        file = repository_file(url)
        return f"{self._api}/repositories/{parts(file.owner)}/{part(file.name)}"


class BitbucketServerReader(RepositoryReader):
    """A Bitbucket Server or Data Center."""

    def __init__(self, outgoing: Outgoing, integrations: Integrations, config: BitbucketServerConfig) -> None:
        headers = bearer(config.token)
        if not headers and config.username and config.password:
            headers = basic(config.username, config.password)
        super().__init__(outgoing, integrations, config.host, headers, config.api_base_url)
        self._api = config.api_base_url

    def address(self, url: str) -> str:
        file = file_of(url, "Bitbucket Server", ("browse", "raw", "src"))
        # The path is still in the URL's own encoding.
        return f"{self._repository(url)}/raw/{file.path.removeprefix('/')}?{urlencode({'at': file.ref})}"

    def pattern(self, url: str) -> str:
        return unquote(repository_file(url).path)

    async def commit(self, url: str) -> str:
        branch = repository_file(url).ref
        query = f"?filterText={part(branch)}" if branch else "/default"
        address = f"{self._repository(url)}/branches{query}"
        found = await self.json(address, _Branches, f"Failed to retrieve branch list from {address}")
        commits = [one.latest_commit for one in found.values if one.display_id == branch]
        if not branch and found.latest_commit:
            commits = [found.latest_commit]
        if not commits:
            which = f'branch "{branch}"' if branch else "default branch"
            raise UnreadableUrlError(f"Failed to find Last Commit using {which} in response from {address}")
        return commits[0][:_SHORT]

    async def matching(self, url: str, commit: str, pattern: str, matches: Matches) -> list[tuple[str, bytes]]:
        packed = await self._packed(url, "")
        return await self.archive(packed.address, packed.failure, matches)

    async def packed(self, url: str, commit: str) -> Packed:
        return await self._packed(url, self.pattern(url))

    async def _packed(self, url: str, folder: str) -> Packed:
        file = repository_file(url)
        prefix = unquote(f"{file.owner}-{file.name}")
        query = {
            "format": "tgz",
            "at": await self._branch(url),
            "prefix": prefix,
            **({"path": folder} if folder else {}),
        }
        return Packed(f"{self._repository(url)}/archive?{urlencode(query)}", f"Failed to read tree from {url}", folder)

    async def _branch(self, url: str) -> str:
        ref = repository_file(url).ref
        if ref:
            return ref
        address = f"{self._repository(url)}/default-branch"
        answer = await self.get(address)
        if answer.status == 404:  # what versions before 7.5 say
            address = f"{self._repository(url)}/branches/default"
        return (await self.json(address, _Branch, f"Failed to retrieve default branch from {address}")).display_id

    def _repository(self, url: str) -> str:
        file = repository_file(url)
        return f"{self._api}/projects/{part(unquote(file.owner))}/repos/{part(unquote(file.name))}"


class _Commit(msgspec.Struct):
    hash: str


class _Commits(msgspec.Struct):
    values: list[_Commit]


class _Named(msgspec.Struct):
    name: str


class _Repository(msgspec.Struct):
    mainbranch: _Named


class _Branch(msgspec.Struct, rename="camel"):
    display_id: str
    latest_commit: str = ""


class _Branches(msgspec.Struct, rename="camel"):
    """A page of branches, or the default one."""

    values: list[_Branch] = []
    latest_commit: str = ""
