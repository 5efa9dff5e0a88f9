"""Where an entity is on its way, who brings it, who may see it, and whether it is there at all."""

from __future__ import annotations

import asyncio
import random
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from greenroom.db import Database
from greenroom.entity import Entity
from greenroom.errors import InputError
from greenroom.plugin import Processor, Work
from greenroom_catalog.ingestion.locations import Location, location_entity
from greenroom_catalog.ingestion.steps import Extensions
from greenroom_catalog.query.explain import FAILURES, Explanation, Sight
from greenroom_catalog.settings import ProcessorOptions
from tests.catalog.explain.conftest import SHOP, TILL, MakeWorld, Provider, World, explains, finding
from tests.support.catalog import component, yaml_component

REF = "component:default/shop"
GITHUB = "https://github.com/acme/shop/tree/main/catalog-info.yaml"


async def test_an_entity_that_is_well_is_told_with_its_whole_way(world: World) -> None:
    group = {**component("team-a"), "kind": "Group", "spec": {"type": "team", "children": []}}
    await world.catalog.source("teams").full([_deferred(group)])
    world.files[SHOP] = yaml_component("shop")
    await world.register(SHOP)
    told = await world.ask("Component:Shop")
    assert (told.ref, told.state, told.verdict, told.problem) == (REF, "served", "served", False)
    assert told.summary == f"{REF} is served, and up to date."
    assert [step.stage for step in told.chain] == [
        "provider", "location", "read", "parse", "rule", "process", "stitch", "serve",
    ]  # fmt: skip
    assert all(step.ok for step in told.chain)
    assert told.chain[5].at == f"{SHOP}:1:1"
    assert told.next_refresh is not None
    assert told.findings == []


def _deferred(entity: Any) -> Any:
    from greenroom.plugin import Deferred

    return Deferred(entity)


# --- processing ---------------------------------------------------------------------------------------------------


@explains("pending")
async def test_an_entity_that_nobody_has_processed_yet(world: World) -> Explanation:
    await world.catalog.source().full([_deferred(component("shop"))])
    told = await world.ask(REF)
    assert told.state == "pending"
    return told


@explains("worker-behind")
async def test_an_entity_that_has_been_due_for_long(world: World) -> Explanation:
    await world.catalog.source().full([_deferred(component("shop"))])
    await world.database.execute("update refresh_schedule set next_update_at = now() - interval '10 minutes'")
    told = await world.ask(REF)
    assert "it has been due for 10 min: no worker runs" in told.summary
    return told


@explains("database-read-only")
async def test_a_database_that_takes_no_writes(world: World) -> Explanation:
    await world.catalog.source().full([_deferred(component("shop"))])
    await world.catalog.engine.process_due()
    standby: Any = Standby(world.database)
    world.database = standby
    assert (await world.ask("component:default/till")).verdict == "database-read-only"
    return await world.ask(REF)


