"""What is given on a command line becomes what a form would send."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from greenroom_scaffolder.commands.answers import answers, from_file, given, secrets
from greenroom_scaffolder.commands.completing import completed
from greenroom_scaffolder.commands.form import Block

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


def test_values_are_read_as_a_template_is() -> None:
    """By YAML 1.2: upstream's form knows neither dates nor `yes`."""
    assert given(["day=2026-11-22", "port=yes", "empty="], BLOCKS) == {
        "day": "2026-11-22",
        "port": "yes",
        "empty": None,
    }


def test_a_field_of_which_nothing_is_said_takes_anything() -> None:
    assert given(["any=[1]"], [{"properties": {"any": True}}]) == {"any": [1]}


def test_defaults_of_the_form_are_filled_in_also_inside_objects() -> None:
    assert completed({"name": "a"}, {}, BLOCKS).values == {"name": "a", "port": 8080, "database": {"size": "small"}}
    filled = completed({"name": "a", "port": 1, "database": {"size": "big"}}, {}, BLOCKS).values
    assert filled["database"] == {"size": "big"}


def test_all_that_is_missing_is_named_at_once() -> None:
    secret = {"properties": {"TOKEN": {"ui:field": "Secret"}}, "required": ["TOKEN"]}
    with pytest.raises(click.UsageError, match="give -v a=… -v b=… -s TOKEN, or --values FILE"):
        completed({}, {}, [{"required": ["a"]}, {"required": ["b"]}, secret])


def test_what_is_missing_is_asked_for_where_somebody_can_answer() -> None:
    assert (
        completed({}, {}, BLOCKS, lambda name, schema: f"{schema['title']} of {name}").values["name"] == "Name of name"
    )


PASSWORD = [{"required": ["password"], "properties": {"password": {"type": "string", "ui:field": "Secret"}}}]


def test_a_field_that_is_a_secret_is_sent_as_one_and_as_stars_among_the_values() -> None:
    assert completed({}, {"password": "abc"}, PASSWORD) == ({"password": "***"}, {"password": "abc"})
    assert completed({}, {}, PASSWORD, lambda name, schema: "typed") == ({"password": "*****"}, {"password": "typed"})
    with pytest.raises(click.BadParameter, match="give it by -s password"):
        completed({"password": "abc"}, {}, PASSWORD)


CHOICE: list[Block] = [
    {
        "required": ["lang"],
        "properties": {"lang": {"enum": ["python", "go"]}},
        "dependencies": {
            "lang": {
                "oneOf": [
                    {
                        "required": ["version", "sec"],
                        "properties": {
                            "lang": {"const": "python"},
                            "version": {"type": "string", "default": "3.12"},
                            "sec": {"type": "string", "ui:field": "Secret"},
                        },
                    },
                    {"required": ["module"], "properties": {"lang": {"const": "go"}, "module": {"type": "string"}}},
                ]
            }
        },
    }
]


def form(part: Block) -> list[Block]:
    return [{"$defs": {"secret": {"ui:field": "Secret"}}, **part}]


@pytest.mark.parametrize(
    ("blocks", "values"),
    [
        (CHOICE, {"lang": "python", "version": "x", "sec": "hunter2"}),
        (CHOICE, {"lang": "go", "sec": "hunter2"}),
        (form({"allOf": [{"if": {}, "then": {"properties": {"sec": {"ui:field": "Secret"}}}}]}), {"sec": "hunter2"}),
        (form({"properties": {"sec": {"$ref": "#/$defs/secret"}}}), {"sec": "hunter2"}),
        (
            form({"properties": {"sec": {"$ref": "#/$defs/secret"}, "child": {"$ref": "#"}}}),
            {"child": {"sec": "hunter2"}},
        ),
        (
            form({"properties": {"db": {"anyOf": [{"properties": {"sec": {"ui:field": "Secret"}}}]}}}),
            {"db": {"sec": "a"}},
        ),
        (
            form({"properties": {"dbs": {"items": {"properties": {"sec": {"ui:field": "Secret"}}}}}}),
            {"dbs": [{"sec": 1}]},
        ),
    ],
)
def test_a_secret_is_never_taken_openly_wherever_it_stands_in_the_form(
    blocks: list[Block], values: dict[str, Any]
) -> None:
    with pytest.raises(click.BadParameter, match="sec is a secret: give it by -s sec"):
        completed(values, {}, blocks)


def test_a_secret_that_something_else_brings_up_is_sent_as_one() -> None:
    found = completed({"lang": "python"}, {"sec": "abc"}, CHOICE)
    assert found == ({"lang": "python", "version": "3.12", "sec": "***"}, {"sec": "abc"})
    assert completed({"lang": "go", "module": "m"}, {"sec": "abc"}, CHOICE).values == {"lang": "go", "module": "m"}


def test_a_secret_inside_an_object_leaves_its_stars_there() -> None:
    blocks = [{"properties": {"db": {"properties": {"password": {"ui:field": "Secret"}}}}}]
    assert completed({}, {"password": "abc"}, blocks).values == {"db": {"password": "***"}}


