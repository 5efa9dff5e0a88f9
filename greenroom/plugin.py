"""The plugin contract, whole: a plugin is one decorated function from its typed config and the host to contributions.

    class Config(msgspec.Struct):
        url: str

    @plugin("acme", Config)
    def acme(config: Config, host: Host) -> Iterable[Contribution]:
        yield Teams(config.url)                     # an EntityProvider

The type of each yielded value says where it goes. There is no registry object and no base class to inherit. Types of
contributions that need a web or command-line library live on the floor (`greenroom.web.Routes`). Standard library and msgspec only.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterable, Awaitable, Callable, Collection, Iterable, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, Generic, Literal, Protocol, TypeVar, get_args, get_type_hints, runtime_checkable

import msgspec

from greenroom.entity import Entity, Location
from greenroom.errors import GreenroomError

C = TypeVar("C")
T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - of an action: its input
I_co = TypeVar("I_co", covariant=True)

Contribution = object
"""Anything a plugin yields: a value of one of the types below, or one defined on the floor."""


class MissingServiceError(GreenroomError):
    """A plugin asked for a service that nobody provides"""


class NoConfig(msgspec.Struct):
    """The config type of a plugin that has none."""


class Host(Protocol):
    """What a plugin may use. Every service is asked for by its type, so that a test can lend a fake."""

    @property
    def log(self) -> logging.Logger:
        """The plugin's own logger, `greenroom.<plugin>`."""
        ...

    def get(self, service: type[T]) -> T:
        """A service of the floor (`Database`, `Events`, …) or one that another plugin `Provides`.

        Raises MissingServiceError, which names the plugin that asked and the service nobody provides."""
        ...

    def all(self, contribution: type[T]) -> Sequence[T]:
        """Every contribution of that type by any plugin. Complete once all plugins are built: call it from a loop or a route."""
        ...


class Plugin(msgspec.Struct, Generic[C], frozen=True):
    """What the `plugin` decorator makes of a function, and what an entry point of the group `greenroom.plugins` names."""

    name: str
    config: type[C]
    section: str
    """Where the plugin's config stands in `app-config.yaml`, dotted: `catalog.providers.git`."""
    build: Callable[[C, Host], Iterable[Contribution]]
    needs: tuple[type, ...] = ()
    provides: tuple[type, ...] = ()


def plugin(
    name: str,
    config: type[C | NoConfig] = NoConfig,
    *,
    section: str | None = None,
    needs: Sequence[type] = (),
    provides: Sequence[type] = (),
) -> Callable[[Callable[[Any, Host], Iterable[Contribution]]], Plugin[Any]]:
    """Make a plugin of a function.

    `section` defaults to the name. `needs` and `provides` are service types, and decide the order in which plugins are
    built; a plugin whose needs nobody provides stops the start."""

    def decorate(build: Callable[[Any, Host], Iterable[Contribution]]) -> Plugin[Any]:
        return Plugin(name, config, section or name, build, tuple(needs), tuple(provides))

    return decorate


# --- contributions -----------------------------------------------------------------------------------------------


class DataFolder(msgspec.Struct, frozen=True):
    """Lent by the floor: where this machine may keep caches (`GREENROOM_DATA`). What is there may vanish at any time."""

    path: Path


class Provides(msgspec.Struct, frozen=True):
    """A service for other plugins, known to them by its Protocol only."""

    protocol: type
    service: object


class Migrations(msgspec.Struct, frozen=True):
    """The forward-only `.sql` files of one part, applied in name order by one process at a time before loops start."""

    part: str
    folder: Path


class Loop(msgspec.Struct, frozen=True):
    """Work that is done again and again for as long as the process lives.

    `step` does one round and returns the seconds to rest before the next (0: go on at once). A topic in `wakes` (see
    `greenroom.events`) ends the rest early. A step that raises is logged, and retried with back-off; it never ends the loop.
    `close` is called once when the process stops, after the last step: the time to let go of what steps have left behind.
    A step that takes longer than `longest` seconds is taken for hung: readiness tells of it, and after twice as long it is
    cancelled and tried again. None: it may take any time."""

    name: str
    step: Callable[[], Awaitable[float]]
    wakes: tuple[str, ...] = ()
    runs_in: Literal["worker", "api", "every"] = "worker"
    concurrency: int = 1
    close: Callable[[], Awaitable[None]] | None = None
    longest: float | None = 300.0


