"""A plugin's handlers and what one request asked of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Request
from litestar.handlers import HTTPRouteHandler

from greenroom.auth import Credentials, Shown

ASKED = "greenroom.asked"
"""Where the door leaves what it decoded, in the ASGI scope."""

METHOD = "greenroom.method"
"""Where it leaves the method as it was sent: litestar sees HEAD as GET."""

CLOSING = "greenroom.closing"
"""Where it leaves the event that the server has begun to close."""

PATH = "greenroom.path"
"""Where it leaves the path in the spelling of the template: litestar routes another, so that it never chooses itself."""


class Routes(msgspec.Struct, frozen=True):
    """A contribution: the HTTP surface of one plugin. Several may share one plugin id."""

    plugin: str
    """The id below `/api/`."""
    handlers: Sequence[HTTPRouteHandler]
    """Litestar handlers whose paths are relative to the plugin. One whose `operation_id` is in the document is
    validated before it runs; the others are not, as upstream ignores undocumented routes."""
    document: Mapping[str, Any] | None = None
    """An OpenAPI document (see `load_document`), which is also served at `/openapi.json`."""
    open_paths: tuple[str, ...] = ()
    """Path prefixes that need no credentials; `/` opens the whole plugin."""
    cookie_paths: tuple[str, ...] = ()
    """Path prefixes that also accept the cookie of a limited user token."""
    body_limit: int = 100 * 1024
    """The largest JSON body in bytes, after decompression."""


class Asked(msgspec.Struct, frozen=True):
    """One request, decoded and, if its operation is documented, validated and coerced."""

    query: Mapping[str, Any]
    """As the document types it: integers are ints, arrays are lists. Undocumented: strings, or lists where repeated. Not to be
    changed: the next request of the same query string gets the same one."""
    path: dict[str, str]
    """Path parameters, percent-decoded (`%2F` within a segment is a slash here)."""
    body: Any
    """The decoded JSON body, `{}` when there is none. None where a body of another type came to an undocumented route."""
    raw: bytes
    """The JSON body as it came (decompressed); empty when the body is of another type: read that from the request."""
    credentials: Credentials
    """Who asks. NOBODY on open paths: a handler that wants to know asks `Auth.credentials(asked.shown, asked.plugin)`."""
    shown: Shown
    plugin: str
    request_id: str
    url: str
    """Path and query relative to the plugin, as the error envelope tells it."""


def asked(request: Request[Any, Any, Any]) -> Asked:
    """What the request asked. Only for handlers mounted through `Routes`."""
    found: Asked = request.scope[ASKED]  # type: ignore[literal-required]
    return found


def sent_method(request: Request[Any, Any, Any]) -> str:
    """The method as it was sent: HEAD comes to the handlers of GET, with a query that nobody has checked."""
    method: str = request.scope[METHOD]  # type: ignore[literal-required]
    return method


def closing(request: Request[Any, Any, Any]) -> asyncio.Event:
    """Set once the server takes no more requests: the time to end an answer that would have no end."""
    found: asyncio.Event = request.scope[CLOSING]  # type: ignore[literal-required]
    return found


async def gone(request: Request[Any, Any, Any]) -> None:
    """Returns once the client has left, or the request is answered. For requests whose body is read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
