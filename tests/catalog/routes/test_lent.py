"""Another plugin that registers a location is refused what its user would be refused."""

from __future__ import annotations

import hashlib

import pytest

from greenroom.auth import Auth, Credentials, MemoryKeyStore, ServicePrincipal, UserPrincipal
from greenroom.auth.credentials import AccessRestrictions
from greenroom.auth.external import ExternalToken
from greenroom.errors import ConflictError, NotAllowedError
from greenroom_catalog.routes.lent import LentLocations
from tests.catalog.routes.conftest import Below
from tests.support.policy import Policy

JO = Credentials(UserPrincipal("user:default/jo"))
LIMITS = AccessRestrictions(frozenset({"scaffolder.task.create"}))
TOKENS = {"elsewhere": {"scaffolder": LIMITS}, "both": {"scaffolder": LIMITS, "catalog": AccessRestrictions()}}
AUTH = Auth(
    base_url="http://test",
    keys=MemoryKeyStore(),
    external_tokens=[
        ExternalToken(hashlib.sha256(token.encode()).digest(), token, plugins) for token, plugins in TOKENS.items()
    ],
)
URL = "https://files.test/catalog-info.yaml"


def service(token: str) -> Credentials:
    return Credentials(ServicePrincipal(token, LIMITS), token)


async def test_what_is_registered_twice_is_a_conflict() -> None:
    below = Below()
    lent = LentLocations(below, Policy(), AUTH, readonly=False)
    assert (await lent.register(URL, initiator=JO)).entities == []
    with pytest.raises(ConflictError, match="already exists"):
        await lent.register(URL, initiator=JO)
    assert [(one.type, one.target) for one in below.locations.values()] == [("url", URL)]


async def test_a_dry_run_tells_what_is_there_and_registers_nothing() -> None:
    below = Below()
    found = await LentLocations(below, Policy(), AUTH, readonly=True).register(URL, dry_run=True, initiator=JO)
    assert [entity["spec"]["target"] for entity in found.entities] == [URL]
    assert (found.exists, below.locations) == (False, {})


async def test_a_readonly_catalog_stays_as_it_is() -> None:
    with pytest.raises(NotAllowedError, match="readonly mode"):
        await LentLocations(Below(), Policy(), AUTH, readonly=True).register(URL, initiator=JO)


async def test_who_may_not_register_may_not_have_it_done_either() -> None:
    policy = Policy()
    policy.denied.add("catalog.location.create")
    with pytest.raises(NotAllowedError):
        await LentLocations(Below(), policy, AUTH, readonly=False).register(URL, initiator=JO)


async def test_a_service_may_register_if_its_token_is_for_the_catalog_too() -> None:
    below = Below()
    with pytest.raises(NotAllowedError, match="Access to target plugin 'catalog' is not included"):
        await LentLocations(below, Policy(), AUTH, readonly=False).register(URL, initiator=service("elsewhere"))
    await LentLocations(below, Policy(), AUTH, readonly=False).register(URL, initiator=service("both"))
    assert len(below.locations) == 1