class Deferred(msgspec.Struct, frozen=True):
    """An entity on its way into the catalog.

    `location_key` is who claims it: an entity held by one key is not overwritten from another (spec 02 §4.7)."""

    entity: Entity
    location_key: str | None = None


class Mutation(msgspec.Struct, frozen=True):
    """What a provider's mutation did, in entities."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0


class Ready(msgspec.Struct, frozen=True):
    """Called once all plugins are built, before anything starts: the time to look at what others contributed (`Host.all`).

    Raises ConfigError, which stops the start."""

    check: Callable[[], None]


class Status(msgspec.Struct, frozen=True):
    """What a part tells of itself to `greenroom status` and at the start: a heading, and a function that reads the facts.

    Facts are JSON: scalars are shown as lines, lists of objects as tables."""

    title: str
    read: Callable[[], Awaitable[Mapping[str, Any]]]


class Check(msgspec.Struct, frozen=True):
    """A part's own answer to whether all goes well with it, told at `/.greenroom/health`.

    `look` returns what is wrong, None if nothing is; it is asked every few seconds at most, and not waited for much longer
    than that. What is `serious` takes readiness down: only for what another process would do better."""

    name: str
    look: Callable[[], Awaitable[str | None]]
    serious: bool = False


class EntitySource(Protocol):
    """A provider's hand in the catalog: it can touch only what the provider itself put there."""

    @property
    def by_hand(self) -> bool:
        """Whether a person asked for this run just now, and expects that everything is looked at: also what the provider, by
        a rhythm of its own, would leave for later."""
        ...

    async def full(self, entities: Iterable[Deferred] | AsyncIterable[Deferred]) -> Mutation:
        """These are now all entities of this provider. Unchanged ones cost a comparison of hashes and no write.

        All or nothing: where iterating them raises, nothing changes."""
        ...

    async def delta(self, *, added: Sequence[Deferred] = (), removed: Sequence[str] = ()) -> Mutation:
        """Add or replace some, and remove some (by entity ref)."""
        ...

    async def refresh(self, keys: Iterable[str]) -> int:
        """Process again, soon, whatever was made from these refresh keys (such as `url:https://…`). Returns how many."""
        ...

    def progress(self, done: int, total: int | None = None) -> None:
        """Say how far this run has come, in any unit (repositories, bytes): shown, with a time of arrival, while it lasts.

        Costs nothing to call often."""
        ...

    def failed(self, what: str, error: Exception | str) -> None:
        """Say that an item (a repository, a line) could not be made an entity, and go on with the others.

        It is counted and shown with the run. A full mutation during which this is called removes nothing: what is missing
        may be what failed. Entities that are none, or cannot be stored, are left out and counted so by the catalog itself,
        and stay what they were."""
        ...


@runtime_checkable
class EntityProvider(Protocol):
    """Where root entities come from. One process at a time runs it, when due or triggered.

    It may say by an attribute `timeout`, a timedelta, after which a run of it is cancelled; otherwise that is six hours."""

    @property
    def name(self) -> str:
        """Unique and stable: what the provider put into the catalog is remembered under this name."""
        ...

    @property
    def every(self) -> timedelta | None:
        """The time from one run to the next; None: once at each start of the server."""
        ...

    async def run(self, source: EntitySource) -> None:
        """Bring the catalog up to date with the outside. An exception is recorded as the run's error."""
        ...


