"""URL -> the URLs beside it: how each Git host spells relative targets, edit links and source folders.

Pure: nothing here talks to a host. The rules, odd ones included, are those of upstream's ScmIntegrations, and tests
hold them against its own answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import unquote

import msgspec

from greenroom.errors import InputError
from greenroom.urls.whatwg import InvalidUrlError, Url, is_url, parse

HostType = Literal[
    "awsS3",
    "azureBlobStorage",
    "azure",
    "bitbucketCloud",
    "bitbucketServer",
    "gerrit",
    "github",
    "gitlab",
    "gitea",
    "googleGcs",
]

_COMMIT = re.compile(r"\b[0-9a-f]{40,}\b")
_GITHUB_VIEW = re.compile(r"//([^/]+)/([^/]+)/([^/]+)/(?:blob|tree|edit)/")
_GITLAB_VIEW = re.compile(r"/-/(?:blob|tree|edit)/")
_BITBUCKET_SERVER = re.compile(r"(projects|users)/(.*?)/repos/(.*?)(/.*$|$)")


class OddUrlError(InputError):
    """The URL is not one that its host could have"""

    name = "Error"  # what upstream throws


class Integration(msgspec.Struct, frozen=True):
    """One Git host (or bucket store) and the dialect of its URLs."""

    type: HostType
    host: str
    base_url: str
    gitiles_base_url: str = ""
    """Of a Gerrit: where it shows files."""
    has_editor: bool = True
    """Of a Gerrit: whether files have edit links."""


_PUBLIC = (
    Integration("awsS3", "amazonaws.com", "https://amazonaws.com"),
    Integration("azureBlobStorage", "blob.core.windows.net", "https://blob.core.windows.net"),
    Integration("azure", "dev.azure.com", "https://dev.azure.com"),
    Integration("bitbucketCloud", "bitbucket.org", "https://bitbucket.org"),
    Integration("github", "github.com", "https://github.com"),
    Integration("gitlab", "gitlab.com", "https://gitlab.com"),
    Integration("googleGcs", "storage.cloud.google.com", "https://storage.cloud.google.com"),
)
"""The hosts that are known without configuration. The order of the types is that in which a host is looked up."""


class Integrations(msgspec.Struct, frozen=True):
    """All hosts whose URLs we can read the structure of."""

    hosts: tuple[Integration, ...] = _PUBLIC

    @classmethod
    def from_config(cls, integrations: Mapping[str, Any] | None = None) -> Integrations:
        """From the raw config section `integrations`: the hosts in it, and the public ones that are always known.

        Raises ConfigError. (A section that was read is made so by `greenroom.urls.configured`.)"""
        if not integrations:
            return cls()
        from greenroom.urls.configured import known_hosts, read_section  # config is not needed to look at a URL

        return known_hosts(read_section(integrations))

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
        if integration is not None and integration.type == "gerrit":
            return _resolve_gerrit(target, base, integration)
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


# --- relative targets --------------------------------------------------------------------------------------------


def _resolve(target: str, base: str) -> str:
    if is_url(target):
        return target
    resolved = _in_repository(target, base) if target.startswith("/") else parse(target, base)
    return resolved.with_search(parse(base).search).href


def _in_repository(target: str, base: str) -> Url:
    """`/x` -> x in the root of the base's repository: the base's path without what it says about a file."""
    filepath = repository_file(base).path
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


class RepositoryFile(msgspec.Struct, frozen=True):
    """What a repository URL says, in the reading of git-url-parse; parts that it does not tell are empty."""

    owner: str
    """With slashes, where groups may have groups."""
    name: str
    view: str = ""
    """`blob`, `tree`, `raw`, `src`, `edit` or `browse`."""
    ref: str = ""
    path: str = ""


def repository_file(url: str) -> RepositoryFile:
    """Raises InvalidUrlError, and InputError for a path that tries to leave the repository."""
    found = _file(url)
    if leaves_repository(found.path):
        raise OddUrlError(TRAVERSAL)
    return found


TRAVERSAL = "Invalid SCM URL: path traversal is not allowed in the URL"


def leaves_repository(path: str) -> bool:
    """Whether a path goes up somewhere, however often its dots are encoded."""
    return any(segment in (".", "..") for segment in re.split(r"[/\\]", _fully_decoded(path)))


def _file(url: str) -> RepositoryFile:
    return _on_bitbucket_server(url) or _in_path(url)


def _in_path(url: str) -> RepositoryFile:
    """`/owner/name/blob/ref/path`, GitLab's `/-/` before the view included."""
    parts = _decoded(re.sub(r"^/|/$", "", parse(url).pathname).removesuffix(".git")).split("/")
    name = _index_of_name(parts)
    owner = "/".join(parts[:name])
    offset = name + 1 if parts[name + 1 : name + 2] == ["-"] else name
    if len(parts) > offset + 2 and parts[offset + 1] in ("raw", "src", "blob", "tree", "edit"):
        return RepositoryFile(owner, parts[name], parts[offset + 1], parts[offset + 2], "/".join(parts[offset + 3 :]))
    return RepositoryFile(owner, parts[name])


def _on_bitbucket_server(url: str) -> RepositoryFile | None:
    """`/projects/owner/repos/name/browse/path?at=ref`."""
    parsed = parse(url)
    found = _BITBUCKET_SERVER.search(parsed.pathname)
    if found is None:
        return None
    kind, owner, name, rest = found.groups()
    parts = rest.split("/")
    view = parts[1] if len(parts) > 1 and parts[1] in ("raw", "browse") else ""
    ref = dict(parsed.parameters()).get("at", "")
    return RepositoryFile(
        f"~{owner}" if kind == "users" else owner, name, view, ref, "/".join(parts[2:]) if view else ""
    )


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


