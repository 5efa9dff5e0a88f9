"""Lives of tasks on both sides at once: created, watched, cancelled, ended, looked at, run again."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import msgspec

from tests.conformance.compare import Outcome
from tests.conformance.fuzz.sides import Side
from tests.conformance.fuzz.templates import Case
from tests.conformance.scaffolder_sides import API, asked, differing, placed
from tests.conformance.script import TOKEN
from tests.conformance.scrub import Answer
from tests.conformance.terminal import say

PATIENCE = 40.0
AT_ONCE = 4
"""Tasks, of both sides' workers and of those who live them."""

WAIT = {"id": "wait", "name": "Wait", "action": "debug:wait", "input": {"seconds": 6}}
"""The step during which a task is cancelled."""

Act = Literal["anew", "on", "cancel", "wrongly"]
"""What is done to a task that has ended: begun anew, gone on with, cancelled, and begun anew with what is no secret."""


class Life(msgspec.Struct):
    """A task, and what becomes of it."""

    name: str
    """Of its template."""
    case: Case
    user: bool
    """Whether the guest creates it; else a service does."""
    cancelled: bool
    """Whether it is cancelled while it waits, which its template has a step for."""
    watched: bool
    """Whether somebody follows its events from the beginning."""
    acts: list[Act]
    ids: list[str] = []
    """Of the task: upstream's and ours."""
    apart: bool = False
    """Whether it has gone on from the step that failed, as only Greenroom does: then only how it ended is the same."""

    @property
    def strategy(self) -> str | None:
        """What its template says of recovery. Streams of such a task never end."""
        found: str | None = self.case.entity["spec"].get("EXPERIMENTAL_recovery", {}).get("EXPERIMENTAL_strategy")
        return found


class Told:
    """What has been told of: each kind of difference a few times."""

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
            said = life and {
                "spec": life.case.entity["spec"], "secrets": life.case.secrets, "values": life.case.values,
                "name": life.name, "acts": life.acts,
            }  # fmt: skip
            say(f"DIFFERENCE {what}", *(f"    {line}" for line in lines[:8]), json.dumps(said))


def lives(chance: random.Random, drawn_cases: Sequence[Case], round_: int, folder: str) -> Iterator[Life]:
    """What is to become of each."""
    for index, case in enumerate(drawn_cases):
        cancelled, name = chance.random() < 0.25, f"r{round_}-{index}"
        if cancelled:
            steps = case.entity["spec"]["steps"]
            steps.insert(chance.randint(0, len(steps)), WAIT)
        case.entity = placed(case.entity, name, f"file:{folder}/template.yaml")
        case.values = {**case.values, "index": index}
        acts: list[Act] = chance.choices(
            ("anew", "on", "cancel", "wrongly"), (4, 4, 2, 1), k=chance.choice((0, 0, 1, 1, 2, 3))
        )
        user = not cancelled and chance.random() < 0.7
        yield Life(name, case, user, cancelled, chance.random() < 0.3, acts)


