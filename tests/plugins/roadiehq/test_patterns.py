"""`replaceAll` of texts and patterns. Expectations were computed with Node 20."""

from __future__ import annotations

import tracemalloc

import pytest

from greenroom.errors import InputError
from greenroom_plugins.roadiehq.patterns import MOST_CHARACTERS, replace_all


@pytest.mark.parametrize(
    ("content", "find", "replacement", "result"),
    [
        ("a\u2028b", "^.|.$", "-", "-\u2028-"),
        ("x1a", "(?:a)??", "é$$", "é$xé$1é$aé$"),
        ("abxd", "x*", "-", "-a-b--d-"),
        ("ab", "(?<n>a)|b", "$<n>|$<m>|$1|$2|$0", "a||a|$2|$0|||$2|$0"),
        ("ab", "(b)?\\1a", "<$&$'>", "<ab>b"),
        ("É é", "É", "x", "x é"),
        ("tab\tend", "[^\\S ]", "_", "tab_end"),
        ("😀", "^..$", "two", "two"),
    ],
)
def test_a_pattern_matches_and_is_replaced_as_in_javascript(
    content: str, find: str, replacement: str, result: str
) -> None:
    assert replace_all(content, find, replacement, is_pattern=True) == result


def test_a_text_is_no_pattern() -> None:
    assert replace_all("a.b 😀", ".", "$&$1$`", is_pattern=False) == "a.$1ab 😀"


def test_a_wrong_pattern_is_told_in_the_words_of_node() -> None:
    with pytest.raises(InputError) as caught:
        replace_all("a", "(", "b", is_pattern=True)
    assert str(caught.value) == "Invalid regular expression: /(/g: Unterminated group"


def test_what_a_replacement_would_make_of_one_match_is_refused_before_it_is_made() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="too large a text"):
            replace_all("a" * 100_000, "a+", "$&" * 10_000, is_pattern=True)  # a thousand million characters
        assert tracemalloc.get_traced_memory()[1] < 4 * MOST_CHARACTERS
    finally:
        tracemalloc.stop()
