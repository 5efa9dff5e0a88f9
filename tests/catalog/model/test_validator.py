"""The parts of the field rules that a recorded verdict does not show."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.errors import GreenroomError, InputError
from greenroom_catalog.model import (
    EnvelopeError,
    FieldError,
    KindError,
    authored_annotations,
    check_fields,
    order_references,
    relations_of,
    validate_envelope,
    validate_kind,
)


def component(**metadata: Any) -> dict[str, Any]:
    spec = {"type": "service", "lifecycle": "production", "owner": "me"}
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": "a", **metadata},
        "spec": spec,
    }


def test_the_namespace_is_spelled_out_first_and_the_given_entity_is_left_alone() -> None:
    entity = component()
    checked = check_fields(entity)
    assert list(checked) == ["metadata", "apiVersion", "kind", "spec"]
    assert list(checked["metadata"].items()) == [("namespace", "default"), ("name", "a")]
    assert "namespace" not in entity["metadata"]


def test_errors_know_the_path_to_what_is_wrong() -> None:
    with pytest.raises(EnvelopeError) as envelope:
        validate_envelope({"apiVersion": "v1", "kind": "X", "metadata": {"name": 1}})
    assert envelope.value.path == ["metadata", "name"]
    with pytest.raises(InputError) as fields:
        check_fields(component(tags=["ok", "Not ok"]))
    assert isinstance(fields.value.__cause__, FieldError)
    assert fields.value.__cause__.path == ["metadata", "tags", 1]
    with pytest.raises(InputError) as kind:
        validate_kind({**component(), "spec": {"type": "a", "lifecycle": "b", "owner": 5}})
    assert isinstance(kind.value.__cause__, KindError)
    assert kind.value.__cause__.path == ["spec", "owner"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
fields = ["name", "namespace", "title", "labels", "annotations", "tags", "links", "uid"]


@given(
    json_values
    | st.builds(
        lambda metadata, spec, kind: {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": kind,
            "metadata": metadata,
            "spec": spec,
        },
        st.dictionaries(st.sampled_from(fields), json_values),
        st.dictionaries(st.sampled_from(["type", "owner", "lifecycle", "dependsOn", "dependencyOf"]), json_values),
        st.sampled_from(["Component", "Resource", "Template", "Other"]),
    )
)
def test_whatever_a_document_holds_is_accepted_or_refused_with_an_error_of_ours(value: Any) -> None:
    message = "accepted"
    try:
        entity = check_fields(order_references(validate_envelope(value)))
        validate_kind(entity)
        relations_of(entity)
    except GreenroomError as error:
        message = error.message
    assert message


@pytest.mark.parametrize("value", [None, False, 0, "", {}])
def test_annotations_that_are_nothing_are_none(value: Any) -> None:
    assert authored_annotations({"metadata": {"name": "a", "annotations": value}}) == {}


@pytest.mark.parametrize("value", [[], ["a"], "x", 1, True])
def test_annotations_that_are_no_object_are_refused(value: Any) -> None:
    with pytest.raises(GreenroomError, match=r"metadata\.annotations must be a valid object"):
        authored_annotations({"metadata": {"name": "a", "annotations": value}})
