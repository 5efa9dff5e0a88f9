"""The same cases as a plugin of pytest: `template.test.yaml` is collected like a module of tests.

It is loaded with every run of pytest in an environment that has Greenroom, so it imports next to nothing before there is a case.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from greenroom_scaffolder.commands import CASE_FILES

BENCH = pytest.StashKey["_Bench"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the command line."""
    group = parser.getgroup("greenroom", "cases of software templates")
    group.addoption("--update-snapshots", action="store_true", help="write the snapshots of templates anew")
    group.addoption(
        "--greenroom-config", action="append", default=[], metavar="FILE", help="a layer of app-config, for templates"
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A file of cases is collected."""
    if any(fnmatch(file_path.name, name) for name in CASE_FILES):
        return _File.from_parent(parent, path=file_path)
    return None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let go of what the cases were tried with."""
    if (bench := config.stash.get(BENCH, None)) is not None:
        bench.close()


class _Bench:
    """A workbench for all cases of the run, made with the first."""

    def __init__(self, config: pytest.Config) -> None:
        from greenroom_scaffolder.commands.bench import workbench

        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        layers = [Path(file) for file in config.getoption("--greenroom-config") or ()]
        self.workbench = self._runner.run(self._stack.enter_async_context(workbench(layers)))

    def run(self, work: Any) -> Any:
        """Wait for a coroutine."""
        return self._runner.run(work)

    def close(self) -> None:
        """The end of the run."""
        self._runner.run(self._stack.aclose())
        self._runner.close()


class _File(pytest.File):
    """A file of cases."""

    def collect(self) -> Iterator[pytest.Item]:
        from greenroom.errors import InputError
        from greenroom_scaffolder.commands.cases import read_suite

        try:
            suite = read_suite(self.path)
        except InputError as error:
            raise self.CollectError(error.message) from None
        for case in suite.cases:
            yield _Item.from_parent(self, name=case.name, suite=suite, case=case)


class _Item(pytest.Item):
    """One case."""

    def __init__(self, *, suite: Any, case: Any, **about: Any) -> None:
        super().__init__(**about)
        self._suite, self._case = suite, case

    def runtest(self) -> None:
        from greenroom_scaffolder.commands.suites import judge

        bench = self.config.stash.get(BENCH, None) or _Bench(self.config)
        self.config.stash[BENCH] = bench
        update = bool(self.config.getoption("--update-snapshots"))
        wrong = bench.run(judge(bench.workbench, self._suite, self._case, update=update))
        if wrong:
            raise _CaseError("\n".join(wrong))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str | Any:
        """What is wrong, without the frames of our own code."""
        if isinstance(excinfo.value, _CaseError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"{self._suite.template.name}: {self.name}"


class _CaseError(Exception):
    """Something of a case is not as expected"""
