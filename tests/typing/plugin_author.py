"""A plugin author's file: checked by mypy and pyright, never run. Each ignored error is one that must be reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, assert_type

import msgspec
from litestar import Request, Response, get

from greenroom import (
    Action,
    ActionContext,
    Autocomplete,
    CatalogLocations,
    CatalogProviders,
    CatalogReader,
    Check,
    Contribution,
    DataFolder,
    Deferred,
    Document,
    Entity,
    EntityKind,
    EntityProvider,
    EntitySource,
    Example,
    Host,
    Location,
    LocationAnalyzer,
    Loop,
    Migrations,
    Mutation,
    Placeholder,
    PlaceholderResolver,
    Plugin,
    Processor,
    Provides,
    Ready,
    RelationField,
    Status,
    Suggestion,
    TemplateFilter,
    TemplateGlobal,
    TokenReader,
    Tree,
    TreeFile,
    TreeReader,
    UrlReader,
    Work,
    action,
    parse_ref,
    plugin,
)
from greenroom.db import Database
from greenroom.sql import Queries, load
from greenroom.testing import (
    FakeActionContext,
    FakeHost,
    FakePlaceholder,
    FakeUrlReader,
    RecordingLocations,
    RecordingProviders,
    RecordingSource,
    RecordingWork,
)
from greenroom.web import Routes, asked, json_response


class Config(msgspec.Struct, rename="camel"):
    """What stands in app-config.yaml under `acme`."""

    url: str
    every: timedelta = timedelta(minutes=5)
    owners: dict[str, str] = {}


class Rota(Protocol):
    """A service that this plugin lends others."""

    async def on_call(self, team: str) -> str:
        """The ref of the user who is on call."""
        ...


class Table:
    """Who is on call, in a table of our own."""

    def __init__(self, database: Database, sql: Queries) -> None:
        self._database = database
        self._sql = sql

    async def on_call(self, team: str) -> str:
        return str(await self._database.fetchval(self._sql.on_call, team))


class Teams:
    """An EntityProvider whose schedule is its config's."""

    def __init__(self, config: Config) -> None:
        self.name = "acme"
        self._config = config

    @property
    def every(self) -> timedelta | None:
        return self._config.every

    async def run(self, source: EntitySource) -> None:
        group: Entity = {"apiVersion": "backstage.io/v1alpha1", "kind": "Group", "metadata": {"name": "a"}, "spec": {}}
        assert_type(await source.full([Deferred(group, "acme")]), Mutation)
        await source.delta(added=[Deferred(group)], removed=[str(parse_ref("group:default/b"))])
        assert_type(await source.refresh(["url:https://acme.example"]), int)
        assert_type(source.by_hand, bool)


class Reader:
    """A UrlReader."""

    def reads(self, url: str) -> bool:
        return url.startswith("acme:")

    async def read(self, url: str, etag: str | None = None) -> Document:
        return Document(b"", etag)

    async def search(self, url: str, etag: str | None = None) -> Sequence[tuple[str, Document]]:
        return [(url, await self.read(url, etag))]

    async def read_with(self, token: str, url: str, etag: str | None = None) -> Document:
        return await self.read(f"{url}?{token}", etag)

    async def tree(self, url: str, etag: str | None = None, *, token: str | None = None) -> Tree:
        return Tree([TreeFile("run.sh", b"", executable=True), TreeFile("start", link="run.sh")], etag)


class Analyzer:
    """A LocationAnalyzer."""

    def analyzes(self, url: str) -> bool:
        return url.startswith("https://acme.example/")

    async def find(self, url: str, filename: str) -> Sequence[str]:
        return [f"{url}/blob/main/{filename}"]


async def stamped(entity: Entity, work: Work) -> Entity:
    """A hook of a processor that uses all that it is given."""
    work.emit(entity, assert_type(work.location, Location), location_key=None)
    work.emit_file(b"{}", work.origin)
    work.follow(Location("acme", "list"), optional=True)
    work.relate("group:default/a", "ownerOf", "component:default/b")
    work.fail(ValueError("odd"))
    work.watch("url:https://acme.example/list")
    work.cache["times"] = 1
    return entity


async def known(entity: Entity) -> bool:
    """A hook that knows a kind."""
    return bool(entity["kind"] == "Rota")


async def listed(location: Location, optional: bool, work: Work) -> bool:
    """A hook that reads locations of the type `acme`."""
    return location.type == "acme" and not optional and work.location != location


async def on_call(placeholder: Placeholder) -> Any:
    """What stands for `{$oncall: …}`."""
    url = assert_type(placeholder.resolve(f"{placeholder.value}", placeholder.base), str)
    return placeholder.parse(assert_type(await placeholder.read(url), bytes)) or placeholder.key


def ready() -> None:
    """Looks at what the others brought."""


