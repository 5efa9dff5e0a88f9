"""URL -> Document: plain HTTP reads of the hosts that `backend.reading.allow` names, and of no others."""

from __future__ import annotations

import asyncio
import posixpath
import re
from collections.abc import Sequence
from datetime import timedelta

import aiohttp
from yarl import URL

from greenroom.errors import InputError, NotFoundError, NotModifiedError
from greenroom.plugin import Document
from greenroom.settings import AllowedHost, ReadingConfig
from greenroom.urls.service import UnreadableUrlError
from greenroom.urls.whatwg import PORTS, Url, parse

MAX_REDIRECTS = 5
MAX_BYTES = 20 * 1024 * 1024
MAX_TIME = timedelta(seconds=30)
_REDIRECTS = (301, 302, 307, 308)
_CHUNK = 64 * 1024


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
    """A `UrlReader` for what no other reader knows: no credentials, few redirects, bounded in size and time."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        reading: ReadingConfig,
        *,
        max_bytes: int = MAX_BYTES,
        max_time: timedelta = MAX_TIME,
    ) -> None:
        self._session, self._allow, self._max_bytes = session, tuple(reading.allow), max_bytes
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
        return plain and any(allows(host, url) for host in self._allow)

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
