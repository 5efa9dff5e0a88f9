"""Regular expressions of JavaScript: what they match is held against upstream in tests/conformance; here is what they cost."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from greenroom.javascript.patterns import PatternError, PatternTooLargeError, compiled
from tests.support.waiting import slowness


@pytest.mark.parametrize(
    ("source", "flags", "text", "match"),
    [
        ("^a$", "m", "b\na\u2028c", "a"),
        ("É", "i", "é", "é"),
        ("a{00000000000000000000002}", "", "aaa", "aa"),
        ("(b)?\\1a", "", "a", "a"),
        ("[^]", "", "\n", "\n"),
        ("\\d\\cJ{", "", "1\n{", "1\n{"),
        ("(a\\1)b", "", "ab", "ab"),
        ("(?<n>x\\k<n>)", "", "x", "x"),
        ("(\\_?\\k<n>)", "", "k<n>", "k<n>"),
    ],
)
def test_what_only_javascript_means_is_meant(source: str, flags: str, text: str, match: str) -> None:
    found = compiled(source, flags).search(text)
    assert found is not None
    assert found[0] == match


@pytest.mark.parametrize(
    "source",
    ["a{99999999}", "[ab]{999999,}", "(?:a{99}){9999}", "((a{100}){100}){100}", "a{" + "9" * 5000 + "}", "x" * 50_000],
)
def test_a_pattern_that_would_fill_the_memory_is_refused_at_once(source: str) -> None:
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(PatternTooLargeError):
            compiled(source)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < slowness()


def test_a_great_many_at_the_most_costs_nothing() -> None:
    assert compiled("^a{0,2147483648}$").search("a" * 1000)


@pytest.mark.parametrize("source", ["(", "a{2,1}", "[b-a]", "*", "(?<a>.)(?<a>.)", "\\"])
def test_what_is_no_pattern_is_told_in_v8s_words(source: str) -> None:
    with pytest.raises(PatternError, match=r".+"):
        compiled(source)
