"""Who may do what, before there are policies (spec 05 §4, 05b §7)."""

import pytest

from greenroom.auth import NOBODY, AccessRestrictions, Credentials, ServicePrincipal, UserPrincipal
from greenroom.errors import AuthenticationError, NotAllowedError
from greenroom.permissions import Decision, Permission, Permissions

READ = Permission("catalog.entity.read", "read", "catalog-entity")
DELETE = Permission("catalog.entity.delete", "delete", "catalog-entity")
ANALYZE = Permission("catalog.location.analyze")
USER = Credentials(UserPrincipal("user:default/guest"))


def service(permissions: set[str] | None = None, actions: set[str] | None = None) -> Credentials:
    restrictions = AccessRestrictions(
        None if permissions is None else frozenset(permissions), None if actions is None else frozenset(actions)
    )
    return Credentials(ServicePrincipal("ci", restrictions))


@pytest.mark.parametrize("enabled", [True, False])
async def test_a_restricted_service_is_held_to_its_token_also_when_permissions_are_off(enabled: bool) -> None:
    permissions = Permissions(enabled=enabled)
    narrow = service({"catalog.entity.read"})
    assert await permissions.authorize(narrow, READ) is Decision.ALLOW
    assert await permissions.authorize(narrow, DELETE) is Decision.DENY


async def test_a_permission_without_an_action_fails_a_limit_on_actions() -> None:
    permissions, reader = Permissions(enabled=True), service(actions={"read"})
    assert await permissions.authorize(reader, READ) is Decision.ALLOW
    assert await permissions.authorize(reader, DELETE) is Decision.DENY
    assert await permissions.authorize(reader, ANALYZE) is Decision.DENY


async def test_both_limits_must_hold() -> None:
    both = service({"catalog.entity.delete"}, {"read"})
    for permission in (READ, DELETE):
        assert await Permissions(enabled=True).authorize(both, permission) is Decision.DENY


async def test_users_and_unrestricted_services_may_do_everything() -> None:
    for credentials in (USER, service(), Credentials(ServicePrincipal("ci"))):
        assert await Permissions(enabled=True).authorize(credentials, DELETE, "component:default/a") is Decision.ALLOW


async def test_nobody_is_asked_who_they_are_unless_all_is_open() -> None:
    with pytest.raises(AuthenticationError):
        await Permissions(enabled=True).authorize(NOBODY, READ)
    assert await Permissions(enabled=True, anonymous=True).authorize(NOBODY, READ) is Decision.ALLOW
    assert await Permissions(enabled=False).authorize(NOBODY, READ) is Decision.ALLOW


async def test_a_refusal_says_nothing() -> None:
    with pytest.raises(NotAllowedError) as refused:
        await Permissions(enabled=True).require(service({"x"}), DELETE)
    assert refused.value.message == ""
    await Permissions(enabled=True).require(USER, DELETE)


def test_a_permission_is_written_as_upstream_lists_it() -> None:
    assert list(READ.to_wire().items()) == [
        ("type", "resource"),
        ("name", "catalog.entity.read"),
        ("attributes", {"action": "read"}),
        ("resourceType", "catalog-entity"),
    ]
    assert ANALYZE.to_wire() == {"type": "basic", "name": "catalog.location.analyze", "attributes": {}}
