"""What is wrong with a file, or with what stands in it."""

from __future__ import annotations

import random
from pathlib import Path

from greenroom_catalog.ingestion.locations import Location, location_ref
from greenroom_catalog.query.explain import Explanation
from greenroom_catalog.settings import LocationConfig
from tests.catalog.explain.conftest import SHOP, TILL, MakeWorld, World, explains, finding
from tests.support.catalog import component, yaml_component

REF = "component:default/shop"
ALL = "https://git.test/all.yaml"
USER = "apiVersion: backstage.io/v1alpha1\nkind: User\nmetadata: {name: eve}\nspec: {memberOf: []}\n"


@explains("yaml-broken")
async def test_broken_yaml_is_told_with_its_line_and_column(world: World) -> Explanation:
    world.files[SHOP] = yaml_component("shop")
    await world.register(SHOP)
    await world.write(SHOP, yaml_component("shop").replace("  name: shop", "  name: shop\n title: [Shop"))
    told = await world.ask(REF)
    assert told.state == "stale"
    first = told.findings[0]
    assert first.file == SHOP
    assert first.line is not None
    assert first.line in (4, 5, 6)
    assert first.at == f"{SHOP}:{first.line}:{first.column}"
    assert (first.message or "").startswith(f"YAML error at url:{SHOP}, YAMLParseError: ")
    assert told.summary == f"{REF} is served as it last was: the file is not valid YAML."
    return told


async def test_broken_yaml_that_hides_a_name_is_the_likely_reason(world: World) -> None:
    """Nobody can tell what a broken document is: but it speaks of the name, and others do not."""
    world.files |= {SHOP: yaml_component("shop").replace("  name", "\tname"), TILL: "kind: [\n"}
    await world.register(SHOP, TILL)
    told = await world.ask(REF)
    assert (told.verdict, told.findings[0].at, told.findings[0].suspected) == ("yaml-broken", f"{SHOP}:4:1", True)
    assert told.findings[0].hint == "indent with spaces: YAML allows no tabs there"
    assert [one.at for one in told.findings] == [f"{SHOP}:4:1"]


@explains("web-page")
async def test_a_page_to_log_in_at_in_place_of_the_file(world: World) -> Explanation:
    world.files[SHOP] = "<!DOCTYPE html>\n<html><body>Sign in</body></html>"
    await world.register(SHOP)
    told = await world.ask(REF)
    assert "set a `token` for git.test under `integrations`" in told.findings[0].hint
    return told


@explains("yaml-limit")
async def test_an_alias_that_grows_without_end(world: World) -> Explanation:
    anchors = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    anchors += "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcd", "bcde", strict=True)
    )
    world.files[SHOP] = yaml_component("shop") + "x:\n" + "".join(f"  {line}\n" for line in anchors.splitlines())
    await world.register(SHOP)
    return await world.ask(REF, at=SHOP)


@explains("not-an-object")
async def test_a_list_of_entities_in_place_of_documents(world: World) -> Explanation:
    world.files[SHOP] = "- kind: Component\n- kind: API\n"
    await world.register(SHOP)
    return await world.ask(REF, at=SHOP)


@explains("envelope-invalid")
async def test_a_document_without_a_name(world: World) -> Explanation:
    world.files[SHOP] = yaml_component("shop").replace("  name: shop\n", "  title: Shop\n")
    await world.register(SHOP)
    told = await world.ask(REF, at=SHOP)
    assert told.findings[0].line == 3
    return told


@explains("duplicate-in-file", warning=True)
async def test_an_entity_that_its_file_defines_twice(world: World) -> Explanation:
    world.files[SHOP] = yaml_component("shop", owner="first") + "---\n" + yaml_component("shop", owner="second")
    await world.register(SHOP)
    told = await world.ask(REF)
    assert finding(told, "duplicate-in-file").message == "it stands at the lines 1 and 10"
    return told


@explains("neighbour-refused")
async def test_a_sound_entity_suffers_for_another_document_of_its_file(world: World) -> Explanation:
    world.files[SHOP] = yaml_component("shop")
    await world.register(SHOP)
    await world.write(SHOP, yaml_component("shop") + "---\n" + USER)
    told = await world.ask(REF)
    assert told.findings[0].line == 11
    assert finding(told, "kind-not-allowed").severity == "warning"
    return told


