"""The document of the catalog's operations: what is served is what was reviewed, and says what upstream's says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from greenroom.web import load_document
from tests.catalog.routes.conftest import Surface
from tests.conformance.oracle import shared_folder

OPERATIONS = 20
PROSE = {"description", "summary", "example", "examples"}
"""Where the two documents differ on purpose: descriptions are in our own words, and examples are left out."""


def _operations(document: Any) -> dict[str, Any]:
    return {one["operationId"]: one for item in document["paths"].values() for one in item.values()}


def _said(value: Any) -> Any:
    """Without prose. The name of a schema's property may be one of those words, but then it holds a schema."""
    if isinstance(value, list):
        return [_said(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {
        name: item for name, item in value.items() if name not in PROSE or (isinstance(item, dict) and "type" in item)
    }
    return {name: _said(item) for name, item in kept.items()}


async def test_what_is_served_is_the_whole_document_below_the_plugin(surface: Surface) -> None:
    served, reviewed = (await surface.http.get("/openapi.json")).json, load_document("catalog")
    assert len(_operations(served)) == OPERATIONS
    assert served["openapi"] == "3.0.3"
    assert served["paths"] == {f"/api/catalog{path}": item for path, item in reviewed["paths"].items()}
    others = {name: item for name, item in served.items() if name not in ("openapi", "paths")}
    assert others == {name: item for name, item in reviewed.items() if name not in ("openapi", "paths")}


def test_every_operation_has_a_summary_of_our_own() -> None:
    assert [name for name, one in _operations(load_document("catalog")).items() if not one.get("summary")] == []


def test_the_document_says_what_upstreams_says() -> None:
    path = shared_folder() / "spec" / "openapi" / "catalog.json"
    if not path.exists():
        pytest.skip(f"needs upstream's document, {path}")
    theirs = json.loads(path.read_text())
    ours = load_document("catalog")
    assert ours["openapi"] == theirs["openapi"]
    assert _said(ours["paths"]) == _said(theirs["paths"])
    assert _said(ours["components"]) == _said(theirs["components"])
