"""A plugin whose actions leave marks outside of everything that a crash could undo."""

import asyncio
import json
import os
from collections.abc import Iterable

import msgspec

from greenroom import Contribution, Host, plugin
from greenroom.plugin import ActionContext, action


class Config(msgspec.Struct):
    ledger: str
    """A file that gets a line at the beginning and at the end of each run of a step."""


class Deed(msgspec.Struct):
    seconds: float = 0.0
    """How long it takes."""
    file: str = ""
    """In the workspace: gets a line, too."""
    secret: str = ""


@plugin("deeds", Config)
def deeds(config: Config, host: Host) -> Iterable[Contribution]:
    def note(ctx: ActionContext[Deed], what: str) -> None:
        line = json.dumps({"task": ctx.task_id, "step": ctx.step_id, "what": what})
        ledger = os.open(config.ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(ledger, f"{line}\n".encode())  # one write: whole, whoever else writes
        os.close(ledger)

    async def do(ctx: ActionContext[Deed]) -> dict[str, object]:
        note(ctx, "begin")
        ctx.log.info(f"at {ctx.step_id}, with {ctx.input.secret}")
        if ctx.input.file:
            with ctx.inside(ctx.input.file).open("a") as file:
                file.write(f"{ctx.step_id}\n")
        await asyncio.sleep(ctx.input.seconds)
        note(ctx, "end")
        return {"of": ctx.step_id, "secret": ctx.input.secret}

    @action("deeds:once")
    async def once(ctx: ActionContext[Deed]) -> dict[str, object]:
        """Must not be done twice."""
        return await do(ctx)

    @action("deeds:again", idempotent=True)
    async def again(ctx: ActionContext[Deed]) -> dict[str, object]:
        """May be done again, as long as it is not done."""
        return await do(ctx)

    yield once
    yield again