@get("/rota/{team:str}")
async def rota(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Routes are litestar handlers."""
    return json_response({"team": asked(request).path["team"]})


@plugin("acme", Config, needs=(CatalogReader, CatalogProviders), provides=(Rota,))
def acme(config: Config, host: Host) -> Iterable[Contribution]:
    """One of everything."""
    catalog = assert_type(host.get(CatalogReader), CatalogReader)
    providers = host.get(CatalogProviders)
    table = Table(host.get(Database), load(Path(__file__).with_name("sql")))
    cache = host.get(DataFolder).path / "acme"
    host.log.info("Caching in %s", cache)

    async def step() -> float:
        entities = assert_type(await catalog.by_refs(["group:default/a"]), list[Entity | None])
        await providers.trigger("acme")
        return 60.0 if entities else 0.0

    async def status() -> Mapping[str, Any]:
        return {"providers": len(assert_type(host.all(EntityProvider), Sequence[EntityProvider]))}

    async def look() -> str | None:
        return None if host.all(EntityProvider) else "Nobody brings teams"

    yield Teams(config)
    yield Processor("acme", stamped, known, listed, stamped, kinds=["Rota"], priority=5)
    yield PlaceholderResolver("oncall", on_call)
    yield EntityKind(
        "Rota", ["acme.example/v1"], {"required": ["spec"]}, [RelationField("spec.team", "rotaOf", "rota")]
    )
    yield Ready(ready)
    yield Reader()
    yield Analyzer()
    yield Loop("acme.rota", step, wakes=("acme.changed",), runs_in="every", close=returns_nothing, longest=60)
    yield Migrations("acme", Path(__file__).with_name("migrations"))
    yield Status("Acme", status)
    yield Check("acme.teams", look, serious=True)
    yield Routes("acme", [rota], open_paths=("/rota",))
    yield Provides(Rota, table)


provider: EntityProvider = Teams(Config("https://acme.example"))
reader: UrlReader = Reader()
tree_reader: TreeReader = Reader()
token_reader: TokenReader = Reader()
analyzer: LocationAnalyzer = Analyzer()
service: Rota = Table(FakeHost().get(Database), load(Path()))
made: Plugin[Any] = acme
fake_host: Host = FakeHost({CatalogReader: object()})
fake_source: EntitySource = RecordingSource()
fake_providers: CatalogProviders = RecordingProviders()
fake_reader: UrlReader = FakeUrlReader({})
fake_trees: TreeReader = FakeUrlReader({}, executable=["https://git.example/run.sh"])
fake_work: Work = RecordingWork(cache={"times": 1})
fake_placeholder: Placeholder = FakePlaceholder("a.txt", {"https://git.example/a.txt": b"text"})


class Shout(msgspec.Struct):
    """What the step's `input` holds."""

    text: str


@action("acme:shout", idempotent=True, dry_run=True, examples=[Example("Loud", "steps: []")])
async def shout(ctx: ActionContext[Shout]) -> Mapping[str, str]:
    """Say it louder."""
    ctx.log.info(ctx.step_id)
    told = await ctx.checkpoint("told", suggest_nothing)
    await ctx.in_thread(lambda: ctx.files.write("folder/told.txt", b"told"))
    status = await ctx.run("true", env={"A": "b"}, cwd=ctx.inside("folder"))
    return {"text": ctx.input.text.upper(), "told": f"{told}{status}"}


@action("acme:plain")
async def plain(ctx: ActionContext[Mapping[str, Any]]) -> None:
    """Takes any JSON."""
    ctx.log.warn(str(ctx.input.get("text")))


async def suggest_nothing() -> None:
    """Answers nothing."""


async def suggest(resource: str, token: str, context: Mapping[str, str]) -> Sequence[Suggestion]:
    """What a form offers."""
    return [Suggestion(f"{resource}{token}", context.get("title"))]


made_action: Action[Shout] = shout
fake_context: ActionContext[Shout] = FakeActionContext(Shout("hello"), Path())
fake_locations: CatalogLocations = RecordingLocations()
suggestions = Autocomplete("acme", suggest)
louder = TemplateFilter("louder", str.upper)
planet = TemplateGlobal("planet", "Earth")


def answers_at_once(ctx: ActionContext[Shout]) -> Mapping[str, str]:
    """An action is asynchronous."""
    return {"text": ctx.input.text}


async def takes_nothing() -> None:
    """An action is given its context."""


not_awaited = action("acme:now")(answers_at_once)  # type: ignore[arg-type]
not_given: Action[Shout] = action("acme:none")(takes_nothing)  # type: ignore[arg-type]
wrong_input: Action[Config] = shout  # type: ignore[assignment]


class NoSchedule:
    """Forgets `every`."""

    name = "acme"

    async def run(self, source: EntitySource) -> None:
        await source.full([])


async def returns_nothing() -> None:
    """A step has to say how long to rest."""


async def takes_no_work(entity: Entity) -> Entity:
    """A hook is given two things."""
    return entity


def blocks(placeholder: Placeholder) -> str:
    """A resolver has to be asynchronous."""
    return placeholder.key


async def rests() -> float:
    """A step that does nothing."""
    return 1.0


def takes_no_host(config: Config) -> Iterable[Contribution]:
    """A plugin's function is given both."""
    return [config]


not_a_provider: EntityProvider = NoSchedule()  # type: ignore[assignment]
no_rest = Loop("acme", returns_nothing)  # type: ignore[arg-type]
no_work = Processor("acme", takes_no_work)  # type: ignore[arg-type]
not_async = PlaceholderResolver("acme", blocks)  # type: ignore[arg-type]
nowhere = Loop("acme", rests, runs_in="nowhere")  # type: ignore[arg-type]
no_host = plugin("acme", Config)(takes_no_host)  # type: ignore[arg-type]
not_text = parse_ref(1)  # type: ignore[arg-type]
