"""From a file to what is served: what a team that commits a catalog-info.yaml counts on."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import pytest

from greenroom.db import Database
from greenroom.events import Events
from greenroom.loops import Loops
from greenroom.plugin import Deferred, EntitySource, Loop
from greenroom_catalog.ingestion import engine as engine_module
from greenroom_catalog.ingestion.locations import Location, location_entity
from greenroom_catalog.ingestion.runner import ProviderRunner
from greenroom_catalog.stitching.tokens import pair, token
from greenroom_catalog.storage.results import Results
from greenroom_catalog.storage.runs import ProviderRuns
from greenroom_catalog.storage.store import MIGRATIONS
from tests.support.catalog import Catalog, component, yaml_component
from tests.support.postgres import MigratedDatabase
from tests.support.waiting import slowness

URL = "https://git.test/shop/catalog-info.yaml"


@pytest.fixture
async def catalog(migrated_database: MigratedDatabase) -> Catalog:
    return Catalog(await migrated_database([MIGRATIONS]))


async def test_a_committed_file_is_served_with_where_it_came_from(catalog: Catalog) -> None:
    catalog.files.content[URL] = yaml_component("shop")
    await catalog.register(URL)
    shop = (await catalog.served())["component:default/shop"]
    assert shop["metadata"]["annotations"] == {
        "backstage.io/managed-by-location": f"url:{URL}",
        "backstage.io/managed-by-origin-location": f"url:{URL}",
        "backstage.io/view-url": URL,
    }
    assert uuid.UUID(shop["metadata"]["uid"]).version == 4
    assert len(shop["metadata"]["etag"]) == 40


async def test_a_file_on_a_known_host_says_where_to_see_and_edit_it(catalog: Catalog) -> None:
    registered = "https://github.com/acme/shop/blob/main/catalog-info.yaml"
    url = registered.replace("blob", "tree")  # what upstream makes of any target on GitHub
    catalog.files.content[url] = yaml_component("shop")
    await catalog.register(registered)
    annotations = (await catalog.served())["component:default/shop"]["metadata"]["annotations"]
    assert annotations["backstage.io/managed-by-location"] == f"url:{url}"
    assert annotations["backstage.io/managed-by-origin-location"] == f"url:{registered}"
    assert annotations["backstage.io/view-url"] == url
    assert annotations["backstage.io/edit-url"] == "https://github.com/acme/shop/edit/main/catalog-info.yaml"
    assert annotations["backstage.io/source-location"] == "url:https://github.com/acme/shop/tree/main/"


async def test_relations_are_told_on_both_sides_though_one_file_says_them(catalog: Catalog) -> None:
    group = {**component("team-a"), "kind": "Group", "spec": {"type": "team", "children": []}}
    await catalog.source().full([Deferred(component("shop")), Deferred(group)])
    await catalog.settle()
    served = await catalog.served()
    assert served["component:default/shop"]["relations"] == [{"type": "ownedBy", "targetRef": "group:default/team-a"}]
    assert served["group:default/team-a"]["relations"] == [{"type": "ownerOf", "targetRef": "component:default/shop"}]


async def test_a_relation_goes_from_the_other_side_too_when_its_author_drops_it(catalog: Catalog) -> None:
    group = {**component("team-a"), "kind": "Group", "spec": {"type": "team", "children": []}}
    await catalog.source("teams").full([Deferred(group)])
    await catalog.source().full([Deferred(component("shop"))])
    await catalog.settle()
    await catalog.source().full([Deferred(component("shop", spec={"owner": "team-b"}))])
    await catalog.settle()
    assert (await catalog.served())["group:default/team-a"]["relations"] == []


async def test_a_broken_file_keeps_the_last_good_entity_and_tells_where_it_is_broken(catalog: Catalog) -> None:
    catalog.files.content[URL] = yaml_component("shop")
    await catalog.register(URL)
    await catalog.write(URL, "kind: Component\n  metadata: [\n")
    assert "component:default/shop" in await catalog.served()
    (message,) = await catalog.location_errors(URL)
    assert message.startswith(f"YAML error at url:{URL}, YAMLParseError: ")
    await catalog.write(URL, yaml_component("shop", owner="team-b"))
    assert await catalog.location_errors(URL) == []
    assert (await catalog.served())["component:default/shop"]["spec"]["owner"] == "team-b"


async def test_an_invalid_entity_stays_as_it_last_was_and_carries_its_error(catalog: Catalog) -> None:
    catalog.files.content[URL] = yaml_component("shop")
    await catalog.register(URL)
    await catalog.write(URL, yaml_component("shop").replace("  lifecycle: production\n", ""))
    shop = (await catalog.served())["component:default/shop"]
    assert shop["spec"]["lifecycle"] == "production"
    (item,) = shop["status"]["items"]
    assert item["type"] == "backstage.io/catalog-processing"
    assert item["level"] == "error"
    assert "must have required property 'lifecycle'" in item["message"]
    assert item["error"]["name"] == "InputError"


async def test_an_entity_that_was_never_valid_is_not_served(catalog: Catalog) -> None:
    catalog.files.content[URL] = yaml_component("shop").replace("  owner: team-a\n", "")
    await catalog.register(URL)
    assert await catalog.served() == {}


async def test_what_leaves_a_file_leaves_the_catalog(catalog: Catalog) -> None:
    catalog.files.content[URL] = yaml_component("shop") + "---\n" + yaml_component("till")
    await catalog.register(URL)
    assert set(await catalog.served()) == {"component:default/shop", "component:default/till"}
    await catalog.write(URL, yaml_component("till"))
    assert set(await catalog.served()) == {"component:default/till"}


async def test_with_the_keep_strategy_an_orphan_stays_and_is_marked_at_its_next_turn(
    migrated_database: MigratedDatabase,
) -> None:
    catalog = Catalog(await migrated_database([MIGRATIONS]), keep_orphans=True)
    both = yaml_component("shop") + "---\n" + yaml_component("till")
    catalog.files.content[URL] = both
    await catalog.register(URL)
    await catalog.write(URL, yaml_component("till"))
    assert await orphans(catalog) == set()
    await catalog.database.execute("update refresh_schedule set next_update_at = now()")
    await catalog.settle()
    assert await orphans(catalog) == {"component:default/shop"}
    await catalog.write(URL, both)
    assert await orphans(catalog) == set()


async def test_what_came_from_a_deleted_entity_that_is_back_is_no_orphan(migrated_database: MigratedDatabase) -> None:
    catalog = Catalog(await migrated_database([MIGRATIONS]), keep_orphans=True)
    catalog.files.content[URL] = yaml_component("shop")
    await catalog.register(URL)
    location = await catalog.database.fetchval("select entity_id from refresh_state where entity_ref like 'location:%'")
    assert await catalog.store.delete_by_uid(location)
    await catalog.database.execute("update refresh_schedule set next_update_at = now()")
    await catalog.settle()
    assert await orphans(catalog) == {"component:default/shop"}
    await catalog.register(URL)
    assert await orphans(catalog) == set()


async def orphans(catalog: Catalog) -> set[str]:
    """The refs that are served with the mark."""
    served = await catalog.served()
    return {ref for ref, entity in served.items() if "backstage.io/orphan" in entity["metadata"]["annotations"]}


async def test_an_unregistered_location_takes_only_its_own_with_it(catalog: Catalog) -> None:
    other = "https://git.test/till/catalog-info.yaml"
    catalog.files.content |= {URL: yaml_component("shop"), other: yaml_component("till")}
    await catalog.register(URL, other)
    await catalog.register(other)
    assert set(await catalog.served()) == {"component:default/till"}


async def test_an_entity_held_by_one_location_is_not_taken_by_another_until_it_is_let_go(catalog: Catalog) -> None:
    other = "https://git.test/other/catalog-info.yaml"
    catalog.files.content |= {URL: yaml_component("shop", owner="first")}
    await catalog.register(URL)
    catalog.files.content |= {other: yaml_component("shop", owner="second")}
    await catalog.register(URL, other)
    assert (await catalog.served())["component:default/shop"]["spec"]["owner"] == "first"
    await catalog.register(other)
    await catalog.source().refresh([f"url:{other}"])
    await catalog.settle()
    assert (await catalog.served())["component:default/shop"]["spec"]["owner"] == "second"


async def test_a_change_above_has_what_is_below_read_again(catalog: Catalog) -> None:
    below = "https://git.test/below/catalog-info.yaml"
    nested = location_yaml("inner", below) + "---\n"
    catalog.files.content |= {URL: nested, below: yaml_component("till")}
    await catalog.register(URL)
    catalog.files.content[below] = yaml_component("till", owner="team-b")
    await catalog.write(URL, nested)
    assert (await catalog.served())["component:default/till"]["spec"]["owner"] == "team-a"
    await catalog.write(URL, nested + yaml_component("shop"))
    assert (await catalog.served())["component:default/till"]["spec"]["owner"] == "team-b"


def location_yaml(name: str, target: str) -> str:
    """A Location as a team commits it."""
    return (
        "apiVersion: backstage.io/v1alpha1\nkind: Location\n"
        f"metadata: {{name: {name}}}\nspec: {{type: url, target: '{target}'}}\n"
    )


async def test_who_held_a_deleted_entity_has_it_again_and_not_who_claimed_it_in_vain(catalog: Catalog) -> None:
    urls = [f"https://git.test/{n}/catalog-info.yaml" for n in range(9)]
    catalog.files.content |= {urls[4]: yaml_component("shop", owner="holder")}
    await catalog.register(urls[4])
    catalog.files.content |= {url: yaml_component("shop", owner="rival") for url in urls if url != urls[4]}
    await catalog.register(*urls)
    uid = (await catalog.served())["component:default/shop"]["metadata"]["uid"]
    assert await catalog.store.delete_by_uid(uuid.UUID(uid))
    await catalog.settle()
    shop = (await catalog.served())["component:default/shop"]
    assert (shop["spec"]["owner"], shop["metadata"]["uid"] != uid) == ("holder", True)


async def test_a_kind_that_the_rules_do_not_allow_is_refused_by_name(catalog: Catalog) -> None:
    catalog.files.content[URL] = (
        "apiVersion: backstage.io/v1alpha1\nkind: User\nmetadata: {name: eve}\nspec: {memberOf: []}\n"
    )
    await catalog.register(URL)
    assert await catalog.served() == {}
    (message,) = await catalog.location_errors(URL)
    assert message == (
        f"Entity user:default/eve at url:{URL}, originated at url:{URL}, is not of an allowed kind for that location"
    )


async def test_a_missing_file_is_told_and_an_optional_one_is_not(catalog: Catalog) -> None:
    await catalog.register(URL)
    assert await catalog.location_errors(URL) == [f"Unable to read url, no matching files found for {URL}"]


async def test_an_unchanged_file_is_neither_parsed_nor_written(catalog: Catalog) -> None:
    catalog.files.content[URL] = yaml_component("shop")
    await catalog.register(URL)
    before = await _row_versions(catalog)
    read = catalog.files.reads_whole
    await catalog.source().refresh([f"url:{URL}"])
    await catalog.settle()
    assert catalog.files.reads_whole == read
    assert await _row_versions(catalog) == before


async def test_an_unchanged_full_mutation_writes_no_row(catalog: Catalog) -> None:
    entities = [Deferred(component(f"c-{n}"), "key") for n in range(20)]
    await catalog.source().full(entities)
    await catalog.settle()
    before = await _row_versions(catalog)
    done = await catalog.source().full(entities)
    assert (done.unchanged, done.added, done.changed, done.removed) == (20, 0, 0, 0)
    assert await _row_versions(catalog) == before


async def test_a_full_mutation_claims_what_it_frees_itself(catalog: Catalog) -> None:
    catalog.files.content[URL] = yaml_component("shop", owner="team-a")
    file = location_entity(Location("url", URL))
    await catalog.source().full([Deferred(file, "p")])
    await catalog.settle()
    assert (await catalog.served())["component:default/shop"]["spec"]["owner"] == "team-a"
    mutation = await catalog.source().full([Deferred(component("shop", spec={"owner": "team-b"}), "p")])
    await catalog.settle()
    assert (mutation.added, mutation.removed) == (1, 1)
    assert (await catalog.served())["component:default/shop"]["spec"]["owner"] == "team-b"
    assert await catalog.database.fetchval("select count(*) from conflicts") == 0


async def test_a_full_mutation_that_fails_half_way_changes_nothing(catalog: Catalog) -> None:
    await catalog.source().full([Deferred(component("shop"))])
    await catalog.settle()

    async def broken() -> AsyncIterator[Deferred]:
        for n in range(1500):
            yield Deferred(component(f"c-{n}"))
        raise ConnectionError("the source went away")

    with pytest.raises(ConnectionError):
        await catalog.source().full(broken())
    await catalog.settle()
    assert set(await catalog.served()) == {"component:default/shop"}


async def test_a_deleted_entity_comes_back_while_its_location_still_emits_it(catalog: Catalog) -> None:
    catalog.files.content[URL] = yaml_component("shop")
    await catalog.register(URL)
    first = (await catalog.served())["component:default/shop"]["metadata"]["uid"]
    assert await catalog.store.delete_by_uid(uuid.UUID(first))
    assert await catalog.served() == {}
    await catalog.settle()
    assert (await catalog.served())["component:default/shop"]["metadata"]["uid"] != first


async def test_several_workers_share_the_work_and_lose_none_of_it(catalog: Catalog) -> None:
    await catalog.source().full([Deferred(component(f"c-{n}"), "key") for n in range(700)])
    workers = [catalog.worker() for _ in range(3)]

    async def work(n: int) -> None:
        while any(await catalog.store.backlog()):
            await workers[n].process_due()
            await workers[n].stitch_due()

    await asyncio.gather(*(work(n) for n in range(3)))
    assert len(await catalog.served()) == 700


async def test_a_database_whose_connections_are_cut_again_and_again_loses_nothing(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom.loops.FIRST_REST", 0.01)
    monkeypatch.setattr(engine_module, "LEASE", timedelta(seconds=2))  # of claims whose answer was cut off
    await catalog.source().full([Deferred(component(f"c-{n}"), "key") for n in range(2000)])
    events = Events(Database(catalog.database.pool, direct=None))
    loops = Loops([Loop("process", catalog.engine.process_due), Loop("stitch", catalog.engine.stitch_due)], events)
    loops.start()
    cuts = 0
    try:
        async with asyncio.timeout(120):
            for _ in range(6):
                await asyncio.sleep(0.1)
                cuts += await catalog.database.fetchval(CUT)
            while await catalog.database.fetchval("select count(*) from final_entities") < 2000:
                await asyncio.sleep(0.05)
    finally:
        await loops.drain(5)
    await catalog.settle()
    assert (len(await catalog.served()), cuts > 0) == (2000, True)


CUT = """
select count(pg_terminate_backend(pid)) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid()
"""


async def test_what_changed_while_it_was_processed_is_processed_again(catalog: Catalog) -> None:
    await catalog.source().full([Deferred(component("shop"), "key")])
    (claimed,) = await catalog.store.results.claim(10, timedelta(minutes=1))
    await catalog.source().full([Deferred(component("shop", title="New"), "key")])
    await catalog.engine._save([await catalog.engine._result(claimed)])  # the slow worker ends now
    await catalog.settle()
    assert (await catalog.served())["component:default/shop"]["metadata"]["title"] == "New"


async def test_keys_that_differ_only_in_case_stop_that_entity_and_no_other(catalog: Catalog) -> None:
    clash = component("clash", labels={"tier": "1", "Tier": "2"})
    await catalog.source().full([Deferred(clash), Deferred(component("fine"))])
    await catalog.settle()
    assert set(await catalog.served()) == {"component:default/fine"}


async def test_an_etag_stays_while_nothing_that_is_served_changes(catalog: Catalog) -> None:
    catalog.files.content[URL] = yaml_component("shop")
    await catalog.register(URL)
    before = (await catalog.served())["component:default/shop"]["metadata"]["etag"]
    await catalog.write(URL, "# a comment\n" + yaml_component("shop"))
    assert (await catalog.served())["component:default/shop"]["metadata"]["etag"] == before
    await catalog.write(URL, yaml_component("shop", owner="team-b"))
    assert (await catalog.served())["component:default/shop"]["metadata"]["etag"] != before


async def test_text_that_postgres_cannot_hold_does_not_stop_the_batch(catalog: Catalog) -> None:
    odd = component("odd", title="a\0b", annotations={"note": "c\0D"})
    await catalog.source().full([Deferred(odd), Deferred(component("fine"))])
    await catalog.settle()
    served = await catalog.served()
    assert served["component:default/odd"]["metadata"]["title"] == "a\0b"
    assert "component:default/fine" in served


async def _row_versions(catalog: Catalog) -> list[tuple[object, ...]]:
    """Which transaction wrote each row of every table but the schedule, which is how often a thing is looked at."""
    found: list[tuple[object, ...]] = []
    for table in ("refresh_state", "refresh_state_references", "refresh_keys", "relations", "final_entities", "search"):
        rows = await catalog.database.fetch(f"select ctid::text, xmin::text from {table} order by 1")  # noqa: S608
        found += [(table, *row) for row in rows]
    return found


async def test_one_entity_that_cannot_be_stored_does_not_cost_the_others_their_turn(catalog: Catalog) -> None:
    too_long = component("endless", spec={"dependsOn": [f"component:default/{random_text(6000)}"]})
    with_nul = component("odd", spec={"owner": "a\0b"})
    await catalog.source().full([Deferred(too_long), Deferred(component("fine")), Deferred(with_nul)])
    await catalog.settle()
    assert set(await catalog.served()) == {"component:default/fine"}
    rows = await catalog.database.fetch("select errors from refresh_state where errors is not null order by id")
    messages = [error["message"] for row in rows for error in msgspec.json.decode(row["errors"])]
    assert any("too long to be stored" in message for message in messages)
    assert any("NUL" in message for message in messages)


async def test_long_words_of_any_alphabet_are_served_and_found(catalog: Catalog) -> None:
    word = "Щ" * 190
    await catalog.source().full([Deferred(component("long", spec={"type": word, "lifecycle": word, "owner": "x"}))])
    await catalog.settle()
    assert set(await catalog.served()) == {"component:default/long"}
    tokens = await catalog.database.fetchval("select tok from search")
    assert token(pair("spec.type", word.lower())) in tokens


async def test_hanging_reads_do_not_keep_other_entities_from_being_processed(catalog: Catalog) -> None:
    urls = [f"https://git.test/{n}/catalog-info.yaml" for n in range(150)]
    catalog.files.hang = asyncio.Event()
    locations = [Deferred(location_entity(Location("url", url)), f"url:{url}") for url in urls]
    await catalog.source("slow").full(locations)
    await catalog.source("quick").full([Deferred(component("shop"))])
    for _ in range(4):
        await catalog.engine.process_due()
    await catalog.engine.stitch_due()
    assert set(await catalog.served()) == {"component:default/shop"}
    catalog.files.hang.set()
    await catalog.settle()


async def shop_behind_a_read_that_hangs(catalog: Catalog) -> asyncio.Event:
    """Until the event."""
    catalog.files.content[URL] = yaml_component("shop")
    catalog.files.hang = go_on = asyncio.Event()
    await catalog.source().full([Deferred(location_entity(Location("url", URL)), f"url:{URL}")])
    return go_on


async def test_reads_that_are_under_way_at_a_stop_are_the_next_workers_at_once(catalog: Catalog) -> None:
    await shop_behind_a_read_that_hangs(catalog)
    await catalog.engine.process_due()
    assert (await catalog.store.backlog())[0] == 0
    await catalog.engine.close()
    assert [task for task in asyncio.all_tasks() if "Engine._result" in repr(task)] == []
    catalog.files.hang = None
    catalog.engine = catalog.worker()
    await catalog.settle()
    assert set(await catalog.served()) == {"component:default/shop"}


async def test_a_slow_read_stays_its_workers_for_as_long_as_it_takes_and_no_longer_than_it_lives(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "PROLONG_AFTER", 0.0)
    monkeypatch.setattr(engine_module, "STRAGGLERS", 0.01)
    go_on = await shop_behind_a_read_that_hangs(catalog)
    leases = []
    for _ in range(3):
        await catalog.engine.process_due()
        leases.append(await catalog.database.fetchval("select next_update_at from refresh_schedule"))
    assert leases == sorted(set(leases))
    now = await catalog.database.fetchval("select now()")
    assert now < leases[-1] <= now + engine_module.LEASE
    go_on.set()
    await asyncio.sleep(0)
    await catalog.engine.process_due()
    await catalog.settle()
    assert set(await catalog.served()) == {"component:default/shop"}


async def test_a_database_that_is_away_for_a_moment_costs_no_read(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "PROLONG_AFTER", 0.0)
    monkeypatch.setattr(engine_module, "STRAGGLERS", 0.01)
    go_on = await shop_behind_a_read_that_hangs(catalog)
    with monkeypatch.context() as patch:
        patch.setattr(Results, "prolong", unreachable)
        with pytest.raises(ConnectionError):
            await catalog.engine.process_due()
    go_on.set()
    await asyncio.sleep(0)
    await catalog.engine.process_due()
    await catalog.settle()
    assert (set(await catalog.served()), catalog.files.reads_whole) == ({"component:default/shop"}, 1)


async def unreachable(*_: object) -> None:
    raise ConnectionError("the database is away")


async def test_a_worker_that_overslept_its_lease_does_not_overwrite_what_another_stored(catalog: Catalog) -> None:
    await catalog.source().full([Deferred(component("shop"), "key")])
    (slow,) = await catalog.store.results.claim(10, timedelta(0))
    result = await catalog.engine._result(slow)
    await catalog.settle()  # another worker, after the lease
    before = await _row_versions(catalog)
    await catalog.engine._save([result])
    assert await _row_versions(catalog) == before


async def test_a_provider_that_fails_at_the_start_is_run_again_soon(catalog: Catalog) -> None:
    class Flaky:
        name, every, runs = "flaky", None, 0

        async def run(self, source: EntitySource) -> None:
            self.runs += 1
            if self.runs == 1:
                raise ConnectionError("not yet")

    provider, runs = Flaky(), ProviderRuns(catalog.database)
    runner = ProviderRunner(runs, catalog.store, lambda: [provider], catalog.log, evict=True)
    await runner.run_due()
    (run,) = await runs.runs("flaky")
    assert run.error == "ConnectionError: not yet"
    assert await runs.seconds_until_next(["flaky"]) <= 60
    await runs.trigger("flaky", None)
    await runner.run_due()
    assert (provider.runs, (await runs.runs("flaky"))[0].error) == (2, None)


def random_text(length: int) -> str:
    """Text that does not compress, as Postgres would before it gives up."""
    return "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length))


async def test_of_two_of_one_name_that_come_together_the_last_counts_also_after_one_that_is_held(
    catalog: Catalog,
) -> None:
    first, second = component("shop"), component("shop", spec={"owner": "team-b"})
    source = catalog.source()
    await source.full([Deferred(first)])
    done = await source.full([Deferred(first), Deferred(second)])
    assert (done.added, done.changed, done.removed, done.unchanged) == (0, 1, 0, 0)
    done = await source.full([Deferred(first), Deferred(second), Deferred(second)])
    assert (done.added, done.changed, done.removed, done.unchanged) == (0, 0, 0, 1)
    await catalog.settle()
    assert (await catalog.served())["component:default/shop"]["spec"]["owner"] == "team-b"


async def test_what_is_held_in_another_spelling_of_the_same_json_is_unchanged(catalog: Catalog) -> None:
    source = catalog.source()
    await source.full([Deferred(component("shop", spec={"size": 1, "big": 10**20}))])
    done = await source.full([Deferred(component("shop", spec={"size": 1.0, "big": 1e20}))])
    assert (done.changed, done.unchanged) == (0, 1)


async def test_a_source_that_fails_while_what_it_brought_is_written_changes_nothing(catalog: Catalog) -> None:
    async def failing() -> AsyncIterator[Deferred]:
        for number in range(1200):
            yield Deferred(component(f"c{number}"))
        raise RuntimeError("the source is gone")

    with pytest.raises(RuntimeError, match="the source is gone"):
        await catalog.source().full(failing())
    await catalog.settle()
    assert await catalog.served() == {}
    assert (await catalog.source().full([Deferred(component("shop"))])).added == 1


async def _bulk(catalog: Catalog, number: int) -> None:
    await catalog.source("bulk").full([Deferred(component(f"bulk-{at}")) for at in range(number)])


async def _steps_until(catalog: Catalog, refs: set[str], most: int) -> int:
    """Steps of both loops, as many as a busy worker does, until these are served as they are to be."""
    for step in range(most):
        if refs <= (await catalog.served()).keys():
            return step
        await catalog.engine.process_due()
        await catalog.engine.stitch_due()
    raise AssertionError(f"not served after {most} steps")


async def test_a_registered_file_overtakes_a_bulk_load(catalog: Catalog) -> None:
    await _bulk(catalog, 1500)
    await catalog.engine.process_due()  # busy with it
    catalog.files.content[URL] = yaml_component("shop")
    await catalog.source().delta(added=[Deferred(location_entity(Location("url", URL)), f"url:{URL}")])
    assert await _steps_until(catalog, {"component:default/shop"}, 4) >= 1
    assert len(await catalog.served()) < 500, "the bulk load has not been served before it"
    await catalog.settle()
    assert len(await catalog.served()) == 1501
    assert await catalog.database.fetchval("select count(*) from urgent") == 0


async def test_a_refreshed_file_overtakes_a_bulk_load(catalog: Catalog) -> None:
    catalog.files.content[URL] = yaml_component("shop")
    await catalog.register(URL)
    await _bulk(catalog, 1500)
    await catalog.engine.process_due()
    catalog.files.content[URL] = yaml_component("shop") + "---\n" + yaml_component("till")
    await catalog.source().refresh([f"url:{URL}"])
    assert await _steps_until(catalog, {"component:default/till"}, 4) >= 1
    assert len(await catalog.served()) < 500
    await catalog.settle()
    assert await catalog.database.fetchval("select count(*) from urgent") == 0


async def test_one_change_by_a_provider_overtakes_its_own_bulk_load(catalog: Catalog) -> None:
    await _bulk(catalog, 1500)
    await catalog.engine.process_due()
    await catalog.source("small").full([Deferred(component("shop"))])
    assert await _steps_until(catalog, {"component:default/shop"}, 3) >= 1
    assert len(await catalog.served()) < 500


async def test_what_is_refreshed_and_has_not_changed_is_urgent_no_more(catalog: Catalog) -> None:
    catalog.files.content[URL] = yaml_component("shop")
    await catalog.register(URL)
    await catalog.source().refresh([f"url:{URL}"])
    assert await catalog.database.fetchval("select count(*) from urgent") > 0
    await catalog.engine.process_due()
    assert await catalog.database.fetchval("select count(*) from urgent") == 0


async def test_a_large_group_is_not_put_together_anew_for_each_of_its_members(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "MANY", 5)
    monkeypatch.setattr(engine_module, "LARGE_REST", 10**9)

    def user(number: int) -> Deferred:
        return Deferred({**component(f"user-{number}"), "kind": "User", "spec": {"memberOf": ["all"]}})

    async def step() -> int:
        await catalog.engine.process_due()
        await catalog.engine.stitch_due()  # what is urgent
        await catalog.engine.stitch_due()  # and the others
        return len((await catalog.served())["group:default/all"]["relations"])

    group = {**component("all"), "kind": "Group", "spec": {"type": "team", "children": []}}
    source = catalog.source()
    await source.full([Deferred(group), *map(user, range(10))])
    assert await step() == 10
    await source.delta(added=[user(10)])
    assert await step() == 11, "the first change after a while goes at once"
    await source.delta(added=[user(11)])
    assert await step() == 11
    assert (await catalog.served()).keys() >= {"user:default/user-10", "user:default/user-11"}, (
        "others do not wait for it"
    )
    group["spec"]["type"] = "crowd"
    await source.delta(added=[Deferred(group), user(12)])
    assert await step() == 13, "somebody waits for it"
    await source.delta(added=[user(13)])
    assert await step() == 13
    monkeypatch.setattr(engine_module, "monotonic", lambda: float("inf"))  # much later
    assert await step() == 14


async def test_members_of_a_group_are_as_many_as_may_be(catalog: Catalog) -> None:
    members = [f"user-{number}" for number in range(33_000)]  # more than a small number holds
    group = {**component("all"), "kind": "Group", "spec": {"type": "team", "children": [], "members": members}}
    await catalog.source().full([Deferred(group)])
    await catalog.settle()
    assert len((await catalog.served())["group:default/all"]["relations"]) == 33_000
    group["spec"]["members"] = members[1:]
    await catalog.source().full([Deferred(group)])
    async with asyncio.timeout(60 * slowness()):  # one or two; compared each with each, minutes
        await catalog.engine.process_due()
        await catalog.worker().stitch_due()
    assert len((await catalog.served())["group:default/all"]["relations"]) == 32_999


async def test_a_bulk_load_is_not_urgent(catalog: Catalog) -> None:
    await _bulk(catalog, 150)
    assert await catalog.database.fetchval("select count(*) from urgent") == 0
