"""Every rule of the model against the recorded answers of a running upstream backend (`POST /validate-entity`).

`recorded.json` holds sound entities of ours (`bases`), and cases that change one of them in one place: the value at `path` is
replaced, or removed where there is no `value`. `answer` is null (accepted) or the name, message and cause of the first error.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import GreenroomError, to_wire
from greenroom_catalog.model import check_fields, order_references, relations_of, validate_envelope, validate_kind

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("recorded.json").read_text())
LOCATION = "url:https://example.test/a/catalog-info.yaml"


def entity_of(case: dict[str, Any]) -> Any:
    entity = copy.deepcopy(RECORDED["bases"][case["base"]])
    *outer, last = case.get("path") or [None]
    inner = entity
    for step in outer:
        inner = inner[step]
    if "value" in case:
        inner[last] = case["value"]
    elif last is not None:
        del inner[last]
    return entity


def located(entity: Any) -> Any:
    """As the route does before it asks for the processing: annotated, whatever the annotations were."""
    metadata = entity["metadata"]
    own = metadata.get("annotations") or {}
    own = {str(index): item for index, item in enumerate(own)} if isinstance(own, str | list) else own
    own = own if isinstance(own, dict) else {}
    marks = {"backstage.io/managed-by-location": LOCATION, "backstage.io/managed-by-origin-location": LOCATION}
    return {**entity, "metadata": {**metadata, "annotations": {**marks, **own}}}


def verdict(entity: Any) -> list[str] | None:
    try:
        checked = check_fields(order_references(located(validate_envelope(entity))))
        validate_kind(checked)
        relations_of(checked)
    except GreenroomError as error:
        wire = to_wire(error)
        return [wire["name"], wire["message"], *([wire["cause"]["name"]] if "cause" in wire else [])]
    return None


@pytest.mark.parametrize("base", RECORDED["bases"])
def test_upstreams_verdict_is_ours(base: str) -> None:
    cases = [case for case in RECORDED["cases"] if case["base"] == base]
    differing = [(case, answer) for case in cases if (answer := verdict(entity_of(case))) != case["answer"]]
    assert cases
    assert differing == []
