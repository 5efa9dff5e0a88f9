"""Templates and users, read from the catalog as whoever asks."""

from __future__ import annotations

from greenroom.auth import Auth, Credentials
from greenroom.entity import Entity, EntityRef
from greenroom.errors import InputError, NotFoundError
from greenroom.permissions import Permissions
from greenroom.plugin import CatalogReader
from greenroom_scaffolder.routes.permissions import ENTITY_READ, PARAMETER_READ, STEP_READ
from greenroom_scaffolder.templates import Template, read_template


class Templates:
    """The catalog, as far as the scaffolder needs it."""

    def __init__(self, catalog: CatalogReader, permissions: Permissions, auth: Auth) -> None:
        self._catalog, self._permissions, self._auth = catalog, permissions, auth

    async def template(self, ref: EntityRef, credentials: Credentials) -> Template:
        """The template, without the parts of its form and the steps that the caller may not read.

        Raises InputError for another kind or version, NotFoundError."""
        if ref.kind.lower() != "template":
            raise InputError("Invalid kind, only 'Template' kind is supported")
        entity = await self.entity(str(ref), credentials)
        if entity is None:
            raise NotFoundError(f"Template {ref} not found")
        template = read_template(entity)
        blocks = await self._permissions.allows(credentials, PARAMETER_READ)
        steps = await self._permissions.allows(credentials, STEP_READ)
        return template.readable_by(lambda _: blocks, lambda _: steps)

    async def entity(self, ref: str, credentials: Credentials) -> Entity | None:
        """An entity, if the caller may read it. Raises NotAllowedError for a service that is restricted to other plugins."""
        if not await self._permissions.allows(self._auth.delegated(credentials, "catalog"), ENTITY_READ, ref):
            return None
        return (await self._catalog.by_refs([ref]))[0]

    async def user(self, credentials: Credentials) -> tuple[str | None, Entity | None]:
        """The reference of who asks, and the entity if there is one; a service is no user."""
        ref = credentials.user.ref if credentials.user else None
        return ref, None if ref is None else await self.entity(ref, credentials)
