"""How much one run of a provider may bring, and take away without somebody having confirmed it."""

from __future__ import annotations

import msgspec

from greenroom.errors import ConflictError, InputError

MOST_ENTITIES = 2_000_000
"""That a run may emit, unless `catalog.providerOptions.NAME.maxEntities` says otherwise."""
SLACK = 1.1
"""How much more than what was confirmed may go: between the refusal and the run after it, the source lives on."""


class RemovalRefusedError(ConflictError):
    """A full mutation would remove more than is plausible"""

    def __init__(self, message: str, entities: int) -> None:
        """`entities`: how many."""
        super().__init__(message)
        self.entities = entities


class FloodError(InputError):
    """A run emitted more entities than it may"""


class Bounds(msgspec.Struct, frozen=True):
    """Of one run. The defaults bound nothing but its length.

    `share` (0 to 1) of what the provider holds may go in one full mutation; more of it only if less than `at_least` entities go
    with it, or somebody has confirmed that so many (`confirmed`) may."""

    share: float = 1.0
    at_least: int = 0
    confirmed: int = 0
    most: int = MOST_ENTITIES

    def check_length(self, found: int) -> None:
        """Raises FloodError."""
        if found > self.most:
            raise FloodError(
                f"It emitted more than {self.most} entities, and is not read on: nothing of this mutation was stored "
                "(catalog.providerOptions.NAME.maxEntities sets the limit)"
            )

    def is_usual(self, gone: int, held: int) -> bool:
        """Whether so many of what it held may go without a closer look."""
        return gone <= self.share * held

    def check_removal(self, provider: str, gone: int, held: int, doomed: int) -> None:
        """`doomed`: how many entities would be removed in all, with those that only `gone` of `held` hold up.

        Raises RemovalRefusedError, which says how to confirm it."""
        if self.is_usual(gone, held) or doomed < self.at_least or doomed <= self.confirmed * SLACK:
            return
        raise RemovalRefusedError(
            f"Refused to remove {doomed} entities: {gone} of the {held} that {provider} brought are missing from its source, "
            f"more than {self.share:.0%} (catalog.removalGuard). Nothing was changed. If they are to go, confirm it: "
            f"`greenroom catalog providers confirm {provider}`, or POST /api/greenroom/catalog/providers/{provider}/confirm",
            doomed,
        )
