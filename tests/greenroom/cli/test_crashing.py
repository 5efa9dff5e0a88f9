"""Processes that are killed, whatever they are at, and a database that goes away: nothing is lost, and nothing is stuck."""

from __future__ import annotations

import http.server
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.greenroom.cli.conftest import write_config
from tests.support.asgi import TOKEN
from tests.support.catalog import component
from tests.support.postgres import open_folder
from tests.support.processes import PATIENCE, Process, started, until

MANY = 3000
LONG = 80.0
"""Seconds: less than the 90 s of a lease."""
PROVIDERS = "/api/greenroom/catalog/providers"


class Source:
    """A server of many entities, which keeps back half of them while it is told to."""

    def __init__(self) -> None:
        self.flows = threading.Event()
        self.asked = threading.Event()
        lines = [json.dumps(component(f"c-{n}", spec={"dependsOn": ["component:hub"]})).encode() for n in range(MANY)]
        self.halves = b"\n".join([*lines[: MANY // 2], b""]), b"\n".join(lines[MANY // 2 :])

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", str(sum(map(len, self.halves))))
        handler.end_headers()
        handler.wfile.write(self.halves[0])
        handler.wfile.flush()
        self.asked.set()
        self.flows.wait()
        handler.wfile.write(self.halves[1])


class World(NamedTuple):
    """A server without a worker; and how to start workers."""

    source: Source
    api: Process
    folder: Path
    config: Path
    stack: ExitStack

    def worker(self, name: str) -> Process:
        environ = {"GREENROOM_DATA": str(self.folder / "data")}
        arguments: list[str | Path] = ["worker", "--port", "0", "--config", self.config]
        return self.stack.enter_context(started(self.folder / name, arguments, environ))

    def served(self) -> int:
        found: int = self.api.get("/api/catalog/entities/by-query?filter=kind=component&limit=0", TOKEN)[1][
            "totalItems"
        ]
        return found

    def runs(self) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = self.api.get(f"{PROVIDERS}/ndjson:many/runs", TOKEN)[1]["items"]
        return runs


@contextmanager
def world() -> Iterator[World]:
    source = Source()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            source.answer(self)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its name there)
            """Nothing: standard error is the tests' own."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # its readers are killed
    with open_folder() as folder, ExitStack() as stack:
        stack.enter_context(server)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        stack.callback(source.flows.set)
        host = f"127.0.0.1:{server.server_port}"
        config = write_config(
            folder,
            backend={"reading": {"allow": [{"host": host}]}},
            catalog={"providers": {"ndjson": {"many": {"path": f"http://{host}/entities.ndjson"}}}},
        )
        environ = {"GREENROOM_DATA": str(folder / "data")}
        api = stack.enter_context(started(folder / "api", ["serve", "--api-only", "--config", config], environ))
        api.until_ready()
        yield World(source, api, folder, config, stack)


def test_workers_that_are_killed_one_after_another_lose_nothing() -> None:
    for _ in range(5):  # a worker that is done before it can be killed proves nothing
        with world() as one:
            if are_killed_in_time(one):
                return
    raise AssertionError("no worker was killed in time")


def are_killed_in_time(world: World) -> bool:
    first = world.worker("first")
    assert world.source.asked.wait(PATIENCE)
    until(lambda: world.runs() and world.runs()[0]["status"] == "running")
    first.stop(signal.SIGKILL)
    assert world.served() == 0, "half of a full mutation is nothing"

    second = world.worker("second")
    until(lambda: len(world.runs()) == 2)
    newest, lost = world.runs()
    assert (lost["status"], lost["error"]) == ("failed", "The process that ran it ended")
    assert newest["status"] == "running"
    world.source.flows.set()
    until(lambda: world.served() > 0)
    second.stop(signal.SIGKILL)
    if world.served() == MANY:
        return False

    world.worker("third")
    world.worker("fourth")
    until(lambda: world.served() == MANY, LONG)  # less than a lease: what the dead held is taken from them
    until(lambda: [run["status"] for run in world.runs()][:1] == ["succeeded"], LONG)
    assert world.runs()[0]["added"] in (0, MANY)  # 0: the second had come to the end of the mutation
    assert all(run["finishedAt"] for run in world.runs())
    ref = "component:default/hub"
    related = world.api.get(f"/api/catalog/entities/by-query?filter=relations.dependson={ref}&limit=0", TOKEN)[1]
    assert related["totalItems"] == MANY
    return True
