"""Named queries from `.sql` files: SQL stays SQL, and Python calls it by name.

    -- name: claim_due
    -- The entities whose turn it is, locked for us.
    select … where next_update_at <= $1

A query is its name, at least one line that says what it does, and everything up to the next name.
"""

from __future__ import annotations

import difflib
import importlib.resources
import re
from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path

from greenroom.errors import GreenroomError

NAME = re.compile(r"--\s*name:\s*(.*?)\s*")
IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")


class SqlFileError(GreenroomError):
    """A file of queries is not what `greenroom.sql` reads"""


class Queries:
    """The queries of a folder, as attributes: `queries.claim_due` is the SQL. Iterates over the names, in order of files."""

    def __init__(self, queries: Mapping[str, str], folder: str) -> None:
        self._queries = dict(queries)
        self._folder = folder

    def __getattr__(self, name: str) -> str:
        try:
            return self._queries[name]
        except KeyError:
            near = difflib.get_close_matches(name, self._queries, 1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            raise AttributeError(f"no query {name!r} in {self._folder}{hint}") from None

    def __getitem__(self, name: str) -> str:
        return self._queries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._queries)

    def __len__(self) -> int:
        return len(self._queries)

    def __contains__(self, name: object) -> bool:
        return name in self._queries


def load(source: Path | str) -> Queries:
    """All `.sql` files of a folder, or of an importable package (`"greenroom_catalog.storage.sql"`).

    Raises SqlFileError, which names file and line, for a query without a name or description and for a name used twice."""
    folder: Traversable = source if isinstance(source, Path) else importlib.resources.files(source)
    queries: dict[str, str] = {}
    seen: dict[str, str] = {}
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".sql"):
            continue
        for line, name, sql in _parse(file.name, file.read_text(encoding="utf-8")):
            where = f"{file.name}:{line}"
            if name in seen:
                raise SqlFileError(f"{where}: the query {name} is already in {seen[name]}")
            queries[name], seen[name] = sql, where
    if not queries:
        raise SqlFileError(f"{source} holds no queries")
    return Queries(queries, str(source))


def _parse(file: str, text: str) -> Iterator[tuple[int, str, str]]:
    """Line, name and SQL of each query; what stands before the first name may only be comments."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if NAME.fullmatch(line.strip())]
    ends = [*starts[1:], len(lines)]
    for number, line in enumerate(lines[: starts[0]] if starts else lines):
        if not _is_idle(line):
            raise SqlFileError(f"{file}:{number + 1}: SQL before the first `-- name:`")
    for start, end in zip(starts, ends, strict=False):
        yield start + 1, *_query(f"{file}:{start + 1}", lines[start:end])


def _query(where: str, lines: list[str]) -> tuple[str, str]:
    """The SQL keeps its name as a comment, by which it is known in the server's log and statistics."""
    found = NAME.fullmatch(lines[0].strip())
    name = found.group(1) if found else ""
    if not IDENTIFIER.fullmatch(name):
        raise SqlFileError(f"{where}: {name!r} is not a name in lower case")
    description = lines[1].strip() if len(lines) > 1 else ""
    if not description.startswith("--") or not description.strip("- "):
        raise SqlFileError(f"{where}: the query {name} needs a line `-- …` that says what it does")
    body = lines[1:]
    while body and _is_idle(body[0]):
        body.pop(0)
    while body and _is_idle(body[-1]):
        body.pop()
    if not body:
        raise SqlFileError(f"{where}: the query {name} has no SQL")
    return name, "\n".join([f"-- {name}", *body]).rstrip("; ")


def _is_idle(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("--")
