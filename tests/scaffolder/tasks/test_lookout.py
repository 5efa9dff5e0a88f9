"""Who is lost is found soon, and who lives is never taken for lost, whatever the database or the clocks do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from greenroom.errors import ServiceUnavailableError
from greenroom_scaffolder.storage.rows import Held
from greenroom_scaffolder.tasks import worker
from greenroom_scaffolder.tasks.worker import Lookout

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TASK = uuid4()


class World:
    """Tasks, workers and a clock, as a lookout sees them."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.held_tasks = [Held(TASK, 1, 7, NOON)]
        self.living_workers = {7}
        self.away = False
        self.freed: list[UUID] = []

    async def held(self) -> list[Held]:
        if self.away:
            raise ServiceUnavailableError
        return self.held_tasks

    async def living(self) -> set[int]:
        return self.living_workers

    async def free(self, tasks: Sequence[tuple[UUID, int]], *, lost: bool) -> tuple[int, int]:
        assert lost
        self.freed += [id_ for id_, _ in tasks]
        return len(tasks), 0

    def beat(self) -> None:
        (one,) = self.held_tasks
        assert one.heartbeat_at is not None
        self.held_tasks = [Held(one.id, one.attempt, one.holder, one.heartbeat_at + timedelta(seconds=1))]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(worker, "monotonic", lambda: made.now)
    return made


def lookout(world: Any) -> Lookout:
    return Lookout(world, world)


async def look(one: Lookout, world: World, seconds: int, *, beats: bool = False) -> bool:
    """Once a second; says whether the task was freed."""
    for _ in range(seconds):
        world.now += 1
        if beats:
            world.beat()
        await one.look()
        if world.freed:
            return True
    return False


async def test_a_worker_that_is_missed_and_silent_is_lost_within_seconds(world: World) -> None:
    world.living_workers = set()
    one = lookout(world)
    assert not await look(one, world, 4)
    assert await look(one, world, 2)


async def test_a_worker_whose_session_was_cut_keeps_its_tasks_as_long_as_it_gives_signs(world: World) -> None:
    world.living_workers = set()
    assert not await look(lookout(world), world, 100, beats=True)


async def test_a_worker_that_lives_and_is_silent_is_lost_after_the_lease(world: World) -> None:
    one = lookout(world)
    assert not await look(one, world, 29)
    assert await look(one, world, 3)


async def test_a_worker_that_nobody_can_miss_is_lost_after_the_lease(world: World) -> None:
    world.held_tasks, world.living_workers = [Held(TASK, 1, None, NOON)], set()
    one = lookout(world)
    assert not await look(one, world, 29)
    assert await look(one, world, 3)


async def test_silence_while_the_database_was_away_is_nobodys_fault(world: World) -> None:
    world.living_workers = set()
    one = lookout(world)
    assert not await look(one, world, 3)
    world.away = True
    for _ in range(60):
        world.now += 1
        with pytest.raises(ServiceUnavailableError):
            await one.look()
    world.away = False
    assert not await look(one, world, 4)
    assert await look(one, world, 2)


async def test_what_happened_while_the_lookout_itself_stood_still_does_not_count(world: World) -> None:
    world.living_workers = set()
    one = lookout(world)
    assert not await look(one, world, 3)
    world.now += 600
    assert not await look(one, world, 3)
    assert await look(one, world, 3)


async def test_what_was_silent_for_long_before_anybody_looked_needs_two_looks_only(world: World) -> None:
    world.held_tasks, world.living_workers = [Held(TASK, 1, 7, NOON, silent=11.0)], set()
    one = lookout(world)
    assert not await look(one, world, 1)
    assert await look(one, world, 1)


async def test_a_new_attempt_has_its_own_time(world: World) -> None:
    world.living_workers = set()
    one = lookout(world)
    assert not await look(one, world, 4)
    world.held_tasks = [Held(TASK, 2, 8, NOON)]
    assert not await look(one, world, 4)
