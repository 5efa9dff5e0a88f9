"""Parameters of requests -> what the rooms below are asked, with upstream's messages."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

import msgspec

from greenroom.entity import EntityRef, EntityRefError, parse_ref
from greenroom.errors import InputError
from greenroom.javascript.numbers import read_number
from greenroom_scaffolder.storage.listing import Direction, Field, Order


def template_ref(text: str) -> EntityRef:
    """Which template is meant. Raises InputError, where upstream takes the mistake for its own."""
    try:
        return parse_ref(text, default_kind="template")
    except EntityRefError as error:
        raise InputError(error.message) from error


class _Info(msgspec.Struct):
    entity_ref: str | None = msgspec.field(name="entityRef", default=None)


class _Spec(msgspec.Struct):
    info: _Info | None = msgspec.field(name="templateInfo", default=None)


_ORDER = re.compile(r"(asc|desc):(.+)")


LARGEST = 2**63 - 1
"""Larger ids are there none, in the database or anywhere."""


class TaskQuery(msgspec.Struct, frozen=True):
    """What of the tasks is asked for. None: all, or the usual."""

    created_by: Sequence[str] | None = None
    status: Sequence[str] | None = None
    order: Order = ()
    limit: int | None = None
    offset: int = 0


def task_query(query: Mapping[str, Any]) -> TaskQuery:
    """Raises InputError for an order that is none."""
    return TaskQuery(
        created_by=_given(query.get("createdBy")) or None,
        status=_given(query.get("status")),
        order=[_order(one) for one in query.get("order") or ()],
        limit=query.get("limit"),
        offset=query.get("offset") or 0,
    )


def _given(values: Sequence[str] | None) -> Sequence[str] | None:
    """Without the empty ones, which upstream drops. No status that is left is none that a task has; no creator is any."""
    return None if values is None else [value for value in values if value]


def _order(text: str) -> tuple[Field, Direction]:
    found = _ORDER.match(text)
    if found is None or found.end() != len(text):
        raise InputError(f'Invalid order parameter "{text}", expected "<asc or desc>:<field name>"')
    if found[2] not in get_args(Field):
        raise InputError(f'Invalid order field "{found[2]}"')
    return cast(Field, found[2]), cast(Direction, found[1])


def after(query: Mapping[str, Any]) -> int | None:
    """The id of the last event that is known, from a query that nobody has checked: whatever `Number()` takes for a whole number,
    as upstream, where a stream after anything else stays silent for good. Raises InputError."""
    value = query.get("after")
    if value is None:
        return None
    while isinstance(value, list) and len(value) == 1:  # as JavaScript makes a text of it
        value = value[0]
    number = read_number(value) if isinstance(value, str) else math.nan
    if not (math.isinf(number) or number.is_integer()):
        raise InputError("request/query/after must be integer")
    return int(max(-LARGEST, min(LARGEST, number)))


def template_of(spec: msgspec.Raw) -> str | None:
    """The reference of the template that a TaskSpec was made from."""
    read = msgspec.json.decode(spec, type=_Spec)
    return None if read.info is None else read.info.entity_ref