class Work(Protocol):
    """One entity on its way through processing, as a hook of a `Processor` sees it: where it is from, and what follows from it.

    What is put forth here counts if the whole processing of the entity goes well, and until the hook has returned."""

    @property
    def location(self) -> Location:
        """Where the entity stands."""
        ...

    @property
    def origin(self) -> Location:
        """Where the chain of locations that led to the entity begins."""
        ...

    @property
    def cache(self) -> MutableMapping[str, Any]:
        """What this processor remembers of this entity, in JSON of at most 100 kB. It outlives five failures in a row, and
        is lost with the entity."""
        ...

    def emit(self, entity: Entity, at: Location, *, location_key: str | None = "") -> None:
        """Another entity, found at a location. It is claimed under the location, or under the key given (see `Deferred`).

        Annotations say where it is from; `catalog.rules` must allow it. Raises InputError for what is no entity."""
        ...

    def emit_file(self, content: bytes, at: Location) -> None:
        """The entities of a YAML or JSON file. What is wrong with the file is an error of the entity that is processed."""
        ...

    def follow(self, location: Location, *, optional: bool = False) -> None:
        """Have another location read: emits a Location entity for it."""
        ...

    def relate(self, source: str, type: str, target: str) -> None:  # noqa: A002 - upstream's word for it
        """A relation between two entities, by ref; usually one is the entity at hand. Emit both directions.

        Raises EntityRefError."""
        ...

    def fail(self, error: Exception) -> None:
        """Something is wrong with the entity: it stays what it last was, and shows the error. The other hooks still run."""
        ...

    def watch(self, key: str) -> None:
        """A refresh key, such as `url:https://…`: what changes there makes the entity due."""
        ...


class Processor(msgspec.Struct, frozen=True):
    """A step of processing. Each hook is asked of every entity (of the `kinds` given), in the order of priorities.

        async def owned(entity: Entity, work: Work) -> Entity: ...

        yield Processor("acme-owners", before=owned, kinds=["Component"])

    An exception is the entity's error, and so is a hook that takes longer than 30 s (`catalog.processorOptions.NAME.timeout`).
    `catalog.processorOptions.NAME` can also say `disabled` and another `priority`."""

    name: str
    """Unique: errors and options name it."""
    before: Callable[[Entity, Work], Awaitable[Entity]] | None = None
    """The entity as found -> as it shall be checked. Kind, namespace and name must stay."""
    check: Callable[[Entity], Awaitable[bool]] | None = None
    """Whether this is a sound entity of a kind that this processor knows; raises if it is not sound. Of all processors one must
    know the kind."""
    read: Callable[[Location, bool, Work], Awaitable[bool]] | None = None
    """Read a target of a Location entity (which may be missing if the second argument is true), and emit what is there. Returns
    whether the location is of a type that this processor reads."""
    after: Callable[[Entity, Work], Awaitable[Entity]] | None = None
    """The checked entity -> as it shall be served. The place to relate and emit."""
    kinds: Collection[str] | None = None
    """None: all. Entities of other kinds do not wait for this processor; `read` is asked of Location entities in any case."""
    priority: float = 20
    """Lower comes first. The catalog's own steps have 20, and come before others of 20."""


class Placeholder(Protocol):
    """An object `{$key: value}` in an entity, about to be replaced by what it stands for."""

    @property
    def key(self) -> str:
        """Without the `$`."""
        ...

    @property
    def value(self) -> Any:
        """What the author wrote behind the key."""
        ...

    @property
    def base(self) -> str:
        """The target of the location where the entity stands."""
        ...

    def resolve(self, reference: str, base: str | None = None) -> str:
        """The URL that a reference means in the file at `base`. Raises InvalidUrlError."""
        ...

    async def read(self, url: str) -> bytes:
        """What is there. A change there makes the entity due. Raises as `Urls.read` does."""
        ...

    def parse(self, content: bytes) -> Any:
        """The one document of a YAML or JSON file, read as the catalog reads the files of entities.

        Raises InputError for what is broken, and for more documents."""
        ...


class PlaceholderResolver(msgspec.Struct, frozen=True):
    """What stands for `{$key: …}` in the files of entities. One for a built-in key replaces it.

    Time limits and errors are those of a `Processor`; the name for options is `$key`."""

    key: str
    """Without the `$`."""
    resolve: Callable[[Placeholder], Awaitable[Any]]
    """Returns JSON. The words of what it raises are the entity's error. As long as nothing that was `read` has changed, it is
    not asked again; a resolver that reads nothing is asked each time."""


