"""The fakes of plugin authors behave as what they stand for."""

from __future__ import annotations

import pytest

from greenroom.entity import EntityRefError, Location
from greenroom.errors import InputError, NotFoundError
from greenroom.testing import SOMEWHERE, FakePlaceholder, RecordingWork

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
