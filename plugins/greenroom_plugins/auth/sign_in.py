"""User reference -> session: who they are, what they own, and a token that says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from greenroom.auth import TokenIssuer
from greenroom.entity import Entity, EntityRefError, parse_ref, ref_of
from greenroom.errors import NotAllowedError
from greenroom.plugin import CatalogReader
from greenroom_plugins.auth.settings import Guest


class UserMemory(Protocol):
    """Where the claims of those who signed in are kept (`greenroom.auth.storage.UserInfo`)."""

    async def remember(self, claims: dict[str, Any]) -> None:
        """Keep the claims of the user in `sub`."""


class SignIn:
    """Signs users in. The catalog is looked for at each sign-in: it may be built after this part, or not at all."""

    def __init__(
        self,
        issuer: TokenIssuer,
        users: UserMemory,
        catalog: Callable[[], CatalogReader | None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuer = issuer
        self._users = users
        self._catalog = catalog
        self._clock = clock

    async def guest(self, config: Guest, *, development: bool) -> dict[str, Any]:
        """A session of the guest: as the catalog knows them, else as configured. Raises NotAllowedError."""
        if not development and not config.dangerously_allow_outside_development:
            raise NotAllowedError(
                "The guest provider cannot be used outside of a development environment unless "
                "'auth.providers.guest.dangerouslyAllowOutsideDevelopment' is enabled"
            )
        entity = await self._find(config.user_entity_ref)
        if entity is not None:
            return await self._session(ref_of(entity), ownership_of(entity))
        configured = config.ownership_entity_refs
        return await self._session(
            config.user_entity_ref, [config.user_entity_ref] if configured is None else configured
        )

    async def _find(self, ref: str) -> Entity | None:
        catalog = self._catalog()
        try:
            canonical = str(parse_ref(ref, default_kind="user"))
        except EntityRefError:
            return None  # nothing the catalog could know; issuing the token says what is wrong with it
        return (await catalog.by_refs([canonical]))[0] if catalog else None

    async def _session(self, ref: str, ownership: Sequence[str]) -> dict[str, Any]:
        issued = await self._issuer.issue(ref, ownership)
        await self._users.remember({"sub": ref, "ent": list(ownership)})
        return {
            "profile": {},
            "backstageIdentity": {
                "token": issued.token,
                "identity": {"type": "user", "userEntityRef": ref, "ownershipEntityRefs": list(ownership)},
                "expiresInSeconds": round(issued.expires_at - self._clock()),
            },
        }


def ownership_of(user: Entity) -> list[str]:
    """The references under which a User entity owns things: its own, and those of the groups it is a member of."""
    relations = user.get("relations") or []
    groups = [one["targetRef"] for one in relations if one["type"] == "memberOf"]
    return list(dict.fromkeys([ref_of(user), *(group for group in groups if group.startswith("group:"))]))
