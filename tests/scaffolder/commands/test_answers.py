"""What is given on a command line becomes what a form would send."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from greenroom_scaffolder.commands.answers import completed, from_file, given, secrets

BLOCKS = [
    {
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "title": "Name"},
            "port": {"type": "integer", "default": 8080},
            "database": {"type": "object", "properties": {"size": {"type": "string", "default": "small"}}},
        },
    }
]


def test_a_number_stays_text_where_the_form_wants_text() -> None:
    assert given(["name=007", "port=81", "tags=[a, b]"], BLOCKS) == {"name": "007", "port": 81, "tags": ["a", "b"]}


def test_a_value_may_hold_an_equals_sign() -> None:
    assert given(["name=host?owner=a&repo=b"], BLOCKS) == {"name": "host?owner=a&repo=b"}


@pytest.mark.parametrize("wrong", ["name", "port=[1"])
def test_what_is_no_assignment_is_refused(wrong: str) -> None:
    with pytest.raises(click.BadParameter):
        given([wrong], BLOCKS)


def test_defaults_of_the_form_are_filled_in_also_inside_objects() -> None:
    assert completed({"name": "a"}, BLOCKS, None) == {"name": "a", "port": 8080, "database": {"size": "small"}}
    assert completed({"name": "a", "port": 1, "database": {"size": "big"}}, BLOCKS, None)["database"] == {"size": "big"}


def test_all_that_is_missing_is_named_at_once() -> None:
    blocks = [{"required": ["a"]}, {"required": ["b"]}]
    with pytest.raises(click.UsageError, match="missing: a, b"):
        completed({}, blocks, None)


def test_what_is_missing_is_asked_for_where_somebody_can_answer() -> None:
    assert completed({}, BLOCKS, lambda name, schema: f"{schema['title']} of {name}")["name"] == "Name of name"


def test_values_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("name: a\nport: 1\n")
    assert from_file(file) == {"name": "a", "port": 1}
    file.write_text("- a\n")
    with pytest.raises(click.BadParameter, match="holds no object"):
        from_file(file)


def test_a_secret_is_never_taken_from_the_command_line_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text("from-a-file\n")
    monkeypatch.setenv("TOKEN", "from-the-environment")
    assert secrets(["TOKEN", f"OTHER=@{file}"]) == {"TOKEN": "from-the-environment", "OTHER": "from-a-file"}
    with pytest.raises(click.BadParameter, match="others can read a command line"):
        secrets(["TOKEN=abc"])
    with pytest.raises(click.BadParameter, match="not set in the environment"):
        secrets(["MISSING_TOKEN"])