class RelationField(msgspec.Struct, frozen=True):
    """A field of an entity that refers to others, by a string or a list of strings."""

    field: str
    """Dotted, from the root: `spec.owner`."""
    relation: str
    """The relation from the entity to what it refers to: `ownedBy`."""
    reverse: str | None = None
    """The relation back: `ownerOf`."""
    kind: str | None = None
    """The kind of a reference that names none. Without it such a reference is an error."""


class EntityKind(msgspec.Struct, frozen=True):
    """A kind of entities, described by JSON Schema."""

    kind: str
    versions: Sequence[str]
    """Values of `apiVersion`."""
    schema: Mapping[str, Any]
    """Of the whole entity, in any draft (`$schema`; draft 7 unless it says). References to elsewhere are not followed."""
    relations: Sequence[RelationField] = ()


class CatalogProviders(Protocol):
    """Lent by the catalog: run a provider now."""

    async def trigger(self, provider: str, *, by: str | None = None) -> None:
        """Make the provider due. A run that is under way is followed by another; a paused one runs when it is resumed.

        `by` says who or what asks, to those who look at the run: `user:default/jo`, `webhook`. Raises NotFoundError."""
        ...


class CatalogReader(Protocol):
    """Lent by the catalog: read entities as they are served, past any permission."""

    async def by_refs(self, refs: Sequence[str]) -> list[Entity | None]:
        """One entity or None per canonical reference, in order."""
        ...


@runtime_checkable
class LocationAnalyzer(Protocol):
    """Finds the catalog files that a repository already has, for whoever is about to register it."""

    def analyzes(self, url: str) -> bool:
        """Whether this analyzer is the one for the URL. The first of all analyzers to say so is used."""
        ...

    async def find(self, url: str, filename: str) -> Sequence[str]:
        """The URLs of the files of that name in the repository, none if it has none. Raises NotFoundError, NotAllowedError."""
        ...


class Document(msgspec.Struct, frozen=True):
    """What a reader found behind a URL."""

    content: bytes
    etag: str | None = None
    """By which the same reader can tell next time whether there is something newer; to all others a text without meaning.

    It is the server's ETag, `Last-Modified: <date>` where it has none, or a commit. None: it cannot be told."""


@runtime_checkable
class UrlReader(Protocol):
    """Reads a family of URLs."""

    def reads(self, url: str) -> bool:
        """Whether this reader is the one for the URL. The first of all readers to say so is used."""
        ...

    async def read(self, url: str, etag: str | None = None) -> Document:
        """Raises NotFoundError; NotModifiedError when `etag` is still current; NotAllowedError."""
        ...

    async def search(self, url: str, etag: str | None = None) -> Sequence[tuple[str, Document]]:
        """The URLs (and contents) that a URL with `*`, `**` or `?` in its path stands for; without these the one file, or none.

        What a pattern stands for has one etag, which all its documents carry. Raises NotModifiedError when `etag` is still
        current, and InputError where files cannot be listed."""
        ...


class TreeFile(msgspec.Struct, frozen=True):
    """A file of a folder that was read whole."""

    path: str
    """Below that folder: `src/main.py`. Never absolute, and no part of it is `..`."""
    content: bytes = b""
    executable: bool = False
    link: str | None = None
    """Where a symbolic link points to: a relative path that, as it is written, stays in the folder. It has no content."""


class Tree(msgspec.Struct, frozen=True):
    """All files below a URL, without empty folders and submodules."""

    files: Iterable[TreeFile]
    """May be gone through again, but not twice at the same time. Each file is read from disk as its turn comes: use a thread."""
    etag: str | None = None
    """Of all of it; usually a commit. See `Document.etag`."""


