"""Signing keys: shared through the store, rotated, and not a way to wear the database out."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from greenroom.auth import MemoryKeyStore
from greenroom.auth import keys as keys_module
from greenroom.auth.keys import Jwk, Keyring, SigningKeys
from greenroom.auth.tokens import new_key, public_jwk
from greenroom.errors import ServiceUnavailableError

HOUR = timedelta(hours=1)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 0.000_001
        return self.now


class CountingStore(MemoryKeyStore):
    """A store that counts how often it is read."""

    reads = 0

    async def public_keys(self) -> Sequence[Jwk]:
        self.reads += 1
        await asyncio.sleep(0)
        return await super().public_keys()


async def test_another_process_knows_the_key_as_soon_as_the_first_token_arrives() -> None:
    store = CountingStore()
    signing = await SigningKeys(store, HOUR).current()
    found = await Keyring(store).find(str(signing.kid))
    assert found is not None
    assert public_jwk(found) == public_jwk(signing)


async def test_the_private_half_never_leaves_the_process() -> None:
    store = MemoryKeyStore()
    key = await SigningKeys(store, HOUR).current()
    assert key.is_private
    assert ["d" in jwk for jwk in await store.public_keys()] == [False]


async def test_a_known_key_is_not_looked_up_again() -> None:
    store = CountingStore()
    key = await SigningKeys(store, HOUR).current()
    ring = Keyring(store)
    for _ in range(5):
        assert await ring.find(str(key.kid)) is not None
    assert store.reads == 1


async def test_a_flood_of_invented_key_ids_costs_one_look_a_second() -> None:
    store, clock = CountingStore(), Clock()
    ring = Keyring(store, clock=clock)
    found = await asyncio.gather(*(ring.find(f"invented-{number}") for number in range(500)))
    assert set(found) == {None}
    assert store.reads == 1


async def test_while_the_store_cannot_be_read_nobody_is_told_that_a_key_does_not_exist() -> None:
    class Broken(CountingStore):
        async def public_keys(self) -> Sequence[Jwk]:
            await super().public_keys()
            raise ServiceUnavailableError("no database")

    store = Broken()
    ring = Keyring(store)
    found = await asyncio.gather(*(ring.find("of-another-process") for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in found] == [ServiceUnavailableError] * 3
    assert store.reads == 1


async def test_a_key_made_during_a_flood_is_found_at_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "RELOAD_EVERY", 0.02)
    store = CountingStore()
    ring = Keyring(store)
    assert await ring.find("invented") is None
    key = await SigningKeys(store, HOUR).current()
    assert await ring.find(str(key.kid)) is not None
    assert store.reads == 2


async def test_a_key_stored_while_a_look_is_under_way_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "RELOAD_EVERY", 0.0)
    key, reading, stored = new_key("late"), asyncio.Event(), asyncio.Event()

    class SlowStore(MemoryKeyStore):
        async def public_keys(self) -> Sequence[Jwk]:
            before = await super().public_keys()
            reading.set()
            await stored.wait()
            return before

    store = SlowStore()
    ring = Keyring(store)
    early = asyncio.create_task(ring.find("invented"))
    await reading.wait()
    await store.add(public_jwk(key), HOUR)
    late = asyncio.create_task(ring.find("late"))
    await asyncio.sleep(0)
    stored.set()
    assert await early is None
    assert await late is not None


async def test_a_failed_look_does_not_stop_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "RELOAD_EVERY", 0.0)

    class BrokenOnce(CountingStore):
        async def public_keys(self) -> Sequence[Jwk]:
            found = await super().public_keys()
            if self.reads == 1:
                raise OSError("the database is away")
            return found

    store = BrokenOnce()
    key = await SigningKeys(store, HOUR).current()
    ring = Keyring(store)
    with pytest.raises(OSError, match="away"):
        await ring.find(str(key.kid))
    assert await ring.find(str(key.kid)) is not None


async def test_one_key_signs_for_one_token_lifetime_and_is_kept_for_three() -> None:
    clock = Clock()
    store = MemoryKeyStore(clock)
    signing = SigningKeys(store, HOUR, clock=clock)
    first = await signing.current()
    assert await signing.current() is first
    clock.now += 3600
    second = await signing.current()
    assert second.kid != first.kid
    assert len(await store.public_keys()) == 2
    clock.now += 2 * 3600
    assert [jwk["kid"] for jwk in await store.public_keys()] == [second.kid]


async def test_many_sign_ins_at_once_make_one_key() -> None:
    store = MemoryKeyStore()
    signing = SigningKeys(store, HOUR)
    made = await asyncio.gather(*(signing.current() for _ in range(20)))
    assert len({key.kid for key in made}) == 1
    assert len(await store.public_keys()) == 1
