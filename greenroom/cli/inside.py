"""config -> the house in this very process, asked as a server is: for whoever has the database, and no server."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from greenroom.app import House, opened
from greenroom.auth import Auth
from greenroom.cli.configuration import load_config
from greenroom.cli.running import refuse_to_begin
from greenroom.errors import GreenroomError, ServiceUnavailableError
from greenroom.migrate import pending
from greenroom.telemetry import Telemetry
from greenroom.web import Door, Lifecycle, Routes

_EVERYTHING = {
    "APP_CONFIG_backend_auth_dangerouslyDisableDefaultAuthPolicy": "true",
    "APP_CONFIG_permission_enabled": "false",
}
"""Who can read the database may read all that is in it: there is nobody to ask for a token."""


class InsideError(GreenroomError):
    """The house refused"""


class Inside:
    """Calls the API of a house that is open, and not started: nothing is processed, and nothing is written."""

    def __init__(self, house: House) -> None:
        services, door = house.services, Door(config=house.backend, state=Lifecycle())
        door.mount(services.all(Routes), auth=services.get(Auth, "cli"), telemetry=services.get(Telemetry, "cli"))
        door.state.started()
        self._door = door

    async def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Any:
        """The decoded answer. Raises InsideError with the words of the house."""
        status, content = await self._answer(path, urlencode(query).encode())
        answer = msgspec.json.decode(content)
        if status >= 400:
            raise InsideError(f"{answer['error']['name']}: {answer['error']['message']}")
        return answer

    async def _answer(self, path: str, query: bytes) -> tuple[int, bytes]:
        scope = {
            "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": query,
            "http_version": "1.1", "scheme": "http", "root_path": "", "headers": [(b"host", b"localhost")],
            "client": ("127.0.0.1", 0), "server": ("127.0.0.1", 0), "asgi": {"version": "3.0"}, "state": {},
        }  # fmt: skip
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._door(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@asynccontextmanager
async def inside(layers: Sequence[Path]) -> AsyncIterator[Inside]:
    """Open the house of a configuration. Raises ConfigError, and ServiceUnavailableError also for a database that is not
    as this version needs it: to change it is left to the server and to `greenroom migrate`."""
    environ = {**os.environ, **_EVERYTHING}
    config = load_config(layers, environ=environ)
    refuse_to_begin(config)
    async with opened(config, environ) as house:
        if waiting := await pending(house.database, house.migrations):
            raise ServiceUnavailableError(
                f"The database lacks {len(waiting)} migrations of this version: run `greenroom migrate`"
            )
        yield Inside(house)
