"""Events of a task -> what a terminal shows of them, and how the task has ended."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LEVEL = re.compile(r"^\x1b\[\d+m(\w+)\x1b\[39m: ", re.DOTALL)

SIGNS = {"processing": "▸", "completed": "✔", "failed": "✘", "skipped": "○", "cancelled": "■"}
STYLES = {"processing": "bold", "completed": "green", "failed": "red", "skipped": "dim", "cancelled": "yellow"}
LEVELS = {"warn": "yellow", "error": "red", "debug": "dim"}


class Line(NamedTuple):
    """One line of the terminal."""

    text: str
    style: str = ""


class Follower:
    """Reads events in their order, each once, also when a stream begins anew."""

    def __init__(self, names: Mapping[str, str]) -> None:
        """`names` of the steps, by id."""
        self._names = names
        self._began: dict[str, datetime] = {}
        self.last = 0
        """The id of the last event that was read."""
        self.completion: Mapping[str, Any] | None = None
        """The body of the event that ended the task."""

    def ended(self) -> bool:
        """Whether the last event that was read says so."""
        return self.completion is not None

    def read(self, event: Mapping[str, Any]) -> Iterator[Line]:
        """The lines of an event; none for one that was read before."""
        if event["id"] <= self.last:
            return
        self.last = event["id"]
        body, kind = event["body"], event["type"]
        if kind == "completion":
            self.completion = body
        elif kind == "recovered":
            self.completion = None
            self._began.clear()  # what is kept of the run before has taken no time in this one
            yield Line("↻ The task goes on", "bold")
        elif status := body.get("status"):
            yield from self._turn(body, status, datetime.fromisoformat(event["createdAt"]))
        else:
            yield from told(body["message"])

    def _turn(self, body: Mapping[str, Any], status: str, at: datetime) -> Iterator[Line]:
        """A step has begun, or is over."""
        step = body.get("stepId", "")
        if status == "cancelled" and not step:  # upstream's message speaks of a step 0
            yield Line(f"{SIGNS[status]} Cancelled before a step had begun", STYLES[status])
            return
        took = f" ({(at - self._began[step]).total_seconds():.1f} s)" if step in self._began else ""
        if status == "processing":
            self._began[step], took = at, ""
        first = body["message"].partition("\n")[0]
        why = f": {first}" if status in ("failed", "skipped", "cancelled") else ""
        sign = SIGNS.get(status, "·")
        yield Line(f"{sign} {self._names.get(step, step)}{took}{why}", STYLES.get(status, ""))


def told(message: str) -> Iterator[Line]:
    """What was logged, in the terminal's own colours."""
    level = _LEVEL.match(message)
    plain = _COLOUR.sub("", message[level.end() :] if level else message)
    for line in plain.splitlines():
        yield Line(f"    {line}", LEVELS.get(level[1], "") if level else "dim")


def links(output: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Title and address, or entity, of what a task has made."""
    for link in output.get("links") or ():
        if where := link.get("url") or link.get("entityRef"):
            yield link.get("title") or "", where


def texts(output: Mapping[str, Any]) -> Iterator[str]:
    """The lines of what a task has to say at its end: each text after an empty line, below its title."""
    for text in output.get("text") or ():
        yield ""
        if title := text.get("title"):
            yield f"  {title}"
        yield from (f"    {line}" for line in str(text.get("content") or "").splitlines())
