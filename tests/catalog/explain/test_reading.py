"""Why a location cannot be read: each class with the answer that a real host, or the disk, gives."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec

from greenroom_catalog.query.explain import Explanation
from greenroom_catalog.settings import LocationConfig
from tests.catalog.explain.conftest import SHOP, TILL, Host, MakeWorld, World, explains, finding
from tests.support.catalog import component, yaml_component

REF = "component:default/shop"


@explains("file-not-found")
async def test_a_file_that_is_gone_leaves_what_it_last_was_and_says_which_file(world: World, host: Host) -> Explanation:
    url = host.says("/shop.yaml", text=yaml_component("shop"))
    await world.register(url)
    host.says("/shop.yaml", 404)
    await world.catalog.source().refresh([f"url:{url}"])
    await world.settle()
    told = await world.ask(REF)
    assert told.state == "stale"
    assert told.findings[0].at == url
    assert [(step.stage, step.ok) for step in told.chain] == [
        ("provider", True),
        ("location", True),
        ("read", False),
        ("parse", None),
        ("rule", None),
        ("process", True),
        ("stitch", True),
        ("serve", True),
    ]
    return told


@explains("glob-without-hits")
async def test_a_pattern_that_matches_nothing(make_world: MakeWorld, tmp_path: Path) -> Explanation:
    world = await make_world(locations=[LocationConfig("file", f"{tmp_path}/*/shop.yaml")])
    await world.configured()
    return await world.ask(REF)


@explains("reading-not-allowed")
async def test_a_host_that_the_config_does_not_allow_is_named_with_the_key_to_add(
    world: World, host: Host
) -> Explanation:
    await world.register("http://elsewhere.test/shop.yaml")
    told = await world.ask(REF)
    assert "`- host: elsewhere.test` to `backend.reading.allow`" in told.findings[0].hint
    return told


@explains("address-not-allowed")
async def test_a_name_that_stands_for_this_machine(world: World, host: Host) -> Explanation:
    await world.register(f"http://git.inner.test:{host.server.port}/shop.yaml")
    return await world.ask(REF)


@explains("redirect-not-allowed")
async def test_a_redirect_to_a_host_that_is_not_allowed(world: World, host: Host) -> Explanation:
    await world.register(host.says("/shop.yaml", 302, Location="http://elsewhere.test/shop.yaml"))
    return await world.ask(REF)


@explains("too-many-redirects")
async def test_redirects_in_a_circle(world: World, host: Host) -> Explanation:
    await world.register(host.says("/shop.yaml", 302, Location="/shop.yaml"))
    return await world.ask(REF)


@explains("host-unauthorized")
async def test_a_host_that_wants_a_token(world: World, host: Host) -> Explanation:
    await world.register(host.says("/shop.yaml", 401))
    told = await world.ask(REF)
    assert "`integrations`" in told.findings[0].hint
    return told


@explains("host-forbidden")
async def test_a_host_that_does_not_let_us(world: World, host: Host) -> Explanation:
    await world.register(host.says("/shop.yaml", 403))
    return await world.ask(REF)


@explains("host-rate-limited")
async def test_a_host_that_has_had_enough(world: World, host: Host) -> Explanation:
    await world.register(host.says("/shop.yaml", 429))
    return await world.ask(REF)


@explains("host-failing")
async def test_a_host_with_an_error_of_its_own(world: World, host: Host) -> Explanation:
    await world.register(host.says("/shop.yaml", 502))
    return await world.ask(REF)


@explains("host-timeout")
async def test_a_host_that_does_not_answer_in_time(world: World, host: Host) -> Explanation:
    host.slow = True
    return await world.ask(REF, at=f"{host.base}/shop.yaml")


@explains("host-unreachable")
async def test_a_host_that_is_not_there(world: World, host: Host) -> Explanation:
    url = host.says("/shop.yaml", text=yaml_component("shop"))
    await host.server.close()
    await world.register(url)
    return await world.ask(REF)


@explains("invalid-url")
async def test_a_target_that_is_no_url(world: World, host: Host) -> Explanation:
    await world.register("shop/catalog-info.yaml")
    return await world.ask(REF)


@explains("file-too-large")
async def test_a_file_that_is_too_large(world: World, host: Host) -> Explanation:
    await world.register(host.says("/shop.yaml", text="#" * 3000))
    return await world.ask(REF)


@explains("glob-unsupported")
async def test_a_pattern_on_a_host_that_cannot_list_files(world: World, host: Host) -> Explanation:
    await world.register(f"{host.base}/*/shop.yaml")
    return await world.ask(REF)


@explains("file-unreadable")
async def test_a_folder_where_a_file_should_be(make_world: MakeWorld, tmp_path: Path) -> Explanation:
    (tmp_path / "shop.yaml").mkdir()
    world = await make_world(locations=[LocationConfig("file", str(tmp_path / "shop.yaml"))])
    await world.configured()
    return await world.ask(REF)


@explains("reading-failed")
async def test_what_else_goes_wrong_in_reading_is_told_as_it_is(world: World, host: Host) -> Explanation:
    await world.register(host.says("/shop.yaml", 418))
    return await world.ask(REF)


def _location(name: str, **spec: Any) -> str:
    return msgspec.json.encode(
        {"apiVersion": "backstage.io/v1alpha1", "kind": "Location", "metadata": {"name": name}, "spec": spec}
    ).decode()


@explains("location-type-not-allowed")
async def test_a_file_of_the_server_behind_a_url(world: World) -> Explanation:
    world.files[TILL] = _location("all", type="file", target="/etc/shop.yaml")
    await world.register(TILL)
    return await world.ask(REF)


@explains("location-type-unknown")
async def test_a_type_that_nobody_reads(make_world: MakeWorld) -> Explanation:
    world = await make_world(locations=[LocationConfig("gopher", "hole/shop.yaml")])
    await world.configured()
    return await world.ask(REF)


@explains("target-is-folder")
async def test_a_target_that_ends_with_a_slash(make_world: MakeWorld, tmp_path: Path) -> Explanation:
    world = await make_world()
    (tmp_path / "all.yaml").write_text(_location("all", target="./shop/"))
    world.config = world.config[0], [LocationConfig("file", str(tmp_path / "all.yaml"))]
    await world.configured()
    return await world.ask(REF)


@explains("target-escapes")
async def test_a_target_that_leads_out_of_its_repository(world: World) -> Explanation:
    url = "https://github.com/acme/shop/blob/main/%252e%252e/all.yaml"
    world.files[url] = world.files[url.replace("blob", "tree")] = _location("all", target="/../shop.yaml")
    await world.register(url)
    return await world.ask(REF)


@explains("location-optional-absent")
async def test_an_optional_location_that_points_at_nothing_is_no_error_of_its_own(world: World) -> Explanation:
    await world.register(SHOP, presence="optional")
    return await world.ask(REF)


async def test_the_first_of_several_reasons_is_the_one_that_names_the_entity(world: World, host: Host) -> None:
    """An unreadable location could hide anything; a file that holds the entity, refused, is the better answer."""
    broken = host.says("/other.yaml", 500)
    user = "apiVersion: backstage.io/v1alpha1\nkind: User\nmetadata: {name: eve}\nspec: {memberOf: []}\n"
    await world.register(broken, host.says("/eve.yaml", text=user))
    told = await world.ask("user:default/eve")
    assert told.verdict == "kind-not-allowed"
    assert "host-failing" in [one.verdict for one in told.findings]


async def test_credentials_in_an_address_are_never_told(world: World, host: Host) -> None:
    await world.register("http://joe:hunter2@127.0.0.1/shop.yaml?token=geheimnis")
    told = await world.ask(REF)
    assert told.verdict == "reading-not-allowed"
    text = msgspec.json.encode(told).decode()
    assert "hunter2" not in text
    assert "geheimnis" not in text
    assert "127.0.0.1" in finding(told, "reading-not-allowed").hint


async def test_what_only_may_be_the_reason_is_told_as_such(world: World, host: Host) -> None:
    await world.register(host.says("/other.yaml", 500))
    told = await world.ask(REF)
    assert told.summary.startswith(f"{REF} is not in the catalog, perhaps because 127.0.0.1:")
    assert told.findings[0].suspected
    await world.emit(component("shop"))
    await world.register(host.says("/other.yaml", 500), host.says("/more.yaml", 403))
    told = await world.ask("api:default/till")
    assert [one.severity for one in told.findings] == ["error", "warning"]


async def test_a_host_that_hangs_does_not_keep_the_asker_waiting_for_each_of_its_files(
    world: World, host: Host
) -> None:
    await world.found(*[f"{host.base}/{number}.yaml" for number in range(10)])
    host.slow = True
    began = perf_counter()
    assert (await world.ask(REF)).verdict == "location-pending"
    assert perf_counter() - began < 2
