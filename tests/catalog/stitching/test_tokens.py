"""What an entity is found by: the rules of spec 02 §2.2, one by one."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom.errors import InputError
from greenroom_catalog.stitching.stitcher import search_row
from greenroom_catalog.stitching.tokens import COLUMNS, MOST_PLACES, Projection, pair, project, shortened, token

UID = "0a0b0c0d-0000-4000-8000-000000000000"


def entity(spec: dict[str, Any] | None = None, relations: list[dict[str, str]] | None = None, **metadata: Any) -> Any:
    """A stitched entity; `other_fields` of its metadata by name."""
    return {
        "apiVersion": "v1",
        "kind": "Component",
        "metadata": {"name": "Shop", "namespace": "default", "uid": UID, "etag": "e", **metadata},
        "spec": {} if spec is None else spec,
        "relations": relations or [],
    }


def projected(spec: dict[str, Any] | None = None, **metadata: Any) -> Projection:
    return project(entity(spec, **metadata), UID)


def finds(found: Projection, *texts: str) -> bool:
    """Whether each `key` or `key=value` is among the tokens."""
    return all(token(text.replace("=", "\0", 1)) in found.tokens for text in texts)


def test_a_key_is_found_by_its_lower_cased_dotted_path() -> None:
    found = projected({"Profile": {"displayName": "Ada"}}, annotations={"Acme.io/Team-Id": "7"})
    assert finds(found, "spec.profile.displayname", "metadata.annotations.acme.io/team-id=7")
    assert not finds(found, "spec.Profile.displayName")


def test_a_value_is_compared_lower_cased_and_shown_as_it_was_written() -> None:
    found = projected({"team": "Red", "tier": "gold"})
    assert finds(found, "spec.team=red")
    assert found.values["spec.team"] == [("red", "Red")]
    assert found.values["spec.tier"] == "gold"


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), (7, "7"), (1.5, "1.5"), (1e21, "1e+21"), (-0.0, "0"), ("", "")],
)
def test_scalars_are_compared_as_javascript_prints_them(value: object, text: str) -> None:
    assert finds(projected({"x": value}), f"spec.x={text}")


def test_of_null_only_the_existence_is_known() -> None:
    found = projected({"x": None})
    assert finds(found, "spec.x")
    assert not finds(found, "spec.x=")
    assert "spec.x" not in found.values


def test_what_is_empty_leaves_no_trace() -> None:
    assert not finds(projected({"x": [], "y": {}}), "spec.x")


def test_an_element_of_a_list_is_found_as_value_and_as_key() -> None:
    found = projected({}, tags=["Java", "go"])
    assert finds(
        found,
        "metadata.tags",
        "metadata.tags=java",
        "metadata.tags=go",
        "metadata.tags.java=true",
        "metadata.tags.go=true",
    )
    assert found.tags == ["Java", "go"]
    assert "metadata.tags" not in found.values


@pytest.mark.parametrize(
    ("key", "short"),
    [
        ("spec.team", "$team"),
        ("metadata.annotations.backstage.io/view-url", "!view-url"),
        ("metadata.annotations.github.com/project-slug", "@github.com/project-slug"),
        ("metadata.description", "~description"),
        ("apiversion", "apiversion"),
        ("$team", "=$team"),
        ("=$team", "==$team"),
    ],
)
def test_keys_stand_shortened_beside_the_values_and_none_becomes_another(key: str, short: str) -> None:
    assert shortened(key) == short


def test_a_key_with_its_usual_value_has_the_token_of_that_and_nothing_else() -> None:
    metadata: dict[str, Any] = {"annotations": {"backstage.io/techdocs-ref": "dir:."}}
    found = projected(**metadata)
    assert finds(found, "metadata.annotations.backstage.io/techdocs-ref=dir:.")
    assert not finds(found, "metadata.annotations.backstage.io/techdocs-ref")
    assert "metadata.annotations.backstage.io/techdocs-ref" not in found.values


def test_a_key_that_is_only_true_has_the_token_of_that_and_nothing_else() -> None:
    found = projected({"on": True, "both": [True, False], "gap": [True, None], "spelled": "True"})
    assert finds(found, "spec.on=true", "spec.both=true", "spec.both", "spec.gap=true", "spec.gap", "spec.spelled=true")
    assert not finds(found, "spec.on")
    assert found.values["spec.both"] == ["true", "false"]
    assert found.values["spec.gap"] == ["true", None]
    assert found.values["spec.spelled"] == [("true", "True")]
    assert "spec.on" not in found.values


def test_an_element_and_a_nested_field_of_one_path_are_one_key() -> None:
    found = projected({"a": ["b"], "a.b": "c"})
    assert finds(found, "spec.a.b=true", "spec.a.b=c", "spec.a.b")
    assert found.values["spec.a.b"] == ["true", "c"]


def test_an_entity_of_more_keys_than_are_remembered_is_found_by_each() -> None:
    names = [f"k{number}" for number in range(2 * MOST_PLACES)]
    for _ in range(2):  # what was remembered is forgotten between the two
        found = projected(dict.fromkeys(names, "Red"), team="Blue")
        assert len(set(found.tokens)) == 2 * len(names) + len(projected(team="Blue").tokens)
        assert finds(found, "spec.k0=red", f"spec.{names[-1]}=red", "metadata.team=blue")


def test_elements_that_are_no_text_are_no_keys() -> None:
    found = projected({"x": [1, True, None, "a"]})
    assert finds(found, "spec.x=1", "spec.x=true", "spec.x=a", "spec.x.a=true")
    assert not finds(found, "spec.x.1")


def test_objects_in_lists_share_the_path_of_the_list() -> None:
    found = projected({"nested": [{"a": 1}, {"a": 2}]})
    assert finds(found, "spec.nested.a=1", "spec.nested.a=2")
    assert found.values["spec.nested.a"] == ["1", "2"]


def test_a_value_that_stands_there_twice_counts_once_as_it_was_first_written() -> None:
    found = projected({"x": ["Red", "RED", "red"]})
    assert found.values["spec.x"] == [("red", "Red")]
    assert found.tokens.count(token(pair("spec.x", "red"))) == 1


def test_spellings_of_one_tag_are_no_clash() -> None:
    found = projected({}, tags=["Java", "java"])
    assert finds(found, "metadata.tags.java=true")
    assert found.tags == ["Java"]


def test_keys_that_differ_only_in_case_are_refused_in_upstreams_words() -> None:
    with pytest.raises(InputError) as raised:
        projected({"X": 1, "x": 2, "Y": 1, "y": 1})
    assert raised.value.message == "Entity has duplicate keys that vary only in casing, 'spec.x', 'spec.y'"


@pytest.mark.parametrize("part", ["attachments", "relations", "status"])
def test_what_is_no_one_s_authorship_is_not_searched(part: str) -> None:
    found = project({**entity(), part: [] if part == "relations" else {"x": 1}}, UID)
    assert not finds(found, f"{part}.x")


def test_the_etag_is_not_searched() -> None:
    assert not finds(projected(), "metadata.etag")


def test_the_uid_is_the_catalogs_own() -> None:
    found = project(entity(uid="11111111-0000-4000-8000-000000000000"), UID)
    assert finds(found, f"metadata.uid={UID}")
    assert not finds(found, "metadata.uid=11111111-0000-4000-8000-000000000000")
    assert "metadata.uid" not in found.values


def test_relations_are_found_by_type_and_target() -> None:
    relations = [
        {"type": "ownedBy", "targetRef": "group:default/a"},
        {"type": "dependsOn", "targetRef": "component:default/b"},
        {"type": "dependsOn", "targetRef": "component:default/c"},
    ]
    found = project(entity(relations=relations), UID)
    assert finds(found, "relations.ownedby=group:default/a", "relations.dependson=component:default/c")
    assert found.columns["owned_by"] == "group:default/a"
    assert found.values["relations.dependson"] == ["component:default/b", "component:default/c"]


@pytest.mark.parametrize("namespace", [{}, {"namespace": None}])
def test_an_entity_without_a_namespace_is_in_default(namespace: dict[str, Any]) -> None:
    one = entity()
    del one["metadata"]["namespace"]
    one["metadata"] |= namespace
    assert project(one, UID).columns["namespace"] == "default"


def test_what_every_entity_has_once_stands_in_columns_and_needs_no_tokens() -> None:
    found = projected()
    assert found.columns == {"kind": ("component", "Component"), "namespace": "default", "name": ("shop", "Shop")}
    assert not finds(found, "kind")
    assert not finds(found, "metadata.name=shop")


@pytest.mark.parametrize("key", sorted(COLUMNS.keys() - {"kind", "metadata.name", "metadata.namespace"}))
def test_a_key_with_a_column_has_it_filled_only_by_a_single_value(key: str) -> None:
    def with_values(*values: str) -> Projection:
        head, _, field = key.partition(".")
        if head == "relations":
            return project(entity(relations=[{"type": field, "targetRef": one} for one in values]), UID)
        value: Any = values[0] if len(values) == 1 else list(values)
        return projected({field: value}) if head == "spec" else project(entity(**{field: value}), UID)

    assert with_values("One").columns[COLUMNS[key]] == ("one", "One")
    assert key not in with_values("One").values
    several = with_values("One", "two")
    assert COLUMNS[key] not in several.columns
    assert several.values[key] == [("one", "One"), "two"]


@pytest.mark.parametrize(("length", "kept"), [(200, True), (201, False)])
@pytest.mark.parametrize("letter", ["x", "щ", "😀"])
def test_a_longer_value_is_known_to_exist_and_no_more(length: int, kept: bool, letter: str) -> None:
    text = letter * (length // 2) if letter == "😀" else letter * length
    if letter == "😀" and not kept:
        text += "x"  # 201 UTF-16 units, and 101 characters
    found = projected({"x": text})
    assert finds(found, "spec.x")
    assert finds(found, f"spec.x={text}") is kept
    assert ("spec.x" in found.values) is kept


@pytest.mark.parametrize(("length", "kept"), [(200, True), (201, False)])
def test_a_longer_key_is_left_out(length: int, kept: bool) -> None:
    key = "k" * (length - len("spec."))
    found = projected({key: "v"})
    assert finds(found, f"spec.{key}") is kept
    assert finds(found, f"spec.{key}=v") is kept


def test_keys_too_long_to_be_searched_clash_all_the_same() -> None:
    with pytest.raises(InputError, match="vary only in casing"):
        projected({"k" * 300: 1, "K" * 300: 1})


def test_nul_is_dropped_from_what_postgres_has_to_hold() -> None:
    found = projected({"a\0b": "C\0d", "type": "E\0f"}, tags=["g\0h"])
    assert found.values["spec.ab"] == [("cd", "Cd")]
    assert found.columns["type"] == ("ef", "Ef")
    assert found.tags == ["gh"]
    assert not any("\0" in value for value in search_row(found) if value)


def test_a_token_is_the_same_for_ever() -> None:
    """Of another, nothing that is stored would be found."""
    assert token(pair("metadata.tags", "java")) == 2718243689420891933
    assert token(pair("metadata.tags", "java")) != token(pair("metadata.tags", "Java"))


def test_a_key_with_an_equals_sign_is_no_other_key_with_a_value() -> None:
    assert not set(projected({"a=b": "c"}).tokens) & set(projected({"a": "b=c"}).tokens) - set(projected().tokens)


def test_null_among_the_values_of_a_key_is_kept_as_a_gap() -> None:
    assert projected({"x": ["a", None, None]}).values["spec.x"] == ["a", None]
    assert projected({"x": [None, "y" * 201, "a"]}).values["spec.x"] == ["a", None]
    assert projected({"type": ["a", None]}).values["spec.type"] == ["a", None]
    assert "spec.x" not in projected({"x": [None]}).values


def test_a_row_of_the_search_table_has_its_columns_in_their_order() -> None:
    row = search_row(projected({"type": "Service", "lifecycle": "production"}, title='A "b" \\ c', tags=['x"y', "z\\"]))
    assert row[:8] == ["component", "default", "shop", 'a "b" \\ c', "service", "production", None, None]
    assert row[8:16] == ["Component", None, "Shop", 'A "b" \\ c', "Service", None, None, None]
    assert row[16] == '{"x\\"y","z\\\\"}'
    assert str(row[17]).startswith("{")
