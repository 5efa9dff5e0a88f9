"""Repositories that somebody is about to register: what is in them already, or a first draft."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from greenroom.entity import Entity
from greenroom.errors import InputError
from greenroom.urls import Integrations
from greenroom_catalog.ingestion.analysis import Analysis
from greenroom_catalog.ingestion.repositories import repository


class TriedOut:
    def __init__(self, name: str) -> None:
        self.entity: Entity = {"kind": "Component", "metadata": {"name": name}}


class Locations:
    """One location is registered, and every one brings two entities."""

    async def exists(self, type_: str, target: str) -> bool:
        return (type_, target) == ("url", "https://git.test/o/r/known.yaml")

    async def try_out(self, type_: str, target: str) -> Sequence[TriedOut]:
        return [TriedOut("one"), TriedOut("two")]


class Analyzer:
    """Knows one host, and remembers what it was asked."""

    def __init__(self, *found: str) -> None:
        self.found = [f"https://git.test/o/r/{name}" for name in found]
        self.asked: list[tuple[str, str]] = []

    def analyzes(self, url: str) -> bool:
        return url.startswith("https://git.test/")

    async def find(self, url: str, filename: str) -> Sequence[str]:
        self.asked.append((url, filename))
        return self.found


def analysis(*analyzers: Analyzer) -> Analysis:
    return Analysis(Locations(), Integrations.from_config({}), lambda: analyzers)


async def test_a_repository_with_catalog_files_is_told_by_what_is_in_them() -> None:
    analyzer = Analyzer("known.yaml", "new.yaml")
    answer = await analysis(analyzer).analyze("https://git.test/o/r")
    assert analyzer.asked == [("https://git.test/o/r", "catalog-info.yaml")]
    assert answer["generateEntities"] == []
    assert [
        (one["isRegistered"], one["location"]["target"].rpartition("/")[2], one["entity"]["name"])
        for one in answer["existingEntityFiles"]
    ] == [
        (True, "known.yaml", "one"),
        (True, "known.yaml", "two"),
        (False, "new.yaml", "one"),
        (False, "new.yaml", "two"),
    ]
    assert answer["existingEntityFiles"][0]["entity"] == {"kind": "Component", "namespace": "default", "name": "one"}


async def test_a_repository_without_one_is_given_a_draft_that_names_it() -> None:
    answer = await analysis(Analyzer()).analyze("https://github.com/o/r/blob/main/x", "other.yaml")
    (draft,) = answer["generateEntities"]
    assert answer["existingEntityFiles"] == []
    assert draft["entity"]["metadata"] == {"name": "r", "annotations": {"github.com/project-slug": "o/r"}}


async def test_only_the_analyzer_of_a_host_is_asked_and_the_first_of_several() -> None:
    first, second = Analyzer("a.yaml"), Analyzer("b.yaml")
    await analysis(first, second).analyze("https://git.test/o/r", "x.yaml")
    await analysis(first, second).analyze("https://elsewhere.test/o/r")
    assert (first.asked, second.asked) == ([("https://git.test/o/r", "x.yaml")], [])


@pytest.mark.parametrize(
    "text", ["", " ", "not a url", "//x/y", "https://git.test/%zz", f"https://git.test/{'a' * 2048}"]
)
def test_what_is_not_a_url_names_no_repository(text: str) -> None:
    with pytest.raises(InputError):
        repository(text)
