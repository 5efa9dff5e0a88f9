"""What the faults are done to: short and few in `make test`, long and many with `GREENROOM_FAULTS` (`make faults`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.world import SCALE, Scale
from tests.support.postgres import open_folder


@pytest.fixture
def scale() -> Scale:
    """How much of it."""
    return SCALE


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that Postgres may enter."""
    with open_folder() as made:
        yield made
