"""Fixtures for every test."""

import gc
import os

import pytest
from hypothesis import HealthCheck, settings

from tests.support.called import greenroom
from tests.support.postgres import database, database_url, migrated_database, postgres_server

__all__ = ["database", "database_url", "greenroom", "migrated_database", "postgres_server"]

settings.register_profile(
    "same", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("new", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("new" if "GREENROOM_EXPLORE" in os.environ else "same")
"""Each run tries the same inputs, so that none fails by chance; with GREENROOM_EXPLORE new ones. None fails for being slow."""


@pytest.fixture(scope="module", autouse=True)
def nothing_old_is_gone_through() -> None:
    """What thousands of tests have left is out of the garbage collector's sight: in a process as large as that, it takes a
    second now and then, for which what is measured is not to blame."""
    gc.collect()
    gc.freeze()
