"""What is large, or winds in itself, is examined aside: others are answered meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.scaffolder.routes.conftest import TEMPLATE, Surface, a_task

NUMBERS = {"type": "array", "items": {"type": "number"}}
MANY = {"a": ["x"] * 20_000}
KNOT: Any = {"allOf": [{"$ref": "#/definitions/d15"}], "definitions": {"d0": {"type": "object"}}}
"""A few hundred bytes that are gone through 2^15 times."""
KNOT["definitions"] |= {f"d{n + 1}": {"allOf": [{"$ref": f"#/definitions/d{n}"}] * 2} for n in range(15)}


def template(**spec: Any) -> Any:
    return {**TEMPLATE, "spec": {"type": "x", "steps": [], **spec}}


SHORT = {"type": "object", "additionalProperties": {"maxLength": 0}}
WIDE = template(parameters={"properties": {"a": NUMBERS}}, secrets={"schema": SHORT})
STEPS = template(steps=[{"action": "debug:log", "greenroom": {"timeout": "5m"}}] * 15_000)
TRIED: Any = {"values": {}, "secrets": {}, "directoryContents": []}


@pytest.mark.parametrize(
    ("path", "wish", "status"),
    [
        ("/v2/tasks", {"templateRef": "template:default/wide", "values": MANY}, 400),
        ("/v2/dry-run", {**TRIED, "template": WIDE, "values": MANY}, 400),
        ("/v2/dry-run", {**TRIED, "template": STEPS}, 200),
        ("/v2/dry-run", {**TRIED, "template": template(), "secrets": {f"k{n}": "" for n in range(25_000)}}, 200),
        ("/v2/dry-run", {**TRIED, "template": template(), "directoryContents": [{"path": "a", "base64Content": ""}] * 15_000}, 200),
        ("/v2/tasks/1/retry", {"secrets": {f"k{n}": "x" for n in range(15_000)}}, 400),
        ("/v2/tasks", {"templateRef": "template:default/knot", "values": {"a": "b"}}, 201),
    ],
    ids=["create", "dry-run", "steps", "secrets", "files", "retry", "a small form that winds"],
)  # fmt: skip
async def test_others_are_answered_while_a_wish_is_gone_through(
    surface: Surface, path: str, wish: Any, status: int
) -> None:
    surface.catalog.entities["template:default/wide"] = WIDE
    surface.catalog.entities["template:default/knot"] = template(parameters=KNOT)
    surface.tasks.known["1"] = a_task("1", {"templateInfo": {"entityRef": "template:default/wide"}})
    wished = asyncio.create_task(surface.http.post(path, wish))
    answered = 0
    while not wished.done():
        assert (await surface.http.get("/v2/actions")).status == 200
        answered += 1
        await asyncio.sleep(0)  # the client and the surface are one process, and may do without the loop
    assert (await wished).status == status
    assert answered > 5
