"""URL -> Document or Tree: what `publish:git` has put into a configured folder or pushed to a host, as it is there now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from urllib.parse import unquote

import msgspec

from greenroom.errors import NotFoundError, NotModifiedError
from greenroom.plugin import Document, Tree
from greenroom.urls.globs import compile_globs, is_glob
from greenroom_plugins.git.addresses import WITH_HTTP, Address, fill, folder_in, path_in
from greenroom_plugins.git.command import Access, Git, GitError
from greenroom_plugins.git.mirror import Mirror
from greenroom_plugins.git.publishing import is_part
from greenroom_plugins.git.reader import MAX_BYTES, MAX_FOUND
from greenroom_plugins.git.settings import PublishFolder, PublishHost

_FILES = ".git/-/blob/"


class Repository(Mirror):
    """A repository that is on this machine itself, and so needs no mirror."""

    def __init__(self, git: Git, path: Path) -> None:
        super().__init__(git, path.parent, Access(Address.parse(path.as_uri())))
        self.path = path

    async def branches(self) -> dict[str, str]:
        """The commit of each. Raises GitError."""
        said = await self._git.run("for-each-ref", "--format=%(objectname)%09%(refname)", "refs/heads", cwd=self.path)
        return _branches(said)

    async def ensure(self, commit: str, branch: str | None = None) -> str:
        """It is there."""
        return commit


class Elsewhere(Mirror):
    """A repository on a host."""

    async def branches(self) -> dict[str, str]:
        """The commit of each. Raises GitError."""
        url = self._access.address.url
        return _branches(await self._git.run("ls-remote", "--heads", "--", url, access=self._access))


def _branches(said: bytes) -> dict[str, str]:
    rows = (line.partition("\t") for line in said.decode("utf-8", "replace").splitlines())
    return {ref.removeprefix("refs/heads/"): commit for commit, _, ref in rows}


class Spot(msgspec.Struct, frozen=True):
    """A file or folder in a repository, as a URL names it."""

    repository: Repository | Elsewhere
    form: str
    branch: str
    commit: str
    path: bytes


class PublishedReader:
    """Reads the configured folders and hosts, so that what was published is registered at once (`greenroom.plugin.UrlReader`)."""

    def __init__(
        self, git: Git, cache: Path, folders: Sequence[PublishFolder] = (), hosts: Sequence[PublishHost] = ()
    ) -> None:
        """`cache` is the folder of the mirrors of what is on hosts."""
        self._git, self._cache = git, cache
        self._hosts = {f"{one.scheme}://{one.host}/": one for one in hosts}
        self._mirrors: dict[str, Elsewhere] = {}
        self._bases = {
            f"{base.rstrip('/')}/": Path(folder.path)
            for folder in folders
            for base in (folder.url, Path(folder.path).as_uri())
            if base
        }

    def reads(self, url: str) -> bool:
        return self._repository(url) is not None or self._on_host(url) is not None

    async def read(self, url: str, etag: str | None = None) -> Document:
        """The etag is the blob. Raises NotFoundError, NotModifiedError, GitError."""
        spot = await self._spot(url, path_in)
        file = await spot.repository.file(spot.commit, spot.path)
        if file.blob == etag:
            raise NotModifiedError
        return Document(await spot.repository.content(file.blob), file.blob)

    async def search(self, url: str, etag: str | None = None) -> Sequence[tuple[str, Document]]:
        """The etag of a pattern is the commit."""
        try:
            spot = await self._spot(url, path_in)
            pattern = spot.path.decode("utf-8", "replace")
            if not is_glob(pattern):
                return [(url, await self.read(url, etag))]
        except NotFoundError:
            return []
        if spot.commit == etag:
            raise NotModifiedError
        return sorted((await self._matching(spot, pattern)).items())

    async def tree(self, url: str, etag: str | None = None, *, token: str | None = None) -> Tree:
        """The etag is the commit. Raises NotFoundError, NotModifiedError, GitError, UnreadableUrlError."""
        spot = await self._spot(url, folder_in)
        if spot.commit == etag:
            raise NotModifiedError
        return (await spot.repository.folder(spot.commit, spot.path)).tree(spot.commit)

    async def _matching(self, spot: Spot, pattern: str) -> dict[str, Document]:
        matches = compile_globs([pattern])
        async with aclosing(spot.repository.files(spot.commit)) as files:
            found = [file async for file in files if matches(file.path)][:MAX_FOUND]
        documents: dict[str, Document] = {}
        left = MAX_BYTES
        for file in found:
            content = await spot.repository.content(file.blob)
            left -= len(content)
            if left < 0:
                raise GitError(f"the files of the pattern are larger than {MAX_BYTES} bytes together")
            documents[fill(spot.form, spot.branch, file.path)] = Document(content, spot.commit)
        return documents

    async def _spot(self, url: str, reading: Callable[[str, str, str], bytes | None]) -> Spot:
        place = self._repository(url) or self._on_host(url)
        if place is None or not (isinstance(place[1], Elsewhere) or place[1].path.is_dir()):
            raise NotFoundError(f"{url} names no file of a repository that was published here")
        form, repository = place
        branches = await repository.branches()
        for branch, commit in branches.items():  # where one fits no other does: git has no branch `a` beside `a/b`
            inside = reading(url, form, branch)
            if inside is not None:
                return Spot(repository, form, branch, await repository.ensure(commit, branch), inside)
        raise NotFoundError(f"{url} names no file of a branch of that repository")

    def _repository(self, url: str) -> tuple[str, Repository] | None:
        """The form of its URLs, and where it is."""
        for base, folder in self._bases.items():
            inside, found, _ = url.removeprefix(base).partition(_FILES)
            if url.startswith(base) and found:
                parts = unquote(inside).split("/")
                if len(parts) > 1 and all(map(is_part, parts)):
                    path = folder.joinpath(*parts[:-1], f"{parts[-1]}.git")
                    return f"{base}{inside}{_FILES}{{branch}}/{{path}}", Repository(self._git, path)
        return None

    def _on_host(self, url: str) -> tuple[str, Elsewhere] | None:
        """The same of a host."""
        for base, host in self._hosts.items():
            inside, found, _ = url.removeprefix(base).partition(_FILES)
            if url.startswith(base) and found and all(map(is_part, unquote(inside).split("/"))):
                form = f"{base}{inside}{_FILES}{{branch}}/{{path}}"
                if form not in self._mirrors:
                    access = Access(Address.parse(f"{base}{inside}.git", WITH_HTTP), host.username, host.token)
                    self._mirrors[form] = Elsewhere(self._git, self._cache, access)
                return form, self._mirrors[form]
        return None
