"""Bodies of the locations' routes -> what is asked of them, with upstream's messages for what is wrong (spec 02 §6)."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

import msgspec

from greenroom.errors import InputError
from greenroom.web import shapes
from greenroom_catalog.model.values import from_json
from greenroom_catalog.query.conditions import PREDICATE, Predicate, check_depth
from greenroom_catalog.query.conditions import from_json as predicate_from_json
from greenroom_catalog.query.cursors import from_base64, to_base64
from greenroom_catalog.query.query import as_uid
from greenroom_catalog.routes.requests import LONGEST_PAGE

DEFAULT_LIMIT = 1000

_LOCATION = shapes.fields(
    {
        "type": shapes.STRING,
        "target": shapes.STRING,
        "presence": shapes.optional(shapes.union(shapes.literal("required"), shapes.literal("optional"))),
    },
    strict=True,
)


def location(body: Any) -> dict[str, str]:
    """A location as somebody wants it registered: `type`, `target`, perhaps `presence`. Raises InputError."""
    found, issues = shapes.parse(_LOCATION, body)
    if issues:
        raise InputError(f"Malformed request: {shapes.listed(issues)}")
    return cast(dict[str, str], found)


# --- by-query -----------------------------------------------------------------------------------------------------


class LocationPageRequest(msgspec.Struct, frozen=True):
    """A page of the locations that match."""

    limit: int
    query: Predicate | None = None
    after: UUID | None = None

    def next(self, last: UUID) -> str:
        """The cursor of the page past this location."""
        content: dict[str, Any] = {"limit": self.limit, "afterId": str(last)}
        if self.query is not None:
            content["query"] = self.query
        return to_base64(content)


def location_page(body: dict[str, Any]) -> LocationPageRequest:
    """The body of `POST /locations/by-query`, which fits the document already. A cursor overrules all else in it.

    Raises InputError."""
    if "cursor" in body:
        return _continued(body["cursor"])
    limit = body.get("limit", DEFAULT_LIMIT)
    if not limit >= 1 or limit != limit // 1:
        raise InputError("Limit must be a positive integer >= 1")
    query = predicate_from_json(body["query"]) if "query" in body else None
    return LocationPageRequest(int(min(limit, LONGEST_PAGE)), query)


def _count(value: Any, path: shapes.Path, issues: list[shapes.Issue]) -> shapes.Parsed:
    """A whole number from one on."""
    status, number = shapes.NUMBER(value, path, issues)
    if status != "valid" or (number >= 1 and number == number // 1):
        return status, number
    message = (
        "Number must be greater than or equal to 1" if number == number // 1 else "Expected integer, received float"
    )
    issues.append({"code": "too_small", "path": list(path), "message": message})
    return "dirty", number


_CURSOR = shapes.fields(
    {"limit": _count, "afterId": shapes.optional(shapes.STRING), "query": shapes.optional(PREDICATE)}
)


def _continued(cursor: str) -> LocationPageRequest:
    if not cursor:
        raise InputError("Cursor cannot be empty")
    try:
        content = from_json(from_base64(cursor))
    except InputError:
        raise InputError("Malformed cursor, unknown encoding") from None
    check_depth(content)
    found, issues = shapes.parse(_CURSOR, content)
    if issues:
        raise InputError(f"Malformed cursor: {shapes.describe(issues)}")
    if not isinstance(found.get("query", {}), dict):
        raise InputError("Query must be an object")
    after = as_uid(found["afterId"]) if "afterId" in found else None
    if "afterId" in found and after is None:
        raise InputError("Malformed cursor: afterId is not the id of a location")
    return LocationPageRequest(int(min(found["limit"], LONGEST_PAGE)), found.get("query"), after)


# --- analyze-location, validate-entity ----------------------------------------------------------------------------

_ANALYSIS = shapes.fields({"location": _LOCATION, "catalogFilename": shapes.optional(shapes.STRING)})


class AnalysisRequest(msgspec.Struct, frozen=True):
    """A repository that somebody wants to register, and what they call catalog files."""

    target: str
    filename: str | None = None


def analysis(body: Any) -> AnalysisRequest:
    """The body of `POST /analyze-location`. The document spells the name of the file otherwise, and upstream reads this one.

    Raises InputError."""
    found, issues = shapes.parse(_ANALYSIS, body)
    if issues:
        raise InputError(f"Malformed request: {shapes.listed(issues)}")
    return AnalysisRequest(found["location"]["target"], found.get("catalogFilename"))
