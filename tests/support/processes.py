"""`greenroom` as a person or an orchestrator runs it: processes of their own, with signals, pipes and terminals."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

PATIENCE = 120.0
"""Seconds after which it will never come: ten times what a busy machine takes."""
READINESS = "/.backstage/health/v1/readiness"


class Result(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, decoded."""
        return json.loads(self.out)


def environment(**added: str) -> dict[str, str]:
    """This process's, without what changes how the command line behaves."""
    unwanted = ("GREENROOM_", "APP_CONFIG_", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM", "LOG_LEVEL", "BACKSTAGE_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return {**kept, **added}


def until(holds: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait for it."""
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.03)


def command(*arguments: str | Path) -> list[str]:
    """The command line of this very interpreter."""
    return [sys.executable, "-m", "greenroom", *map(str, arguments)]


def run(*arguments: str | Path, cwd: Path | None = None, **environ: str) -> Result:
    """Run a command to its end, its output into pipes."""
    done = subprocess.run(
        command(*arguments),
        env=environment(**environ),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def run_on_terminal(*arguments: str | Path, **environ: str) -> Result:
    """Run a command on a terminal of 120 columns; `out` is all that the terminal was sent."""
    ours, theirs = pty.openpty()
    environ = {"TERM": "xterm-256color", "COLUMNS": "120", **environ}
    process = subprocess.Popen(
        command(*arguments), env=environment(**environ), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    chunks = []
    with contextlib.suppress(OSError):  # the end of a terminal is an error on Linux
        while chunk := os.read(ours, 65536):
            chunks.append(chunk)
    os.close(ours)
    return Result(process.wait(PATIENCE), b"".join(chunks).decode(), "")


class Process:
    """A server or worker. Its log lines are in a file, one JSON object each."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log_file = log

    @property
    def log(self) -> str:
        """Everything it has written to standard error."""
        return self.log_file.read_text()

    @property
    def out(self) -> str:
        """Everything it has written to standard output."""
        return self.log_file.with_suffix(".out").read_text()

    def messages(self) -> list[str]:
        """The messages of its whole log lines: of one that is just being written a part can be read already."""
        whole, _, _ = self.log.rpartition("\n")
        return [json.loads(line)["message"] for line in whole.splitlines() if line.startswith("{")]

    def until_logged(self, text: str) -> str:
        """Wait for a log line that begins so; answers the rest of it."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for message in self.messages():
                if message.startswith(text):
                    return message.removeprefix(text)
            assert self.process.poll() is None, f"it ended: {self.log}"
            time.sleep(0.02)
        raise AssertionError(f"never logged {text!r}: {self.log}")

    @cached_property
    def url(self) -> str:
        """Where the server listens, from the moment it does."""
        return f"http://{self.until_logged('Listening on ')}"

    def get(self, path: str, token: str | None = None) -> tuple[int, Any]:
        """Status and decoded body."""
        request = urllib.request.Request(self.url + path)  # noqa: S310 (our own server)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def until_ready(self) -> None:
        """Wait until readiness says so."""
        until(lambda: self.get(READINESS)[0] == 200)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; answers its exit code."""
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def started(
    log: Path,
    arguments: Sequence[str | Path],
    environ: Mapping[str, str],
    cwd: Path | None = None,
    before: str | None = None,
) -> Iterator[Process]:
    """A process that is ended, if need be by force, at the end of the block. `before`: Python that it runs first."""
    line = command(*arguments)
    if before is not None:
        line[1:3] = ["-c", f"{before}\nfrom greenroom.cli.main import main\nmain()"]
    with log.open("wb") as stderr, log.with_suffix(".out").open("wb") as stdout:
        process = subprocess.Popen(line, env=environment(**environ), cwd=cwd, stdout=stdout, stderr=stderr)
    try:
        yield Process(process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
