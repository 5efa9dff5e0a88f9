"""The scaffolder's pages of the unmodified frontend in a real browser: they show what they show over upstream.

Each step of `scaffolder.js` must succeed, show the same words at the same address, ask the same of the backend, be answered the
same by the scaffolder, and say no more on the console. `scaffolder.jsonl` is what upstream gave; `record` asks it anew.
"""

from __future__ import annotations

import os
import re
from typing import Any

import pytest

from tests.e2e.frontend import SCAFFOLDER, TEMPLATES, Question, Visit, plain, visit
from tests.e2e.record import recorded
from tests.e2e.test_frontend import EXCUSED, address, answers_of, outcomes
from tests.support.postgres import TestServer

pytestmark = pytest.mark.skipif(not os.environ.get("GREENROOM_E2E"), reason="make e2e runs this")

_LOG = re.compile(r"^\d+\n.*", re.MULTILINE | re.DOTALL)
"""The log of a task's page shows the lines that fit, each below its number; all of it is compared as it came."""
_DURATION = re.compile(r"\b\d+ seconds?\b")
_DATE = re.compile(r"\d+/\d+/\d{4}, \d+:\d\d:\d\d\s[AP]M")
OTHER_ACTIONS = {"actions", "actions-chosen"}
"""Each side lists its own, in its own words."""
ANY_FIELD = "editor-fields"
"""Which field the page shows first is said by which part of the frontend was loaded first: an EntityPicker asks the catalog, a
RepoUrlPicker does not. What comes behind its name is left out."""


@pytest.fixture(scope="module")
def expected() -> Visit:
    return recorded()


@pytest.fixture(scope="module")
async def seen(postgres_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    folder = tmp_path_factory.mktemp("scaffolder")
    return await visit(postgres_server, folder, "", SCAFFOLDER, template=TEMPLATES / "all.yaml")


STEPS = list(recorded().steps)


@pytest.mark.parametrize("step", STEPS)
def test_a_page_of_the_scaffolder_is_as_over_upstream(step: str, seen: Visit, expected: Visit) -> None:
    ours, theirs = seen.steps[step], expected.steps[step]
    assert theirs["ok"], "upstream itself failed here: record it anew"
    assert ours["ok"], ours["msg"]
    if step not in OTHER_ACTIONS:
        assert _words(ours) == _words(theirs)
    assert address(ours) == address(theirs)
    for plugin in ("auth", *(["catalog"] if step != ANY_FIELD else []), "permission", "scaffolder"):
        assert outcomes(seen.calls[step][plugin]) == outcomes(expected.calls[step][plugin])
    said = {plain(line) for line in theirs["consoleErrors"]} | EXCUSED
    assert [line for line in ours["consoleErrors"] if plain(line) not in said] == []


@pytest.mark.parametrize("step", STEPS)
def test_the_frontend_is_told_by_the_scaffolder_what_upstream_tells(step: str, seen: Visit, expected: Visit) -> None:
    ours, theirs = _answered(seen, step), _answered(expected, step)
    for question, answers in theirs.items():
        for answer in ours.get(question, []):
            assert answer in answers, question


def _answered(seen: Visit, step: str) -> dict[Question, list[Any]]:
    """The scaffolder's answers in a step. How far a task is when it is asked for, only its speed says; its events tell the rest."""
    found = answers_of(seen.calls[step]["scaffolder"])
    return {
        question: [{**answer, "status": "…"} for answer in answers] if question[1].endswith("/v2/tasks/…") else answers
        for question, answers in found.items()
    }


def _words(shown: dict[str, Any]) -> dict[str, str]:
    """Every text that a step kept, without the log, durations and dates, and with lists of options in one order."""
    kept = {key: value for key, value in shown.items() if isinstance(value, str) and key not in ("step", "msg", "url")}
    if "/create/tasks/" in shown["url"]:
        kept = {key: _LOG.sub("", value) for key, value in kept.items()}
    if shown["step"] == ANY_FIELD:
        kept = {key: value.partition("Field Options")[0] for key, value in kept.items()}
    for key in kept.keys() & {"offered", "text" if shown["step"] == "task-link" else ""}:
        kept[key] = "\n".join(sorted(kept[key].splitlines()))  # options, and a group's relations, have no order
    return {key: _DURATION.sub("… s", _DATE.sub("…", plain(value))) for key, value in kept.items()}
