"""Servers, workers and Postgres are killed while tasks run: none is lost, no finished step is run twice, no secret stays."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.bench.wire import TOKEN, Ask, Connection, RefusedError
from tests.faults.cluster import Cluster, running
from tests.faults.fleet import Fleet, fleet
from tests.faults.world import LONG, SEED, connection
from tests.support.installed import pretend_installed
from tests.support.processes import Process

API = "/api/scaffolder/v2"
DATABASE = "greenroom"
KILLS = int(os.environ.get("FAULTS_KILLS", "500" if LONG else "4"))
AT_ONCE = 6
SECRET = "s3cr3t-of-the-tests-0123456789"
PATIENCE = 600.0 if LONG else 120.0
CALM = 10
"""Kills after which there are none until some task is completed: processes take a while to start, when all do."""
PROCESSES: dict[str, Sequence[str]] = {
    "api": ("serve",),
    "worker": ("worker",),
    **({"another": ("worker",)} if LONG else {}),
}
STEPS = [
    {"id": "once", "action": "deeds:once", "input": {"seconds": 0.1, "secret": "${{ secrets.TOKEN }}"}},
    {"id": "again", "action": "deeds:again", "input": {"seconds": 0.2, "file": "log.txt"}},
    {"id": "file", "action": "deeds:once", "input": {"seconds": 0.1, "file": "kept.txt"}},
    {"id": "each", "action": "deeds:once", "each": ["a", "b", "c"], "input": {"seconds": 0.03}},
    {
        "id": "push",
        "action": "publish:git",
        "input": {"repoUrl": "git.example.com?owner=team&repo=${{ parameters.name }}", "defaultBranch": "main"},
    },
    {"id": "last", "action": "deeds:once", "input": {"seconds": 0.05, "secret": "${{ steps.once.output.secret }}"}},
]
TEMPLATE = {
    "apiVersion": "scaffolder.backstage.io/v1beta3",
    "kind": "Template",
    "metadata": {"name": "deeds"},
    "spec": {
        "type": "service",
        "owner": "team-0",
        "parameters": {"type": "object", "properties": {"name": {"type": "string"}}},
        "steps": STEPS,
        "output": {"commit": "${{ steps.push.output.commitHash }}"},
    },
}


class Deeds:
    """Tasks on a fleet, as somebody has them run who tries again whenever a step was interrupted."""

    def __init__(self, processes: Fleet, cluster: Cluster, folder: Path) -> None:
        self.fleet, self.cluster, self.folder = processes, cluster, folder
        self.ledger = folder / "ledger"
        self.stopped = False
        self.made = 0
        self._listens: tuple[Process, int] | None = None
        self.jobs: list[asyncio.Task[None]] = []
        self.done: set[str] = set()
        self.retries: Counter[str] = Counter()

    async def ask(self, path: str, body: Any = None, expected: int = 200) -> Any:
        """Of any server that answers, until one does."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                door = Connection(self.port())
                try:
                    method, content = ("GET", b"") if body is None else ("POST", msgspec.json.encode(body))
                    return (await door.ask(Ask(API + path, method, content), expected)).json()
                finally:
                    door.close()
            except RefusedError as error:
                if " 503 " not in str(error) and " 404 " not in str(error):
                    raise
            except (OSError, EOFError, KeyError):
                pass
            assert time.monotonic() < deadline, f"nobody answers {path}"
            await asyncio.sleep(0.1)

    def port(self) -> int:
        """Where the server listens. Raises KeyError, EOFError while there is none; its log may end within a line."""
        server = self.fleet.process("api")
        if self._listens is None or self._listens[0] is not server:
            found = re.search(r"Listening on [^\"]*:(\d+)\"", server.log)
            if found is None:
                raise EOFError
            self._listens = server, int(found[1])
        return self._listens[1]

    async def keep_busy(self) -> None:
        """Have tasks made, and tried again, one after another."""
        while not self.stopped:
            self.made += 1
            await self.attend(await self.create(f"repo-{os.getpid()}-{self.made}"))

    async def create(self, name: str) -> str:
        given = {"templateRef": "template:default/deeds", "values": {"name": name}, "secrets": {"TOKEN": SECRET}}
        return str((await self.ask("/tasks", given, 201))["id"])

    async def attend(self, id_: str) -> None:
        """Until it is completed: a step that was interrupted is somebody's to look at, who then has it go on."""
        deadline = time.monotonic() + PATIENCE
        while True:
            status = (await self.ask(f"/tasks/{id_}"))["status"]
            if status == "completed":
                self.done.add(id_)
                return
            if status == "failed":
                end = (await self.ask(f"/tasks/{id_}/events?after=0"))[-1]["body"]
                assert "interrupted" in end["error"]["message"] or "in a row were lost" in end["error"]["message"], end
                self.retries[id_] += 1
                with suppress(RefusedError):  # it was, by an attempt whose answer was lost
                    await self.ask(f"/tasks/{id_}/retry", {"secrets": {"TOKEN": SECRET}}, 201)
            assert time.monotonic() < deadline, f"{id_} is stuck, {status}: {await self.rows('tasks', id_)}"
            await asyncio.sleep(0.1)

    def check(self) -> None:
        """Raises what a job did."""
        for job in self.jobs:
            if job.done():
                job.result()

    async def moves(self) -> None:
        """Until some task is completed that was not."""
        done, deadline = len(self.done), time.monotonic() + PATIENCE
        while len(self.done) == done:
            self.check()
            assert time.monotonic() < deadline, "nothing moves any more"
            await asyncio.sleep(0.1)

    async def rows(self, table: str, id_: str) -> list[dict[str, Any]]:
        key = "id" if table == "tasks" else "task_id"
        found = await self.cluster.query(f"SELECT * FROM {table} WHERE {key} = $1", id_, database=DATABASE)  # noqa: S608
        return [dict(row) for row in found]

    def runs(self) -> Counter[tuple[str, str, str]]:
        """How often each step of each task began and ended."""
        lines = [json.loads(line) for line in self.ledger.read_text().splitlines()]
        return Counter((line["task"], line["step"], line["what"]) for line in lines)

    async def agrees(self) -> None:
        """Every task has ended once, and all of its steps; and what was finished was never begun again."""
        tasks = await self.cluster.query("SELECT id, status FROM tasks", database=DATABASE)
        assert {row["status"] for row in tasks} == {"completed"}
        told = await self.cluster.query("SELECT status, n FROM task_tallies WHERE n <> 0", database=DATABASE)
        assert [tuple(row) for row in told] == [("completed", len(tasks))]
        runs = self.runs()
        for row in tasks:
            await self._agrees(str(row["id"]), runs)
        left = await self.cluster.query(
            "SELECT (SELECT count(*) FROM task_secrets) + (SELECT count(*) FROM task_workspaces) AS n",
            database=DATABASE,
        )
        assert left[0]["n"] == 0

    async def _agrees(self, id_: str, runs: Counter[tuple[str, str, str]]) -> None:
        query = "SELECT type, body FROM task_events WHERE task_id = $1 ORDER BY id"
        events = [
            (row["type"], json.loads(row["body"])) for row in await self.cluster.query(query, id_, database=DATABASE)
        ]
        assert [type_ for type_, _ in events if type_ != "log"].count("completion") == 1
        finished: set[str] = set()
        for _, body in events:
            step, message = body.get("stepId"), body.get("message", "")
            assert not (step in finished and message.startswith("Beginning step")), (
                f"{id_}: {step} was run again: {events}"
            )
            if message.startswith("Finished step"):
                finished.add(step)
        assert finished == {step["id"] for step in STEPS}
        interrupted = Counter(body.get("stepId") for _, body in events if "was interrupted" in body.get("message", ""))
        for step in ("once", "file", "last"):
            begun = runs[id_, step, "begin"]
            assert 1 <= begun <= 1 + interrupted[step], f"{id_}: {step} began {begun} times: {events}"
        assert 3 <= runs[id_, "each", "end"] <= 3 + interrupted["each"]
        assert SECRET not in json.dumps(events)

    def no_secret_stays(self) -> None:
        """Neither in the database's files nor in logs."""
        for file in [*self.folder.rglob("*.log"), *self.cluster.home.root.rglob("*")]:
            if file.is_file():
                assert SECRET.encode() not in file.read_bytes(), f"{file} has the secret"

    async def pushed(self) -> None:
        """Each repository has one commit, with what the workspace had. (Drafts of who was killed stay hidden for a day.)"""
        repositories = list((self.folder / "repositories" / "team").glob("*.git"))
        query = "SELECT task_id, spec #>> '{parameters,name}' AS name FROM task_specs"
        asked = {str(row["task_id"]): row["name"] for row in await self.cluster.query(query, database=DATABASE)}
        missing = {id_: name for id_, name in asked.items() if name not in {one.stem for one in repositories}}
        assert not missing, [(name, await self.rows("task_events", id_)) for id_, name in missing.items()]
        for repository in repositories:
            await asyncio.to_thread(has_its_commit, repository)


