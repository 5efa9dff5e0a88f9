"""Whoever looks for the API of this backend finds it in the catalog: one entity, as upstream's module makes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from litestar import get

from greenroom.errors import ConfigError
from greenroom.plugin import EntityProvider
from greenroom.settings import AppConfig, BackendConfig, load
from greenroom.testing import FakeHost, RecordingSource
from greenroom.web import Routes, load_document
from greenroom_plugins.backstage_openapi.merging import MergeError, merged
from greenroom_plugins.backstage_openapi.plugin import SECTION, backstage_openapi
from greenroom_plugins.backstage_openapi.provider import OpenApiConfig, definition_of, own_documents, text_of

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("merged.json").read_text(encoding="utf-8"))
REF = "api:default/internal_backstage_openapi_doc"


@get("/things", operation_id="GetThings")
async def things() -> None:
    """An operation of a document."""


def document(**operations: str) -> dict[str, Any]:
    """A document with an operation at each path."""
    paths = {f"/{path}": {"get": {"operationId": name, "responses": {}}} for path, name in operations.items()}
    return {"openapi": "3.1.0", "info": {"title": "x", "version": "1"}, "paths": paths, "components": {}}


def provider(routes: list[Routes], **section: Any) -> EntityProvider:
    config = load([], {}, {"backend": {"baseUrl": "https://back.example"}, SECTION: section})
    services = {AppConfig: config, BackendConfig: config.section("backend", BackendConfig)}
    [built] = backstage_openapi.build(config.section(SECTION, OpenApiConfig), FakeHost(services, routes))
    assert isinstance(built, EntityProvider)
    return built


async def entity(routes: list[Routes], **section: Any) -> dict[str, Any]:
    source = RecordingSource()
    await provider(routes, **section).run(source)
    [found] = source.entities.values()
    return dict(found)


ROUTES = [
    Routes("shop", [things], document=document(things="GetThings", gone="GetGone")),
    Routes("quiet", [things]),
    Routes("other", [things], document=document(things="GetThings")),
]


async def test_there_is_one_entity_with_all_that_is_served() -> None:
    source = RecordingSource()
    await provider(ROUTES).run(source)
    assert source.location_keys == {REF: "internal-api-doc"}
    found = source.entities[REF]
    definition = json.loads(found["spec"].pop("definition"))
    place = "internal-package:@backstage/plugin-catalog-backend-module-backstage-openapi"
    assert found == {
        "apiVersion": "backstage.io/v1beta1",
        "kind": "API",
        "metadata": {
            "name": "internal_backstage_openapi_doc",
            "title": "Backstage API",
            "annotations": {
                "backstage.io/managed-by-location": place,
                "backstage.io/managed-by-origin-location": place,
            },
        },
        "spec": {"lifecycle": "production", "owner": "backstage", "type": "openapi"},
    }
    assert definition == {
        "openapi": "3.0.3",
        "info": {"title": "Backstage API", "version": "1"},
        "servers": [{"url": "https://back.example"}],
        "paths": {
            "/api/shop/things": {"get": {"operationId": "GetThings", "responses": {}, "tags": ["shop"]}},
            "/api/other/things": {"get": {"operationId": "GetThings1", "responses": {}, "tags": ["other"]}},
        },
    }


async def test_the_documents_of_the_plugins_are_left_as_they_are() -> None:
    before = json.dumps(ROUTES[0].document)
    await entity(ROUTES)
    assert await entity(ROUTES) == await entity(ROUTES)
    assert json.dumps(ROUTES[0].document) == before


async def test_the_config_says_which_plugins_and_what_else_the_entity_says() -> None:
    over = {
        "kind": "Component",
        "metadata": {"name": "platform", "tags": ["own"], "annotations": {"a/b": "c"}},
        "spec": {"owner": "group:default/platform", "type": "other", "definition": "none"},
    }
    found = await entity(ROUTES, plugins=["other", "other"], entityOverrides=over)
    assert (found["kind"], found["metadata"]["name"], found["metadata"]["title"]) == (
        "API",
        "platform",
        "Backstage API",
    )
    assert found["metadata"]["tags"] == ["own"]
    assert found["metadata"]["annotations"]["a/b"] == "c"
    assert len(found["metadata"]["annotations"]) == 3
    assert found["spec"]["owner"] == "group:default/platform"
    assert (found["spec"]["type"], found["spec"]["lifecycle"]) == ("openapi", "production")
    assert list(json.loads(found["spec"]["definition"])["paths"]) == ["/api/other/things"]


async def test_a_plugin_without_a_document_is_told_of_and_costs_no_other() -> None:
    source = RecordingSource()
    await provider(ROUTES, plugins=["quiet", "shop", "nobody"]).run(source)
    assert source.failures == [
        ("quiet", "Plugin=quiet does not have an OpenAPI document"),
        ("nobody", "Plugin=nobody does not have an OpenAPI document"),
    ]
    assert REF in source.entities


def test_without_the_section_there_is_no_provider() -> None:
    config = load([], {}, {"backend": {"baseUrl": "https://back.example"}})
    services = {AppConfig: config, BackendConfig: config.section("backend", BackendConfig)}
    assert list(backstage_openapi.build(OpenApiConfig(), FakeHost(services))) == []


def test_another_format_stops_the_start() -> None:
    config = load([], {}, {SECTION: {"definitionFormat": "xml"}})
    with pytest.raises(ConfigError, match=r"catalog\.providers\.backstageOpenapi\.definitionFormat"):
        config.section(SECTION, OpenApiConfig)


def test_documents_become_one_as_upstream_merges_them() -> None:
    assert json.dumps(merged(RECORDED["documents"])) == json.dumps(RECORDED["merged"])


def test_a_path_in_two_documents_cannot_be() -> None:
    with pytest.raises(MergeError, match="/things"):
        merged([document(things="A"), document(things="B")])


def test_what_refers_to_nothing_is_told() -> None:
    odd = {**document(), "components": {"schemas": {"A": {"items": {"$ref": "#/components/schemas/B"}}}}}
    with pytest.raises(MergeError, match="#/components/schemas/B"):
        merged([odd, odd])


def test_yaml_says_the_same_as_json_to_every_reader() -> None:
    definition = definition_of(own_documents([Routes("catalog", [], document=load_document("catalog"))]), "https://x")
    odd = [
        "1e3",
        "0o17",
        "yes",
        "no",
        "null",
        "~",
        "1_000",
        "12:30",
        "a: b",
        "# c",
        "",
        " x",
        "2020-01-01",
        "é\n  x\n",
        "=",
        "<<",
    ]
    definition = {**definition, "x-odd": odd, "x-of": dict.fromkeys(odd, 1), "x-plain": [True, None, 1, 1.5]}
    text = text_of(definition, "yaml")
    assert yaml.safe_load(text) == definition == json.loads(text_of(definition, "json"))
    assert '- "1e3"\n- "0o17"\n- "yes"\n' in text
    assert "&id" not in text
