"""The engine's door. What the language does is held against nunjitsu in tests/conformance/templating."""

from __future__ import annotations

import math
from typing import Any

import pytest

from greenroom_scaffolder.templating import UNDEFINED, Engine, TemplateError, sees_undefined

CONTEXT: dict[str, Any] = {
    "parameters": {
        "name": "my-app",
        "count": 3,
        "list": ["b", "a"],
        "nothing": None,
        "flag": False,
        "deep": {"x": [1]},
    },
    "steps": {"fetch": {"output": {"url": "https://x/y"}}},
}


def test_a_number_given_to_a_step_stays_a_number() -> None:
    assert Engine().value("${{ parameters.count }}", CONTEXT) == 3
    assert Engine().value("${{ parameters.count }} ", CONTEXT) == "3 "


@pytest.mark.parametrize("broken", ["${{ x | nope }}", "${{ github.sha || 'main' }}", "${{ parameters.name"])
def test_a_broken_expression_reaches_the_step_as_it_was_written(broken: str) -> None:
    assert Engine().resolve(broken, CONTEXT) == broken


def test_what_is_undefined_is_so_for_the_step_too() -> None:
    assert Engine().resolve("${{ parameters.missing }}", CONTEXT) is UNDEFINED


def test_what_came_out_of_an_expression_is_not_rendered_again() -> None:
    assert (
        Engine().resolve("${{ x }}", {"x": "${{ secrets.token }}", "secrets": {"token": "s"}}) == "${{ secrets.token }}"
    )


def test_an_action_that_changes_its_input_does_not_change_the_parameters() -> None:
    value = Engine().value("${{ parameters.deep }}", CONTEXT)
    value["x"].append(2)
    assert CONTEXT["parameters"]["deep"] == {"x": [1]}


@pytest.mark.parametrize(
    "template",
    [
        "${{ parameters.list.sort() }}",
        "${{ parameters.list['pu' + 'sh']('c') }}",
        "${{ g.push(1) }}",
        "{% set f = g['pu' + 'sh'] %}${{ f(1) }}",
    ],
)
def test_a_template_that_changes_a_list_changes_its_own_copy(template: str) -> None:
    shared = [1]
    engine = Engine(globals={"g": shared})
    engine.value(template, CONTEXT)
    assert CONTEXT["parameters"]["list"] == ["b", "a"]
    assert shared == [1]


def test_a_file_without_delimiters_is_the_same_text() -> None:
    text = "no { braces } that % matter $"
    assert Engine().text(text, CONTEXT) is text


def test_text_is_text_also_of_a_single_expression() -> None:
    assert Engine().text("${{ parameters.count }}", CONTEXT) == "3"
    assert Engine().text("${{ parameters.nothing }}${{ parameters.flag }}", CONTEXT) == "false"


def test_an_error_in_a_file_names_line_and_column() -> None:
    with pytest.raises(TemplateError) as caught:
        Engine().text("a\nb\n  ${{ parameters.name | uper }}", CONTEXT)
    assert (caught.value.line, caught.value.column) == (3, 25)
    assert caught.value.message == (
        'Template error at line 3, column 25: Unknown template filter "uper"; did you mean "upper"?'
    )


def test_an_error_in_a_file_of_nothing_but_an_expression_names_its_column_too() -> None:
    for before in ("", " ", "x"):
        with pytest.raises(TemplateError) as caught:
            Engine().text(f"{before}${{{{ nope | uper }}}}", CONTEXT)
        assert (caught.value.line, caught.value.column) == (1, 12 + len(before))


def test_an_expression_met_in_a_second_file_names_that_files_line() -> None:
    engine = Engine()
    for before in ("", "\n\n", "😀 "):
        with pytest.raises(TemplateError) as caught:
            engine.text(f"{before}x ${{{{ parameters.name.nope() }}}} y", CONTEXT)
        assert (caught.value.line, caught.value.column) == (before.count("\n") + 1, 23 + 3 * (before == "😀 "))


def test_an_error_within_a_macro_names_the_line_in_the_macro() -> None:
    with pytest.raises(TemplateError) as caught:
        Engine().text("{% macro m(v) %}\n${{ v | list }}{% endmacro %}\n\nx ${{ m(1) }}", CONTEXT)
    assert caught.value.line == 2


def test_an_error_message_cannot_rearrange_the_terminal_or_fill_the_log() -> None:
    with pytest.raises(TemplateError) as caught:
        Engine(filters={"f": _refuse}).text("${{ x | f }}", {"x": "\x1b[2J\u202e" + "y" * 5000})
    assert "\x1b" not in caught.value.message
    assert "\u202e" not in caught.value.message
    assert len(caught.value.message) < 1100


def _refuse(value: Any) -> Any:
    raise ValueError(f"not {value}")


def test_a_filter_of_a_plugin_gets_plain_json() -> None:
    seen: list[Any] = []
    engine = Engine(filters={"keep": lambda *values: seen.append(values)})
    engine.value("${{ [missing, s | safe, {a: missing}] | keep(missing, 2 / 1, 's' | safe) }}", {"s": "x"})
    assert seen == [([None, "x", {}], None, 2, "s")]


