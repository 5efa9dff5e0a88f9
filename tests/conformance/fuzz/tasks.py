"""The fuzz of the scaffolder: drawn templates, tried out and run on both sides, cancelled, run again, listed; drawn requests.

    python -m tests.conformance.fuzz.tasks [--seconds 120] [--seed N]

A difference is printed with the smallest request that Hypothesis finds, or with the whole template where a task differs.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from greenroom.entity import LOCATION, ORIGIN_LOCATION, Entity
from tests.conformance.compare import Outcome
from tests.conformance.fuzz.calls import Calls, described
from tests.conformance.fuzz.hunt import Difference, Hunt, drawn
from tests.conformance.fuzz.inputs import FILES
from tests.conformance.fuzz.lives import AT_ONCE, WAIT, Life, Living, Told, lives
from tests.conformance.fuzz.sides import Side
from tests.conformance.fuzz.templates import as_dry_run, cases
from tests.conformance.scaffolder_sides import API, both, comparable, differing, given, placed
from tests.conformance.script import Request
from tests.conformance.terminal import say

LAYER = f"""
backend: {{workingDirectory: /tmp}}
catalog: {{orphanStrategy: keep}}
scaffolder:
  concurrentTasksLimit: {AT_ONCE}
  defaultEnvironment:
    parameters: {{region: north}}
    secrets: {{TOKEN: of-the-environment}}
"""
DRY_RUNS, LIVES, LISTS, CALLS = 150, 24, 30, 150
"""For each round."""


def entities() -> list[Entity]:
    """What catalog:fetch may find, and templates whose tasks wait for longer than upstream takes to hear of a cancellation."""
    where = "url:https://git.example.net/atlas/handbook/catalog-info.yaml"
    marks = {LOCATION: where, ORIGIN_LOCATION: where}
    gate = {"type": "service", "lifecycle": "production", "owner": "harbour"}
    guest = {"profile": {"displayName": "A guest"}, "memberOf": []}
    plain = [
        {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, "annotations": marks},
            "spec": spec,
        }
        for kind, name, spec in (("Component", "gate", gate), ("User", "guest", guest))
    ]
    wait, late = ({**WAIT, "input": {"seconds": seconds}} for seconds in (60, 2.5))
    return [*plain, _template("waiting", [wait]), _template("late", [late])]


def _template(name: str, steps: Sequence[Mapping[str, Any]]) -> Entity:
    spec = {"owner": "harbour", "type": "service", "steps": steps}
    entity = {"apiVersion": "scaffolder.backstage.io/v1beta3", "kind": "Template", "metadata": {}, "spec": spec}
    return placed(entity, name)


def dry_runs() -> Any:
    """Requests that try a drawn template out."""
    return cases().map(lambda case: Request(name="dry run", post=f"{API}/dry-run", json=as_dry_run(case)))


class Fuzz:
    """What is asked in a round, and what came of it."""

    def __init__(self, sides: Sequence[Side], number: int) -> None:
        self.chance, self.told = random.Random(number), Told()
        self.hunt = Hunt(lambda request: _asked(sides, request))
        self._sides = sides
        self._living = Living(sides, self.told, self.chance)
        self._folder = Path(sides[0].run.known["root"])
        self._began = time.monotonic()

    async def prepared(self) -> None:
        """Files and entities that are there from the beginning."""
        for path, text in FILES.items():
            (self._folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self._folder / path).write_text(text)
        await given(self._sides, entities())

    async def round(self, number: int) -> None:
        await self._through(dry_runs(), DRY_RUNS)
        found = list(lives(self.chance, drawn(cases(), self.chance.getrandbits(32), LIVES), number, str(self._folder)))
        await given(self._sides, [life.case.entity for life in found])
        self._say(f"{DRY_RUNS} dry runs")
        await self._living.all(found)
        self._say(f"{len(found)} lives")
        await self._living.lists(LISTS)
        await self._through(Calls(*self._known(found)).requests(), CALLS)
        self._say(f"{CALLS} calls")
        if number % 4 == 0:
            await self._living.crowd("waiting", "late")
        await self._living.ends()
        self._say(f"round {number}: {self.hunt.asked:,} requests and {self.told.asked:,} answers about tasks")

    def _known(self, found: Sequence[Life]) -> tuple[dict[str, Any], list[str]]:
        """Forms by the names of their templates, and names under which both sides know ids of tasks that have ended."""
        ended = [life for life in found if life.ids and not life.strategy and not {"anew", "on"} & set(life.acts)]
        for index, life in enumerate(ended):
            for side, id_ in zip(self._sides, life.ids, strict=True):
                side.run.known[f"task.{index}"] = id_
        return {life.name: life.case.entity["spec"].get("parameters") for life in found}, [
            f"task.{index}" for index in range(len(ended))
        ]

    async def _through(self, requests: Any, count: int) -> None:
        for difference in await self.hunt.through(requests, self.chance.getrandbits(32), count):
            self.told.count += 1
            say(
                f"DIFFERENCE {difference.signature}",
                *(f"    {line}" for line in difference.lines[:8]),
                _shown(difference),
            )

    def _say(self, what: str) -> None:
        say(f"{time.monotonic() - self._began:5.0f} s: {what}")


def _shown(difference: Difference) -> str:
    body: Any = difference.request.json
    if difference.request.name == "dry run":
        return json.dumps({"spec": body["template"]["spec"], "values": body["values"], "secrets": body["secrets"]})
    return described(difference.request)


async def _asked(sides: Sequence[Side], request: Request) -> tuple[Outcome, Outcome]:
    """What is meant to differ is not seen; of what upstream takes for its own fault, only what it tells is compared."""
    theirs, ours = await asyncio.gather(*(side.run.outcome(request) for side in sides))
    for outcome in (theirs, ours):
        outcome.answer = comparable(outcome.answer)
    if not differing(theirs, ours):
        return theirs, theirs
    if request.name == "dry run" and theirs.answer.status == 500:
        theirs.answer.status = ours.answer.status  # or it would be excused whatever is told
    return theirs, ours


async def fuzz(seconds: float, number: int) -> int:
    """Run until the time is over. Returns how many differences were told."""
    async with both(LAYER) as sides:
        found, began = Fuzz(sides, number), time.monotonic()
        await found.prepared()
        for round_ in itertools.count():
            if time.monotonic() - began > seconds:
                break
            await found.round(round_)
    hunt = found.hunt
    say(f"{found.told.count} differences", f"answers: {dict(hunt.statuses)}", f"meant to differ: {dict(hunt.exempt)}")
    return found.told.count


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance.fuzz.tasks", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    say(f"seed {options.seed}")
    return 1 if asyncio.run(fuzz(options.seconds, options.seed)) else 0


if __name__ == "__main__":
    sys.exit(main())
