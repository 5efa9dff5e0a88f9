"""URL -> the repository it is about, as upstream reads it (git-url-parse 15, on URLs of any host), and the catalog files in it."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple
from urllib.parse import quote

from greenroom.errors import GreenroomError, InputError, describe
from greenroom.settings import IntegrationsConfig
from greenroom.urls import InvalidUrlError, Urls
from greenroom.urls.repositories import decoded, repository_file, said_of_repository
from greenroom.urls.whatwg import Url, parse

LONGEST = 2048
"""Characters of a URL that upstream's parser takes."""


class Repository(NamedTuple):
    """A repository; the owner is empty where the URL names none."""

    owner: str
    name: str


_SHORT = re.compile(r"[A-Za-z\d-]{1,39}/[-.\w]{1,100}", re.ASCII)
_SSH = re.compile(r"(?:([a-z_][a-z0-9_-]{0,31})@|https?://)([\w.\-@]+)[/:]([~,.\w_/-]+?(?:\.git|/)?)", re.ASCII)
_ON_SERVER = re.compile(r"(?:projects|users)/.*?/repos/")
_ON_AZURE = ("azure.com", "dev.azure.com", "visualstudio.com")


def repository(url: str) -> Repository:
    """Raises InputError for what is not a URL, and for one that is not properly escaped."""
    address = _as_url(url)
    if not address.pathname:
        address = Url(address.scheme, address.username, hostname=address.hostname, path=address.href.removesuffix("/"))
    try:
        name = decoded(re.sub(r"^/|/$", "", address.pathname).removesuffix(".git"))
        owner = decoded(address.username)
    except InvalidUrlError as error:
        raise InputError(error.message) from None
    host = address.hostname or ""
    domain = host if host.count(".") < 2 else host.partition(".")[2]
    if domain in _ON_AZURE and not _ON_SERVER.search(address.pathname):
        return _on_azure(host, name.split("/")) or Repository(owner, name)
    found = said_of_repository(address)
    named = "/" in name or found.owner  # an owner, or a path of a Bitbucket Server
    return Repository(found.owner, found.name) if named else Repository(owner, name)


def _as_url(url: str) -> Url:
    """The URL itself, or the one that is meant by `owner/name` (of GitHub) and by `user@host:path`, whose dots are kept."""
    if _SHORT.fullmatch(url):
        url = f"https://github.com/{url}"
    if not url.strip() or len(url) > LONGEST:
        raise InputError("The given location.target is not a URL")
    try:
        return parse(url)
    except InvalidUrlError:
        found = _SSH.fullmatch(url)
        if found is None:
            raise InputError("The given location.target is not a URL") from None
        return Url("ssh", found[1] or "", hostname=found[2], path=f"/{found[3]}")


def _on_azure(host: str, parts: Sequence[str]) -> Repository | None:
    """`organisation/project/_git/name`, and the forms with less or more."""
    if host in ("ssh.dev.azure.com", "vs-ssh.visualstudio.com"):
        return Repository(parts[2], parts[3]) if len(parts) == 4 else None
    if len(parts) == 2 and host.endswith("visualstudio.com"):
        return Repository(parts[1], parts[1])
    if len(parts) == 3:
        return Repository(parts[2] if parts[0] == "DefaultCollection" else parts[0], parts[2])
    if len(parts) == 4 or (len(parts) == 5 and "azure" in host):
        return Repository(parts[1], parts[-1])
    return None


# --- catalog files ------------------------------------------------------------------------------------------------

_PATTERNS = {
    "github": "{origin}/{owner}/{name}/blob/{ref}/**/{filename}",
    "gitlab": "{origin}/{owner}/{name}/-/blob/{ref}/**/{filename}",
    "bitbucketCloud": "{origin}/{owner}/{name}/src/{ref}/**/{filename}",
    "bitbucketServer": "{origin}/projects/{owner}/repos/{name}/browse/**/{filename}",
    "azure": "{origin}{path}?path=/**/{filename}",
}
"""How each kind of host spells all files of a name in a repository."""

DEFAULT_BRANCH = "HEAD"
"""The branch of a repository whose URL names none: all these hosts take this word for it."""


class RepositorySearch:
    """A `LocationAnalyzer` of the Git hosts that there are credentials for: without them, a search would find little."""

    def __init__(self, urls: Urls, hosts: Collection[str], log: logging.Logger) -> None:
        self._urls = urls
        self._hosts = hosts
        self._log = log

    def analyzes(self, url: str) -> bool:
        integration = self._urls.integrations.by_url(url)
        return integration is not None and integration.host in self._hosts and integration.type in _PATTERNS

    async def find(self, url: str, filename: str) -> Sequence[str]:
        """None where the host does not say: then a draft is what is left."""
        try:
            return [found for found, _ in await self._urls.search(self._pattern(url, filename))]
        except GreenroomError as error:
            self._log.warning("Could not look for %s in %s: %s", filename, url, describe(error))
            return []

    def _pattern(self, url: str, filename: str) -> str:
        integration = self._urls.integrations.by_url(url)
        if integration is None:
            raise InputError(f"{url} is on no host that is known")
        parsed, found = parse(url), repository(url)
        return _PATTERNS[integration.type].format(
            origin=f"{parsed.scheme}://{parsed.host}",
            path=parsed.pathname.rstrip("/"),
            owner=quote(found.owner, safe="/~"),
            name=quote(found.name, safe=""),
            ref=quote(repository_file(url).ref, safe="") or DEFAULT_BRANCH,
            filename=quote(filename, safe="/"),
        )


def accessible(config: IntegrationsConfig) -> Iterable[str]:
    """The hosts that there are credentials for."""
    yield from (one.host for one in config.github if one.token or one.apps)
    yield from (one.host for one in config.gitlab if one.token)
    yield from (one.host for one in config.azure if one.credentials)
    yield from (one.host for one in config.bitbucket_cloud if one.username or one.token or one.client_id)
    yield from (one.host for one in config.bitbucket_server if one.username or one.token)
