"""Fakes for the tests of plugin authors: what a plugin is lent, without the house."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterable, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from stat import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG
from typing import IO, Any, Generic, Literal, TypeVar, cast
from urllib.parse import urljoin, urlsplit

import msgspec
import yaml

from greenroom.entity import Entity, Location, parse_ref, ref_of
from greenroom.errors import ConflictError, InputError, NotAllowedError, NotFoundError, NotModifiedError, describe
from greenroom.plugin import (
    CatalogRegistration,
    Contribution,
    Deferred,
    Document,
    Files,
    MissingServiceError,
    Mutation,
    TemplateInfo,
    Tree,
    TreeFile,
)

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - of an action: its input

SOMEWHERE = Location("url", "https://git.example/catalog-info.yaml")
"""Where an entity stands unless a test says otherwise."""


class FakeHost:
    """Lends what it was made with: `FakeHost({Database: database})`."""

    def __init__(
        self, services: Mapping[type, object] | None = None, contributions: Iterable[Contribution] = ()
    ) -> None:
        self.log = logging.getLogger("greenroom.test")
        self._services = dict(services or {})
        self._contributions = list(contributions)

    def get(self, service: type[T]) -> T:
        if service not in self._services:
            raise MissingServiceError(f"The test lends no {service.__name__}")
        return cast(T, self._services[service])

    def all(self, contribution: type[T]) -> Sequence[T]:
        return [one for one in self._contributions if isinstance(one, contribution)]


class RecordingSource:
    """An `EntitySource` that remembers what the provider did, and what the catalog would hold of it."""

    def __init__(self, *, by_hand: bool = False) -> None:
        self.by_hand = by_hand
        self.entities: dict[str, Entity] = {}
        """What the provider has in the catalog now, by ref."""
        self.location_keys: dict[str, str | None] = {}
        self.calls: list[tuple[str, Any]] = []
        """`("full", refs)`, `("delta", (added refs, removed refs))` and `("refresh", keys)`, in order."""
        self.refreshed: list[str] = []
        self.failures: list[tuple[str, str]] = []
        """What could not be made an entity, and why."""
        self.progressed: tuple[int, int | None] | None = None
        """How far the provider said it had come, last."""

    async def full(self, entities: Iterable[Deferred] | AsyncIterable[Deferred]) -> Mutation:
        """All or nothing, as the catalog: entities that raise half-way change nothing; if some failed, nothing is removed."""
        failures = len(self.failures)
        found = [one async for one in entities] if isinstance(entities, AsyncIterable) else list(entities)
        new = {ref_of(one.entity): one for one in found}
        gone = [ref for ref in self.entities if ref not in new] if len(self.failures) == failures else []
        mutation = self._mutation(new, gone)
        self.calls.append(("full", list(new)))
        return mutation

    async def delta(self, *, added: Sequence[Deferred] = (), removed: Sequence[str] = ()) -> Mutation:
        new = {ref_of(one.entity): one for one in added}
        self.calls.append(("delta", (list(new), list(removed))))
        return self._mutation(new, removed)

    async def refresh(self, keys: Iterable[str]) -> int:
        asked = list(keys)
        self.calls.append(("refresh", asked))
        self.refreshed += asked
        return len(asked)

    def progress(self, done: int, total: int | None = None) -> None:
        self.progressed = (done, total)

    def failed(self, what: str, error: Exception | str) -> None:
        self.failures.append((what, error if isinstance(error, str) else describe(error)))

    @property
    def targets(self) -> set[str]:
        """The targets of all Location entities."""
        return {entity["spec"]["target"] for entity in self.entities.values() if entity["kind"] == "Location"}

    def forget_calls(self) -> None:
        """Start a new chapter: keep the entities, and nothing of how they came."""
        self.calls.clear()
        self.refreshed.clear()

    def _mutation(self, new: Mapping[str, Deferred], removed: Sequence[str]) -> Mutation:
        gone = [ref for ref in removed if self.entities.pop(ref, None) is not None]
        before = dict(self.entities)
        self.entities.update({ref: one.entity for ref, one in new.items()})
        self.location_keys.update({ref: one.location_key for ref, one in new.items()})
        same = sum(before.get(ref) == one.entity for ref, one in new.items())
        added = sum(ref not in before for ref in new)
        return Mutation(added, len(new) - added - same, len(gone), same)


class FakeUrlReader:
    """A `UrlReader` over a mapping from URL to content, with patterns, folders and etags. Change `documents`, and the etags
    change."""

    def __init__(
        self,
        documents: Mapping[str, bytes],
        *,
        executable: Collection[str] = (),
        links: Mapping[str, str] | None = None,
    ) -> None:
        """In folders, documents of some URLs are `executable`, and those of others `links`, which are no documents."""
        self.documents = dict(documents)
        self._executable, self._links = frozenset(executable), dict(links or {})
        self.read_urls: list[str] = []
        """What was read whole, in order; a URL that had not changed is not among them."""
        self.tokens: list[str] = []
        """The tokens that something was read with."""

    def reads(self, url: str) -> bool:
        return url in self.documents or any(_fits(url, one) or one.startswith(_folder(url)) for one in self.documents)

    async def read(self, url: str, etag: str | None = None) -> Document:
        if url not in self.documents:
            raise NotFoundError(f"could not read {url}, 404 Not Found")
        current = _etag([self.documents[url]])
        if etag == current:
            raise NotModifiedError
        self.read_urls.append(url)
        return Document(self.documents[url], current)

    async def search(self, url: str, etag: str | None = None) -> Sequence[tuple[str, Document]]:
        if not _WILD.search(url):
            return [(url, await self.read(url, etag))] if url in self.documents else []
        found = {one: content for one, content in sorted(self.documents.items()) if _fits(url, one)}
        current = _etag(found.values())
        if etag == current:
            raise NotModifiedError
        self.read_urls += found
        return [(one, Document(content, current)) for one, content in found.items()]

    async def read_with(self, token: str, url: str, etag: str | None = None) -> Document:
        self.tokens.append(token)
        return await self.read(url, etag)

    async def tree(self, url: str, etag: str | None = None, *, token: str | None = None) -> Tree:
        self.tokens += [token] if token else []
        below = _folder(url)
        found = sorted(one for one in {*self.documents, *self._links} if one.startswith(below))
        files = [
            TreeFile(
                one.removeprefix(below), self.documents.get(one, b""), one in self._executable, self._links.get(one)
            )
            for one in found
        ]
        current = _etag([msgspec.json.encode(files)])
        if etag == current:
            raise NotModifiedError
        self.read_urls += found
        return Tree(files, current)


def _folder(url: str) -> str:
    return url.rstrip("/") + "/"


_WILD = re.compile(r"\*\*/?|[*?]")


def _fits(pattern: str, url: str) -> bool:
    """Whether a URL is one that `*` and `?` (within a folder) and `**` (across them) in another stand for."""
    wild = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    plain = [re.escape(part) for part in _WILD.split(pattern)]
    signs = [*(wild[sign] for sign in _WILD.findall(pattern)), ""]
    return re.fullmatch("".join(part for pair in zip(plain, signs, strict=True) for part in pair), url) is not None


def _etag(contents: Iterable[bytes]) -> str:
    return f'"{sha256(msgspec.json.encode(list(contents))).hexdigest()[:16]}"'


class RecordingProviders:
    """A `CatalogProviders` that remembers which providers were triggered."""

    def __init__(self) -> None:
        self.triggered: list[str] = []

    async def trigger(self, provider: str, *, by: str | None = None) -> None:
        self.triggered.append(provider)


class RecordingWork:
    """A `Work` that remembers what a processor's hook put forth: `await stamp(entity, work := RecordingWork())`."""

    def __init__(
        self, location: Location = SOMEWHERE, origin: Location | None = None, cache: Mapping[str, Any] | None = None
    ) -> None:
        self.location = location
        self.origin = origin or location
        self.cache: dict[str, Any] = dict(cache or {})
        """Give the next `RecordingWork` this one's, to see what a hook remembers."""
        self.emitted: list[Deferred] = []
        self.files: list[tuple[bytes, Location]] = []
        self.followed: list[tuple[Location, bool]] = []
        """Location, and whether it may be missing."""
        self.relations: list[tuple[str, str, str]] = []
        """Canonical refs on both sides of the type."""
        self.errors: list[Exception] = []
        self.watched: list[str] = []

    def emit(self, entity: Entity, at: Location, *, location_key: str | None = "") -> None:
        self.emitted.append(Deferred(entity, str(at) if location_key == "" else location_key))

    def emit_file(self, content: bytes, at: Location) -> None:
        self.files.append((content, at))

    def follow(self, location: Location, *, optional: bool = False) -> None:
        self.followed.append((location, optional))

    def relate(self, source: str, type: str, target: str) -> None:  # noqa: A002 - upstream's word for it
        """Raises EntityRefError."""
        self.relations.append((str(parse_ref(source)), type, str(parse_ref(target))))

    def fail(self, error: Exception) -> None:
        self.errors.append(error)

    def watch(self, key: str) -> None:
        self.watched.append(key)


