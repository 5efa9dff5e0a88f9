"""What a diagnosis has before it: one question, what the tables say, what the files say, and what the config says."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import msgspec

from greenroom.settings.redaction import hide_in_text
from greenroom_catalog.ingestion.locations import Location
from greenroom_catalog.model import Rules
from greenroom_catalog.query.explain.facts import Facts
from greenroom_catalog.query.explain.look import Look
from greenroom_catalog.settings import LocationConfig


class Setup(msgspec.Struct, frozen=True):
    """The configuration, as far as it decides what becomes of an entity."""

    rules: Rules
    installed: Callable[[], Iterable[str]]
    """The names of the providers of this process."""
    disabled: Collection[str] = ()
    """Those of them that `catalog.providerOptions` disables."""
    locations: Sequence[LocationConfig] = ()
    keeps_orphans: bool = False
    rules_are_set: bool = False
    """Whether there is a `catalog.rules`."""
    hide: Callable[[str], str] = hide_in_text
    """Takes secrets out of a text, whatever the text is."""

    def index_of(self, location: Location) -> int | None:
        """Which of `catalog.locations` it is."""
        for index, one in enumerate(self.locations):
            target = os.path.abspath(one.target) if one.type == "file" else one.target  # noqa: PTH100 - keeps globs
            if (one.type, target) == (location.type, location.target):
                return index
        return None


class Case(msgspec.Struct, frozen=True):
    """One question, and all there is to answer it with."""

    facts: Facts
    setup: Setup
    looks: Sequence[Look] = ()
    """The file of the entity, read now; of a Location entity, its targets."""
    at: Look | None = None
    """What stands at the URL that the asker names, or, if it has the entity, at a location below it."""
    registrable: str = ""
    """That URL itself."""
    behind: Mapping[str, Sequence[Look]] = {}
    """By ref: what stands behind the locations that an unknown entity may come from."""

    @property
    def ref(self) -> str:
        return str(self.facts.ref)
