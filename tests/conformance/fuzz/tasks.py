"""The fuzz of the scaffolder: drawn templates, tried out and run on both sides, cancelled, run again and listed.

    python -m tests.conformance.fuzz.tasks [--seconds 120] [--seed N]

A difference is printed with the smallest dry run that Hypothesis finds, or with the whole template where a task differs.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from greenroom.entity import LOCATION, ORIGIN_LOCATION, Entity
from tests.conformance.compare import Outcome
from tests.conformance.fuzz.hunt import Hunt, drawn
from tests.conformance.fuzz.sides import Side
from tests.conformance.fuzz.templates import FILES, Case, as_dry_run, cases
from tests.conformance.scaffolder_sides import API, asked, both, differing, given, placed
from tests.conformance.script import TOKEN, Request
from tests.conformance.scrub import Answer
from tests.conformance.terminal import say

LAYER = """
backend: {workingDirectory: /tmp}
catalog: {orphanStrategy: keep}
scaffolder:
  defaultEnvironment:
    parameters: {region: north}
    secrets: {TOKEN: of-the-environment}
"""
DRY_RUNS, LIVES, LISTS = 150, 24, 30
"""For each round."""
PATIENCE = 40.0
WAIT = {"id": "wait", "name": "Wait", "action": "debug:wait", "input": {"seconds": 6}}
"""The step during which a task is cancelled."""


def entities() -> list[Entity]:
    """What catalog:fetch may find."""
    where = "url:https://git.example.net/atlas/handbook/catalog-info.yaml"
    marks = {LOCATION: where, ORIGIN_LOCATION: where}
    gate = {"type": "service", "lifecycle": "production", "owner": "harbour"}
    guest = {"profile": {"displayName": "A guest"}, "memberOf": []}
    return [
        {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, "annotations": marks},
            "spec": spec,
        }
        for kind, name, spec in (("Component", "gate", gate), ("User", "guest", guest))
    ]


class Life(msgspec.Struct):
    """A task, and what becomes of it."""

    name: str
    """Of its template."""
    case: Case
    user: bool
    """Whether the guest creates it; else a service does."""
    cancelled: bool
    """Whether it is cancelled while it waits, which its template has a step for."""
    again: bool
    """Whether it is run again, from the beginning."""
    ids: list[str] = []
    """Of the task: upstream's and ours."""


class Told:
    """What has been told of: each kind of difference once."""

    def __init__(self) -> None:
        self.count = 0
        self.asked = 0
        self._kinds: Counter[str] = Counter()

    def note(self, what: str, lines: Sequence[str], life: Life | None = None) -> None:
        self.asked += 1
        if not lines:
            return
        kind = f"{what} {lines[0].partition(': ')[0]}"
        self._kinds[kind] += 1
        if self._kinds[kind] <= 3:
            self.count += 1
            shown = (
                {"spec": life.case.entity["spec"], "secrets": life.case.secrets, "values": life.case.values}
                if life
                else {}
            )
            say(f"DIFFERENCE {what}", *(f"    {line}" for line in lines[:8]), json.dumps(shown))


def dry_runs() -> Any:
    """Requests that try a drawn template out."""
    return cases().map(lambda case: Request(name="dry run", post=f"{API}/dry-run", json=as_dry_run(case)))


def lives(chance: random.Random, drawn_cases: Sequence[Case], round_: int, folder: str) -> Iterator[Life]:
    """What is to become of each."""
    for index, case in enumerate(drawn_cases):
        cancelled, name = chance.random() < 0.25, f"r{round_}-{index}"
        if cancelled:
            steps = case.entity["spec"]["steps"]
            steps.insert(chance.randint(0, len(steps)), WAIT)
        case.entity = placed(case.entity, name, f"file:{folder}/template.yaml")
        case.values = {**case.values, "index": index}
        yield Life(name, case, not cancelled and chance.random() < 0.7, cancelled, chance.random() < 0.4)