@explains("neighbour-refused")
async def test_so_does_one_that_was_never_there(world: World) -> Explanation:
    world.files[SHOP] = yaml_component("shop") + "---\n" + USER
    await world.register(SHOP)
    return await world.ask(REF)


@explains("kind-not-allowed")
async def test_a_refused_kind_is_told_with_the_list_that_refuses_it(world: World) -> Explanation:
    world.files[SHOP] = USER
    await world.register(SHOP)
    told = await world.ask("user:default/eve")
    first = told.findings[0]
    assert (first.file, first.line) == (SHOP, 2)
    assert "`catalog.rules` (not set, so the default) allows Component, API, Location" in first.hint
    assert "add `User` to its `allow`" in first.hint
    assert [(step.stage, step.ok) for step in told.chain] == [
        ("location", True),
        ("read", True),
        ("parse", True),
        ("rule", False),
        ("serve", None),
    ]
    return told


async def test_a_misspelt_kind_is_not_something_to_allow(world: World) -> None:
    world.files[SHOP] = yaml_component("shop").replace("Component", "Componet")
    await world.register(SHOP)
    for ref in ("componet:default/shop", REF):
        told = await world.ask(ref)
        assert (told.verdict, told.findings[0].at) == ("kind-not-allowed", f"{SHOP}:2:7")
        assert told.findings[0].hint.startswith("do you mean `kind: Component`? If not: ")


@explains("neighbour-unreadable")
async def test_a_sound_file_suffers_for_another_target_of_its_location(world: World) -> Explanation:
    world.files |= {
        ALL: _location("./shop/catalog-info.yaml", "./till/catalog-info.yaml"),
        SHOP: yaml_component("shop"),
    }
    world.files[TILL] = yaml_component("till")
    await world.register(ALL)
    del world.files[TILL]
    await world.catalog.source().refresh([f"url:{TILL}"])
    await world.settle()
    told = await world.ask(REF)
    assert (told.state, told.findings[0].at) == ("stale", TILL)
    assert (await world.ask("component:default/till")).verdict == "file-not-found"
    return told


def _location(*targets: str) -> str:
    return (
        "apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata: {name: all}\nspec:\n"
        f"  targets: [{', '.join(targets)}]\n"
    )


@explains("kind-not-allowed")
async def test_the_rules_of_a_configured_location_are_named_by_their_place(
    make_world: MakeWorld, tmp_path: Path
) -> Explanation:
    (tmp_path / "eve.yaml").write_text(USER)
    place = LocationConfig("file", str(tmp_path / "eve.yaml"), rules=[{"allow": ["Group"]}])
    world = await make_world(rules=[{"allow": ["Component"]}], locations=[place])
    await world.configured()
    told = await world.ask("user:default/eve")
    assert "`catalog.rules` with `catalog.locations[0].rules` allows Component, Group" in told.findings[0].hint
    return told


@explains("conflict")
async def test_two_files_of_one_name_seen_from_the_loser(world: World) -> Explanation:
    world.files |= {SHOP: yaml_component("shop", owner="first")}
    await world.register(SHOP)
    world.files |= {TILL: yaml_component("shop", owner="second")}
    await world.register(SHOP, TILL)
    told = await world.ask(REF, at=TILL)
    assert told.state == "served"
    assert told.findings[0].at == f"{TILL}:1:1"
    assert f"url:{SHOP}" in told.summary
    return told


@explains("contested", warning=True)
async def test_two_files_of_one_name_seen_from_the_winner(world: World) -> Explanation:
    world.files |= {SHOP: yaml_component("shop", owner="first")}
    await world.register(SHOP)
    world.files |= {TILL: yaml_component("shop", owner="second")}
    await world.register(SHOP, TILL)
    told = await world.ask(REF)
    (claim,) = told.conflicts
    assert (claim.wanted_by, claim.held_by) == (f"url:{TILL}", f"url:{SHOP}")
    return told


