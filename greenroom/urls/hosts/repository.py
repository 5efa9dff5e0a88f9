"""What the readers of all Git hosts share: which URLs are theirs, one file or a pattern, and requests with their credentials."""

from __future__ import annotations

import asyncio
import base64
import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from datetime import timedelta
from typing import IO, ClassVar, Self, TypeVar
from urllib.parse import quote

import msgspec

from greenroom.errors import GreenroomError, NotFoundError, NotModifiedError
from greenroom.plugin import Document, Tree
from greenroom.urls.conditions import asking, mark, patience
from greenroom.urls.globs import compile_globs
from greenroom.urls.hosts.archives import Form, check_found, gathered, matching
from greenroom.urls.integrations import Integrations
from greenroom.urls.outgoing import Answer, Limits, Outgoing
from greenroom.urls.repositories import TRAVERSAL, RepositoryFile, leaves_repository, repository_file
from greenroom.urls.service import UnreadableUrlError
from greenroom.urls.trees import is_plain
from greenroom.urls.whatwg import Url, parse

AT_ONCE = 8
"""Files of one pattern that are read at the same time."""
ARCHIVE = Limits(256 * 1024 * 1024, timedelta(minutes=3))

Matches = Callable[[str], bool]
T = TypeVar("T")


class Packed(msgspec.Struct, frozen=True):
    """Where an archive is had that has the files of a folder."""

    address: str
    failure: str
    """What is said, with the status, if it is not."""
    below: str
    """The folder inside the archive."""
    form: Form = "tar"


