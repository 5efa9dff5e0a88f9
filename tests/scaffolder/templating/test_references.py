"""What lint is told of the names in a template."""

from __future__ import annotations

import pytest

from greenroom_scaffolder.templating import Engine, TemplateError


def test_a_mistyped_filter_is_found_where_it_stands() -> None:
    found = Engine(filters={"pick": lambda value: value}).variables("a\n${{ parameters.owner | pick | uper }}").filters
    assert [(each.name, each.line, each.column, each.known) for each in found] == [
        ("pick", 2, 24, True),
        ("uper", 2, 31, False),
    ]


def test_a_parameter_is_named_whole_however_it_is_written() -> None:
    found = (
        Engine()
        .variables("${{ parameters['repo-url'].host + parameters.list[0].x }} ${{ parameters[key].y }}")
        .variables
    )
    assert [each.path for each in found] == [
        ("parameters", "repo-url", "host"),
        ("parameters", "list", "0", "x"),
        ("parameters",),
        ("key",),
    ]


def test_a_path_ends_before_the_method_that_is_called_on_it() -> None:
    found = Engine().variables("${{ parameters.name.split('-').join(parameters.by) }}").variables
    assert [each.name for each in found] == ["parameters.name", "parameters.by"]


def test_names_that_the_template_gives_a_value_to_are_known() -> None:
    template = (
        "{% set x = parameters.a %}{% for k, v in values %}${{ k }}${{ x }}${{ loop.index }}{% endfor %}"
        "{% macro m(p, q=z) %}${{ p }}{% endmacro %}${{ m(1) }}${{ range(2) }}${{ nope() }}"
    )
    found = Engine().variables(template)
    assert [(each.name, each.known) for each in found.variables] == [
        ("parameters.a", False),
        ("values", False),
        ("k", True),
        ("x", True),
        ("loop.index", True),
        ("z", False),
        ("p", True),
    ]
    assert [(each.name, each.known) for each in found.functions] == [("m", True), ("range", True), ("nope", False)]


def test_a_mistyped_test_is_found() -> None:
    found = Engine().variables("${{ x is defind }}").tests
    assert [(each.name, each.column, each.known) for each in found] == [("defind", 10, False)]


def test_names_in_blocks_and_branches_are_found() -> None:
    template = (
        "{% if a %}${{ b }}{% elif c %}{% else %}${{ d }}{% endif %}"
        "{% switch e %}{% case f %}${{ g }}{% endswitch %}{% filter upper %}${{ h }}{% endfilter %}"
    )
    assert "".join(each.name for each in Engine().variables(template).variables) == "abcdefgh"


def test_a_template_that_cannot_be_read_says_where() -> None:
    with pytest.raises(TemplateError) as caught:
        Engine().variables("x\n${{ a || b }}")
    assert (caught.value.line, caught.value.column) == (2, 8)
