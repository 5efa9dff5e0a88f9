"""Processors, resolvers and kinds of plugins among the catalog's own steps: what they may do, and what their faults may cost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from greenroom.entity import Entity, Location
from greenroom.errors import ConfigError, ConflictError
from greenroom.plugin import Deferred, EntityKind, PlaceholderResolver, Processor, RelationField, Work
from greenroom.urls import Urls
from greenroom_catalog.ingestion import custom_kinds
from greenroom_catalog.ingestion.locations import location_entity
from greenroom_catalog.ingestion.processor import AT_ONCE, FOREIGN, READS, Memory, Processed, Unchanged
from greenroom_catalog.ingestion.processor import Processor as Pipeline
from greenroom_catalog.ingestion.reader import Reader
from greenroom_catalog.ingestion.steps import Extensions
from greenroom_catalog.model import Rules, read_rules
from greenroom_catalog.settings import ProcessorOptions
from greenroom_catalog.storage.store import MIGRATIONS
from tests.support.catalog import Catalog, Files, component
from tests.support.postgres import MigratedDatabase

SHORT = {"acme": ProcessorOptions(timeout=timedelta(milliseconds=30))}
Hook = Callable[[Entity, Work], Awaitable[Entity]]


def pipeline(*contributed: object, files: Files | None = None, rules: Rules | None = None, **config: Any) -> Pipeline:
    extensions = Extensions(
        [one for one in contributed if isinstance(one, Processor)],
        [one for one in contributed if isinstance(one, PlaceholderResolver)],
        [one for one in contributed if isinstance(one, EntityKind)],
        **config,
    )
    return Pipeline(rules or Rules(), Reader(Urls([files or Files()])), extensions)


async def processed(pipe: Pipeline, entity: Entity, memory: Memory | None = None) -> Processed:
    result = await pipe.process(entity, memory)
    assert isinstance(result, Processed)
    return result


async def messages(pipe: Pipeline, entity: Entity) -> list[str]:
    return [f"{error.name}: {error.message}" for error in (await processed(pipe, entity)).errors]


def with_hook(stage: str, hook: Any) -> Processor:
    hooks: dict[str, Any] = {stage: hook}
    return Processor("acme", **hooks)


def titled(title: str) -> Hook:
    async def hook(entity: Entity, work: Work) -> Entity:
        entity["metadata"]["title"] = entity["metadata"].get("title", "") + title
        return entity

    return hook


def doing(act: Callable[[Entity, Work], object]) -> Hook:
    async def hook(entity: Entity, work: Work) -> Entity:
        act(entity, work)
        return entity

    return hook


# --- order and options -----------------------------------------------------------------------------------------------


async def test_processors_go_by_priority_and_those_of_equal_priority_as_they_came() -> None:
    pipe = pipeline(
        Processor("b", titled("b")), Processor("a", titled("a")), Processor("first", titled("1"), priority=1)
    )
    assert (await processed(pipe, component("x"))).entity["metadata"]["title"] == "1ba"


async def test_the_config_turns_processors_off_and_around() -> None:
    options = {"a": ProcessorOptions(disabled=True), "c": ProcessorOptions(priority=5)}
    pipe = pipeline(*(Processor(name, titled(name)) for name in "abc"), options=options)
    assert (await processed(pipe, component("x"))).entity["metadata"]["title"] == "cb"


async def test_the_catalogs_own_steps_can_be_turned_off_by_upstreams_names() -> None:
    entity = component("x", title="{}", spec={"dependsOn": ["component:b", "component:a"]})
    own = ("PlaceholderProcessor", "BuiltinKindsEntityProcessor", "AnnotateLocationEntityProcessor")
    pipe = pipeline(options={name: ProcessorOptions(disabled=True) for name in own})
    assert await messages(pipe, entity) == [
        (
            "InputError: No processor recognized the entity component:default/x as valid, "
            "possibly caused by a foreign kind or apiVersion"
        )
    ]
    pipe = pipeline(options={"AnnotateLocationEntityProcessor": ProcessorOptions(disabled=True)})
    assert "backstage.io/view-url" not in (await processed(pipe, entity)).entity["metadata"]["annotations"]


async def test_without_the_default_processors_nothing_reads_locations() -> None:
    location = location_entity(Location("url", "https://git.test/x.yaml"))
    assert await messages(pipeline(bare=True), location) == [
        "InputError: No processor was able to handle reading of url:https://git.test/x.yaml"
    ]


async def test_a_processor_sees_only_entities_of_its_kinds() -> None:
    pipe = pipeline(Processor("acme", titled("t"), kinds=["Group"]))
    assert "title" not in (await processed(pipe, component("x"))).entity["metadata"]


# --- hooks -----------------------------------------------------------------------------------------------------------


async def test_what_a_hook_changes_is_checked_like_what_an_author_wrote() -> None:
    def spoil(entity: Entity, work: Work) -> None:
        entity["metadata"]["tags"] = ["Not A Tag"]

    (message,) = await messages(pipeline(Processor("acme", doing(spoil))), component("x"))
    assert message.startswith(
        'InputError: Policy check failed for component:default/x; caused by Error: "tags.0" is not valid'
    )


async def test_an_entity_that_is_given_to_a_hook_is_its_own() -> None:
    entity = component("x")
    before = msgspec.json.encode(entity)
    await processed(pipeline(Processor("acme", titled("t"))), entity)
    assert msgspec.json.encode(entity) == before


@pytest.mark.parametrize("stage", ["before", "after"])
@pytest.mark.parametrize("field", ["kind", "name", "namespace"])
async def test_a_processor_may_not_make_another_entity_of_it(stage: str, field: str) -> None:
    def rename(entity: Entity, work: Work) -> None:
        (entity if field == "kind" else entity["metadata"])[field] = "other"

    pipe = pipeline(with_hook(stage, doing(rename)))
    assert await messages(pipe, component("x")) == [
        "ConflictError: Fatal: The entity kind, namespace, or name changed during processing"
    ]


async def test_the_exceptions_of_a_hook_say_whose_they_are() -> None:
    async def raising(*args: object) -> Any:
        raise ConflictError("no")

    caused = "threw an error while {}; caused by ConflictError: no"
    for hook, doing_what in [
        ("before", "preprocessing"),
        ("check", "validating the entity component:default/x"),
        ("after", "postprocessing"),
    ]:
        pipe = pipeline(with_hook(hook, raising))
        assert await messages(pipe, component("x")) == [f"InputError: Processor acme {caused.format(doing_what)}"]
    pipe = pipeline(Processor("acme", read=raising, priority=1))
    location = location_entity(Location("url", "https://git.test/x.yaml"))
    assert await messages(pipe, location) == [
        f"InputError: Processor acme {caused.format('reading url:https://git.test/x.yaml')}"
    ]


@pytest.mark.parametrize("nonsense", [None, [], "x", {}, {"kind": "Component"}, object(), {"kind": object()}])
@pytest.mark.parametrize("stage", ["before", "after"])
async def test_nonsense_from_a_hook_is_an_error_of_that_entity_alone(stage: str, nonsense: Any) -> None:
    async def misbehave(entity: Entity, work: Work) -> Entity:
        return nonsense  # type: ignore[no-any-return]

    (message,) = await messages(pipeline(with_hook(stage, misbehave)), component("x"))
    assert message.startswith(
        f"InputError: Processor acme threw an error while {'pre' if stage == 'before' else 'post'}processing"
    )


async def test_a_hook_that_is_no_coroutine_function_is_an_error_and_not_a_crash() -> None:
    pipe = pipeline(Processor("acme", lambda entity, work: entity))  # type: ignore[arg-type,return-value]
    (message,) = await messages(pipe, component("x"))
    assert message.startswith("InputError: Processor acme threw an error while preprocessing")


async def test_nesting_without_end_is_an_error() -> None:
    def deepen(entity: Entity, work: Work) -> None:
        inner: Any = entity["spec"]
        for _ in range(100_000):
            inner["x"] = {}
            inner = inner["x"]

    (message,) = await messages(pipeline(Processor("acme", after=doing(deepen))), component("x"))
    assert "Processor acme threw an error while postprocessing" in message


async def test_a_hook_that_hangs_is_an_error_of_that_entity() -> None:
    async def hang(entity: Entity, work: Work) -> Entity:
        await asyncio.Event().wait()
        return entity

    assert await messages(pipeline(Processor("acme", hang), options=SHORT), component("x")) == [
        "InputError: Processor acme threw an error while preprocessing; caused by Error: It did not return within 0.03 s"
    ]


async def test_a_processor_can_know_a_kind_of_its_own() -> None:
    async def robots(entity: Entity) -> bool:
        return bool(entity["kind"] == "Robot")

    robot = {**component("x"), "apiVersion": "acme.example/v1", "kind": "Robot"}
    assert (await processed(pipeline(Processor("acme", check=robots)), robot)).errors == ()
    assert (
        "No processor recognized"
        in (await messages(pipeline(Processor("acme", check=robots)), {**robot, "kind": "Other"}))[0]
    )


# --- what hooks put forth --------------------------------------------------------------------------------------------


async def test_relations_entities_and_refresh_keys_of_a_hook_follow_from_the_entity() -> None:
    place = Location("url", "https://acme.example/list")

    def act(entity: Entity, work: Work) -> None:
        work.relate("component:default/x", "watchedBy", "Group:Watch")
        work.emit({**component("y"), "metadata": {"name": "y"}}, place)
        work.emit(component("z"), place, location_key="acme")
        work.emit(component("free"), place, location_key=None)
        work.emit_file(b"apiVersion: a/v1\nkind: Component\nmetadata: {name: filed}\n---\nkind: [", place)
        work.follow(Location("url", "https://acme.example/more.yaml"), optional=True)
        work.watch("acme:list")

    result = await processed(pipeline(Processor("acme", after=doing(act))), component("x"))
    assert [error.message.partition(",")[0] for error in result.errors] == [
        "YAML error at url:https://acme.example/list"
    ]

    def act_well(entity: Entity, work: Work) -> None:
        act(entity, work)
        work_errors = work._found.errors  # type: ignore[attr-defined]
        work_errors.clear()

    result = await processed(pipeline(Processor("acme", after=doing(act_well))), component("x"))
    assert ("component:default/x", "watchedBy", "group:default/watch") in result.relations
    assert "acme:list" in result.refresh_keys
    keys = {child.ref.partition("/")[2]: child.location_key for child in result.children}
    follow = next(name for name in keys if name.startswith("generated-"))
    own = "url:https://git.test/x/catalog-info.yaml"
    assert keys == {"y": str(place), "z": "acme", "free": None, "filed": str(place), follow: own}
    child = result.children[0].entity["metadata"]["annotations"]
    assert child["backstage.io/managed-by-location"] == str(place)
    assert child["backstage.io/managed-by-origin-location"] == own


async def test_what_a_hook_emits_obeys_the_rules() -> None:
    rules = read_rules([{"allow": ["Component"]}], None, folder=Path())
    group = {**component("g"), "kind": "Group", "spec": {"type": "team", "children": []}}
    act = doing(lambda entity, work: work.emit(group, work.location))
    (message,) = await messages(pipeline(Processor("acme", after=act), rules=rules), component("x"))
    assert message.startswith("NotAllowedError: Entity group:default/g at url:")


async def test_an_error_that_a_hook_reports_lets_the_others_run() -> None:
    seen: list[str] = []
    first = Processor("first", doing(lambda entity, work: work.fail(ValueError("odd"))))
    second = Processor("second", doing(lambda entity, work: seen.append("second")))
    assert await messages(pipeline(first, second), component("x")) == ["Error: ValueError: odd"]
    assert seen == ["second"]


async def test_an_entity_that_emits_itself_is_not_its_own_child(caplog: pytest.LogCaptureFixture) -> None:
    act = doing(lambda entity, work: work.emit(entity, work.location))
    result = await processed(pipeline(Processor("acme", act)), component("x"))
    assert (list(result.children), list(result.errors)) == ([], [])
    assert "component:default/x was emitted while it was processed itself" in caplog.text


async def test_what_is_put_forth_after_the_hook_ended_does_not_count(caplog: pytest.LogCaptureFixture) -> None:
    works: list[Work] = []
    result = await processed(
        pipeline(Processor("acme", doing(lambda entity, work: works.append(work)))), component("x")
    )
    works[0].watch("late")
    assert "late" not in result.refresh_keys
    assert "Processor acme put forth a refresh key of component:default/x too late" in caplog.text


@pytest.mark.parametrize("reference", ["", "nokind", "component:"])
async def test_a_relation_to_no_reference_is_the_hooks_error(reference: str) -> None:
    act = doing(lambda entity, work: work.relate("component:default/x", "uses", reference))
    (message,) = await messages(pipeline(Processor("acme", after=act)), component("x"))
    assert message.startswith("InputError: Processor acme threw an error while postprocessing")


async def test_a_plugin_reads_a_location_type_of_its_own() -> None:
    async def read(location: Location, optional: bool, work: Work) -> bool:
        if location.type != "acme":
            return False
        work.emit(component("found"), location)
        return True

    pipe = pipeline(Processor("acme", read=read))
    result = await processed(pipe, location_entity(Location("acme", "list")))
    assert [(child.ref, child.location_key) for child in result.children] == [("component:default/found", "acme:list")]
    assert (
        "No processor was able to handle reading of other:list"
        in (await messages(pipe, location_entity(Location("other", "list"))))[0]
    )


# --- caches ----------------------------------------------------------------------------------------------------------


def counting(entity: Entity, work: Work) -> None:
    work.cache["runs"] = work.cache.get("runs", 0) + 1
    entity["metadata"]["title"] = f"run {work.cache['runs']}"


async def test_a_processor_remembers_for_each_entity_and_loses_nothing_by_a_failure() -> None:
    pipe = pipeline(Processor("acme", doing(counting)))
    first = await processed(pipe, component("x"))
    assert first.memory.caches == {"acme": {"runs": 1}}
    second = await processed(pipe, component("x"), first.memory)
    assert second.entity["metadata"]["title"] == "run 2"
    failed = await processed(pipe, component("x", spec={"owner": ""}), second.memory)
    assert failed.errors
    assert failed.memory.caches == {"acme": {"runs": 2}}


@pytest.mark.parametrize(("kept", "complaint"), [(object(), "not JSON"), ("x" * 200_000, "200010 bytes")])
async def test_a_cache_that_cannot_be_kept_is_an_error(kept: object, complaint: str) -> None:
    act = doing(lambda entity, work: work.cache.update(key=kept))
    (message,) = await messages(pipeline(Processor("acme", act)), component("x"))
    assert complaint in message


# --- kinds by JSON Schema --------------------------------------------------------------------------------------------

ROBOT = EntityKind(
    "Robot",
    ["acme.example/v1"],
    {
        "type": "object",
        "required": ["spec"],
        "properties": {
            "spec": {
                "type": "object",
                "required": ["legs", "owner"],
                "properties": {
                    "legs": {"type": "integer", "minimum": 0},
                    "owner": {"type": "string", "minLength": 1},
                    "friends": {"type": "array", "items": {"type": "string"}},
                    "mood": {"enum": ["good", "bad"]},
                },
                "additionalProperties": False,
            }
        },
    },
    [
        RelationField("spec.owner", "ownedBy", "ownerOf", "Group"),
        RelationField("spec.friends", "likes", kind="Robot"),
    ],
)


def robot(**spec: Any) -> Entity:
    return {**component("r"), "apiVersion": "acme.example/v1", "kind": "Robot", "spec": spec}


async def test_a_kind_of_a_plugin_is_served_with_its_relations() -> None:
    result = await processed(pipeline(ROBOT), robot(legs=2, owner="crew", friends=["z", "component:a/b"]))
    assert result.errors == ()
    assert result.entity["spec"]["friends"] == ["component:a/b", "z"]  # no order, as upstream
    assert set(result.relations) == {
        ("robot:default/r", "ownedBy", "group:default/crew"),
        ("group:default/crew", "ownerOf", "robot:default/r"),
        ("robot:default/r", "likes", "robot:default/z"),
        ("robot:default/r", "likes", "component:a/b"),
    }


@pytest.mark.parametrize(
    ("spec", "problems"),
    [
        ({"owner": "x"}, "/spec must have required property 'legs' - missingProperty: legs"),
        (
            {"legs": "two", "owner": ""},
            "/spec/legs must be integer - type: integer; /spec/owner must NOT have fewer than 1 characters - limit: 1",
        ),
        ({"legs": -1, "owner": "x"}, "/spec/legs must be >= 0 - comparison: >=, limit: 0"),
        (
            {"legs": 1, "owner": "x", "arms": 2},
            "/spec must NOT have additional properties - additionalProperty: arms",
        ),
        (
            {"legs": 1, "owner": "x", "mood": "so"},
            "/spec/mood must be equal to one of the allowed values - allowedValues: good,bad",
        ),
        ({"legs": 1, "owner": "x", "friends": [1]}, "/spec/friends/0 must be string - type: string"),
    ],
)
async def test_what_the_schema_refuses_is_told_in_upstreams_words(spec: dict[str, Any], problems: str) -> None:
    assert await messages(pipeline(ROBOT), robot(**spec)) == [
        (
            "InputError: Processor ModelProcessor threw an error while validating the entity robot:default/r; "
            f"caused by TypeError: Validation of Robot entity failed: {problems}"
        )
    ]


async def test_another_version_of_the_kind_is_not_known() -> None:
    (message,) = await messages(pipeline(ROBOT), {**robot(legs=1, owner="x"), "apiVersion": "acme.example/v2"})
    assert message.startswith("InputError: No processor recognized the entity robot:default/r as valid")


async def test_a_kind_without_a_spec_is_welcome_if_its_schema_says_so() -> None:
    kind = EntityKind("Thing", ["acme.example/v1"], {})
    thing = {key: value for key, value in component("t").items() if key != "spec"}
    assert (await processed(pipeline(kind), {**thing, "apiVersion": "acme.example/v1", "kind": "Thing"})).errors == ()


def test_a_schema_that_is_none_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="the kind Robot: its schema is not valid"):
        pipeline(EntityKind("Robot", ["acme.example/v1"], {"type": "no such type"}))


@pytest.mark.parametrize("where", [{"pattern": "(x"}, {"patternProperties": {"(x": {}}}])
def test_a_pattern_that_can_never_match_anything_stops_the_start(where: dict[str, Any]) -> None:
    schema = {"properties": {"spec": {"anyOf": [where]}}}
    with pytest.raises(ConfigError, match=r"the kind Robot: its schema is not valid: '\(x' is not a 'regex'"):
        pipeline(EntityKind("Robot", ["acme.example/v1"], schema))


async def test_a_pattern_that_takes_for_ever_costs_its_entity_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custom_kinds, "LONGEST_CHECK", 0.05)
    schema = {"properties": {"spec": {"properties": {"text": {"pattern": "^(a+)+$"}}}}}
    pipe = pipeline(EntityKind("Robot", ["acme.example/v1"], schema))
    (message,) = await messages(pipe, robot(text="a" * 60 + "b"))
    assert message.endswith("TypeError: Validation of Robot entity failed: it took longer than 0.05 s")
    assert await messages(pipe, robot(text="aaa")) == []


async def test_nothing_is_fetched_for_a_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib.request.urlopen", lambda *args, **kwargs: pytest.fail("fetched"))
    kind = EntityKind("Robot", ["acme.example/v1"], {"$ref": "https://acme.example/robot.json"})
    (message,) = await messages(pipeline(kind), robot())
    assert "the schema refers to https://acme.example/robot.json, which it does not hold" in message


async def test_every_draft_of_json_schema_is_known() -> None:
    draft = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "properties": {"spec": {"dependentRequired": {"a": ["b"]}}},
    }
    (message,) = await messages(pipeline(EntityKind("Robot", ["acme.example/v1"], draft)), robot(a=1))
    assert "/spec" in message
    assert "dependentRequired" in message


# --- lanes -----------------------------------------------------------------------------------------------------------


def test_what_may_wait_for_others_is_told_from_what_does_not() -> None:
    plain, placed = b'{"kind":"Component"}', b'{"spec":{"definition":{"$text":"./x"}}}'
    pipe = pipeline(Processor("acme", titled("t"), kinds=["Group"]))
    assert pipe.lane("component:default/x", plain) == AT_ONCE
    assert pipe.lane("component:default/x", placed) == FOREIGN
    assert pipe.lane("location:default/x", plain) == READS
    assert pipe.lane("group:default/x", plain) == FOREIGN
    assert pipeline(Processor("acme", titled("t"))).lane("location:default/x", plain) == FOREIGN
    assert pipeline(ROBOT).lane("robot:default/x", plain) == AT_ONCE


async def test_a_location_that_passes_foreign_code_is_never_taken_for_unchanged() -> None:
    files = Files()
    files.content["https://git.test/x.yaml"] = "apiVersion: v1\nkind: Component\nmetadata: {name: a}\n"
    location = location_entity(Location("url", "https://git.test/x.yaml"))
    first = await processed(pipeline(files=files), location)
    assert isinstance(await pipeline(files=files).process(location, first.memory), Unchanged)
    pipe = pipeline(Processor("acme", titled("t")), files=files)
    assert isinstance(await pipe.process(location, first.memory), Processed)


# --- in the river ----------------------------------------------------------------------------------------------------

MakeCatalog = Callable[..., Awaitable[Catalog]]


@pytest.fixture
def make_catalog(migrated_database: MigratedDatabase) -> MakeCatalog:
    async def make(*processors: Processor, **config: Any) -> Catalog:
        database = await migrated_database([MIGRATIONS])
        return Catalog(database, extensions=Extensions(processors, **config))

    return make


async def put(catalog: Catalog, entities: Sequence[Entity], source: str = "test") -> None:
    await catalog.source(source).full([Deferred(entity) for entity in entities])


async def test_a_processor_that_hangs_holds_up_only_what_passes_it(make_catalog: MakeCatalog) -> None:
    gate = asyncio.Event()

    async def hang(entity: Entity, work: Work) -> Entity:
        await gate.wait()
        return entity

    catalog = await make_catalog(Processor("acme", hang, kinds=["Group"]))
    url = "https://git.test/shop.yaml"
    catalog.files.content[url] = (
        "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: shop}\nspec: {type: x, lifecycle: y, owner: z}\n"
    )
    groups = [{**component(f"g-{n}"), "kind": "Group", "spec": {"type": "team", "children": []}} for n in range(150)]
    await put(catalog, [*groups, component("quick")])
    await put(catalog, [location_entity(Location("url", url))], "locations")
    async with asyncio.timeout(60):
        while not {"component:default/quick", "component:default/shop"} <= set(await catalog.served()):
            await catalog.engine.process_due()
            await catalog.engine.stitch_due()
    assert not any(ref.startswith("group:") for ref in await catalog.served())
    gate.set()
    async with asyncio.timeout(60):
        while len(await catalog.served()) < 152:
            await catalog.engine.process_due()
            await catalog.engine.stitch_due()


async def test_an_entity_whose_processor_hangs_says_so_and_stays_what_it_was(make_catalog: MakeCatalog) -> None:
    hangs = False

    async def sometimes(entity: Entity, work: Work) -> Entity:
        if hangs:
            await asyncio.Event().wait()
        return entity

    options = {"acme": ProcessorOptions(timeout=timedelta(milliseconds=500))}  # so that it ends in time at first
    catalog = await make_catalog(Processor("acme", sometimes), options=options)
    await put(catalog, [component("x", title="good")])
    await catalog.settle()
    hangs = True
    await put(catalog, [component("x", title="better")])
    async with asyncio.timeout(60):
        while "status" not in (served := (await catalog.served())["component:default/x"]):
            await catalog.engine.process_due()
            await catalog.engine.stitch_due()
    assert served["metadata"]["title"] == "good"
    assert "Processor acme threw an error while preprocessing" in served["status"]["items"][0]["message"]


async def test_a_cache_outlives_a_change_of_the_entity_and_five_failures(make_catalog: MakeCatalog) -> None:
    catalog = await make_catalog(Processor("acme", doing(counting)))

    async def title_of(entity: Entity) -> str:
        await put(catalog, [entity])
        await catalog.settle()
        return str((await catalog.served())["component:default/x"]["metadata"]["title"])

    assert await title_of(component("x")) == "run 1"
    assert await title_of(component("x", description="other")) == "run 2"
    assert await title_of(component("x", spec={"owner": ""})) == "run 2"
    assert await title_of(component("x")) == "run 3"
    for number in range(5):
        await title_of(component("x", description=str(number), spec={"owner": ""}))
    assert await title_of(component("x")) == "run 1"


async def test_entities_from_before_the_plugin_wait_in_its_lane(make_catalog: MakeCatalog) -> None:
    catalog = await make_catalog()
    await put(catalog, [component("x")])
    await catalog.settle()
    catalog.processor.extend(Extensions([Processor("acme", titled("t"), kinds=["Component"])]))
    await catalog.database.execute("update refresh_schedule set next_update_at = now()")
    await catalog.worker().process_due()
    assert await catalog.database.fetchval("select lane from refresh_schedule") == FOREIGN


async def test_no_exception_of_a_plugin_costs_the_rest_of_the_batch(make_catalog: MakeCatalog) -> None:
    async def raising(entity: Entity, work: Work) -> Entity:
        if entity["metadata"]["name"] == "bad":
            raise RuntimeError("z")
        return entity

    catalog = await make_catalog(Processor("acme", raising))
    await put(catalog, [component("bad"), *(component(f"c-{n}") for n in range(20))])
    await catalog.settle()
    assert len(await catalog.served()) == 20
