"""What happens in a run -> events of the task: worded as upstream's, without secrets, and never without end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import msgspec

from greenroom.javascript.texts import well_formed
from greenroom_scaffolder.tasks.task import Journal, StepStatus
from greenroom_scaffolder.workspace.redaction import Redactor, Stream

_COLORS = {"debug": "34", "info": "32", "warn": "33", "error": "31"}
"""winston's, by level."""
_PATIENCE = 0.05
"""Seconds for which a line waits for the next."""


LONGEST_MESSAGE = 64 * 1024
"""Characters of an error's message."""


class LogLimits(msgspec.Struct, frozen=True):
    """How much a task may log. Events about its steps are not counted."""

    line: int = 1024 * 1024
    """Characters of one line; the rest of it is left out."""
    total: int = 16 * 1024 * 1024
    """Characters of all lines of a run."""
    lines: int = 50_000


class Scribe:
    """Writes the events of one run."""

    def __init__(
        self, journal: Journal, redactor: Redactor, limits: LogLimits, *, guarded: bool, verbose: bool = False
    ) -> None:
        """`guarded`: there are secrets. `verbose`: lines of level debug are written too (upstream's LOG_LEVEL)."""
        self.written = 0
        """Lines of actions until now."""
        self._journal, self._redactor, self._limits, self._verbose = journal, redactor, limits, verbose
        self._stream: Stream[tuple[str, str]] | None = Stream(redactor) if guarded else None
        self._held = 0
        self._soon: asyncio.TimerHandle | None = None
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._left = limits.total
        self._full = False
        self._brought, self._lines_brought = 0, 0
        """Characters and lines that came from other threads."""

    def tell(self, message: str, step_id: str | None = None, status: StepStatus | None = None) -> None:
        """An event about the task or a step."""
        self.flush()
        body: dict[str, Any] = {"message": sound(self._redactor.redact(message))}
        if step_id is not None:
            body["stepId"] = step_id
        if status is not None:
            body["status"] = status
        self._journal.event(body)

    def line(self, level: str, message: str, step_id: str) -> None:
        """A line that an action logs, from any thread. One whose end may be the beginning of a secret waits for what follows, but
        not long."""
        if self._full or (level == "debug" and not self._verbose):
            return
        if threading.get_ident() != self._thread:
            self._bring(level, message, step_id)
            return
        self.written += 1
        message = shortened(message, self._limits.line, self._redactor)
        if self._stream is None:
            self._write(level, message, step_id)
            return
        self._held += 1
        for text, (told, step) in self._stream.feed(message, (level, step_id)):
            self._held -= 1
            self._write(told, text, step)
        if self._held and self._soon is None:
            self._soon = self._loop.call_later(_PATIENCE, self.flush)

    def _bring(self, level: str, message: str, step_id: str) -> None:
        """To the thread that writes; what would not be written any more does not even wait there."""
        if self._brought > self._limits.total or self._lines_brought > self._limits.lines:
            return
        message = shortened(message, self._limits.line, self._redactor)
        self._brought += len(message)
        self._lines_brought += 1
        self._loop.call_soon_threadsafe(self.line, level, message, step_id)

    def flush(self) -> None:
        """Write what waits."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if self._stream is not None and self._held:
            self._held = 0
            for text, (level, step_id) in self._stream.flush():
                self._write(level, text, step_id)

    def _write(self, level: str, text: str, step_id: str) -> None:
        """Past secrets, within bounds."""
        if self._full:
            return
        text = sound(text)
        self._left -= len(text)
        if self._left < 0 or self.written > self._limits.lines:
            self._full = True
            level, text = "warn", "The log of this task is full: what its actions log from here on is left out"
        self._journal.event({"message": colored(level, text), "stepId": step_id})


class StepLog:
    """The `ActionLog` of one step."""

    def __init__(self, scribe: Scribe, step_id: str) -> None:
        self._scribe, self._step_id = scribe, step_id

    def debug(self, message: str) -> None:
        self._scribe.line("debug", message, self._step_id)

    def info(self, message: str) -> None:
        self._scribe.line("info", message, self._step_id)

    def warn(self, message: str) -> None:
        self._scribe.line("warn", message, self._step_id)

    def error(self, message: str) -> None:
        self._scribe.line("error", message, self._step_id)


def colored(level: str, text: str) -> str:
    """A line as upstream's logger formats it for terminals."""
    return f"\x1b[{_COLORS[level]}m{level}\x1b[39m: {text}"


def sound(text: str) -> str:
    """Text that UTF-8 can hold: halves of surrogate pairs, which JavaScript allows, are joined; a lonely one is replaced."""
    return well_formed(text if type(text) is str else str.__str__(text))


def shortened(text: str, longest: int, redactor: Redactor) -> str:
    """A text of a bearable length. Of a secret that lies across the cut nothing is left, either."""
    if len(text) <= longest:
        return text
    return f"{redactor.redact_beginning(text, longest)}… ({len(text) - longest} more characters left out)"


def error_body(name: str, message: str, redactor: Redactor) -> Mapping[str, str]:
    """How a failed step or task tells its error."""
    told = shortened(message, LONGEST_MESSAGE, redactor)
    return {"name": sound(redactor.redact(name)), "message": sound(redactor.redact(told))}