def test_a_filter_may_ask_to_tell_undefined_from_null() -> None:
    seen: list[Any] = []

    @sees_undefined
    def keep(value: Any) -> None:
        seen.append(value)

    Engine(filters={"keep": keep}).value("${{ (missing | keep) or (nul | keep) }}", {"nul": None})
    assert seen == [UNDEFINED, None]


def test_a_filter_that_answers_nothing_gives_null() -> None:
    assert Engine(filters={"keep": lambda value: None}).value("${{ 1 | keep }}", {}) is None


def test_a_failing_filter_fails_the_template_with_its_message() -> None:
    with pytest.raises(TemplateError, match=r'Template filter "f" failed: not 1$'):
        Engine(filters={"f": _refuse}).text("${{ 1 | f }}", {})


@pytest.mark.parametrize("answer", [(1, 2), {1}, b"x", object(), range(3)])
def test_a_filter_that_answers_with_what_is_no_json_is_told_of(answer: Any) -> None:
    with pytest.raises(
        TemplateError, match=rf'Template filter "f" answered with a {type(answer).__name__}, which is no JSON$'
    ):
        Engine(filters={"f": lambda value: answer}).text("${{ 1 | f }}", {})


def test_globals_are_values_and_functions_and_give_way_to_the_context() -> None:
    engine = Engine(globals={"region": "eu", "double": lambda value: value * 2, "items": [1, 2]})
    assert engine.value("${{ region }}", {}) == "eu"
    assert engine.value("${{ double(items[1]) }}", {}) == 4
    assert engine.value("${{ region }}", {"region": "us"}) == "us"


def test_a_function_cannot_be_printed_or_handed_on() -> None:
    engine = Engine(globals={"double": lambda value: value * 2}, filters={"f": lambda value: value})
    for template in (
        "${{ double }}",
        "${{ [double] }}",
        "x${{ {a: double} }}",
        "${{ [double] | f }}",
        "${{ double | dump }}",
    ):
        with pytest.raises(TemplateError, match="Callable values cannot be"):
            engine.value(template, {})


def test_not_a_number_is_nan_for_the_caller() -> None:
    assert math.isnan(Engine().value("${{ parameters.dash-key }}", CONTEXT))


def test_half_an_emoji_is_written_as_node_writes_it() -> None:
    assert Engine().text("${{ x.charAt(0) }}${{ x.slice(0, 1) ~ x.slice(1) }}", {"x": "😀"}) == "\ufffd😀"
    Engine().text("${{ x.charAt(0) }}", {"x": "😀"}).encode()
    assert Engine().text("${{ x }}", {"x": "\ud83d"}) == "\ufffd"
    assert Engine().text("${{ x }}", {"x": ["\ud83d", 1]}) == "\ufffd,1"


def test_a_whole_number_is_written_without_a_point() -> None:
    engine, context = Engine(), {"n": 2.0, "list": [1.0, -0.0, 0.5]}
    found = [
        engine.value("${{ n }}", context),
        engine.value("${{ list }}", context),
    ]
    assert repr(found) == "[2, [1, 0, 0.5]]"


def test_cookiecutter_templates_have_their_own_delimiters_and_methods() -> None:
    engine = Engine(cookiecutter_compat=True)
    context = {"cookiecutter": {"name": "x", "o": {"a": 1}}}
    assert engine.text(
        "${{ cookiecutter.name }} {{ cookiecutter.o.items() }} {{ cookiecutter | jsonify }}", context
    ) == ('$x a,1 {"name":"x","o":{"a":1}}')


def test_blocks_may_take_their_lines_with_them() -> None:
    template = "a\n  {% if parameters.count %}\n  b\n  {% endif %}\nc"
    assert Engine(trim_blocks=True, lstrip_blocks=True).text(template, CONTEXT) == "a\n  b\nc"


def test_the_same_engine_renders_in_many_threads() -> None:
    from concurrent.futures import ThreadPoolExecutor

    engine = Engine()
    template = "{% for v in values %}${{ loop.index }}${{ v }}{% set x = v %}${{ x }} {% endfor %}"

    def render(number: int) -> str:
        return engine.text(template, {"values": [number] * 50})

    with ThreadPoolExecutor(4) as pool:
        for number, text in enumerate(pool.map(render, range(40))):
            assert text == "".join(f"{index}{number}{number} " for index in range(1, 51))


def test_a_number_larger_than_any_double_is_infinite() -> None:
    template = "${{ n | dump }} ${{ [n] | dump }} ${{ n.toFixed(2) }} ${{ n.toString(16) }} ${{ n.toPrecision(2) }}"
    assert Engine().text(template, {"n": 10**400}) == "null [null] Infinity Infinity Infinity"


def test_a_number_of_very_many_digits_is_infinite() -> None:
    assert Engine().text("${{ digits | int }} ${{ digits | int(0, 7) }}", {"digits": "1" * 5000}) == "Infinity Infinity"
