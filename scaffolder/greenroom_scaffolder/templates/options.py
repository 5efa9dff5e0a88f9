"""What a step may say to Greenroom alone: how long it may take, and how often it is tried.

    steps:
      - action: http:backstage:request
        greenroom:
          timeout: 5m
          retry: { attempts: 3, delay: 10s, backoff: 2, maxDelay: 1m }

All of it is in one object of our own, so that no word that upstream may come to use for a step is taken, and so that one look
at a template says what another backend would ignore. Upstream accepts, stores and ignores unknown members of a step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from greenroom.errors import InputError
from greenroom.settings.durations import EXAMPLES, parse_duration

KEY: Final = "greenroom"
MOST_ATTEMPTS: Final = 100
KNOWN: Final = "{timeout: 5m, retry: {attempts: 3, delay: 10s, backoff: 2, maxDelay: 1m}}"
"""All that can be said, by example."""
_TOLD = 10


class Retry(msgspec.Struct, frozen=True):
    """How a failing step is tried again. `Retry-After`, where the action learnt one, is honoured beyond `max_delay`."""

    attempts: int
    """In all, with the first one: 1 is no retry."""
    delay: float = 1.0
    """Seconds before the second attempt."""
    backoff: float = 2.0
    """What each further delay is longer by."""
    max_delay: float = 300.0
    """Seconds that no delay is longer than."""

    def delay_after(self, attempt: int) -> float:
        """Seconds to wait after attempt number `attempt`, the first being 1, has failed."""
        return min(self.delay * self.backoff ** min(attempt - 1, 1000), self.max_delay)


class StepOptions(msgspec.Struct, frozen=True):
    """What `greenroom` of a step says; a step without it has no limit of its own, and is tried once."""

    timeout: float | None = None
    """Seconds that one attempt may take; for a step with `each`, one round."""
    retry: Retry = Retry(attempts=1)


class OptionFlaw(msgspec.Struct, frozen=True):
    """What is wrong in `greenroom`, and where in it."""

    path: tuple[str, ...]
    message: str


def step_options(step: Mapping[str, Any]) -> StepOptions:
    """The options of a step of a template or of a TaskSpec. Raises InputError with the first thing that is wrong."""
    flaw = next(option_flaws(step), None)
    if flaw is not None:
        name = step.get("id") or step.get("action")
        raise InputError(f"Invalid options of step {name}, {'.'.join((KEY, *flaw.path))} {flaw.message}")
    given = step.get(KEY) or {}
    timeout, retry = given.get("timeout"), given.get("retry")
    return StepOptions(
        timeout=None if timeout is None else _seconds(timeout),
        retry=Retry(attempts=1) if retry is None else _retry(retry),
    )


def check_options(steps: Sequence[Mapping[str, Any]]) -> None:
    """Look at the options of all steps before the first is run. Raises InputError with what is wrong, and where; of very
    much, the beginning."""
    wrong = (
        f"steps[{number}].{'.'.join((KEY, *flaw.path))} {flaw.message}"
        for number, step in enumerate(steps)
        for flaw in option_flaws(step)
    )
    if told := list(islice(wrong, _TOLD)):
        raise InputError(f"Invalid options of steps: {'; '.join(told)}. All there is: {KEY}: {KNOWN}")


def option_flaws(step: Mapping[str, Any]) -> Iterator[OptionFlaw]:
    """All that is wrong with the options of a step."""
    given = step.get(KEY)
    if given is None:
        return
    if not isinstance(given, Mapping):
        yield OptionFlaw((), "must be an object")
        return
    yield from _unknown((), given, "timeout", "retry")
    yield from _duration_flaws(("timeout",), given.get("timeout"))
    retry = given.get("retry")
    if isinstance(retry, Mapping):
        yield from _retry_flaws(retry)
    elif retry is not None:
        yield OptionFlaw(("retry",), "must be an object")


def _retry_flaws(retry: Mapping[str, Any]) -> Iterator[OptionFlaw]:
    yield from _unknown(("retry",), retry, "attempts", "delay", "backoff", "maxDelay")
    attempts, backoff = retry.get("attempts"), retry.get("backoff", 1)
    if not isinstance(attempts, int) or isinstance(attempts, bool) or not 1 <= attempts <= MOST_ATTEMPTS:
        yield OptionFlaw(("retry", "attempts"), f"must be a whole number from 1 to {MOST_ATTEMPTS}")
    if not isinstance(backoff, int | float) or isinstance(backoff, bool) or not 1 <= backoff <= 100:
        yield OptionFlaw(("retry", "backoff"), "must be a number from 1 to 100")
    for key in ("delay", "maxDelay"):
        yield from _duration_flaws(("retry", key), retry.get(key))


def _unknown(path: tuple[str, ...], given: Mapping[str, Any], *known: str) -> Iterator[OptionFlaw]:
    for key in given:
        if key not in known:
            yield OptionFlaw((*path, key), f"is unknown; known are {', '.join(known)}")


def _duration_flaws(path: tuple[str, ...], value: Any) -> Iterator[OptionFlaw]:
    if value is None:
        return
    try:
        seconds = _seconds(value)
    except ValueError as error:
        yield OptionFlaw(path, f"must be a duration such as {EXAMPLES}: {error}")
        return
    if seconds == 0 and path[-1] != "delay":
        yield OptionFlaw(path, "must be longer than nothing")


def _seconds(value: Any) -> float:
    return parse_duration(value).total_seconds()


def _retry(given: Mapping[str, Any]) -> Retry:
    found: dict[str, Any] = {"attempts": given["attempts"], "backoff": float(given.get("backoff", 2.0))}
    for key, name in (("delay", "delay"), ("maxDelay", "max_delay")):
        if given.get(key) is not None:
            found[name] = _seconds(given[key])
    return Retry(**found)
