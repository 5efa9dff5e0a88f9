"""Catalog files that nobody wrote: real ones and samples, spoiled at random, tried out on both sides.

    python -m tests.conformance.fuzz.descriptors [--count 5000] [--seed N] [--folder FOLDER]

FOLDER holds real descriptors (default: `corpus` of the shared folder, if it is there). A difference is printed with the smallest
file that shows it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
from aiohttp import web

from tests.conformance.client import answering
from tests.conformance.fuzz.book import note
from tests.conformance.fuzz.samples import BESIDE, disturb, entity, written
from tests.conformance.fuzz.sides import AUTHORIZED, Side, asking, started_greenroom, started_upstream
from tests.conformance.fuzz.spoiling import encoded, spoiled
from tests.conformance.oracle import shared_folder
from tests.conformance.server import fresh_database
from tests.conformance.terminal import say

AT_ONCE = 4
SHRINK_ASKS = 150
REAL, ACCEPTED = 0.5, 0.8
"""How many of the files are made from real ones, and of those, from ones that upstream takes as they are."""


class Case(NamedTuple):
    """A file, and where it stands among others."""

    path: str
    content: bytes

    @property
    def key(self) -> str:
        return hashlib.sha256(self.path.encode() + self.content).hexdigest()[:16]


class Verdict(NamedTuple):
    """An answer to a dry run: its status, and the entities or what is wrong."""

    status: int
    told: Any


class Shelf:
    """Serves each case under a folder of its own, with the real files and the samples' beside it."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._cases: dict[str, Case] = {}

    def add(self, case: Case) -> str:
        """The path that it is served under from now on."""
        self._cases[case.key] = case
        return f"/{case.key}/{quote(case.path)}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        key, _, path = request.path.lstrip("/").partition("/")
        case = self._cases.get(key)
        if case is None:
            return web.Response(status=404)
        if path == case.path:
            return web.Response(body=case.content)
        if (name := path.rpartition("/")[2]) in BESIDE and not case.path.count("/"):
            return web.Response(body=BESIDE[name].encode())
        found = self._folder / path if self._folder and len(name) < 256 else None
        return web.FileResponse(found) if found is not None and found.is_file() else web.Response(status=404)


def cases(number: int, count: int, folder: Path | None) -> Iterable[Case]:
    """Always the same for a seed and a folder."""
    chance = random.Random(number)
    real = _real(folder) if folder else {}
    for _ in range(count):
        if real and chance.random() < REAL:
            path = chance.choice(real[chance.random() < ACCEPTED] or real[True])
            text = (folder / path).read_bytes().decode("utf-8", "replace") if folder else ""
        else:
            path, text = "catalog-info.yaml", _sample(chance)
        yield Case(path, encoded(spoiled(text, chance), chance))


def _sample(chance: random.Random) -> str:
    values = [entity(chance) for _ in range(chance.choice((1, 1, 1, 2)))]
    for value in values:
        for _ in range(chance.choice((0, 0, 1, 1, 2))):
            disturb(value, chance)
    return "---\n".join(written(value, chance) for value in values)


def _real(folder: Path) -> dict[bool, list[str]]:
    """Paths of descriptors, by whether upstream is known to take them."""
    listed = folder / "verdicts.jsonl"
    if not listed.exists():
        return {True: sorted(str(path.relative_to(folder)) for path in folder.rglob("*.y*ml")), False: []}
    verdicts = [json.loads(line) for line in listed.read_text().splitlines()]
    return {good: [one["path"] for one in verdicts if (one["status"] == 201) is good] for good in (True, False)}


FOREIGN = [
    (
        re.compile(
            r"(Placeholder \S+ could not read location) \S+, (?:FetchError|Error): (?:request to|Unable to read).*",
            re.DOTALL,
        ),
        r"\1 …",
    ),
    (
        re.compile(
            r"(?:FetchError: )?request to \S+ failed, reason: .*|(?:Error: )?Unable to read (?=http).*", re.DOTALL
        ),
        "…",
    ),
    (re.compile(r"SyntaxError: .*", re.DOTALL), "SyntaxError: …"),
    (re.compile(r"(unable to bundle the file at \S+), .*", re.DOTALL), r"\1, …"),
]
"""What V8 and the machine say is theirs."""


CIRCULAR, PLACEHOLDER = "Converting circular structure to JSON", "Error: Placeholder $"


def exempt(case: Case, theirs: Verdict, ours: Verdict) -> bool:
    """Where upstream fails, where an alias is within what it stands for (upstream refuses the file when it first gets lost in
    it), and where several placeholders cannot be read (which is told is chance)."""
    if theirs.status == 500 or CIRCULAR in str(ours.told):
        return ours.status == 400
    both = all(PLACEHOLDER in str(verdict.told) for verdict in (theirs, ours))
    return both and case.content.count(b"$") > 1


HALF = re.compile("[\ud800-\udfff]")
"""Halves of characters: ours come as U+FFFD."""


def printed(number: str) -> str:
    """As it was printed, but for the plus sign of an exponent, which only JavaScript writes."""
    return number.replace("e+", "e")


def comparable(status: int, body: Any) -> Verdict:
    if status == 201:
        return Verdict(
            status,
            sorted(HALF.sub("\ufffd", json.dumps(one, sort_keys=True, ensure_ascii=False)) for one in body["entities"]),
        )
    message = body["error"]["message"]
    for theirs, ours in FOREIGN:
        message = theirs.sub(ours, message)
    return Verdict(status, HALF.sub("\ufffd", f"{body['error']['name']}: {message}"))


