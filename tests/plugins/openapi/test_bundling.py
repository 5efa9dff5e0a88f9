"""`$openapi` and `$asyncapi`: one definition of many files, and what an author is told who refers to what is not there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urljoin

import pytest
import yaml

from greenroom.plugin import PlaceholderResolver
from greenroom.testing import FakeHost, FakePlaceholder
from greenroom_plugins.openapi import bundle, references
from greenroom_plugins.openapi.plugin import DefinitionError, openapi, resolve

FOLDER = "https://git.test/o/r/api/"
PATIENCE = 60.0


def spot(files: Mapping[str, Any], value: Any = "openapi.yaml") -> FakePlaceholder:
    """A placeholder among files that are given as values, or as text."""
    contents = {
        urljoin(FOLDER, name): content.encode() if isinstance(content, str) else json.dumps(content).encode()
        for name, content in files.items()
    }
    return FakePlaceholder(value, contents, key="openapi", base=f"{FOLDER}catalog-info.yaml")


async def bundled(files: Mapping[str, Any]) -> Any:
    return yaml.safe_load(await resolve(spot(files)))


async def error_of(files: Mapping[str, Any], value: Any = "openapi.yaml") -> str:
    with pytest.raises(DefinitionError) as raised:
        await resolve(spot(files, value))
    return raised.value.message


def schemas(**named: Any) -> dict[str, Any]:
    return {"openapi": "3.0.0", "schemas": named}


def ref(target: str, **more: Any) -> dict[str, Any]:
    return {"$ref": target, **more}


def test_both_placeholders_are_contributed() -> None:
    contributed = list(openapi.build(openapi.config(), FakeHost()))
    assert [one.key for one in contributed if isinstance(one, PlaceholderResolver)] == ["openapi", "asyncapi"]


# --- what stands where -----------------------------------------------------------------------------------------------


async def test_a_part_of_another_file_takes_the_place_of_the_reference_nearest_to_the_root() -> None:
    root = schemas(deep={"items": ref("pet.yaml")}, near=ref("pet.yaml"))
    assert (await bundled({"openapi.yaml": root, "pet.yaml": {"type": "object"}}))["schemas"] == {
        "deep": {"items": ref("#/schemas/near")},
        "near": {"type": "object"},
    }


async def test_what_is_inside_of_what_was_put_in_is_pointed_at() -> None:
    root = schemas(whole=ref("pet.yaml"), name=ref("pet.yaml#/names/a~1b"))
    found = await bundled({"openapi.yaml": root, "pet.yaml": {"names": {"a/b": {"type": "string"}}}})
    assert found["schemas"]["name"] == ref("#/schemas/whole/names/a~1b")


async def test_files_refer_to_files_from_where_they_stand() -> None:
    files = {
        "openapi.yaml": schemas(a=ref("parts/a.yaml")),
        "parts/a.yaml": {"b": ref("deep/b.json#/x"), "up": ref("../up.yaml")},
        "parts/deep/b.json": '{"x": {"type": "integer"}}',
        "up.yaml": {"type": "string"},
    }
    read = spot(files)
    assert yaml.safe_load(await resolve(read))["schemas"]["a"] == {"b": {"type": "integer"}, "up": {"type": "string"}}
    assert sorted(read.read_urls) == sorted(read.files)


async def test_circles_stay_circles() -> None:
    tree = {"properties": {"children": {"items": ref("tree.yaml")}, "itself": ref("#")}}
    found = await bundled({"openapi.yaml": schemas(tree=ref("tree.yaml")), "tree.yaml": tree})
    again = ref("#/schemas/tree")
    assert found["schemas"]["tree"]["properties"] == {"children": {"items": again}, "itself": again}


async def test_a_file_that_refers_to_the_definition_by_name_is_given_another_copy() -> None:
    files = {
        "openapi.yaml": schemas(a=ref("a.yaml"), b={"type": "string"}),
        "a.yaml": {"b": ref("openapi.yaml#/schemas/b")},
    }
    assert (await bundled(files))["schemas"] == {"a": {"b": {"type": "string"}}, "b": {"type": "string"}}


async def test_other_members_of_a_reference_go_over_what_it_leads_to() -> None:
    over = ref("pet.yaml", description="mine", properties={"b": 2})
    pet = {"description": "theirs", "type": "object", "properties": {"a": 1, "b": 1}}
    found = await bundled({"openapi.yaml": schemas(a=over), "pet.yaml": pet})
    assert found["schemas"]["a"] == {"description": "mine", "type": "object", "properties": {"a": 1, "b": 2}}


async def test_a_pointer_past_another_reference_is_made_direct() -> None:
    found = await bundled({"openapi.yaml": schemas(a=ref("#/schemas/b/c"), b=ref("#/schemas/d"), d={"c": {"x": 1}})})
    assert found["schemas"]["a"] == ref("#/schemas/d/c")


async def test_references_of_asyncapi_3_between_its_parts_stay() -> None:
    files = {
        "openapi.yaml": {
            "asyncapi": "3.0.0",
            "channels": {"c": {"messages": {"m": ref("messages.yaml#/m")}}},
            "operations": {"o": {"messages": [ref("#/channels/c/messages/m")]}},
        },
        "messages.yaml": {"m": {"payload": 1}},
    }
    found = await bundled(files)
    assert found["operations"] == {"o": {"messages": [ref("#/channels/c/messages/m")]}}
    assert found["channels"]["c"]["messages"]["m"] == {"payload": 1}


async def test_texts_are_put_in_as_texts_and_unknown_files_as_what_they_are() -> None:
    files = {
        "openapi.yaml": schemas(a=ref("notes.md"), b=ref("x.avsc"), c=ref("odd.bin")),
        "notes.md": "# Notes: [",
        "x.avsc": '{"type": "record"}',
        "odd.bin": "]: [",
    }
    assert (await bundled(files))["schemas"] == {"a": "# Notes: [", "b": {"type": "record"}, "c": "]: ["}


async def test_what_is_no_reference_is_left() -> None:
    left = {"a": ref("#anchor"), "b": ref(""), "c": {"$ref": 7}}
    assert (await bundled({"openapi.yaml": schemas(**left)}))["schemas"] == left


async def test_the_files_as_read_are_not_mixed_up_by_a_second_bundling() -> None:
    files = {"openapi.yaml": schemas(a=ref("b.yaml"), c=ref("b.yaml")), "b.yaml": {"x": 1}}
    assert await resolve(spot(files)) == await resolve(spot(files))


# --- what is said ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 3, ["a"], {"a": "b"}])
async def test_the_value_is_a_string(value: Any) -> None:
    assert (await error_of({}, value)).startswith("Placeholder $openapi expected a string value parameter")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {},
            f"could not read location openapi.yaml, NotFoundError: could not read {FOLDER}openapi.yaml, 404 Not Found",
        ),
        ({"openapi.yaml": ""}, "TypeError: Cannot read properties of null (reading 'asyncapi')"),
        ({"openapi.yaml": "just text"}, "Error: Expected an object at the root of the definition"),
        (
            {"openapi.yaml": "a: ["},
            "expected the node content, but found '<stream end>'\n  in \"<byte string>\", line 1, column 5:\n    a: [\n        ^",
        ),
        ({"openapi.yaml": schemas(a=ref("b.yaml"))}, f'ResolverError: Error reading file "{FOLDER}b.yaml"'),
        (
            {"openapi.yaml": schemas(a=ref("https://other.test/x"))},
            'ResolverError: Error reading file "https://other.test/x"',
        ),
        (
            {"openapi.yaml": schemas(a=ref("b.yaml")), "b.yaml": "a: ["},
            "column 5:\n    a: [\n        ^",
        ),
        (
            {"openapi.yaml": schemas(a=ref("gopher://x/y"))},
            'SyntaxError: Unable to resolve $ref pointer "gopher://x/y"',
        ),
        (
            {"openapi.yaml": schemas(a=ref("#/schemas/b/c"))},
            'MissingPointerError: Missing $ref pointer "#/schemas/b/c". Token "b" does not exist.',
        ),
        (
            {"openapi.yaml": schemas(a=ref("b.yaml#wings")), "b.yaml": {}},
            'InvalidPointerError: Invalid $ref pointer "wings". Pointers must begin with "#/"',
        ),
    ],
)
async def test_what_is_wrong_is_said_in_upstreams_words(files: Mapping[str, Any], message: str) -> None:
    said = await error_of(files)
    assert said.startswith("Placeholder $openapi ")
    assert said.endswith(message)


async def test_an_address_that_is_none_is_said_with_its_base() -> None:
    assert await error_of({}, "http://") == (
        f"Placeholder $openapi could not form a URL out of {FOLDER}catalog-info.yaml and http://, InputError: Invalid URL"
    )


# --- what was made to cost much --------------------------------------------------------------------------------------


def doubling(levels: int) -> dict[str, Any]:
    """Each level leads through the one below twice."""
    level: dict[str, Any] = {"l0": {"x": {"y": 1}}}
    for number in range(1, levels):
        level[f"l{number}"] = {"x": ref(f"#/schemas/l{number - 1}/x", a=ref(f"#/schemas/l{number - 1}/x", b=1))}
    return schemas(**level)


HOSTILE: dict[str, Mapping[str, Any]] = {
    "each other": {"openapi.yaml": schemas(a=ref("#/schemas/b"), b=ref("#/schemas/a"), c=ref("#/schemas/c"))},
    "each other with members": {
        "openapi.yaml": schemas(a=ref("#/schemas/b", x=ref("#/schemas/b")), b=ref("#/schemas/a", y=ref("#/schemas/a")))
    },
    "twice the one below": {"openapi.yaml": doubling(60)},
    "a long chain": {"openapi.yaml": schemas(**{f"a{n}": ref(f"#/schemas/a{n + 1}") for n in range(600)}, a600={})},
    "deep": {"openapi.yaml": '{"a":' * 3000 + "1" + "}" * 3000},
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_a_definition_that_never_ends_does(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = spot(HOSTILE[case])
    if case == "deep":
        monkeypatch.setattr(hostile, "parse", lambda content: _nested())
    async with asyncio.timeout(PATIENCE):
        with suppress(DefinitionError):
            await resolve(hostile)


def _nested() -> Any:
    value: Any = {}
    for _ in range(3000):
        value = {"a": value}
    return value


async def test_too_many_files_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MOST_FILES", 3)
    files = {f"{n}.yaml": ref(f"{n + 1}.yaml") for n in range(9)}
    assert (await error_of({"openapi.yaml": schemas(a=ref("0.yaml")), **files})).endswith(
        "It refers to more than 3 files"
    )


async def test_too_many_references_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MOST_REFERENCES", 3)
    root = schemas(**{f"a{n}": ref("#/openapi") for n in range(4)})
    assert (await error_of({"openapi.yaml": root})).endswith("It has more than 3 references")


async def test_too_many_steps_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "MOST_STEPS", 50)
    assert "lead through each other too often" in await error_of({"openapi.yaml": doubling(30)})
