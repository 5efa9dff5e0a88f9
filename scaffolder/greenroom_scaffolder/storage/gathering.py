"""Wishes that come at the same time -> one transaction: while one is under way, those that come wait for the next."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Generic, TypeVar

import asyncpg

from greenroom.db import LOST
from greenroom.errors import ServiceUnavailableError

T = TypeVar("T")

PASSING = (
    ServiceUnavailableError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    *LOST,
)
"""What may be gone when it is tried again; whether the transaction was committed is not known then."""


class Gatherer(Generic[T]):
    """Writes what is put in, many at once. What is written must bear being written again, should an answer be lost."""

    def __init__(
        self, write: Callable[[Sequence[T]], Awaitable[None]], *, most: int = 200, patience: float = 10.0
    ) -> None:
        """`most` go into one transaction; for `patience` seconds one is tried again while the database is away."""
        self._write, self._most, self._patience = write, most, patience
        self._waiting: list[tuple[T, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def put(self, item: T) -> None:
        """Returns once it is committed. Raises what the writing raises."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._work())
        await done

    async def _work(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # those that are ready at this moment come along
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            if error := await self._attempt([item for item, _ in batch]):
                await self._one_by_one(batch, error)
            else:
                for _, done in batch:
                    settle(done, None)

    async def _one_by_one(self, batch: Sequence[tuple[T, asyncio.Future[None]]], error: Exception) -> None:
        """What one of them is to blame for does not hurt the others."""
        for item, done in batch:
            alone = len(batch) == 1 or isinstance(error, PASSING)
            settle(done, error if alone else await self._attempt([item]))

    async def _attempt(self, items: Sequence[T]) -> Exception | None:
        until = monotonic() + self._patience
        while True:
            try:
                await self._write(items)
            except PASSING as error:
                if monotonic() > until:
                    return error
                await asyncio.sleep(random.uniform(0.05, 0.3))  # noqa: S311 - spreads rivals, hides nothing
            except Exception as error:  # noqa: BLE001 - it is raised where somebody waits for it
                return error
            else:
                return None


def settle(done: asyncio.Future[None], error: BaseException | None) -> None:
    """End a wait, if anybody still waits."""
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
