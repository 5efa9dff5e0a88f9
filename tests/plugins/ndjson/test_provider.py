"""A file of entities is the catalog's, but for the lines that are wrong."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import AsyncIterable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import NotAllowedError, NotFoundError
from greenroom.plugin import Deferred, Mutation
from greenroom.settings import load
from greenroom.testing import FakeHost, FakeUrlReader, RecordingSource
from greenroom.urls import Urls
from greenroom_plugins.ndjson.plugin import ndjson
from greenroom_plugins.ndjson.provider import MAX_LINE, NdjsonConfig, NdjsonProvider, Schedule


def entity(name: str) -> dict[str, Any]:
    return {"apiVersion": "backstage.io/v1alpha1", "kind": "Component", "metadata": {"name": name}}


def provider(path: object, urls: Urls | None = None) -> NdjsonProvider:
    return NdjsonProvider("test", NdjsonConfig(str(path)), urls or Urls())


async def test_each_line_is_an_entity_and_the_file_is_all_there_is(tmp_path: Path) -> None:
    file, source = tmp_path / "x.ndjson", RecordingSource()
    file.write_text("\n".join(json.dumps(entity(name)) for name in ("one", "two")), encoding="utf-8")
    await provider(file).run(source)
    assert list(source.entities) == ["component:default/one", "component:default/two"]
    assert set(source.location_keys.values()) == {"ndjson:test"}
    file.write_text(json.dumps(entity("two")) + "\n", encoding="utf-8")
    await provider(file).run(source)
    assert list(source.entities) == ["component:default/two"]


async def test_editors_traces_are_forgiven(tmp_path: Path) -> None:
    """A byte order mark, empty lines, and the line ends of another system."""
    file, source = tmp_path / "x.ndjson", RecordingSource()
    file.write_bytes(
        b"\xef\xbb\xbf" + json.dumps(entity("one")).encode() + b"\r\n\r\n  \n" + json.dumps(entity("two")).encode()
    )
    await provider(file).run(source)
    assert list(source.entities) == ["component:default/one", "component:default/two"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"kind": "Component", ', "not a line of JSON: Input data was truncated"),
        (b"[]", "an entity is a JSON object, not a list"),
        (b"{}", "`kind` is missing"),
        (b'{"kind": "Component", "metadata": {}}', r"`metadata\.name` is missing"),
        (b'{"kind": "\xff"}', "UTF-8|utf-8"),
        (b"x" * (MAX_LINE + 10), "longer than 5242880 bytes"),
    ],
)
async def test_a_bad_line_is_named_and_costs_no_other_entity(tmp_path: Path, line: bytes, problem: str) -> None:
    file, source = tmp_path / "x.ndjson", RecordingSource()
    good = json.dumps(entity("one")).encode()
    file.write_bytes(good)
    await provider(file).run(source)
    file.write_bytes(b"\n".join([json.dumps(entity("two")).encode(), b"", line, good]))
    await provider(file).run(source)
    ((what, error),) = source.failures
    assert what.endswith("x.ndjson:3")
    assert re.search(problem, error)
    assert set(source.entities) == {"component:default/one", "component:default/two"}


async def test_while_a_line_is_bad_no_entity_is_removed(tmp_path: Path) -> None:
    """Nobody knows which entity it was."""
    file, source = tmp_path / "x.ndjson", RecordingSource()
    file.write_text("\n".join(json.dumps(entity(name)) for name in ("one", "two")), encoding="utf-8")
    await provider(file).run(source)
    file.write_text(json.dumps(entity("one")) + '\n{"kind": "Compo', encoding="utf-8")
    await provider(file).run(source)
    assert set(source.entities) == {"component:default/one", "component:default/two"}


async def test_how_far_a_file_was_read_is_told_in_bytes(tmp_path: Path) -> None:
    file, source = tmp_path / "x.ndjson", RecordingSource()
    file.write_text("".join(json.dumps(entity(f"c{number}")) + "\n" for number in range(1000)), encoding="utf-8")
    await provider(file).run(source)
    assert source.progressed == (file.stat().st_size, file.stat().st_size)


async def test_a_missing_file_costs_no_entity(tmp_path: Path) -> None:
    source = RecordingSource()
    with pytest.raises(NotFoundError, match=r"gone\.ndjson cannot be read: No such file"):
        await provider(tmp_path / "gone.ndjson").run(source)
    with pytest.raises(NotFoundError, match="cannot be read: Is a directory"):
        await provider(tmp_path).run(source)
    assert source.entities == {}


async def test_a_url_is_read_if_the_server_may(tmp_path: Path) -> None:
    url, source = "https://example.com/x.ndjson", RecordingSource()
    await provider(url, Urls([FakeUrlReader({url: json.dumps(entity("one")).encode()})])).run(source)
    assert list(source.entities) == ["component:default/one"]
    with pytest.raises(NotAllowedError):
        await provider(url).run(source)


class CountingSource(RecordingSource):
    """Holds nothing, so that what is held is the provider's."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    async def full(self, entities: Iterable[Deferred] | AsyncIterable[Deferred]) -> Mutation:
        assert isinstance(entities, AsyncIterable)
        async for _ in entities:
            self.count += 1
        return Mutation(self.count)


async def test_a_large_file_does_not_fill_the_memory(tmp_path: Path) -> None:
    file, source = tmp_path / "x.ndjson", CountingSource()
    with file.open("w", encoding="utf-8") as out:
        for number in range(20_000):
            out.write(json.dumps(entity(f"c{number}") | {"spec": {"text": "x" * 500}}) + "\n")
    tracemalloc.start()
    try:
        await provider(file).run(source)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert source.count == 20_000
    assert peak < 3_000_000 < file.stat().st_size


def test_the_plugin_reads_its_config() -> None:
    section = {
        "people": {"path": "/srv/people.ndjson", "schedule": {"frequency": {"minutes": 10}}},
        "once": {"path": "x"},
    }
    config = load([], {}, {"catalog": {"providers": {"ndjson": section}}})
    read = config.section(ndjson.section, ndjson.config)
    assert read["people"].schedule == Schedule(timedelta(minutes=10))
    built = list(ndjson.build(read, FakeHost({Urls: Urls()})))
    assert [(one.name, one.every) for one in built if isinstance(one, NdjsonProvider)] == [
        ("ndjson:people", timedelta(minutes=10)),
        ("ndjson:once", None),
    ]
