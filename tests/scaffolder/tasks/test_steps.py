"""What a step shall do: what authors of templates rely on in `if`, `each`, inputs and outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import InputError, NotAllowedError, NotFoundError
from greenroom_scaffolder.actions.registry import Registry
from greenroom_scaffolder.settings import Environment
from greenroom_scaffolder.tasks import steps
from greenroom_scaffolder.tasks.expressions import Renderer, TooMuchError, quick
from greenroom_scaffolder.tasks.steps import Call, Scope, Skip, StandIn
from greenroom_scaffolder.templating import UNDEFINED, Engine
from tests.scaffolder.tasks.rehearsal import actions, made, run_steps, spec_of

REGISTRY = Registry(actions())
ENGINE = Engine()


def scope_of(secrets: dict[str, str] | None = None, environment: Environment | None = None, **spec: Any) -> Scope:
    return Scope("t", spec_of(**spec), secrets or {}, environment or Environment())


def planned(step: dict[str, Any], scope: Scope | None = None, **options: Any) -> Any:
    return steps.plan({"id": "a", "name": "A", **step}, scope or scope_of(), REGISTRY, Renderer(ENGINE), **options)


@pytest.mark.parametrize("value", [False, None, "", 0, [], UNDEFINED, float("nan")])
def test_an_if_that_renders_to_nothing_does_not_hold(value: object) -> None:
    assert not steps.truthy(value)


@pytest.mark.parametrize("value", [True, "false", 1, [0], {}, -1, 0.5])
def test_an_if_that_renders_to_something_holds(value: object) -> None:
    assert steps.truthy(value)


@pytest.mark.parametrize("condition", [False, "${{ parameters.missing }}", "${{ [] }}", "${{ 0 }}", ""])
def test_a_step_whose_if_does_not_hold_is_skipped(condition: object) -> None:
    assert planned({"action": "debug:log", "if": condition}) == Skip(
        "Skipping step a because its if condition was false"
    )


@pytest.mark.parametrize("condition", [True, "false", "${{ {} }}", "${{ broken | nofilter }}", "${{ always() }}"])
def test_a_step_whose_if_holds_is_called(condition: object) -> None:
    """Also an expression that cannot be rendered: its text is left, and a text holds (upstream has it so)."""
    assert isinstance(planned({"action": "debug:log", "if": condition}), Call)


def test_an_if_does_not_see_secrets_but_one_with_each_does() -> None:
    scope = scope_of({"S": "s3cr3t-value"})
    assert isinstance(planned({"action": "debug:log", "if": "${{ secrets.S }}"}, scope), Skip)
    rounds = planned({"action": "debug:log", "each": ["x"], "if": "${{ secrets.S }}"}, scope).rounds
    assert [one.runs for one in rounds] == [True]


def test_names_beside_secrets_are_not_hidden_and_so_stay_readable_elsewhere() -> None:
    """`name` was, and `fs:rename` became `fs:re***`."""
    each = [{"name": "${{ secrets.S }}", "deep": {"x": "plain"}}]
    step = {"action": "test:answer", "each": each, "input": {"whole": "${{ each.value }}", "all": "${{ secrets }}"}}
    call = planned(step, scope_of({"S": "s3cr3t-value"}))
    assert call.rounds[0].input["whole"] == {"name": "s3cr3t-value", "deep": {"x": "plain"}}
    assert set(call.hidden) == {"s3cr3t-value"}


def test_inputs_see_secrets_and_what_was_rendered_with_them_is_hidden() -> None:
    scope = scope_of({"S": "s3cr3t-value"}, Environment({"region": "eu"}, {"E": "env-secret"}))
    given = {
        "a": "${{ secrets.S }}",
        "b": "x ${{ secrets.S | upper }}",
        "c": "${{ environment.secrets.E }}",
        "d": "${{ environment.parameters.region }}",
        "e": ["${{ secrets }}"],
    }
    call = planned({"action": "test:answer", "input": given}, scope)
    assert call.rounds[0].input == {
        "a": "s3cr3t-value",
        "b": "x S3CR3T-VALUE",
        "c": "env-secret",
        "d": "eu",
        "e": [{"S": "s3cr3t-value"}],
    }
    assert set(call.hidden) == {"s3cr3t-value", "x S3CR3T-VALUE", "env-secret"}


def test_an_action_that_nobody_has_is_not_found() -> None:
    with pytest.raises(NotFoundError) as failure:
        planned({"action": "nope:nope"})
    assert failure.value.message == (
        "Template action with ID 'nope:nope' is not registered. See https://backstage.io/docs/features/software-templates/"
        "builtin-actions/ on how to add a new action module."
    )


def test_a_skipped_step_may_name_an_action_that_nobody_has() -> None:
    assert isinstance(planned({"action": "nope:nope", "if": False}), Skip)


@pytest.mark.parametrize(
    ("each", "problem"),
    [
        ("${{ parameters.zz }}", '"${{ parameters.zz }}" cannot be resolved to a value'),
        ("${{ 5 }}", "must resolve to an array or object"),
        ("text", "must resolve to an array or object"),
        (None, "must resolve to an array or object"),
    ],
)
def test_an_each_that_is_no_list_says_so(each: object, problem: str) -> None:
    with pytest.raises(InputError) as failure:
        planned({"action": "debug:log", "each": each})
    assert failure.value.message == f"Invalid value on action debug:log.each parameter, {problem}"


def test_each_goes_through_lists_and_objects_in_the_order_of_javascript() -> None:
    call = planned({"action": "test:answer", "each": {"b": 1, "2": 2, "1": 3}, "input": {"k": "${{ each.key }}"}})
    assert [(one.key, one.value, one.input) for one in call.rounds] == [
        ("1", 3, {"k": "1"}),
        ("2", 2, {"k": "2"}),
        ("b", 1, {"k": "b"}),
    ]


@pytest.mark.parametrize(
    ("value", "told"),
    [("x", "x"), (1, "1"), (None, "null"), (True, "true"), ({"q": 1}, "[object Object]"), (["p", ["q", None]], "p,q,")],
)
def test_the_log_tells_of_each_item_as_upstream_does(value: object, told: str) -> None:
    call = planned({"action": "debug:log", "each": [value]})
    assert call.rounds[0].line() == f'Running step each: {{"key":"0","value":"{told}"}}'


def test_every_round_is_checked_before_the_first_is_called() -> None:
    call = planned({"action": "debug:log", "each": ["x", 5], "input": {"message": "${{ each.value }}"}})
    with pytest.raises(InputError) as failure:
        steps.check(call, REGISTRY, allowed=True)
    assert failure.value.message == (
        "Invalid input passed to action debug:log[1], instance.message is not of a type(s) string"
    )


def test_a_round_that_does_not_run_is_not_checked() -> None:
    call = planned(
        {
            "action": "debug:log",
            "each": ["x", 5],
            "if": "${{ each.key == '0' }}",
            "input": {"message": "${{ each.value }}"},
        }
    )
    steps.check(call, REGISTRY, allowed=True)
    assert call.rounds[1].line() == 'Skipping step each: {"key":"1","value":"5"}'


def test_who_may_not_run_actions_is_told_so_after_the_input_was_checked() -> None:
    with pytest.raises(NotAllowedError, match=r"^Unauthorized action: debug:log\. The action is not allowed\.$"):
        steps.check(planned({"action": "debug:log"}), REGISTRY, allowed=False)
    with pytest.raises(InputError):
        steps.check(planned({"action": "debug:log", "input": {"messag": 1}}), REGISTRY, allowed=False)


def test_a_dry_run_shows_inputs_without_secrets() -> None:
    call = planned(
        {"action": "debug:log", "input": {"message": "${{ secrets.S }} ${{ each.key }}"}, "each": ["x"]},
        scope_of({"S": "s3cr3t-value"}),
        dry_run=True,
    )
    assert call.shown == ('Running debug:log in dry-run mode with inputs (secrets redacted): {\n  "message": "*** "\n}')


def test_an_action_without_dry_run_is_stood_in_for() -> None:
    plan = planned({"action": "debug:wait", "input": {"seconds": 6}}, dry_run=True)
    assert plan == StandIn(
        "Skipping because debug:wait does not support dry-run",
        'Running debug:wait in dry-run mode with inputs (secrets redacted): {\n  "seconds": 6\n}',
        {},
    )


@pytest.mark.parametrize(
    ("schema", "output"),
    [
        (None, {}),
        (
            {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "number"}}},
            {"a": "<example>", "b": 0},
        ),
        ({"type": "object", "examples": [{"a": 1}, {"a": 2}]}, {"a": 1}),
        ({"type": "object"}, {}),
        ({"type": "array", "items": {"type": "boolean"}}, [False]),
        ({"type": "array"}, []),
        ({"type": "array", "items": [{"type": "string"}, {}]}, ["<example>"]),
        ({"type": "integer"}, "<unknown>"),
        ({"type": ["string"]}, "<unknown>"),
    ],
)
def test_placeholders_are_made_of_output_schemas(schema: dict[str, Any] | None, output: object) -> None:
    async def run(ctx: Any) -> None: ...

    assert steps.placeholder(made("x:y", run, output_schema=schema)) == output


async def test_links_and_texts_of_the_output_are_left_out_by_their_if(tmp_path: Path) -> None:
    outcome, _ = await run_steps(
        tmp_path,
        output={
            "links": [
                {"title": "x", "if": "${{ false }}"},
                {"title": "y", "if": True},
                {"title": "z", "if": "${{ parameters.missing }}"},
            ],
            "text": [{"title": "t", "if": "${{ [] }}"}, {"title": "u", "if": "${{ {} }}"}],
            "n": "${{ parameters.n }}",
            "gone": "${{ parameters.missing }}",
            "broken": "${{ a | nope }}",
            "secret": "${{ secrets.S }}",
        },
        parameters={"n": 3},
        secrets={"S": "s3cr3t-value"},
    )
    assert outcome.output == {
        "links": [{"title": "y"}, {"title": "z"}],
        "text": [{"title": "u"}],
        "n": 3,
        "broken": "${{ a | nope }}",
    }


def test_once_a_step_has_failed_only_those_that_ask_for_it_are_looked_at() -> None:
    scope = scope_of()

    def held(condition: object) -> bool:
        step = {"id": "a", "name": "A", "action": "debug:log", "if": condition}
        return steps.held_back(step, scope, Renderer(ENGINE)) is not None

    assert not held("${{ 1 }}")
    scope.failed = True
    assert held("${{ 1 }}")
    assert held(True)
    assert held("${{ false and failure() }}")
    assert not held("${{ always() }}")
    assert not held("${{ not failure() }}")


@pytest.mark.parametrize(
    "template",
    [
        "",
        "plain",
        "x ${{ parameters.a }} y",
        "${{ steps['my-step'].output.x | upper }}",
        "${{ not failure() and a == 'b {' }}",
    ],
)
def test_ordinary_expressions_are_rendered_in_passing(template: str) -> None:
    assert quick({"if": template, "input": {"a": [template]}})


@pytest.mark.parametrize(
    "template",
    [
        "{% for x in y %}{% endfor %}",
        "${{ range(1000000) }}",
        "${{ r/(a+)+/.test(parameters.x) }}",
        "${{ 'a' | replace('a', 'aa') }}",
        "${{ [1, 2] }}",
        "${{ 'a' ",
        "${{ 2 * parameters.x }}",
        "{# long #}",
        "x" * 5000 + "${{ a }}",
    ],
)
def test_what_may_take_its_time_is_rendered_aside(template: str) -> None:
    assert not quick({"input": {"a": [template]}})
    assert not quick({"if": template})
    assert not quick({"each": [template]})


def test_an_each_of_unknown_length_is_rendered_aside() -> None:
    assert not quick({"each": "${{ parameters.list }}"})
    assert quick({"each": [1, 2]})
    assert not quick({"each": [1] * 1000})


def test_a_step_of_a_million_values_is_gone_through_aside() -> None:
    assert quick({"input": {"a": [1] * 1_000}})
    assert not quick({"input": {"a": [1] * 1_000_000}})


def test_expressions_that_are_slow_together_are_refused() -> None:
    """None of them takes long; and a thread that renders cannot be stopped."""
    slow = "{% for a in range(300) %}{% for b in range(100) %}{% endfor %}{% endfor %}"
    render = Renderer(ENGINE, seconds=0.05)
    with pytest.raises(TooMuchError, match="seconds together"):
        render.resolve([f"{slow}{number}" for number in range(1_000)], {})


def test_inputs_that_would_fill_the_memory_are_refused() -> None:
    """Each of them is small; there are many."""
    scope = scope_of(parameters={"long": "x" * 1_000_000, "many": list(range(1_000))})
    with pytest.raises(TooMuchError, match="What the step is given would be larger than 67108864 characters"):
        planned({"action": "test:answer", "input": {"a": ["- ${{ parameters.long }}"] * 1_000}}, scope)
    with pytest.raises(TooMuchError):
        planned(
            {
                "action": "test:answer",
                "each": "${{ parameters.many }}",
                "input": {"a": "${{ each.key }}${{ parameters.long }}"},
            },
            scope,
        )


def test_no_two_steps_rounds_or_checkpoints_are_remembered_by_one_name() -> None:
    ids = ["a", "a", "a#2", "a.b", "a[0]", "a%2Eb", "a[0].b", "a#2", *(str(number % 7) for number in range(12_000))]
    found = steps.places([{"id": id_, "name": "A", "action": "test:answer"} for id_ in ids])
    assert len(set(found)) == len(ids)
    assert found[:2] == ["a", "a#2"]
    rounds = [steps.place_of_round(place, key) for place in found[:8] for key in ("0", "0]", "0].b", "b")]
    places = [*found[:8], *rounds]
    checkpoints = [f"{place}.{key}" for place in places for key in ("b", "b]", "[0]", "0].b", "b.b")]
    assert len({*places, *checkpoints}) == len(places) + len(checkpoints)