class Standby:
    """A database that takes no writes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fetch(self, query: str, *args: object) -> Any:
        async with self._database.transaction(readonly=True) as connection:
            return await connection.fetch(query, *args)

    async def fetchrow(self, query: str, *args: object) -> Any:
        return next(iter(await self.fetch(query, *args)), None)


@explains("location-pending")
async def test_a_location_that_nobody_has_read_yet(world: World) -> Explanation:
    world.files[SHOP] = yaml_component("shop")
    await world.found(SHOP)
    return await world.ask(REF)


@explains("location-behind")
async def test_a_location_that_waits_in_vain_tells_that_nobody_works(world: World) -> Explanation:
    await world.found(SHOP)
    await world.database.execute("update refresh_schedule set next_update_at = now() - interval '10 minutes'")
    told = await world.ask(REF)
    assert "waiting to be read for 10 min" in told.summary
    return told


@explains("refresh-disabled")
async def test_a_change_that_nobody_will_read_by_itself(world: World) -> Explanation:
    world.files[SHOP] = yaml_component("shop")
    await world.found(SHOP)
    await world.catalog.settle()  # the engine of the tests has `processingInterval: false`
    world.files[SHOP] = yaml_component("shop", owner="team-b")
    told = await world.ask(REF)
    assert told.next_refresh is None
    return told


async def test_without_a_change_that_is_only_worth_knowing(world: World) -> None:
    world.files[SHOP] = yaml_component("shop")
    await world.found(SHOP)
    await world.catalog.settle()
    told = await world.ask(REF)
    assert (told.verdict, finding(told, "refresh-disabled").severity) == ("served", "warning")


@explains("changed-at-source")
async def test_a_file_that_has_changed_since_it_was_read(world: World) -> Explanation:
    world.files[SHOP] = yaml_component("shop")
    await world.register(SHOP)
    world.files[SHOP] = yaml_component("shop", owner="team-b")
    told = await world.ask(REF)
    assert told.state == "stale"
    assert "read again in 1" in told.findings[0].hint
    return told


@explains("leaving")
async def test_an_entity_that_was_taken_out_of_its_file(world: World) -> Explanation:
    world.files[SHOP] = yaml_component("shop")
    await world.register(SHOP)
    world.files[SHOP] = yaml_component("till")
    return await world.ask(REF)


async def test_without_reading_only_the_tables_speak(world: World) -> None:
    world.files[SHOP] = yaml_component("shop")
    await world.register(SHOP)
    world.files[SHOP] = yaml_component("till")
    told = await world.ask(REF, read=False)
    assert told.verdict == "served"


@explains("orphaned")
async def test_an_orphan_that_the_config_keeps(make_world: MakeWorld) -> Explanation:
    world = await make_world(keep=True)
    world.files[SHOP] = yaml_component("shop") + "---\n" + yaml_component("till")
    await world.register(SHOP)
    await world.write(SHOP, yaml_component("till"))
    told = await world.ask(REF)
    assert told.state == "orphaned"
    return told


@explains("orphan-leaving")
async def test_an_orphan_that_is_about_to_be_swept(make_world: MakeWorld) -> Explanation:
    world = await make_world(keep=True)
    await world.emit(component("shop"))
    await world.database.execute("delete from refresh_state_references")
    world.keeps_orphans = False
    return await world.ask(REF)


@explains("processor-failed")
async def test_a_processor_that_fails(world: World) -> Explanation:
    async def fail(entity: Entity, work: Work) -> Entity:
        raise InputError("no such team")

    world.catalog.processor.extend(Extensions([Processor("acme", before=fail)]))
    await world.emit(component("shop"))
    told = await world.ask(REF)
    assert "no such team" in (told.findings[0].message or "")
    assert "the processor acme failed on it" in told.summary
    assert "`catalog.processorOptions.acme.disabled: true`" in told.findings[0].hint
    return told


@explains("processor-renamed")
async def test_a_processor_that_makes_another_entity_of_it(world: World) -> Explanation:
    async def rename(entity: Entity, work: Work) -> Entity:
        return {**entity, "metadata": {**entity["metadata"], "name": "till"}}

    world.catalog.processor.extend(Extensions([Processor("acme", before=rename)]))
    await world.emit(component("shop"))
    return await world.ask(REF)


@explains("processor-hung")
async def test_a_processor_that_hangs(world: World) -> Explanation:
    async def hang(entity: Entity, work: Work) -> Entity:
        await asyncio.Event().wait()
        return entity

    options = {"acme": ProcessorOptions(timeout=timedelta(milliseconds=20))}
    world.catalog.processor.extend(Extensions([Processor("acme", before=hang)], options=options))
    await world.emit(component("shop"))
    return await world.ask(REF)


@explains("server-fault")
async def test_a_fault_of_the_server(world: World, monkeypatch: pytest.MonkeyPatch) -> Explanation:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(world.catalog.processor, "process", fail)
    await world.emit(component("shop"))
    return await world.ask(REF)


@explains("processing-failed")
async def test_an_error_in_words_that_nobody_knows_is_told_as_it_is(world: World) -> Explanation:
    await _stored_error(world, "The moon is in the wrong house")
    told = await world.ask(REF)
    assert told.findings[0].message == "The moon is in the wrong house"
    return told


async def _stored_error(world: World, message: str) -> None:
    await world.emit(component("shop"))
    errors = msgspec.json.encode([{"name": "Error", "message": message}])
    await world.database.execute("update refresh_state set errors = $1 where entity_ref = $2", errors, REF)


async def test_a_secret_of_the_config_is_told_nowhere_and_breaks_nothing(world: World) -> None:
    await _stored_error(world, "nobody lets stale in without hunter2, or error")
    world.hide = lambda text: text.replace("hunter2", "***").replace("stale", "***").replace("error", "***")
    told = await world.ask(REF)
    assert (told.state, told.verdict) == ("stale", "processing-failed")
    assert told.findings[0].message == "nobody lets *** in without ***, or ***"
    assert "hunter2" not in str(told)


# --- stitching ----------------------------------------------------------------------------------------------------


@explains("waiting-for-stitch")
async def test_an_entity_that_waits_to_be_stitched(world: World) -> Explanation:
    await world.catalog.source().full([_deferred(component("shop"))])
    await world.catalog.engine.process_due()
    return await world.ask(REF)


@explains("stitcher-behind")
async def test_an_entity_that_has_waited_long_for_it(world: World) -> Explanation:
    await world.catalog.source().full([_deferred(component("shop"))])
    await world.catalog.engine.process_due()
    await world.database.execute("update stitch_queue set requested_at = now() - interval '10 minutes'")
    return await world.ask(REF)


@explains("keys-differ-in-case")
async def test_two_keys_that_differ_in_case(world: World) -> Explanation:
    await world.emit(component("shop", spec={"Owner": "a"}))
    told = await world.ask(REF)
    assert told.state == "failed"
    assert [(step.stage, step.ok) for step in told.chain][-3:] == [
        ("process", True),
        ("stitch", False),
        ("serve", None),
    ]
    return told


@explains("not-indexable")
async def test_text_that_the_database_cannot_index(world: World) -> Explanation:
    await world.database.execute("create index on search (tags)")  # an operator's own: ours hold whatever is kept
    rare = random.Random(1)
    await world.emit(component("shop", tags=[rare.randbytes(31).hex() for _ in range(100)]))
    told = await world.ask(REF)
    assert told.state == "failed"
    assert told.findings[0].since is not None
    return told


@explains("dangling-relation", warning=True)
async def test_an_owner_that_is_not_there_is_worth_knowing_and_no_more(world: World) -> Explanation:
    await world.emit(component("shop"))
    told = await world.ask(REF)
    assert told.verdict == "served"
    assert "group:default/team-a" in finding(told, "dangling-relation").summary
    return told


# --- providers ----------------------------------------------------------------------------------------------------


@explains("provider-failed")
async def test_a_provider_that_failed_may_be_why(world: World) -> Explanation:
    await world.run_providers(Provider("acme", error=InputError("no such organisation")))
    told = await world.ask(REF)
    assert told.findings[0].message == "no such organisation"
    return told


@explains("provider-failed")
async def test_what_it_brought_before_is_stale(world: World) -> Explanation:
    acme = Provider("acme", component("shop"))
    await world.run_providers(acme)
    acme.error = InputError("no such organisation")
    world.providers.clear()
    await world.runs.trigger("acme", None)
    await world.run_providers(acme)
    told = await world.ask(REF)
    assert told.state == "stale"
    return told


async def test_a_failure_is_not_forgotten_while_the_next_run_is_under_way(world: World) -> None:
    await world.run_providers(Provider("acme", error=InputError("no such organisation")))
    await world.database.execute(
        "insert into provider_runs (provider, cause, process) values ('acme', 'schedule', 'here:1')"
    )
    assert (await world.ask(REF)).verdict == "provider-failed"


@explains("provider-part-failed")
async def test_the_repository_of_an_entity_could_not_be_read(world: World) -> Explanation:
    world.files[GITHUB] = yaml_component("shop")
    await world.run_providers(Provider("acme", location_entity(Location("url", GITHUB))))
    await _fail_at(world, "git@github.com:acme/tills.git")
    assert (await world.ask(REF)).verdict == "served"
    await _fail_at(world, "git@github.com:acme/shop.git")
    told = await world.ask(REF)
    assert (told.state, told.findings[0].message) == ("stale", "permission denied")
    return told


async def _fail_at(world: World, what: str) -> None:
    """The last run of the provider `acme` could not read this."""
    failures = msgspec.json.encode([{"what": what, "error": "permission denied"}])
    sql = "update provider_runs set failed = 1, failures = $1, error = 'a repository could not be read'"
    await world.database.execute(sql, failures)


@explains("provider-paused")
async def test_a_provider_that_somebody_paused(world: World) -> Explanation:
    await world.run_providers(Provider("acme", component("shop")))
    await world.runs.pause("acme", "user:default/ops")
    return await world.ask(REF)


@explains("provider-never-run")
async def test_a_provider_that_has_not_run_yet(world: World) -> Explanation:
    await world.database.execute("insert into providers (name, next_run_at) values ('acme', now())")
    return await world.ask(REF)


@explains("provider-running")
async def test_a_provider_in_its_first_run(world: World) -> Explanation:
    await world.database.execute(
        "insert into providers (name, next_run_at, lease_until) values ('acme', now(), now() + interval '1 minute');"
        "insert into provider_runs (provider, cause, process) values ('acme', 'start', 'here:1')"
    )
    return await world.ask(REF)


@explains("provider-found-nothing")
async def test_a_provider_that_found_nothing(world: World) -> Explanation:
    await world.run_providers(Provider("acme"))
    return await world.ask(REF)


@explains("provider-item-failed")
async def test_an_item_that_a_provider_could_not_use(world: World) -> Explanation:
    await world.run_providers(Provider("acme", component("till")))
    failures = msgspec.json.encode([{"what": "acme/shop", "error": "no catalog file"}])
    await world.database.execute("update provider_runs set failed = 1, failures = $1", failures)
    told = await world.ask(REF)
    assert told.findings[0].message == "acme/shop: no catalog file"
    return told


@explains("provider-disabled")
async def test_a_provider_that_the_config_disables(world: World) -> Explanation:
    await world.run_providers(Provider("acme", component("shop")))
    world.disabled.append("acme")
    return await world.ask(REF)


@explains("provider-not-installed")
async def test_a_provider_that_is_no_longer_there(world: World) -> Explanation:
    await world.catalog.source("gone").full([_deferred(component("shop"))])
    await world.settle()
    return await world.ask(REF)


# --- locations ----------------------------------------------------------------------------------------------------


@explains("location-unregistered")
async def test_the_entity_of_a_location_that_was_unregistered(world: World) -> Explanation:
    return await world.ask(f"location:default/generated-{'0' * 40}")


@explains("location-moved", warning=True)
async def test_a_location_that_was_pointed_at_another_file(world: World) -> Explanation:
    world.files[SHOP] = yaml_component("shop")
    await world.register(SHOP)
    row: Any = await world.database.fetchrow("select entity_ref from refresh_state where entity_ref like 'location:%'")
    await world.database.execute(
        "insert into locations (type, target, entity_ref) values ('url', $1, $2)", TILL, row["entity_ref"]
    )
    return await world.ask(row["entity_ref"])


# --- names --------------------------------------------------------------------------------------------------------


@explains("other-kind")
async def test_the_name_of_something_else(world: World) -> Explanation:
    await world.emit(component("shop"))
    told = await world.ask("api:default/shop")
    assert told.alternatives == [REF]
    assert told.findings[0].commands == [f"greenroom catalog explain {REF}"]
    return told


@explains("other-namespace")
async def test_the_name_in_another_namespace(world: World) -> Explanation:
    await world.emit(component("shop", namespace="retail"))
    told = await world.ask(REF)
    assert "component:retail/shop" in told.summary
    return told


@explains("misspelt")
async def test_a_name_that_is_nearly_another(world: World) -> Explanation:
    await world.emit(component("payment-service"), component("unrelated"))
    told = await world.ask("component:paymnet-service")
    assert told.alternatives == ["component:default/payment-service"]
    return told


async def test_a_name_that_is_nearly_that_of_an_entity_that_fails(world: World) -> None:
    broken = {**component("payment-service"), "spec": {}}
    await world.emit(broken)
    told = await world.ask("component:paymnet-service")
    assert (told.verdict, told.alternatives) == ("misspelt", ["component:default/payment-service"])
    assert (await world.ask("api:payment-service")).verdict == "other-kind"
    plain = await world.ask("component:paymnet-service", sight=Sight(inside=False))
    assert (plain.verdict, plain.alternatives) == ("unknown", []), "it is nothing that everybody may know"


@explains("unknown")
async def test_what_nobody_has_ever_heard_of(world: World) -> Explanation:
    told = await world.ask(REF)
    assert told.state == "missing"
    return told


async def test_text_that_no_name_can_have_is_simply_unknown(world: World) -> None:
    for ref in (
        "component:default/a\0b",
        "component:default/\ud800",
        "component:default/%_'\"",
        "component:" + "x" * 5000,
    ):
        assert (await world.ask(ref)).verdict == "unknown"


# --- who may see what ---------------------------------------------------------------------------------------------


@explains("not-permitted")
async def test_an_operator_without_sight_of_the_entity_learns_that_it_is_there(world: World) -> Explanation:
    await world.emit(component("shop"))
    return await world.ask(REF, sight=Sight(entity=False))


async def test_who_may_see_nothing_learns_nothing(world: World) -> None:
    await world.emit(component("shop"))
    world.files[SHOP] = yaml_component("till").replace("  owner: team-a\n", "")
    await world.run_providers(Provider("acme", error=InputError("no such organisation")))
    blind = Sight(entity=False, inside=False)
    told = [await world.ask(ref, sight=blind) for ref in (REF, "component:default/nope")]
    assert [one.verdict for one in told] == ["unknown", "unknown"]
    assert str(msgspec.to_builtins(told[0])).replace("shop", "nope") == str(msgspec.to_builtins(told[1]))


async def test_who_may_only_read_entities_learns_nothing_of_what_is_not_served(world: World) -> None:
    world.files[SHOP] = yaml_component("shop").replace("  owner: team-a\n", "")
    await world.register(SHOP)
    reader = Sight(inside=False)
    assert (await world.ask(REF)).verdict == "spec-invalid"
    told = await world.ask(REF, sight=reader)
    assert (told.verdict, told.state) == ("unknown", "missing")
    assert SHOP not in str(told)


async def test_no_more_is_told_of_other_entities_than_may_be_read(world: World) -> None:
    await world.emit(component("secret-shop"), component("secret-shop", namespace="retail"))
    await world.settle()

    async def none(ref: str) -> bool:
        return False

    for ref in ("api:default/secret-shop", "component:default/secret-shops"):
        told = await world.ask(ref, sight=Sight(inside=False, reads=none))
        assert told.verdict == "unknown"
        assert "secret-shop" not in str(told).replace(ref, "")
        assert (await world.ask(ref, sight=Sight(inside=False))).verdict in ("other-kind", "misspelt")


async def test_nor_of_the_locations_above_and_of_what_relations_lead_to(world: World) -> None:
    world.files[SHOP] = yaml_component("shop")
    await world.register(SHOP)
    await world.write(SHOP, "kind: [\n")

    async def itself(ref: str) -> bool:
        return ref == REF

    told = await world.ask(REF, sight=Sight(inside=False, reads=itself))
    assert (told.verdict, told.findings) == ("served", [])
    assert "generated-" not in str(told)


async def test_who_may_see_nothing_is_not_told_what_the_config_disables(world: World) -> None:
    world.disabled.append("acme")
    assert (await world.ask(REF)).verdict == "provider-disabled"
    for entity in (True, False):
        assert (await world.ask(REF, sight=Sight(entity=entity, inside=False))).verdict == "unknown"


async def test_who_may_read_entities_is_told_the_errors_that_entities_show(world: World) -> None:
    world.files[SHOP] = yaml_component("shop")
    await world.register(SHOP)
    await world.write(SHOP, "kind: [\n")
    told = await world.ask(REF, sight=Sight(inside=False))
    assert (told.verdict, told.state) == ("yaml-broken", "stale")


def test_every_class_has_a_test_and_every_text_can_be_filled_in() -> None:
    source = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    tested = set(re.findall(r'@explains\("([\w-]+)"', source))
    assert tested == set(FAILURES)
    assert len(FAILURES) >= 25
    for failure in FAILURES.values():
        texts = " ".join([failure.summary, failure.hint, *failure.commands])
        assert set(re.findall(r"(?<!\{)\{(\w*)\}(?!\})", texts)) <= BLANKS


BLANKS = {
    *("ref", "kind", "parent", "target", "host", "file", "since", "next", "provider"),
    *("holder", "wanted", "near", "first", "local", "part", "good", "field", "processor", "waited", "elsewhere"),
}
