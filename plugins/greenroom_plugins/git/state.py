"""The tables of the git providers: which repositories there are, whose turn it is, and what the catalog has been told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from greenroom.db import Database, Record
from greenroom.plugin import Migrations
from greenroom.sql import Queries, load
from greenroom_plugins.git.addresses import Address, folder_in, path_in, prefix, prefixes
from greenroom_plugins.git.mirror import File, Tip

MIGRATIONS = Migrations("git", Path(__file__).with_name("migrations"))
LEASE = timedelta(seconds=30)
"""How long a repository stays with a process that has died."""


class Wanted(msgspec.Struct, frozen=True):
    """A repository as config has it."""

    address: Address
    branch: str
    """Empty for the remote's default one."""
    forms: tuple[str, ...]
    patterns: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str]:
        return self.address.url, self.branch

    @property
    def rules(self) -> str:
        """Changes whenever the same commit would be told differently."""
        return blake2b(msgspec.json.encode([self.forms, self.patterns]), digest_size=8).hexdigest()


class Claim(msgspec.Struct, frozen=True):
    """A repository that is ours to look at."""

    id: int
    provider: str
    url: str
    branch: str
    forms: list[str]
    rules: str
    resolved_branch: str | None
    commit: str | None
    applied: str | None
    applied_rules: str | None
    requested_at: datetime | None


class Difference(msgspec.Struct, frozen=True):
    """A file that the catalog must hear of. `now` is None when it is gone, `told` when the catalog never heard of it."""

    target: str
    path: bytes
    now: str | None
    told: str | None


class Place(msgspec.Struct, frozen=True):
    """A file in a repository, as a URL names it."""

    repository_id: int
    provider: str
    url: str
    form: str
    branch: str
    commit: str
    path: bytes


class Repositories:
    """Reads and writes the tables."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._sql: Queries = load(Path(__file__).with_name("sql"))

    async def known(self, provider: str) -> dict[tuple[str, str], tuple[int, str]]:
        """Id and rules of each repository, by URL and configured branch."""
        rows = await self._db.fetch(self._sql.known_repositories, provider)
        return {(row["url"], row["branch"]): (row["id"], row["rules"]) for row in rows}

    async def add(self, provider: str, wanted: Sequence[Wanted], delay: timedelta) -> None:
        """Record new repositories and new rules."""
        rows = [
            (provider, *one.key, one.address.key, one.forms, [prefix(form) for form in one.forms], one.rules, delay)
            for one in wanted
        ]
        await self._db.executemany(self._sql.add_repositories, rows)

    async def targets(self, repository_id: int) -> list[str]:
        """Every target that the catalog may have been told of."""
        return [row["target"] for row in await self._db.fetch(self._sql.targets_of, repository_id)]

    async def forget(self, repository_id: int) -> None:
        await self._db.execute(self._sql.forget_repository, repository_id)

    async def claim(self, provider: str) -> Claim | None:
        """One repository whose turn it is, for the length of a lease."""
        row = await self._db.fetchrow(self._sql.claim_repository, provider, LEASE)
        return Claim(*row) if row else None

    async def hurry(self, provider: str) -> None:
        """Make all repositories of a provider due."""
        await self._db.execute(self._sql.hurry_repositories, provider)

    async def due(self, provider: str) -> int:
        """How many repositories wait for their turn."""
        return int(await self._db.fetchval(self._sql.due_repositories, provider))

    async def keep(self, ids: Sequence[int]) -> None:
        """Extend the leases of these."""
        await self._db.execute(self._sql.keep_leases, ids, LEASE)

    async def rest(self, claim: Claim, rest: timedelta) -> None:
        """Done with it for now."""
        await self._db.execute(self._sql.rest_repository, claim.id, rest, claim.requested_at)

    async def fail(self, claim: Claim, rest: timedelta, error: str) -> None:
        """Record why it could not be read; it is tried again after `rest` at the latest."""
        await self._db.execute(self._sql.fail_repository, claim.id, rest, error, claim.requested_at)

    async def prepare(self, claim: Claim, tip: Tip, files: Mapping[str, File]) -> list[Difference]:
        """Put on record what is read from now on; returns what the catalog must hear of. `files` are by target."""
        targets, paths = list(files), [file.path for file in files.values()]
        blobs = [file.blob for file in files.values()]
        async with self._db.transaction() as conn:
            await conn.execute(self._sql.prepare_commit, claim.id, tip.branch, tip.commit)
            await conn.execute(self._sql.prepare_files, claim.id, targets, paths, blobs)
            rows = await conn.fetch(self._sql.files_to_tell, claim.id, claim.applied_rules != claim.rules)
        return [Difference(*row) for row in rows]

    async def told(self, claim: Claim, commit: str) -> None:
        """The catalog has heard of everything up to this commit."""
        async with self._db.transaction() as conn:
            if await conn.fetchval(self._sql.applied_commit, claim.id, commit, claim.rules) is not None:
                await conn.execute(self._sql.applied_files, claim.id)
                await conn.execute(self._sql.drop_gone_files, claim.id)

    async def find(self, url: str, *, folder: bool = False) -> Place | None:
        """The file (or folder) that a URL names, in whichever repository has such URLs."""
        for row in await self._db.fetch(self._sql.find_repository, list(prefixes(url))):
            if (place := _place(url, row, folder_in if folder else path_in)) is not None:
                return place
        return None

    async def blob(self, place: Place) -> str | None:
        """The blob of the file, if it is one that the catalog was told of."""
        blob: str | None = await self._db.fetchval(self._sql.blob_at, place.repository_id, place.path)
        return blob

    async def announce(
        self, providers: Sequence[str], keys: Sequence[str], branch: str | None
    ) -> list[tuple[str, str]]:
        """A branch of these repositories moved. Returns provider and URL of each that is followed here."""
        return [tuple(row) for row in await self._db.fetch(self._sql.announce, providers, keys, branch)]

    async def standing(self, providers: Sequence[str]) -> list[Record]:
        """How each repository stands."""
        return await self._db.fetch(self._sql.standing, providers)


def _place(url: str, row: Any, reading: Callable[[str, str, str], bytes | None]) -> Place | None:
    if row["commit_sha"] is None:
        return None
    for form in row["forms"]:
        path = reading(url, form, row["resolved_branch"])
        if path is not None:
            return Place(row["id"], row["provider"], row["url"], form, row["resolved_branch"], row["commit_sha"], path)
    return None
