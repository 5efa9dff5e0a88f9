"""Whatever text a request carries, and wherever: the answer is not a 500, and an error is told in the envelope."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from urllib.parse import quote

import pytest

from greenroom.app import running
from greenroom.db import open_pool
from greenroom.loops import Role
from greenroom.settings import load
from tests.catalog.query.seeding import entity, serve
from tests.support.asgi import TOKEN, Client, Reply
from tests.support.postgres import TestServer

TEXTS = {
    "nothing": "",
    "a NUL": "a\0b",
    "a high surrogate": "a\ud800",
    "a low surrogate": "\udfffb",
    "surrogates the wrong way round": "\udc00\ud800",
    "a pair": "\ud83d\ude00",
    "far more than anybody needs": "x" * 99_000,
    "more than an index holds": "".join(sha256(bytes([n])).hexdigest() for n in range(100)),
    "SQL": "'; drop table search; --",
    "an argument": "$1",
    "quotes and escapes": "\\\"'`\\u0000",
    "line ends": "a\r\nSet-Cookie: x=y\u2028",
    "wildcards": "%_*",
    "JavaScript": "__proto__",
    "a path": "../../etc/passwd",
    "format": "{0} %s ${x} {kind}",
    "separators": ",=&;?#[]",
    "dots": "....",
    "many parts": "a=1," * 9_000,
    "a number": "-9" * 200,
    "not a number": "NaN",
    "capital sharp s and dotless i": "ẞİıΣ",
}

JSON_TEXTS = {
    **{f"the text of {name}": json.dumps(text) for name, text in TEXTS.items()},
    "a huge whole number": "1" + "0" * 400,
    "more whole numbers than Python reads": "9" * 5000,
    "a huge number": "1e400",
    "a negative one": "-1",
    "a fraction": "1.5",
    "more than a bigint": "9223372036854775808",
    "NaN": "NaN",
    "null": "null",
    "true": "true",
    "an empty list": "[]",
    "an empty object": "{}",
    "a list of lists": '[["a", null], {"b": 1}]',
    "depth": "[" * 5000 + "]" * 5000,
    "depth of objects": '{"a":' * 5000 + "1" + "}" * 5000,
    "keys": json.dumps({text: text for text in TEXTS.values() if len(text) < 1000}),
    "a predicate with a key of every kind": json.dumps({text: "x" for text in TEXTS.values() if len(text) < 1000}),
}

ADDRESSES = [
    "/entities?{}",
    "/entities?{}=1",
    "/entities?filter={}",
    "/entities?filter=kind={}",
    "/entities?filter={}=x",
    "/entities?fields={}",
    "/entities?fields=metadata.{}.x",
    "/entities?limit={}",
    "/entities?offset={}",
    "/entities?after={}",
    "/entities?order={}",
    "/entities?order=asc:{}",
    "/entities?order=desc:{}&limit=2",
    "/entities?limit=1&fields={}",
    "/entities/by-uid/{}",
    "/entities/by-name/{}/default/x",
    "/entities/by-name/component/{}/x",
    "/entities/by-name/component/default/{}",
    "/entities/by-name/component/default/{}/ancestry",
    "/entities/by-query?cursor={}",
    "/entities/by-query?filter={}",
    "/entities/by-query?filter=metadata.annotations.{}=y",
    "/entities/by-query?limit={}",
    "/entities/by-query?offset={}",
    "/entities/by-query?orderField={}",
    "/entities/by-query?orderField={},desc&limit=1",
    "/entities/by-query?fullTextFilterTerm={}",
    "/entities/by-query?fullTextFilterTerm=x&fullTextFilterFields={}",
    "/entities/by-query?totalItems={}",
    "/entities/by-query?fields={}",
    "/entity-facets?facet={}",
    "/entity-facets?facet=kind&filter={}",
    "/entities/unprocessed/pending?owner={}",
    "/entities/unprocessed/delete/{}",
    "/locations/{}",
    "/locations/by-entity/{}/x/y",
    "/{}",
]

POSTS: dict[str, tuple[str, str]] = {
    "a refresh": ("/refresh", '{{"entityRef": {}}}'),
    "a refresh with a token": ("/refresh", '{{"entityRef": "a:b/c", "authorizationToken": {}}}'),
    "a member nobody knows": ("/refresh", '{{"entityRef": "a:b/c", "x": {}}}'),
    "refs": ("/entities/by-refs", '{{"entityRefs": [{}]}}'),
    "fields of refs": ("/entities/by-refs", '{{"entityRefs": ["component:default/one"], "fields": [{}]}}'),
    "a predicate on refs": ("/entities/by-refs", '{{"entityRefs": ["component:default/one"], "query": {}}}'),
    "a cursor": ("/entities/by-query", '{{"cursor": {}}}'),
    "a limit": ("/entities/by-query", '{{"limit": {}}}'),
    "an offset": ("/entities/by-query", '{{"offset": {}}}'),
    "an order": ("/entities/by-query", '{{"orderBy": [{{"field": {}, "order": "asc"}}]}}'),
    "a direction": ("/entities/by-query", '{{"orderBy": [{{"field": "kind", "order": {}}}]}}'),
    "a term": ("/entities/by-query", '{{"fullTextFilter": {{"term": {}}}}}'),
    "fields of a term": ("/entities/by-query", '{{"fullTextFilter": {{"term": "x", "fields": [{}]}}}}'),
    "fields": ("/entities/by-query", '{{"fields": [{}]}}'),
    "totals": ("/entities/by-query", '{{"totalItems": {}}}'),
    "a predicate": ("/entities/by-query", '{{"query": {}}}'),
    "a value": ("/entities/by-query", '{{"query": {{"kind": {}}}}}'),
    "another value": ("/entities/by-query", '{{"query": {{"metadata.labels.x": {}}}}}'),
    "values": ("/entities/by-query", '{{"query": {{"spec.type": {{"$in": [{}]}}}}}}'),
    "a prefix": ("/entities/by-query", '{{"query": {{"metadata.title": {{"$hasPrefix": {}}}}}}}'),
    "an existence": ("/entities/by-query", '{{"query": {{"metadata.title": {{"$exists": {}}}}}}}'),
    "a content": ("/entities/by-query", '{{"query": {{"metadata.tags": {{"$contains": {}}}}}}}'),
    "a relation": ("/entities/by-query", '{{"query": {{"relations": {{"$contains": {{"type": {}}}}}}}}}'),
    "a target": (
        "/entities/by-query",
        '{{"query": {{"relations": {{"$contains": {{"type": "ownedBy", "targetRef": {}}}}}}}}}',
    ),
    "parts": ("/entities/by-query", '{{"query": {{"$all": [{}]}}}}'),
    "alternatives": ("/entities/by-query", '{{"query": {{"$any": {}}}}}'),
    "a negation": ("/entities/by-query", '{{"query": {{"$not": {}}}}}'),
    "a facet": ("/entity-facets", '{{"facets": [{}]}}'),
    "facets": ("/entity-facets", '{{"facets": {}}}'),
    "a predicate on facets": ("/entity-facets", '{{"facets": ["kind"], "query": {}}}'),
    "the type of a location": ("/locations", '{{"type": {}, "target": "https://git.test/a"}}'),
    "the target of a location": ("/locations", '{{"type": "url", "target": {}}}'),
    "the presence of a location": ("/locations", '{{"type": "url", "target": "x", "presence": {}}}'),
    "a stranger in a location": ("/locations", '{{"type": "url", "target": "x", "x": {}}}'),
    "a location to try out": ("/locations?dryRun=true", '{{"type": "url", "target": {}}}'),
    "a limit of locations": ("/locations/by-query", '{{"limit": {}}}'),
    "a cursor of locations": ("/locations/by-query", '{{"cursor": {}}}'),
    "a predicate on locations": ("/locations/by-query", '{{"query": {}}}'),
    "a field of locations": ("/locations/by-query", '{{"query": {{"target": {}}}}}'),
    "ids of locations": ("/locations/by-query", '{{"query": {{"id": {{"$in": [{}]}}}}}}'),
    "a prefix of locations": ("/locations/by-query", '{{"query": {{"entityRef": {{"$hasPrefix": {}}}}}}}'),
    "a repository": ("/analyze-location", '{{"location": {{"type": "url", "target": {}}}}}'),
    "the name of a file": (
        "/analyze-location",
        '{{"location": {{"type": "url", "target": "https://git.test/o/r"}}, "catalogFilename": {}}}',
    ),
    "an entity": ("/validate-entity", '{{"location": "url:https://git.test/a", "entity": {}}}'),
    "a place of an entity": (
        "/validate-entity",
        '{{"entity": {{"apiVersion": "a/b1", "kind": "K", "metadata": {{"name": "a"}}}}, "location": {}}}',
    ),
    "a name": (
        "/validate-entity",
        '{{"location": "url:https://git.test/a", "entity": {{"apiVersion": "a/b1", "kind": "K", "metadata": {{"name": {}}}}}}}',
    ),
    "a title": (
        "/validate-entity",
        '{{"location": "url:https://git.test/a", "entity": {{"apiVersion": "a/b1", "kind": "K", "metadata": '
        '{{"name": "a", "annotations": {}, "title": {}}}}}}}'.replace("{}", "{0}"),
    ),
    "a whole body": ("/entities/by-query", "{}"),
}


@pytest.fixture(scope="module")
async def client(postgres_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """All of Greenroom but its loops, with a few entities in its catalog."""
    config = {
        "backend": {"auth": {"externalAccess": [{"type": "static", "options": {"token": TOKEN, "subject": "tests"}}]}}
    }
    environ = {"GREENROOM_DATA": str(tmp_path_factory.mktemp("data"))}
    roles: tuple[Role, ...] = ("api",)
    async with contextlib.AsyncExitStack() as stack:
        name = await stack.enter_async_context(postgres_server.empty())
        database = await stack.enter_async_context(open_pool(postgres_server.to(name), size=5))
        house = await stack.enter_async_context(
            running(load([], environ, config), environ, database=database, roles=roles)
        )
        await serve(database, [entity("one", tags=["a"], title="One"), entity("two", spec={"list": [1, "x", None]})])
        yield Client(house.asgi)


def _problem(reply: Reply) -> str | None:
    """What is wrong with an answer, None if nothing is."""
    if reply.status >= 500:
        return f"{reply.status} {reply.text[:200]}"
    if reply.status < 400 or not reply.body:
        return None
    envelope = reply.json
    if list(envelope) == ["errors"]:
        return None  # of an entity that is not sound
    sound = envelope["response"] == {"statusCode": reply.status} and envelope["error"]["name"]
    return None if sound else f"no envelope: {reply.text[:200]}"


def _escaped(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("template", ADDRESSES)
async def test_no_address_is_an_accident(client: Client, method: str, template: str) -> None:
    found = {}
    for name, text in TEXTS.items():
        for form in (_escaped(text), quote(text.encode("utf-8", "replace"), safe=",=[]&;")):
            reply = await client.request(method, f"/api/catalog{template.format(form)}")
            if problem := _problem(reply):
                found[name] = problem
    assert found == {}


@pytest.mark.parametrize("operation", POSTS)
async def test_no_body_is_an_accident(client: Client, operation: str) -> None:
    target, template = POSTS[operation]
    found = {}
    for name, value in JSON_TEXTS.items():
        reply = await client.post(f"/api/catalog{target}", template.format(value).encode())
        if problem := _problem(reply):
            found[name] = problem
    assert found == {}


async def test_what_cannot_be_quoted_is_replaced_whatever_the_charset(client: Client) -> None:
    text, shown = r'"a\ud800 \ud83d\ude00"', "a\ufffd \U0001f600"
    for charset, encoding in (("utf-8", "utf-8"), ("utf-16", "utf-16-le")):
        content_type = f"application/json; charset={charset}"
        refresh = f'{{"entityRef": {text}}}'.encode(encoding)
        reply = await client.post("/api/catalog/refresh", refresh, content_type=content_type)
        assert (reply.status, reply.error["message"]) == (404, f"Entity {shown} not found")
        facets = f'{{"facets": [{text}]}}'.encode(encoding)
        reply = await client.post("/api/catalog/entity-facets", facets, content_type=content_type)
        assert reply.json == {"facets": {shown: []}}


WHOLE = {
    "orderFields": "[]",
    "isPrevious": "false",
    "orderFieldValues": '["1"]',
    "totalItems": "3",
    "firstSortFieldValues": '["1"]',
    "query": '{"kind": "component"}',
    "fullTextFilter": '{"term": "x", "fields": ["kind"]}',
    "filter": '{"key": "kind", "values": ["component"]}',
}


def _coded(content: str) -> str:
    return base64.b64encode(content.encode()).decode()


@pytest.mark.parametrize("member", WHOLE)
async def test_no_cursor_made_by_hand_is_an_accident(client: Client, member: str) -> None:
    found = {}
    forms: dict[str, Callable[[str], str]] = {
        "": str,
        "in a list": "[{}]".format,
        "as an order": '[{{"field": {}, "order": "asc"}}]'.format,
        "behind a value": '["x", {}]'.format,
        "before an id": '[{}, "1"]'.format,
        "as a term": '{{"term": {}}}'.format,
        "as a key": '{{"key": {}}}'.format,
        "negated": '{{"not": {}}}'.format,
    }
    for name, value in JSON_TEXTS.items():
        for how, form in forms.items():
            for orders in ("[]", '[{"field": "metadata.name", "order": "desc"}]'):
                held = {**WHOLE, "orderFields": orders, member: form(value)}
                cursor = _coded("{" + ",".join(f'"{key}":{inner}' for key, inner in held.items()) + "}")
                replies = [
                    await client.get(f"/api/catalog/entities/by-query?limit=1&cursor={_escaped(cursor)}"),
                    await client.post("/api/catalog/entities/by-query", {"cursor": cursor, "limit": 1}),
                ]
                problems = [problem for reply in replies if (problem := _problem(reply))]
                if problems:
                    found[f"{name} {how}"] = problems[0]
    assert found == {}


async def test_no_after_made_by_hand_is_an_accident(client: Client) -> None:
    found = {}
    for name, value in JSON_TEXTS.items():
        for content in (value, f'{{"limit": {value}}}', f'{{"offset": {value}}}', f'{{"limit": 1, "offset": {value}}}'):
            reply = await client.get(f"/api/catalog/entities?after={_escaped(_coded(content))}")
            if problem := _problem(reply):
                found[f"{name}: {content[:20]}"] = problem
    assert found == {}