@runtime_checkable
class TreeReader(Protocol):
    """A `UrlReader` that can also read whole folders."""

    async def tree(self, url: str, etag: str | None = None, *, token: str | None = None) -> Tree:
        """All files below the URL; none where the host tells of no such folder.

        `token` opens the host instead of what config has for it, and is sent to no other. Raises as `UrlReader.read` does,
        and for a folder that is larger than the reader bears."""
        ...


@runtime_checkable
class TokenReader(Protocol):
    """A `UrlReader` that can read a file with a token that somebody gave for it, instead of what config has for the host."""

    async def read_with(self, token: str, url: str, etag: str | None = None) -> Document:
        """Raises as `UrlReader.read` does."""
        ...


# --- the scaffolder ----------------------------------------------------------------------------------------------


class ActionLog(Protocol):
    """Where an action tells what it does. Each line is an event of the task, with secrets replaced by `***`."""

    def debug(self, message: str) -> None: ...

    def info(self, message: str) -> None: ...

    def warn(self, message: str) -> None: ...

    def error(self, message: str) -> None: ...


class TemplateInfo(msgspec.Struct, frozen=True, rename="camel"):
    """The template that a task was made from."""

    entity_ref: str
    base_url: str | None = None
    """What relative URLs are relative to: the template's source location, or where its file stands."""
    entity: Mapping[str, Any] = msgspec.field(default_factory=dict)
    """`{"metadata": …}` of the template's entity."""
    root: str | None = None
    """The folder that relative URLs must not lead out of, where `base_url` is a file. None: the one that the file lies in."""


class FileEntry(Protocol):
    """Something in a workspace."""

    @property
    def path(self) -> str:
        """From the workspace, with `/`."""
        ...

    @property
    def kind(self) -> Literal["file", "folder", "link", "other"]: ...

    @property
    def mode(self) -> int:
        """The permission bits alone."""
        ...

    @property
    def size(self) -> int:
        """Bytes of a file."""
        ...


class Files(Protocol):
    """The files of a workspace, by their paths from there. What is checked is what is used, whatever a program does to folders and
    links meanwhile, and what is written counts against the task's limits.

    All of it blocks: call it in a thread (`ActionContext.in_thread`). Raises NotAllowedError for what leads out of the workspace,
    and InputError for what the file system refuses, in node's words, and for what is too large."""

    def find(self, path: str, *, follow: bool = False) -> FileEntry | None:
        """What stands there; with `follow`, what a link there leads to."""
        ...

    def entries(self, under: str = "", *, recursive: bool = True) -> Sequence[FileEntry]:
        """What stands below a folder, a folder before what it holds. Links are not followed."""
        ...

    def matching(self, pattern: str, *, hidden: bool = False) -> Sequence[str]:
        """The files that a pattern stands for (`src/**/*.{js,ts}`, as npm's fast-glob reads it), also by the names that links give
        them; those with hidden names only if wanted, or if the pattern names their dots."""
        ...

    def open(self, path: str) -> AbstractContextManager[IO[bytes]]:
        """A plain file's content, to read in pieces."""
        ...

    def read(self, path: str) -> bytes:
        """All of it."""
        ...

    def write(self, path: str, data: bytes, mode: int = 0o666) -> None:
        """Make or replace a file, and make the folders above it. `mode` counts for a new one, less the process' umask."""
        ...

    def append(self, path: str, data: bytes) -> None:
        """Add to the end of a file, which is made if it is not there, with the folders above it."""
        ...

    def pour(self, path: str, chunks: Iterable[bytes], mode: int = 0o666) -> None:
        """As `write`, of content that comes in pieces."""
        ...


