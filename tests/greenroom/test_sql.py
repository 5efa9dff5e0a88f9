"""Queries are found by name, and a careless file stops the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenroom.sql import SqlFileError, load

GOOD = """
-- Queries of the test.

-- name: claim_due
-- The entities whose turn it is.
select id
-- oldest first, so that none starves
from refresh_schedule where next_update_at <= $1;

-- name: release
-- Give one back.
update refresh_schedule set next_update_at = now() where id = $1
"""


def folder_with(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        (tmp_path / f"{name}.sql").write_text(text)
    return tmp_path


def test_a_query_is_an_attribute_and_keeps_its_name_for_the_server_log(tmp_path: Path) -> None:
    queries = load(folder_with(tmp_path, schedule=GOOD))
    assert (
        queries.claim_due
        == "-- claim_due\nselect id\n-- oldest first, so that none starves\nfrom refresh_schedule where next_update_at <= $1"
    )
    assert list(queries) == ["claim_due", "release"]
    assert "release" in queries
    assert queries["release"] == queries.release


def test_a_misspelt_query_names_the_folder(tmp_path: Path) -> None:
    queries = load(folder_with(tmp_path, schedule=GOOD))
    with pytest.raises(AttributeError, match=r"no query 'claim_deu' in .*, did you mean 'claim_due'\?"):
        _ = queries.claim_deu


def test_a_string_with_two_dashes_stays_whole(tmp_path: Path) -> None:
    text = "-- name: dashes\n-- Text that looks like a comment.\nselect '\n-- not a comment\n\nend'\n"
    assert load(folder_with(tmp_path, a=text)).dashes == "-- dashes\nselect '\n-- not a comment\n\nend'"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("-- name: a\nselect 1", r"a\.sql:1: the query a needs a line `-- …` that says what it does"),
        ("-- name: a\n--\nselect 1", "needs a line"),
        ("-- name: a", "needs a line"),
        ("-- name: a\n-- Nothing.\n", r"a\.sql:1: the query a has no SQL"),
        ("-- name: Claim Due\n-- Bad name.\nselect 1", "'Claim Due' is not a name"),
        ("select 1\n-- name: a\n-- One.\nselect 1", r"a\.sql:1: SQL before the first"),
        (
            "-- name: a\n-- One.\nselect 1\n-- name: a\n-- Two.\nselect 2",
            r"a\.sql:4: the query a is already in a\.sql:1",
        ),
        ("", "holds no queries"),
    ],
)
def test_a_careless_file_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SqlFileError, match=problem):
        load(folder_with(tmp_path, a=text))


def test_a_name_used_in_two_files_is_refused_with_both_places(tmp_path: Path) -> None:
    one = "-- name: a\n-- One.\nselect 1"
    with pytest.raises(SqlFileError, match=r"b\.sql:1: the query a is already in a\.sql:1"):
        load(folder_with(tmp_path, a=one, b=one))


def test_queries_come_from_a_package_too() -> None:
    with pytest.raises(SqlFileError, match="greenroom holds no queries"):
        load("greenroom")
