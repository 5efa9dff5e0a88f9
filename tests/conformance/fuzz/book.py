"""How many requests have run since the last difference: kept in runs.json, and told in the README."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec

BOOK = Path(__file__).with_name("runs.json")
README = Path(__file__).parents[1] / "README.md"
SENTENCE = re.compile(r"\*\*[\d,]+\*\* requests\s+since\s+the\s+last\s+difference, in \d+ runs")
KEPT = 10


class Run(msgspec.Struct):
    """One run of the fuzz."""

    date: str
    seed: int
    requests: int
    differences: int


class Book(msgspec.Struct):
    """What runs.json holds; `runs` are the latest, `runs_since` all since the last difference."""

    requests_since_last_difference: int = 0
    runs_since: int = 0
    requests: int = 0
    runs: list[Run] = []


def read(path: Path = BOOK) -> Book:
    return msgspec.json.decode(path.read_bytes(), type=Book) if path.exists() else Book()


def sentence(book: Book) -> str:
    """As the README says it."""
    return f"**{book.requests_since_last_difference:,}** requests since the last difference, in {book.runs_since} runs"


def note(seed: int, requests: int, since: int, differences: int, path: Path = BOOK, readme: Path = README) -> Book:
    """Write a run into the book, and the number into the README. `since`: requests of this run since its last difference."""
    book = read(path)
    book.requests += requests
    if differences:
        book.requests_since_last_difference, book.runs_since = since, 1
    else:
        book.requests_since_last_difference, book.runs_since = (
            book.requests_since_last_difference + requests,
            book.runs_since + 1,
        )
    book.runs = [*book.runs, Run(f"{datetime.now(UTC):%Y-%m-%d}", seed, requests, differences)][-KEPT:]
    path.write_bytes(msgspec.json.format(msgspec.json.encode(book), indent=2) + b"\n")
    readme.write_text(SENTENCE.sub(sentence(book), readme.read_text()))
    return book
