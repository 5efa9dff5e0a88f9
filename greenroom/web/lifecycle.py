"""Not started, started, shutting down: what health tells, and what holds requests back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import Enum
from typing import Any, Protocol

from greenroom.errors import ServiceUnavailableError


class Phase(Enum):
    """Where in its life a process is."""

    STARTING = "Backend has not started yet"
    UP = ""
    STOPPING = "Backend is shutting down"
    """Readiness is down, so that no new requests are sent here; those that come are still served."""
    DOWN = "Backend is shutting down "
    """Requests are refused."""


class Examination(Protocol):
    """Of a process that is up: can it do its work? Answers within seconds, also when something hangs."""

    async def unfit(self) -> str | None:
        """Why it cannot, None when it can."""
        ...

    async def report(self) -> Mapping[str, Any]:
        """All that was looked at."""
        ...


class Lifecycle:
    """One per process. `examination` may find a reason why an otherwise started process cannot serve (such as a lost database)."""

    def __init__(self, examination: Examination | None = None) -> None:
        self.phase = Phase.STARTING
        self.examination = examination
        self.closing = asyncio.Event()
        """Set once no more requests are taken in: answers without an end (event streams, long polls) shall find one."""
        self._moved = asyncio.Event()

    def started(self) -> None:
        """Everything runs: requests that wait are let in."""
        if self.phase is Phase.STARTING:
            self._move(Phase.UP)

    def stopping(self) -> None:
        """Readiness goes down; requests are still served, unless the start was not done: then they are refused."""
        if self.phase is not Phase.DOWN:
            self._move(Phase.DOWN if self.phase is Phase.STARTING else Phase.STOPPING)

    def down(self) -> None:
        """Requests to plugins are refused from now on."""
        self.closing.set()
        self._move(Phase.DOWN)

    @property
    def serves(self) -> bool:
        """Whether requests may go to plugins right away."""
        return self.phase is Phase.UP or self.phase is Phase.STOPPING

    @property
    def leaving(self) -> bool:
        """Whether clients do better to look for another process."""
        return self.phase is Phase.STOPPING or self.phase is Phase.DOWN

    def not_ready(self) -> str | None:
        """Why it is not the time to be ready, None when it is."""
        return str(self.phase.value).strip() or None

    async def unfit(self) -> str | None:
        """Why readiness fails, None when it does not."""
        return self.not_ready() or (await self.examination.unfit() if self.examination else None)

    async def report(self) -> Mapping[str, Any]:
        """How things stand: `status` is `ok`, `degraded` (something is wrong that does not keep it from its work) or `error`."""
        if (reason := self.not_ready()) or self.examination is None:
            return {"status": "error" if reason else "ok", **({"message": reason} if reason else {}), "checks": []}
        return await self.examination.report()

    async def admit(self, pause: float) -> None:
        """Hold a request until the start is done, for at most `pause` seconds. Raises ServiceUnavailableError."""
        if self.phase is Phase.STARTING:
            try:
                async with asyncio.timeout(pause):
                    await self._moved.wait()
            except TimeoutError:
                raise ServiceUnavailableError("Service has not started up yet") from None
        if self.phase is Phase.DOWN:
            raise ServiceUnavailableError("Service is shutting down")

    def _move(self, phase: Phase) -> None:
        self.phase = phase
        self._moved.set()