class AzureFile(msgspec.Struct, frozen=True):
    """What a URL of Azure DevOps says: `/<organization>/<project>/_git/<name>?path=…&version=GB<branch>`."""

    folders: tuple[str, ...]
    """The organization; on a server, maybe a folder before it; nothing where it is part of the host's name."""
    project: str
    name: str
    path: str = ""
    ref: str = ""


def azure_file(url: str) -> AzureFile | None:
    """None for a URL that names no repository, or a version of it that is no branch or tag."""
    parsed = parse(url)
    try:
        segments = [_decoded(segment) for segment in parsed.pathname.split("/")[1:]]
    except InvalidUrlError:
        return None
    at = next((index for index in (1, 2, 3) if segments[index : index + 1] == ["_git"]), None)
    if at is None or not all(segments[: at + 2]) or len(segments) < at + 2:
        return None
    parameters = dict(reversed(parsed.parameters()))
    version = parameters.get("version", "")
    if version and version[:2] not in ("GB", "GT"):
        return None
    before, name = segments[:at], segments[at + 1]
    if parsed.host.endswith(".visualstudio.com") and at == 1:
        folders, project = [], before[0]
    elif at == 1:
        folders, project = before, name
    else:
        folders, project = before[:-1], before[-1]
    return AzureFile(tuple(folders), project, name, parameters.get("path", ""), version[2:])


def _resolve_azure(target: str, base: str) -> str:
    """Azure DevOps keeps the file's path in the query parameter `path`."""
    if is_url(target):
        return target
    file = azure_file(base)
    if file is None:
        return parse(target, base).href
    try:
        path = parse(target, f"https://a.com{file.path}").pathname
    except InvalidUrlError:
        return parse(target, base).href
    return parse(base).with_parameter(path=path).href


class GitilesFile(msgspec.Struct, frozen=True):
    """What a URL of Gitiles says: `<project>/+/<HEAD, refs/heads/x, refs/tags/x or a commit>/<path>`."""

    project: str
    ref_type: Literal["head", "sha", "branch", "tag"]
    ref: str
    path: str
    """Still in the URL's encoding; `/` for the root."""
    base: str
    """The URL of the root of that version."""


def gitiles_file(url: str, gitiles_base_url: str) -> GitilesFile:
    """Raises InputError for a URL that names no version."""
    path = parse(url).pathname
    path = (path[2:] if path.startswith("/a/") else path).replace(parse(gitiles_base_url).pathname, "", 1)
    project, _, rest = "/".join(part for part in path.split("/") if part).partition("/+/")
    if not project:
        raise OddUrlError(f"Unable to parse gitiles url: {url}")
    found = _GITILES_REF.match(rest)
    if found is None:
        raise OddUrlError(f"Unable to parse gitiles : {url}")
    inside = rest[found.end() :]
    base = url.replace(inside, "", 1).rstrip("/") if inside else url.rstrip("/")
    kind, ref = next((kind, ref) for kind, ref in found.groupdict().items() if ref is not None)
    return GitilesFile(project, kind, ref, inside or "/", base)  # type: ignore[arg-type]


_GITILES_REF = re.compile(
    r"(?:(?P<head>HEAD)|(?P<sha>[^/]{40})|refs/heads/(?P<branch>[^/]*)|refs/tags/(?P<tag>[^/]*))(?:/|$)"
)


def _resolve_gerrit(target: str, base: str, integration: Integration) -> str:
    if target.startswith("/"):
        return gitiles_file(base, integration.gitiles_base_url).base + target
    return parse(target, base).href if target else parse(base).href


# --- edit links --------------------------------------------------------------------------------------------------


def _as_it_is(url: str, integration: Integration) -> str:
    return url


def _edit_on_bitbucket(url: str, integration: Integration) -> str:
    return parse(url).with_parameter(mode="edit", at=_file(url).ref).href


def _edit_on_gitea(url: str, integration: Integration) -> str:
    parts = url.replace(integration.base_url, "", 1).split("/")
    # A URL that is too short shows the word that upstream's template would print.
    _, owner, name, _, _, ref, *path = parts + ["undefined"] * (6 - len(parts))
    return f"{integration.base_url}/{owner}/{name}/_edit/{ref}/{'/'.join(path).removeprefix('/')}"


def _edit_on_gerrit(url: str, integration: Integration) -> str:
    if not integration.has_editor:
        return url
    file = gitiles_file(url, integration.gitiles_base_url)
    repository = f"{integration.base_url}/admin/repos/edit/repo/{file.project}"
    return f"{repository}/branch/refs/heads/{file.ref}/file/{file.path.lstrip('/')}"


_EDIT: dict[str, Callable[[str, Integration], str]] = {
    "github": lambda url, _: _GITHUB_VIEW.sub(r"//\1/\2/\3/edit/", url, count=1),
    "gitlab": lambda url, _: _GITLAB_VIEW.sub("/-/edit/", url, count=1),
    "bitbucketCloud": _edit_on_bitbucket,
    "bitbucketServer": lambda url, _: url.partition("?")[0],
    "gerrit": _edit_on_gerrit,
    "gitea": _edit_on_gitea,
}
