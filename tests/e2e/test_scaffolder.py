"""The scaffolder's pages of the unmodified frontend in a real browser: they show what they show over upstream.

Each step of `scaffolder.js` must succeed, show the same words at the same address, ask the same of the backend, be answered the
same by the scaffolder, and say no more on the console. `scaffolder.jsonl` is what upstream gave; `record` asks it anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.server import settle
from tests.e2e.frontend import (
    FRONTEND,
    SCAFFOLDER,
    TEMPLATES,
    Question,
    Visit,
    drive,
    free_ports,
    frontend_home,
    plain,
    served,
)
from tests.e2e.record import recorded
from tests.e2e.test_frontend import EXCUSED, _address, _answers, _outcomes
from tests.support.house import at_an_address
from tests.support.postgres import TestServer

pytestmark = pytest.mark.skipif(not os.environ.get("GREENROOM_E2E"), reason="make e2e runs this")

_LOG = re.compile(r"^\d+\n.*", re.MULTILINE | re.DOTALL)
"""The log of a task's page shows the lines that fit, each below its number; all of it is compared as it came."""
_DURATION = re.compile(r"\b\d+ seconds?\b")
_DATE = re.compile(r"\d+/\d+/\d{4}, \d+:\d\d:\d\d\s[AP]M")
OTHER_ACTIONS = {"actions", "actions-chosen"}
"""Each side lists its own, in its own words."""


@pytest.fixture(scope="module")
def expected() -> Visit:
    return recorded()


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
async def seen(
    postgres_server: TestServer, tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch
) -> Visit:
    """One visit of the browser to Greenroom."""
    frontend_home()
    # See test_frontend: the recording proxy must not lose the race to the last connection.
    patch.setattr("greenroom.web.server.KEEP_ALIVE", 65)
    folder, ports = tmp_path_factory.mktemp("scaffolder"), free_ports()
    text = (Path(__file__).parent / "frontend.yaml").read_text()
    text = text.replace("${fixtures}/create-app-examples/template/template.yaml", str(TEMPLATES / "all.yaml"))
    text = text.replace("${fixtures}", str(FRONTEND / "fixtures")).replace("${app}", f"http://127.0.0.1:{ports.app}")
    async with at_an_address(postgres_server, folder, lambda address: text.replace("${self}", address)) as opened:
        await settle(opened.house, opened.database)
        async with served(opened.address, ports, folder):
            return await drive(opened.address, ports, folder, "", SCAFFOLDER)


STEPS = list(recorded().steps)


@pytest.mark.parametrize("step", STEPS)
def test_a_page_of_the_scaffolder_is_as_over_upstream(step: str, seen: Visit, expected: Visit) -> None:
    ours, theirs = seen.steps[step], expected.steps[step]
    assert theirs["ok"], "upstream itself failed here: record it anew"
    assert ours["ok"], ours["msg"]
    if step not in OTHER_ACTIONS:
        assert _words(ours) == _words(theirs)
    assert _address(ours) == _address(theirs)
    for plugin in ("auth", "catalog", "permission", "scaffolder"):
        assert _outcomes(seen.calls[step][plugin]) == _outcomes(expected.calls[step][plugin])
    said = {plain(line) for line in theirs["consoleErrors"]} | EXCUSED
    assert [line for line in ours["consoleErrors"] if plain(line) not in said] == []


@pytest.mark.parametrize("step", STEPS)
def test_the_frontend_is_told_by_the_scaffolder_what_upstream_tells(step: str, seen: Visit, expected: Visit) -> None:
    ours, theirs = _answered(seen, step), _answered(expected, step)
    for question, answers in theirs.items():
        for answer in ours.get(question, []):
            assert answer in answers, question


def _answered(visit: Visit, step: str) -> dict[Question, list[Any]]:
    """The scaffolder's answers in a step. How far a task is when it is asked for, only its speed says; its events tell the rest."""
    found = _answers(visit.calls[step]["scaffolder"])
    return {
        question: [{**answer, "status": "…"} for answer in answers] if question[1].endswith("/v2/tasks/…") else answers
        for question, answers in found.items()
    }


def _words(shown: dict[str, Any]) -> dict[str, str]:
    """Every text that a step kept, without the log, durations and dates, and with lists of options in one order."""
    kept = {key: value for key, value in shown.items() if isinstance(value, str) and key not in ("step", "msg", "url")}
    if "/create/tasks/" in shown["url"]:
        kept = {key: _LOG.sub("", value) for key, value in kept.items()}
    for key in kept.keys() & {"offered", "text" if shown["step"] == "task-link" else ""}:
        kept[key] = "\n".join(sorted(kept[key].splitlines()))  # options, and a group's relations, have no order
    return {key: _DURATION.sub("… s", _DATE.sub("…", plain(value))) for key, value in kept.items()}
