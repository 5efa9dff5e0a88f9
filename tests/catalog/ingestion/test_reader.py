"""Which URLs stand for several files, and what is said when the place to look for them is gone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from greenroom.entity import Location
from greenroom.errors import NotFoundError
from greenroom.plugin import Document
from greenroom.urls import Urls
from greenroom_catalog.ingestion.reader import Reader, is_pattern
from greenroom_catalog.ingestion.work import Found, Reads, Sources, Task


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://hub.example/o/r/blob/main/*.yaml", True),
        ("https://hub.example/o/r/blob/main/x.yaml?a=*", False),
        ("https://hub*.example/x.yaml", False),
        ("https://dev.azure.com/o/p/_git/r?path=/*.yaml&version=GBmain", True),
        ("https://dev.azure.com/o/p/_git/r?version=GBmain&path=%2F%2A.yaml", True),
        ("https://dev.azure.com/o/p/_git/r?path=/x.yaml&version=GB*", False),
    ],
)
def test_wildcards_count_where_a_host_keeps_the_path(url: str, expected: bool) -> None:
    assert is_pattern(url) is expected


class GoneBranch:
    """A host that does not know the branch."""

    def reads(self, url: str) -> bool:
        return True

    async def read(self, url: str, etag: str | None = None) -> Document:
        raise NotFoundError(f"could not read {url}, 404 Not Found")

    async def search(self, url: str, etag: str | None = None) -> Sequence[tuple[str, Document]]:
        raise NotFoundError("no such branch")


@pytest.mark.parametrize(("name", "told"), [("*.yaml", "no such branch"), ("x.yaml", "no matching files found for")])
@pytest.mark.parametrize("optional", [True, False])
async def test_what_is_missing_is_named_unless_it_may_be(name: str, told: str, optional: bool) -> None:
    reader = Reader(Urls([GoneBranch()]))
    entity = {"apiVersion": "backstage.io/v1alpha1", "kind": "Location", "metadata": {"name": "x"}}
    found = Found(entity, Sources(Reads(reader.reads.urls), {}))
    here = Location("url", "https://hub.example/o/r/blob/gone/")
    task = Task("location:default/x", "location", here, here, found)
    await reader.read_url(Location("url", f"https://hub.example/o/r/blob/gone/{name}"), optional, task)
    errors = [(type(error), error.message) for error in found.errors]
    assert errors == [] if optional else (len(errors) == 1 and errors[0][0] is NotFoundError and told in errors[0][1])
    assert found.sources.etags == {}