def has_its_commit(repository: Path) -> None:
    git = ["git", f"--git-dir={repository}"]
    log = subprocess.run([*git, "log", "--format=%H", "main"], capture_output=True, text=True, check=True)
    assert len(log.stdout.split()) == 1
    for file, step in (("kept.txt", "file"), ("log.txt", "again")):
        shown = subprocess.run([*git, "show", f"main:{file}"], capture_output=True, text=True, check=True)
        assert step in shown.stdout


@pytest.fixture
def cluster(folder: Path) -> Any:
    made = Cluster(folder / "primary")
    made.make()
    with running(made):
        yield made


@asynccontextmanager
async def deeds(cluster: Cluster, folder: Path) -> AsyncIterator[Deeds]:
    """A fleet with the template, ready."""
    template, installed = (
        folder / "template.yaml",
        pretend_installed(folder / "installed", {"deeds": "deeds:deeds"}, "deeds"),
    )
    template.write_text(json.dumps(TEMPLATE))
    (folder / "repositories").mkdir()
    await cluster.query(f"CREATE DATABASE {DATABASE}")
    config = {
        "backend": {
            "listen": {"host": "127.0.0.1", "port": 0},
            "auth": {"externalAccess": [{"type": "static", "options": {"token": TOKEN, "subject": "tests"}}]},
            "database": {"client": "pg", **connection(cluster.to(DATABASE))},
        },
        "catalog": {"locations": [{"type": "file", "target": str(template), "rules": [{"allow": ["Template"]}]}]},
        "scaffolder": {
            "secrets": {"keys": [{"secret": "the key of the tests, which is long"}]},
            "publishGit": {"folders": [{"host": "git.example.com", "path": str(folder / "repositories")}]},
        },
        "deeds": {"ledger": str(folder / "ledger")},
    }
    with fleet(folder, config, cluster.to(DATABASE)) as made:
        path = [str(installed), str(Path(__file__).parent / "deeds"), os.environ.get("PYTHONPATH", "")]
        made.environ["PYTHONPATH"] = os.pathsep.join(path)
        for name, arguments in PROCESSES.items():
            made.start(name, *arguments)
        await made.ready("api")
        yield Deeds(made, cluster, folder)


