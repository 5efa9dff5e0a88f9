"""What a step may say to Greenroom alone."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom.errors import InputError
from greenroom_scaffolder.templates import Retry, StepOptions, check_options, step_options


def step(options: Any) -> dict[str, Any]:
    return {"id": "publish", "action": "publish:git", "greenroom": options}


def test_a_step_that_says_nothing_is_tried_once_and_may_take_its_time() -> None:
    assert step_options({"action": "a"}) == step_options(step(None)) == StepOptions(None, Retry(attempts=1))


def test_durations_are_written_as_in_the_config() -> None:
    read = step_options(step({"timeout": "PT5M", "retry": {"attempts": 3, "delay": "10s", "maxDelay": {"minutes": 1}}}))
    assert read == StepOptions(300.0, Retry(attempts=3, delay=10.0, backoff=2.0, max_delay=60.0))


def test_delays_grow_up_to_the_longest() -> None:
    retry = Retry(attempts=9, delay=10, backoff=2, max_delay=60)
    assert [retry.delay_after(attempt) for attempt in (1, 2, 3, 4, 99_999)] == [10, 20, 40, 60, 60]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("5m", "greenroom must be an object"),
        ({"timeot": "5m"}, "greenroom.timeot is unknown; known are timeout, retry"),
        ({"timeout": 5}, "greenroom.timeout must be a duration such as .*: a number needs a unit"),
        ({"timeout": "0s"}, "greenroom.timeout must be longer than nothing"),
        ({"retry": 3}, "greenroom.retry must be an object"),
        ({"retry": {}}, "greenroom.retry.attempts must be a whole number from 1 to 100"),
        ({"retry": {"attempts": True}}, "greenroom.retry.attempts must be"),
        ({"retry": {"attempts": 2, "backoff": 0.5}}, "greenroom.retry.backoff must be a number from 1 to 100"),
        ({"retry": {"attempts": 2, "delay": "soon"}}, "greenroom.retry.delay must be a duration"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^Invalid options of step publish, {message}"):
        step_options(step(options))


def test_all_steps_are_looked_at_before_the_first_runs() -> None:
    check_options([step({"timeout": "5m"}), {"action": "a"}])
    with pytest.raises(InputError) as refused:
        check_options([step(None), step({"timeout": 5}), step({"retry": {"attempts": 0}, "x": 1})])
    assert "steps[1].greenroom.timeout must be a duration" in refused.value.message
    assert "steps[2].greenroom.x is unknown" in refused.value.message
    assert "steps[2].greenroom.retry.attempts must be a whole number from 1 to 100" in refused.value.message
    assert refused.value.message.endswith(
        "greenroom: {timeout: 5m, retry: {attempts: 3, delay: 10s, backoff: 2, maxDelay: 1m}}"
    )


def test_a_refusal_has_an_end() -> None:
    with pytest.raises(InputError) as refused:
        check_options([step("?")] * 10_000)
    assert len(refused.value.message) < 1000