class RepositoryReader(ABC):
    """A `UrlReader` of the repositories of one host."""

    def __init__(
        self, outgoing: Outgoing, integrations: Integrations, host: str, headers: Mapping[str, str], *apis: str
    ) -> None:
        """`headers` carry the credentials; they are for the host and for `apis`, the base URLs that config has for it."""
        self.host, self.integrations = host, integrations
        self._outgoing, self._headers = outgoing, headers
        self._own = {host, *(parse(api).host for api in apis if api)}
        self._token = ""

    def reads(self, url: str) -> bool:
        parsed = parse(url)
        return (
            parsed.host == self.host and parsed.scheme in ("http", "https") and not (parsed.username or parsed.password)
        )

    async def read(self, url: str, etag: str | None = None) -> Document:
        """Raises NotFoundError, NotModifiedError, NotAllowedError, UnreadableUrlError (upstream's texts)."""
        check_path(url)
        address = await self.place(url)
        answer = await self.get(address, {**asking(etag), **self.accept})
        self.check(answer, f"{url} could not be read as {address}, {answer.said}")
        return Document(self.content(answer), mark(answer.headers))

    async def search(self, url: str, etag: str | None = None) -> Sequence[tuple[str, Document]]:
        """The etag of a pattern is the commit that it was looked up in."""
        check_path(url)
        pattern = self.pattern(url)
        if not self.is_pattern(pattern):
            try:
                return [(url, await self.read(url, etag))]
            except NotFoundError:
                return []
        commit = await self.commit(url)
        if commit == etag:
            raise NotModifiedError
        whole = compile_globs([pattern])
        files = await self.matching(url, commit, pattern, lambda path: whole(path.encode("utf-8", "surrogateescape")))
        found = [(self.beside(url, path), Document(content, commit)) for path, content in files]
        return sorted(found, key=lambda item: item[0])

    async def read_with(self, token: str, url: str, etag: str | None = None) -> Document:
        """The same, opened by a token."""
        return await self._opened_by(token).read(url, etag)

    async def tree(self, url: str, etag: str | None = None, *, token: str | None = None) -> Tree:
        """The etag is the commit. Raises NotFoundError, NotModifiedError, NotAllowedError, UnreadableUrlError."""
        if token:
            return await self._opened_by(token).tree(url, etag)
        check_path(url)
        commit = await self.commit_of_tree(url)
        if commit and commit == etag:
            raise NotModifiedError
        packed = await self.packed(url, commit)
        async with self._archive(packed.address, packed.failure, packed.form) as file:
            files = await asyncio.to_thread(gathered, file, packed.form, packed.below)
        return files.tree(commit)

    def _opened_by(self, token: str) -> Self:
        """The same reader with a token in place of its own credentials, whatever these are."""
        other = copy(self)
        other._token = token
        return other

    # --- what hosts differ in

    accept: ClassVar[Mapping[str, str]] = {}
    """Headers of the request for a file."""

    @abstractmethod
    def address(self, url: str) -> str:
        """Where the file is read. Raises UnreadableUrlError for a URL that names none."""

    async def place(self, url: str) -> str:
        """The same, where it is another for who has come in. Raises as `address` does."""
        return self.address(url)

    @abstractmethod
    def pattern(self, url: str) -> str:
        """The path within the repository, decoded, with its wildcards."""

    @abstractmethod
    async def commit(self, url: str) -> str:
        """What the branch of the URL is at."""

    @abstractmethod
    async def matching(self, url: str, commit: str, pattern: str, matches: Matches) -> list[tuple[str, bytes]]:
        """Path and content of the files of that version that match."""

    async def commit_of_tree(self, url: str) -> str:
        """The same for a folder, where its host is asked in another way."""
        return await self.commit(url)

    @abstractmethod
    async def packed(self, url: str, commit: str) -> Packed:
        """The archive that a folder is in."""

    def given(self, token: str) -> Mapping[str, str]:
        """The headers by which a token that somebody gave opens the host."""
        return bearer(token)

    def content(self, answer: Answer) -> bytes:
        """The file in the answer."""
        return answer.content

    def is_pattern(self, path: str) -> bool:
        """Whether the path stands for several files."""
        return re.search(r"[*?]", path) is not None

    def beside(self, url: str, path: str) -> str:
        """The URL of another file of the repository."""
        return self.integrations.resolve(f"/{path}", url)

    def check(self, answer: Answer, message: str) -> None:
        """Raises for an answer that is not the thing asked for."""
        if answer.ok:
            return
        if answer.status == 304:
            raise NotModifiedError
        if answer.status == 404:
            raise NotFoundError(message)
        told = f"{message} (rate limit exceeded)" if is_limited(answer) else message
        raise UnreadableUrlError(told, retry_after=patience(answer.headers))

    # --- requests

    async def get(self, address: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Whatever the host answers, asked with its credentials."""
        return await self._outgoing.get(address, {**(headers or {}), **await self.opening(address)}, self._named)

    async def json(self, address: str, into: type[T], failure: str) -> T:
        """What is needed of an answer in JSON. `failure` is what is said, with the status, if it is another."""
        answer = await self.get(address)
        self.check(answer, f"{failure}, {answer.said}")
        return decoded(answer.content, into, address)

    async def archive(
        self, address: str, failure: str, matches: Matches, form: Form = "tar"
    ) -> list[tuple[str, bytes]]:
        """The matching files of an archive."""
        async with self._archive(address, failure, form) as file:
            return await asyncio.to_thread(matching, file, form, matches)

    @asynccontextmanager
    async def _archive(self, address: str, failure: str, form: Form) -> AsyncIterator[IO[bytes]]:
        accept = {"Accept": "application/zip"} if form == "zip" else {}
        with tempfile.TemporaryFile() as file:
            headers = {**accept, **await self.opening(address)}
            answer = await self._outgoing.get(address, headers, self._named, into=file, limits=ARCHIVE)
            self.check(answer, f"{failure}, {answer.said}")
            file.seek(0)
            yield file

    async def opening(self, address: str) -> Mapping[str, str]:
        """The headers that open an address of the host this time. Raises as `credentials` does."""
        return self.given(self._token) if self._token else await self.credentials(address)

    async def credentials(self, address: str) -> Mapping[str, str]:
        """The headers of the config for an address of the host. Raises UnreadableUrlError where they cannot be had."""
        return self._headers

    def _named(self, url: Url, current: str) -> bool:
        return url.host in self._own


def is_limited(answer: Answer) -> bool:
    """Whether a host says that it was asked too often."""
    return answer.status == 429 or (answer.status == 403 and answer.headers.get("x-ratelimit-remaining") == "0")


def check_path(url: str) -> None:
    """Raises UnreadableUrlError for a path that an API could take for one out of the repository, however often it was encoded."""
    if leaves_repository(parse(url).pathname):
        raise UnreadableUrlError(f"Incorrect URL: {url}, Error: {TRAVERSAL}")


def file_of(url: str, host: str, views: Iterable[str]) -> RepositoryFile:
    """What the URL names. Raises UnreadableUrlError (upstream's text) unless it is seen in one of these views."""
    try:
        file = repository_file(url)
    except GreenroomError as error:
        raise UnreadableUrlError(f"Incorrect URL: {url}, Error: {error.message}") from error
    if not file.owner or not file.name or file.view not in views:
        raise UnreadableUrlError(f"Incorrect URL: {url}, Error: Invalid {host} URL or file path")
    return file


async def read_all(paths: Sequence[str], read: Callable[[str], Awaitable[bytes]]) -> list[tuple[str, bytes]]:
    """Read several files of a listing, a few at a time. Raises what the first to fail raises."""
    plain = [path for path in paths if is_plain(path)]
    check_found(len(plain), 0)
    slots = asyncio.Semaphore(AT_ONCE)
    taken = 0

    async def one(path: str) -> tuple[str, bytes]:
        nonlocal taken
        async with slots:
            content = await read(path)
        taken += len(content)
        check_found(0, taken)
        return path, content

    tasks = [asyncio.ensure_future(one(path)) for path in plain]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def decoded(content: bytes, into: type[T], address: str) -> T:
    """JSON from a host. Raises UnreadableUrlError."""
    try:
        return msgspec.json.decode(content, type=into)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableUrlError(f"{address} answered in an unexpected way, {error}") from error


def from_base64(text: str | bytes, address: str) -> bytes:
    """Raises UnreadableUrlError."""
    try:
        return base64.b64decode(text)
    except ValueError as error:
        raise UnreadableUrlError(f"{address} answered with something that is not base64") from error


def basic(username: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"}


def bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def part(text: str) -> str:
    """As one segment of a path, or the value of a parameter."""
    return quote(text, safe="")


def parts(text: str) -> str:
    """As several segments of a path."""
    return quote(text, safe="/!$&'()*+,;=:@[]")