class Trial:
    """Asks both sides about cases."""

    def __init__(self, sides: Sequence[Side], shelf: Shelf, base: str) -> None:
        self._sides, self._shelf, self._base = sides, shelf, base
        self.asked = 0
        self.since = 0
        """Dry runs since the last difference."""
        self.statuses: Counter[str] = Counter()

    async def verdicts(self, case: Case) -> tuple[Verdict, Verdict]:
        target = self._base + self._shelf.add(case)
        self.asked += 1
        theirs, ours = await asyncio.gather(*(self._verdict(side, target) for side in self._sides))
        return theirs, ours

    async def _verdict(self, side: Side, target: str) -> Verdict:
        url = f"{side.run.known['self']}/api/catalog/locations?dryRun=true"
        async with side.run.session.post(url, json={"type": "url", "target": target}, headers=AUTHORIZED) as answer:
            return comparable(answer.status, json.loads(await answer.read(), parse_float=printed))

    async def differs(self, case: Case) -> tuple[Verdict, Verdict] | None:
        theirs, ours = await self.verdicts(case)
        self.statuses[f"{theirs.status}"] += 1
        return None if theirs == ours or exempt(case, theirs, ours) else (theirs, ours)

    async def smaller(self, case: Case, verdicts: tuple[Verdict, Verdict]) -> Case:
        """The same difference in fewer lines, then in fewer letters."""
        budget = SHRINK_ASKS
        for pattern in (rb"[^\n]*\n?", rb"[ \t]+|\w+|.", rb"(?s)."):
            at = 0
            parts = [part for part in re.findall(pattern, case.content) if part]
            step = max(1, len(parts) // 2)
            while step and budget > 0:
                while at < len(parts) and budget > 0:
                    fewer = Case(case.path, b"".join(parts[:at] + parts[at + step :]))
                    budget -= 1
                    found = await self.differs(fewer)
                    if found is not None and _alike(found, verdicts):
                        case, parts = fewer, parts[:at] + parts[at + step :]
                    else:
                        at += step
                at, step = 0, step // 2
        return case


def _alike(one: tuple[Verdict, Verdict], other: tuple[Verdict, Verdict]) -> bool:
    return [verdict.status for verdict in one] == [verdict.status for verdict in other] and signature(one) == signature(
        other
    )


def signature(verdicts: tuple[Verdict, Verdict]) -> str:
    """What kind of difference it is."""
    theirs, ours = verdicts
    parts = [
        "entities"
        if verdict.status == 201
        else re.sub(r"http\S+|'[^']*'|\"[^\"]*\"|\d+|\S*:\S+/\S+|\n.*", "…", str(verdict.told))[:160]
        for verdict in (theirs, ours)
    ]
    return f"{theirs.status} {parts[0]} / {ours.status} {parts[1]}"


async def hunt(trial: Trial, drawn: Iterable[Case]) -> int:
    """Returns how many kinds of differences were found. Each is told once."""
    kinds: dict[str, int] = {}
    queue, lock = iter(drawn), asyncio.Lock()

    async def work() -> None:
        for case in queue:
            found = await trial.differs(case)
            trial.since += 1
            if found is None:
                continue
            trial.since = 0
            kind = signature(found)
            kinds[kind] = kinds.get(kind, 0) + 1
            if kinds[kind] == 1:
                async with lock:
                    small = await trial.smaller(case, found)
                    say(kind, *told(small, await trial.verdicts(small)))

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    took = time.monotonic() - began
    say(f"{trial.asked} dry runs in {took:.0f} s: {dict(trial.statuses)}, {trial.since} since the last difference")
    for kind, count in kinds.items():
        say(f"{count:6} {kind}")
    return len(kinds)


def told(case: Case, verdicts: tuple[Verdict, Verdict]) -> list[str]:
    lines = [f"    {case.path} {case.content!r}"]
    theirs, ours = verdicts
    if theirs.status == ours.status == 201:
        lines += [f"    upstream {one[:600]}" for one in theirs.told if one not in ours.told]
        return [*lines, *(f"    answered {one[:600]}" for one in ours.told if one not in theirs.told)]
    return [
        *lines,
        f"    upstream {theirs.status} {str(theirs.told)[:600]}",
        f"    answered {ours.status} {str(ours.told)[:600]}",
    ]


async def fuzz(number: int, count: int, folder: Path | None) -> int:
    async with AsyncExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        shelf = Shelf(folder)
        base = await stack.enter_async_context(answering(shelf.answer))
        connections = aiohttp.TCPConnector(keepalive_timeout=2.0)  # shorter than servers keep them
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connections))
        ask = asking(session, base, work)
        database = await stack.enter_async_context(fresh_database())
        ours = await stack.enter_async_context(started_greenroom(work, database, ask))
        theirs = await stack.enter_async_context(started_upstream(session, ask))
        trial = Trial([theirs, ours], shelf, base)
        found = await hunt(trial, cases(number, count, folder))
        note(number, trial.asked, trial.since, found)
        return found


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance.fuzz.descriptors", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--folder", type=Path, default=shared_folder() / "corpus")
    asked = parser.parse_args()
    say(f"seed {asked.seed}")
    folder = asked.folder if asked.folder.is_dir() else None
    return 1 if asyncio.run(fuzz(asked.seed, asked.count, folder)) else 0


if __name__ == "__main__":
    sys.exit(main())
