"""URL -> the URLs beside it: how each Git host spells relative targets, edit links and source folders.

Pure: nothing here talks to a host. The rules, odd ones included, are those of upstream's ScmIntegrations, and tests
hold them against its own answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from greenroom.urls.repositories import (
    OddUrlError,
    azure_file,
    gitiles_file,
    harness_file,
    repository_file,
    said_of_repository,
)
from greenroom.urls.whatwg import InvalidUrlError, Url, folder_of, host_of, is_url, parse

__all__ = ["HostType", "Integration", "Integrations", "azure_file", "repository_file"]

HostType = Literal[
    "awsS3",
    "awsCodeCommit",
    "azureBlobStorage",
    "azure",
    "bitbucketCloud",
    "bitbucketServer",
    "gerrit",
    "github",
    "gitlab",
    "gitea",
    "googleGcs",
    "harness",
]

_COMMIT = re.compile(r"\b[0-9a-f]{40,}\b")
_GITHUB_VIEW = re.compile(r"//[^/]+/[^/]+/[^/]+/(blob|tree|edit)/")
_CODE_COMMIT = re.compile(r"/codesuite/codecommit/repositories/[^/]+/")
_GITLAB_VIEW = re.compile(r"/-/(?:blob|tree|edit)/")


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
            host = host_of(url)
        except InvalidUrlError:
            return None
        for integration in self.hosts:  # some seven, looked through for each entity of a bulk load
            if integration.host == host:
                return integration
        return None

    def resolve(self, target: str, base: str, line: int | None = None) -> str:
        """The URL that `target` means in the file at `base`, with a mark of the line (from 1) if one is asked for.

        An absolute URL stands as it is, a leading slash means the root of the repository, and anything else is
        relative to the file. The base's query is kept. Raises InvalidUrlError, and InputError for a base that its host
        could not have."""
        return _resolve(target, base, line, self.by_url(base))

    def edit_url(self, url: str) -> str | None:
        """Where a person edits the file; None on an unknown host, and for a URL that names a commit."""
        integration = None if _COMMIT.search(url) else self.by_url(url)
        return None if integration is None else _EDIT.get(integration.type, _as_it_is)(url, integration)

    def source_location(self, url: str) -> str | None:
        """The location reference `url:<folder of the file>/`; None on an unknown host."""
        integration = self.by_url(url)
        return None if integration is None else f"url:{_resolve('./', url, None, integration)}"

    def view_url(self, url: str) -> str:
        """Where a person looks at the file."""
        return url


# --- relative targets --------------------------------------------------------------------------------------------


def _resolve(target: str, base: str, line: int | None, integration: Integration | None) -> str:
    resolve = _resolve_plain if integration is None else _RESOLVE.get(integration.type, _resolve_plain)
    return resolve(target, base, line, integration)


def _resolve_plain(target: str, base: str, line: int | None, integration: Integration | None) -> str:
    if target == "./" and not line and (folder := folder_of(base)):
        return folder
    if is_url(target):
        return target
    resolved = _in_repository(target, base) if target.startswith("/") else parse(target, base)
    resolved = resolved.with_search(parse(base).search)
    return (resolved.with_fragment(f"L{line}") if line else resolved).href


def _resolve_on_github(target: str, base: str, line: int | None, integration: Integration | None) -> str:
    return _on_github(_resolve_plain(target, base, line, integration), "tree")


def _on_github(url: str, view: str) -> str:
    """The same URL with another word for what is shown of the file. (By its place: `sub` with a template takes twice as long.)"""
    found = _GITHUB_VIEW.search(url)
    return url if found is None else f"{url[: found.start(1)]}{view}{url[found.end(1) :]}"


def _resolve_on_bitbucket_cloud(target: str, base: str, line: int | None, integration: Integration | None) -> str:
    resolved = _resolve_plain(target, base, line, integration)
    return parse(resolved).with_fragment(f"lines-{line}").href if line else resolved


def _resolve_on_bitbucket_server(target: str, base: str, line: int | None, integration: Integration | None) -> str:
    resolved = _resolve_plain(target, base, line, integration)
    return parse(resolved).with_fragment(str(line)).href if line else resolved


def _in_repository(target: str, base: str) -> Url:
    """`/x` -> x in the root of the base's repository: the base's path without what it says about a file."""
    filepath = repository_file(base).path
    url = parse(parse(base).href.removesuffix("/"))
    # Cut by the length of the *decoded* path, as upstream does, although the URL's own path may be longer.
    root = url.pathname[: max(0, len(url.pathname) - len(filepath))].rstrip("/")
    return url.with_path(f"{root}{target}")


def _resolve_on_azure(target: str, base: str, line: int | None, integration: Integration | None) -> str:
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
    # The end is the line after, and the columns are given: that marks the whole line.
    mark = {"line": str(line), "lineEnd": str(line + 1), "lineStartColumn": "1", "lineEndColumn": "1"} if line else {}
    return parse(base).with_parameter(path=path, **mark).href


def _resolve_on_gerrit(target: str, base: str, line: int | None, integration: Integration | None) -> str:
    if target.startswith("/") and integration is not None:
        return gitiles_file(base, integration.gitiles_base_url).base + target
    resolved = parse(target, base) if target else parse(base)
    return (resolved.with_fragment(str(line)) if line else resolved).href


_RESOLVE: dict[str, Callable[[str, str, int | None, Integration | None], str]] = {
    "azure": _resolve_on_azure,
    "bitbucketCloud": _resolve_on_bitbucket_cloud,
    "bitbucketServer": _resolve_on_bitbucket_server,
    "gerrit": _resolve_on_gerrit,
    "github": _resolve_on_github,
}


# --- edit links --------------------------------------------------------------------------------------------------


def _as_it_is(url: str, integration: Integration) -> str:
    return url


def _edit_on_bitbucket(url: str, integration: Integration) -> str:
    return parse(url).with_parameter(mode="edit", at=said_of_repository(url).ref).href


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


def _edit_on_harness(url: str, integration: Integration) -> str:
    file = harness_file(url)
    org = f"/orgs/{file.org}" if file.org else ""
    project = f"/projects/{file.project}" if file.project else ""
    repository = f"{integration.base_url}/ng/account/{file.account}/module/code{org}{project}/repos/{file.name}"
    return f"{repository}/files/{file.branch}/~/{file.path}"


def _edit_on_code_commit(url: str, integration: Integration) -> str:
    found = _CODE_COMMIT.match(parse(url).pathname)
    if found is None:
        raise OddUrlError("")
    repository = found[0]
    return re.sub(f"{re.escape(repository)}(?:browse|files/edit)/", lambda _: f"{repository}files/edit/", url, count=1)


_EDIT: dict[str, Callable[[str, Integration], str]] = {
    "github": lambda url, _: _on_github(url, "edit"),
    "gitlab": lambda url, _: _GITLAB_VIEW.sub("/-/edit/", url, count=1),
    "bitbucketCloud": _edit_on_bitbucket,
    "bitbucketServer": lambda url, _: url.partition("?")[0],
    "gerrit": _edit_on_gerrit,
    "gitea": _edit_on_gitea,
    "harness": _edit_on_harness,
    "awsCodeCommit": _edit_on_code_commit,
}
