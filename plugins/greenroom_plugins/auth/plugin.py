"""The auth plugin: `/api/auth`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from greenroom.auth import Auth, TokenIssuer
from greenroom.auth.storage import UserInfo
from greenroom.db import Database
from greenroom.plugin import CatalogReader, Contribution, Host, MissingServiceError, plugin
from greenroom_plugins.auth.routes import Refresh, discovery_routes, guest_routes, refusals, userinfo_routes
from greenroom_plugins.auth.settings import AuthConfig, Guest
from greenroom_plugins.auth.sign_in import SignIn


@plugin("auth", AuthConfig)
def auth(config: AuthConfig, host: Host) -> Iterable[Contribution]:
    """Signs users in, and tells others who they are."""
    service, users = host.get(Auth), UserInfo(host.get(Database))
    issuer = TokenIssuer(
        service.key_store,
        issuer=service.issuer,
        lifetime=config.lifetime,
        with_ownership=not config.omit_identity_token_ownership_claim,
    )
    routes = [discovery_routes(service), userinfo_routes(service, users)]
    if config.providers.guest is not None:
        sign_in = SignIn(issuer, users, lambda: _catalog(host))
        routes.append(guest_routes(_guest(sign_in, config.providers.guest, host)))
    yield from routes
    yield refusals(frozenset() if config.providers.guest else frozenset({"guest"}), routes)


def _guest(sign_in: SignIn, guest: Guest, host: Host) -> Refresh:
    """Development is what `NODE_ENV` says, as upstream; `auth.environment` only names the environment of OAuth apps."""
    development = os.environ.get("NODE_ENV") == "development"
    if not development and guest.dangerously_allow_outside_development:
        host.log.warning("Everyone may sign in as the guest %s", guest.user_entity_ref)

    async def refresh() -> dict[str, Any]:
        return await sign_in.guest(guest, development=development)

    return refresh


def _catalog(host: Host) -> CatalogReader | None:
    """The catalog, if this process has one."""
    try:
        return host.get(CatalogReader)
    except MissingServiceError as missing:
        host.log.info("Signing in without the catalog: %s", missing)
        return None
