"""A scaffolder under attack: templates to try out or to run, and somebody honest whose tasks have to be done meanwhile."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.hostile.conftest import PATIENCE, World, as_bytes, meanwhile, opened
from tests.support.asgi import Reply
from tests.support.postgres import TestServer
from tests.support.waiting import Wait

BOUND = 6.0
"""Seconds in which somebody else's task is done, whatever is going on. A quiet machine needs a tenth of one."""
API = "scaffolder.backstage.io/v1beta3"
Steps = Sequence[Mapping[str, Any]]


class Ended(NamedTuple):
    """A task that is over."""

    id: str
    status: str
    events: list[dict[str, Any]]

    @property
    def text(self) -> str:
        return json.dumps(self.events, ensure_ascii=False)

    @property
    def error(self) -> str:
        """The message of its error; empty if there is none."""
        return str((self.events[-1]["body"].get("error") or {}).get("message", ""))

    @property
    def output(self) -> Any:
        return self.events[-1]["body"].get("output")


class Workshop:
    """Runs templates in a `World`."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder
        self._numbers = count()
        self._honest = ""

    @property
    def workspaces(self) -> Path:
        return self.folder / "data" / "workspaces"

    async def post(self, path: str, value: Any, **headers: str) -> Reply:
        return await self.world.client.post(f"/api/scaffolder/v2/{path}", value, **headers)

    async def get(self, path: str) -> Reply:
        return await self.world.client.get(f"/api/scaffolder/v2/{path}")

    # --- tried out

    async def try_out(self, steps: Steps, *, files: Mapping[str, str | bytes] | None = None, **more: Any) -> Reply:
        """A dry run; `more`: values, secrets, output, parameters."""
        spec = {"parameters": more.get("parameters", []), "output": more.get("output", {})}
        contents = [
            {"path": path, "base64Content": base64.b64encode(as_bytes(content)).decode()}
            for path, content in (files or {}).items()
        ]
        body = {
            "template": _template("tried", steps, **spec),
            "values": more.get("values", {}),
            "directoryContents": contents,
        }
        return await self.post("dry-run", {**body, "secrets": more.get("secrets", {})})

    # --- run

    async def template(self, steps: Steps, **spec: Any) -> str:
        """Register a template; its reference."""
        name = f"t{next(self._numbers)}"
        await self.world.register(self.world.host.write(f"{name}.json", json.dumps(_template(name, steps, **spec))))
        await self.world.served(f"template:default/{name}")
        return f"template:default/{name}"

    async def start(self, ref: str, values: Any = None, secrets: Any = None) -> str:
        """A task; its id."""
        body = {"templateRef": ref, "values": values or {}, "secrets": secrets or {}}
        reply = await self.post("tasks", body)
        assert reply.status == 201, reply.text[:500]
        return str(reply.json["id"])

    async def ended(self, id_: str, patience: float = PATIENCE) -> Ended:
        """Wait for the end of a task."""
        async with asyncio.timeout(patience):
            while (status := (await self.get(f"tasks/{id_}")).json["status"]) in ("open", "processing"):
                await asyncio.sleep(0.02)
        return Ended(id_, status, (await self.get(f"tasks/{id_}/events")).json)

    async def run(self, steps: Steps, values: Any = None, secrets: Any = None, **spec: Any) -> Ended:
        """A task, from its template to its end."""
        return await self.ended(await self.start(await self.template(steps, **spec), values, secrets))

    # --- and somebody else

    @asynccontextmanager
    async def works_for_others(self, bound: float = BOUND) -> AsyncIterator[None]:
        """While the block runs others are answered, and their tasks, one after another, done in time."""
        if not self._honest:
            steps = [
                {"id": "write", "action": "roadiehq:utils:fs:write", "input": {"path": "a", "content": "honest"}},
                {"id": "read", "action": "roadiehq:utils:fs:parse", "input": {"path": "a"}},
            ]
            self._honest = await self.template(steps)
        async with meanwhile(self._work_on, bound, "somebody else's task"), self.world.answers_others():
            yield

    async def _work_on(self, over: asyncio.Event) -> list[float]:
        waits = []
        while True:
            last, wait = over.is_set(), Wait()
            ended = await self.ended(await self.start(self._honest))
            assert ended.status == "completed", ended.text[-1000:]
            waits.append(wait.seconds())
            if last:
                return waits
            await asyncio.sleep(0.05)


def _template(name: str, steps: Steps, **spec: Any) -> dict[str, Any]:
    numbered = [{"id": f"s{number}", "name": "Step", **step} for number, step in enumerate(steps)]
    return {
        "apiVersion": API,
        "kind": "Template",
        "metadata": {"name": name},
        "spec": {"type": "x", "owner": "x", "steps": numbered, **spec},
    }


@asynccontextmanager
async def opened_workshop(postgres: TestServer, folder: Path, more: str = "") -> AsyncIterator[Workshop]:
    """A house with a scaffolder, in a folder of its own."""
    async with opened(postgres, folder, more) as world:
        yield Workshop(world, folder)


@pytest.fixture(scope="module")
async def workshop(postgres_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Workshop]:
    """One for all tests of a module, which imports it."""
    async with opened_workshop(postgres_server, tmp_path_factory.mktemp("workshop")) as found:
        yield found
