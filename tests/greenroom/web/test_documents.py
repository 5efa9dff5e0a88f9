"""What clients and people are told to exist is there."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get

from greenroom.web import Routes, json_response, load_document
from greenroom.web.mounting import mount_all, told_document


@get("/entities/by-uid/{uid:str}", operation_id="GetEntityByUid")
async def by_uid(request: Request[Any, Any, Any]) -> Response[bytes]:
    return json_response({})


async def test_an_operation_that_nobody_serves_is_not_told_of() -> None:
    told = told_document("catalog", [Routes("catalog", [by_uid], document=load_document("catalog"))])
    assert told is not None
    assert {path: list(item) for path, item in told["paths"].items()} == {"/entities/by-uid/{uid}": ["get"]}


async def test_the_reviewed_document_is_not_changed_by_what_is_served() -> None:
    before = len(load_document("catalog")["paths"])
    mount_all([Routes("catalog", [by_uid], document=load_document("catalog"))], None)
    assert len(load_document("catalog")["paths"]) == before
