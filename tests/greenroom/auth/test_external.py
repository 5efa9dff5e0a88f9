"""Static tokens of other systems, as configured under backend.auth.externalAccess."""

from typing import Any

import pytest

from greenroom.auth import AccessRestrictions, ServicePrincipal
from greenroom.auth.external import find, principal_on, read_tokens
from greenroom.errors import ConfigError, NotAllowedError

TOKEN = "a-very-secret-token"


def entry(**changes: Any) -> dict[str, Any]:
    return {"type": "static", "options": {"token": TOKEN, "subject": "ci"}, **changes}


def test_a_token_is_known_by_its_whole_text_only() -> None:
    known = read_tokens([entry(), entry(options={"token": "another-token", "subject": "other"})])
    found = find(known, TOKEN)
    assert found is not None
    assert found.subject == "ci"
    assert find(known, TOKEN[:-1]) is None
    assert find(known, f"{TOKEN} ") is None
    assert find(known, "") is None


def test_the_first_of_two_entries_with_one_token_wins() -> None:
    found = find(read_tokens([entry(), entry(options={"token": TOKEN, "subject": "other"})]), TOKEN)
    assert found is not None
    assert found.subject == "ci"


def test_the_token_itself_is_not_kept() -> None:
    assert TOKEN not in repr(read_tokens([entry()]))


def test_a_restricted_token_names_the_plugins_it_is_for() -> None:
    [token] = read_tokens([entry(accessRestrictions=[{"plugin": "catalog"}, {"plugin": "scaffolder"}])])
    assert principal_on(token, "catalog") == ServicePrincipal("ci", AccessRestrictions())
    with pytest.raises(NotAllowedError, match=r"restricted to plugin\(s\) 'catalog', 'scaffolder'"):
        principal_on(token, "search")


@pytest.mark.parametrize("names", ["a.read, b.write", ["a.read", "b.write"], ["a.read,b.write a.read"]])
def test_permissions_and_actions_may_be_texts_or_lists(names: Any) -> None:
    restriction = {"plugin": "catalog", "permission": names, "permissionAttribute": {"action": "read, update"}}
    [token] = read_tokens([entry(accessRestrictions=[restriction])])
    assert token.plugins == {
        "catalog": AccessRestrictions(frozenset({"a.read", "b.write"}), frozenset({"read", "update"}))
    }


@pytest.mark.parametrize("empty", [None, []])
def test_empty_restrictions_restrict_nothing(empty: Any) -> None:
    [token] = read_tokens([entry(accessRestrictions=empty)])
    assert principal_on(token, "anything") == ServicePrincipal("ci")


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ("x", "backend.auth.externalAccess[0]"),
        ({"type": "jwks"}, "backend.auth.externalAccess[0].type"),
        ({}, "backend.auth.externalAccess[0].type"),
        ({"type": "static"}, "backend.auth.externalAccess[0].options"),
        (entry(options={"token": "short", "subject": "x"}), "backend.auth.externalAccess[0].options.token"),
        (entry(options={"token": "with a space", "subject": "x"}), "backend.auth.externalAccess[0].options.token"),
        (entry(options={"token": 12345678, "subject": "x"}), "backend.auth.externalAccess[0].options.token"),
        (entry(options={"token": f"{TOKEN}\n", "subject": "x"}), "backend.auth.externalAccess[0].options.token"),
        (entry(options={"token": TOKEN}), "backend.auth.externalAccess[0].options.subject"),
        (entry(accessRestrictions="catalog"), "backend.auth.externalAccess[0].accessRestrictions"),
        (entry(accessRestrictions=["x"]), "backend.auth.externalAccess[0].accessRestrictions[0]"),
        (entry(accessRestrictions=[{}]), "backend.auth.externalAccess[0].accessRestrictions[0].plugin"),
        (
            entry(accessRestrictions=[{"plugin": "a"}, {"plugin": "a"}]),
            "backend.auth.externalAccess[0].accessRestrictions[1].plugin",
        ),
        (
            entry(accessRestrictions=[{"plugin": "a", "permissions": "x"}]),
            "backend.auth.externalAccess[0].accessRestrictions[0].permissions",
        ),
        (
            entry(accessRestrictions=[{"plugin": "a", "permission": 5}]),
            "backend.auth.externalAccess[0].accessRestrictions[0].permission",
        ),
        (
            entry(accessRestrictions=[{"plugin": "a", "permissionAttribute": {"action": "raed"}}]),
            "backend.auth.externalAccess[0].accessRestrictions[0].permissionAttribute.action",
        ),
    ],
)
def test_a_mistake_stops_the_start_and_is_named_without_the_token(wrong: Any, path: str) -> None:
    with pytest.raises(ConfigError) as stopped:
        read_tokens([wrong])
    assert stopped.value.path == path
    for secret in (TOKEN, "with a space", "short", "12345678"):
        assert f"'{secret}" not in stopped.value.message
        assert f"found {secret}" not in stopped.value.message
