"""What whoever operates the server sees of its start and its end: readiness, exit codes, one clear message."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import ServiceUnavailableError
from tests.greenroom.cli.conftest import write_config
from tests.support.asgi import TOKEN
from tests.support.called import Run
from tests.support.catalog import yaml_component
from tests.support.postgres import open_folder
from tests.support.processes import READINESS, run, started, until

NOWHERE = {"client": "pg", "connection": {"host": "127.0.0.1", "port": 1}}
"""A database that is not there yet."""


def unreachable(config: Any, data: Path) -> None:
    """In place of `open_database`."""
    raise ServiceUnavailableError("The database shop at db:5432 does not answer")


def test_a_server_tells_what_came_of_its_config_and_leaves_in_good_order() -> None:
    with open_folder() as folder:
        (folder / "kiosk.yaml").write_text(yaml_component("kiosk"))
        targets = ["./kiosk.yaml", "./lost.yaml"]
        locations = [{"type": "file", "target": one} for one in targets]
        config = write_config(folder, catalog={"locations": locations, "reedonly": True})
        environ = {"GREENROOM_DATA": str(folder / "data"), "GREENROOM_SUMMARY": "1"}
        with started(folder / "log", ["serve", config], environ, cwd=folder) as server:
            server.until_ready()
            until(lambda: "greenroom catalog list" in server.out)
            assert server.get("/api/catalog/entities/by-name/component/default/kiosk", TOKEN)[0] == 200
            assert server.stop() == 0
            assert server.messages()[-1] == "Stopped", "that it left in good order is told, and nothing comes after"
        assert "1 component, " in server.out
        assert f"file {folder}/lost.yaml does not exist" in server.out
        assert "/.greenroom/docs" in server.out
        assert "catalog.reedonly: unknown key, did you mean readonly?" in server.log
        assert not any(word in server.log for word in ("Traceback", '"level":"error"'))


def test_health_is_answered_and_requests_are_held_back_while_the_database_is_away(tmp_path: Path) -> None:
    pause = {"startupRequestPauseTimeout": {"milliseconds": 100}}
    config = write_config(tmp_path, backend={"database": NOWHERE, "lifecycle": pause})
    with started(tmp_path / "log", ["serve", "--config", config], {}) as server:
        server.until_logged("the database greenroom at 127.0.0.1:1 does not answer yet")
        assert server.get(READINESS) == (503, {"message": "Backend has not started yet", "status": "error"})
        assert server.get("/.backstage/health/v1/liveness") == (200, {"status": "ok"})
        status, body = server.get("/api/catalog/entities", TOKEN)
        assert (status, body["error"]["message"]) == (503, "Service has not started up yet")
        assert server.stop() == 0, "a start that waits can be stopped"
    assert "Traceback" not in server.log


def test_a_worker_that_waits_for_the_database_can_be_stopped(tmp_path: Path) -> None:
    config = write_config(tmp_path, backend={"database": NOWHERE})
    with started(tmp_path / "log", ["worker", "--config", config], {}) as worker:
        worker.until_logged("the database greenroom at 127.0.0.1:1 does not answer yet")
        assert worker.stop(signal.SIGINT) == 0
        assert worker.messages()[-1] == "Stopped"
    assert "Traceback" not in worker.log


def test_a_port_that_is_taken_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = write_config(tmp_path, backend={"listen": f"127.0.0.1:{port}"})
        ended = run("serve", "--config", config, GREENROOM_DATA=str(tmp_path / "data"))
    assert ended.code == 2
    assert ended.err == (
        "Configuration: backend.listen: cannot listen there: Address already in use, "
        f"found '127.0.0.1:{port}' (is another server running? choose another port)\n"
    )
    assert not (tmp_path / "data").exists()


def test_a_host_that_is_none_of_this_machines_is_told(tmp_path: Path, greenroom: Run) -> None:
    config = write_config(tmp_path, backend={"listen": "no-such-host.invalid:7007"})
    ended = greenroom("serve", config, GREENROOM_DATA=str(tmp_path / "data"))
    assert ended.code == 2
    assert "backend.listen: cannot listen there: " in ended.err
    assert "no-such-host.invalid:7007" in ended.err
    assert "Unknown error" not in ended.err


def test_a_wrong_value_is_told_with_its_file_path_and_value(tmp_path: Path, greenroom: Run) -> None:
    (tmp_path / "app-config.yaml").write_text("backend:\n  listen:\n    port: 70007\n")
    ended = greenroom("serve", tmp_path / "app-config.yaml")
    assert ended.code == 2
    assert f"{tmp_path}/app-config.yaml" in ended.err
    assert "backend.listen.port" in ended.err
    assert "70007" in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_start_that_fails_half_way_ends_with_one_message(tmp_path: Path, greenroom: Run, command: str) -> None:
    (tmp_path / "data").write_text("a file, not a folder")
    ended = greenroom(command, write_config(tmp_path), GREENROOM_DATA=str(tmp_path / "data"))
    assert ended.code == 2
    told = [line for line in ended.err.splitlines() if not line.startswith("{")]
    assert len(told) == 1
    assert told[0].startswith("Configuration: GREENROOM_DATA: the data folder cannot be made")
    assert "set GREENROOM_DATA to a folder that this user may write to" in told[0]


@pytest.mark.parametrize("command", ["serve", "worker", "migrate", "status"])
def test_a_database_that_does_not_come_is_not_available(
    tmp_path: Path, greenroom: Run, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom.app.open_database", unreachable)
    ended = greenroom(command, "--config", write_config(tmp_path, backend={"database": NOWHERE}))
    assert ended.code == 3
    told = [line for line in ended.err.splitlines() if not line.startswith("{")]
    assert told == ["Not available: The database shop at db:5432 does not answer"]


def test_a_missing_config_file_is_told(tmp_path: Path, greenroom: Run) -> None:
    ended = greenroom("serve", "--config", tmp_path / "nope.yaml")
    assert (ended.code, ended.err) == (
        2,
        f"Configuration: {tmp_path}/nope.yaml: there is no such file (see --config)\n",
    )