class ActionContext(Protocol[I_co]):
    """One run of one step, as its action sees it."""

    @property
    def input(self) -> I_co:
        """The rendered input: of the Struct that the action asks for, or the JSON object as it is."""
        ...

    @property
    def workspace(self) -> Path:
        """The task's folder, which all of its steps share. Paths from templates go through `inside`, or are given to `files`."""
        ...

    @property
    def files(self) -> Files:
        """What is in that folder, to read and to write."""
        ...

    def inside(self, path: str, base: Path | None = None) -> Path:
        """A path below the workspace (or below `base`). Raises NotAllowedError for one that leads out of it, also by a link."""
        ...

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do what blocks in one of the threads that tasks have, so that others are served meanwhile.

        A thread cannot be stopped: whoever is cancelled waits for its end, so that nothing is written behind a step's back."""
        ...

    @property
    def log(self) -> ActionLog: ...

    @property
    def secrets(self) -> Mapping[str, str]:
        """The secrets of the task. They may be handed on to where they belong, and nowhere else."""
        ...

    @property
    def task_id(self) -> str: ...

    @property
    def step_id(self) -> str: ...

    @property
    def step_name(self) -> str: ...

    @property
    def template(self) -> TemplateInfo: ...

    @property
    def user(self) -> Mapping[str, Any] | None:
        """`{"ref": …, "entity": …}` of who started the task; `entity` is missing where the catalog has none. None: no user."""
        ...

    @property
    def initiator(self) -> object:
        """The credentials of who started the task, to hand on to services which ask whose wish it is."""
        ...

    @property
    def dry_run(self) -> bool:
        """Whether nothing outside the workspace may change. Only actions that support it are run so."""
        ...

    @property
    def key(self) -> str:
        """The same each time that this step of this task (and this round of its `each`) is run, and no other's: for
        services that recognise a request which they have had before."""
        ...

    async def checkpoint(self, key: str, make: Callable[[], Awaitable[Any]]) -> Any:
        """The JSON that `make` answers, remembered: a step that is run again gets what it answered then.

        What `make` raises is raised, and not remembered."""
        ...

    async def run(
        self, *command: str, env: Mapping[str, str] | None = None, cwd: Path | None = None, stdin: bytes | None = None
    ) -> int:
        """Run a program, without a shell, each line of its output a line of the log; its exit status.

        It is ended, with all that it started, when the step is cancelled or its time is over. It gets `env` and what a
        program needs to run at all, nothing else of the server's environment."""
        ...


class Example(msgspec.Struct, frozen=True):
    """How an action, a filter or a function is used, for those who read about it."""

    description: str
    example: str
    """YAML of `steps:` for an action, an expression otherwise."""
    notes: str | None = None


class Action(msgspec.Struct, Generic[I], frozen=True):
    """A step's verb: what `action: acme:shout` in a template runs. Made by the decorator `action`."""

    id: str
    run: Callable[[ActionContext[I]], Awaitable[Mapping[str, Any] | None]]
    """Answers the step's outputs, in JSON. An exception fails the step; where the template lets the step be tried again, an
    attribute `retry_after` of the exception says in how many seconds at the earliest."""
    input: type[I] | None = None
    """The Struct that inputs are converted to. None: the action gets the JSON object."""
    description: str | None = None
    input_schema: Mapping[str, Any] | None = None
    """JSON Schema (draft 7) that a rendered input must meet. Upstream's validator words what is wrong."""
    output_schema: Mapping[str, Any] | None = None
    examples: Sequence[Example] = ()
    dry_run: bool = False
    """Whether it runs in a dry run, and then changes nothing outside the workspace."""
    idempotent: bool = False
    """Whether it may simply be run again when the process died in the middle of it. Otherwise the step fails then, and
    whoever started the task is offered to go on from it."""