class FakePlaceholder:
    """A `Placeholder` among files: `await resolve(FakePlaceholder("./a.txt", {"https://git.example/a.txt": b"text"}))`."""

    def __init__(
        self, value: Any, files: Mapping[str, bytes] | None = None, *, key: str = "fake", base: str = SOMEWHERE.target
    ) -> None:
        self.key, self.value, self.base = key, value, base
        self.files = dict(files or {})
        self.read_urls: list[str] = []
        """What was read, in order: a change there would make the entity due."""

    def resolve(self, reference: str, base: str | None = None) -> str:
        """Raises InputError for what is no URL."""
        url = urljoin(base or self.base, reference)
        if not urlsplit(url).netloc:
            raise InputError("Invalid URL")
        return url

    async def read(self, url: str) -> bytes:
        """Raises NotFoundError for what is not among the files."""
        self.read_urls.append(url)
        if url not in self.files:
            raise NotFoundError(f"could not read {url}, 404 Not Found")
        return self.files[url]

    def parse(self, content: bytes) -> Any:
        """Raises InputError."""
        try:
            return yaml.safe_load(content)
        except yaml.YAMLError as error:
            raise InputError(f"{error}") from error


class RecordingLog:
    """An `ActionLog` that remembers its lines: `(level, message)`."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def debug(self, message: str) -> None:
        self.lines.append(("debug", message))

    def info(self, message: str) -> None:
        self.lines.append(("info", message))

    def warn(self, message: str) -> None:
        self.lines.append(("warn", message))

    def error(self, message: str) -> None:
        self.lines.append(("error", message))


class FolderEntry(msgspec.Struct, frozen=True):
    """A `FileEntry`."""

    path: str
    kind: Literal["file", "folder", "link", "other"]
    mode: int
    size: int


class FolderFiles:
    """The `Files` of a folder of the test: without limits, and for tests in which nobody plants links meanwhile."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def find(self, path: str, *, follow: bool = False) -> FolderEntry | None:
        try:
            whole = Path(path)
            return self._entry(self._inside(path) if follow else self._inside(str(whole.parent)) / whole.name)
        except FileNotFoundError:
            return None

    def entries(self, under: str = "", *, recursive: bool = True) -> Sequence[FolderEntry]:
        pattern = "**/*" if recursive else "*"
        return [self._entry(path) for path in sorted(self._inside(under).glob(pattern))]

    def matching(self, pattern: str, *, hidden: bool = False) -> Sequence[str]:
        """As Python's own globs read it: braces and groups are text."""
        named = {part for part in pattern.split("/") if part.startswith(".")}
        found = (path.relative_to(self._folder) for path in self._folder.glob(pattern) if path.is_file())
        return sorted(
            one.as_posix() for one in found if hidden or all(part in named or part[0] != "." for part in one.parts)
        )

    def open(self, path: str) -> IO[bytes]:
        whole = self._inside(path)
        if whole.is_dir():
            raise InputError("EISDIR: illegal operation on a directory, read")
        if not whole.exists():
            raise InputError(f"ENOENT: no such file or directory, open '{whole}'")
        return whole.open("rb")

    def read(self, path: str) -> bytes:
        with self.open(path) as file:
            return file.read()

    def write(self, path: str, data: bytes, mode: int = 0o666) -> None:
        self.pour(path, [data], mode)

    def append(self, path: str, data: bytes) -> None:
        self.write(path, (self.read(path) if self.find(path, follow=True) else b"") + data)

    def pour(self, path: str, chunks: Iterable[bytes], mode: int = 0o666) -> None:
        whole = self._inside(path)
        if whole.is_dir():
            raise InputError(f"EISDIR: illegal operation on a directory, open '{whole}'")
        whole.parent.mkdir(parents=True, exist_ok=True)
        whole.write_bytes(b"".join(chunks))
        whole.chmod(mode & ~0o022)

    def _inside(self, path: str) -> Path:
        found = (self._folder / path).resolve()
        if not found.is_relative_to(self._folder):
            raise NotAllowedError("Relative path is not allowed to refer to a directory outside its parent")
        return found

    def _entry(self, path: Path) -> FolderEntry:
        about = path.lstat()
        kinds: dict[int, Literal["file", "folder", "link", "other"]] = {
            S_IFREG: "file",
            S_IFDIR: "folder",
            S_IFLNK: "link",
        }
        kind: Literal["file", "folder", "link", "other"] = kinds.get(S_IFMT(about.st_mode), "other")
        return FolderEntry(path.relative_to(self._folder).as_posix(), kind, about.st_mode & 0o777, about.st_size)


