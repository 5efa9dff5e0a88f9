"""What nobody may see of a task -> remembered, sealed, beside what the task came to: who goes on from there hides it, too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from greenroom.errors import GreenroomError
from greenroom_scaffolder.tasks.scribe import sound
from greenroom_scaffolder.tasks.task import Checkpoint, EventType, Journal, StepState, Task
from greenroom_scaffolder.workspace.redaction import MOST_SECRET, MOST_SECRETS

HIDDEN = "%hidden#"
"""What the keys begin with under which it is remembered, among those of checkpoints. No place of a step does: there a `%` stands
for what is escaped (`steps.places`). (`journal.sql`, `claims.sql` and an index know it: it goes when the task is completed, or has
failed long ago, with the archive of its workspace or without one.)"""
MOST_RUNS = 2
"""So many times the secrets that a task may have are remembered of all its runs."""


class UnkeptSecretsError(GreenroomError):
    """The task cannot go on: it has been given more that nobody may see than is kept. It can begin anew"""


class Hidden(msgspec.Struct, omit_defaults=True):
    """What nobody may see. It is looked for, and nothing else: no template can ask for it."""

    given: list[str] = []
    """The secrets of the task."""
    environment: list[str] = []
    """Those that the environment had when something was made of them."""
    texts: list[str] = []
    """Which were rendered with the help of secrets."""
    whole: bool = True
    """False: there was more than is kept."""

    @property
    def secrets(self) -> list[str]:
        """Whosesoever they are."""
        return [*self.given, *self.environment]

    @property
    def large(self) -> bool:
        """Whether the task was given more secrets than are kept. How many the environment has is no fault of the task."""
        return len(self.given) > MOST_RUNS * MOST_SECRETS or sum(map(len, self.given)) > MOST_RUNS * MOST_SECRET


def hidden_of(task: Task) -> Hidden:
    """What earlier runs knew of, beside what the state of the task may hold of it."""
    entries = [msgspec.convert(task.state.checkpoints[key].value, Hidden) for key in _keys(task)]
    return Hidden(
        [secret for entry in entries for secret in entry.given],
        [secret for entry in entries for secret in entry.environment],
        [text for entry in entries for text in entry.texts],
        all(entry.whole for entry in entries),
    )


def secrets_of(task: Task) -> list[str]:
    """Those that it has, and those that it had."""
    return [*dict.fromkeys([*task.secrets.values(), *hidden_of(task).secrets])]


def _keys(task: Task) -> list[str]:
    return [key for key in task.state.checkpoints if key.startswith(HIDDEN)]


class HidingJournal:
    """The journal of a run that writes down what nobody may see before anything that may hold it: each thing once, and nothing
    while nothing is kept. (`tasks.task.Journal`)"""

    def __init__(self, journal: Journal, task: Task, environment: Mapping[str, str], most: int) -> None:
        """At most `most` characters of rendered texts are kept."""
        self._journal, self._environment, self._left = journal, environment, most
        self.before = hidden_of(task)
        self._known = Hidden([*self.before.given], [*self.before.environment], whole=self.before.whole)
        self._texts = {*self.before.texts}
        self._left -= sum(map(len, self._texts))
        self._number = len(_keys(task))
        self._new = Hidden()
        self._learn(task.secrets.values(), self._known.given, self._new.given)

    def hide(self, texts: Iterable[str]) -> None:
        """These were rendered with secrets, perhaps those of the environment."""
        new = [text for text in dict.fromkeys(map(sound, texts)) if text not in self._texts]
        if new:
            self._texts.update(new)
            self._left -= sum(map(len, new))
            self._new.texts += new
            self._learn(self._environment.values(), self._known.environment, self._new.environment)

    def _learn(self, secrets: Iterable[str], known: list[str], new: list[str]) -> None:
        """What nobody has told of yet goes among those that are `known`, and those that are `new`."""
        told = {*self._known.secrets}
        found = [secret for secret in dict.fromkeys(secrets) if secret not in told]
        known += found
        new += found

    def _keep(self) -> None:
        new, self._new = self._new, Hidden()
        if not self._known.whole or new == Hidden():
            return
        if self._left < 0 or self._known.large:
            self._known.whole = False
            new = Hidden(whole=False)
        self._number += 1
        self._journal.checkpoint(f"{HIDDEN}{self._number}", Checkpoint(msgspec.to_builtins(new)))

    def event(self, body: Mapping[str, Any], kind: EventType = "log") -> None:
        self._journal.event(body, kind)

    def step(self, step_id: str, state: StepState) -> None:
        if state.output:
            self._keep()
        self._journal.step(step_id, state)

    async def workspace(self, archive: bytes | None) -> None:
        if archive:
            self._keep()
        await self._journal.workspace(archive)

    def checkpoint(self, key: str, outcome: Checkpoint) -> None:
        if outcome.value:
            self._keep()
        self._journal.checkpoint(key, outcome)

    async def durable(self) -> None:
        await self._journal.durable()
