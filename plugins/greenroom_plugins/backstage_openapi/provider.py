"""The documents of this backend -> one API entity (upstream: catalog-backend-module-backstage-openapi)."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Literal

import msgspec
import yaml

from greenroom.entity import Entity
from greenroom.plugin import Deferred, EntitySource, Host
from greenroom.web import Routes
from greenroom.web.documents import served_copy
from greenroom.web.mounting import told_document
from greenroom_plugins.backstage_openapi.merging import VERBS, merged

NAME = "InternalOpenApiDocumentationProvider"
KEY = "internal-api-doc"
PLACE = "internal-package:@backstage/plugin-catalog-backend-module-backstage-openapi"
"""Where upstream's entity is from: saved links and rules may say so."""


class OpenApiConfig(msgspec.Struct, frozen=True, rename="camel"):
    """The section `catalog.providers.backstageOpenapi`."""

    plugins: list[str] | None = None
    """Those whose documents are wanted; None: all that have one."""
    definition_format: Literal["json", "yaml"] = "json"
    entity_overrides: dict[str, Any] = {}
    """What the entity shall say of itself; where it is from, and what the API is, cannot be changed."""


class OwnDocuments:
    """A provider of one entity (`greenroom.plugin.EntityProvider`)."""

    name = NAME
    every = timedelta(minutes=1)

    def __init__(self, config: OpenApiConfig, base_url: str, host: Host) -> None:
        self._config, self._base_url, self._host = config, base_url, host

    async def run(self, source: EntitySource) -> None:
        """A plugin that is asked for and has no document is told of. Raises MergeError."""
        documents = own_documents(self._host.all(Routes))
        wanted = documents if self._config.plugins is None else dict.fromkeys(self._config.plugins)
        for missing in (plugin for plugin in wanted if plugin not in documents):
            source.failed(missing, f"Plugin={missing} does not have an OpenAPI document")
        definition = definition_of({one: documents[one] for one in wanted if one in documents}, self._base_url)
        await source.full([Deferred(entity_of(definition, self._config), KEY)])


def own_documents(routes: Iterable[Routes]) -> dict[str, dict[str, Any]]:
    """What each plugin serves at `/openapi.json`, by its id."""
    parts: dict[str, list[Routes]] = {}
    for one in routes:
        parts.setdefault(one.plugin, []).append(one)
    told = {plugin: told_document(plugin, ones) for plugin, ones in parts.items()}
    return {
        plugin: served_copy(document, f"/api/{plugin}") for plugin, document in told.items() if document is not None
    }


def definition_of(documents: Mapping[str, Mapping[str, Any]], base_url: str) -> dict[str, Any]:
    """One document of all, in which each operation is tagged with its plugin."""
    frame = {
        "openapi": "3.0.3",
        "info": {"title": "Backstage API", "version": "1"},
        "servers": [{"url": base_url}],
        "paths": {},
    }
    return merged([frame, *(_tagged(plugin, document) for plugin, document in documents.items())])


def entity_of(definition: Mapping[str, Any], config: OpenApiConfig) -> Entity:
    """The entity, with what the config says of it."""
    own: Entity = {
        "metadata": {"name": "internal_backstage_openapi_doc", "title": "Backstage API"},
        "spec": {"lifecycle": "production", "owner": "backstage"},
    }
    fixed: Entity = {
        "apiVersion": "backstage.io/v1beta1",
        "kind": "API",
        "metadata": {
            "annotations": {
                "backstage.io/managed-by-location": PLACE,
                "backstage.io/managed-by-origin-location": PLACE,
            }
        },
        "spec": {"type": "openapi", "definition": text_of(definition, config.definition_format)},
    }
    entity: Entity = _over(_over(own, config.entity_overrides), fixed)
    return entity


def text_of(definition: Mapping[str, Any], form: Literal["json", "yaml"]) -> str:
    if form == "json":
        return json.dumps(definition, indent=2, ensure_ascii=False)
    text: str = yaml.dump(definition, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=80)
    return text


def _tagged(plugin: str, document: Mapping[str, Any]) -> dict[str, Any]:
    tagged = copy.deepcopy(dict(document))
    for item in tagged.get("paths", {}).values():
        for operation in (item[verb] for verb in VERBS if verb in item):
            tags = operation.setdefault("tags", [])
            if plugin not in tags:
                tags.append(plugin)
    return tagged


def _over(below: Any, above: Any) -> Any:
    """Objects and lists are laid over each other member by member; anything else takes the place of what was there."""
    if isinstance(below, dict) and isinstance(above, Mapping):
        return {**below, **{key: _over(below.get(key), value) for key, value in above.items()}}
    if isinstance(below, list) and isinstance(above, list):
        return [_over(*pair) for pair in zip(below, above, strict=False)] + below[len(above) :] + above[len(below) :]
    return copy.deepcopy(above)


class _Plain(yaml.SafeDumper):
    """YAML that versions 1.1 and 1.2 read alike: every text that could be taken for something else is quoted."""

    def ignore_aliases(self, data: Any) -> bool:
        """The same object twice is written twice."""
        return True


def _text(dumper: _Plain, text: str) -> yaml.Node:
    if "\n" in text:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
    odd = not text[:1].isalpha() or text.lower() in ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if odd else None)


_Plain.add_representer(str, _text)
