"""`greenroom` as a person runs it, but in this process, where a process of its own is not the point."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from greenroom.cli.main import main
from tests.support.processes import Result, environment

Run = Callable[..., Result]


@pytest.fixture
def greenroom(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line, its output into pipes: `greenroom("catalog", "list", GREENROOM_SERVER=…)`."""

    def run(*arguments: str | Path, **environ: str) -> Result:
        with monkeypatch.context() as patch:
            for name in set(os.environ) - set(environment()):
                patch.delenv(name)
            for name, value in environ.items():
                patch.setenv(name, value)
            patch.setattr("sys.argv", ["greenroom", *map(str, arguments)])
            with pytest.raises(SystemExit) as end:
                main()
        out, err = capfd.readouterr()
        code = end.value.code
        return Result(code if isinstance(code, int) else 1, out, err)

    return run
