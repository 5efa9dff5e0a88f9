"""URL -> the repository it is about: its owner and name, as upstream reads them (git-url-parse 15, on a URL of any host)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote

from greenroom.errors import InputError
from greenroom.urls import InvalidUrlError
from greenroom.urls.whatwg import parse

LONGEST = 2048
"""Characters of a URL that upstream's parser takes."""


class Repository(NamedTuple):
    """A repository; the owner is empty where the URL names none."""

    owner: str
    name: str


_SHORT = re.compile(r"([A-Za-z\d-]{1,39})/([-.\w]{1,100})", re.ASCII)
_SSH = re.compile(r"(?:[a-z_][a-z0-9_-]{0,31}@|https?://)([\w.\-@]+)[/:]([~,.\w_/-]+?)(?:\.git|/)?", re.ASCII)
_ON_SERVER = re.compile(r"(projects|users)/(.*?)/repos/(.*?)(?:/.*)?$")
_WORDS = ("-", "blob", "issues", "tree", "commit", "src", "raw", "edit")
"""What follows the name of a repository, in order of trust."""


def repository(url: str) -> Repository:
    """Raises InputError for what is not a URL, and for one that is not properly escaped."""
    host, path = _address(url)
    name = _decoded(re.sub(r"^/|/$", "", path).removesuffix(".git"))
    parts = name.split("/")
    domain = host if host.count(".") < 2 else host.partition(".")[2]
    if domain in ("azure.com", "dev.azure.com", "visualstudio.com"):
        return _on_azure(host, parts) or Repository("", name)
    found = _ON_SERVER.search(path)
    if found:
        return Repository(f"~{found[2]}" if found[1] == "users" else found[2], found[3])
    if len(parts) < 2:
        return Repository("", name)
    at = _index_of_name(parts)
    return Repository("/".join(parts[:at]).removeprefix("scm/"), parts[at])


def _address(url: str) -> tuple[str, str]:
    """Host and path of a URL, of `user@host:path`, and of `owner/name`, which is one of GitHub."""
    if _SHORT.fullmatch(url):
        return "github.com", f"/{url}"
    if not url.strip() or len(url) > LONGEST:
        raise InputError("The given location.target is not a URL")
    try:
        parsed = parse(url)
    except InvalidUrlError:
        found = _SSH.fullmatch(url)
        if found is None:
            raise InputError("The given location.target is not a URL") from None
        return found[1], f"/{found[2]}"
    return parsed.host.partition(":")[0], parsed.pathname or url


def _decoded(path: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", path):
        raise InputError("URI malformed")
    try:
        return unquote(path, errors="strict")
    except UnicodeDecodeError as error:
        raise InputError("URI malformed") from error


def _on_azure(host: str, parts: Sequence[str]) -> Repository | None:
    """`organisation/project/_git/name`, and the forms with less or more; None for what is none of them."""
    if host in ("ssh.dev.azure.com", "vs-ssh.visualstudio.com"):
        return Repository(parts[2], parts[3]) if len(parts) == 4 else None
    if len(parts) == 2 and host.endswith("visualstudio.com"):
        return Repository(parts[1], parts[1])
    if len(parts) == 3:
        return Repository(parts[2] if parts[0] == "DefaultCollection" else parts[0], parts[2])
    return Repository(parts[1], parts[-1]) if len(parts) == 4 or (len(parts) == 5 and "azure" in host) else None


def _index_of_name(parts: Sequence[str]) -> int:
    at = {word: parts.index(word, 2) for word in _WORDS if word in parts[2:]}
    if "-" not in at and "blob" in at and "tree" in at:
        return min(at["blob"], at["tree"]) - 1
    return next((at[word] - 1 for word in _WORDS if word in at), len(parts) - 1)
