"""Filters and globals of plugins -> what `GET /v2/templating-extensions` tells of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from greenroom.plugin import Example, TemplateFilter, TemplateGlobal


def extensions(filters: Sequence[TemplateFilter], global_values: Sequence[TemplateGlobal]) -> dict[str, Any]:
    """`{"filters": {name: about}, "globals": {"functions": {name: about}, "values": {name: {"value", "description"?}}}}`"""
    functions = {one.name: _about(one) for one in global_values if callable(one.value)}
    values = {one.name: _value(one) for one in global_values if not callable(one.value)}
    return {
        "filters": {one.name: _about(one) for one in filters},
        "globals": {"functions": functions, "values": values},
    }


def _about(one: TemplateFilter | TemplateGlobal) -> dict[str, Any]:
    about: dict[str, Any] = {}
    if one.description:
        about["description"] = one.description
    if one.examples:
        about["examples"] = [_example(example) for example in one.examples]
    if one.schema:
        about["schema"] = one.schema
    return about


def _value(one: TemplateGlobal) -> dict[str, Any]:
    return {"value": one.value, **({"description": one.description} if one.description else {})}


def _example(example: Example) -> dict[str, str]:
    return {name: text for name, text in msgspec.structs.asdict(example).items() if text}
