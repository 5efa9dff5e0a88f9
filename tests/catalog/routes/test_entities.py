from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from tests.catalog.query.seeding import emitted_by, entity, many, serve
from tests.catalog.routes.conftest import Surface, error_of
from tests.support.asgi import Client

JSON = "application/json; charset=utf-8"


@pytest.fixture
async def served(surface: Surface) -> dict[str, int]:
    return await serve(
        surface.database,
        [
            entity("Beta", spec={"type": "service"}, labels={"example.com/x": "Y"}),
            entity("alpha", spec={"type": "service", "big": 1}),
            entity("api", kind="API"),
        ],
    )


async def test_an_entity_is_served_byte_for_byte_and_without_an_etag(surface: Surface, served: dict[str, int]) -> None:
    await surface.database.execute(
        "update final_entities set final_entity = $1 where entity_ref = 'component:default/beta'", b'{"big":1e+21}'
    )
    response = await surface.http.get("/entities/by-name/COMPONENT/Default/Beta")
    assert (response.raw, response.headers["content-type"]) == (b'{"big":1e+21}', JSON)
    assert "etag" not in response.headers


async def test_an_unknown_entity_is_told_in_the_words_of_the_url(surface: Surface, served: dict[str, int]) -> None:
    message = "No entity named 'Nope' found, with kind 'API' in namespace 'a/b'"
    assert error_of(await surface.http.get("/entities/by-name/API/a%2Fb/Nope")) == (404, "NotFoundError", message)
    assert error_of(await surface.http.get("/entities/by-uid/zzz")) == (404, "NotFoundError", "No entity with uid zzz")
    message = "No such entity component:default/nope"
    response = await surface.http.get("/entities/by-name/Component/default/Nope/ancestry")
    assert error_of(response) == (404, "NotFoundError", message)


async def test_ancestry_names_the_parents_of_each_entity(surface: Surface, served: dict[str, int]) -> None:
    await emitted_by(surface.database, served["api:default/api"], served["component:default/beta"])
    body = (await surface.http.get("/entities/by-name/component/default/beta/ancestry")).json
    assert body["rootEntityRef"] == "component:default/beta"
    assert [(item["entity"]["kind"], item["parentEntityRefs"]) for item in body["items"]] == [
        ("Component", ["api:default/api"]),
        ("API", []),
    ]


async def test_refs_are_filtered_and_cut_down(surface: Surface, served: dict[str, int]) -> None:
    body: dict[str, Any] = {
        "entityRefs": ["api:default/api", "component:default/beta", "x"],
        "fields": ["metadata.name"],
    }
    response = await surface.http.post("/entities/by-refs?filter=kind=api", body)
    assert response.json == {"items": [{"metadata": {"name": "api"}}, None, None]}
    assert "etag" in response.headers
    body = {"entityRefs": ["api:default/api"], "query": {"kind": "component"}}
    response = await surface.http.post("/entities/by-refs?filter=kind=api", body)
    assert response.json == {"items": [None]}
    assert "etag" not in response.headers


async def test_the_whole_catalog_is_a_stream_and_an_empty_one_an_array(surface: Surface) -> None:
    response = await surface.http.get("/entities")
    assert (response.raw, "etag" in response.headers) == (b"[]", True)
    await serve(surface.database, [entity(f"e{number}") for number in range(1203)])
    response = await surface.http.get("/entities")
    assert [one["metadata"]["name"] for one in response.json] == [f"e{number}" for number in range(1203)]
    assert (response.headers["content-type"], "etag" in response.headers) == (JSON, False)
    response = await surface.http.get("/entities?fields=kind&order=desc:metadata.name")
    assert response.json == [{"kind": "Component"}] * 1203


