"""request lists -> recordings: ask the live upstream, and keep its answers for the replay.

    python -m tests.conformance.record record [SET…]     write recordings/SET.jsonl anew
    python -m tests.conformance.record check [SET…]      ask again, and say where upstream no longer answers as recorded
    python -m tests.conformance.record live [SET…]       run both sides now, and compare their answers

`GREENROOM_SHARED` is the folder that holds `oracle/oracle.sh` (default: `shared` beside the repository).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import msgspec

from tests.conformance import listing
from tests.conformance.client import Run, copied_files, serving, variables
from tests.conformance.compare import Outcome, differences
from tests.conformance.differences import documented, intended
from tests.conformance.oracle import upstream
from tests.conformance.script import Script, fill, load, names
from tests.conformance.terminal import say


async def ask_upstream(script: Script) -> list[Outcome]:
    """Start upstream with the data set, and run the whole script against it."""
    with tempfile.TemporaryDirectory() as folder:
        root = copied_files(script, Path(folder))
        async with serving(root) as files:
            config = Path(folder) / "config.yaml"
            config.write_text(fill(script.config, variables(script, files, root)))
            async with upstream(script.entities, config) as oracle, aiohttp.ClientSession() as session:
                known = variables(script, files, root, oracle.base)
                return await Run(script, known, session=session, settle=oracle.settle).outcomes()


def write(script: Script, outcomes: Sequence[Outcome]) -> None:
    script.recording.parent.mkdir(exist_ok=True)
    script.recording.write_bytes(b"".join(msgspec.json.encode(outcome, order="sorted") + b"\n" for outcome in outcomes))


def read(script: Script) -> dict[str, Outcome]:
    """Recorded outcomes by request name."""
    lines = script.recording.read_bytes().splitlines()
    return {outcome.name: outcome for outcome in (msgspec.json.decode(line, type=Outcome) for line in lines)}


def compared(script: Script, recorded: dict[str, Outcome], answered: Sequence[Outcome]) -> dict[str, list[str]]:
    """The requests whose answers differ, by `set/request`, with a line for each difference."""
    found: dict[str, list[str]] = {}
    for request, outcome in zip(script.requests, answered, strict=True):
        before = recorded.get(request.name)
        lines = differences(before, outcome, request.order) if before else ["not recorded"]
        if lines:
            found[f"{script.name}/{request.name}"] = lines
    return found


async def _run(command: str, script: Script) -> dict[str, list[str]]:
    asked = await ask_upstream(script)
    if command == "record":
        write(script, asked)
        return {}
    if command == "check":
        return compared(script, read(script), asked)
    from tests.conformance.server import ask_greenroom, fresh_database

    async with fresh_database() as database:
        found = compared(script, {outcome.name: outcome for outcome in asked}, await ask_greenroom(script, database))
    rows = documented()
    return {name: lines for name, lines in found.items() if not intended(name, rows)}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance.record", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("command", choices=["record", "check", "live"])
    parser.add_argument("sets", nargs="*", help="data sets (default: all)")
    asked = parser.parse_args()
    found: dict[str, list[str]] = {}
    scripts = [load(name) for name in asked.sets or names()]
    for script in scripts:
        lines = asyncio.run(_run(asked.command, script))
        say(f"{script.name}: {len(script.requests)} requests, {len(lines)} that differ")
        found |= lines
    if asked.command == "record":
        listing.write()
    for request, differing in found.items():
        say(request, *(f"    {line}" for line in differing))
    total = sum(len(script.requests) for script in scripts)
    say(f"{total:,} requests about {len(scripts)} data sets: {len(found)} differ that should not")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
