"""References as upstream parses them: `entity_refs.json` is what catalog-model's own function gave for the same text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from greenroom.entity import EntityRef, EntityRefError, parse_ref, ref_of

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("entity_refs.json").read_text())["cases"]


def parsed(case: dict[str, Any]) -> dict[str, str]:
    try:
        ref = parse_ref(
            case["ref"], default_kind=case.get("defaultKind"), default_namespace=case.get("defaultNamespace")
        )
    except EntityRefError as error:
        return {"error": error.name, "message": error.message}
    return {**ref._asdict(), "text": str(ref)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: json.dumps({**case, "gives": None}))
def test_a_reference_means_what_it_means_upstream(case: dict[str, Any]) -> None:
    assert parsed(case) == case["gives"]


def test_an_entity_without_a_namespace_is_in_the_default_one() -> None:
    assert ref_of({"kind": "Component", "metadata": {"name": "Shop"}}) == "component:default/shop"
    assert ref_of({"kind": "API", "metadata": {"name": "x", "namespace": "Payments"}}) == "api:payments/x"


def test_the_parts_of_a_reference_keep_their_spelling_and_its_text_does_not() -> None:
    ref = EntityRef("Component", "Default", "Shop")
    assert (ref.kind, ref.name, str(ref)) == ("Component", "Shop", "component:default/shop")
