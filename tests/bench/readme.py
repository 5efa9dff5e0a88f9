"""The last runs -> the tables of README.md, between its marks: no figure of them is written by hand.

`make bench-report` writes them; `test_readme.py` holds the README to the files in `docs/bench`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from tests.bench.goals import GOALS
from tests.bench.table import Report, by_size, origin_of, table

SIZED = (
    "list",
    "walk",
    "count-warm",
    "count-cold",
    "facet-warm",
    "facet-cold",
    "all",
    "all-memory",
    "ingest",
    "memory-idle",
    "database",
)
"""Rows of a run as the catalog grows that newcomers ask about; all are in the file."""
ONCE = ("list-growth", "webhook", "webhook-p95", "members-joined", "members", "members-memory")


def of_ratio(report: Report) -> str:
    """The rows that have a goal, with where they come from."""
    return _section(
        report, table([row for row in report.rows if row.id in GOALS and (row.goal or row.reached is not None)])
    )


def of_tasks(report: Report) -> str:
    """All that was compared, and how it grows."""
    return _section(report, table(report.rows))


def of_growth(report: Report) -> str:
    """What grows by size; then what was measured once."""
    sized = [row for id_ in SIZED for row in report.rows if row.id == id_ and row.size]
    once = [row for id_ in ONCE for row in report.rows if row.id == id_ and not row.size]
    return _section(report, f"{by_size(sized)}\n\n{table(once)}")


def _section(report: Report, tables: str) -> str:
    return f"{tables}\n\n{origin_of(report)}"


def filled(readme: str, tables: dict[str, str]) -> str:
    """The README with these tables between `<!-- NAME -->` and `<!-- /NAME -->`. Raises ValueError where marks are missing."""
    for name, text in tables.items():
        head, begin, rest = readme.partition(f"<!-- {name} -->\n")
        _, end, tail = rest.partition(f"<!-- /{name} -->")
        if not begin or not end:
            raise ValueError(f"The README has no marks of {name}")
        readme = f"{head}{begin}{text}\n{end}{tail}"
    return readme


def tables_of(folder: Path) -> dict[str, str]:
    """Of the runs whose files are there."""
    makers = {"ratio": of_ratio, "tasks": of_tasks, "growth": of_growth}
    files = {name: folder / f"{name}.json" for name in makers}
    return {
        f"bench-{name}": makers[name](msgspec.json.decode(file.read_bytes(), type=Report))
        for name, file in files.items()
        if file.exists()
    }


def main(folder: str, readme: str) -> None:
    """Write them."""
    file = Path(readme)
    file.write_text(filled(file.read_text(), tables_of(Path(folder))))


if __name__ == "__main__":
    main(*sys.argv[1:])
