"""`catalog explain` against a running server, and against the database itself."""

from __future__ import annotations

from pathlib import Path

from tests.greenroom.cli.conftest import Pair, Run, write_config
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


def test_a_database_that_is_not_up_to_date_is_left_as_it_is(greenroom: Run, pair: Pair, files: str) -> None:
    """Beside the other: a database of the same server that nobody has migrated."""
    other = pair.config.with_name("other.yaml")
    other.write_text('{"backend": {"database": {"client": "embedded"}}}')
    folder = pair.data.with_name("fresh")
    told = greenroom("catalog", "explain", "component:shop", "--offline", "--config", other, GREENROOM_DATA=str(folder))
    assert told.code == 3
    assert "run `greenroom migrate`" in told.err
