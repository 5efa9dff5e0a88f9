"""A request to this backend, sent; and what may be sent at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import msgspec

from greenroom.errors import GreenroomError
from greenroom.plugin import ActionLog
from greenroom.urls.conditions import patience
from greenroom.urls.whatwg import InvalidUrlError, parse

MAX_BYTES = 16 * 1024 * 1024
"""Of an answer."""


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

    def __init__(self, base_url: str, session: Callable[[], aiohttp.ClientSession]) -> None:
        self._base_url, self._session = base_url, session

    def url(self, path: str, query: str) -> str:
        """`/catalog/entities` is the path `/entities` of the plugin catalog."""
        plugin, _, rest = path.removeprefix("/").partition("/")
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
        """Raises HttpError; for a status of 400 and above only unless `even_if_bad`."""
        try:
            async with asyncio.timeout(seconds), self._session() as session:
                sent = session.request(method, url, headers=headers, data=content)
                async with sent as response:
                    body = await _body(response)
                    found = {name.lower(): value for name, value in response.headers.items()}
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


async def _body(response: aiohttp.ClientResponse) -> Any:
    """JSON where it is said to be that, else `{"message": text}`. Raises HttpError."""
    content = await response.content.read(MAX_BYTES + 1)
    while len(content) <= MAX_BYTES and (more := await response.content.read(MAX_BYTES + 1 - len(content))):
        content += more
    if len(content) > MAX_BYTES:
        raise HttpError(f"The response is larger than {MAX_BYTES} bytes")
    if "application/json" not in response.headers.get("Content-Type", ""):
        return {"message": content.decode("utf-8", "replace")}
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise HttpError(f"Could not parse response body: {error}") from error
