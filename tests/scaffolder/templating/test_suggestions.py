"""Misspelled names are told what was meant, as long as that does not take too long."""

from __future__ import annotations

import pytest

from greenroom_scaffolder.templating import suggestions
from greenroom_scaffolder.templating.suggestions import Suggestions


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The pairs of letters of each comparison from now on."""
    pairs: list[int] = []
    whole = suggestions.distance

    def distance(left: str, right: str) -> int:
        pairs.append(len(left) * len(right))
        return whole(left, right)

    monkeypatch.setattr(suggestions, "distance", distance)
    return pairs


def test_a_run_with_many_unknown_names_stops_comparing_and_goes_on(compared: list[int]) -> None:
    known = [f"name{number:03}" for number in range(100)]
    run = Suggestions(most=20_000)
    hints = [run.nearest(f"nome{number:03}", known) for number in range(100)]
    assert hints == [*known[:4], *[None] * 96]
    assert 0 < sum(compared) < 20_000


def test_one_name_among_very_many_is_not_compared_with_all(compared: list[int]) -> None:
    assert Suggestions(most=5_000).nearest("nome999", (f"name{number:03}" for number in range(1_000))) is None
    assert len(compared) == 4_999 // 49


def test_names_that_cannot_be_meant_hardly_count() -> None:
    known = [*("x" * 50 for _ in range(1_000)), "name"]
    assert Suggestions(most=2_000).nearest("nmae", known) == "name"