async def test_readers_who_do_not_read_keep_no_connection_from_others(surface: Surface) -> None:
    """More of them than the pool has connections, each in the midst of the whole catalog."""
    await serve(surface.database, many(120))
    pool, go_on, begun = 5, asyncio.Event(), asyncio.Semaphore(0)

    async def reluctant(scope: Any, receive: Any, send: Any) -> None:
        async def held(message: Any) -> None:
            if message["type"] == "http.response.body":
                begun.release()
                await go_on.wait()
            await send(message)

        await surface.http.app(scope, receive, held)

    slow = Client(reluctant, surface.http.token, base=surface.http.base)
    readers = [asyncio.create_task(slow.get("/entities")) for _ in range(2 * pool)]
    async with asyncio.timeout(60):
        for _ in readers:
            await begun.acquire()
        name = json.loads(await surface.database.fetchval("select final_entity from final_entities limit 1"))
        kind, title = name["kind"], name["metadata"]["name"]
        assert (await surface.http.get(f"/entities/by-name/{kind}/default/{title}")).status == 200
        go_on.set()
        assert [len((await reader).json) for reader in readers] == [120] * len(readers)


async def test_a_page_of_any_length_is_sent_as_it_is_read(surface: Surface) -> None:
    await serve(surface.database, [entity(f"e{number:04}") for number in range(1203)])
    names = [f"e{number:04}" for number in range(1203)]
    response = await surface.http.get("/entities?limit=10000000")
    assert [one["metadata"]["name"] for one in response.json] == names
    assert not {"etag", "content-length", "link"} & set(response.headers)
    response = await surface.http.get("/entities?limit=1202")
    assert len(response.json) == 1202
    assert "after=" in response.headers["link"]
    response = await surface.http.get("/entities/by-query?limit=10000000&orderField=metadata.name,desc")
    body = response.json
    assert list(body) == ["items", "totalItems", "pageInfo"]
    assert [one["metadata"]["name"] for one in body["items"]] == names[::-1]
    assert (body["totalItems"], body["pageInfo"]) == (1203, {})
    assert not {"etag", "content-length"} & set(response.headers)
    response = await surface.http.post("/entities/by-query", {"limit": 1000, "fields": ["kind"]})
    assert (response.json["items"], "etag" in response.headers) == ([{"kind": "Component"}] * 1000, True)
    assert list(response.json["pageInfo"]) == ["nextCursor"]
    response = await surface.http.get("/entities/by-query?limit=1000&filter=metadata.name=e0007")
    assert ([one["metadata"]["name"] for one in response.json["items"]], "content-length" in response.headers) == (
        ["e0007"],
        True,
    )


async def test_pages_of_the_plain_list_link_to_the_next_one(surface: Surface, served: dict[str, int]) -> None:
    response = await surface.http.get("/entities?fields=a~b*c%20d,metadata.name&limit=1&offset=1")
    link = "</entities?fields=a%7Eb*c+d%2Cmetadata.name&limit=1&after=eyJsaW1pdCI6MSwib2Zmc2V0IjoyfQ%3D%3D>"
    assert response.headers["link"] == f'{link}; rel="next"'
    assert response.json == [{"metadata": {"name": "alpha"}}]
    following = await surface.http.get(response.headers["link"].partition(">")[0].removeprefix("<"))
    assert [one["metadata"]["name"] for one in following.json] == ["Beta"]
    assert "link" not in following.headers


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("/entities?limit=0", "Invalid limit, must be greater than zero"),
        ("/entities?after=zzz", "Malformed after cursor, could not be parsed"),
        ("/entities?after=bnVsbA==", "Malformed after cursor, could not be parsed"),
        ("/entities?after=eyJsaW1pdCI6LTN9", "Malformed after cursor, limit was not an number"),
        ("/entities?order=x", 'Invalid order parameter "x", expected "<asc or desc>:<field name>"'),
        ("/entities?fields=a[0]", 'Invalid field "a[0]", array type fields are not supported'),
        ("/entities?x=1", "Unknown query parameter 'x'"),
        ("/entities/by-query?orderField=a,b", "Invalid order field order, must be asc or desc"),
        ("/entities/by-query?limit=-1", "request/query/limit must be >= 0"),
        ("/entity-facets", "request/query must have required property 'facet'"),
    ],
)
async def test_wrong_parameters_are_refused_with_upstreams_sentences(surface: Surface, url: str, message: str) -> None:
    response = await surface.http.get(url)
    assert error_of(response) == (400, "InputError", message)
    assert response.json["request"] == {"method": "GET", "url": url}


