"""What nunjitsu answered to some seventeen hundred templates of our own, asked of Greenroom's engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.templating.grammar import CONTEXT
from tests.conformance.templating.ours import answer, difference

RECORDED = Path(__file__).with_name("recorded.jsonl")
PIECE = 50


def _recorded() -> Iterator[Any]:
    topics: dict[str, list[dict[str, Any]]] = {}
    for line in RECORDED.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        topics.setdefault(case["topic"], []).append(case)
    for topic, found in topics.items():
        for start in range(0, len(found), PIECE):
            yield pytest.param(found[start : start + PIECE], id=f"{topic}-{start // PIECE}")


@pytest.mark.parametrize("cases", list(_recorded()))
def test_a_template_renders_as_upstream_renders_it(cases: list[dict[str, Any]]) -> None:
    wrong = []
    for case in cases:
        mine = answer({**case, "context": CONTEXT})
        found = difference(case, mine)
        if found:
            wrong.append({"what": found, "template": case["template"], "theirs": case, "ours": mine})
    assert not wrong, json.dumps(wrong[:3], indent=1, ensure_ascii=False)


def test_what_is_recorded_covers_all_topics() -> None:
    topics = {json.loads(line)["topic"] for line in RECORDED.read_text(encoding="utf-8").splitlines()}
    assert {"chance", "cookiecutter", "loops", "filters", "tests", "regular expressions"} <= topics
