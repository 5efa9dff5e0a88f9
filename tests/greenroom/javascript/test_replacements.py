"""What `$1`, `$&` and the like stand for. Expectations were computed with Node 20."""

from __future__ import annotations

import pytest

from greenroom.javascript.replacements import expand


@pytest.mark.parametrize(
    ("replacement", "groups", "names", "text"),
    [
        ("plain", ["b"], {}, "plain"),
        ("$$|$&|$`|$'", ["b"], {}, "$|b|a|c"),
        ("$1|$01|$11|$2|$0|$", ["b", "x"], {}, "x|x|x1|$2|$0|$"),
        ("$12|$1", ["b", *"0123456789ab"], {}, "b|0"),
        ("$1|$<n>|$<m>", ["b", None], {"n": 1}, "||"),
        ("$<n>", ["b"], {}, "$<n>"),
        ("$<$&>", ["b"], {}, "$<b>"),
        ("$<n>$<$&$<", ["b", "x"], {"n": 1}, "x$<b$<"),
        ("$<$&>", ["b", "x"], {"n": 1}, ""),
    ],
)
def test_marks_are_filled_in(replacement: str, groups: list[str | None], names: dict[str, int], text: str) -> None:
    assert expand(replacement, "abc", 1, groups, names) == text
