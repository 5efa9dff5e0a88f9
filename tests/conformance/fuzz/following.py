"""Requests that carry something of the answer before them: a cursor, an entity tag."""

from __future__ import annotations

import hashlib

import msgspec

from tests.conformance.client import Run
from tests.conformance.compare import Outcome
from tests.conformance.script import Request

GOT = "${got}"


class Following(Request, kw_only=True):
    """A request in which `${got}` is what `take` finds in the answer to `first` (as in `Request.save`)."""

    first: Request
    take: str


async def outcome(run: Run, request: Request) -> Outcome:
    """The outcome of any request, after the one it needs."""
    if not isinstance(request, Following):
        return await run.outcome(request)
    text = msgspec.json.encode(request).decode()
    name = f"got-{hashlib.sha256(text.encode()).hexdigest()[:12]}"  # several are under way at once
    await run.outcome(msgspec.structs.replace(request.first, save={name: request.take}))
    return await run.outcome(msgspec.json.decode(text.replace(GOT, f"${{{name}}}"), type=Following))


def as_steps(request: Request) -> list[Request]:
    """The entries of a request list that ask the same."""
    if not isinstance(request, Following):
        return [request]
    asked = {key: value for key, value in msgspec.to_builtins(request).items() if key not in ("first", "take", "name")}
    first = msgspec.structs.replace(request.first, save={"got": request.take})
    return [first, msgspec.convert(asked, Request)]
