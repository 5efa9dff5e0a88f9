"""Whatever texts there are, and however they begin, they are found where they stand, and nobody waits for it."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom_scaffolder.workspace import exact
from greenroom_scaffolder.workspace.exact import Exact, Span
from tests.support.waiting import slowness

RANDOM = random.Random(1)
NESTED = ["a" * length for length in range(2, 502)]
ALIKE = ["xy" + "".join(RANDOM.choices("ab", k=10_000 + number)) for number in range(400)]
LONG = ["xy" + "z" * (100_000 + number) for number in range(300)]
DEEP = ["xy" * 5_000 + str(number) for number in range(400)]


def knowing(texts: Iterable[str]) -> Exact:
    known = Exact()
    for text in texts:
        known.add(text)
    return known


def one_by_one(texts: Sequence[str], text: str) -> list[Span]:
    """What may never differ: each place is asked for each text."""
    covered: list[Span] = []
    for start in range(len(text)):
        for end in [start + len(one) for one in texts if len(one) > 1 and text.startswith(one, start)]:
            if covered and start < covered[-1][1]:
                covered[-1] = (covered[-1][0], max(end, covered[-1][1]))
            else:
                covered.append((start, end))
    return covered


@given(
    texts=st.lists(st.text("ab!", min_size=1, max_size=9), max_size=12),
    text=st.text("ab!", max_size=50),
    few=st.sampled_from([0, 1, 3, 250]),
    sight=st.sampled_from([1, 2, 5, 128]),
)
def test_they_are_found_where_each_of_them_stands(texts: list[str], text: str, few: int, sight: int) -> None:
    with patch.multiple(exact, _FEW=few, _SIGHT=sight):
        assert knowing(texts).spans(text) == one_by_one(texts, text)


@pytest.mark.parametrize(
    ("texts", "text", "found"),
    [
        (NESTED[:250], "a" * 20_000, [(0, 20_000)]),
        (NESTED, "a" * 20_000, [(0, 20_000)]),
        (NESTED, ("a" * 300 + "b") * 60, [(start, start + 300) for start in range(0, 60 * 301, 301)]),
        (ALIKE[:250], "xy" * 20_000, []),
        (ALIKE, "xy" * 20_000, []),
        (LONG, "xy{" * 13_000, []),
        (ALIKE, f"{ALIKE[7]}|{ALIKE[300]}", [(0, 10_009), (10_010, 20_312)]),
        ([f"{one}{other}" for one in "abcdefghijklmnopq" for other in "ABCDEFGHIJKLM"], "aA" * 20_000, None),
    ],
    ids=[
        "nested",
        "many nested",
        "nested in pieces",
        "alike",
        "many alike",
        "far too long",
        "those themselves",
        "short ones",
    ],
)
def test_a_long_line_that_is_made_for_it_keeps_nobody_waiting(
    texts: list[str], text: str, found: list[Span] | None
) -> None:
    """Some took fifteen seconds, in which the process did nothing else."""
    known = knowing(texts)
    began = time.thread_time()
    spans = known.spans(text)
    assert time.thread_time() - began < 2 * slowness()
    assert spans == ([(start, start + 2) for start in range(0, len(text), 2)] if found is None else found)


def test_of_a_line_that_would_take_too_long_all_is_hidden_that_was_not_looked_at() -> None:
    known = knowing(DEEP)
    began = time.thread_time()
    ((start, end),) = known.spans("xy" * 200_000 + DEEP[7])
    assert time.thread_time() - began < 4 * slowness()
    assert start <= 400_000
    assert end == 400_000 + len(DEEP[7])


@given(
    batches=st.lists(st.lists(st.text("ab!", min_size=1, max_size=6), max_size=6), max_size=6),
    text=st.text("ab!", max_size=50),
    few=st.sampled_from([0, 3, 250]),
)
def test_of_texts_that_come_together_each_is_found(batches: list[list[str]], text: str, few: int) -> None:
    known = Exact()
    with patch.multiple(exact, _FEW=few):
        for batch in batches:
            known.update(batch)
        assert known.spans(text) == one_by_one([one for batch in batches for one in batch], text)


def test_very_many_texts_that_come_together_are_known_at_once() -> None:
    """One by one, 60,000 took seven seconds; the time grew with the square of their number."""
    known = Exact()
    began = time.thread_time()
    known.update(f"s3cr3t {number}" for number in range(60_000))
    assert time.thread_time() - began < 2 * slowness()
    assert known.spans("a s3cr3t 59999 b") == [(2, 14)]


def test_a_copy_finds_what_was_added_before_and_nothing_that_was_added_after() -> None:
    known = knowing(f"text-{number}-" for number in range(600))
    copied = known.copy()
    known.add("later")
    assert copied.spans("text-7- later text-599-") == [(0, 7), (14, 23)]
    assert known.spans("text-7- later") == [(0, 7), (8, 13)]
    assert ("later" in known, "later" in copied, len(copied)) == (True, False, 600)
