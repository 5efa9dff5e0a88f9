"""Fixtures for every test."""

from tests.support.called import greenroom
from tests.support.postgres import database, database_url, migrated_database, postgres_server

__all__ = ["database", "database_url", "greenroom", "migrated_database", "postgres_server"]
