"""Two APIs and two workers on one database: seen by all at once, divided among all, and no less for one that ends or is ended."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from greenroom.cli.server import HASTE, TWICE
from tests.greenroom.cli.conftest import write_config
from tests.support.asgi import TOKEN
from tests.support.catalog import component
from tests.support.postgres import open_folder
from tests.support.processes import PATIENCE, READINESS, Process, started, until

MANY = 4000
LONG = 80.0
"""Seconds: no worker waits as long as this for the lease of another, which is 90 s."""
SHOPS = "/api/greenroom/catalog/providers/ndjson:shops"
DELAY = 1.0


class Fleet:
    """Processes that come and go on one data folder, which holds the embedded database."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.file = folder / "entities.ndjson"
        self.file.write_text(json.dumps(component("shop")) + "\n")
        self.config = write_config(
            folder,
            backend={"lifecycle": {"serverShutdownDelay": {"seconds": DELAY}}},
            catalog={"providers": {"ndjson": {"shops": {"path": str(self.file)}}}},
        )
        self.count = 0

    def start(self, *arguments: str) -> Process:
        self.count += 1
        log, environ = self.folder / f"{self.count}.log", {"GREENROOM_DATA": str(self.folder / "data")}
        return self.stack.enter_context(started(log, [*arguments, "--config", self.config], environ))

    def apis(self, count: int) -> list[Process]:
        return [ready(one) for one in [self.start("serve", "--api-only") for _ in range(count)]]

    def workers(self, count: int) -> list[Process]:
        return [ready(one) for one in [self.start("worker", "--port", "0") for _ in range(count)]]


def ready(process: Process) -> Process:
    try:
        process.until_ready()
    except OSError:
        raise AssertionError(process.log) from None
    return process


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with open_folder() as folder, ExitStack() as stack:
        yield Fleet(folder, stack)


@pytest.fixture(scope="module")
def apis(fleet: Fleet) -> list[Process]:
    """Replaced as they are restarted."""
    return fleet.apis(2)


@pytest.fixture(scope="module")
def workers(fleet: Fleet, apis: list[Process]) -> list[Process]:
    return fleet.workers(2)


def served(api: Process) -> int:
    found: int = api.get("/api/catalog/entities/by-query?filter=kind=component&limit=0", TOKEN)[1]["totalItems"]
    return found


