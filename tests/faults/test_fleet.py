"""A log that is read from its start again and again keeps whoever watches from watching."""

from __future__ import annotations

from pathlib import Path

from tests.faults.fleet import Logs


def test_each_line_of_a_log_is_told_once_also_one_that_was_only_half_there(tmp_path: Path) -> None:
    log, logs = tmp_path / "api-1.log", Logs(tmp_path)
    assert logs.more("error") == []
    log.write_text('{"level":"error","message":"a"}\n{"level":"info","message":"b"}\nnot JSON\n{"level":"err')
    assert [one["message"] for one in logs.more("error")] == ["a"]
    with log.open("a") as file:
        file.write('or","message":"c"}\n')
    (tmp_path / "worker-2.log").write_text('{"level":"warn","message":"d"}\n')
    assert [one["message"] for one in logs.more("error", "warn")] == ["c", "d"]
    assert logs.more("error", "warn", "info") == []
