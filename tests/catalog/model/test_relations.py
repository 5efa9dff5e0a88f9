"""Entity -> relations, told from both ends."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom.errors import InputError
from greenroom_catalog.model import Relation, order_references, relations_of


def entity(kind: str, **spec: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": "It", "namespace": "ns"}, "spec": spec}


@pytest.mark.parametrize(
    ("kind", "field", "value", "outgoing", "incoming", "target"),
    [
        ("Component", "owner", "Team", "ownedBy", "ownerOf", "group:ns/team"),
        ("Component", "owner", "user:default/me", "ownedBy", "ownerOf", "user:default/me"),
        ("Component", "system", "s", "partOf", "hasPart", "system:ns/s"),
        ("Component", "subcomponentOf", "c", "partOf", "hasPart", "component:ns/c"),
        ("Component", "providesApis", ["a"], "providesApi", "apiProvidedBy", "api:ns/a"),
        ("Component", "consumesApis", ["o/a"], "consumesApi", "apiConsumedBy", "api:o/a"),
        ("Component", "dependsOn", ["resource:r"], "dependsOn", "dependencyOf", "resource:ns/r"),
        ("Component", "dependencyOf", "component:c", "dependencyOf", "dependsOn", "component:ns/c"),
        ("Component", "dependencyOf", {"kind": "K", "name": "N"}, "dependencyOf", "dependsOn", "k:ns/n"),
        ("API", "system", "s", "partOf", "hasPart", "system:ns/s"),
        ("Resource", "dependsOn", ["component:c"], "dependsOn", "dependencyOf", "component:ns/c"),
        ("System", "domain", "d", "partOf", "hasPart", "domain:ns/d"),
        ("Domain", "subdomainOf", "d", "partOf", "hasPart", "domain:ns/d"),
        ("User", "memberOf", ["g"], "memberOf", "hasMember", "group:ns/g"),
        ("Group", "parent", "g", "childOf", "parentOf", "group:ns/g"),
        ("Group", "children", ["g"], "parentOf", "childOf", "group:ns/g"),
        ("Group", "members", ["u"], "hasMember", "memberOf", "user:ns/u"),
        ("Template", "owner", "t", "ownedBy", "ownerOf", "group:ns/t"),
    ],
)
def test_a_field_of_the_spec_makes_a_relation_each_way(
    kind: str, field: str, value: Any, outgoing: str, incoming: str, target: str
) -> None:
    itself = f"{kind.lower()}:ns/it"
    expected = [Relation(itself, outgoing, target), Relation(target, incoming, itself)]
    assert relations_of(entity(kind, **{field: value})) == expected


def test_what_is_said_twice_is_one_relation() -> None:
    assert len(relations_of(entity("Component", dependsOn=["api:a", "API:ns/A"]))) == 2


def test_a_location_relates_to_nothing() -> None:
    assert relations_of(entity("Location", owner="x", target="y")) == []


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (
            ["x"],
            'Error: Entity reference "x" had missing or empty kind (e.g. did not start with "component:" or similar)',
        ),
        ([":x"], 'TypeError: Entity reference ":x" was not on the form [<kind>:][<namespace>/]<name>'),
        ({"kind": "x"}, 'Error: Entity reference {"kind":"x"} had missing or empty name'),
        (
            [[]],
            'Error: Entity reference [] had missing or empty kind (e.g. did not start with "component:" or similar)',
        ),
        ([None], "Error: Entity reference must not be empty"),
    ],
)
def test_a_malformed_reference_is_reported_in_upstreams_words(value: Any, cause: str) -> None:
    with pytest.raises(InputError) as error:
        relations_of(entity("Component", dependencyOf=value))
    prefix = "Processor BuiltinKindsEntityProcessor threw an error while postprocessing; caused by "
    assert error.value.message == prefix + cause


def test_the_order_of_references_is_no_difference() -> None:
    given = entity("Component", dependsOn=["b", "a", "ü", "B"], providesApis=["x"], consumesApis=["z", 1])
    ordered = order_references(given)
    assert ordered["spec"] == {"dependsOn": ["B", "a", "b", "ü"], "providesApis": ["x"], "consumesApis": ["z", 1]}
    assert given["spec"]["dependsOn"] == ["b", "a", "ü", "B"]
