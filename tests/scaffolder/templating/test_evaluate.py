"""`greenroom template eval`: a line for a line, whatever the line is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from greenroom_scaffolder.templating.evaluate import Evaluator


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ({"template": "${{ a }}", "context": {"a": 3}}, {"render": "3", "value": 3}),
        ({"template": "${{ a }}"}, {"render": ""}),
        ({"template": "${{ a }}", "context": {"a": None}}, {"render": "", "value": None}),
        ({"template": "${{ a / 2 }}", "context": {"a": 4.0}}, {"render": "2", "value": 2}),
        ({"template": "${{ 0 / 0 }}"}, {"render": "NaN", "value": None}),
        ({"template": "${{ a |"}, {"error": "Template error at line 1, column 1: Unterminated variable tag"}),
        (
            {"template": "{{ a }}", "context": {"a": 1}, "options": {"cookiecutterCompat": True}},
            {"render": "1", "value": 1},
        ),
        ({"template": "{% if 1 %}\nx{% endif %}", "options": {"trimBlocks": True}}, {"render": "x", "value": "x"}),
        ({"context": {}}, {"error": 'Expected an object with a "template"'}),
        ({"template": "x", "context": []}, {"render": "x", "value": "x"}),
        ({"template": "x", "context": [1]}, {"error": '"context" must be an object'}),
        (
            {"template": "x", "options": {"trim": True}},
            {"error": "Unknown options: trim; there are cookiecutterCompat, trimBlocks, lstripBlocks"},
        ),
        ([], {"error": 'Expected an object with a "template"'}),
    ],
)
def test_a_question_gets_what_a_file_and_a_step_would_get(question: Any, answer: dict[str, Any]) -> None:
    assert json.loads(Evaluator().line(json.dumps(question))) == answer


def test_a_line_that_is_no_json_is_answered_too() -> None:
    assert json.loads(Evaluator().line("{nope"))["error"].startswith("Not JSON")


@pytest.mark.parametrize(
    "line", ["[" * 100_000, b"\xff", '{"template": "x", "context": {"a": ' + "[" * 3000 + "]" * 3000 + "}}"]
)
def test_no_line_ends_the_command(line: str | bytes) -> None:
    assert isinstance(json.loads(Evaluator().line(line)), dict)


def test_half_an_emoji_can_be_written_to_the_terminal() -> None:
    answer = Evaluator().line(json.dumps({"template": "${{ s[0] }}", "context": {"s": "😀"}}))
    assert answer.encode() == '{"render":"\ufffd","value":"\\ud83d"}'.encode()


def test_filters_of_the_installation_are_known() -> None:
    evaluator = Evaluator({"shout": lambda value: value.upper()}, {"region": "eu"})
    assert evaluator.answer({"template": "${{ region | shout }}"}) == {"render": "EU", "value": "EU"}
