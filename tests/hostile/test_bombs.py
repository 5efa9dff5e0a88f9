"""Files, bodies and lines made to blow up: aliases, depth, size, numbers, keys. Each is refused in words or served as it is."""

from __future__ import annotations

import gzip
import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from greenroom.plugin import Deferred
from greenroom.urls import Urls
from greenroom_catalog.storage.store import MIGRATIONS
from greenroom_plugins.ndjson.provider import NdjsonConfig, NdjsonProvider
from tests.hostile.conftest import World, refused
from tests.support.catalog import Catalog, component
from tests.support.postgres import MigratedDatabase
from tests.support.processes import run

DEEP = 100_000

HEAD = (
    "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: {}\n"
    "spec:\n  type: service\n  lifecycle: production\n  owner: team-a\n"
)


def _with(name: str, more: str) -> str:
    """A component with more in its `spec`."""
    return HEAD.format(name) + "".join(f"  {line}\n" for line in more.split("\n"))


def _alias_bomb() -> str:
    """Ten lines that stand for 9^10 texts."""
    letters = "abcdefghij"
    first = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]"
    rest = [f"{one}: &{one} [{', '.join([f'*{before}'] * 9)}]" for before, one in pairwise(letters)]
    return "\n".join([first, *rest])


REFUSED: dict[str, tuple[str, str]] = {
    "aliases that stand for billions": (_with("bomb", _alias_bomb()), "Excessive alias count"),
    "an alias within what it stands for": (_with("ring", "x: &x [*x]"), "circular"),
    "brackets in brackets": (_with("deep", f"x: {'[' * DEEP}{']' * DEEP}"), "call stack"),
    "brackets that never close": (_with("deep", f"x: {'[' * DEEP}"), "call stack"),
    "lists in lists": (_with("deep", "x:\n  " + "- " * DEEP + "1"), "call stack"),
    "objects in objects, in JSON": ('{"a":' * DEEP + "1" + "}" * DEEP, "call stack"),
    "keys in keys": ("? " * DEEP, "call stack"),
    "anchors upon anchors": ("&a " * DEEP, "at most one anchor"),
    "10 MB in doubt": (_with("doubt", "x: &a 1\ny: " + "a" * 10_000_000), "larger than 2000000 characters"),
    "one key 20,000 times": (_with("twice", "x:\n" + "\n".join(["  k: 1"] * 20_000)), "must be unique"),
    "a list for an entity": ("- " * 3 + "1", "Expected object at root"),
    "no end of a quote": (_with("quote", 'x: "' + "a" * 200_000), "YAMLParseError"),
    "a NUL for a name": (_with("x", "y: 1").replace("name: x", 'name: "a\\0b"'), "metadata.name"),
    "half a character for a name": (_with("x", "y: 1").replace("name: x", 'name: "a\\ud800"'), "metadata.name"),
    "a name of 64": (_with("n" * 64, "x: 1"), "metadata.name"),
    "more documents than are tried out": ("---\n".join(HEAD.format(f"n{n}") for n in range(5000)), "More than 1000"),
}

SERVED: dict[str, tuple[str, Any]] = {
    "10 MB of text": ("x: " + "a" * 10_000_000, "a" * 10_000_000),
    "a number beyond any": ("x: 1e400", None),
    "a number of 100,000 digits": ("x: " + "9" * 100_000, None),
    "a million hexadecimal digits": ("x: 0x" + "f" * 1_000_000, None),
    "2,000 numbers of 4,000 digits": ("x:\n" + "\n".join(["  - " + "9" * 4000] * 2000), [None] * 2000),
    "NUL and half a character": ('x: "a\\0\\ud800b"', "a\0\ufffdb"),
}


@pytest.mark.parametrize("bomb", REFUSED)
async def test_a_file_that_is_a_bomb_is_refused_in_words(world: World, bomb: str) -> None:
    content, words = REFUSED[bomb]
    url = world.host.write("bomb.yaml", content)
    async with world.answers_others():
        reply = await world.post("/locations?dryRun=true", {"type": "url", "target": url})
    assert words in refused(reply)


@pytest.mark.parametrize("bomb", ["aliases that stand for billions", "lists in lists", "10 MB in doubt"])
async def test_a_registered_bomb_says_so_on_its_location_and_costs_no_other(world: World, bomb: str) -> None:
    content, words = REFUSED[bomb]
    name = re.sub(r"\W", "-", bomb)
    url, sound = world.host.write(name, content), world.host.write(f"{name}-2", HEAD.format(f"beside-{name}"[:63]))
    async with world.answers_others():
        bad, good = await world.register(url), await world.register(sound)
        [message] = await world.processed(bad)
        await world.served(f"component:default/{f'beside-{name}'[:63]}")
    assert words in message
    assert await world.processed(good) == []


