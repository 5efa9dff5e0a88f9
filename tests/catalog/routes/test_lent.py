"""Another plugin that registers a location is refused what its user would be refused."""

from __future__ import annotations

import pytest

from greenroom.auth import Credentials
from greenroom.auth.credentials import AccessRestrictions, ServicePrincipal, UserPrincipal
from greenroom.errors import ConflictError, NotAllowedError
from greenroom_catalog.routes.lent import LentLocations
from tests.catalog.routes.conftest import Below, Policy

JO = Credentials(UserPrincipal("user:default/jo"))
URL = "https://files.test/catalog-info.yaml"


async def test_what_is_registered_twice_is_a_conflict() -> None:
    below = Below()
    lent = LentLocations(below, Policy(), readonly=False)
    assert (await lent.register(URL, initiator=JO)).entities == []
    with pytest.raises(ConflictError, match="already exists"):
        await lent.register(URL, initiator=JO)
    assert [(one.type, one.target) for one in below.locations.values()] == [("url", URL)]


async def test_a_dry_run_tells_what_is_there_and_registers_nothing() -> None:
    below = Below()
    found = await LentLocations(below, Policy(), readonly=True).register(URL, dry_run=True, initiator=JO)
    assert [entity["spec"]["target"] for entity in found.entities] == [URL]
    assert (found.exists, below.locations) == (False, {})


async def test_a_readonly_catalog_stays_as_it_is() -> None:
    with pytest.raises(NotAllowedError, match="readonly mode"):
        await LentLocations(Below(), Policy(), readonly=True).register(URL, initiator=JO)


async def test_who_may_not_register_may_not_have_it_done_either() -> None:
    policy = Policy()
    policy.denied.add("catalog.location.create")
    with pytest.raises(NotAllowedError):
        await LentLocations(Below(), policy, readonly=False).register(URL, initiator=JO)


async def test_a_services_restrictions_are_of_the_plugin_that_it_asked() -> None:
    policy = Policy()
    policy.denied.add("catalog.location.create")
    restricted = Credentials(ServicePrincipal("ci", AccessRestrictions(frozenset({"scaffolder.task.create"}))))
    await LentLocations(Below(), policy, readonly=False).register(URL, initiator=restricted)
