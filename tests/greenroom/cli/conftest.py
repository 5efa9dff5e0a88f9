"""One server and one worker beside it, on one data folder, for all tests of the command line."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.asgi import TOKEN
from tests.support.called import Run
from tests.support.catalog import component, yaml_component
from tests.support.postgres import open_folder
from tests.support.processes import Process, Result, started, until


class Pair(NamedTuple):
    """Both processes, and what they share."""

    api: Process
    worker: Process
    config: Path
    data: Path
    files: str
    """The address of a server of catalog files, which may be read."""


class Files(http.server.BaseHTTPRequestHandler):
    """`/NAME.yaml` is a component of that name."""

    def do_GET(self) -> None:
        name = self.path.strip("/").removesuffix(".yaml")
        body = yaml_component(name).encode()
        self.send_response(404 if name == "missing" else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its name there)
        """Nothing: standard error is the tests' own."""


@pytest.fixture(scope="session")
def files() -> Iterator[str]:
    """The address of the server of catalog files."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def write_config(folder: Path, **sections: Any) -> Path:
    """An app-config that listens on a free port and knows the tests' token."""
    backend = {
        "listen": {"host": "127.0.0.1", "port": 0},
        "auth": {"externalAccess": [{"type": "static", "options": {"token": TOKEN, "subject": "tests"}}]},
        **sections.pop("backend", {}),
    }
    path = folder / "app-config.yaml"
    path.write_text(json.dumps({"backend": backend, **sections}))  # JSON is YAML
    return path


@pytest.fixture(scope="session")
def pair(files: str) -> Iterator[Pair]:
    """`serve --api-only` and `worker`, with one entity from a provider."""
    with open_folder() as folder, ExitStack() as stack:
        (folder / "entities.ndjson").write_text(json.dumps(component("shop", title="The shop")) + "\n")
        config = write_config(
            folder,
            backend={"reading": {"allow": [{"host": files.removeprefix("http://")}]}},
            catalog={"providers": {"ndjson": {"shops": {"path": str(folder / "entities.ndjson")}}}},
        )
        data = folder / "data"
        environ = {"GREENROOM_DATA": str(data)}

        def start(name: str, *arguments: str) -> Process:
            return stack.enter_context(started(folder / f"{name}.log", [*arguments, "--config", config], environ))

        both = Pair(start("api", "serve", "--api-only"), start("worker", "worker", "--port", "0"), config, data, files)
        both.api.until_ready()
        provider = "/api/greenroom/catalog/providers/ndjson:shops"
        until(lambda: (both.api.get(provider, TOKEN)[1].get("lastRun") or {}).get("status") == "succeeded")
        yield both


@pytest.fixture
def online(greenroom: Run, pair: Pair) -> Run:
    """The same, as a client of the running server."""

    def run(*arguments: str | Path, **environ: str) -> Result:
        return greenroom(*arguments, **{"GREENROOM_SERVER": pair.api.url, "GREENROOM_TOKEN": TOKEN, **environ})

    return run
