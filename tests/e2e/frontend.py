"""The stock frontend on ports of its own, driven through its steps in a real browser; what it saw, comparable with another run.

What is run is `frontend.sh`'s: the built app, its servers and its driver. Here they get free ports, so that runs stand side by
side, and end with the test that started them.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import pytest

from tests.conformance.oracle import free_port, shared_folder
from tests.conformance.script import fill
from tests.conformance.server import settle
from tests.support.house import at_an_address
from tests.support.postgres import TestServer

FRONTEND = shared_folder() / "frontend"
REFERENCE = FRONTEND / "reference"
TEMPLATE = FRONTEND / "fixtures" / "create-app-examples" / "template" / "template.yaml"
TEMPLATES = Path(__file__).parent / "templates"
SCAFFOLDER = Path(__file__).parent / "scaffolder.js"
LONGEST_START, LONGEST_DRIVE = 20.0, 1200.0
"""Seconds."""

_PECULIAR = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-f]{40}\b|generated-[0-9a-f]{40}")
_ADDRESS = re.compile(r"127\.0\.0\.1:\d+")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[\d.]*(?:Z|[+-]\d\d:\d\d)")
_WORKSPACE = re.compile(r"(?<![\w.…/])/(?!api/|create/|catalog/)(?:[\w.-]+/)+(?=(?:dry-run-)?…)")
_FRAME = re.compile(r"\n *(?:\d+\n *)?at [^\n]*\([^\n]*\)|\n *at async [^\n]*|\n *at file:[^\n]*")
_NODE = re.compile(r' \{"code":"E[A-Z]+","errno":.*\}$')
"""What Node adds to the line of an error of the file system."""
_FIXTURES = re.compile(r"/(?:[\w.-]+/)*?(?:reference/entities|(reference/app/examples)|frontend/fixtures)/")
_OWN = {"cursor", "nextCursor", "prevCursor", "etag", "uid"}
"""Members that only their own side understands: that they are there is compared."""

Question = tuple[str, str, str, str]
"""Method, path, parameters and body."""


class Ports(NamedTuple):
    """Where the frontend's own servers listen: the app, the proxy that records, the files to import."""

    app: int
    proxy: int
    files: int


class Call(NamedTuple):
    """One exchange, without what is peculiar to a run. `body` is None where the recording cut it off."""

    question: Question
    status: int
    body: Any


class Visit(NamedTuple):
    """What the driver saw: its report of each step, and the calls of each step by plugin."""

    steps: dict[str, dict[str, Any]]
    calls: dict[str, dict[str, list[Call]]]


def frontend_home() -> Path:
    """Where the built frontend is unpacked; installed there first, if need be. Skips the test where that cannot be."""
    if shutil.which("node") is None:
        pytest.skip("needs Node, which is not installed")
    if not (FRONTEND / "frontend.sh").exists():
        pytest.skip(f"needs the stock frontend: {FRONTEND}, see GREENROOM_SHARED")
    return Path(os.environ.get("FRONTEND_HOME") or Path.home() / ".cache" / "greenroom-frontend")


def free_ports() -> Ports:
    """Three that nobody listens on now."""
    return Ports(free_port(), free_port(), free_port())


@asynccontextmanager
async def served(backend: str, ports: Ports, folder: Path) -> AsyncIterator[None]:
    """Serve the app for this backend. `raw.jsonl` in the folder records every exchange."""
    home = frontend_home()
    if not (home / "frontend").is_dir() or shutil.which("chromium") is None:
        await _run(folder, "install", str(FRONTEND / "frontend.sh"), "install")
    proxy = f"http://127.0.0.1:{ports.proxy}"
    told = {"OUT": str(folder / "raw.jsonl"), "LISTEN": str(ports.proxy), "TARGET": backend}
    shown = {"DIST": str(home / "frontend"), "PORT": str(ports.app), "BACKEND_URL": proxy}
    imports = ("-m", "http.server", str(ports.files), "--bind", "127.0.0.1", "--directory")
    recorder = folder / "record-proxy.js"
    recorder.write_text((home / "record-proxy.js").read_text().replace("MAX=4096", "MAX=1e6"))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_running(folder, "proxy", "node", str(recorder), **told))
        await stack.enter_async_context(_running(folder, "app", "node", str(home / "serve-frontend.js"), **shown))
        files = str(FRONTEND / "fixtures" / "import-files")
        await stack.enter_async_context(_running(folder, "files", sys.executable, *imports, files))
        for port in ports:
            await _listening(port)
        yield


async def visit(
    postgres: TestServer, folder: Path, steps: str, driver: Path | None = None, template: Path = TEMPLATE
) -> Visit:
    """One visit of the browser to a Greenroom of its own, configured by `frontend.yaml`."""
    frontend_home()
    ports = free_ports()
    known = {"app": f"http://127.0.0.1:{ports.app}", "fixtures": str(FRONTEND / "fixtures"), "template": str(template)}
    text = (Path(__file__).parent / "frontend.yaml").read_text()
    with pytest.MonkeyPatch.context() as patch:
        # The recording proxy keeps connections for the same 5 s as the server, and now and then loses the race to the last one.
        patch.setattr("greenroom.web.server.KEEP_ALIVE", 65)
        async with at_an_address(postgres, folder, lambda address: fill(text, {**known, "self": address})) as opened:
            await settle(opened.house, opened.database)
            async with served(opened.address, ports, folder):
                return await drive(opened.address, ports, folder, steps, driver)