class Living:
    """Lives of tasks, on both sides at once."""

    def __init__(self, sides: Sequence[Side], told: Told, chance: random.Random) -> None:
        self.sides, self.told, self._chance = sides, told, chance

    async def create(self, life: Life) -> bool:
        """Returns whether there is a task now."""
        body = {"templateRef": life.name, "values": life.case.values, "secrets": life.case.secrets}
        found = await asyncio.gather(
            *(
                asked(side, "POST", "/tasks", body, side.run.known["guest"] if life.user else TOKEN)
                for side in self.sides
            )
        )
        if {outcome.answer.status for outcome in found} != {201}:
            self.told.note("create", differing(*found), life)
            return False
        return True

    async def ids(self, life: Life) -> None:
        """Learn them: the newest task of that template."""
        for side in self.sides:
            listed = await raw(side, "/tasks?limit=50&order=desc:created_at")
            refs = {task["spec"]["templateInfo"]["entityRef"]: task["id"] for task in listed["tasks"]}
            life.ids.append(refs[f"template:default/{life.name}"])

    async def live(self, life: Life) -> None:
        """All that is to become of it, compared."""
        if not life.user and not await self.create(life):
            return
        await self.ids(life)
        if life.cancelled:
            said = await asyncio.gather(*(self._cancelled(side, id_) for side, id_ in self._both(life)))
            self.told.note("cancel", [f"cancel: {said}"] if said[0] != said[1] else [], life)
        await self._ended(life)
        await self._look(life, "a task")
        if life.again:
            secrets = {"secrets": life.case.secrets} if life.case.secrets else {}
            found = await self._each("again", life, "POST", "/tasks/{}/retry", {"startOver": True, **secrets})
            if found.answer.status == 201:
                await self._ended(life)
                await self._look(life, "a task run again")

    def _both(self, life: Life) -> list[tuple[Side, str]]:
        return list(zip(self.sides, life.ids, strict=True))

    async def _each(self, what: str, life: Life, method: str, path: str, body: Any = None) -> Outcome:
        theirs, ours = await asyncio.gather(
            *(asked(side, method, path.format(id_), body) for side, id_ in self._both(life))
        )
        if "run again" in what:
            for outcome in (theirs, ours):
                outcome.answer = since_the_retry(outcome.answer)
        self.told.note(what, [*differing(theirs, ours), *messages(theirs, ours)], life)
        return theirs

    async def _cancelled(self, side: Side, id_: str) -> Any:
        """Cancel it once it waits, if it ever does."""
        if not await self._waiting(side, id_):
            return "it does not wait"
        outcome = await asked(side, "POST", f"/tasks/{id_}/cancel", {})
        return outcome.answer.body

    async def _waiting(self, side: Side, id_: str) -> bool:
        """Return when it has come to the step that waits, or to its end. Returns whether it waits."""
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE:
            events = await raw(side, f"/tasks/{id_}/events")
            if any(event["body"]["message"] == "Beginning step Wait" for event in events):
                return not any(
                    event["type"] == "completion"
                    or (
                        event["body"].get("stepId") == "wait"
                        and event["body"].get("status") in ("completed", "failed", "skipped")
                    )
                    for event in events
                )
            if events and events[-1]["type"] == "completion":
                return False
            await asyncio.sleep(0.05)
        return False

    async def _ended(self, life: Life) -> None:
        """Return when both have come to its end. What did not is a difference."""
        began = time.monotonic()
        for side, id_ in self._both(life):
            while (task := await raw(side, f"/tasks/{id_}"))["status"] in ("open", "processing"):
                if time.monotonic() - began > PATIENCE:
                    self.told.note("the end", [f"end: {type(side).__name__} {task['status']}"], life)
                    return
                await asyncio.sleep(0.03)

    async def _look(self, life: Life, what: str) -> None:
        """The task, its events, its stream, and those after one of them."""
        await self._each(what, life, "GET", "/tasks/{}")
        await self._each(f"{what}: events", life, "GET", "/tasks/{}/events")
        if "EXPERIMENTAL_recovery" not in life.case.entity["spec"]:  # or the stream never ends
            await self._each(f"{what}: stream", life, "GET", "/tasks/{}/eventstream")
        known = [await raw(side, f"/tasks/{id_}/events") for side, id_ in self._both(life)]
        if len(known[0]) == len(known[1]) and known[0]:
            at = self._chance.randrange(len(known[0]))
            found = await asyncio.gather(
                *(
                    asked(side, "GET", f"/tasks/{id_}/events?after={events[at]['id']}")
                    for (side, id_), events in zip(self._both(life), known, strict=True)
                )
            )
            counts = [len(outcome.answer.body) for outcome in found]
            self.told.note(f"{what}: events after", [f"number: {counts}"] if counts[0] != counts[1] else [], life)

    async def lists(self, count: int) -> None:
        """Filters and orders that tell the tasks of the guest apart."""
        choices: dict[str, Sequence[str]] = {
            "status": ("completed", "failed", "open", "cancelled", "nope", "", "processing"),
            "order": (
                "asc:created_at", "desc:created_at", "asc:status", "desc:status", "asc:created_by", "desc:x", "created_at",
                "up:status", "asc:", "",
            ),
            "createdBy": ("user:default/nobody", "", "User:default/guest"),
            "limit": ("0", "1", "5", "100", "-1", "x", ""),
            "offset": ("0", "1", "7", "1000", "-1", "x"),
        }  # fmt: skip
        for _ in range(count):
            query = [("createdBy", "user:default/guest")] if self._chance.random() < 0.9 else []
            for key, values in choices.items():
                if self._chance.random() < (0.1 if key == "createdBy" else 0.4):
                    query += [(key, one) for one in self._chance.choices(values, k=self._chance.choice((1, 1, 2)))]
            if not query or query[0] != ("createdBy", "user:default/guest"):
                query.append(("limit", "0"))  # those of services come at once, in any order
            query.append(("order", self._chance.choice(("asc:created_at", "desc:created_at"))))
            path = "/tasks?" + "&".join(f"{key}={value}" for key, value in query)
            found = await asyncio.gather(*(asked(side, "GET", path) for side in self.sides))
            self.told.note(path, differing(*found))


