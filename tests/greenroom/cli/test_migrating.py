"""`migrate` and `status` of a database that no server has seen yet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.greenroom.cli.conftest import write_config
from tests.support.called import Run
from tests.support.postgres import TestServer


@pytest.fixture
async def config(postgres_server: TestServer, tmp_path: Path) -> AsyncIterator[Path]:
    """An app-config that leads to a fresh database outside."""
    async with postgres_server.empty() as name:
        arguments = postgres_server.arguments
        if "dsn" in arguments:
            connection = {"connectionString": urlsplit(arguments["dsn"])._replace(path=f"/{name}").geturl()}
        else:
            known = ("host", "port", "user", "password")
            connection = {**{key: arguments[key] for key in known if key in arguments}, "database": name}
        yield write_config(tmp_path, backend={"database": {"client": "pg", "connection": connection}})


def test_a_database_is_brought_up_to_date_once(greenroom: Run, config: Path) -> None:
    before = greenroom("status", "--config", config, "-o", "json").json
    assert list(before) == ["Database"], "there is nothing else to tell of yet"
    waiting = before["Database"]["migrations to apply"]
    assert waiting > 0
    assert before["Database"]["kind"] == "outside"

    first = greenroom("migrate", "--config", config)
    *applied, last = first.out.splitlines()
    assert (first.code, len(applied), last) == (0, waiting, "The database is up to date.")
    assert applied[0].startswith("applied auth/0001_")

    assert greenroom("migrate", "--config", config).out == "The database is up to date.\n"
    after = greenroom("status", "--config", config, "-o", "json").json
    assert after["Database"]["migrations to apply"] == 0
    assert after["Catalog"]["entities"] == 0


def test_who_asks_for_the_status_in_the_wrong_folder_is_told_so_and_gets_no_database_there(
    greenroom: Run, tmp_path: Path
) -> None:
    result = greenroom("status", GREENROOM_DATA=str(tmp_path / "elsewhere"))
    assert result.code == 2
    assert f"there is no database in {tmp_path / 'elsewhere'}" in result.err
    assert "set GREENROOM_DATA" in result.err
    assert not (tmp_path / "elsewhere").exists()
