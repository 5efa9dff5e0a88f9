"""Thousands of made-up URLs of every kind of host, and what upstream's own package makes of them.

A few hundred answers are on record in `upstream.json`. Where Node and the package are, more are asked for. Record again with
`python -m tests.greenroom.urls.test_upstream` when `cases.py` or upstream's version has changed, and read the difference."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from greenroom.errors import GreenroomError
from greenroom.plugin import UrlReader
from greenroom.urls import Integration, Integrations, InvalidUrlError, parse
from greenroom.urls.configured import known_hosts, read_section
from greenroom.urls.hosts import host_readers
from greenroom.urls.hosts.repository import RepositoryReader, check_path
from greenroom.urls.outgoing import open_outgoing
from greenroom.urls.repositories import harness_file, leaves_repository, repository_file
from tests.greenroom.urls.cases import INTEGRATIONS, Case, cases
from tests.support.node import node_modules

HERE = Path(__file__).parent
RECORDING = HERE / "upstream.json"
PACKAGE = "@backstage/integration"


class Ours:
    """What we make of the same questions: a URL, or False where we refuse."""

    def __init__(self, known: Integrations, readers: list[UrlReader]) -> None:
        self.known, self.readers = known, readers

    def answer(self, case: Case) -> Any:
        ask, *given = case
        try:
            return getattr(self, ask)(*given)
        except GreenroomError:
            return False

    def resolve(self, target: str, base: str, line: int | None) -> str:
        return self.known.resolve(target, base, line)

    def edit(self, url: str) -> str:
        return self.known.edit_url(url) or url

    def file(self, url: str) -> str | bool:
        reader = next((one for one in self.readers if one.reads(url)), None)
        if not isinstance(reader, RepositoryReader):
            return False
        check_path(url)
        return decoded(reader.address(url))


@pytest.fixture(scope="module")
async def ours() -> AsyncIterator[Ours]:
    section = read_section(INTEGRATIONS)
    known = known_hosts(section)
    async with open_outgoing() as outgoing:
        yield Ours(known, list(host_readers(section, known, outgoing)))


def decoded(url: str) -> str:
    """The address with nothing encoded: upstream forgets to encode here, and does so twice there."""
    plain, before = url.partition("#")[0], ""
    while plain != before:
        plain, before = unquote(plain), plain
    return plain.replace("+", " ").removeprefix("http:").removeprefix("https:")  # a token is never sent by http


def theirs(case: Case, answer: Any) -> Any:
    if not isinstance(answer, str):
        return False
    return decoded(parse(answer).href) if case[0] == "file" else answer


def is_meant(case: Case, known: Integrations) -> bool:
    """Whether ours differs on purpose."""
    ask, url = case[0], case[2] if case[0] == "resolve" else case[1]
    try:
        parsed = parse(url)
    except InvalidUrlError:
        return False
    here = known.by_url(url)
    if ask == "resolve":  # there upstream reads a property of nothing
        return case[1].startswith("/") and (parsed.hostname or "").endswith(("visualstudio.com", "azure.com"))
    if ask == "edit":
        commit = re.search("[0-9a-f]{40}", url) is not None  # which nobody can edit
        special = here is not None and here.type == "awsCodeCommit" and "+" in url  # upstream takes it for a pattern
        return here is None or commit or special
    foreign = parsed.scheme not in ("http", "https") or bool(parsed.username) or here is None
    return foreign or leaves_repository(parsed.pathname) or (here is not None and _is_odd_file(url, here))


def _is_odd_file(url: str, here: Integration) -> bool:
    """Files for which upstream asks where there can be none, or where only upstream looks."""
    path = parse(url).pathname
    if here.type == "gitlab":
        return "/-/jobs/artifacts/" in path or path.startswith(("/blob/", "//"))
    if here.type == "gitea":  # upstream cuts the text of the URL, whatever is in it
        return "//" in path or url != here.base_url + path.removeprefix(parse(here.base_url).pathname.rstrip("/"))
    return here.type == "harness" and not harness_file(url).path


def ask_upstream(asked: list[Case]) -> list[Any]:
    given = json.dumps({"integrations": INTEGRATIONS, "cases": asked})
    told = subprocess.run(
        ["node", str(HERE / "upstream.mjs")],
        input=given, capture_output=True, check=True, cwd=node_modules(PACKAGE), encoding="utf-8",
    )  # fmt: skip
    answers: list[Any] = json.loads(told.stdout)
    return answers


def differences(ours: Ours, asked: list[Case], answers: list[Any]) -> list[tuple[Case, Any, Any]]:
    return [
        (case, ours.answer(case), answer)
        for case, answer in zip(asked, answers, strict=True)
        if ours.answer(case) != theirs(case, answer) and not is_meant(case, ours.known)
    ]


def test_what_upstream_was_seen_to_answer_we_answer(ours: Ours) -> None:
    recorded = json.loads(RECORDING.read_text(encoding="utf-8"))
    asked, answers = [case for case, _ in recorded], [answer for _, answer in recorded]
    assert len(asked) > 500
    assert differences(ours, asked, answers) == []


def test_what_upstream_answers_now_we_answer(ours: Ours) -> None:
    asked = cases(seed=2, count=4000)
    assert differences(ours, asked, ask_upstream(asked)) == []


async def test_folders_are_asked_for_where_upstream_asks_for_them(ours: Ours) -> None:
    urls = [case[1] for case in cases(seed=3, count=12_000) if case[0] == "file"]
    readers = {url: reader for url in urls if (reader := archived(ours, url)) is not None}
    assert len(readers) > 800
    answers = ask_upstream([["archive", url] for url in readers])
    wrong = []
    for (url, reader), answer in zip(readers.items(), answers, strict=True):
        told = theirs(["file", url], answer)
        try:
            check_path(url)
            mine: str | bool = decoded((await reader.packed(url, "c0ffee")).address)
        except GreenroomError:
            mine = False
        if mine != told and not is_meant(["file", url], ours.known):
            wrong.append((url, mine, told))
    assert wrong == []


def archived(ours: Ours, url: str) -> RepositoryReader | None:
    """The reader of a URL whose host has such addresses in upstream's package."""
    try:
        here = ours.known.by_url(url)
        reader = next((one for one in ours.readers if one.reads(url)), None)
        named = here is not None and (not here.type.startswith("bitbucket") or bool(repository_file(url).ref))
    except GreenroomError:
        return None
    known = named and here is not None and here.type not in ("github", "gitlab")
    return reader if known and isinstance(reader, RepositoryReader) else None


def record() -> None:
    asked = cases(seed=1, count=700)
    lines = [json.dumps(pair, ensure_ascii=False) for pair in zip(asked, ask_upstream(asked), strict=True)]
    RECORDING.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    record()
