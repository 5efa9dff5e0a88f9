"""URL -> what it says of repository and file, in the spelling of each Git host. Pure.

The readings, odd ones included, are those of upstream: of git-url-parse, and of its functions for Azure DevOps, Gerrit and Harness.
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import unquote

import msgspec

from greenroom.errors import InputError
from greenroom.urls.whatwg import InvalidUrlError, Url, parse

_BITBUCKET_KIND = re.compile("(?:projects|users)/")
_BITBUCKET_SERVER = re.compile(r"(projects|users)/(.*?)/repos/(.*?)(/.*$|$)")


class OddUrlError(InputError):
    """The URL is not one that its host could have"""

    name = "Error"  # what upstream throws


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
    found = said_of_repository(url)
    if leaves_repository(found.path):
        raise OddUrlError(TRAVERSAL)
    return found


TRAVERSAL = "Invalid SCM URL: path traversal is not allowed in the URL"


_MOST_DECODINGS = 16


def leaves_repository(path: str) -> bool:
    """Whether a path goes up somewhere, however often its dots are encoded."""
    for _ in range(_MOST_DECODINGS):
        before, path = path, _decoded_once(path)
        if path == before:
            return any(segment in (".", "..") for segment in re.split(r"[/\\]", path))
    return True  # nobody encodes so often who does not mean harm


def _decoded_once(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def said_of_repository(url: str | Url) -> RepositoryFile:
    """The same without a look at where its path leads: for links only. Raises InvalidUrlError."""
    parsed = parse(url) if isinstance(url, str) else url
    found = _in_path(parsed)
    start = _BITBUCKET_KIND.search(parsed.pathname)  # where the first does not fit, no later one does
    on_server = _BITBUCKET_SERVER.match(parsed.pathname, start.start()) if start else None
    return found if on_server is None else _on_bitbucket_server(parsed, on_server, found)


def _in_path(url: Url) -> RepositoryFile:
    """`/owner/name/blob/ref/path`, GitLab's `/-/` before the view included."""
    parts = decoded(re.sub(r"^/|/$", "", url.pathname).removesuffix(".git")).split("/")
    name = _index_of_name(parts)
    owner = "/".join(parts[:name])
    owner = owner.removeprefix("scm/")  # how a Bitbucket Server has its repositories cloned
    offset = name + 1 if parts[name + 1 : name + 2] == ["-"] else name
    if len(parts) > offset + 2 and parts[offset + 1] in ("raw", "src", "blob", "tree", "edit"):
        return RepositoryFile(owner, parts[name], parts[offset + 1], parts[offset + 2], "/".join(parts[offset + 3 :]))
    return RepositoryFile(owner, parts[name])


def _on_bitbucket_server(url: Url, said: re.Match[str], otherwise: RepositoryFile) -> RepositoryFile:
    """`/projects/owner/repos/name/browse/path?at=ref`, in the URL's own encoding. View and path may stand as elsewhere."""
    kind, owner, name, rest = said.groups()
    ref = dict(url.parameters()).get("at", "")
    parts = rest.split("/", 2)
    view, path = otherwise.view, otherwise.path
    if parts[1:2] and parts[1] in ("raw", "browse"):
        view, path = parts[1], "".join(parts[2:]) or path
    return RepositoryFile(f"~{owner}" if kind == "users" else owner, name, view, ref, path)


def decoded(path: str) -> str:
    """What the path says. Raises InvalidUrlError for an escape that is none, or that is no UTF-8."""
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
        segments = [decoded(segment) for segment in parsed.pathname.split("/")[1:]]
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
    if parsed.host.endswith(".visualstudio.com"):
        folders, project = [], before[-1]
    elif at == 1:
        folders, project = before, name
    else:
        folders, project = before[:-1], before[-1]
    return AzureFile(tuple(folders), project, name, parameters.get("path", ""), version[2:])


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


class HarnessFile(msgspec.Struct, frozen=True):
    """What a URL of Harness says: `/ng/account/<account>/module/code/orgs/<org>/projects/<project>/repos/<name>/files/…`,
    and there `<branch>/~/<path>`.

    All in the URL's own encoding. Organization and project may be missing."""

    account: str
    org: str
    project: str
    name: str
    branch: str
    path: str


def harness_file(url: str) -> HarnessFile:
    """Raises InvalidUrlError."""
    folders = parse(url).pathname.split("/")
    segments = [folder for folder in folders if folder]
    account = _index("account", segments) + 1
    org, project = _index("orgs", segments), _index("projects", segments)
    start = max(account, org, project) + 1
    name = _index("repos", segments, start) + 1
    inside = folders[next((at for at, folder in enumerate(folders) if folder in ("files", "edit")), -1) + 1 :]
    tilde = _index("~", inside)
    return HarnessFile(
        account=_segment(segments, account),
        org=_segment(segments, org + 1) if org >= 0 else "",
        project=_segment(segments, project + 1) if project >= 0 else "",
        name=_segment(segments, name),
        branch="/".join(inside[:tilde] if tilde >= 0 else inside),
        path="/".join(inside[tilde + 1 :]).removeprefix("/") if tilde >= 0 else "",
    )


def _index(word: str, segments: list[str], start: int = 0) -> int:
    """-1 where it is not."""
    return segments.index(word, start) if word in segments[start:] else -1


def _segment(segments: list[str], at: int) -> str:
    """A URL that is too short shows the word that upstream's template would print."""
    return segments[at] if at < len(segments) else "undefined"
