"""What is remembered of pages shows in nothing but the time they take."""

from __future__ import annotations

import pytest

from greenroom.db import Database
from tests.catalog.query.seeding import change, entity, serve
from tests.catalog.routes.conftest import Surface
from tests.support.asgi import Reply

URL = "/entities/by-query?limit=2&orderField=metadata.name"
TIMES = 3
"""The first is read, the second read and kept, the third remembered."""


@pytest.fixture
async def served(surface: Surface) -> dict[str, int]:
    return await serve(surface.database, [entity(name) for name in ("a", "+AGE-", "c")])


def _all_of(reply: Reply) -> tuple[object, ...]:
    return reply.status, sorted(pair for pair in reply.pairs if pair[0] != "x-request-id"), reply.raw


@pytest.mark.parametrize("more", ["", "&fields=metadata.name", "&totalItems=exclude", "&offset=1", "&filter=kind=api"])
async def test_a_page_is_the_same_each_time_and_another_after_a_change(
    surface: Surface, served: dict[str, int], more: str
) -> None:
    first = await surface.http.get(URL + more)
    for _ in range(TIMES):
        assert _all_of(await surface.http.get(URL + more)) == _all_of(first)
    await serve(surface.database, [entity("0"), entity("0", "API")])
    after = await surface.http.get(URL + more)
    assert after.raw != first.raw
    assert _all_of(await surface.http.get(f"{URL}{more}&")) == _all_of(after)


async def test_a_page_that_is_asked_for_again_is_not_read(
    surface: Surface, served: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    fetch = Database.fetch

    async def noting(database: Database, query: str, *arguments: object) -> object:
        asked.append(query)
        return await fetch(database, query, *arguments)

    monkeypatch.setattr(Database, "fetch", noting)
    for _ in range(TIMES):
        asked.clear()
        await surface.http.get(URL)
    assert len(asked) == 1
    assert "final_entities" not in asked[0]


async def test_who_has_the_page_is_told_so_until_it_changes(surface: Surface, served: dict[str, int]) -> None:
    url = f"{URL}&fields=metadata.name,metadata.title"
    replies = [await surface.http.get(url) for _ in range(TIMES)]
    etag = replies[-1].headers["etag"]
    assert (await surface.http.get(url, if_none_match=etag)).status == 304
    await change(surface.database, served["component:default/a"], entity("a", title="A"))
    assert (await surface.http.get(url, if_none_match=etag)).status == 200


async def test_a_body_in_another_charset_is_another_question(surface: Surface, served: dict[str, int]) -> None:
    body = b'{"query": {"metadata.name": "+AGE-"}}'
    for _ in range(TIMES):
        for charset, name in (("utf-8", "+AGE-"), ("utf-7", "a")):
            reply = await surface.http.post(
                "/entities/by-query", body, **{"content-type": f"application/json; charset={charset}"}
            )
            assert [one["metadata"]["name"] for one in reply.json["items"]] == [name]


async def test_what_is_forgiven_to_head_is_not_forgiven_to_get(surface: Surface, served: dict[str, int]) -> None:
    for _ in range(TIMES):
        assert (await surface.http.request("HEAD", f"{URL}&unknown=1")).status == 200
    assert (await surface.http.get(f"{URL}&unknown=1")).status == 400


async def test_who_may_not_read_is_not_shown_what_is_remembered(surface: Surface, served: dict[str, int]) -> None:
    for _ in range(TIMES):
        assert (await surface.http.get(URL)).json["totalItems"] == 3
    surface.policy.denied = {"catalog.entity.read"}
    assert (await surface.http.get(URL)).json == {"items": [], "totalItems": 0, "pageInfo": {}}
