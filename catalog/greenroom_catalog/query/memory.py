"""key -> value, as long as there is room: those that nobody has asked for the longest go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

V = TypeVar("V")

LARGEST = 4
"""A value may fill one part in so many of the room."""


class Memory(Generic[V]):
    """Bounded by bytes, as whoever puts something in reckons them."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._taken = 0
        self._held: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()

    def get(self, key: Hashable) -> V | None:
        """What was put there, if it is still there."""
        found = self._held.get(key)
        if found is None:
            return None
        self._held.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, value: V, size: int) -> None:
        """Hold a value of some bytes, unless it is too large."""
        self.drop(key)
        if size * LARGEST > self._room:
            return
        self._held[key] = value, size
        self._taken += size
        while self._taken > self._room:
            self._taken -= self._held.popitem(last=False)[1][1]

    def drop(self, key: Hashable) -> None:
        """Hold nothing there."""
        found = self._held.pop(key, None)
        if found is not None:
            self._taken -= found[1]

    @property
    def taken(self) -> int:
        """Bytes held."""
        return self._taken

    def __len__(self) -> int:
        return len(self._held)