@explains("fields-invalid")
async def test_a_malformed_tag_is_told_where_it_stands(world: World) -> Explanation:
    world.files[SHOP] = yaml_component("shop", extra="  tags: [fine, Not Fine]\n")
    await world.register(SHOP)
    told = await world.ask(REF)
    assert told.state == "failed"
    assert (told.findings[0].line, told.findings[0].column) == (5, 16)
    assert [(step.stage, step.ok) for step in told.chain][-3:] == [
        ("process", False),
        ("stitch", None),
        ("serve", None),
    ]
    return told


@explains("kind-unknown")
async def test_a_kind_that_nobody_knows(make_world: MakeWorld) -> Explanation:
    world = await make_world(rules=[{"allow": ["Component", "Location", "Gadget"]}])
    world.files[SHOP] = yaml_component("shop").replace("Component", "Gadget")
    await world.register(SHOP)
    return await world.ask("gadget:default/shop")


@explains("spec-invalid")
async def test_a_missing_field_keeps_the_last_good_entity(world: World) -> Explanation:
    world.files[SHOP] = yaml_component("shop")
    await world.register(SHOP)
    await world.write(SHOP, yaml_component("shop").replace("  lifecycle: production\n", ""))
    told = await world.ask(REF)
    assert told.state == "stale"
    assert (told.findings[0].file, told.findings[0].line) == (SHOP, 5)
    assert "lifecycle" in (told.findings[0].message or "")
    return told


@explains("reference-invalid")
async def test_a_reference_that_cannot_be_read(world: World) -> Explanation:
    world.files[SHOP] = yaml_component("shop") + "  dependsOn: [no-kind]\n"
    await world.register(SHOP)
    told = await world.ask(REF)
    assert told.findings[0].line == 9
    return told


@explains("placeholder-unreadable")
async def test_a_placeholder_that_names_a_file_that_is_not_there(world: World) -> Explanation:
    world.files[SHOP] = yaml_component("shop") + "  notes: {$text: ./notes.md}\n"
    await world.register(SHOP)
    told = await world.ask(REF)
    assert told.findings[0].at == f"{SHOP}:9:10"
    return told


@explains("placeholder-invalid")
async def test_a_placeholder_whose_value_is_no_text(world: World) -> Explanation:
    world.files[SHOP] = yaml_component("shop") + "  notes: {$text: 7}\n"
    await world.register(SHOP)
    return await world.ask(REF)


@explains("annotation-missing")
async def test_a_provider_that_does_not_say_where_its_entities_come_from(world: World) -> Explanation:
    shop = component("shop")
    del shop["metadata"]["annotations"]
    await world.emit(shop)
    told = await world.ask(REF)
    assert "the provider test must set" in told.findings[0].hint
    return told


@explains("annotation-malformed")
async def test_a_provider_that_says_it_in_a_form_that_cannot_be_read(world: World) -> Explanation:
    await world.emit(component("shop", annotations={"backstage.io/managed-by-location": "nonsense"}))
    return await world.ask(REF)


@explains("not-storable")
async def test_a_reference_that_is_too_long_for_an_index(world: World) -> Explanation:
    endless = random.Random(1).randbytes(4000).hex()
    await world.emit(component("shop", spec={"dependsOn": [f"component:default/{endless}"]}))
    return await world.ask(REF)


@explains("not-in-file")
async def test_a_file_that_has_others_but_not_this_one(world: World) -> Explanation:
    world.files[SHOP] = yaml_component("till")
    told = await world.ask(REF, at=SHOP)
    assert "component:default/till" in told.findings[0].hint
    return told


@explains("location-not-registered")
async def test_a_sound_file_that_nobody_has_registered(world: World) -> Explanation:
    world.files[SHOP] = "---\n" + yaml_component("shop")
    told = await world.ask(REF, at=SHOP)
    assert told.findings[0].at == f"{SHOP}:2:1"
    assert told.findings[0].commands == [f"greenroom locations add {SHOP}"]
    return told


