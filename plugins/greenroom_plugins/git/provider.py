"""repositories -> Location entities: one for each catalog file, kept up to date commit by commit."""

from __future__ import annotations

import asyncio
import contextlib
import glob
import logging
import os
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from hashlib import sha1
from pathlib import Path

from greenroom.entity import LOCATION, ORIGIN_LOCATION, Entity
from greenroom.errors import GreenroomError
from greenroom.plugin import Deferred, EntitySource
from greenroom.urls import Integrations
from greenroom.urls.globs import compile_globs
from greenroom_plugins.git.addresses import Address, fill, forms
from greenroom_plugins.git.command import Access, Git, GitError
from greenroom_plugins.git.mirror import File, Mirror, Tip
from greenroom_plugins.git.settings import GitConfig
from greenroom_plugins.git.state import LEASE, Claim, Difference, Repositories, Wanted

OFTEN = timedelta(seconds=30)
"""How often a provider looks whose turn it is, at least: a question to the database, none to any host."""
MAX_FILES = 20_000
"""Catalog files in one repository."""
REMINDED = 500
"""Locations that are compared at once with what the catalog has."""
MAX_KEYS = 5_000
"""Refresh keys handed over at once."""


class SyncError(GreenroomError):
    """Some repositories could not be read"""


class GitProvider:
    """The provider of one id under `catalog.providers.git` (`greenroom.plugin.EntityProvider`)."""

    def __init__(
        self,
        id_: str,
        config: GitConfig,
        *,
        repositories: Repositories,
        git: Git,
        cache: Path,
        integrations: Integrations,
        log: logging.Logger,
    ) -> None:
        """`cache` is the folder of the mirrors; all of it can be lost, and is then fetched again."""
        self.name = f"git:{id_}"
        self.every: timedelta | None = min(config.schedule.frequency, OFTEN)
        self.config = config
        self._repositories = repositories
        self._git, self._cache = git, cache
        self._integrations = integrations
        self._log = log
        self._working: set[int] = set()
        self._looked_at = 0
        self._wanted: dict[tuple[str, str], Wanted] = {}
        self._mirrors: dict[str, Mirror] = {}

    async def run(self, source: EntitySource) -> None:
        """Look at every repository whose turn it is. Raises SyncError, at the end, for those that could not be read."""
        await self._take_stock(source)
        if source.by_hand:
            await self._repositories.hurry(self.name)
        errors: list[str] = []
        self._looked_at = 0
        try:
            async with self._keeping_leases(), asyncio.TaskGroup() as group:
                for _ in range(self.config.concurrency):
                    group.create_task(self._work(source, errors))
        except ExceptionGroup as failed:  # the database is away, say: the same to every worker
            raise failed.exceptions[0] from failed
        if errors:
            count = f"{len(errors)} repositories" if len(errors) > 1 else "a repository"
            raise SyncError(f"{count} could not be read: {'; '.join(errors[:5])}")

    def mirror(self, url: str) -> Mirror:
        """The mirror of a repository of ours on this machine."""
        if url not in self._mirrors:
            credentials = self.config.credentials
            username, token = (credentials.username, credentials.token) if credentials else (None, None)
            self._mirrors[url] = Mirror(self._git, self._cache, Access(Address.parse(url), username, token))
        return self._mirrors[url]

    # --- the list of repositories

    def wanted(self) -> Iterator[Wanted]:
        """All repositories that config names, those in the folder as they are on disk now. Raises GitError."""
        patterns = tuple(self.config.paths)
        for one in self.config.repositories:
            address = Address.parse(one.url)
            branch = one.branch or self.config.branch or ""
            yield Wanted(address, branch, forms(address, self._integrations, one.web), patterns)
        for path in self._in_folder():
            address = Address.parse(path.as_uri())
            yield Wanted(
                address, self.config.branch or "", forms(address, self._integrations, self.config.web), patterns
            )

    def _in_folder(self) -> Iterator[Path]:
        if self.config.folder is None:
            return
        root = folder_root(self.config.folder)
        if not root.is_dir():
            raise GitError(f"the folder {root} of {self.config.folder} is not there; nothing was changed")
        for path in sorted(glob.glob(self.config.folder, recursive=True)):  # noqa: PTH207 - the pattern is absolute
            if (Path(path) / "HEAD").is_file() and (Path(path) / "objects").is_dir():
                yield Path(path)

    async def _take_stock(self, source: EntitySource) -> None:
        """Make the table match config and folder: new repositories are due, and what came from missing ones goes."""
        wanted = await asyncio.to_thread(lambda: {one.key: one for one in self.wanted()})
        known = await self._repositories.known(self.name)
        news = [one for key, one in wanted.items() if key not in known or known[key][1] != one.rules]
        if news:
            await self._repositories.add(self.name, news, self.config.schedule.initial_delay)
        self._wanted = wanted
        for key, (id_, _) in known.items():
            if key not in wanted:
                await self._forget(source, id_, key[0], last=not any(url == key[0] for url, _ in wanted))

    async def _forget(self, source: EntitySource, id_: int, url: str, *, last: bool) -> None:
        targets = await self._repositories.targets(id_)
        await source.delta(removed=[location_ref(target) for target in targets])
        await self._repositories.forget(id_)
        self._log.info("%s no longer follows %s; its %d files are gone", self.name, url, len(targets))
        if last:
            await self.mirror(url).remove()
            del self._mirrors[url]

    # --- one repository

    async def _work(self, source: EntitySource, errors: list[str]) -> None:
        while (claim := await self._repositories.claim(self.name)) is not None:
            self._working.add(claim.id)
            await self._tell_progress(source)
            try:
                async with asyncio.timeout(self.config.schedule.timeout.total_seconds()):
                    await self._bring_up_to_date(source, claim)
            except (GitError, TimeoutError) as error:
                reason = error.message if isinstance(error, GitError) else self._too_long(claim)
                self._log.warning("%s: %s", self.name, reason)
                errors.append(reason)
                source.failed(claim.url, reason)
                await self._repositories.fail(claim, self.config.schedule.frequency, reason)
            finally:
                self._working.discard(claim.id)
                self._looked_at += 1
        await self._tell_progress(source)

    async def _tell_progress(self, source: EntitySource) -> None:
        due = await self._repositories.due(self.name)
        source.progress(self._looked_at, self._looked_at + len(self._working) + due)

    def _too_long(self, claim: Claim) -> str:
        seconds = self.config.schedule.timeout.total_seconds()
        return f"{claim.url}: not done within {seconds:g} s (`schedule.timeout`)"

    async def _bring_up_to_date(self, source: EntitySource, claim: Claim) -> None:
        mirror = self.mirror(claim.url)
        tip = await mirror.tip(claim.branch or None)
        if tip is None and claim.applied is not None:
            raise GitError(f"{claim.url}: it is empty now, and was not before; nothing was changed")
        if tip is not None and (tip.commit, tip.branch, claim.rules) != _told(claim):
            await self._tell(source, claim, mirror, tip)
        elif tip is not None:
            await self._remind(source, claim)
        await self._repositories.rest(claim, self.config.schedule.frequency)

    async def _remind(self, source: EntitySource, claim: Claim) -> None:
        """Nothing is new: but a Location that somebody deleted by hand comes back, as it would from any provider."""
        targets = await self._repositories.targets(claim.id)
        for start in range(0, len(targets), REMINDED):
            some = targets[start : start + REMINDED]
            await source.delta(added=[Deferred(location_entity(target), self.name) for target in some])

    async def _tell(self, source: EntitySource, claim: Claim, mirror: Mirror, tip: Tip) -> None:
        commit = await mirror.ensure(tip.commit, tip.branch)
        tip = Tip(tip.branch, commit)
        files = await self._matching(claim, mirror, tip)
        await self._hurry(claim, mirror, files.values())
        differences = await self._repositories.prepare(claim, tip, files)
        rules_changed = claim.applied_rules != claim.rules
        added = [one.target for one in differences if one.now and (one.told is None or rules_changed)]
        removed = [one.target for one in differences if one.now is None]
        if added or removed:
            await source.delta(
                added=[Deferred(location_entity(target), self.name) for target in added],
                removed=[location_ref(target) for target in removed],
            )
        await self._refresh(source, claim, mirror, tip, differences)
        await self._repositories.told(claim, commit)
        await mirror.tidy(commit)
        self._log.info("%s: %s at %s: %d files, %d new, %d gone", self.name, claim.url, commit[:12],
                       len(files), len(added), len(removed))  # fmt: skip

    async def _matching(self, claim: Claim, mirror: Mirror, tip: Tip) -> dict[str, File]:
        """The catalog files of a commit by target."""
        matches = compile_globs(self.config.paths)
        found: dict[str, File] = {}
        async with contextlib.aclosing(mirror.files(tip.commit)) as files:
            async for file in files:
                if matches(file.path):
                    found[fill(claim.forms[0], tip.branch, file.path)] = file
                    if len(found) > MAX_FILES:
                        raise GitError(f"{claim.url}: more than {MAX_FILES} files match `paths`")
        return found

    async def _hurry(self, claim: Claim, mirror: Mirror, files: Iterable[File]) -> None:
        """A first look at a monorepo: get its catalog files at once. A host that refuses sends them one by one, later."""
        if claim.applied is None:
            try:
                await mirror.prefetch([file.blob for file in files])
            except GitError as error:
                self._log.debug("%s: %s", self.name, error.message)

    async def _refresh(
        self, source: EntitySource, claim: Claim, mirror: Mirror, tip: Tip, differences: Sequence[Difference]
    ) -> None:
        """Have everything processed again that was made of a changed file, be it a target, an include, or a text."""
        if claim.applied is None:
            return
        paths = await mirror.changed(claim.applied, tip.commit) if claim.applied != tip.commit else []
        if paths is None:
            self._log.info(
                "%s: %s: the last commit is gone from here, so every file counts as changed", self.name, claim.url
            )
            async with contextlib.aclosing(mirror.files(tip.commit)) as files:
                paths = [file.path async for file in files]
        known = {one.path for one in differences if one.now and one.told and one.now != one.told}
        keys = [f"url:{fill(form, tip.branch, path)}" for path in known.union(paths) for form in claim.forms]
        for start in range(0, len(keys), MAX_KEYS):
            await source.refresh(keys[start : start + MAX_KEYS])

    @asynccontextmanager
    async def _keeping_leases(self) -> AsyncIterator[None]:
        async def keep() -> None:
            while True:
                await asyncio.sleep(LEASE.total_seconds() / 3)
                await self._repositories.keep(list(self._working))

        keeping = asyncio.ensure_future(keep())
        try:
            yield
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping


def _told(claim: Claim) -> tuple[str | None, str | None, str | None]:
    return claim.applied, claim.resolved_branch, claim.applied_rules


def folder_root(pattern: str) -> Path:
    """The part of a path pattern before its first wildcard."""
    plain = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    return Path(plain if plain == pattern else os.path.dirname(plain) or "/")  # noqa: PTH120 - text, not a file


def location_entity(target: str) -> Entity:
    """A Location that stands for one file, named as upstream names generated ones."""
    annotations = {LOCATION: f"url:{target}", ORIGIN_LOCATION: f"url:{target}"}
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Location",
        "metadata": {"name": _name(target), "annotations": annotations},
        "spec": {"type": "url", "target": target, "presence": "required"},
    }


def location_ref(target: str) -> str:
    """The reference of that Location."""
    return f"location:default/{_name(target)}"


def _name(target: str) -> str:
    return f"generated-{sha1(f'url:{target}'.encode(), usedforsecurity=False).hexdigest()}"
