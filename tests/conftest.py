"""Fixtures for every test."""

from tests.support.postgres import database, database_url, migrated_database, postgres_server

__all__ = ["database", "database_url", "migrated_database", "postgres_server"]
