"""Fixtures for every test."""

import gc

import pytest

from tests.support.called import greenroom
from tests.support.postgres import database, database_url, migrated_database, postgres_server

__all__ = ["database", "database_url", "greenroom", "migrated_database", "postgres_server"]


@pytest.fixture(scope="module", autouse=True)
def nothing_old_is_gone_through() -> None:
    """What thousands of tests have left is out of the garbage collector's sight: in a process as large as that, it takes a
    second now and then, for which what is measured is not to blame."""
    gc.collect()
    gc.freeze()
