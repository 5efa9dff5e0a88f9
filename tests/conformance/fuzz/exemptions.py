"""Differences that are meant: each a named rule about a request and two answers, as narrow as can be said.

They are the rows of DIFFERENCES.md in general terms: those name single requests, and the fuzz never asks the same twice."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qs, parse_qsl

from greenroom.javascript.numbers import read_number
from tests.conformance.compare import Outcome
from tests.conformance.script import Request

Rule = Callable[[Request, Outcome, Outcome], bool]

LEAST_PACKED = 1024
"""Characters; so much is always packed for who takes it."""
MOST_ID = 2**63
"""No id of Postgres is as large."""


def upstream_failed(_: Request, theirs: Outcome, ours: Outcome) -> bool:
    """Bad input is the caller's mistake: where upstream says 500, we say anything but that."""
    pages = [theirs.answer, *theirs.forward]
    return pages[-1].status == 500 and all(page.status < 500 for page in (ours.answer, *ours.forward))


def broken_off(request: Request, theirs: Outcome, _: Outcome) -> bool:
    """NUL in a query: upstream says 200, and then fails before the first byte."""
    asked = [text for value in request.query.values() for text in _texts(value)]
    return (
        theirs.answer.status == 200
        and "content-type" not in theirs.answer.headers
        and any("\0" in text for text in asked)
    )


def prototype(request: Request, _: Outcome, ours: Outcome) -> bool:
    """Fields that JavaScript's values have by nature: a `constructor`, a `length`, and the characters of a string by number."""
    body = request.json if isinstance(request.json, dict) else {}
    given = [*_texts(request.query.get("fields")), *_texts(body.get("fields"))]
    parts = {part for text in given for field in text.split(",") for part in field.strip().split(".")}
    inherited = {"constructor", "length", "toString", "__proto__"}
    return ours.answer.status == 200 and any(part in inherited or part.isdigit() for part in parts)


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def no_direction(request: Request, theirs: Outcome, ours: Outcome) -> bool:
    """An order field without a direction is ascending on every page; upstream forgets it, and refuses its own cursor."""
    order = request.query.get("orderField")
    first = order[0] if isinstance(order, list) and order else order
    bare = isinstance(first, str) and "," not in first
    return bare and request.walk and any(page.status == 400 for page in theirs.forward)


def strict_window(request: Request, theirs: Outcome, ours: Outcome) -> bool:
    """A limit or an offset that is no count is refused by POST as by GET."""
    body = request.json if isinstance(request.json, dict) else {}
    window = [body.get(name, 0) for name in ("limit", "offset")]
    odd = any(isinstance(one, int | float) and (one < 0 or one != one // 1) for one in window)
    return request.method == "POST" and odd and ours.answer.status == 400


def unknown_operation(request: Request, theirs: Outcome, ours: Outcome) -> bool:
    """`PUT /locations/by-query` is `PUT /locations/{id}` to upstream's router, but nothing to its document, so nobody checks the
    body as elsewhere. The words differ."""
    path = request.path.partition("?")[0].rstrip("/")
    return request.method == "PUT" and path.endswith("/by-query") and theirs.answer.status == ours.answer.status == 400


def short(_: Request, theirs: Outcome, ours: Outcome) -> bool:
    """What is shorter than 1 KB is never packed: upstream packs what it streams, however short."""
    packed = theirs.answer.headers.get("content-encoding") == "gzip" and "content-encoding" not in ours.answer.headers
    return packed and theirs.answer.body == ours.answer.body and len(str(ours.answer.body)) < LEAST_PACKED


def doubled_slash(request: Request, theirs: Outcome, ours: Outcome) -> bool:
    """`//locations/…` has one slash when upstream says what is wrong; we tell the address as it came."""
    bodies = [side.answer.body for side in (theirs, ours)]
    if "//" not in request.path or theirs.answer.status != ours.answer.status or not all(map(_is_error, bodies)):
        return False
    return all(bodies[0][part] == bodies[1][part] for part in ("error", "response"))


def head(request: Request, theirs: Outcome, ours: Outcome) -> bool:
    """HEAD takes parameters as GET does, and an empty one for none. Upstream reads them as texts: its link leads nowhere."""
    if request.method != "HEAD":
        return False
    mine, other = ours.answer, theirs.answer
    if {other.status, mine.status} == {200, 400}:
        given = parse_qsl(request.path.partition("?")[2], keep_blank_values=True)
        return "" in [*request.query.values(), *(value for _, value in given)]
    return mine.status == other.status == 200 and _but_link(mine.headers) == _but_link(other.headers)


def _but_link(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "link"}


def comment_in_a_key(_: Request, theirs: Outcome, ours: Outcome) -> bool:
    """A YAML mapping that is a key is called by its text, in which npm yaml repeats the comments too."""
    bodies = [side.answer.body for side in (theirs, ours)]
    return all(isinstance(body, dict) and "entities" in body for body in bodies) and any(
        key.startswith("{\n") and "#" in key for entity in bodies[0]["entities"] for key in entity.get("spec") or {}
    )


def beyond_ids(request: Request, theirs: Outcome, ours: Outcome) -> bool:
    """Events after a number that no id can be: upstream's database refuses it, which is told as nothing; we tell the completion."""
    path, _, query = request.path.partition("?")
    given = parse_qs(query).get("after", [str(request.query.get("after", ""))])
    return path.endswith("/events") and read_number(given[-1]) >= MOST_ID and theirs.answer.body == []


def hole(request: Request, theirs: Outcome, ours: Outcome) -> bool:
    """What is undefined in a list is null for the action's schema, and refused; upstream has a hole there, and fails later."""
    said = [side.answer.body["error"]["message"] if _is_error(side.answer.body) else "" for side in (theirs, ours)]
    return (
        request.name == "dry run" and said[0] != "" and re.search(r"\[\d+\] is not of a type\(s\)", said[1]) is not None
    )


def _is_error(body: object) -> bool:
    return isinstance(body, dict) and {"error", "response", "request"} <= body.keys()


EXEMPTIONS: dict[str, Rule] = {
    "upstream answers 500": upstream_failed,
    "upstream breaks off at NUL": broken_off,
    "a path into a prototype": prototype,
    "an order without a direction": no_direction,
    "a window that is no count": strict_window,
    "an operation that is in no document": unknown_operation,
    "a short answer that is packed": short,
    "a slash twice": doubled_slash,
    "parameters of HEAD": head,
    "a comment inside a key": comment_in_a_key,
    "an id beyond all ids": beyond_ids,
    "a hole in a list": hole,
}


def exempted(request: Request, theirs: Outcome, ours: Outcome) -> str | None:
    """The name of the rule that a difference falls under, if there is one."""
    return next((name for name, rule in EXEMPTIONS.items() if rule(request, theirs, ours)), None)
