"""The fakes of plugin authors behave as what they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from greenroom.entity import EntityRefError, Location
from greenroom.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from greenroom.plugin import ActionContext, action
from greenroom.testing import SOMEWHERE, FakeActionContext, FakePlaceholder, RecordingLocations, RecordingWork

ENTITY = {"apiVersion": "acme.example/v1", "kind": "Rota", "metadata": {"name": "a"}}
PLACE = Location("url", "https://acme.example/list")


def test_what_a_hook_puts_forth_is_remembered() -> None:
    work = RecordingWork(cache={"times": 1})
    work.emit(ENTITY, PLACE)
    work.emit(ENTITY, PLACE, location_key="acme")
    work.emit(ENTITY, PLACE, location_key=None)
    work.emit_file(b"kind: x", PLACE)
    work.follow(PLACE, optional=True)
    work.fail(ValueError("odd"))
    work.watch("acme:list")
    assert [(one.entity, one.location_key) for one in work.emitted] == [
        (ENTITY, str(PLACE)),
        (ENTITY, "acme"),
        (ENTITY, None),
    ]
    assert (work.files, work.followed, work.watched) == ([(b"kind: x", PLACE)], [(PLACE, True)], ["acme:list"])
    assert [str(error) for error in work.errors] == ["odd"]
    assert (work.location, work.origin, work.cache) == (SOMEWHERE, SOMEWHERE, {"times": 1})


def test_relations_are_canonical_and_checked() -> None:
    work = RecordingWork()
    work.relate("Component:A", "likes", "group:Other/B")
    assert work.relations == [("component:default/a", "likes", "group:other/b")]
    with pytest.raises(EntityRefError):
        work.relate("no-kind", "likes", "group:b")


async def test_a_placeholder_reads_beside_its_entity() -> None:
    placeholder = FakePlaceholder("./a.yaml", {"https://git.example/a.yaml": b"a: [1]"})
    url = placeholder.resolve(placeholder.value)
    assert placeholder.parse(await placeholder.read(url)) == {"a": [1]}
    assert placeholder.resolve("b.yaml", "https://git.example/deep/a.yaml") == "https://git.example/deep/b.yaml"
    with pytest.raises(NotFoundError):
        await placeholder.read("https://git.example/b.yaml")
    assert placeholder.read_urls == [url, "https://git.example/b.yaml"]


@pytest.mark.parametrize("content", [b"a: [", b"a: 1\n---\nb: 2\n"])
def test_a_placeholder_refuses_what_the_catalog_does(content: bytes) -> None:
    with pytest.raises(InputError):
        FakePlaceholder("x").parse(content)
    with pytest.raises(InputError):
        FakePlaceholder("x").resolve("http://")


class Shout(msgspec.Struct, rename="camel"):
    """The input of the action below."""

    text: str
    how_loud: int = 1


@action("acme:shout", dry_run=True)
async def shout(ctx: ActionContext[Shout]) -> Mapping[str, str]:
    """Say it louder."""
    ctx.log.info("shouting")
    return {"text": ctx.input.text.upper() + "!" * ctx.input.how_loud}


async def test_an_action_is_tried_out_without_the_house(tmp_path: Path) -> None:
    context = FakeActionContext(Shout("hello"), tmp_path)
    assert await shout.run(context) == {"text": "HELLO!"}
    assert context.log.lines == [("info", "shouting")]


def test_an_actions_schema_and_description_come_from_its_function() -> None:
    assert (shout.id, shout.description, shout.input, shout.dry_run, shout.idempotent) == (
        "acme:shout",
        "Say it louder.",
        Shout,
        True,
        False,
    )
    assert shout.input_schema == {
        "type": "object",
        "description": "The input of the action below.",
        "properties": {"text": {"type": "string"}, "howLoud": {"type": "integer", "default": 1}},
        "required": ["text"],
        "additionalProperties": False,
    }


def test_an_action_cannot_leave_its_workspace_in_a_test_either(tmp_path: Path) -> None:
    context = FakeActionContext[Any]({}, tmp_path)
    assert context.inside("a/b") == tmp_path.resolve() / "a" / "b"
    with pytest.raises(NotAllowedError, match="outside its parent"):
        context.inside("../elsewhere")


async def test_what_a_checkpoint_answered_is_given_to_the_next_run(tmp_path: Path) -> None:
    async def first() -> str:
        return "made"

    async def never() -> str:
        raise AssertionError

    context = FakeActionContext[Any]({}, tmp_path)
    assert await context.checkpoint("key", first) == "made"
    again = FakeActionContext[Any]({}, tmp_path)
    again.checkpoints = context.checkpoints
    assert await again.checkpoint("key", never) == "made"


async def test_a_program_of_an_action_runs_in_the_workspace_and_tells_its_lines(tmp_path: Path) -> None:
    context = FakeActionContext[Any]({}, tmp_path)
    assert await context.run("sh", "-c", "pwd; cat; exit 3", stdin=b"given") == 3
    assert context.log.lines == [("info", str(tmp_path)), ("info", "given")]


async def test_a_location_is_registered_once() -> None:
    url = "https://git.example/catalog-info.yaml"
    locations = RecordingLocations({url: [ENTITY]})
    assert (await locations.register(url, dry_run=True)).entities == [ENTITY]
    await locations.register(url)
    with pytest.raises(ConflictError):
        await locations.register(url)
    with pytest.raises(InputError):
        await locations.register("https://git.example/other.yaml")
