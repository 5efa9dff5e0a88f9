"""catalog:fetch, catalog:register, catalog:write."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from greenroom.auth import Credentials
from greenroom.auth.credentials import UserPrincipal
from greenroom.entity import Entity
from greenroom.errors import ConflictError, GreenroomError, InputError, NotAllowedError, ServiceUnavailableError
from greenroom.permissions import Permission, Permissions
from greenroom.plugin import CatalogRegistration
from greenroom.testing import FakeActionContext, RecordingLocations
from greenroom.urls.service import Urls
from greenroom_scaffolder.actions.catalog import CatalogAsInitiator, Registering, catalog_actions
from greenroom_scaffolder.workspace.quota import Quota
from tests.scaffolder.actions.fakes import by_id, grown, run, told

JO = Credentials(UserPrincipal("user:default/jo"))
REPOSITORY = "https://github.com/o/r/tree/main"
FILE = "https://github.com/o/r/tree/main/catalog-info.yaml"


def entity(name: str, kind: str = "Component") -> Entity:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": {}}


class Catalog:
    async def by_refs(self, refs: Sequence[str]) -> list[Entity | None]:
        return [None if "missing" in ref else {**entity(ref), "ref": ref} for ref in refs]


class Hides:
    """Shows nothing that has `secret` in its name."""

    async def allows(self, credentials: Credentials, permission: Permission, resource_ref: str | None = None) -> bool:
        assert permission.name == "catalog.entity.read"
        return "secret" not in (resource_ref or "")


def actions(locations: RecordingLocations | None = None) -> dict[str, Any]:
    catalog = CatalogAsInitiator(Catalog(), cast("Permissions", Hides()))
    return by_id(catalog_actions(catalog, locations, Urls(), Quota()))


async def test_one_entity_and_several_are_read(tmp_path: Path) -> None:
    given = {
        "entityRef": "group:Team",
        "entityRefs": ["x", "api:n/y"],
        "defaultKind": "system",
        "defaultNamespace": "m",
    }
    _, output = await run(actions()["catalog:fetch"], given, tmp_path, initiator=JO)
    assert output["entity"]["ref"] == "group:m/team"
    assert [one["ref"] for one in output["entities"]] == ["system:m/x", "api:n/y"]


async def test_what_is_missing_is_an_error_unless_it_is_optional(tmp_path: Path) -> None:
    fetch = actions()["catalog:fetch"]
    with pytest.raises(GreenroomError, match=r"^Entity component:Missing not found$"):
        await run(fetch, {"entityRef": "component:Missing"}, tmp_path, initiator=JO)
    given = {"entityRef": "component:missing", "entityRefs": ["a:b", "c:missing"], "optional": True}
    _, output = await run(fetch, given, tmp_path, initiator=JO)
    assert output["entity"] is None
    assert [one and one["ref"] for one in output["entities"]] == ["a:default/b", None]


async def test_an_entity_that_the_user_may_not_read_is_missing(tmp_path: Path) -> None:
    given = {"entityRefs": ["component:secret"], "optional": True}
    _, output = await run(actions()["catalog:fetch"], given, tmp_path, initiator=JO)
    assert output["entities"] == [None]
    _, output = await run(actions()["catalog:fetch"], given, tmp_path)
    assert output["entities"] == [None]


async def test_a_step_without_references_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Missing entity reference or references"):
        await run(actions()["catalog:fetch"], {"entityRef": ""}, tmp_path)
    assert (await run(actions()["catalog:fetch"], {"optional": True}, tmp_path))[1] == {}


async def test_what_is_no_reference_is_the_templates_mistake_under_upstreams_name(tmp_path: Path) -> None:
    for ref, name in (("x", "Error"), ("a/", "TypeError"), (":", "TypeError")):
        with pytest.raises(InputError) as told:
            await run(actions()["catalog:fetch"], {"entityRefs": [ref]}, tmp_path)
        assert told.value.name == name, ref


async def test_without_a_catalog_the_step_says_so(tmp_path: Path) -> None:
    offline = by_id(catalog_actions(CatalogAsInitiator(None, None), None, Urls(), Quota()))
    with pytest.raises(ServiceUnavailableError):
        await run(offline["catalog:fetch"], {"entityRef": "a:b"}, tmp_path)
    with pytest.raises(ServiceUnavailableError):
        await run(offline["catalog:register"], {"catalogInfoUrl": FILE}, tmp_path)


async def test_a_repository_is_registered_by_its_file(tmp_path: Path) -> None:
    locations = RecordingLocations({FILE: [entity("generated-1", "Location"), entity("Depot", "API"), entity("shop")]})
    ctx, output = await run(actions(locations)["catalog:register"], {"repoContentsUrl": REPOSITORY}, tmp_path)
    assert locations.registered == [FILE]
    assert output == {"entityRef": "component:default/shop", "catalogInfoUrl": FILE}
    assert told(ctx) == [f"Registering {FILE} in the catalog"]


@pytest.mark.parametrize(
    ("found", "ref"),
    [
        ([entity("generated-1"), entity("x", "API")], "api:default/x"),
        ([entity("generated-1", "Location")], "location:default/generated-1"),
        ([], None),
    ],
)
async def test_the_foremost_entity_is_told(tmp_path: Path, found: list[Entity], ref: str | None) -> None:
    register = actions(RecordingLocations({FILE: found}))["catalog:register"]
    _, output = await run(register, {"catalogInfoUrl": FILE}, tmp_path)
    assert output.get("entityRef") == ref


async def test_a_file_that_cannot_be_registered_fails_the_step_unless_it_is_optional(tmp_path: Path) -> None:
    register = actions(RecordingLocations())["catalog:register"]
    with pytest.raises(InputError, match="Unable to read"):
        await run(register, {"catalogInfoUrl": FILE}, tmp_path)
    _, output = await run(register, {"catalogInfoUrl": FILE, "optional": True}, tmp_path)
    assert output == {"catalogInfoUrl": FILE}


async def test_a_step_that_is_run_again_does_not_stumble_over_its_own_location(tmp_path: Path) -> None:
    locations = RecordingLocations({FILE: [entity("shop")]})
    register = actions(locations)["catalog:register"]
    first, _ = await run(register, {"catalogInfoUrl": FILE}, tmp_path)
    second = type(first)(first.input, tmp_path)
    second.checkpoints = first.checkpoints
    assert (await register.run(second))["entityRef"] == "component:default/shop"
    with pytest.raises(ConflictError):
        await run(register, {"catalogInfoUrl": FILE}, tmp_path)


class Dying(RecordingLocations):
    """Registers, and dies before it can say so."""

    async def register(self, url: str, *, dry_run: bool = False, initiator: object = None) -> CatalogRegistration:
        answer = await super().register(url, dry_run=dry_run, initiator=initiator)
        if not dry_run:
            raise asyncio.CancelledError
        return answer


async def test_what_a_step_registered_when_its_process_died_is_no_conflict(tmp_path: Path) -> None:
    dying = Dying({FILE: [entity("shop")]})
    ctx = FakeActionContext(Registering(FILE), tmp_path)
    with pytest.raises(asyncio.CancelledError):
        await actions(dying)["catalog:register"].run(ctx)
    living = RecordingLocations({FILE: [entity("shop")]})
    living.registered = dying.registered
    assert await actions(living)["catalog:register"].run(ctx) == {
        "entityRef": "component:default/shop",
        "catalogInfoUrl": FILE,
    }
    assert living.registered == [FILE]


class Raced(RecordingLocations):
    """Another registers in the moment after one has looked."""

    async def register(self, url: str, *, dry_run: bool = False, initiator: object = None) -> CatalogRegistration:
        answer = await super().register(url, dry_run=dry_run, initiator=initiator)
        self.registered.append(url)
        return answer


@pytest.mark.parametrize("raced", [True, False])
async def test_what_another_registered_is_a_conflict_however_often_it_is_tried(tmp_path: Path, raced: bool) -> None:
    locations = Raced({FILE: []}) if raced else RecordingLocations({FILE: []})
    locations.registered = [] if raced else [FILE]
    ctx = FakeActionContext(Registering(FILE), tmp_path)
    for _ in range(3):
        with pytest.raises(ConflictError):
            await actions(locations)["catalog:register"].run(ctx)


async def test_what_cannot_be_read_yet_is_registered_all_the_same(tmp_path: Path) -> None:
    class Later(RecordingLocations):
        async def register(self, url: str, *, dry_run: bool = False, initiator: object = None) -> CatalogRegistration:
            if dry_run:
                raise InputError("Unable to read")
            return await super().register(url, initiator=initiator)

    locations = Later({FILE: []})
    with pytest.raises(InputError, match="Unable to read"):
        await run(actions(locations)["catalog:register"], {"catalogInfoUrl": FILE}, tmp_path)
    assert locations.registered == [FILE]


async def test_a_repository_on_an_unknown_host_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^No integration found for host https://git\.example/r$"):
        await run(
            actions(RecordingLocations())["catalog:register"], {"repoContentsUrl": "https://git.example/r"}, tmp_path
        )


async def test_a_catalog_file_is_written_as_upstream_writes_it(tmp_path: Path) -> None:
    shared = {"y": [1, [2, "3"]]}
    given = {
        "kind": "Component",
        "metadata": {"name": "x", "annotations": {"a": "1"}},
        "a": ["x", shared, shared],
        "long": "x " * 80,
        "n": None,
        "t": "true",
        "half": "\ud83d",
    }
    ctx, _ = await run(actions()["catalog:write"], {"entity": given}, tmp_path)
    assert told(ctx) == ["Writing catalog-info.yaml"]
    assert grown(tmp_path)["catalog-info.yaml"].decode() == (
        'kind: Component\nmetadata:\n  name: x\n  annotations:\n    a: "1"\n'
        "    backstage.io/source-template: template:default/test\n"
        'a:\n  - x\n  - y:\n      - 1\n      - - 2\n        - "3"\n  - y:\n      - 1\n      - - 2\n        - "3"\n'
        'long: "x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x\n'
        "  x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x\n"
        '  x x x x "\nn: null\nt: "true"\nhalf: "\\ud83d"\n'
    )
    assert given["metadata"] == {"name": "x", "annotations": {"a": "1"}}


async def test_a_catalog_file_needs_metadata_and_a_place_inside(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs metadata"):
        await run(actions()["catalog:write"], {"entity": {"kind": "Component"}}, tmp_path)
    with pytest.raises(NotAllowedError):
        await run(actions()["catalog:write"], {"entity": entity("x"), "filePath": "../x.yaml"}, tmp_path)
