"""http:backstage:request: the input of a step -> a request in the name of who started the task -> its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import msgspec

from greenroom.auth import Credentials
from greenroom.javascript.json_text import json_text
from greenroom.javascript.texts import well_formed
from greenroom.javascript.values import text_of
from greenroom.plugin import Action, ActionContext, action
from greenroom_plugins.http_request.sending import Bounds, HttpError, Sender

ID = "http:backstage:request"
_SCHEMA = msgspec.json.decode((Path(__file__).parent / "interface.json").read_bytes())[ID]
_SAFE = ("GET", "HEAD", "OPTIONS")
"""What a dry run sends, too."""


class Request(msgspec.Struct, frozen=True, rename="camel"):
    """What to ask."""

    path: str
    method: str
    headers: dict[str, Any] | None = None
    params: dict[str, Any] | None = None
    body: Any = None
    log_request_path: bool = True
    continue_on_bad_response: bool = False
    timeout: float = 60_000
    """Milliseconds."""
    use_backstage_token: bool = False
    idempotency_key: str | None = None


def request_action(sender: Sender, bounds: Bounds) -> Action[Any]:
    """The action."""

    @action(ID, dry_run=True, input_schema=_SCHEMA["input"], output_schema=_SCHEMA["output"])
    async def request(ctx: ActionContext[Request]) -> Mapping[str, Any]:
        """Send a request to an API of this backend, in the name of whoever started the task."""
        wanted = ctx.input
        bounds.check(wanted.method, wanted.path)
        against = f" against {wanted.path}" if wanted.log_request_path else ""
        ctx.log.info(f"Creating {wanted.method} request with {ID} scaffolder action{against}")
        query = _query(wanted.params or {})
        headers = _headers(ctx)
        if ctx.dry_run and wanted.method not in _SAFE:
            target = f"{wanted.path}{'?' if query else ''}{query}"
            ctx.log.info(f"Dry run mode. Skipping non dry-run safe method '{wanted.method}' request to {target}")
            return {}

        async def sent() -> dict[str, Any]:
            answer = await sender.send(
                wanted.method,
                sender.url(wanted.path, query),
                headers,
                _content(wanted, headers),
                wanted.timeout / 1000,
                log=ctx.log,
                even_if_bad=wanted.continue_on_bad_response,
            )
            return msgspec.structs.asdict(answer)

        found: Mapping[str, Any] = (
            await ctx.checkpoint(wanted.idempotency_key, sent) if wanted.idempotency_key else await sent()
        )
        return found

    return request


def _headers(ctx: ActionContext[Request]) -> dict[str, str]:
    """Those of the step, and the token of who started the task unless the step brings its own."""
    headers = {name: text_of(value) for name, value in (ctx.input.headers or {}).items()}
    token = ctx.secrets.get("backstageToken") if ctx.input.use_backstage_token else None
    token = token or (ctx.initiator.token if isinstance(ctx.initiator, Credentials) else None)
    if token and not any(name.lower() == "authorization" and value for name, value in headers.items()):
        ctx.log.info("Token is defined. Setting authorization header.")
        headers["authorization"] = f"Bearer {token}"
    return headers


def _content(wanted: Request, headers: dict[str, str]) -> bytes | None:
    """A text as it is, all else as JSON. Raises HttpError."""
    if wanted.body is None:
        return None
    if wanted.method in ("GET", "HEAD"):
        raise HttpError("There was an issue with the request: TypeError: Request with GET/HEAD method cannot have body")
    if isinstance(wanted.body, str):
        return well_formed(wanted.body).encode()
    if not any(name.lower() == "content-type" for name in headers):
        headers["content-type"] = "application/json"
    return json_text(wanted.body).encode()


def _query(params: Mapping[str, Any]) -> str:
    """As JavaScript's URLSearchParams writes it."""
    return "&".join(f"{_quoted(name)}={_quoted(text_of(value))}" for name, value in params.items())


def _quoted(text: str) -> str:
    return quote_plus(well_formed(text), safe="*").replace("~", "%7E")