def post(api: Process, path: str) -> Any:
    request = urllib.request.Request(api.url + path, method="POST", headers={"Authorization": f"Bearer {TOKEN}"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
        return json.loads(answer.read())


def processed(worker: Process) -> int:
    with urllib.request.urlopen(worker.url + "/metrics", timeout=PATIENCE) as answer:  # noqa: S310
        text = answer.read().decode()
    return int(
        sum(float(n) for n in re.findall(r"^catalog_processed_entities_count\w*\{.*?\} (\S+)$", text, re.MULTILINE))
    )


def bring(fleet: Fleet, api: Process, count: int, title: str = "A") -> None:
    """Have the provider emit so many entities."""
    lines = [json.dumps(component("shop")), *(json.dumps(component(f"c-{n}", title=title)) for n in range(count))]
    fleet.file.write_text("\n".join([*lines, ""]))
    post(api, f"{SHOPS}/trigger")


def titled(api: Process, title: str) -> int:
    query = f"/api/catalog/entities/by-query?filter=metadata.title={title}&limit=0"
    found: int = api.get(query, TOKEN)[1]["totalItems"]
    return found


def half_served(fleet: Fleet, api: Process, title: str) -> str:
    """Have entities brought, and return, with their title, when some are served and others are not: anew, should it be too late."""
    for turn in range(10):
        bring(fleet, api, MANY, f"{title}{turn}")
        until(lambda: titled(api, f"{title}{turn}") > 0)  # noqa: B023 - called at once
        if titled(api, f"{title}{turn}") < MANY:
            return f"{title}{turn}"
    raise AssertionError("all are served before anybody can look")


def test_what_is_changed_through_one_api_is_seen_through_the_other_at_once(
    fleet: Fleet, apis: list[Process], workers: list[Process]
) -> None:
    one, other = apis
    until(lambda: served(one) == 1)
    assert served(other) == 1
    post(one, f"{SHOPS}/pause")
    assert other.get(SHOPS, TOKEN)[1]["pausedAt"] is not None
    post(other, f"{SHOPS}/resume")
    assert one.get(SHOPS, TOKEN)[1]["pausedAt"] is None
    uid = one.get("/api/catalog/entities/by-name/component/default/shop", TOKEN)[1]["metadata"]["uid"]
    gone = urllib.request.Request(  # noqa: S310
        f"{one.url}/api/catalog/entities/by-uid/{uid}", method="DELETE", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    urllib.request.urlopen(gone, timeout=PATIENCE).close()  # noqa: S310
    assert served(other) == 0


def test_work_is_divided_among_the_workers(fleet: Fleet, apis: list[Process], workers: list[Process]) -> None:
    before = [processed(worker) for worker in workers]
    bring(fleet, apis[0], MANY)
    until(lambda: served(apis[1]) == MANY + 1, LONG)
    shares = [processed(worker) - had for worker, had in zip(workers, before, strict=True)]
    assert min(shares) >= MANY // 40, f"one did next to nothing: {shares}"
    assert sum(shares) < 2 * MANY, "and none did the other's work again"


def test_what_a_killed_worker_was_at_is_done_by_the_other_within_seconds(
    fleet: Fleet, apis: list[Process], workers: list[Process]
) -> None:
    title = half_served(fleet, apis[0], "B")
    workers[0].stop(signal.SIGKILL)
    until(lambda: titled(apis[0], title) == MANY, LONG)
    [workers[0]] = fleet.workers(1)


def test_a_worker_that_is_asked_to_end_leaves_nothing_to_wait_for(
    fleet: Fleet, apis: list[Process], workers: list[Process]
) -> None:
    title = half_served(fleet, apis[0], "C")
    assert workers[0].stop() == 0
    until(lambda: titled(apis[0], title) == MANY, LONG)
    told = [message for message in workers[1].messages() if "workers are gone" in message]
    assert len(told) <= 1, "who leaves in good order is not missed; the one before was killed"
    assert "Traceback" not in workers[0].log


class Ready(NamedTuple):
    """Who said so, and when it was asked (by the monotonic clock)."""

    url: str
    asked: float


class Balancer(threading.Thread):
    """Asks the ready ones in turn over connections that it keeps, and looks every tenth of a second who is ready.

    Whoever ends is there for `DELAY` after it last said that it is ready: what fails after that is the fault of a balancer that
    was held up, and does not count."""

    def __init__(self, apis: list[Process]) -> None:
        super().__init__()
        self.apis, self.ready = apis, list[Ready]()
        self.failures, self.answers = list[str](), dict[str, int]()
        self.ended = threading.Event()
        self.probe = threading.Thread(target=self._probe)
        self.connections: dict[str, http.client.HTTPConnection] = {}

    def _probe(self) -> None:
        while not self.ended.wait(0.1):
            self.ready = [one for api in list(self.apis) if (one := self._look(api))]

    def _look(self, api: Process) -> Ready | None:
        one = Ready(api.url, time.monotonic())
        try:
            return one if api.process.poll() is None and api.get(READINESS)[0] == 200 else None
        except (OSError, http.client.HTTPException):
            return None

    def run(self) -> None:
        turn = 0
        while not self.ended.is_set():
            ready = self.ready
            if not ready:
                self.ended.wait(0.01)
                continue
            turn += 1
            one = ready[turn % len(ready)]
            try:
                failure = self._ask(one.url)
            except (OSError, http.client.HTTPException) as error:
                failure = repr(error)
                self.connections.pop(one.url).close()
            if failure and time.monotonic() - one.asked < DELAY:
                self.failures.append(f"{one.url}: {failure}")

    def _ask(self, url: str) -> str | None:
        connection = self.connections.setdefault(
            url, http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)
        )
        headers = {"Authorization": f"Bearer {TOKEN}"}
        connection.request("GET", "/api/catalog/entities/by-query?limit=1", headers=headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            return str(answer.status)
        self.answers[url] = self.answers.get(url, 0) + 1
        return None


def test_a_rolling_restart_fails_no_request(fleet: Fleet, apis: list[Process]) -> None:
    balancer = Balancer(apis)
    balancer.probe.start()
    balancer.start()
    urls = [api.url for api in apis]
    try:
        until(lambda: len(balancer.answers) == 2)
        for number, old in enumerate(list(apis)):
            assert old.stop() == 0
            [apis[number]] = fleet.apis(1)
            urls.append(apis[number].url)
            until(lambda: balancer.answers.get(apis[number].url, 0) > 5)  # noqa: B023 - called at once
    finally:
        balancer.ended.set()
        balancer.join()
        balancer.probe.join()
        for connection in balancer.connections.values():
            connection.close()
    assert balancer.failures == []
    assert set(balancer.answers) == set(urls), "each of the four had its share"


def test_readiness_goes_down_first_and_requests_are_served_on(stuck: tuple[Process, Process]) -> None:
    api, _ = stuck  # which takes its time, so that nobody asks too late
    api.process.send_signal(signal.SIGTERM)
    until(lambda: api.get(READINESS)[0] == 503)
    assert api.get(READINESS)[1]["message"] == "Backend is shutting down"
    assert api.get("/api/catalog/entities/by-query?limit=0", TOKEN)[0] == 200
    insist(api, signal.SIGTERM)


HASTY = "from greenroom.cli import server\nserver.HASTE = server.LAST_THREADS = 0.5"
"""For those whose threads never end, and who are waited for here."""


@pytest.fixture
def stuck(tmp_path: Path) -> Iterator[tuple[Process, Process]]:
    """A server that serves on for ten minutes after it was told to stop, and a worker whose provider reads from a pipe to which
    nobody writes."""
    with open_folder() as folder, ExitStack() as stack:
        os.mkfifo(folder / "pipe")
        config = write_config(
            folder,
            backend={"lifecycle": {"serverShutdownDelay": "600s", "serverShutdownTimeout": "1s"}},
            catalog={"providers": {"ndjson": {"stuck": {"path": str(folder / "pipe")}}}},
        )
        environ = {"GREENROOM_DATA": str(folder / "data")}
        arguments: list[list[str | Path]] = [
            ["serve", "--api-only", "--config", config],
            ["worker", "--config", config],
        ]
        api, worker = (
            stack.enter_context(started(folder / str(one[0]), one, environ, before=HASTY)) for one in arguments
        )
        api.until_ready()
        worker.until_logged("Started")
        url = "/api/greenroom/catalog/providers/ndjson:stuck"
        until(lambda: api.get(url, TOKEN)[1].get("state") == "running")
        yield api, worker


def test_who_insists_is_obeyed_at_once(stuck: tuple[Process, Process]) -> None:
    for process, how in zip(stuck, (signal.SIGTERM, signal.SIGINT), strict=True):
        # both at once, as from a terminal, and from who forwards what it got from there
        for one in (signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGCONT):
            process.process.send_signal(one)
        time.sleep(2 * TWICE)
        assert process.process.poll() is None, "there is something to wait for"
        assert insist(process, how) in (0, 1)
        assert "Told to stop again" in process.log
        assert "Traceback" not in process.log


def insist(process: Process, how: signal.Signals) -> int:
    """Tell it again until it ends, since what comes too soon after the first time is no second one; answers its exit code."""
    for _ in range(10):
        process.process.send_signal(how)
        with suppress(subprocess.TimeoutExpired):
            return process.process.wait(HASTE + 2 * TWICE)
    raise AssertionError("it takes no notice")


def test_a_thread_that_hangs_does_not_keep_a_process_that_has_ended(stuck: tuple[Process, Process]) -> None:
    api, worker = stuck
    api.stop(signal.SIGKILL)
    assert worker.stop() == 0
    assert "loop-catalog.providers" in worker.log
    assert "A thread is still at something, and is left behind" in worker.log
