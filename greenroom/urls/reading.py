"""URL -> Document: plain HTTP reads of the hosts that `backend.reading.allow` names, and of no others."""

from __future__ import annotations

import asyncio
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from greenroom.errors import ConfigError, GreenroomError, InputError, NotFoundError, NotModifiedError
from greenroom.plugin import Document
from greenroom.urls.whatwg import PORTS, Url, parse

MAX_REDIRECTS = 5
MAX_BYTES = 20 * 1024 * 1024
MAX_TIME = timedelta(seconds=30)
_REDIRECTS = (301, 302, 307, 308)
_CHUNK = 64 * 1024


class UnreadableUrlError(GreenroomError):
    """The URL could not be read"""


class AllowedHost(msgspec.Struct, frozen=True):
    """One entry of `backend.reading.allow`."""

    hostname: str
    """`example.com`, or `*.example.com` for every name below it."""
    ports: range | None = None
    """None: only the scheme's own port, unwritten."""
    paths: tuple[str, ...] | None = None
    """Path prefixes, matched at a slash; None: every path."""

    @classmethod
    def from_config(cls, entry: Mapping[str, Any], path: str = "backend.reading.allow") -> AllowedHost:
        """`{host: "example.com:8000-8010", paths: ["/docs/"]}`. Raises ConfigError."""
        host, paths = entry.get("host"), entry.get("paths")
        if not isinstance(host, str) or not host:
            raise ConfigError(
                f"{path}.host", "must be a host name", value=host, hint="such as example.com or *.example.com:8080"
            )
        if paths is not None and not (isinstance(paths, list) and all(isinstance(prefix, str) for prefix in paths)):
            raise ConfigError(f"{path}.paths", "must be a list of path prefixes", value=paths)
        hostname, _, port = host.partition(":")
        return cls(hostname, _ports(port, path) if port else None, None if paths is None else tuple(paths))

    def allows(self, url: Url) -> bool:
        return self._is_host(url.hostname or "") and self._is_port(url) and self._is_path(url.pathname)

    def _is_host(self, hostname: str) -> bool:
        if self.hostname.startswith("*."):
            return hostname.endswith(self.hostname[1:])
        return hostname == self.hostname

    def _is_port(self, url: Url) -> bool:
        if self.ports is None:
            return url.port is None
        return (url.port or PORTS.get(url.scheme)) in self.ports

    def _is_path(self, path: str) -> bool:
        if self.paths is None:
            return True
        plain = _normal_path(path)
        return any(plain == prefix or plain.startswith(prefix.rstrip("/") + "/") for prefix in self.paths)


def allowed_hosts(entries: Iterable[Mapping[str, Any]]) -> tuple[AllowedHost, ...]:
    """The list `backend.reading.allow`. Raises ConfigError."""
    return tuple(AllowedHost.from_config(entry, f"backend.reading.allow[{n}]") for n, entry in enumerate(entries))


def _ports(text: str, path: str) -> range:
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 0 < first <= last <= 65535:
        raise ConfigError(
            f"{path}.host", "has no valid port or port range", value=text, hint="a port is 8080, a range 8000-8999"
        )
    return range(first, last + 1)


def _normal_path(path: str) -> str:
    normal = posixpath.normpath(re.sub("/+", "/", path))
    return f"{normal}/" if path.endswith("/") and normal != "/" else normal


class HttpReader:
    """A `UrlReader` for what no other reader knows: no credentials, few redirects, bounded in size and time."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        allow: Sequence[AllowedHost],
        *,
        max_bytes: int = MAX_BYTES,
        max_time: timedelta = MAX_TIME,
    ) -> None:
        self._session, self._allow, self._max_bytes = session, tuple(allow), max_bytes
        self._max_time = max_time

    def reads(self, url: str) -> bool:
        return self._allowed(parse(url))

    async def read(self, url: str, etag: str | None = None) -> Document:
        """Raises NotFoundError, NotModifiedError, UnreadableUrlError (upstream's texts)."""
        try:
            async with asyncio.timeout(self._max_time.total_seconds()):
                return await self._follow(url, etag)
        except TimeoutError as error:
            seconds = self._max_time.total_seconds()
            raise UnreadableUrlError(f"Unable to read {url}, no complete answer within {seconds:g} s") from error

    async def search(self, url: str) -> Sequence[tuple[str, Document]]:
        """One file, or none where the server says 404. Raises InputError for a pattern."""
        if re.search(r"[*?]", parse(url).pathname):
            raise InputError("Unsupported search pattern URL")
        try:
            return [(url, await self.read(url))]
        except NotFoundError:
            return []

    def _allowed(self, url: Url) -> bool:
        # A URL with a user name is refused by upstream's fetch; here it also keeps secrets out of requests and logs.
        plain = url.scheme in ("http", "https") and not (url.username or url.password)
        return plain and any(host.allows(url) for host in self._allow)

    async def _follow(self, url: str, etag: str | None) -> Document:
        current = url
        for _ in range(MAX_REDIRECTS):
            parsed = parse(current)
            if not self._allowed(parsed):
                raise UnreadableUrlError(f"URL not allowed by backend.reading.allow configuration: {current}")
            answer = await self._get(parsed, current, etag)
            if isinstance(answer, Document):
                return answer
            current = answer
        raise UnreadableUrlError(f"Too many redirects (max {MAX_REDIRECTS}) when reading {url}")

    async def _get(self, parsed: Url, current: str, etag: str | None) -> Document | str:
        """The document, or the URL to which the server sends us."""
        address = URL(parsed.href.partition("#")[0], encoded=True)
        headers = {"If-None-Match": etag} if etag else {}
        try:
            async with self._session.get(address, headers=headers, allow_redirects=False) as response:
                if 200 <= response.status < 300:
                    return Document(await self._body(response, current), response.headers.get("ETag"))
                return _redirection(response, parsed, current)
        except aiohttp.ClientError as error:
            raise UnreadableUrlError(f"Unable to read {current}, {error}") from error

    async def _body(self, response: aiohttp.ClientResponse, current: str) -> bytes:
        content = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            content += chunk
            if len(content) > self._max_bytes:
                raise UnreadableUrlError(f"could not read {current}, it is larger than {self._max_bytes} bytes")
        return bytes(content)


def _redirection(response: aiohttp.ClientResponse, parsed: Url, current: str) -> str:
    if response.status == 304:
        raise NotModifiedError
    location = response.headers.get("Location")
    if response.status in _REDIRECTS and location:
        return parse(location, parsed).href
    message = f"could not read {current}, {response.status} {response.reason or ''}".rstrip()
    raise NotFoundError(message) if response.status == 404 else UnreadableUrlError(message)
