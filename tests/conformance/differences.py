"""DIFFERENCES.md -> what Greenroom answers otherwise on purpose, by request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from tests.conformance.compare import Outcome

PAGE = Path(__file__).parent / "DIFFERENCES.md"


class Difference(msgspec.Struct, frozen=True):
    """One request of a row: of which set it is, and what Greenroom answers: a status, and an error's name if it is one."""

    request: str
    status: int
    error: str | None

    def found_in(self, answered: Outcome) -> str | None:
        """What is not as the page says, None if it is so."""
        body = answered.answer.body
        error = body["error"]["name"] if isinstance(body, dict) and isinstance(body.get("error"), dict) else None
        said, found = (self.status, self.error), (answered.answer.status, error)
        return None if said == found else f"{PAGE.name} says {said}, the answer is {found}"


def documented(page: Path = PAGE) -> dict[str, Difference]:
    """By `set/request`, where a trailing `*` stands for any ending.

    Raises ValueError for a row that cannot be read, or is there twice."""
    found: dict[str, Difference] = {}
    for row in _rows(page.read_text()):
        if row.request in found:
            raise ValueError(f"{page.name} names {row.request} twice")
        found[row.request] = row
    return found


def intended(request: str, rows: Mapping[str, Difference]) -> Difference | None:
    """The row that is about a request: its own, else the longest with a `*` that fits."""
    if request in rows:
        return rows[request]
    fitting = [name for name in rows if name.endswith("*") and request.startswith(name[:-1])]
    return rows[max(fitting, key=len)] if fitting else None


def _rows(text: str) -> Iterator[Difference]:
    """Every table row that begins with requests: | `set/request`<br>`set/request` | upstream | Greenroom | reason |"""
    for line in text.splitlines():
        if not line.startswith("| `"):
            continue
        cells = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
        answer = re.match(r"(\d{3})(?: (\w+))?", cells[2]) if len(cells) == 4 else None
        if answer is None or not cells[3]:
            raise ValueError(f"{PAGE.name}: cannot read {line}")
        for request in cells[0].split("<br>"):
            yield Difference(request.strip(" `"), int(answer[1]), answer[2])