def test_what_a_choice_brings_up_is_filled_in_and_asked_for() -> None:
    with pytest.raises(click.UsageError, match=r"give -s sec, or"):
        completed({"lang": "python"}, {}, CHOICE)
    with pytest.raises(click.UsageError, match=r"give -v module=…, or"):
        completed({"lang": "go"}, {}, CHOICE)
    typed = {"lang": "python", "sec": "abc"}
    assert completed({}, {}, CHOICE, lambda name, schema: typed[name]).values["version"] == "3.12"


def test_defaults_bring_up_what_depends_on_them() -> None:
    more = {"if": {"properties": {"a": {"const": 1}}}, "then": {"properties": {"b": {"default": 2}}}}
    blocks = [{"properties": {"a": {"default": 1}}, "allOf": [more], "dependencies": {"b": ["c"]}}]
    with pytest.raises(click.UsageError, match="give -v c=…"):
        completed({}, {}, blocks)
    assert completed({"c": 3}, {}, blocks).values == {"c": 3, "a": 1, "b": 2}


def test_of_several_forms_of_an_object_the_one_is_filled_in_that_agrees_with_what_is_given() -> None:
    options: list[Any] = [
        {"properties": {"kind": {"enum": ["a"]}, "size": {"default": 1}}},
        {"properties": {"kind": {"enum": ["b"]}, "size": {"default": 2}}},
    ]
    blocks: list[dict[str, Any]] = [{"properties": {"of": {"oneOf": options}}}]
    assert completed({"of": {"kind": "b"}}, {}, blocks).values == {"of": {"kind": "b", "size": 2}}
    assert completed({"of": {"kind": "c"}}, {}, blocks).values == {"of": {"kind": "c"}}
    options[1]["properties"]["name"] = {"$ref": "#/definitions/name"}
    blocks[0]["definitions"] = {"name": {"type": "string"}}
    assert completed({"of": {"kind": "b", "name": "n"}}, {}, blocks).values["of"]["size"] == 2


def test_a_form_that_refers_to_itself_is_filled_in_once() -> None:
    block = {"properties": {"name": {"default": "a"}, "child": {"$ref": "#"}}}
    assert completed({}, {}, [block]).values == {"name": "a"}
    pair = {"a": {"properties": {"y": {"default": 1}, "b": {"$ref": "#/$defs/b"}}}}
    pair["b"] = {"properties": {"x": {"default": 2}, "a": {"$ref": "#/$defs/a"}}}
    assert completed({}, {}, [{"$ref": "#/$defs/a", "$defs": pair}]).values == {"y": 1, "b": {"x": 2}}
    assert completed({}, {}, [{"properties": {"a": {"$ref": "#/nowhere", "default": 1}}}]).values == {"a": 1}


@pytest.mark.parametrize(
    "schema",
    [{"type": "string"}, {"type": ["null", "string"]}, {"enum": ["3.9", "3.10"]}, {"const": "3.10"}],
)
def test_a_text_stays_one_wherever_the_form_wants_it(schema: Block) -> None:
    chosen = [{"dependencies": {"lang": {"oneOf": [{"properties": {"version": schema}}]}}}]
    assert given(["version=3.10"], chosen) == {"version": "3.10"}
    assert given(["version=3.10"], [{"properties": {"version": {"enum": ["3.10", 3.1]}}}]) == {"version": 3.1}


def test_a_value_that_is_no_field_is_warned_of_and_sent(capsys: pytest.CaptureFixture[str]) -> None:
    chosen: list[Block] = [*BLOCKS, {"dependencies": {"port": {"oneOf": [{"properties": {"tls": {}}}]}}}]
    found = answers(chosen, ["name=a", "prot=1", "tls=true"], None, [])
    assert found.values["prot"] == 1
    assert capsys.readouterr().err == "warning: prot is no field of the form, did you mean port?\n"


def test_values_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("name: a\nport: 1\n")
    assert from_file(file) == {"name": "a", "port": 1}
    file.write_text("- a\n")
    with pytest.raises(click.BadParameter, match="holds no object"):
        from_file(file)


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"a: [", r"no YAML: .* \(line \d, column \d\)"), (b"\xff\xfe", r"values.yaml is not UTF-8 text \(byte 0\)")],
)
def test_a_file_that_cannot_be_read_says_why_in_a_line(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "values.yaml"
    file.write_bytes(content)
    with pytest.raises(click.BadParameter, match=why) as refused:
        from_file(file)
    assert "\n" not in refused.value.format_message()


def test_a_secret_is_never_taken_from_the_command_line_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text("from-a-file\n")
    monkeypatch.setenv("TOKEN", "from-the-environment")
    assert secrets(["TOKEN", f"OTHER=@{file}"]) == {"TOKEN": "from-the-environment", "OTHER": "from-a-file"}
    with pytest.raises(click.BadParameter, match="others can read a command line"):
        secrets(["TOKEN=abc"])
    with pytest.raises(click.BadParameter, match="not set in the environment"):
        secrets(["MISSING_TOKEN"])
    with pytest.raises(click.BadParameter, match="No such file"):
        secrets([f"OTHER=@{file}.not-there"])
