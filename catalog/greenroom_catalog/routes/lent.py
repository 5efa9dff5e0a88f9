"""What the catalog lends to other plugins where its own routes would be asked: registering, with the same refusals."""

from __future__ import annotations

from greenroom.auth import Auth, Credentials
from greenroom.errors import NotAllowedError
from greenroom.permissions import Permissions
from greenroom.plugin import CatalogRegistration
from greenroom_catalog.query.permissions import LOCATION_CREATE
from greenroom_catalog.routes.services import Locations


class LentLocations:
    """`greenroom.plugin.CatalogLocations`."""

    def __init__(self, locations: Locations, permissions: Permissions, auth: Auth, *, readonly: bool) -> None:
        """`readonly` is `catalog.readonly`, which dry runs do not mind."""
        self._locations, self._permissions, self._auth = locations, permissions, auth
        self._readonly = readonly

    async def register(self, url: str, *, dry_run: bool = False, initiator: object = None) -> CatalogRegistration:
        """As `POST /locations?dryRun=…` of a location of type `url`, asked by the initiator.

        Raises NotAllowedError, InputError, ConflictError."""
        who = self._auth.delegated(initiator, "catalog") if isinstance(initiator, Credentials) else None
        if self._readonly and not dry_run:
            raise NotAllowedError("This operation not allowed in readonly mode")
        if who is not None:
            await self._permissions.require(who, LOCATION_CREATE)
        if not dry_run:
            await self._locations.create("url", url)
            return CatalogRegistration([])
        brought = await self._locations.try_out("url", url)
        exists = await self._locations.exists("url", url)
        return CatalogRegistration([one.entity for one in brought], exists)
