"""openapi/<name>.yaml -> the document that requests are validated against, and the copy that is served."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from greenroom.errors import GreenroomError


@cache
def _read(name: str) -> dict[str, Any]:
    here = Path(__file__)
    packaged = Path(str(files("greenroom"))) / "openapi" / f"{name}.yaml"
    checkout = here.parents[2] / "openapi" / f"{name}.yaml"
    for file in (packaged, checkout):
        if file.is_file():
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            document: dict[str, Any] = yaml.load(file.read_bytes(), Loader=loader)  # noqa: S506 - a safe loader, in C
            return document
    raise GreenroomError(f"No OpenAPI document named {name!r}: neither {packaged} nor {checkout} exists")


def load_document(name: str) -> dict[str, Any]:
    """The reviewed document `openapi/<name>.yaml`, from the wheel or the checkout. It is shared: do not change it."""
    return _read(name)


def served_part(document: Mapping[str, Any], operation_ids: Collection[str]) -> dict[str, Any]:
    """The document without the operations that nobody serves: what is told to exist is there."""
    paths = {path: _served(item, operation_ids) for path, item in document["paths"].items()}
    return {**document, "paths": {path: item for path, item in paths.items() if item}}


def _served(item: Mapping[str, Any], operation_ids: Collection[str]) -> dict[str, Any]:
    return {verb: one for verb, one in item.items() if one.get("operationId") in operation_ids}


def served_copy(document: Mapping[str, Any], mount: str) -> dict[str, Any]:
    """What `GET <mount>/openapi.json` answers: paths below the mount, and 3.0.3 as version, as upstream says."""
    return {
        **document,
        "openapi": "3.0.3",
        "paths": {f"{mount}{path}": item for path, item in document["paths"].items()},
    }