class Living:
    """Lives of tasks, on both sides at once."""

    def __init__(self, sides: Sequence[Side], told: Told, chance: random.Random) -> None:
        self.sides, self.told, self._chance = sides, told, chance

    async def all(self, found: Sequence[Life]) -> None:
        """Those of the guest are created one after another, so that they have one order on both sides."""
        created = [life for life in found if not life.user or await self.create(life)]
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(life: Life) -> None:
            async with gate:
                await self.live(life)

        await asyncio.gather(*map(one, created))

    async def create(self, life: Life) -> bool:
        """Returns whether there is a task now, and learns its ids."""
        body = {"templateRef": life.name, "values": life.case.values, "secrets": life.case.secrets}
        tokens = [side.run.known["guest"] if life.user else TOKEN for side in self.sides]
        pairs = zip(self.sides, tokens, strict=True)
        found = await asyncio.gather(*(raw(side, "/tasks", body, token) for side, token in pairs))
        if all("id" in answer for answer in found):
            life.ids = [answer["id"] for answer in found]
            return True
        refused = await asyncio.gather(*(asked(side, "POST", "/tasks", body) for side in self.sides))
        self.told.note("create", differing(*refused) or [f"create: {found}"] * any("id" in one for one in found), life)
        return False

    async def live(self, life: Life) -> None:
        """All that is to become of it, compared."""
        if not life.user and not await self.create(life):
            return
        async with self._watched(life):
            if life.cancelled:
                said = await asyncio.gather(*(self._cancelled(side, id_) for side, id_ in self._both(life)))
                self.told.note("cancel", [f"cancel: {said}"] if said[0] != said[1] else [], life)
            await self._ended(life)
        await self._look(life, "a task")
        for act in life.acts:
            await self._act(life, act)

    async def _act(self, life: Life, act: Act) -> None:
        if act == "cancel":
            if not life.case.entity["spec"]["steps"]:
                return  # upstream cannot (500): none of the events names a step
            await self._each("cancel what has ended", life, "POST", "/tasks/{}/cancel", {})
            await self._look(life, "a task cancelled after its end")
        elif act == "wrongly":
            await self._each("again wrongly", life, "POST", "/tasks/{}/retry", {"secrets": {"KEY": 5}})
        else:
            await self._again(life, act)

    async def _again(self, life: Life, act: Act) -> None:
        secrets = {"secrets": life.case.secrets} if life.case.secrets else {}
        over = {"startOver": True} if act == "anew" else {}
        status = (await raw(self.sides[1], f"/tasks/{life.ids[1]}"))["status"]
        found = await self._each("again", life, "POST", "/tasks/{}/retry", {**over, **secrets})
        if found.answer.status == 201:
            life.apart = act == "on" and status != "completed" and life.strategy != "startOver"
            await self._ended(life)
            await self._look(life, f"a task run again, {act}")

    def _both(self, life: Life) -> list[tuple[Side, str]]:
        return list(zip(self.sides, life.ids, strict=True))

    async def _each(self, what: str, life: Life, method: str, path: str, body: Any = None) -> Outcome:
        theirs, ours = await asyncio.gather(
            *(asked(side, method, path.format(id_), body) for side, id_ in self._both(life))
        )
        for outcome in (theirs, ours):
            outcome.answer = how_it_ended(outcome.answer) if life.apart else since_the_retry(outcome.answer)
        self.told.note(what, [*differing(theirs, ours), *messages(theirs, ours)], life)
        return theirs

    @asynccontextmanager
    async def _watched(self, life: Life) -> AsyncIterator[None]:
        """Follow the events meanwhile, if somebody is to, as a stream and by asking for more and more."""
        if not life.watched or life.strategy:
            yield
            return
        streams = [
            asyncio.create_task(asked(side, "GET", f"/tasks/{id_}/eventstream")) for side, id_ in self._both(life)
        ]
        polls = [asyncio.create_task(polled(side, id_)) for side, id_ in self._both(life)]
        yield
        try:
            theirs, ours = await asyncio.wait_for(asyncio.gather(*streams), PATIENCE)
            self.told.note("a task watched", [*differing(theirs, ours), *messages(theirs, ours)], life)
            for (side, id_), found in zip(
                self._both(life), await asyncio.wait_for(asyncio.gather(*polls), PATIENCE), strict=True
            ):
                whole = [event["id"] for event in await raw(side, f"/tasks/{id_}/events")]
                self.told.note("a task polled", [f"{type(side).__name__}: {found} / {whole}"] * (found != whole), life)
        except TimeoutError:
            self.told.note("a task watched", [f"no end: {[one.done() for one in (*streams, *polls)]}"], life)

    async def _cancelled(self, side: Side, id_: str) -> Any:
        """Cancel it once it waits, if it ever does."""
        if not await self._waiting(side, id_):
            return "it does not wait"
        return (await asked(side, "POST", f"/tasks/{id_}/cancel", {})).answer.body

    async def _waiting(self, side: Side, id_: str) -> bool:
        """Return when it has come to the step that waits, or to its end. Returns whether it waits."""
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE:
            events = await raw(side, f"/tasks/{id_}/events")
            if any(event["type"] == "completion" for event in events):
                return False
            told = [event["body"] for event in events if event["body"].get("stepId") == "wait"]
            if any(body["message"] == "Beginning step Wait" for body in told):
                return not any(body.get("status") in ("completed", "failed", "skipped") for body in told)
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
        if not life.strategy:
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

    async def crowd(self, waiting: str, later: str) -> None:
        """Tasks that wait for a worker: looked at, cancelled and begun again before they have begun."""
        busy = [await self._made(waiting) for _ in range(AT_ONCE)]
        for ids in busy:
            await self._at_all(ids, self._begun)
        late = [await self._made(later) for _ in range(6)]
        for index, ids in enumerate(late):
            for method, path in (
                ("GET", ""),
                ("POST", "/cancel"),
                ("POST", "/retry"),
                ("GET", ""),
                ("GET", "/events?after=0"),
            ):
                if method == "GET" or index % 2 == (path == "/retry"):
                    body: Any = {} if method == "POST" else None
                    if path.startswith("/events") and index % 2:
                        continue  # nothing has happened: it would be waited for
                    theirs, ours = await asyncio.gather(
                        *(
                            asked(side, method, f"/tasks/{id_}{path}", body)
                            for side, id_ in zip(self.sides, ids, strict=True)
                        )
                    )
                    self.told.note(f"a task that waits: {method} {path}", differing(theirs, ours))
        for ids in busy:
            await self._at_all(ids, lambda side, id_: raw(side, f"/tasks/{id_}/cancel", {}))
        for ids in (*busy, *late):
            ends = await self._at_all(ids, self._end)
            self.told.note("a task that waited", [f"end: {ends}"] if ends[0] != ends[1] else [])

    async def _made(self, name: str) -> list[str]:
        body = {"templateRef": name, "values": {}}
        return [(await raw(side, "/tasks", body))["id"] for side in self.sides]

    async def _at_all(self, ids: Sequence[str], ask: Callable[[Side, str], Any]) -> list[Any]:
        return list(await asyncio.gather(*(ask(side, id_) for side, id_ in zip(self.sides, ids, strict=True))))

    async def _begun(self, side: Side, id_: str) -> None:
        while (await raw(side, f"/tasks/{id_}"))["status"] == "open":
            await asyncio.sleep(0.03)

    async def _end(self, side: Side, id_: str) -> Any:
        began = time.monotonic()
        while (task := await raw(side, f"/tasks/{id_}"))["status"] in ("open", "processing"):
            if time.monotonic() - began > PATIENCE:
                break
            await asyncio.sleep(0.03)
        return task["status"]

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

    async def ends(self) -> None:
        """Of all tasks that there are, by their templates and values."""
        theirs, ours = await asyncio.gather(*map(self._ends, self.sides))
        lines = [
            f"{task}: {theirs[task]} / {ours[task]}" for task in sorted({*theirs, *ours}) if theirs[task] != ours[task]
        ]
        self.told.note("all tasks", [f"ends: {len(lines)} differ", *lines] if lines else [])

    async def _ends(self, side: Side) -> Counter[str]:
        while (await raw(side, "/tasks?status=open&status=processing&limit=1"))["totalTasks"]:
            await asyncio.sleep(0.1)
        tasks = (await raw(side, "/tasks?limit=100000"))["tasks"]
        described = (
            (task["status"], task["spec"]["templateInfo"]["entityRef"], task["spec"].get("parameters"))
            for task in tasks
        )
        return Counter(json.dumps(one, sort_keys=True) for one in described)


async def raw(side: Side, path: str, body: Any = None, token: str = TOKEN) -> Any:
    """What it answers, as it came."""
    method = "GET" if body is None else "POST"
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{side.run.known['self']}{API}{path}"
    async with side.run.session.request(method, url, json=body, headers=headers) as answer:
        return await answer.json()


async def polled(side: Side, id_: str) -> list[int]:
    """The ids of its events, asked for past the last one again and again, until it has ended."""
    ids: list[int] = []
    while True:
        events = await raw(side, f"/tasks/{id_}/events?after={ids[-1] if ids else 0}")
        ids += [event["id"] for event in events if event["id"] not in ids]
        if any(event["type"] == "completion" for event in events):
            return ids


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


def how_it_ended(answer: Answer) -> Answer:
    """Only the last event that tells of an end."""
    if not isinstance(answer.body, list):
        return answer
    ends = [event for event in answer.body if event.get("data", event)["type"] == "completion"]
    return msgspec.structs.replace(answer, body=ends[-1:])