def action(
    id: str,  # noqa: A002 - upstream's word for it
    *,
    dry_run: bool = False,
    idempotent: bool = False,
    examples: Sequence[Example] = (),
    input_schema: Mapping[str, Any] | None = None,
    output_schema: Mapping[str, Any] | None = None,
) -> Callable[[Callable[[ActionContext[I]], Awaitable[Mapping[str, Any] | None]]], Action[I]]:
    """Make an action of a function. Its docstring is the description; the schema of its input is derived from the type of
    `ctx` (`ActionContext[Shout]`, a msgspec Struct) unless one is given.

        @action("acme:shout")
        async def shout(ctx: ActionContext[Shout]) -> Mapping[str, str]:
            '''Say it louder.'''
            return {"text": ctx.input.text.upper()}

    Raises TypeError for a function that is not asynchronous."""

    def decorate(run: Callable[[ActionContext[I]], Awaitable[Mapping[str, Any] | None]]) -> Action[I]:
        if not inspect.iscoroutinefunction(inspect.unwrap(run)):
            name = getattr(run, "__name__", "run")
            raise TypeError(f"@action({id!r}) wants an async function without yield: `async def {name}(ctx)`")
        shape = _input_of(run)
        given = input_schema if input_schema is not None or shape is None else json_schema(shape)
        told = inspect.getdoc(run)
        return Action(id, run, shape, told, given, output_schema, tuple(examples), dry_run, idempotent)

    return decorate


def _input_of(run: Callable[..., object]) -> type[Any] | None:
    """The Struct that a function of an action asks for by the type of its first argument; None if it asks for plain JSON."""
    hints = get_type_hints(run)
    hints.pop("return", None)
    asked = get_args(next(iter(hints.values()), None))
    shape = asked[0] if asked else None
    return shape if isinstance(shape, type) and issubclass(shape, msgspec.Struct) else None


def json_schema(shape: type[Any]) -> dict[str, Any]:
    """The JSON Schema of a Struct, with the Structs inside it in place of references, and no property but its own."""
    whole = msgspec.json.schema(shape, ref_template="{name}")
    parts: Mapping[str, Any] = whole.get("$defs", {})

    def inlined(node: Any, above: frozenset[str] = frozenset()) -> Any:
        if isinstance(node, list):
            return [inlined(one, above) for one in node]
        if not isinstance(node, dict):
            return node
        name = node.get("$ref")
        if isinstance(name, str) and name in parts:
            return {} if name in above else inlined(parts[name], above | {name})
        return {key: inlined(value, above) for key, value in node.items() if key != "$defs"}

    schema: dict[str, Any] = inlined(whole)
    schema.pop("title", None)
    schema.setdefault("additionalProperties", False)
    return schema


class TemplateFilter(msgspec.Struct, frozen=True):
    """`${{ value | name(argument) }}` in templates."""

    name: str
    apply: Callable[..., Any]
    """Called with the value and the arguments, all JSON; answers JSON. Must be quick, pure, and bounded."""
    description: str | None = None
    schema: Mapping[str, Any] | None = None
    """`{"input"?, "arguments"?, "output"?}`, JSON Schemas, for those who read about it."""
    examples: Sequence[Example] = ()


class TemplateGlobal(msgspec.Struct, frozen=True):
    """`${{ name }}` or `${{ name(argument) }}` in templates."""

    name: str
    value: Any
    """JSON, or a function of JSON arguments that answers JSON: quick, pure, bounded."""
    description: str | None = None
    schema: Mapping[str, Any] | None = None
    """Of a function: `{"arguments"?, "output"?}`, JSON Schemas."""
    examples: Sequence[Example] = ()


class Suggestion(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of the values that a form offers."""

    id: str
    title: str | None = None


class Autocomplete(msgspec.Struct, frozen=True):
    """What fields of a form offer to choose from, looked up at a vendor's with the user's own token."""

    provider: str
    """As in `POST /v2/autocomplete/<provider>/<resource>`."""
    complete: Callable[[str, str, Mapping[str, str]], Awaitable[Sequence[Suggestion]]]
    """Called with resource, token and context. Raises InputError for a resource that it does not know."""


class CatalogRegistration(msgspec.Struct, frozen=True):
    """What the catalog answered to a location."""

    entities: Sequence[Entity]
    """What is found there; none unless it was asked for (`dry_run`)."""
    exists: bool = False


class CatalogLocations(Protocol):
    """Lent by the catalog: have it read a file."""

    async def register(self, url: str, *, dry_run: bool = False, initiator: object = None) -> CatalogRegistration:
        """Register the location `url`, or look what would come of it.

        Raises ConflictError where it is registered already, NotAllowedError where the initiator may not, InputError."""
        ...
