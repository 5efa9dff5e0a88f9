"""Which kinds may come from where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import ConfigError
from greenroom_catalog.model import Rules, read_rules
from greenroom_catalog.model.globs import Glob

HERE = "url:https://github.com/org/repo/blob/main/catalog-info.yaml"


def rules(value: Any, locations: Any = None) -> Rules:
    return read_rules(value, locations, folder=Path("/srv"))


def entity(kind: str, type_: object = "x") -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": "a"}, "spec": {"type": type_}}


def test_without_rules_users_and_groups_cannot_come_from_a_repository() -> None:
    allowed = [kind for kind in ("Component", "api", "LOCATION", "User", "Group") if Rules().allows(entity(kind), HERE)]
    assert allowed == ["Component", "api", "LOCATION"]


def test_an_empty_list_of_rules_allows_nothing() -> None:
    assert not rules([]).allows(entity("Component"), HERE)


@pytest.mark.parametrize(("type_", "expected"), [("Website", True), ("service", False), (5, False)])
def test_a_rule_can_be_for_one_type_of_a_kind(type_: object, expected: bool) -> None:
    one = rules([{"allow": [{"kind": "template", "spec.type": "website"}]}])
    assert one.allows(entity("Template", type_), HERE) is expected


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({"type": "url"}, True),
        ({"type": "file"}, False),
        ({"type": "url", "exact": HERE[4:]}, True),
        ({"type": "url", "exact": HERE[4:].upper()}, False),
        ({"type": "url", "pattern": "https://github.com/ORG/*/blob/**/catalog-info.yaml"}, True),
        ({"type": "url", "pattern": "https://github.com/other/**"}, False),
    ],
)
def test_a_rule_can_be_for_some_locations(place: dict[str, str], expected: bool) -> None:
    assert rules([{"allow": ["User"], "locations": [place]}]).allows(entity("User"), HERE) is expected


def test_a_configured_location_has_rules_of_its_own() -> None:
    both = rules(
        [],
        [
            {"type": "file", "target": "org.yaml", "rules": [{"allow": ["User"]}]},
            {"type": "url", "target": HERE[4:]},
        ],
    )
    assert both.allows(entity("User"), "file:/srv/org.yaml")
    assert not both.allows(entity("User"), "file:/srv/other.yaml")
    assert not both.allows(entity("User"), HERE)


@pytest.mark.parametrize(
    ("value", "locations", "path"),
    [
        ("Component", None, "catalog.rules"),
        ([{"alow": ["Component"]}], None, "catalog.rules[0]"),
        ([{"allow": [5]}], None, "catalog.rules[0].allow[0]"),
        ([{"allow": [{"kind": "X", "type": "y"}]}], None, "catalog.rules[0].allow[0]"),
        (
            [{"allow": ["X"], "locations": [{"type": "url", "exact": "a", "pattern": "b"}]}],
            None,
            "catalog.rules[0].locations[0]",
        ),
        (
            [],
            [{"type": "url", "target": "x", "rules": [{"allow": [{"kind": "X"}]}]}],
            "catalog.locations[0].rules[0].allow[0]",
        ),
        ([], [{"type": "url", "rules": []}], "catalog.locations[0]"),
    ],
)
def test_a_wrong_shape_stops_the_start_and_names_the_path(value: Any, locations: Any, path: str) -> None:
    with pytest.raises(ConfigError) as error:
        rules(value, locations)
    assert error.value.path == path


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [  # answers of minimatch 10 with nocase and dot
        ("https://x/**", "https://x/", True),
        ("https://x/**", "https://x", False),
        ("https://x/*", "https://x/", False),
        ("a/**/b", "a/b", True),
        ("a", "a/", True),
        ("a/", "a", False),
        ("a/{b,c}/{1..3}", "A/C/2", True),
        ("!x", "y", True),
        ("#a", "#a", False),
        ("a?b", "a/b", False),
        ("*.yaml", ".yaml", True),
        ("a/*", "a/..", False),
        ("[!a]b", "cb", True),
        ("+(a|b)", "abba", True),
        ("!(a)", "b", True),
        ("x/!(a).yaml", "x/a.yaml", False),
        ("x/!(a).yaml", "x/ab.yaml", True),
        ("\\*", "*", True),
        ("[", "[", True),
        ("{a}", "{a}", True),
        ("", "", True),
    ],
)
def test_patterns_match_as_upstreams_do(pattern: str, text: str, expected: bool) -> None:
    assert Glob(pattern).matches(text) is expected
