"""`catalog explain` against a running server, and against the database itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.greenroom.cli.conftest import Pair, write_config
from tests.support.called import Run
from tests.support.postgres import TestServer
from tests.support.processes import until


def test_server_and_database_tell_the_same(online: Run, greenroom: Run, pair: Pair) -> None:
    until(lambda: online("catalog", "get", "component:shop").code == 0)
    asked = ("catalog", "explain", "component:shop", "-o", "json")
    offline = greenroom(*asked, "--offline", "--config", pair.config, GREENROOM_DATA=str(pair.data))
    told = online(*asked)
    assert (told.code, offline.code) == (0, 0), offline.err
    volatile = {"nextRefresh": None}
    assert told.json | volatile == offline.json | volatile
    assert told.json["chain"][0] == {"stage": "provider", "ok": True, "what": "ndjson:shops"}


def test_offline_needs_no_token_and_no_leave(greenroom: Run, pair: Pair, tmp_path: Path) -> None:
    config = write_config(tmp_path, permission={"enabled": True})
    command = ("catalog", "explain", "component:nope", "--offline", "--config", pair.config, "--config", config)
    told = greenroom(*command, GREENROOM_DATA=str(pair.data))
    assert told.code == 1
    assert told.out.startswith("✗ component:default/nope is not in the catalog")


def test_without_a_server_the_other_way_is_told(greenroom: Run) -> None:
    told = greenroom("catalog", "explain", "component:shop", "--server", "http://127.0.0.1:9")
    assert told.code == 3
    assert "Without a server, --offline asks its database" in told.err


def test_looking_makes_no_database(greenroom: Run, tmp_path: Path) -> None:
    (tmp_path / "app-config.yaml").write_text("{}")
    command = ("catalog", "explain", "component:shop", "--offline", "--config", tmp_path / "app-config.yaml")
    told = greenroom(*command, GREENROOM_DATA=str(tmp_path / "data"))
    assert told.code == 2
    assert "there is no database" in told.err
    assert not (tmp_path / "data").exists()


async def test_nor_does_it_change_one(greenroom: Run, postgres_server: TestServer, tmp_path: Path) -> None:
    async with postgres_server.empty() as name:
        arguments = postgres_server.to(name)
        dsn = arguments.pop("dsn", None)
        connection = arguments if dsn is None else {"connectionString": dsn, **arguments}
        config = write_config(tmp_path, backend={"database": {"client": "pg", "connection": connection}})
        command = ("catalog", "explain", "component:shop", "--offline", "--config", config)
        told = await asyncio.to_thread(greenroom, *command)
    assert told.code == 3
    assert "run `greenroom migrate`" in told.err
