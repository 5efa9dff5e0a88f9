"""URL -> Answer: HTTP that goes only to addresses that were looked at, a few redirects far, within limits of size and time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import IO, TypeAlias

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from yarl import URL

from greenroom.errors import GreenroomError, NotAllowedError
from greenroom.urls.addresses import danger, literal
from greenroom.urls.service import UnreadableUrlError
from greenroom.urls.whatwg import Url, parse

MAX_REDIRECTS = 5
LOCALHOST = "localhost"

Named: TypeAlias = Callable[[Url, str], bool]
"""Asked of a parsed URL and its text: whether the operator named this very host, so that any address is as meant.

Raises for a URL that may not be read at all."""

_REDIRECTS = (301, 302, 307, 308)
_LONGEST_REASON = 200
_CHUNK = 64 * 1024
_SECRET_HEADERS = ("authorization", "private-token", "x-api-key")


class Limits(msgspec.Struct, frozen=True):
    """How much may come, once decompressed, and how long it may take with all redirects."""

    max_bytes: int = 20 * 1024 * 1024
    max_time: timedelta = timedelta(seconds=30)


class Answer:
    """What a server said in the end. Header names are matched in any case."""

    def __init__(self, url: str, response: aiohttp.ClientResponse, content: bytes) -> None:
        self.url, self.status, self.reason = url, response.status, _printable(response.reason or "")
        self.headers: Mapping[str, str] = response.headers
        self.content = content

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def said(self) -> str:
        """`404 Not Found`."""
        return f"{self.status} {self.reason}".rstrip()


class CheckedResolver(AbstractResolver):
    """Name -> addresses, all of them fit to be connected to. What is returned is what is connected to: nothing asks again."""

    def __init__(self, resolver: AbstractResolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises NotAllowedError if any of the addresses may not be connected to. `localhost` is as good as an address:
        whether it may be read was asked before."""
        answers = await self._resolver.resolve(host, port, family)
        for answer in answers if host != LOCALHOST else ():
            _check_address(host, answer["host"])
        return answers

    async def close(self) -> None:
        await self._resolver.close()


def _check_address(host: str, address: str) -> None:
    """Raises NotAllowedError, for people."""
    if wrong := danger(address):
        means = f" is {wrong}" if literal(host) == address else f" means {address}, which is {wrong}"
        raise NotAllowedError(
            f"Reading from '{host}' is not allowed, it{means}. If that is meant, name the address itself, and not a name "
            "for it, in the URL and at 'backend.reading.allow' (or as the host of an integration)"
        )


class Outgoing:
    """Sends requests: never with cookies, and with the credentials of `headers` only to the server that they are for."""

    def __init__(self, session: aiohttp.ClientSession, limits: Limits | None = None) -> None:
        self._session, self._limits = session, limits or Limits()

    async def get(
        self,
        url: str,
        headers: Mapping[str, str],
        named: Named,
        *,
        into: IO[bytes] | None = None,
        limits: Limits | None = None,
    ) -> Answer:
        """The answer at the end of all redirects, whatever its status.

        `named` is asked of each URL on the way. The body of an answer that is `ok` goes into the file, if one is given.
        Raises NotAllowedError, UnreadableUrlError (upstream's texts), and what `named` raises."""
        limits = limits or self._limits
        return await _within(limits, url, self._follow(url, headers, named, into, limits.max_bytes))

    async def post(self, url: str, headers: Mapping[str, str], named: Named, content: bytes = b"") -> Answer:
        """The answer to something sent, whatever its status; a redirect is an answer. Raises as `get` does."""
        parsed = parse(url)
        _check(parsed, url, named(parsed, url))
        return await _within(
            self._limits, url, self._ask("POST", parsed, url, headers, None, self._limits.max_bytes, content)
        )

    async def _follow(
        self,
        url: str,
        headers: Mapping[str, str],
        named: Named,
        into: IO[bytes] | None,
        max_bytes: int,
    ) -> Answer:
        current = shown = url
        away = False
        for _ in range(MAX_REDIRECTS):
            parsed = parse(current)
            _check(parsed, current, named(parsed, current))
            answer = await self._ask("GET", parsed, shown, headers, into, max_bytes)
            location = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            following = parse(location, parsed)
            if (following.scheme, following.host) != (parsed.scheme, parsed.host):
                headers = {name: value for name, value in headers.items() if name.lower() not in _SECRET_HEADERS}
                away = True
            current = following.href
            shown = _without_query(following) if away else current
        raise UnreadableUrlError(f"Too many redirects (max {MAX_REDIRECTS}) when reading {url}")

    async def _ask(
        self,
        method: str,
        parsed: Url,
        shown: str,
        headers: Mapping[str, str],
        into: IO[bytes] | None,
        max_bytes: int,
        content: bytes | None = None,
    ) -> Answer:
        address = URL(parsed.href.partition("#")[0], encoded=True)
        try:
            async with self._session.request(
                method, address, headers=headers, data=content, allow_redirects=False
            ) as response:
                body = into if into is not None and 200 <= response.status < 300 else None
                return Answer(shown, response, await _read(response, shown, body, max_bytes))
        except GreenroomError:
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:  # a ValueError is a host that cannot be one
            raise UnreadableUrlError(f"Unable to read {shown}, {_printable(str(error))}") from error


def _without_query(url: Url) -> str:
    """How a URL of another server is told of: such as hosts keep their archives on are opened by their query alone."""
    text, query, _ = url.href.partition("#")[0].partition("?")
    return f"{text}?…" if query else text


async def _within(limits: Limits, url: str, answer: Awaitable[Answer]) -> Answer:
    seconds = limits.max_time.total_seconds()
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError as error:
        raise UnreadableUrlError(f"Unable to read {url}, no complete answer within {seconds:g} s") from error


def _printable(text: str) -> str:
    """What a server says may be anything, and ends in the database and before people."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text[:_LONGEST_REASON])


def _check(url: Url, current: str, named: bool) -> None:
    """Raises NotAllowedError. Of names it is the resolver that knows more."""
    if url.scheme not in ("http", "https") or url.username or url.password:
        raise NotAllowedError(f"Reading from '{current}' is not allowed, only http and https URLs without a user are")
    hostname = url.hostname or ""
    address = "127.0.0.1" if hostname == LOCALHOST else literal(hostname)
    if address is not None and not named:
        _check_address(hostname, address)


async def _read(response: aiohttp.ClientResponse, shown: str, into: IO[bytes] | None, max_bytes: int) -> bytes:
    content = bytearray()
    size = 0
    async for chunk in response.content.iter_chunked(_CHUNK):
        size += len(chunk)
        if size > max_bytes:
            raise UnreadableUrlError(f"could not read {shown}, it is larger than {max_bytes} bytes")
        if into is None:
            content += chunk
        else:
            into.write(chunk)
    return bytes(content)


@asynccontextmanager
async def open_outgoing(
    limits: Limits | None = None, *, resolver: AbstractResolver | None = None
) -> AsyncIterator[Outgoing]:
    """With connections of its own."""
    connector = aiohttp.TCPConnector(resolver=CheckedResolver(resolver or DefaultResolver()))
    headers = {"User-Agent": "greenroom"}
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, headers=headers) as session:
        yield Outgoing(session, limits)
