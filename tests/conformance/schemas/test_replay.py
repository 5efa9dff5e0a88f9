"""What npm's `jsonschema` answered about some thousands of pairs of schema and value, and what ours answers."""

from __future__ import annotations

import json
from itertools import islice

import pytest

from tests.conformance.schemas.cases import Case, encoded, made_up
from tests.conformance.schemas.live import RECORDING, corpus_cases, recorded_cases, shared
from tests.conformance.schemas.sides import PACKAGE, ask_ours, ask_upstream, canonical, same_answer
from tests.support.node import node_modules


def recording() -> list[tuple[Case, object]]:
    pairs = (line.split("\t") for line in RECORDING.read_text().splitlines())
    return [(json.loads(case), json.loads(answer)) for case, answer in pairs]


def test_every_recorded_answer_is_ours_too() -> None:
    different = [
        f"{canonical(case)}\n  upstream {canonical(upstream)}\n  ours     {canonical(ask_ours(case))}"
        for case, upstream in recording()
        if not same_answer(ask_ours(case), upstream)
    ]
    assert not different, f"{len(different)} differ\n" + "\n".join(different[:5])


def test_the_recording_is_of_the_cases_that_are_written_here() -> None:
    """Otherwise record again: `python -m tests.conformance.schemas.live --record`."""
    assert [canonical(case) for case, _ in recording()] == [
        canonical(json.loads(encoded(case))) for case in recorded_cases()
    ]


def test_upstream_itself_agrees_about_what_nobody_wrote() -> None:
    cases = list(islice(made_up(77, 2000), 2000))
    answers = ask_upstream(node_modules(PACKAGE), cases)
    assert not [case for case, answer in zip(cases, answers, strict=True) if not same_answer(ask_ours(case), answer)]


def test_upstream_itself_agrees_about_the_forms_of_real_templates() -> None:
    if not (shared() / "corpus").is_dir():
        pytest.skip("needs the shared corpus: GREENROOM_SHARED says where it is")
    cases = list(corpus_cases(shared()))[::10]
    answers = ask_upstream(node_modules(PACKAGE), cases)
    assert not [case for case, answer in zip(cases, answers, strict=True) if not same_answer(ask_ours(case), answer)]
