"""What a wrong value is told, where no route's recording says it already (catalog and permission hold those)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from greenroom.web import shapes


@pytest.mark.parametrize(
    ("value", "codes"),
    [(["a"], []), ([], ["too_small"]), ([1], ["invalid_type"]), ("a", ["invalid_type"]), ([None], ["invalid_type"])],
)
def test_a_list_may_have_to_hold_something(value: Any, codes: list[str]) -> None:
    found, issues = shapes.parse(shapes.array(shapes.STRING, least=1), value)
    assert [issue["code"] for issue in issues] == codes
    assert found == (None if codes else value)


def test_a_list_that_is_only_too_short_speaks_for_the_whole_union() -> None:
    _, issues = shapes.parse(shapes.union(shapes.STRING, shapes.array(shapes.STRING, least=1)), [])
    assert shapes.describe(issues) == "Validation error: Array must contain at least 1 element(s)"


def test_issues_can_be_written_whatever_they_quote() -> None:
    _, issues = shapes.parse(shapes.literal("a"), "é\ud800")
    text = shapes.listed(issues)
    assert '"received": "é\\ud800"' in text
    assert json.loads(text.encode())[0]["message"] == 'Invalid literal value, expected "a"'