@pytest.mark.parametrize(
    ("url", "body", "message"),
    [
        ("/entities/by-query", {"cursor": ""}, "Cursor cannot be empty"),
        ("/entities/by-query", {"query": {"$foo": 1}}, 'Invalid query: Validation error: Invalid at "$foo"'),
        ("/entities/by-query", {"limit": -1}, "Invalid limit, must be a whole number that is not negative"),
        ("/entities/by-query", {"limit": 1.5}, "Invalid limit, must be a whole number that is not negative"),
        ("/entity-facets", {"facets": [""]}, "Missing or empty facets parameter"),
        ("/entities/by-refs", {"entityRefs": [1]}, "request/body/entityRefs/0 must be string"),
    ],
)
async def test_wrong_bodies_are_refused_with_upstreams_sentences(
    surface: Surface, url: str, body: Any, message: str
) -> None:
    assert error_of(await surface.http.post(url, body)) == (400, "InputError", message)


async def test_a_malformed_batch_hints_at_the_content_type(surface: Surface) -> None:
    response = await surface.http.post("/entities/by-refs", {"entityRefs": [], "query": {"$foo": 1}})
    hint = "did you remember to specify an application/json content type?"
    message = f'Malformed request body ({hint}), Validation error: Invalid at "query.$foo"'
    assert error_of(response) == (400, "InputError", message)


async def test_a_query_can_be_walked_by_get_and_by_post(surface: Surface, served: dict[str, int]) -> None:
    first = (await surface.http.get("/entities/by-query?filter=kind=component&orderField=metadata.name&limit=1")).json
    assert (len(first["items"]), first["totalItems"], list(first["pageInfo"])) == (1, 2, ["nextCursor"])
    cursor = first["pageInfo"]["nextCursor"]
    by_get = (await surface.http.get(f"/entities/by-query?cursor={quote(cursor)}&limit=1")).json
    response = await surface.http.post("/entities/by-query", {"cursor": cursor, "limit": 1})
    assert response.json == by_get
    assert [one["metadata"]["name"] for one in by_get["items"]] == ["Beta"]
    assert list(by_get["pageInfo"]) == ["prevCursor"]
    assert "etag" not in response.headers


async def test_a_total_that_nobody_wants_is_not_counted(surface: Surface, served: dict[str, int]) -> None:
    body = (await surface.http.get("/entities/by-query?totalItems=exclude&limit=1&fields=kind")).json
    assert (body["items"], body["totalItems"]) == ([{"kind": "Component"}], 0)
    assert "nextCursor" in body["pageInfo"]


async def test_facets_are_keyed_as_they_were_asked_for(surface: Surface, served: dict[str, int]) -> None:
    expected = {"facets": {"KIND": [{"value": "API", "count": 1}, {"value": "Component", "count": 2}]}}
    assert (await surface.http.get("/entity-facets?facet=KIND")).json == expected
    body = {"facets": ["KIND"], "query": {"kind": "api"}}
    assert (await surface.http.post("/entity-facets", body)).json == {
        "facets": {"KIND": [{"value": "API", "count": 1}]}
    }


async def test_who_may_not_read_sees_an_empty_catalog(surface: Surface, served: dict[str, int]) -> None:
    surface.policy.denied = {"catalog.entity.read"}
    http = surface.http
    assert (await http.get("/entities")).raw == b"[]"
    limited = await http.get("/entities?limit=1")
    assert (limited.raw, "link" in limited.headers) == (b"[]", False)
    assert (await http.get("/entities?after=nonsense")).raw == b"[]"
    assert (await http.get("/entities/by-query")).json == {"items": [], "totalItems": 0, "pageInfo": {}}
    assert (await http.get("/entity-facets?facet=kind&facet=x")).json == {"facets": {"kind": [], "x": []}}
    assert (await http.post("/entities/by-refs", {"entityRefs": ["api:default/api"]})).json == {"items": [None]}
    assert (await http.get("/entities/by-name/api/default/api")).status == 404
    uid = await surface.database.fetchval("select entity_id::text from refresh_state limit 1")
    assert (await http.get(f"/entities/by-uid/{uid}")).status == 404
    assert error_of(await http.get("/entities/by-name/api/default/api/ancestry")) == (403, "NotAllowedError", "")


