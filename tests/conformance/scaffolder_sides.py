"""Both sides with the same templates and the same config, for what is generated about the scaffolder; and how they are asked."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from greenroom.entity import LOCATION, ORIGIN_LOCATION, Entity
from tests.conformance.client import serving
from tests.conformance.compare import Outcome, differences
from tests.conformance.fuzz.sides import Side, asking, feed, rest, signed_in, started_greenroom, started_upstream
from tests.conformance.script import TOKEN
from tests.conformance.scrub import Answer
from tests.conformance.server import fresh_database

API = "/api/scaffolder/v2"
TRIED_OUT = 1000
"""Entities for one mutation."""

Body = Mapping[str, Any] | None


@asynccontextmanager
async def both(layer: str) -> AsyncIterator[list[Side]]:
    """Upstream and Greenroom, empty, with this layer of config; each knows `${guest}`, a user's token."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        served, config = folder / "files", folder / "layer.yaml"
        served.mkdir()
        config.write_text(layer)
        files = await stack.enter_async_context(serving(served))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        )
        ask = asking(session, files, served)
        database = await stack.enter_async_context(fresh_database())
        ours = await stack.enter_async_context(started_greenroom(folder, database, ask, config))
        theirs = await stack.enter_async_context(started_upstream(session, ask, config))
        sides: list[Side] = [theirs, ours]
        await signed_in(sides)
        yield sides


async def given(sides: Sequence[Side], templates: Sequence[Entity]) -> None:
    """Both have these entities, and have come to rest."""
    await feed(sides, templates, [])
    await rest(sides)


def placed(entity: Entity, name: str, where: str = "url:https://git.example.com/a/b/template.yaml") -> Entity:
    """The entity by that name, as a provider gives it."""
    metadata = entity.get("metadata") or {}
    marks = {**(metadata.get("annotations") or {}), LOCATION: where, ORIGIN_LOCATION: where}
    return {**entity, "metadata": {**metadata, "name": name, "annotations": marks}}


async def asked(side: Side, method: str, path: str, body: Body = None, token: str | None = TOKEN) -> Outcome:
    """One request under `/api/scaffolder/v2`. Nothing is filled into its body."""
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    send = side.run.session.request(method, f"{side.run.known['self']}{API}{path}", json=body, headers=headers)
    async with send as answer:
        found = {name.lower(): value for name, value in answer.headers.items()}
        scrubbed = side.run.scrubber.answer(answer.status, found, await answer.read())
    return Outcome(name=path, answer=comparable(scrubbed))


OUT_OF_REACH = [
    (
        re.compile(r'(?:FetchError: )?request to \S+ failed, reason: (?:(?!\\n)[^"])*'),
        "a host out of reach",
    ),
    (re.compile(r'(?:Error: )?Unable to read \S+, Cannot connect to host (?:(?!\\n)[^"])*'), "a host out of reach"),
    (re.compile(r"copyfile ('[^']*') -> '[^']*_step-[^']*'"), r"lstat \1"),
]
"""What either side says of a host that has no address here, and of a file that upstream copies into a place of its own first."""


CANCELLED = re.compile(r'("message": "Step )[^" ]+( has been cancelled\.", "stepId": )"[^"]*"')
"""Upstream names the step of the latest event, which may be a line that a step before has logged."""

UNREACHED = '"name": "FetchError", "message": "a host out of reach"'
"""What the library that upstream reads with calls its errors."""


def comparable(answer: Answer) -> Answer:
    """Without what only one side tells, or tells in words of its own."""
    answer.headers.pop("content-encoding", None)  # stacks, which only upstream tells, make answers longer
    if answer.text is not None and answer.text.startswith("event: "):
        answer = msgspec.structs.replace(answer, text=None, body=frames(answer.text))
    text = CANCELLED.sub(r'\1…\2"…"', json.dumps(answer.body))
    for found, said in OUT_OF_REACH:
        text = found.sub(said, text)
    text = ETAG.sub('"etag": "<etag>"', IN_A_FILE.sub(r"\1", FIELDS_OF_ERRORS.sub("", text)))
    body = json.loads(text.replace(UNREACHED, '"name": "Error", "message": "a host out of reach"'))
    return msgspec.structs.replace(answer, body=body)


def frames(text: str) -> list[Any]:
    """Server-sent events, as a list of them."""
    parts = [frame.partition("\ndata: ") for frame in text.split("\n\n") if frame]
    return [{"frame": name, "data": json.loads(data)} for name, _, data in parts]


async def compared(sides: Sequence[Side], method: str, path: str, body: Body = None) -> tuple[Outcome, list[str]]:
    """What upstream answers, and what differs in Greenroom's answer."""
    theirs, ours = await asyncio.gather(*(asked(side, method, path, body) for side in sides))
    return theirs, differing(theirs, ours)


def differing(theirs: Outcome, ours: Outcome) -> list[str]:
    """What differs, and is not meant to: a mistake of the template is told as upstream tells it, but not as a fault of ours, and
    in words of ours where it is Node that speaks."""
    if theirs.answer.status == 500 and ours.answer.status in (400, 404):
        before, after = ((side.answer.body or {}).get("error", {}) for side in (theirs, ours))
        node_speaks = before.get("name") in ("TypeError", "SyntaxError") and after.get("name") == "InputError"
        if before == after or node_speaks:
            return []
    lines = list(differences(theirs, ours))
    if any(A_HOLE.search(line) for line in lines):
        return []
    return [line for line in lines if not _meant(line)]


def _meant(line: str) -> bool:
    """Whether what differs is one of what follows."""
    return bool(
        NAMES_HIDDEN.search(line.partition(", answered ")[0]) or LAST_STEP.match(line) or NODE_SPEAKS.search(line)
    )


A_HOLE = re.compile(r'answered ".*Invalid input passed to action .*\[\d+\] is not of a type\(s\) string[^"]*"$')
"""An item of a list that is undefined is null here, which the schema of an action may refuse; to upstream it is a hole, and what
comes of it is the action's affair."""

NAMES_HIDDEN = re.compile(r'\\"\*\*\*\\":|instance\.\*\*\*|additional property \\"\*\*\*\\"')
"""Upstream takes the name of an input for a secret, too, where there would be none without the secret."""

NODE_SPEAKS = re.compile(
    r'recorded "(?:TypeError: )?Cannot read properties of|recorded "(?:SyntaxError: )?…", answered ".*is not valid JSON'
    r'|error\.name: recorded "(?:Type|Syntax)Error", answered "InputError"$'
)
"""A step that Node stumbled over, in the events of its task."""

ETAG = re.compile(r'"etag": "[0-9a-f]{40}"')
"""Of an entity, in a stream of events, which is scrubbed as text."""

LAST_STEP = re.compile(r"body\.output\..*<uuid>: recorded \{\"output\": \{\}\}, answered \"<absent>\"$")
"""A dry run of upstream's has a last step of its own, which templates can see among the others."""

IN_A_FILE = re.compile(r'(Template error at line (?:[^"\\]|\\.)*?) \(in (?:[^()"\\]|\\.)*\)(?="|\\n)')
"""Greenroom tells which file of a skeleton is wrong."""

FIELDS_OF_ERRORS = re.compile(r' \{\\"(?:code|stack)\\":(?:[^"\\]|\\.)*')
"""What else an error of Node's has, with its stack, where upstream logs it."""