def messages(theirs: Outcome, ours: Outcome) -> list[str]:
    """Where one side tells more than the other: all that both tell."""
    bodies = [side.answer.body for side in (theirs, ours)]
    if not all(isinstance(body, list) for body in bodies) or len(bodies[0]) == len(bodies[1]):
        return []
    return [f"{[event.get('data', event)['body'].get('message') for event in body]}" for body in bodies]


def since_the_retry(answer: Answer) -> Answer:
    """Upstream keeps what was told before, unless the template says otherwise."""
    if not isinstance(answer.body, list):
        return answer
    kinds = [event.get("data", event)["type"] for event in answer.body]
    last = max((at for at, kind in enumerate(kinds) if kind == "recovered"), default=-1)
    return msgspec.structs.replace(answer, body=answer.body[last + 1 :])


async def raw(side: Side, path: str) -> Any:
    """What it answers, as it came."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with side.run.session.get(f"{side.run.known['self']}{API}{path}", headers=headers) as answer:
        return await answer.json()


async def fuzz(seconds: float, number: int) -> int:
    """Run until the time is over. Returns how many differences were told."""
    chance, told = random.Random(number), Told()
    async with both(LAYER) as sides:
        folder = Path(sides[0].run.known["root"])
        for path, text in FILES.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        await given(sides, entities())
        hunt = Hunt(lambda request: _tried_out(sides, request))
        living, began = Living(sides, told, chance), time.monotonic()
        for round_ in itertools.count():
            if time.monotonic() - began > seconds:
                break
            for difference in await hunt.through(dry_runs(), chance.getrandbits(32), DRY_RUNS):
                body: Mapping[str, Any] = difference.request.json
                told.count += 1
                shown = {"spec": body["template"]["spec"], "values": body["values"], "secrets": body["secrets"]}
                say(
                    f"DIFFERENCE {difference.signature}",
                    *(f"    {line}" for line in difference.lines[:8]),
                    json.dumps(shown),
                )
            found = list(lives(chance, drawn(cases(), chance.getrandbits(32), LIVES), round_, str(folder)))
            say(f"dry runs after {time.monotonic() - began:.0f} s")
            await given(sides, [life.case.entity for life in found])
            say(f"{len(found)} lives after {time.monotonic() - began:.0f} s")
            await _lived(living, found)
            say(f"lived after {time.monotonic() - began:.0f} s")
            await living.lists(LISTS)
            say(f"{hunt.asked:,} dry runs and {told.asked:,} answers about tasks in {time.monotonic() - began:.0f} s")
        say(f"{told.count} differences", f"answers: {dict(hunt.statuses)}", f"meant to differ: {dict(hunt.exempt)}")
    return told.count


async def _lived(living: Living, found: Sequence[Life]) -> None:
    """Those of the guest are created one after another, so that they have one order on both sides."""
    created = [life for life in found if not life.user or await living.create(life)]
    gate = asyncio.Semaphore(4)

    async def one(life: Life) -> None:
        async with gate:
            await living.live(life)

    await asyncio.gather(*map(one, created))


async def _tried_out(sides: Sequence[Side], request: Request) -> tuple[Outcome, Outcome]:
    """Of what upstream takes for its own fault, only what it tells is compared."""
    theirs, ours = await asyncio.gather(*(asked(side, "POST", "/dry-run", request.json) for side in sides))
    if not differing(theirs, ours):
        return theirs, theirs
    if theirs.answer.status == 500:
        theirs.answer.status = ours.answer.status
    return theirs, ours


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
