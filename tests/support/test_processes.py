from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import Process


@pytest.fixture
def process(tmp_path: Path) -> Process:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return Process(ended, tmp_path / "log")


def test_a_log_line_that_is_being_written_is_read_when_it_is_whole(process: Process) -> None:
    process.log_file.write_text('{"message": "Started"}\n{"message": "Listen')
    assert process.messages() == ["Started"]
    process.log_file.write_text('{"message": "Started"}\n{"message": "Listening on host:1"}\n')
    assert process.url == "http://host:1"