async def drive(backend: str, ports: Ports, folder: Path, steps: str, driver: Path | None = None) -> Visit:
    """Go through the steps whose names match, of the reference's driver or another.

    Raises AssertionError, with what the driver printed, if it breaks off."""
    home = frontend_home()
    for source in (driver or home / "drive.js", home / "lib.js"):
        (folder / source.name).write_text(source.read_text().replace("127.0.0.1:8900", f"127.0.0.1:{ports.files}"))
    environ = {
        "NODE_PATH": str(home / "node_modules"),
        "FE": f"http://127.0.0.1:{ports.app}",
        "REC": f"http://127.0.0.1:{ports.proxy}",
        "BE": backend,
        "SHOTS": str(folder),
        "TEMPLATES": str(TEMPLATES / "finished"),
    }
    await _run(folder, "drive", "node", str(folder / (driver or home / "drive.js").name), steps, **environ)
    return read(folder, "raw.jsonl")


def read(folder: Path, exchanges: str) -> Visit:
    """A visit as it was written down."""
    calls: dict[str, dict[str, list[Call]]] = defaultdict(lambda: defaultdict(list))
    for line in (folder / exchanges).read_text().splitlines():
        found = json.loads(line)
        plugin = found["path"].split("/")[2] if found["path"].startswith("/api/") else ""
        calls[found["step"]][plugin].append(_call(found))
    return Visit({step["step"]: step for step in json.loads((folder / "steps.json").read_text())}, calls)


def _call(found: Mapping[str, Any]) -> Call:
    parameters = sorted(
        (name, "…" if name in _OWN else plain(value)) for name, value in parse_qsl(found.get("query", ""))
    )
    question = (found["method"], plain(found["path"]), repr(parameters), json.dumps(_json(found.get("reqBody", ""))))
    return Call(question, found["status"], _json(found.get("resBody", "")))


def plain(text: str) -> str:
    """A text without what is peculiar to one run: ids, hashes, times, ports, folders, frames of a stack."""
    text = _FIXTURES.sub(lambda found: "…/create-app-examples/" if found[1] else "…/", text)
    text = _NODE.sub("", _FRAME.sub("", text))
    return _ADDRESS.sub("127.0.0.1:…", _WORKSPACE.sub("…/", _TIME.sub("…", _PECULIAR.sub("…", text))))


def _json(text: str) -> Any:
    """Decoded and comparable: lists of entities in one order, since generated names and ids differ. None if it was cut off."""
    if text.startswith("event: "):
        return _events(text)
    try:
        found = _without_peculiar(json.loads(text)) if text else ""
    except ValueError:
        return None
    if isinstance(found, dict) and isinstance(found.get("items"), list):
        return {**found, "items": sorted(found["items"], key=json.dumps)}
    return sorted(found, key=json.dumps) if isinstance(found, list) else found


def _events(text: str) -> Any:
    """What a stream said, in one order, since a step's own words and those about it overtake each other; and each thing
    once, since upstream says a completion again every second to who waits for more.

    None if it was cut off."""
    if not text.endswith("\n\n"):
        return None
    found = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ") and len(line) > 8]
    told = [{**_without_peculiar(event), "id": "…"} if isinstance(event, dict) else event for event in found]
    return [json.loads(event) for event in sorted({json.dumps(event, sort_keys=True) for event in told})]


def _without_peculiar(value: Any, key: str = "") -> Any:
    if key in _OWN and isinstance(value, str):
        return "…"
    if isinstance(value, dict):
        return {plain(name): _without_peculiar(inner, name) for name, inner in sorted(value.items())}
    if isinstance(value, list):
        return [_without_peculiar(inner) for inner in value]
    return plain(value) if isinstance(value, str) else value


@asynccontextmanager
async def _running(folder: Path, name: str, *command: str, **environ: str) -> AsyncIterator[None]:
    """A process for as long as it is needed; ended by its handle."""
    with (folder / f"{name}.log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **environ}, cwd=folder, stdout=log, stderr=log
        )
        try:
            yield
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _run(folder: Path, name: str, *command: str, **environ: str) -> None:
    """Raises AssertionError, with what it printed, for a process that fails or does not end."""
    path = folder / f"{name}.log"
    with path.open("w") as log:
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **environ}, cwd=folder, stdout=log, stderr=log
        )
        try:
            status = await asyncio.wait_for(process.wait(), LONGEST_DRIVE)
        finally:
            if process.returncode is None:
                process.kill()
    assert status == 0, path.read_text()


async def _listening(port: int) -> None:
    deadline = asyncio.get_running_loop().time() + LONGEST_START
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert asyncio.get_running_loop().time() < deadline, f"nothing listens on port {port}"
        await asyncio.sleep(0.1)