@explains("not-read-yet")
async def test_an_entity_that_was_added_since_its_file_was_read(world: World) -> Explanation:
    world.files[SHOP] = yaml_component("till")
    await world.register(SHOP)
    world.files[SHOP] += "---\n" + yaml_component("shop")
    told = await world.ask(REF)
    assert "read again in 1" in told.findings[0].hint
    assert told.findings[0].commands[0].startswith("greenroom catalog refresh location:default/generated-")
    return told


async def test_what_a_registration_would_be_refused_for_is_told_before_it_is_made(world: World) -> None:
    world.files[SHOP] = USER
    told = await world.ask("user:default/eve", at=SHOP)
    assert told.verdict == "kind-not-allowed"
    assert finding(told, "location-not-registered").at == f"{SHOP}:1:1"


async def test_an_error_of_a_provider_s_entity_is_told_with_the_line_of_its_file(world: World) -> None:
    url = "https://git.test/shop/catalog-info.yaml"
    broken = component("shop")
    del broken["spec"]["owner"]
    world.files[url] = yaml_component("shop").replace("  owner: team-a\n", "")
    await world.emit(broken)
    told = await world.ask(REF)
    assert (told.verdict, told.findings[0].at) == ("spec-invalid", f"{url}:5:1")


async def test_the_address_in_a_browser_is_the_address_of_the_file(world: World) -> None:
    """GitHub's `blob` addresses are read as `tree`, and so claim their entities."""
    url = "https://github.com/acme/shop/blob/main/catalog-info.yaml"
    world.files[url.replace("blob", "tree")] = yaml_component("shop")
    assert (await world.ask(REF, at=url)).verdict == "location-not-registered"
    await world.register(url)
    assert (await world.ask(REF, at=url)).verdict == "served"


async def test_a_location_is_explained_by_what_it_points_at(world: World) -> None:
    world.files[SHOP] = yaml_component("shop") + "---\n" + USER
    await world.register(SHOP)
    ref = location_ref(Location("url", SHOP))
    told = await world.ask(ref)
    assert (told.state, told.verdict, told.findings[0].line) == ("failed", "kind-not-allowed", 11)
    assert [(step.stage, step.ok) for step in told.chain] == [
        ("provider", True),
        ("location", True),
        ("read", True),
        ("parse", True),
        ("rule", False),
        ("process", None),
        ("stitch", None),
        ("serve", None),
    ]


async def test_one_mistake_after_another_each_has_its_line(world: World) -> None:
    world.files[SHOP] = "kind: Component\n---\nmetadata: {}\n---\n" + yaml_component("shop")
    await world.register(SHOP)
    told = await world.ask(REF)
    assert told.verdict == "neighbour-refused"
    assert [one.line for one in told.findings if one.verdict == "envelope-invalid"] != []


async def test_a_refused_kind_in_a_configured_location_names_the_location(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    (tmp_path / "eve.yaml").write_text(USER)
    world = await make_world(locations=[LocationConfig("file", str(tmp_path / "eve.yaml"))])
    await world.configured()
    told = await world.ask("user:default/eve")
    assert told.findings[0].hint.endswith("add `User` to its `allow`, or to the `rules` of `catalog.locations[0]`")


async def test_a_file_that_leads_to_the_one_that_has_it_is_followed(world: World) -> None:
    root = "https://git.test/all.yaml"
    location = "apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata: {name: NAME}\nspec: {target: "
    world.files[root] = location.replace("NAME", "all") + "./shop/all.yaml}\n"
    world.files["https://git.test/shop/all.yaml"] = location.replace("NAME", "shop") + "./catalog-info.yaml}\n"
    world.files[SHOP] = yaml_component("shop")
    told = await world.ask(REF, at=root)
    assert (told.verdict, told.findings[0].at) == ("location-not-registered", f"{SHOP}:1:1")
    assert told.findings[0].commands == [f"greenroom locations add {root}"]
    await world.register(root)
    assert (await world.ask(REF, at=root)).verdict == "served"


async def test_locations_in_a_circle_are_not_followed_for_ever(world: World) -> None:
    world.files[SHOP] = (
        "apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata: {name: all}\nspec: {target: ./catalog-info.yaml}\n"
    )
    assert (await world.ask(REF, at=SHOP)).verdict == "not-in-file"
