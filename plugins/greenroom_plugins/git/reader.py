"""URL -> Document: files of the followed repositories, out of their mirrors, and of no other repository."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from urllib.parse import unquote

from greenroom.errors import NotFoundError, NotModifiedError
from greenroom.plugin import Document, Tree
from greenroom.urls import Integrations
from greenroom.urls.globs import compile_globs, expand, is_glob, translate
from greenroom_plugins.git.addresses import Address, fill, forms, prefix, prefixes
from greenroom_plugins.git.command import GitError
from greenroom_plugins.git.mirror import File, Mirror
from greenroom_plugins.git.provider import GitProvider
from greenroom_plugins.git.state import Place, Repositories

MAX_FOUND = 1000
"""Files that one pattern may stand for."""
MAX_BYTES = 64 * 1024 * 1024
"""What they may hold together."""


class GitReader:
    """Reads files at the commit that the provider saw last (`greenroom.plugin.UrlReader`)."""

    def __init__(
        self, providers: Mapping[str, GitProvider], repositories: Repositories, integrations: Integrations
    ) -> None:
        self._providers = providers
        self._repositories = repositories
        self._prefixes = {
            prefix(form)
            for provider in providers.values()
            for one in provider.config.repositories
            for form in forms(Address.parse(one.url), integrations, one.web)
        }
        self._folders = [
            expression
            for provider in providers.values()
            if provider.config.folder
            for expression in _folder_expressions(provider.config.folder, provider.config.web)
        ]

    def reads(self, url: str) -> bool:
        """Whether the URL is one of a configured repository. Nothing else is read, least of all any other `file:` URL."""
        if any(candidate in self._prefixes for candidate in prefixes(url)):
            return True
        return any(folder.match(unquote(url, errors="surrogateescape")) for folder in self._folders)

    async def read(self, url: str, etag: str | None = None) -> Document:
        """The file; its etag is the blob's name. Raises NotFoundError, NotModifiedError, GitError."""
        place = await self._place(url)
        blob = await self._repositories.blob(place)
        if blob is not None and blob == etag:
            raise NotModifiedError
        mirror = self._mirror(place)
        commit = await mirror.ensure(place.commit, place.branch)
        if blob is None or commit != place.commit:
            blob = (await mirror.file(commit, place.path)).blob
        if blob == etag:
            raise NotModifiedError
        return Document(await mirror.content(blob), blob)

    async def search(self, url: str, etag: str | None = None) -> Sequence[tuple[str, Document]]:
        """All files that a URL with wildcards stands for, their etag being the commit; without, the one file, or none."""
        try:
            place = await self._place(url)
            if not is_glob(place.path.decode("utf-8", "replace")):
                return [(url, await self.read(url, etag))]
        except NotFoundError:
            return []
        mirror = self._mirror(place)
        commit = await mirror.ensure(place.commit, place.branch)
        if commit == etag:
            raise NotModifiedError
        found: dict[str, Document] = {}
        left = MAX_BYTES
        for file in await _matching(mirror, commit, place.path):
            content = await mirror.content(file.blob)
            left -= len(content)
            if left < 0:
                raise GitError(f"the files of {url} are larger than {MAX_BYTES} bytes together")
            found[fill(place.form, place.branch, file.path)] = Document(content, commit)
        return sorted(found.items())

    async def tree(self, url: str, etag: str | None = None, *, token: str | None = None) -> Tree:
        """All files below a folder at the commit that the provider saw last, which is the etag.

        A token opens nothing here: what is read is on this machine, or what config has credentials for.
        Raises NotFoundError, NotModifiedError, GitError, UnreadableUrlError."""
        place = await self._place(url, folder=True)
        mirror = self._mirror(place)
        commit = await mirror.ensure(place.commit, place.branch)
        if commit == etag:
            raise NotModifiedError
        return (await mirror.folder(commit, place.path)).tree(commit)

    def _mirror(self, place: Place) -> Mirror:
        return self._providers[place.provider].mirror(place.url)

    async def _place(self, url: str, *, folder: bool = False) -> Place:
        place = await self._repositories.find(url, folder=folder)
        if place is None or place.provider not in self._providers:
            raise NotFoundError(f"{url} names no file of a repository and branch that the git provider follows")
        return place


async def _matching(mirror: Mirror, commit: str, pattern: bytes) -> list[File]:
    matches = compile_globs([pattern.decode("utf-8", "replace")])
    async with aclosing(mirror.files(commit)) as files:
        found = [file async for file in files if matches(file.path)]
    return found[:MAX_FOUND]


def _folder_expressions(folder: str, web: str | None) -> list[re.Pattern[str]]:
    if web:
        head = re.escape(prefix(web)).replace(re.escape("{name}"), "[^/]+")
        return [re.compile(head)]
    # The expressions of paths are made for bytes, and hold no character beyond ASCII: they read text as well.
    return [re.compile(f"file:///{translate(plain.removeprefix('/'))}/-/blob/") for plain in expand(folder)]
