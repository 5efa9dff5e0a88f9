"""Signing keys: the private half lives in the process that made it, the public half where every process finds it.

So nothing secret is ever stored, and any number of processes on any number of machines can sign and verify without
sharing a secret: each signs with a key of its own, which ends with it. Keys rotate after one token lifetime; the public
half is kept for three (as upstream's TokenFactory does), by when every token it signed has expired.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from joserfc.jwk import ECKey

from greenroom.auth.tokens import new_key, public_jwk
from greenroom.errors import ServiceUnavailableError

KEPT = 3
"""How many token lifetimes a public key is kept."""

RELOAD_EVERY = 1.0
"""Seconds between two looks at the store for keys that are not known here."""

Jwk = Mapping[str, str]


class KeyStore(Protocol):
    """Where public keys are shared between processes."""

    async def add(self, key: Jwk, keep: timedelta) -> None:
        """Publish a public key for that long."""

    async def public_keys(self) -> Sequence[Jwk]:
        """The keys that still count, oldest first."""
        ...


class MemoryKeyStore:
    """A key store of one process, for tests and tools without a database."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._keys: list[tuple[float, Jwk]] = []

    async def add(self, key: Jwk, keep: timedelta) -> None:
        self._keys.append((self._clock() + keep.total_seconds(), key))

    async def public_keys(self) -> Sequence[Jwk]:
        return [key for until, key in self._keys if until > self._clock()]


class Keyring:
    """The public keys by id, remembered. A key of another process is looked up when its first token arrives.

    Unknown ids make at most one look per second, for all callers together: a flood of invented ids costs one query a
    second, and a token of a key that was made a moment ago waits for the next look instead of being refused."""

    def __init__(self, store: KeyStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._keys: dict[str, ECKey] = {}
        self._looked_at = -RELOAD_EVERY
        self._failure: ServiceUnavailableError | None = None
        self._lock = asyncio.Lock()

    async def find(self, kid: str) -> ECKey | None:
        """The key of that id, None if the store does not have it either. Raises ServiceUnavailableError."""
        if kid not in self._keys:
            await self._look()
        return self._keys.get(kid)

    async def _look(self) -> None:
        asked_at = self._clock()
        async with self._lock:
            if self._looked_at > asked_at:
                if self._failure is not None:
                    raise self._failure
                return
            await asyncio.sleep(max(0.0, self._looked_at + RELOAD_EVERY - self._clock()))
            began = self._clock()
            try:
                published, self._failure = await self._store.public_keys(), None
            except ServiceUnavailableError as error:  # those who wait for this look are told the same
                self._failure, self._looked_at = error, began
                raise
            self._keys = {jwk["kid"]: ECKey.import_key(dict(jwk)) for jwk in published}
            self._looked_at = began


class SigningKeys:
    """The key that this process signs with, made at first use and replaced after one token lifetime."""

    def __init__(self, store: KeyStore, lifetime: timedelta, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._lifetime = lifetime
        self._clock = clock
        self._lock = asyncio.Lock()
        self._key: ECKey | None = None
        self._until = 0.0

    async def current(self) -> ECKey:
        """A key whose public half is already in the store."""
        async with self._lock:
            if self._key is None or self._clock() >= self._until:
                key = new_key(str(uuid.uuid4()))
                await self._store.add(public_jwk(key), KEPT * self._lifetime)
                self._key, self._until = key, self._clock() + self._lifetime.total_seconds()
            return self._key
