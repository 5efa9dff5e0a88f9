"""Clone URL and path <-> the URL under which the catalog knows a file."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from urllib.parse import quote, unquote, unquote_to_bytes

import msgspec

from greenroom.errors import InputError
from greenroom.urls import Integration, Integrations, InvalidUrlError, parse

SCHEMES = ("https", "ssh", "file")
WITH_HTTP = (*SCHEMES, "http")
"""For hosts of which the operator says so."""
_SCP = re.compile(r"(?:(?P<user>[\w.\-]+)@)?(?P<host>[\w.\-]+):(?P<path>(?![/:]|\d+/)[^\\]+)")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.\-]*[a-z0-9])?|\[[0-9a-f:.]+\]")
_SAFE = "/~@:+,="
"""Characters of a path that stay as they are in a URL. Not the wildcards: a file may be called `*`."""

_FORMS: dict[str, tuple[str, ...]] = {
    "github": ("/blob/{branch}/{path}", "/tree/{branch}/{path}", "/edit/{branch}/{path}", "/raw/{branch}/{path}"),
    "gitlab": ("/-/blob/{branch}/{path}", "/-/tree/{branch}/{path}", "/-/raw/{branch}/{path}"),
    "bitbucketCloud": ("/src/{branch}/{path}", "/raw/{branch}/{path}"),
    "gitea": ("/src/branch/{branch}/{path}", "/raw/branch/{branch}/{path}"),
}
LONGEST_PREFIX = 2_000
"""Characters of a repository's address, beyond which nobody looks for one."""
LONGEST_URL = 20_000
"""Characters of a file's URL, beyond which there is none: Linux gives a program no longer argument than 131,072 bytes."""
_OTHER = ("/-/blob/{branch}/{path}",)
"""On hosts without a web of their own that we know of. The form is the one of GitLab, which tells path from repository."""


class InvalidAddressError(InputError):
    """This is no clone URL"""


class Address(msgspec.Struct, frozen=True):
    """A clone URL, checked and spelled in one way."""

    scheme: str
    user: str
    host: str
    """With the port, if it is not the scheme's own; empty for `file`."""
    path: str
    """As it stands in the URL, percent-encoded."""

    @classmethod
    def parse(cls, text: str, schemes: Collection[str] = SCHEMES) -> Address:
        """Raises InvalidAddressError, which never quotes a password."""
        scp = None if "://" in text else _SCP.fullmatch(text.strip())
        if scp:
            text = f"ssh://{scp['user'] or 'git'}@{scp['host']}/{quote(scp['path'], safe=_SAFE)}"
        try:
            url = parse(text)
        except InvalidUrlError:
            raise InvalidAddressError("expected a clone URL: https://, ssh:// or file://") from None
        if url.scheme not in schemes:
            raise InvalidAddressError(
                f"a repository cannot be cloned by {url.scheme}: here, only https, ssh and file can"
            )
        if url.password or (url.username and url.scheme != "ssh"):
            raise InvalidAddressError("a clone URL here carries no password or token: put it under `credentials`")
        if url.query is not None or url.fragment is not None:
            raise InvalidAddressError("a clone URL has no query and no fragment")
        path = url.pathname.rstrip("/")
        if not path or any(part in ("", ".", "..") for part in path[1:].split("/")):
            raise InvalidAddressError("the clone URL names no repository")
        cls._check_host(url.scheme, url.hostname or "")
        return cls(url.scheme, url.username, url.host.lower(), path)

    @staticmethod
    def _check_host(scheme: str, host: str) -> None:
        if scheme == "file":
            if host:
                raise InvalidAddressError("a file URL has no host: file:///srv/git/app.git")
        elif not _HOST.fullmatch(host.lower()):
            raise InvalidAddressError("the clone URL has no valid host")

    @property
    def url(self) -> str:
        """What git is given."""
        user = f"{self.user}@" if self.user else ""
        return f"{self.scheme}://{user}{self.host}{self.path}"

    @property
    def key(self) -> str:
        """The same for all URLs of one repository, by https, by ssh, of its page: `github.com/acme/app`."""
        host = re.sub(r":\d+$", "", self.host)
        path = unquote(self.path).lower().removesuffix(".git")
        # Bitbucket Server clones over https below /scm/, and over ssh not.
        return f"{host}{path.removeprefix('/scm') if path.count('/') == 3 else path}"

    @property
    def name(self) -> str:
        """The last part of the path without `.git`."""
        return unquote(self.path).rpartition("/")[2].removesuffix(".git")


def forms(address: Address, integrations: Integrations, web: str | None = None) -> tuple[str, ...]:
    """The URLs of a repository's files, with `{branch}` and `{path}`; the first is the one that is shown to people."""
    if web:
        return (web.replace("{name}", quote(address.name, safe="")),)
    host = re.sub(r":\d+$", "", address.host) if address.scheme == "ssh" else address.host
    known = integrations.by_url(f"https://{host}/") if host else None
    if known is None or known.type not in _FORMS:
        return tuple(address.url + form for form in _OTHER)
    base = f"{_web_base(known)}{address.path.removesuffix('.git')}"
    return tuple(base + form for form in _FORMS[known.type])


def _web_base(integration: Integration) -> str:
    return integration.base_url if integration.type in ("gitea", "gitlab") else f"https://{integration.host}"


def fill(form: str, branch: str, path: bytes) -> str:
    """The URL of one file. Odd bytes are percent-encoded."""
    return form.replace("{branch}", quote(branch, safe=_SAFE)).replace("{path}", quote(path, safe=_SAFE))


def prefix(form: str) -> str:
    """What all URLs of a form begin with."""
    return re.split(r"\{(?:branch|path)\}", form, maxsplit=1)[0]


def prefixes(url: str) -> Iterator[str]:
    """Everything that a URL may begin with and that could be the prefix of a form."""
    return (url[: found.end()] for found in re.finditer(r"[/=?&]", url[:LONGEST_PREFIX]))


def path_in(url: str, form: str, branch: str) -> bytes | None:
    """The path of the file that a URL of this form and branch names, None if it names none."""
    inside = _inside(url, form, branch)
    return _plain(inside) if inside else None


def folder_in(url: str, form: str, branch: str) -> bytes | None:
    """The same of a folder, whose URL may end with slashes; the path of the root is empty."""
    inside = _inside(url, form, branch)
    if inside is None and form.endswith("/{path}"):
        inside = _inside(f"{url.partition('#')[0].partition('?')[0]}/", form, branch)
    if inside is None:
        return None
    inside = inside.rstrip("/")
    return _plain(inside) if inside else b""


def _inside(url: str, form: str, branch: str) -> str | None:
    if len(url) > LONGEST_URL:
        return None
    url = url.partition("#")[0]
    if "?" not in form:
        url = url.partition("?")[0]
    for spelled in {quote(branch, safe=_SAFE), branch}:
        head, _, tail = form.replace("{branch}", spelled).partition("{path}")
        if url.startswith(head) and url.endswith(tail) and len(url) >= len(head) + len(tail):
            return url[len(head) : len(url) - len(tail)]
    return None


def _plain(encoded: str) -> bytes | None:
    path = unquote_to_bytes(encoded)
    inside = b"\0" not in path and all(part not in (b"", b".", b"..") for part in path.split(b"/"))
    return path if inside else None
