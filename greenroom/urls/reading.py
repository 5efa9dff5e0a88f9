"""URL -> Document: plain HTTP reads of the hosts that `backend.reading.allow` names, and of no others."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence

from greenroom.errors import InputError, NotFoundError, NotModifiedError
from greenroom.plugin import Document
from greenroom.settings import AllowedHost, ReadingConfig
from greenroom.urls.conditions import asking, mark, patience
from greenroom.urls.outgoing import Outgoing
from greenroom.urls.service import UnreadableUrlError
from greenroom.urls.whatwg import PORTS, Url, parse


def allows(host: AllowedHost, url: Url) -> bool:
    """Whether an entry of `backend.reading.allow` lets the URL be read."""
    return (
        _is_host(host.hostname, url.hostname or "") and _is_port(host.ports, url) and _is_path(host.paths, url.pathname)
    )


def _is_host(allowed: str, hostname: str) -> bool:
    return hostname.endswith(allowed[1:]) if allowed.startswith("*.") else hostname == allowed


def _is_port(allowed: range | None, url: Url) -> bool:
    return url.port is None if allowed is None else (url.port or PORTS.get(url.scheme)) in allowed


def _is_path(allowed: Sequence[str] | None, path: str) -> bool:
    plain = _normal_path(path)
    return allowed is None or any(plain == prefix or plain.startswith(prefix.rstrip("/") + "/") for prefix in allowed)


def _normal_path(path: str) -> str:
    normal = posixpath.normpath(re.sub("/+", "/", path))
    return f"{normal}/" if path.endswith("/") and normal != "/" else normal


class HttpReader:
    """A `UrlReader` for what no other reader knows: without credentials, and only for what the list allows."""

    def __init__(self, outgoing: Outgoing, reading: ReadingConfig) -> None:
        self._outgoing, self._allow = outgoing, tuple(reading.allow)

    def reads(self, url: str) -> bool:
        return self._entry(parse(url)) is not None

    async def read(self, url: str, etag: str | None = None) -> Document:
        """Raises NotFoundError, NotModifiedError, NotAllowedError, UnreadableUrlError (upstream's texts)."""
        return await self._read(url, asking(etag))

    async def read_with(self, token: str, url: str, etag: str | None = None) -> Document:
        """The same with a token, which goes to the host of the URL and no other."""
        return await self._read(url, {**asking(etag), "Authorization": f"Bearer {token}"})

    async def _read(self, url: str, headers: Mapping[str, str]) -> Document:
        answer = await self._outgoing.get(url, headers, self._named)
        if answer.ok:
            return Document(answer.content, mark(answer.headers))
        if answer.status == 304:
            raise NotModifiedError
        message = f"could not read {answer.url}, {answer.said}"
        if answer.status == 404:
            raise NotFoundError(message)
        raise UnreadableUrlError(message, retry_after=patience(answer.headers))

    async def search(self, url: str, etag: str | None = None) -> Sequence[tuple[str, Document]]:
        """One file, or none where the server says 404. Raises InputError for a pattern."""
        if re.search(r"[*?]", parse(url).pathname):
            raise InputError("Unsupported search pattern URL")
        try:
            return [(url, await self.read(url, etag))]
        except NotFoundError:
            return []

    def _named(self, url: Url, current: str) -> bool:
        entry = self._entry(url)
        if entry is None:
            raise UnreadableUrlError(f"URL not allowed by backend.reading.allow configuration: {current}")
        return entry.hostname == url.hostname

    def _entry(self, url: Url) -> AllowedHost | None:
        """The entry that lets the URL be read, one that names its host if there is any."""
        # A URL with a user name is refused by upstream's fetch; here it also keeps secrets out of requests and logs.
        if url.scheme not in ("http", "https") or url.username or url.password:
            return None
        found = [entry for entry in self._allow if allows(entry, url)]
        return next((entry for entry in found if entry.hostname == url.hostname), found[0] if found else None)
