"""The fake reader of plugin authors behaves as the real ones do: etags, patterns, and what is missing."""

from __future__ import annotations

import pytest

from greenroom.errors import NotFoundError, NotModifiedError
from greenroom.plugin import TokenReader, TreeFile, TreeReader
from greenroom.testing import FakeUrlReader


def reader() -> FakeUrlReader:
    return FakeUrlReader({f"https://x/{name}": name.encode() for name in ("a.yaml", "b.yaml", "c/d.yaml", "e.md")})


async def test_what_has_not_changed_is_not_read_again() -> None:
    fake = reader()
    document = await fake.read("https://x/a.yaml")
    with pytest.raises(NotModifiedError):
        await fake.read("https://x/a.yaml", document.etag)
    fake.documents["https://x/a.yaml"] = b"new"
    assert (await fake.read("https://x/a.yaml", document.etag)).content == b"new"
    assert fake.read_urls == ["https://x/a.yaml"] * 2


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.yaml", ["a.yaml", "b.yaml"]),
        ("?.md", ["e.md"]),
        ("**/*.yaml", ["a.yaml", "b.yaml", "c/d.yaml"]),
        ("**", ["a.yaml", "b.yaml", "c/d.yaml", "e.md"]),
        ("*/d.yaml", ["c/d.yaml"]),
        ("a.yaml", ["a.yaml"]),
        ("z.yaml", []),
        ("z*.yaml", []),
    ],
)
async def test_a_pattern_stands_for_the_files_it_matches(pattern: str, names: list[str]) -> None:
    found = await reader().search(f"https://x/{pattern}")
    assert [url for url, _ in found] == [f"https://x/{name}" for name in names]


async def test_a_pattern_has_one_etag_that_changes_with_any_file() -> None:
    fake = reader()
    etags = {document.etag for _, document in await fake.search("https://x/*.yaml")}
    [etag] = etags
    with pytest.raises(NotModifiedError):
        await fake.search("https://x/*.yaml", etag)
    fake.documents["https://x/new.yaml"] = b""
    assert len(await fake.search("https://x/*.yaml", etag)) == 3


async def test_what_is_not_there_is_not_found() -> None:
    assert reader().reads("https://x/*.yaml")
    assert not reader().reads("https://y/a.yaml")
    with pytest.raises(NotFoundError, match="could not read https://x/z, 404 Not Found"):
        await reader().read("https://x/z")


async def test_a_folder_is_read_whole_and_not_again_while_nothing_changes() -> None:
    fake = FakeUrlReader(
        {"https://x/t/run.sh": b"#!", "https://x/t/a/b": b"b", "https://x/tt": b"no"},
        executable=["https://x/t/run.sh"],
        links={"https://x/t/link": "run.sh"},
    )
    assert isinstance(fake, TreeReader)
    assert isinstance(fake, TokenReader)
    assert fake.reads("https://x/t")
    assert not fake.reads("https://x/u")
    tree = await fake.tree("https://x/t/", token="mine")
    assert list(tree.files) == [
        TreeFile("a/b", b"b"),
        TreeFile("link", link="run.sh"),
        TreeFile("run.sh", b"#!", executable=True),
    ]
    with pytest.raises(NotModifiedError):
        await fake.tree("https://x/t", tree.etag)
    fake.documents["https://x/t/a/b"] = b"c"
    assert (await fake.tree("https://x/t", tree.etag)).etag != tree.etag
    assert (await fake.read_with("yours", "https://x/tt")).content == b"no"
    assert fake.tokens == ["mine", "yours"]
