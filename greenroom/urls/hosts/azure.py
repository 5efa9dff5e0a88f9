"""Files in Azure DevOps, through its API of items (facts: upstream's AzureUrlReader, AzureUrl)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec

from greenroom.settings import AzureConfig, AzureCredential
from greenroom.urls.hosts.client_credentials import ClientCredentials
from greenroom.urls.hosts.repository import Matches, Packed, RepositoryReader, basic, bearer, part
from greenroom.urls.integrations import Integrations
from greenroom.urls.outgoing import Answer, Outgoing
from greenroom.urls.repositories import AzureFile, azure_file
from greenroom.urls.service import UnreadableUrlError
from greenroom.urls.whatwg import parse

_LOGIN = "https://login.microsoftonline.com"
_SCOPE = "499b84ac-1321-427f-aa17-267ca6975798/.default"  # what Azure DevOps is called there
_VERSION = {"api-version": "6.0"}


class AzureReader(RepositoryReader):
    """dev.azure.com, or an Azure DevOps Server."""

    def __init__(
        self, outgoing: Outgoing, integrations: Integrations, config: AzureConfig, *, login: str = _LOGIN
    ) -> None:
        """`login` is always the same, but in tests."""
        super().__init__(outgoing, integrations, config.host, {}, login)
        self._ways = {
            organization: self._way(credential, login)
            for credential in config.credentials
            for organization in (credential.organizations or [""])
        }

    def _way(self, credential: AzureCredential, login: str) -> Mapping[str, str] | ClientCredentials:
        """The headers of a token, or where to get one."""
        if credential.personal_access_token:
            return basic("", credential.personal_access_token)
        if not (credential.client_id and credential.client_secret and credential.tenant_id):
            return {}
        form = {"client_id": credential.client_id, "client_secret": credential.client_secret, "scope": _SCOPE}
        address = f"{login}/{part(credential.tenant_id)}/oauth2/v2.0/token"
        return ClientCredentials(self._outgoing, address, self._named, form, {})

    async def credentials(self, address: str) -> Mapping[str, str]:
        """Those of the organization, or of all."""
        folders = [folder for folder in parse(address).pathname.split("/") if folder]
        if folders[:1] == ["tfs"] and not self.host.endswith("dev.azure.com"):
            folders = folders[1:]
        way = self._ways.get(folders[0] if folders else "", self._ways.get("", {}))
        return bearer(await way.token()) if isinstance(way, ClientCredentials) else way

    def address(self, url: str) -> str:
        file = self._file(url)
        if not file.path:
            raise UnreadableUrlError("Azure URL must point to a specific path to be able to download a file")
        return self._items(url, file, {**_VERSION, "path": file.path})

    def check(self, answer: Answer, message: str) -> None:
        super().check(answer, message)
        if answer.status == 203:  # a page that asks to sign in
            raise UnreadableUrlError(message)

    def pattern(self, url: str) -> str:
        return self._file(url).path.lstrip("/")

    async def commit(self, url: str) -> str:
        file = self._file(url)
        query = {**_VERSION, **({"searchCriteria.itemVersion.version": file.ref} if file.ref else {})}
        address = f"{self._repository(url, file)}/commits?{urlencode(query)}"
        commits = (await self.json(address, _Commits, f"Failed to read tree from {url}")).value
        if not commits:
            raise UnreadableUrlError(f"Failed to read tree from {url}, it has no commits")
        return commits[0].commit_id

    async def matching(self, url: str, commit: str, pattern: str, matches: Matches) -> list[tuple[str, bytes]]:
        file = self._file(url)
        address = self._items(url, file, {"recursionLevel": "full", "download": "true", **_VERSION})
        # Paths may begin with a slash, or not.
        found = await self.archive(address, f"Failed to read tree from {url}", matches, form="zip")
        return [(path.lstrip("/"), content) for path, content in found]

    async def packed(self, url: str, commit: str) -> Packed:
        """The folder alone, which is then named by the last part of its path."""
        file = self._file(url)
        scope = {"scopePath": file.path} if file.path else {}
        address = self._items(url, file, {"recursionLevel": "full", "download": "true", **_VERSION, **scope})
        return Packed(address, f"Failed to read tree from {url}", file.path.strip("/").rpartition("/")[2], "zip")

    def given(self, token: str) -> Mapping[str, str]:
        return basic("", token)

    def _file(self, url: str) -> AzureFile:
        file = azure_file(url)
        if file is None:
            version = dict(reversed(parse(url).parameters())).get("version", "")
            bare = azure_file(parse(url).with_search("").href)
            wrong = (
                "version must point to a git branch or git tag"
                if bare and version
                else "must point to a git repository"
            )
            raise UnreadableUrlError(f"Azure URL {wrong}")
        return file

    def _items(self, url: str, file: AzureFile, query: Mapping[str, str]) -> str:
        version = {"version": file.ref} if file.ref else {}
        return f"{self._repository(url, file)}/items?{urlencode({**query, **version})}"

    def _repository(self, url: str, file: AzureFile) -> str:
        parsed = parse(url)
        # A token must not cross the network in the clear because somebody wrote `http`; a host with a port may have no more.
        scheme = parsed.scheme if parsed.port else "https"
        folders = "/".join(part(folder) for folder in (*file.folders, file.project))
        return f"{scheme}://{self.host}/{folders}/_apis/git/repositories/{part(file.name)}"


class _Commit(msgspec.Struct, rename="camel"):
    commit_id: str


class _Commits(msgspec.Struct):
    value: list[_Commit]
