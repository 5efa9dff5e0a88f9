"""The expressions of real templates, rendered by upstream's engine in a Node process and by ours in a Python process, in turn.

`python -m tests.bench.expressions FILE PASSES` is our process: microseconds for one expression, the first time and later ones.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from greenroom_scaffolder.templating import Engine, TemplateError
from greenroom_scaffolder.templating.backstage import backstage_filters
from tests.conformance.oracle import REPOSITORY, shared_folder
from tests.conformance.templating.live import expressions

PASSES, TURNS = 10, 5


class Taken(msgspec.Struct, frozen=True):
    """By one process, in microseconds for one expression."""

    cold: float
    """All of them once, each seen for the first time."""
    warm: list[float]
    """Each pass after that."""


async def timed(modules: Path, folder: Path) -> tuple[list[Taken], list[Taken]]:
    """Upstream's and ours, a fresh process each turn. `modules`: upstream's packages."""
    file = folder / "expressions.ndjson"
    asked = [case for case in expressions(shared_folder()) if not case["options"]]
    file.write_text(
        "".join(json.dumps({"template": one["template"], "context": one["context"]}) + "\n" for one in asked)
    )
    script = str(Path(__file__).with_suffix(".mjs"))
    commands = (
        ["node", script, str(modules), str(file), str(PASSES)],
        [sys.executable, "-m", __spec__.name if __spec__ else __name__, str(file), str(PASSES)],
    )
    taken: tuple[list[Taken], list[Taken]] = ([], [])
    for _ in range(TURNS):
        for command, side in zip(commands, taken, strict=True):
            side.append(await _told(command))
    return taken


async def _told(command: list[str]) -> Taken:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=REPOSITORY)
    out, _ = await process.communicate()
    return msgspec.json.decode(out, type=Taken)


def main(file: str, passes: str) -> None:
    """Our side."""
    asked = [json.loads(line) for line in Path(file).read_text().splitlines()]
    hosts = {"github.com": "github"}
    engine = Engine({one.name: one.apply for one in backstage_filters(hosts.get)})
    taken = Taken(_pass(engine, asked), [_pass(engine, asked) for _ in range(int(passes))])
    sys.stdout.write(msgspec.json.encode(taken).decode())


def _pass(engine: Engine, asked: list[dict[str, Any]]) -> float:
    began = time.perf_counter()
    for one in asked:
        try:
            engine.value(one["template"], one["context"])
        except TemplateError:
            continue
    return (time.perf_counter() - began) * 1e6 / len(asked)


if __name__ == "__main__":
    main(*sys.argv[1:])
