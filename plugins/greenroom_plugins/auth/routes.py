"""The auth API: sign in as guest, OpenID discovery, public keys, userinfo, and the refusals of everything else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from litestar import Request, Response, get, route
from litestar.enums import MediaType
from litestar.handlers import HTTPRouteHandler
from litestar.types import Method

from greenroom.auth import Auth
from greenroom.auth.storage import UserInfo
from greenroom.errors import AuthenticationError, InputError, NotFoundError, UnsupportedOperationError
from greenroom.web import Routes, asked, json_response, weak_etag
from greenroom_plugins.auth.discovery import openid_configuration

EVERY_METHOD: tuple[Method, ...] = ("GET", "POST", "PUT", "PATCH", "DELETE")

Refresh = Callable[[], Awaitable[dict[str, Any]]]
"""Signs the guest in, and answers the session."""


def discovery_routes(auth: Auth) -> Routes:
    """What others need to recognise a user: the OpenID document and the public keys."""

    @get("/.well-known/openid-configuration")
    async def configuration() -> Response[bytes]:
        return json_response(openid_configuration(auth.issuer))

    @get("/.well-known/jwks.json")
    async def keys() -> Response[bytes]:
        return json_response({"keys": list(await auth.key_store.public_keys())})

    @get("/.well-known/oauth-client/cli.json")
    async def cli() -> Response[bytes]:
        problem = {"error": "not_found", "error_description": "Client ID metadata documents not enabled"}
        return json_response(problem, 404)

    @get("/.well-known/backstage/permissions/metadata")
    async def permissions() -> Response[bytes]:
        return json_response({"permissions": [], "rules": []})

    return _open([configuration, keys, cli, permissions])


def userinfo_routes(auth: Auth, users: UserInfo) -> Routes:
    """`GET /v1/userinfo`: the claims of the user whose token, limited or not, is in the header."""

    @get("/v1/userinfo")
    async def userinfo(request: Request[Any, Any, Any]) -> Response[bytes]:
        shown = asked(request).shown
        if shown.bearer is None:
            raise AuthenticationError("No token provided")
        credentials = await auth.authenticate(shown.bearer, "auth", limited=True)
        if credentials.user is None:
            raise InputError("Userinfo endpoint must be called with a token that represents a user principal")
        claims = await users.find(credentials.user.ref)
        return _text("User info not found", 404) if claims is None else json_response({"claims": claims})

    return _open([userinfo])


def guest_routes(refresh: Refresh) -> Routes:
    """The guest provider: there is nobody to ask, so that refreshing is all of signing in."""

    @route("/guest/refresh", http_method=["GET", "POST"])
    async def refreshed() -> Response[bytes]:
        return json_response(await refresh())

    @get("/guest/start")
    async def start() -> Response[bytes]:
        raise UnsupportedOperationError

    @route("/guest/handler/frame", http_method=["GET", "POST"])
    async def frame() -> Response[bytes]:
        raise UnsupportedOperationError

    return _open([refreshed, start, frame])


def refusals(unconfigured: frozenset[str], others: Sequence[Routes]) -> Routes:
    """Every other path names a provider that is unknown here, or known and not configured.

    So do the paths of `others` when they are asked by a method that is not theirs."""

    async def refuse(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        provider = ask.path.get("provider") or ask.url.split("/")[1]
        known = "No auth provider registered for" if provider in unconfigured else "Unknown auth provider"
        raise NotFoundError(f"{known} '{provider}'")

    def refusing(paths: Iterable[str], methods: Sequence[Method]) -> HTTPRouteHandler:
        return route(sorted(paths), http_method=list(methods), status_code=404)(refuse)

    handlers = [refusing(["/{provider:str}", "/{provider:str}/{rest:path}"], EVERY_METHOD)]
    handlers += [
        refusing(handler.paths, [method for method in EVERY_METHOD if method not in handler.http_methods])
        for one in others
        for handler in one.handlers
    ]
    return _open(handlers)


def _open(handlers: Sequence[HTTPRouteHandler]) -> Routes:
    return Routes("auth", handlers, open_paths=("/",))


def _text(text: str, status: int) -> Response[bytes]:
    """Plain words, labelled as express's `send` labels them."""
    body = text.encode()
    return Response(body, status_code=status, headers={"ETag": weak_etag(body)}, media_type=MediaType.HTML)
