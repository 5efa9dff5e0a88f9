"""Static tokens of other systems, as configured under backend.auth.externalAccess."""

from typing import Any

import pytest

from greenroom.auth import AccessRestrictions, ExternalToken, ServicePrincipal
from greenroom.auth.external import find, principal_on, read_tokens
from greenroom.errors import NotAllowedError
from greenroom.settings import BackendConfig, load

TOKEN = "a-very-secret-token"


def configured(*entries: dict[str, Any]) -> tuple[ExternalToken, ...]:
    config = load([], {}, {"backend.auth.externalAccess": list(entries)})
    return read_tokens(config.section("backend", BackendConfig).auth.external_access)


def entry(subject: str = "ci", token: str = TOKEN, **changes: Any) -> dict[str, Any]:
    return {"type": "static", "options": {"token": token, "subject": subject}, **changes}


def test_a_token_is_known_by_its_whole_text_only() -> None:
    known = configured(entry(), entry("other", "another-token"))
    found = find(known, TOKEN)
    assert found is not None
    assert found.subject == "ci"
    for near in (TOKEN[:-1], f"{TOKEN} ", TOKEN.upper(), "", "\udc80"):
        assert find(known, near) is None


def test_the_first_of_two_entries_with_one_token_wins() -> None:
    found = find(configured(entry(), entry("other")), TOKEN)
    assert found is not None
    assert found.subject == "ci"


def test_the_token_itself_is_not_kept() -> None:
    assert TOKEN not in repr(configured(entry()))


def test_a_restricted_token_names_the_plugins_it_is_for() -> None:
    [token] = configured(entry(accessRestrictions=[{"plugin": "scaffolder"}, {"plugin": "catalog"}]))
    assert principal_on(token, "catalog") == ServicePrincipal("ci", AccessRestrictions())
    with pytest.raises(NotAllowedError, match=r"restricted to plugin\(s\) 'scaffolder', 'catalog'"):
        principal_on(token, "search")


@pytest.mark.parametrize("names", ["a.read, b.write", ["a.read", "b.write"], ["a.read,b.write a.read"]])
def test_permissions_and_actions_may_be_texts_or_lists(names: Any) -> None:
    restriction = {"plugin": "catalog", "permission": names, "permissionAttribute": {"action": "read, update"}}
    [token] = configured(entry(accessRestrictions=[restriction]))
    assert token.plugins == {
        "catalog": AccessRestrictions(frozenset({"a.read", "b.write"}), frozenset({"read", "update"}))
    }


def test_an_empty_list_of_restrictions_restricts_nothing() -> None:
    [token] = configured(entry(accessRestrictions=[]))
    assert principal_on(token, "anything") == ServicePrincipal("ci")
