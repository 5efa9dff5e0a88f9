"""A request to this backend, sent; and what may be sent at all."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

import aiohttp
import msgspec
from yarl import URL

from greenroom.errors import GreenroomError
from greenroom.plugin import ActionLog
from greenroom.urls.conditions import patience
from greenroom.urls.whatwg import InvalidUrlError, parse

MAX_BYTES = 16 * 1024 * 1024
"""Of an answer."""
LONGEST = 3600.0
"""Seconds that a request may take, whatever the step says."""
_CHUNK = 256 * 1024
_MOST_DECODINGS = 5
_OURS = (
    *("connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te", "trailer"),
    *("transfer-encoding", "upgrade"),
)
"""Headers that say how a request travels, and to whom: by `host`, one that stands before the backend would hand it to another."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""Of a header (RFC 9110); some read `Host : x` as `Host: x`."""


_PASSED_OVER = re.compile(r"[\x00-\x20]")
"""What parsers of URLs leave out, some of it at the ends alone: `.<tab>.` is the folder above."""


class HttpError(GreenroomError):
    """Unable to complete request"""


class Bounds(msgspec.Struct, frozen=True):
    """`scaffolder.http`: what templates may ask."""

    methods: frozenset[str] = frozenset()
    hosts: tuple[str, ...] = ()

    def check(self, method: str, path: str) -> None:
        """Raises HttpError."""
        if self.methods and method not in self.methods:
            raise HttpError(
                f"SSRF Blocked: HTTP method '{method}' is not permitted by 'scaffolder.http.allowedMethods'."
            )
        if not self.hosts:
            return
        try:
            host = parse(path).host.rsplit(":", 1)[0]
        except InvalidUrlError:
            raise HttpError(f"SSRF Blocked: Invalid URL format in path '{path}'.") from None
        if not any(host == one or host.endswith(f".{one}") for one in self.hosts):
            raise HttpError(
                f"SSRF Blocked: The target host '{host}' does not match any 'scaffolder.http.allowedHosts'."
            )


class Answer(msgspec.Struct, frozen=True):
    """The outputs of the step."""

    code: int
    headers: Mapping[str, str]
    body: Any


class Sender:
    """Sends requests to the APIs of one backend."""

    def __init__(self, base_url: str, session: Callable[..., aiohttp.ClientSession]) -> None:
        self._base_url, self._session = base_url, session

    def url(self, path: str, query: str) -> str:
        """`/catalog/entities` is the path `/entities` of the plugin catalog. Raises HttpError for one that leads up."""
        plugin, _, rest = path.removeprefix("/").partition("/")
        if _leads_up(path):
            raise HttpError(f"The path '{path}' leads out of the APIs of this backend")
        return f"{self._base_url}/api/{plugin}/{rest}{'?' if query else ''}{query}"

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
        seconds: float,
        *,
        log: ActionLog,
        even_if_bad: bool,
    ) -> Answer:
        """Raises HttpError; for a status of 400 and above only unless `even_if_bad`.

        A redirect is followed within the APIs of the backend, and not elsewhere."""
        for name in headers:
            if name.lower() in _OURS or not _NAME.fullmatch(name):
                raise HttpError(f"There was an issue with the request: the header {name[:200]!r} cannot be set")
        seconds = min(seconds, LONGEST)
        try:
            async with asyncio.timeout(seconds), self._session(trace_configs=[self._guard()]) as session:
                sent = session.request(method, URL(parse(url).href, encoded=True), headers=headers, data=content)
                async with sent as response:
                    body = await _body(response)
                    found = _joined(response.headers)
                    status, pause = response.status, patience(response.headers)
        except TimeoutError:
            raise HttpError(f"Request was aborted as it took longer than {seconds:g} seconds") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise HttpError(f"There was an issue with the request: {error}") from error
        if status < 400:
            return Answer(status, found, body)
        told = msgspec.json.encode(body).decode()
        log.error(f"There was an issue with your request. Status code: {status} Response body: {told}")
        if not even_if_bad:
            raise HttpError(retry_after=pause)
        return Answer(status, {}, body)

    def _guard(self) -> aiohttp.TraceConfig:
        """Looks at each redirect before it is followed."""
        home = URL(self._base_url) / "api/"

        async def look(_session: object, _context: object, about: aiohttp.TraceRequestRedirectParams) -> None:
            target = about.response.headers.get("Location", "")
            url = about.url.join(URL(target))
            if url.origin() != home.origin() or _leads_up(url.raw_path) or not url.raw_path.startswith(home.raw_path):
                raise HttpError(f"The request was redirected to {target[:200]}, which is no API of this backend")

        guard = aiohttp.TraceConfig()
        guard.on_request_redirect.append(look)
        return guard


def _leads_up(path: str) -> bool:
    """Whether somebody on the way, however often he decodes it, may take some of it for the folder above."""
    for _ in range(_MOST_DECODINGS):
        before, path = path, unquote(path)
        if path == before:
            break
    return ".." in re.split(r"[/\\;?#]", _PASSED_OVER.sub("", path))


def _joined(headers: Mapping[str, str]) -> dict[str, str]:
    """One value for each name, as upstream has it: those of a header that is repeated in one line, but the last cookie alone."""
    found: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found and key != "set-cookie" else value
    return found


async def _body(response: aiohttp.ClientResponse) -> Any:
    """JSON where it is said to be that, else `{"message": text}`. Raises HttpError."""
    content = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        content += chunk
        if len(content) > MAX_BYTES:
            raise HttpError(f"The response is larger than {MAX_BYTES} bytes")
    if "application/json" not in response.headers.get("Content-Type", ""):
        return {"message": content.decode("utf-8", "replace")}
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise HttpError(f"Could not parse response body: {error}") from error
