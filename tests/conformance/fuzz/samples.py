"""Descriptors as they should be, one of every kind with all its parts, and what may stand where it should not."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

V1, SCAFFOLDER = "backstage.io/v1alpha1", "scaffolder.backstage.io/v1beta3"

METADATA: Mapping[str, Any] = {
    "name": "one",
    "namespace": "prod",
    "title": "The one",
    "description": "Says: what it is # and does\n",
    "labels": {"example.com/tier": "a_b", "plain": ""},
    "annotations": {"github.com/project-slug": "acme/one", "backstage.io/techdocs-ref": "dir:."},
    "tags": ["java", "c++", "a-b"],
    "links": [{"url": "https://example.com/x", "title": "Site", "icon": "web", "type": "home"}],
}
PROFILE = {"displayName": "One", "email": "one@example.com", "picture": "https://example.com/one.png"}
TEMPLATE = {
    "type": "service",
    "owner": "team",
    "presentation": {
        "buttonLabels": {"backButtonText": "Back", "createButtonText": "Make", "reviewButtonText": "Look"}
    },
    "EXPERIMENTAL_recovery": {"EXPERIMENTAL_strategy": "startOver"},
    "EXPERIMENTAL_formDecorators": [{"id": "token", "input": {"a": 1}}],
    "lifecycle": "production",
    "parameters": [
        {
            "title": "First",
            "required": ["name"],
            "properties": {"name": {"type": "string", "ui:field": "EntityNamePicker", "maxLength": 50}},
            "dependencies": {"name": {"oneOf": [{"properties": {"name": {"enum": ["a", "b"]}}}]}},
            "backstage:permissions": {"tags": ["one"]},
        },
        {"title": "Second", "if": "${{ parameters.name }}", "properties": {"repoUrl": {"type": "string"}}},
    ],
    "steps": [
        {
            "id": "fetch",
            "name": "Fetch",
            "action": "fetch:template",
            "input": {"url": "./skeleton", "values": {"name": "${{ parameters.name | lower }}"}},
            "if": "${{ parameters.name === 'x' }}",
            "each": [1, 2],
            "backstage:permissions": {"tags": ["two"]},
        },
        {"action": "debug:log", "if": True, "each": {"a": 1}},
    ],
    "output": {
        "links": [{"title": "Open", "url": "${{ steps.publish.output.remoteUrl }}", "icon": "catalog", "if": "x"}],
        "text": [{"title": "More", "content": "**done**", "default": True, "icon": "x"}],
    },
}
SPECS: Sequence[tuple[str, str, Any]] = (
    (V1, "Component", {"type": "service", "lifecycle": "production", "owner": "team-a", "system": "shop",
                       "subcomponentOf": "component:whole", "providesApis": ["b", "a"], "consumesApis": ["ns/c"],
                       "dependsOn": ["resource:default/db", "Component:x"], "dependencyOf": ["component:y"]}),
    (V1, "API", {"type": "openapi", "lifecycle": "experimental", "owner": "user:me", "system": "shop",
                 "definition": "openapi: 3.0.0\ninfo: {title: x}\n"}),
    (V1, "API", {"type": "mcp-server", "lifecycle": "experimental", "owner": "me",
                 "remotes": [{"type": "streamable-http", "url": "https://example.com/mcp"}]}),
    (V1, "Resource", {"type": "database", "owner": "team", "system": "shop", "dependsOn": ["component:x"],
                      "dependencyOf": ["component:y"]}),
    (V1, "System", {"owner": "team", "domain": "shop", "type": "product"}),
    (V1, "Domain", {"owner": "team", "subdomainOf": "whole", "type": "area"}),
    (V1, "Group", {"type": "team", "profile": PROFILE, "parent": "all", "children": ["b", "a"], "members": ["me"]}),
    (V1, "User", {"profile": PROFILE, "memberOf": ["b", "group:default/a"]}),
    (V1, "Location", {"type": "url", "target": "./other.yaml", "targets": ["./other.yaml", "../up.yaml"],
                      "presence": "optional"}),
    (V1, "Location", {"targets": ["./other.yaml"]}),
    (SCAFFOLDER, "Template", TEMPLATE),
    (V1, "AiResource", {"type": "skill", "lifecycle": "production", "owner": "team", "content": "text"}),
    (V1, "API", {"type": "text", "lifecycle": "x", "owner": "me", "definition": {"$text": "./text.txt"}}),
    (V1, "API", {"type": "openapi", "lifecycle": "x", "owner": "me", "definition": {"$openapi": "./openapi.yaml"}}),
    (V1, "API", {"type": "asyncapi", "lifecycle": "x", "owner": "me", "definition": {"$asyncapi": "./asyncapi.yaml"}}),
    (V1, "Component", {"type": "x", "lifecycle": "x", "owner": "me", "a": {"$json": "./data.json"},
                       "b": [{"$yaml": "./data.yaml"}, {"$text": "text.txt"}], "c": {"$yaml": "data.yaml", "d": 1}}),
)  # fmt: skip
"""apiVersion, kind and spec."""

BESIDE: Mapping[str, str] = {
    "other.yaml": "apiVersion: backstage.io/v1alpha1\nkind: System\nmetadata: {name: other}\nspec: {owner: team}\n",
    "text.txt": "some text\n",
    "data.json": '{"a": [1, 1.50, true, null, "x"]}',
    "data.yaml": "a: [1, 1.50, yes, ~, 2001-01-01]\n",
    "two.yaml": "a: 1\n---\nb: 2\n",
    "broken.yaml": "a: [\n",
    "broken.json": "{,}",
    "openapi.yaml": "openapi: 3.0.0\ninfo: {title: x, version: '1'}\npaths: {}\n",
    "asyncapi.yaml": "asyncapi: 2.0.0\ninfo: {title: x, version: '1'}\nchannels: {}\n",
    "empty.yaml": "",
}
"""Files that stand beside each descriptor."""

ODD: Sequence[Any] = (
    None, True, False, 0, 1, -1, 1.5, 1e21, "", " ", "x", "X y", "ä", "x" * 63, "x" * 64, "x" * 254, "a/b", "a:b/c", ":", "/",
    "a:", ":a", "a:b:c", "a/b/c", "group:x", "-x", "x-", "x--y", "x_y", "x.y", "X", "1", "true", "null", "~", "c++", "c#", "a b",
    "\t", "\n", "\u2028", "\ufeff", "\u00a0", "🚀", "ß", "İ", [], {}, [""], [None], [1], ["a", "a"], ["x", 1], [[]], [{}],
    {"a": 1}, {"": ""}, {"$text": "./text.txt"}, {"$json": "./data.json"}, {"$yaml": "./data.yaml"}, {"$yaml": "./two.yaml"},
    {"$yaml": "./broken.yaml"}, {"$json": "./broken.json"}, {"$text": "./nope.txt"}, {"$text": ""}, {"$text": 1}, {"$text": None},
    {"$text": "./text.txt", "more": 1}, {"$nope": "x"}, {"$openapi": "./openapi.yaml"}, {"$asyncapi": "./text.txt"},
    {"$openapi": "./data.json"}, {"$yaml": "./empty.yaml"}, {"$text": "http://127.0.0.1:1/x"}, {"$ref": "#/a"}, "https://x", "x:y",
    "http://[", "//x", "./other.yaml", "other.yaml", "../x", "*.yaml", "./*.yaml", "backstage.io/v1alpha1", "backstage.io/v1beta1",
    "scaffolder.backstage.io/v1beta3", "backstage.io/v1beta2", "v1", "Component", "component", "Template", "User", "Group", "url",
    "file", "required", "optional", "javascript:alert(1)", "${{ values.name }}", "{{ x }}",
)  # fmt: skip
"""Values for any place."""

ODD_KEYS = (
    "", "x", "a b", "X", "name", "kind", "spec", "metadata", "status", "relations", "owner", "type", "$text", "$x",
    "constructor", "1", "ä", "a/b", "a/b/c", "-", "x" * 64, "uid", "etag", "target", "targets", "tags", "labels", "annotations",
    "links", "memberOf", "dependsOn", "backstage.io/view-url", "backstage.io/managed-by-location", "backstage.io/orphan",
    "backstage.io/managed-by-origin-location",
)  # fmt: skip


def entity(chance: random.Random) -> dict[str, Any]:
    """One of the samples, with some of its parts."""
    version, kind, spec = chance.choice(SPECS)
    metadata = {key: value for key, value in METADATA.items() if key == "name" or chance.random() < 0.4}
    made: dict[str, Any] = {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
    copied: dict[str, Any] = json.loads(json.dumps(made))
    return copied


def disturb(value: Any, chance: random.Random) -> None:
    """Change one thing in a JSON value: replace it, take it away, add something, or call it otherwise."""
    holder = chance.choice(list(_holders(value)))
    if isinstance(holder, list):
        _disturb_list(holder, chance)
    else:
        _disturb_object(holder, chance)


def _odd(chance: random.Random) -> Any:
    return copy.deepcopy(chance.choice(ODD))


def _disturb_list(holder: list[Any], chance: random.Random) -> None:
    if holder and chance.random() < 0.5:
        holder[chance.randrange(len(holder))] = _odd(chance)
    else:
        holder.insert(chance.randint(0, len(holder)), _odd(chance))


def _disturb_object(holder: dict[str, Any], chance: random.Random) -> None:
    key = chance.choice([*holder, ""])
    how = chance.random()
    if key not in holder or how < 0.1:
        holder[chance.choice(ODD_KEYS)] = _odd(chance)
    elif how < 0.25:
        del holder[key]
    elif how < 0.3:
        holder[chance.choice(ODD_KEYS)] = holder.pop(key)
    elif how < 0.35:
        holder[key] = [holder[key]]
    else:
        holder[key] = _odd(chance)


def _holders(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from _holders(item)


def written(value: Any, chance: random.Random) -> str:
    """YAML for a JSON value, in a style of its own."""
    if chance.random() < 0.1:
        return json.dumps(value, ensure_ascii=chance.random() < 0.5, indent=chance.choice((None, 2)))
    return _block(value, "", chance).removeprefix("\n").removeprefix(" ") + "\n"


def _block(value: Any, indent: str, chance: random.Random) -> str:
    """What stands after a key's colon or an item's dash."""
    if not isinstance(value, dict | list) or not value or chance.random() < 0.15:
        return f" {_flow(value, chance)}" if isinstance(value, dict | list) else f" {_scalar(value, indent, chance)}"
    if isinstance(value, list):
        inner = indent + chance.choice(("", "  "))
        return "".join(f"\n{inner}-{_block(item, inner + '  ', chance)}" for item in value)
    return "".join(
        f"\n{indent}{_key(key, chance)}:{_block(item, indent + '  ', chance)}" for key, item in value.items()
    )


def _key(key: str, chance: random.Random) -> str:
    return key if key.isidentifier() or (key and chance.random() < 0.7) else json.dumps(key)


def _flow(value: Any, chance: random.Random) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key, chance)}: {_flow(item, chance)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item, chance) for item in value) + "]"
    return _scalar(value, "", chance)


_PLAIN = re.compile(r"(?!-)[\w./+-]*(?::[\w./+-]+)*(?: [\w./+-]+)*\Z")
"""What needs no quotes."""


def _scalar(value: Any, indent: str, chance: random.Random) -> str:
    if not isinstance(value, str):
        return json.dumps(value) if value is not None else chance.choice(("null", "~", "", "Null"))
    how = chance.random()
    if how < 0.2 or (how < 0.95 and not _PLAIN.match(value)):
        return json.dumps(value, ensure_ascii=chance.random() < 0.5)
    if how < 0.3:
        return "'" + value.replace("'", "''") + "'"
    if how < 0.35 and indent:
        style = chance.choice(("|-", ">-", "|-", ">-", "|", ">", "|+", ">+", "|2", ">1-"))
        return style + "".join(f"\n{indent}{line}" for line in value.split("\n"))
    return value.replace("\n", " ") or "''"
