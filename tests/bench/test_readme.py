"""A figure in the README that no run has given would be a promise that nobody can check."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.readme import filled, tables_of

ROOT = Path(__file__).parents[2]


def test_the_readme_tells_what_the_last_runs_gave() -> None:
    readme = (ROOT / "README.md").read_text()
    found = tables_of(ROOT / "docs" / "bench")
    assert set(found) == {"bench-ratio", "bench-tasks", "bench-growth"}
    assert filled(readme, found) == readme, "make bench-report"


def test_a_figure_that_was_changed_by_hand_is_noticed() -> None:
    readme = (ROOT / "README.md").read_text()
    row = next(line for line in readme.splitlines() if line.startswith("| until 20,000 new entities are served"))
    assert filled(readme.replace(row, row.replace(" s ", " ms ")), tables_of(ROOT / "docs" / "bench")) == readme


def test_a_readme_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="bench-ratio"):
        filled("# Greenroom", {"bench-ratio": "|"})
