"""URL -> the URLs beside it: how each Git host spells relative targets, edit links and source folders.

Pure: nothing here talks to a host. The rules, odd ones included, are those of upstream's ScmIntegrations, and tests
hold them against its own answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal
from urllib.parse import unquote

import msgspec

from greenroom.errors import ConfigError, InputError
from greenroom.urls.whatwg import InvalidUrlError, Url, is_url, parse

HostType = Literal[
    "awsS3", "azureBlobStorage", "azure", "bitbucketCloud", "bitbucketServer", "github", "gitlab", "gitea", "googleGcs"
]

_KNOWN_HOSTS: tuple[tuple[HostType, str | None], ...] = (
    ("awsS3", "amazonaws.com"),
    ("azureBlobStorage", "blob.core.windows.net"),
    ("azure", "dev.azure.com"),
    ("bitbucketCloud", "bitbucket.org"),
    ("bitbucketServer", None),
    ("github", "github.com"),
    ("gitlab", "gitlab.com"),
    ("gitea", None),
    ("googleGcs", "storage.cloud.google.com"),
)
"""In the order in which a host is looked up, with the host that each type knows without configuration."""

_COMMIT = re.compile(r"\b[0-9a-f]{40,}\b")
_GITHUB_VIEW = re.compile(r"//([^/]+)/([^/]+)/([^/]+)/(?:blob|tree|edit)/")
_GITLAB_VIEW = re.compile(r"/-/(?:blob|tree|edit)/")
_BITBUCKET_SERVER = re.compile(r"(?:projects|users)/(.*?)/repos/(.*?)(/.*$|$)")


class Integration(msgspec.Struct, frozen=True):
    """One Git host (or bucket store) and the dialect of its URLs."""

    type: HostType
    host: str
    base_url: str


class Integrations(msgspec.Struct, frozen=True):
    """All hosts whose URLs we can read the structure of."""

    hosts: tuple[Integration, ...] = ()

    @classmethod
    def from_config(cls, integrations: Mapping[str, Any] | None = None) -> Integrations:
        """From the config section `integrations`: the hosts in it, and the public ones that are always known."""
        section = integrations or {}
        return cls(tuple(host for kind, known in _KNOWN_HOSTS for host in _of_type(kind, known, section.get(kind))))

    def by_url(self, url: str) -> Integration | None:
        """The integration of the URL's host, None when it is unknown or the URL invalid."""
        try:
            host = parse(url).host
        except InvalidUrlError:
            return None
        return next((integration for integration in self.hosts if integration.host == host), None)

    def resolve(self, target: str, base: str) -> str:
        """The URL that `target` means in the file at `base`.

        An absolute URL stands as it is, a leading slash means the root of the repository, and anything else is
        relative to the file. The base's query is kept. Raises InvalidUrlError."""
        integration = self.by_url(base)
        if integration is not None and integration.type == "azure":
            return _resolve_azure(target, base)
        resolved = _resolve(target, base)
        if integration is not None and integration.type == "github":
            return _GITHUB_VIEW.sub(r"//\1/\2/\3/tree/", resolved, count=1)
        return resolved

    def edit_url(self, url: str) -> str | None:
        """Where a person edits the file; None on an unknown host, and for a URL that names a commit."""
        integration = None if _COMMIT.search(url) else self.by_url(url)
        return None if integration is None else _EDIT.get(integration.type, _as_it_is)(url, integration)

    def source_location(self, url: str) -> str | None:
        """The location reference `url:<folder of the file>/`; None on an unknown host."""
        return f"url:{self.resolve('./', url)}" if self.by_url(url) else None

    def view_url(self, url: str) -> str:
        """Where a person looks at the file."""
        return url


def _of_type(kind: HostType, known: str | None, configured: Any) -> Iterable[Integration]:
    entries = configured if isinstance(configured, list) else [configured] if isinstance(configured, dict) else []
    found = [_integration(kind, known, entry, f"integrations.{kind}[{n}]") for n, entry in enumerate(entries)]
    if known and not any(integration.host == known for integration in found):
        found.append(Integration(kind, known, f"https://{known}"))
    return found


def _integration(kind: HostType, known: str | None, entry: Mapping[str, Any], path: str) -> Integration:
    endpoint = entry.get("endpoint") if kind in ("awsS3", "azureBlobStorage") else None
    host = parse(endpoint).host if isinstance(endpoint, str) else entry.get("host") or known
    if not isinstance(host, str) or not is_url(f"https://{host}") or parse(f"https://{host}").host != host:
        raise ConfigError(f"{path}.host", "is not a host", value=host, hint="a name and maybe a port, without https://")
    return Integration(kind, host, _base_url(host, entry))


def _base_url(host: str, entry: Mapping[str, Any]) -> str:
    return str(entry.get("baseUrl") or f"https://{host}").rstrip("/")


# --- relative targets --------------------------------------------------------------------------------------------