@pytest.mark.parametrize("what", SERVED)
async def test_what_is_only_large_or_odd_is_served(world: World, what: str) -> None:
    more, expected = SERVED[what]
    name = re.sub(r"\W+", "-", what)
    async with world.answers_others():
        assert await world.registered(world.host.write(name, _with(name, more))) == []
        entity = await world.served(f"component:default/{name}")
    assert entity["spec"]["x"] == expected


async def test_an_entity_of_50_000_keys_does_not_hold_up_the_others(world: World) -> None:
    keys = "x:\n" + "\n".join(f"  k{n}: {n}" for n in range(50_000))
    async with world.answers_others():
        assert await world.registered(world.host.write("keys", _with("keys", keys))) == []
        await world.served("component:default/keys")
    reply = await world.get("/entities?filter=spec.x.k49999=49999&fields=metadata.name")
    assert [one["metadata"]["name"] for one in reply.json] == ["keys"]


async def test_a_file_of_8_000_entities_does_not_hold_up_the_others(world: World) -> None:
    content = "---\n".join(HEAD.format(f"of-many-{n}") for n in range(8_000))
    async with world.answers_others():
        assert await world.registered(world.host.write("many", content)) == []
    [row] = [row for row in (await world.get("/locations")).json if row["data"]["target"].endswith("/many")]
    async with world.answers_others():
        await world.client.request("DELETE", f"/api/catalog/locations/{row['data']['id']}")


async def test_keys_that_differ_in_case_alone_are_not_served_and_explain_says_why(world: World) -> None:
    clashes = "x:\n" + "\n".join(f"  k{n}: 1\n  K{n}: 1" for n in range(5_000))
    url = world.host.write("clash", _with("clash", clashes))
    async with world.answers_others():
        assert await world.registered(url) == []
        said = await world.explained("component:default/clash", "vary only in casing")
    assert len(said) < 20_000
    assert (await world.get("/entities/by-name/component/default/clash")).status == 404


# --- bodies

BODIES: dict[str, bytes] = {
    "lists in lists": b'{"query": ' + b"[" * 40_000 + b"]" * 40_000 + b"}",
    "objects in objects": b'{"query": ' + b'{"a":' * 15_000 + b"1" + b"}" * 15_000 + b"}",
    "lists that never close": b'{"query": ' + b"[" * 90_000,
    "100,000 in depth": b"[" * 100_000,
    "10 MB": b'{"query": "' + b"a" * 10_000_000 + b'"}',
    "a key 5,000 times, with depth": b'{"query": {' + b'"a": [[[1]]],' * 5_000 + b'"a": {"$all": [[]]}}}',
}
OPERATIONS = [
    "/entities/by-query",
    "/entities/by-refs",
    "/entity-facets",
    "/locations",
    "/locations?dryRun=true",
    "/locations/by-query",
    "/analyze-location",
    "/validate-entity",
    "/refresh",
]


@pytest.mark.parametrize("bomb", BODIES)
async def test_a_body_that_is_a_bomb_is_refused_everywhere(world: World, bomb: str) -> None:
    async with world.answers_others():
        for operation in OPERATIONS:
            refused(await world.post(operation, BODIES[bomb]), 400, 413)
        headers = {"content-type": "application/json"}
        reply = await world.client.request("PUT", "/api/catalog/locations/x", headers, BODIES[bomb])
        refused(reply, 400, 413)


async def test_a_body_packed_a_thousandfold_is_measured_unpacked(world: World) -> None:
    packed = gzip.compress(b'{"entityRefs": ["' + b"a" * 50_000_000 + b'"]}')
    assert len(packed) < 100_000
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    async with world.answers_others():
        reply = await world.client.request("POST", "/api/catalog/entities/by-refs", headers, packed)
    assert refused(reply) == "request entity too large"


