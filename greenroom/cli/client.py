"""A command's way to a running server: its address, a token, and answers or errors in the server's words."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from greenroom.errors import GreenroomError, NotFoundError, ServiceUnavailableError
from greenroom.urls.servers import server_address

T = TypeVar("T")

SILENT_SECONDS = 60.0
"""After which a stream is given up: the server tells that it is there every 15 s."""

server_option = click.option(
    "--server",
    envvar="GREENROOM_SERVER",
    metavar="URL",
    help="The server's address.  [env GREENROOM_SERVER; default: backend.baseUrl of the configuration]",
)
token_option = click.option(
    "--token", envvar="GREENROOM_TOKEN", metavar="TOKEN", help="A static token.  [env GREENROOM_TOKEN]"
)


class RefusedError(GreenroomError):
    """The server refused"""


class Client:
    """Calls the API of one server."""

    def __init__(self, session: Any, base: str) -> None:
        self._session = session
        self._base = base.rstrip("/")

    async def call(self, method: str, path: str, *, query: Sequence[tuple[str, str]] = (), body: Any = None) -> Any:
        """The decoded answer, None when it is empty.

        Raises ServiceUnavailableError when nobody answers, NotFoundError, and RefusedError with the server's message."""
        import aiohttp

        try:
            async with self._session.request(method, f"{self._base}{path}", params=query, json=body) as answer:
                content = await answer.read()
                if answer.status >= 400:
                    raise _refusal(answer.status, content, f"{method} {path}")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._away(error) from error
        try:
            return msgspec.json.decode(content) if content else None
        except msgspec.DecodeError as error:
            raise RefusedError(f"{method} {path} was not answered with JSON: is {self._base} the backend?") from error

    def _away(self, error: Exception) -> ServiceUnavailableError:
        why = str(error) or "it took too long"
        return ServiceUnavailableError(
            f"No server answers at {self._base} ({why}): is it running, and is --server right?"
        )

    async def events(self, path: str, *, query: Sequence[tuple[str, str]] = ()) -> AsyncIterator[Any]:
        """The decoded data of an event stream, until the server or the network ends it. Raises as `call` does."""
        import aiohttp

        endless = aiohttp.ClientTimeout(total=None, sock_read=SILENT_SECONDS)
        try:
            async with self._session.get(f"{self._base}{path}", params=query, timeout=endless) as answer:
                if answer.status >= 400:
                    raise _refusal(answer.status, await answer.read(), f"GET {path}")
                async for line in answer.content:
                    if line.startswith(b"data: "):
                        yield msgspec.json.decode(line[6:])
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._away(error) from error


def _refusal(status: int, content: bytes, what: str) -> GreenroomError:
    try:
        answer = msgspec.json.decode(content)
        if "errors" in answer:  # of values that do not fit their schema
            return RefusedError("; ".join(one["stack"] for one in answer["errors"]))
        error = answer["error"]
        if status == 404 and error["name"] == NotFoundError.name and error["message"]:
            return NotFoundError(f"{what} was answered with 404, {error['message']}")  # which says its name by itself
        message = f"{error['name']}: {error['message']}" if error["message"] else error["name"]
    except (msgspec.DecodeError, KeyError, TypeError):
        message = content.decode(errors="replace")[:500] or "no reason was given"
    hint = " (give a token by --token or GREENROOM_TOKEN)" if status == 401 else ""
    return (NotFoundError if status == 404 else RefusedError)(f"{what} was answered with {status}, {message}{hint}")


def with_client(
    server: str | None, token: str | None, layers: Sequence[Path], work: Callable[[Client], Awaitable[T]]
) -> T:
    """Run a piece of work against the server."""

    async def run() -> T:
        import aiohttp

        base = server_address(server, "--server") if server else server_address(_configured(layers), "backend.baseUrl")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=60)) as session:
            return await work(Client(session, base))

    return asyncio.run(run())


def _configured(layers: Sequence[Path]) -> str:
    from greenroom.cli.configuration import load_config

    return str(load_config(layers, environ=os.environ).get("backend.baseUrl", "http://localhost:7007"))
