"""The tables of auth: public keys that processes share, and what is known of users who signed in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from greenroom import sql
from greenroom.auth.keys import Jwk
from greenroom.db import Database
from greenroom.plugin import Migrations

_HERE = Path(__file__).parent

MIGRATIONS = Migrations("auth", _HERE / "migrations")
"""Applied wherever tokens are verified, so also in processes without the auth plugin."""


class DatabaseKeyStore:
    """A `KeyStore` in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql.load(_HERE / "sql")

    async def add(self, key: Jwk, keep: timedelta) -> None:
        await self._database.execute(self._sql.add_key, key["kid"], msgspec.json.encode(key), keep)

    async def public_keys(self) -> Sequence[Jwk]:
        rows = await self._database.fetch(self._sql.public_keys)
        return [msgspec.json.decode(row["key"], type=dict[str, str]) for row in rows]


class UserInfo:
    """The claims (`sub`, `ent`, and more by sign-in) of every user, as of the last time they signed in."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sql.load(_HERE / "sql")

    async def remember(self, claims: dict[str, Any]) -> None:
        """Keep the claims of the user in `sub`."""
        await self._database.execute(self._sql.remember_user, claims["sub"], msgspec.json.encode(claims))

    async def find(self, ref: str) -> dict[str, Any] | None:
        """The claims of that user; None for one who never signed in."""
        found = await self._database.fetchval(self._sql.user_claims, ref)
        return None if found is None else msgspec.json.decode(found, type=dict[str, Any])