@pytest.mark.parametrize("depth", [300, 900, 5_000])
async def test_a_deep_entity_that_is_tried_out_is_told_or_sound(world: World, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    entity = json.dumps(component("deep", spec={"x": "DEEP"})).replace('"DEEP"', deep)
    body = f'{{"location": "url:https://git.test/a", "entity": {entity}}}'.encode()
    async with world.answers_others():
        reply = await world.post("/validate-entity", body)
    assert reply.status in (200, 400), reply.text


# --- limits

PREFIX = "a." * 126 + "b"
"""253 characters."""
LIMITS: list[tuple[str, Any, Any]] = [
    ("name", "n" * 63, "n" * 64),
    ("namespace", "n" * 63, "n" * 64),
    ("tags", ["t" * 63], ["t" * 64]),
    ("labels", {f"{PREFIX}/{'k' * 63}": "v" * 63}, {f"{PREFIX}b/k": "v"}),
    ("labels", {"k" * 63: ""}, {"k" * 64: ""}),
    ("labels", {"k": "v" * 63}, {"k": "v" * 64}),
    ("annotations", {f"{PREFIX}/{'k' * 63}": "v" * 20_000}, {"k" * 64: "v"}),
    ("annotations", {"k": "\0"}, {"k\0": "v"}),
    ("title", "t" * 90_000, ""),
    ("links", [{"url": "https://a.test/" + "a" * 80_000}], [{"url": "a"}]),
]


@pytest.mark.parametrize(("field", "at", "over"), LIMITS, ids=lambda value: value if isinstance(value, str) else "…")
async def test_a_value_at_its_limit_is_taken_and_one_beyond_is_told(
    world: World, field: str, at: Any, over: Any
) -> None:
    for value, status in ((at, 200), (over, 400)):
        entity = component("limits", **({} if field == "name" else {field: value}))
        if field == "name":
            entity["metadata"]["name"] = value
        reply = await world.post("/validate-entity", {"location": "url:https://git.test/a", "entity": entity})
        assert reply.status == status, (field, reply.text)
        assert status == 200 or reply.json["errors"]


async def test_values_and_keys_beyond_200_are_kept_and_only_not_compared(world: World) -> None:
    more = "\n".join([f"at: {'v' * 200}", f"over: {'v' * 201}", f"{'k' * 195}: 1", f"{'k' * 196}: 1"])
    assert await world.registered(world.host.write("limits", _with("limits", more))) == []
    await world.served("component:default/limits")

    async def found(query: str) -> bool:
        return bool((await world.get(f"/entities?filter={query}")).json)

    assert await found(f"spec.at={'v' * 200}")
    assert not await found(f"spec.over={'v' * 201}")
    assert await found("spec.over")
    assert await found(f"spec.{'k' * 195}=1")
    assert not await found(f"spec.{'k' * 196}=1")


# --- lines

LINES: dict[str, bytes] = {
    "lists in lists": b"[" * DEEP + b"]" * DEEP,
    "objects in objects": b'{"a":' * DEEP,
    "a number beyond any": b'{"kind": "Component", "metadata": {"name": "a"}, "spec": 1e400}',
    "100,000 digits": b'{"kind": "Component", "metadata": {"name": "a"}, "spec": ' + b"9" * 100_000 + b"}",
    "half a character": rb'{"kind": "Component", "metadata": {"name": "\ud800"}}',
    "no UTF-8": b'{"kind": "Component", "metadata": {"name": "\xff"}}',
    "6 MB in one line": b'{"kind": "' + b"a" * 6_000_000 + b'"}',
    "NULs": b"\0" * 1_000,
    "a name that is an object": b'{"kind": "Component", "metadata": {"name": {}}}',
}


async def test_a_line_that_is_a_bomb_is_named_and_costs_no_other(
    migrated_database: MigratedDatabase, tmp_path: Path
) -> None:
    catalog = Catalog(await migrated_database([MIGRATIONS]))
    file = tmp_path / "entities.ndjson"
    first, last = (json.dumps(component(name)).encode() for name in ("first", "last"))
    file.write_bytes(b"\n".join([first, *LINES.values(), last]))
    source = catalog.source()
    await NdjsonProvider("x", NdjsonConfig(str(file)), Urls([])).run(source)
    await catalog.settle()
    assert list(await catalog.served()) == ["component:default/first", "component:default/last"]
    assert {failure.what for failure in source.tally.failures} == {f"{file}:{n + 2}" for n in range(len(LINES))}


@contextmanager
def _a_small_stack(frames: int) -> Iterator[None]:
    before = sys.getrecursionlimit()
    depth = 0
    frame = sys._getframe()
    while frame.f_back is not None:
        depth, frame = depth + 1, frame.f_back
    sys.setrecursionlimit(depth + frames)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


async def test_an_entity_too_deep_for_one_process_does_not_stop_its_stitching(
    migrated_database: MigratedDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    catalog = Catalog(await migrated_database([MIGRATIONS]))
    deep: Any = "x"
    for _ in range(600):
        deep = {"a": deep}
    await catalog.source().full([Deferred(component("deep", spec={"x": deep}), "k"), Deferred(component("good"), "k")])
    await catalog.engine.process_due()
    with _a_small_stack(400), caplog.at_level(logging.ERROR):
        await catalog.settle()
    assert list(await catalog.served()) == ["component:default/good"]
    assert "nested too deeply" in await catalog.database.fetchval("select string_agg(error, ' ') from stitch_failures")


# --- the command line


def test_bombs_are_found_before_they_are_committed(tmp_path: Path) -> None:
    named = [
        "aliases that stand for billions",
        "an alias within what it stands for",
        "lists in lists",
        "keys in keys",
        "10 MB in doubt",
        "a list for an entity",
    ]
    files = {tmp_path / f"catalog-info-{re.sub(r'[^a-z0-9]+', '-', name.lower())}.yaml": name for name in named}
    for file, name in files.items():
        file.write_text(REFUSED[name][0])
    found = run("catalog", "validate", *files)
    assert (found.code, found.err) == (1, "")
    assert len(found.out) < 10_000
    assert {name for file, name in files.items() if f"{file}:" in found.out} == set(named)
