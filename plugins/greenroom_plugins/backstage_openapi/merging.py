"""OpenAPI documents -> one: what the same name means differently in two of them gets another one. Pure.

The outcome is that of openapi-merge 1.3, which upstream uses; tests hold it against its own answers.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any

from greenroom.errors import GreenroomError

VERBS = ("get", "put", "post", "delete", "patch", "head", "trace", "options")
_COMPONENTS = ("schemas", "responses", "parameters", "examples", "requestBodies", "headers", "links", "callbacks")
_FIRST = ("info", "servers", "externalDocs", "security")


class MergeError(GreenroomError):
    """The documents cannot be one"""


def merged(documents: list[Mapping[str, Any]]) -> dict[str, Any]:
    """All paths and components of the documents; of what there can be only one of, the first. Raises MergeError."""
    whole: dict[str, Any] = {"openapi": "3.0.3"}
    paths: dict[str, Any] = {}
    components: dict[str, dict[str, Any]] = {}
    operations: set[str] = set()
    for document in map(copy.deepcopy, documents):
        renamed = dict(_take_components(document.get("components") or {}, components))
        for path, item in _paths(document):
            if path in paths:
                raise MergeError(f"The path {path} is in several of the documents")
            _rename_operations(item, operations)
            paths[path] = item
        _rename_references(document, renamed)
    firsts = {field: _first(documents, field) for field in _FIRST}
    whole |= {field: value for field, value in firsts.items() if value is not None}
    tags = {tag["name"]: tag for document in reversed(documents) for tag in reversed(document.get("tags") or [])}
    if tags:
        whole["tags"] = _in_order(tags, documents)
    whole["paths"] = paths
    if components:
        whole["components"] = components
    extensions = [(name, value) for document in reversed(documents) for name, value in document.items()]
    return whole | {name: value for name, value in extensions if name.startswith("x-")}


def _first(documents: list[Mapping[str, Any]], field: str) -> Any:
    return next((copy.deepcopy(one[field]) for one in documents if one.get(field) is not None), None)


def _in_order(tags: Mapping[str, Any], documents: list[Mapping[str, Any]]) -> list[Any]:
    names = dict.fromkeys(tag["name"] for document in documents for tag in document.get("tags") or [])
    return [tags[name] for name in names]


def _paths(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    paths: Mapping[str, Any] = document.get("paths") or {}
    return ((path, item) for path, item in paths.items() if any(verb in item for verb in VERBS))


# --- names


def _rename_operations(item: Mapping[str, Any], taken: set[str]) -> None:
    for verb in VERBS:
        operation = item.get(verb, {})
        if "operationId" in operation:
            operation["operationId"] = _free(operation["operationId"], taken)
            taken.add(operation["operationId"])


def _take_components(given: Mapping[str, Any], components: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Put them beside those of other documents. Yields the references that mean another name now."""
    for kind in _COMPONENTS:
        if kind not in given:
            continue
        taken = components.setdefault(kind, {})
        same = _comparison(components, given)
        for name, component in given[kind].items():
            if name in taken and same(taken[name], component):
                taken[name] = component
                continue
            new = _free(name, taken)
            taken[new] = component
            if new != name:
                yield f"#/components/{kind}/{name}", f"#/components/{kind}/{new}"
    if given.get("securitySchemes") and "securitySchemes" not in components:
        components["securitySchemes"] = given["securitySchemes"]


def _free(name: str, taken: Container[str]) -> str:
    """The name, or else the first that is free with a number behind it."""
    names = itertools.chain((name,), (f"{name}{number}" for number in itertools.count(1)))
    return next(one for one in names if one not in taken)


# --- references


def _rename_references(node: Any, renamed: Mapping[str, str]) -> None:
    if isinstance(node, dict):
        target = node.get("$ref")
        if isinstance(target, str):
            node["$ref"] = renamed.get(target, target)
        for value in node.values():
            _rename_references(value, renamed)
    elif isinstance(node, list):
        for value in node:
            _rename_references(value, renamed)


def _comparison(lefts: Mapping[str, Any], rights: Mapping[str, Any]) -> Callable[[Any, Any], bool]:
    """Whether two components say the same, each with what it refers to among its own."""
    compared: set[tuple[str, str]] = set()

    def same(left: Any, right: Any) -> bool:
        if isinstance(left, dict) and isinstance(right, dict):
            refs = left.get("$ref"), right.get("$ref")
            if isinstance(refs[0], str) and isinstance(refs[1], str):
                if (refs[0], refs[1]) in compared:  # they refer to themselves
                    return True
                compared.add((refs[0], refs[1]))
                return same(_component(refs[0], lefts), _component(refs[1], rights))
            return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
        if isinstance(left, list) and isinstance(right, list):
            return len(left) == len(right) and all(map(same, left, right))
        return bool(left == right and isinstance(left, bool) == isinstance(right, bool))

    return same


def _component(reference: str, components: Mapping[str, Any]) -> Any:
    """What a reference means, entitled with its name: upstream takes equal schemas of different names for different ones.

    Raises MergeError."""
    following, seen = reference, set[str]()
    while following not in seen:
        seen.add(following)
        kind, _, name = following.removeprefix("#/components/").partition("/")
        found = components.get(kind, {}).get(name)
        if not isinstance(found, dict):
            break
        if "$ref" not in found:
            return {"title": reference.rpartition("/")[2], **found}
        following = found["$ref"]
    raise MergeError(f"There is nothing at {reference}")