async def test_a_refresh_is_asked_for_by_the_lower_case_ref(surface: Surface) -> None:
    surface.below.known = {"component:default/beta"}
    response = await surface.http.post("/refresh", {"entityRef": "Component:default/Beta"})
    assert (response.status, response.raw) == (200, b"")
    assert surface.policy.asked == [("catalog.entity.refresh", "Component:default/Beta")]
    response = await surface.http.post("/refresh", {"entityRef": "X"})
    assert error_of(response) == (404, "NotFoundError", "Entity x not found")
    response = await surface.http.post("/refresh", {"entityRef": "x", "authorizationToken": "zzz"})
    assert error_of(response) == (401, "AuthenticationError", "Illegal token")
    surface.policy.denied = {"catalog.entity.refresh"}
    assert error_of(await surface.http.post("/refresh", {"entityRef": "X"})) == (403, "NotAllowedError", "")


async def test_deleting_what_is_not_there_is_noerror_of(surface: Surface) -> None:
    uid = "00000000-0000-4000-8000-00000000000A"
    assert (await surface.http.request("DELETE", f"/entities/by-uid/{uid}")).status == 204
    assert (await surface.http.request("DELETE", "/entities/by-uid/xyz")).status == 204
    assert [str(one) for one in surface.below.deleted] == [uid.lower()]
    surface.policy.denied = {"catalog.entity.delete"}
    assert error_of(await surface.http.request("DELETE", "/entities/by-uid/xyz")) == (403, "NotAllowedError", "")


async def test_entities_that_never_worked_out_are_shown_to_the_operator(
    surface: Surface, served: dict[str, int]
) -> None:
    await surface.database.execute(
        "insert into refresh_state (entity_ref, unprocessed_entity, unprocessed_hash, errors) values ($1, $2, $3, $4)",
        "component:default/broken",
        msgspec.json.encode(entity("broken", spec={"owner": "me"})),
        b"\x01",
        b'[{"name":"InputError","message":"no"}]',
    )
    body = (await surface.http.get("/entities/unprocessed/pending")).json
    assert [row["unprocessed_entity"]["metadata"]["name"] for row in body["entities"]] == ["broken"]
    assert body["entities"][0]["errors"] == [{"name": "InputError", "message": "no"}]
    assert len((await surface.http.get("/entities/unprocessed/pending?owner=me")).json["entities"]) == 1
    assert (await surface.http.get("/entities/unprocessed/pending?owner=you")).json["entities"] == []
    assert (await surface.http.get("/entities/unprocessed/failed")).json == {"type": "failed", "entities": []}
    surface.policy.denied = {"catalog.entities.unprocessed.read"}
    response = await surface.http.get("/entities/unprocessed/failed")
    assert error_of(response) == (403, "NotAllowedError", "Unauthorized")


async def test_permissions_and_rules_are_listed(surface: Surface) -> None:
    body = (await surface.http.get("/.well-known/backstage/permissions/metadata")).json
    assert len(body["permissions"]) == 13
    assert json.dumps(body["permissions"][2]) == (
        '{"type": "resource", "name": "catalog.entity.read", "attributes": {"action": "read"}, '
        '"resourceType": "catalog-entity"}'
    )
    assert [rule["name"] for rule in body["rules"]][-1] == "IS_ENTITY_OWNER"
    assert list(body["rules"][0]["paramsSchema"]) == [
        "type",
        "properties",
        "required",
        "additionalProperties",
        "$schema",
    ]


@pytest.mark.parametrize("patience", [0.3])
@pytest.mark.parametrize(
    "path",
    [
        "/entities/by-query?filter=kind=component&limit=2",
        "/entities?filter=kind=component",
        "/entities?limit=2",
        "/entities/by-name/component/default/beta",
        "/entities/by-name/component/default/beta/ancestry",
        "/entity-facets?facet=spec.type",
    ],
)
async def test_what_the_database_does_not_answer_in_time_is_told_as_unavailable(
    surface: Surface, served: dict[str, int], path: str, patience: float
) -> None:
    async with surface.database.transaction() as connection:
        await connection.execute("lock table search, final_entities in access exclusive mode")
        reply = await surface.http.get(path)
        message = f"The database took longer than {patience} s to answer"
        assert error_of(reply) == (503, "ServiceUnavailableError", message)
        waiting = (
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        )
        assert await connection.fetchval(waiting) == 0
    assert (await surface.http.get(path)).status == 200