class FakeActionContext(Generic[I]):
    """One run of an action in a folder of the test: `await shout.run(FakeActionContext(Shout("hello"), tmp_path))`."""

    def __init__(
        self,
        given: I,
        workspace: Path,
        *,
        secrets: Mapping[str, str] | None = None,
        user: Mapping[str, Any] | None = None,
        template: TemplateInfo | None = None,
        initiator: object = None,
        dry_run: bool = False,
    ) -> None:
        self.input, self.workspace, self.user, self.initiator, self.dry_run = given, workspace, user, initiator, dry_run
        self.secrets: Mapping[str, str] = dict(secrets or {})
        self.template = template or TemplateInfo("template:default/test")
        self.log = RecordingLog()
        self.files: Files = FolderFiles(workspace)
        self.task_id, self.step_id, self.step_name, self.key = "task", "step", "Step", "task/step"
        self.checkpoints: dict[str, Any] = {}
        """What was remembered. Give the next context this one's, to see what a step that is run again does."""
        self.commands: list[tuple[str, ...]] = []
        """What was run, in order."""

    def inside(self, path: str, base: Path | None = None) -> Path:
        """Raises NotAllowedError."""
        root = (base or self.workspace).resolve()
        found = (root / path).resolve()
        if not found.is_relative_to(root):
            raise NotAllowedError("Relative path is not allowed to refer to a directory outside its parent")
        return found

    async def in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work)

    async def checkpoint(self, key: str, make: Callable[[], Awaitable[Any]]) -> Any:
        if key not in self.checkpoints:
            self.checkpoints[key] = await make()
        return self.checkpoints[key]

    async def run(
        self, *command: str, env: Mapping[str, str] | None = None, cwd: Path | None = None, stdin: bytes | None = None
    ) -> int:
        """Runs it, with the environment of the test."""
        self.commands.append(command)
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, **(env or {})},
            cwd=cwd or self.workspace,
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
        )
        told, _ = await process.communicate(stdin)
        for line in told.decode(errors="replace").splitlines():
            self.log.info(line)
        return await process.wait()


class RecordingLocations:
    """A `CatalogLocations` that finds the entities it was made with, and remembers what was registered."""

    def __init__(self, entities: Mapping[str, Sequence[Entity]] | None = None) -> None:
        """`entities`: what stands behind which URL."""
        self.entities = dict(entities or {})
        self.registered: list[str] = []

    async def register(self, url: str, *, dry_run: bool = False, initiator: object = None) -> CatalogRegistration:
        """Raises ConflictError for what is registered already, InputError for a URL with nothing behind it."""
        if url not in self.entities:
            raise InputError(f"Unable to read {url}")
        if dry_run:
            return CatalogRegistration(self.entities[url], url in self.registered)
        if url in self.registered:
            raise ConflictError(f"Location url:{url} already exists")
        self.registered.append(url)
        return CatalogRegistration(())