def _resolve(target: str, base: str) -> str:
    if is_url(target):
        return target
    resolved = _in_repository(target, base) if target.startswith("/") else parse(target, base)
    return resolved.with_search(parse(base).search).href


def _in_repository(target: str, base: str) -> Url:
    """`/x` -> x in the root of the base's repository: the base's path without what it says about a file."""
    filepath, _ = _file_and_ref(base)
    if any(segment in (".", "..") for segment in _fully_decoded(filepath).split("/")):
        raise InputError("Invalid SCM URL: path traversal is not allowed in the URL")
    url = parse(parse(base).href.removesuffix("/"))
    # Cut by the length of the *decoded* path, as upstream does, although the URL's own path may be longer.
    root = url.pathname[: max(0, len(url.pathname) - len(filepath))].rstrip("/")
    return url.with_path(f"{root}{target}")


def _fully_decoded(text: str) -> str:
    previous = None
    while previous != text:
        previous = text
        try:
            text = unquote(text, errors="strict")
        except UnicodeDecodeError:
            break
    return text


def _file_and_ref(url: str) -> tuple[str, str]:
    """What a repository URL says about a file: its path and its branch, both maybe empty (git-url-parse's reading)."""
    parsed = parse(url)
    parts = _decoded(re.sub(r"^/|/$", "", parsed.pathname).removesuffix(".git")).split("/")
    name = _index_of_name(parts)
    offset = name + 1 if parts[name + 1 : name + 2] == ["-"] else name
    filepath, ref = "", ""
    if len(parts) > offset + 2 and parts[offset + 1] in ("raw", "src", "blob", "tree", "edit"):
        filepath, ref = "/".join(parts[offset + 3 :]), parts[offset + 2]
    on_server = _BITBUCKET_SERVER.search(parsed.pathname)
    if on_server:
        parts = on_server[3].split("/")
        if len(parts) > 2 and parts[1] in ("raw", "browse"):
            filepath = "/".join(parts[2:])
        ref = dict(parsed.parameters()).get("at", "")
    return filepath, ref


def _decoded(path: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", path):
        raise InvalidUrlError("URI malformed")
    try:
        return unquote(path, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidUrlError("URI malformed") from error


def _index_of_name(parts: list[str]) -> int:
    """Where the repository's name stands: before the first word, in order of trust, that is not of a name."""
    at = {word: parts.index(word, 2) for word in _WORDS if word in parts[2:]}
    if "-" in at:
        return at["-"] - 1
    if "blob" in at and "tree" in at:
        return min(at["blob"], at["tree"]) - 1
    return next((at[word] - 1 for word in _WORDS if word in at), len(parts) - 1)


_WORDS = ("-", "blob", "issues", "tree", "commit", "src", "raw", "edit")


def _resolve_azure(target: str, base: str) -> str:
    """Azure DevOps keeps the file's path in the query parameter `path`."""
    if is_url(target):
        return target
    url = parse(base)
    parameters = dict(reversed(url.parameters()))
    version = parameters.get("version", "")
    if not _is_azure_repository(url) or (version and version[:2] not in ("GB", "GT")):
        return parse(target, base).href
    try:
        path = parse(target, f"https://a.com{parameters.get('path', '')}").pathname
    except InvalidUrlError:
        return parse(target, base).href
    return url.with_parameter(path=path).href


def _is_azure_repository(url: Url) -> bool:
    try:
        parts = _decoded(url.pathname).split("/")
    except InvalidUrlError:
        return False
    at = next((index for index in (2, 3, 4) if parts[index : index + 1] == ["_git"]), None)
    return at is not None and all(parts[1:at]) and parts[at + 1 : at + 2] not in ([], [""])


# --- edit links --------------------------------------------------------------------------------------------------


def _as_it_is(url: str, integration: Integration) -> str:
    return url


def _edit_on_bitbucket(url: str, integration: Integration) -> str:
    _, ref = _file_and_ref(url)
    return parse(url).with_parameter(mode="edit", at=ref).href


def _edit_on_gitea(url: str, integration: Integration) -> str:
    parts = url.replace(integration.base_url, "", 1).split("/")
    # A URL that is too short shows the word that upstream's template would print.
    _, owner, name, _, _, ref, *path = parts + ["undefined"] * (6 - len(parts))
    return f"{integration.base_url}/{owner}/{name}/_edit/{ref}/{'/'.join(path).removeprefix('/')}"


_EDIT: dict[str, Callable[[str, Integration], str]] = {
    "github": lambda url, _: _GITHUB_VIEW.sub(r"//\1/\2/\3/edit/", url, count=1),
    "gitlab": lambda url, _: _GITLAB_VIEW.sub("/-/edit/", url, count=1),
    "bitbucketCloud": _edit_on_bitbucket,
    "bitbucketServer": lambda url, _: url.partition("?")[0],
    "gitea": _edit_on_gitea,
}