async def test_tasks_outlive_whoever_runs_them(cluster: Cluster, folder: Path) -> None:
    draw = random.Random(SEED)
    async with deeds(cluster, folder) as place:
        await place.ask("/templates/default/template/deeds/parameter-schema")
        place.jobs = [asyncio.create_task(place.keep_busy()) for _ in range(AT_ONCE)]
        kills = calm = 0
        while kills < KILLS:
            if kills >= calm + CALM:
                calm = kills
                await place.moves()
            await asyncio.sleep(draw.uniform(0.3, 1.5))
            place.check()
            if kills % 10 == 3:
                await restart(cluster, draw.choice([signal.SIGINT, signal.SIGQUIT, signal.SIGKILL]))
                kills += 1
                continue
            victims = draw.sample(list(PROCESSES), draw.choices((1, len(PROCESSES)), (5, 1))[0])
            how = draw.choices((signal.SIGKILL, signal.SIGTERM), (7, 1))[0]
            for name in victims:
                await asyncio.to_thread(place.fleet.end, name, how)
            for name in victims:
                place.fleet.start(name, *PROCESSES[name])
            kills += len(victims)
        place.stopped = True
        await asyncio.wait_for(asyncio.gather(*place.jobs), PATIENCE)
        await everything_has_ended(place)
        await place.agrees()
        await place.pushed()
        place.no_secret_stays()


async def everything_has_ended(place: Deeds) -> None:
    """Also the tasks whose creation was not answered."""
    for row in await place.cluster.query("SELECT id FROM tasks", database=DATABASE):
        await place.attend(str(row["id"]))


async def restart(cluster: Cluster, how: signal.Signals) -> None:
    await asyncio.to_thread(cluster.stop, how)
    await asyncio.to_thread(cluster.start)
