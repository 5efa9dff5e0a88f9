"""Repositories that somebody is about to register: what is in them already, or a first draft."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec
import pytest

from greenroom.entity import Entity
from greenroom.errors import InputError, NotFoundError
from greenroom.plugin import Document
from greenroom.settings import IntegrationsConfig
from greenroom.urls import Urls
from greenroom.urls.configured import known_hosts
from greenroom_catalog.ingestion.analysis import Analysis
from greenroom_catalog.ingestion.repositories import RepositorySearch, accessible, repository


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
    return Analysis(Locations(), known_hosts(IntegrationsConfig()), lambda: analyzers)


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


class Reader:
    """A UrlReader of everything that finds one file for each pattern, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.patterns: list[str] = []
        self.error = error

    def reads(self, url: str) -> bool:
        return True

    async def read(self, url: str, etag: str | None = None) -> Document:
        raise NotFoundError

    async def search(self, url: str, etag: str | None = None) -> Sequence[tuple[str, Document]]:
        self.patterns.append(url)
        if self.error:
            raise self.error
        return [(url.replace("**/", "deep/"), Document(b""))]


HOSTS = {
    "github": [{"host": "ghe.test", "token": "x"}, {"host": "open.test"}],
    "gitlab": [{"host": "gitlab.test", "token": "x"}],
    "azure": [{"host": "azure.test", "credentials": [{"personalAccessToken": "x"}]}],
    "bitbucketCloud": [{"username": "x", "token": "x"}],
    "bitbucketServer": [{"host": "bitbucket.test", "token": "x"}],
}


def search(reader: Reader) -> RepositorySearch:
    config = msgspec.convert(HOSTS, IntegrationsConfig)
    return RepositorySearch(
        Urls([reader], known_hosts(config)), set(accessible(config)), logging.getLogger("greenroom")
    )


@pytest.mark.parametrize(
    ("url", "pattern"),
    [
        ("https://ghe.test/o/r", "https://ghe.test/o/r/blob/HEAD/**/catalog-info.yaml"),
        ("https://ghe.test/o/src/", "https://ghe.test/o/src/blob/HEAD/**/catalog-info.yaml"),
        ("https://ghe.test/o/r/tree/main/x", "https://ghe.test/o/r/blob/main/**/catalog-info.yaml"),
        ("https://gitlab.test/g/s/r", "https://gitlab.test/g/s/r/-/blob/HEAD/**/catalog-info.yaml"),
        ("https://bitbucket.org/w/r", "https://bitbucket.org/w/r/src/HEAD/**/catalog-info.yaml"),
        (
            "https://bitbucket.test/projects/P/repos/R/browse/x",
            "https://bitbucket.test/projects/P/repos/R/browse/**/catalog-info.yaml",
        ),
        ("https://azure.test/org/p%20x/_git/r", "https://azure.test/org/p%20x/_git/r?path=/**/catalog-info.yaml"),
    ],
)
async def test_a_repository_on_a_host_that_is_accessible_is_searched(url: str, pattern: str) -> None:
    reader = Reader()
    searching = search(reader)
    assert searching.analyzes(url)
    assert await searching.find(url, "catalog-info.yaml") == [pattern.replace("**/", "deep/")]
    assert reader.patterns == [pattern]


@pytest.mark.parametrize("url", ["https://github.com/o/r", "https://open.test/o/r", "https://unknown.test/o/r", "o/r"])
def test_a_repository_on_a_host_without_credentials_is_not_searched(url: str) -> None:
    assert not search(Reader()).analyzes(url)


async def test_a_repository_that_cannot_be_searched_is_given_a_draft(caplog: pytest.LogCaptureFixture) -> None:
    searching = search(Reader(NotFoundError("no such repository")))
    assert await searching.find("https://ghe.test/o/r", "catalog-info.yaml") == []
    assert "NotFoundError: no such repository" in caplog.text


@pytest.mark.parametrize(
    "text", ["", " ", "not a url", "//x/y", "https://git.test/%zz", f"https://git.test/{'a' * 2048}"]
)
def test_what_is_not_a_url_names_no_repository(text: str) -> None:
    with pytest.raises(InputError):
        repository(text)
