"""What the documentation says of the actions is what they say of themselves."""

from __future__ import annotations

from pathlib import Path

from tests.support.called import Run
from tests.support.processes import run

REPOSITORY = Path(__file__).resolve().parents[3]


def test_the_page_of_the_actions_is_of_the_actions_there_are() -> None:
    told = run("template", "actions", "--format", "markdown").out
    page = (REPOSITORY / "docs" / "actions.md").read_text(encoding="utf-8")
    assert told == page, "write it anew: make docs"


def test_an_action_is_told_with_its_inputs_and_an_example(greenroom: Run) -> None:
    told = greenroom("template", "actions", "debug:log").out
    assert "| `message` | string |" in told
    assert "action: debug:log" in told
    name, about, *_ = told.splitlines()
    assert (name, told.count(about)) == ("debug:log", 1)
    missing = greenroom("template", "actions", "debug:lgo")
    assert (missing.code, "there is no action debug:lgo, did you mean debug:log?" in missing.err) == (2, True)


def test_a_list_of_actions_says_of_each_a_whole_sentence(greenroom: Run) -> None:
    told = {line.split()[0]: line for line in greenroom("template", "actions").out.splitlines() if ":" in line}
    assert told["fetch:template"].endswith("or a folder of it (`targetPath`).")
