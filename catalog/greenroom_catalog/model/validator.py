"""JSON value -> Entity: the envelope that every entity has, and the format of its fields.

Two stages, as upstream has them. `validate_envelope` is asked of whatever a document holds, before it is given a ref;
`check_fields` is asked once the entity is about to be stored. Rules and messages are those of catalog-model 1.10 (spec 02 §3.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from greenroom.entity import DEFAULT_NAMESPACE, Entity, ref_of
from greenroom.errors import GreenroomError, InputError
from greenroom.javascript.texts import trim
from greenroom.urls import is_url
from greenroom_catalog.model.kinds import quote
from greenroom_catalog.model.schema import (
    Problem,
    array,
    matching,
    one_of_strings,
    string,
    text,
    texts,
    texts_by_key,
    thing,
)

UNSEARCHED = frozenset({"attachments", "relations", "status"})
"""Of an entity's fields, those that no filter can ask for (spec 02 §2.2)."""


class EnvelopeError(InputError):
    """The document is not an entity"""

    name = "TypeError"  # what upstream throws when a schema does not match

    def __init__(self, problem: Problem) -> None:
        """Also keeps where the problem is, so that a message can point at the line of a file."""
        super().__init__(quote(problem))
        self.problem = problem
        self.path = problem.path()


class FieldError(GreenroomError):
    """A field of the entity is not valid"""

    def __init__(self, message: str, path: list[str | int], problem: Problem | None = None) -> None:
        """`path` leads to the field, so that a message can point at the line of a file; `problem` is a schema's, if it was one."""
        super().__init__(message)
        self.problem = problem
        self.path = path


_ref = thing({"kind": text, "namespace": text, "name": text}, required=["kind", "namespace", "name"], others=None)
_relation = thing(
    {"type": matching(r"^\w+$"), "target": _ref, "targetRef": text}, required=["type", "targetRef"], others=None
)
_error = thing({"name": text, "message": string(), "code": string(), "stack": string()}, required=["name", "message"])
_status_item = thing(
    {"type": text, "level": one_of_strings("info", "warning", "error"), "message": string(), "error": _error},
    required=["type", "level", "message"],
)
_weblink = thing({"url": text, "title": text, "icon": text, "type": text}, required=["url"])
_metadata = thing(
    {
        "uid": text,
        "etag": text,
        "name": text,
        "namespace": text,
        "title": text,
        "description": string(),
        "labels": texts_by_key,
        "annotations": texts_by_key,
        "tags": texts,
        "links": array(_weblink),
    },
    required=["name"],
)
_envelope = thing(
    {"apiVersion": text, "kind": text, "metadata": thing({"name": text, "namespace": text}, required=["name"])},
    required=["apiVersion", "kind", "metadata"],
)
_entity = thing(
    {
        "apiVersion": text,
        "kind": text,
        "metadata": _metadata,
        "spec": thing(),
        "relations": array(_relation),
        "status": thing({"items": array(_status_item)}),
    },
    required=["apiVersion", "kind", "metadata"],
    others=None,
)


def validate_envelope(value: object) -> Entity:
    """Any JSON value -> the same, known to have an apiVersion, a kind and a metadata.name. Raises EnvelopeError."""
    problem = _envelope(value)
    if problem is None and isinstance(value, dict):
        return value
    raise EnvelopeError(problem or Problem("", "must be object", {"type": "object"}))


def authored_annotations(entity: Entity) -> dict[str, Any]:
    """The annotations of an entity as its document has them; null, false, 0 and an empty text are none (spec 02 §4.4).

    Raises GreenroomError for anything else that is no object, such as an empty list."""
    given = entity["metadata"].get("annotations")
    if isinstance(given, list) or (given and not isinstance(given, dict)):
        raise GreenroomError("metadata.annotations must be a valid object")
    return given or {}


def check_fields(entity: Entity) -> Entity:
    """An entity of sound envelope -> the same with its namespace spelled out, its fields known to be well formed.

    The given entity is not changed. Raises InputError, with the FieldError as its cause.
    """
    try:
        check_schema(entity)
        placed = in_namespace(entity)
        forbid_foreign_fields(placed)
        check_formats(placed)
    except FieldError as error:
        raise InputError(f"Policy check failed for {ref_of(entity)}", cause=error) from error
    return placed


def check_schema(entity: Entity) -> None:
    """The first policy: metadata and spec have the right shape. Raises FieldError."""
    problem = _entity(entity)
    if problem is not None:
        raise FieldError(
            f"Malformed envelope, {problem.pointer or '<root>'} {problem.message}", problem.path(), problem
        )


def in_namespace(entity: Entity) -> Entity:
    """The second policy: an entity that names no namespace is in `default`. What is added comes first, as upstream prints it."""
    metadata = entity["metadata"]
    if "namespace" in metadata:
        return entity
    return {
        "metadata": {"namespace": DEFAULT_NAMESPACE, **metadata},
        **{k: v for k, v in entity.items() if k != "metadata"},
    }


def forbid_foreign_fields(entity: Entity) -> None:
    """The third policy: what the catalog itself writes (`relations`, `status`) may not come from a file. Raises FieldError."""
    for field in entity:
        if field not in _KNOWN_FIELDS:
            raise FieldError(f"Unknown field {field}", [field])


def check_formats(entity: Entity) -> None:
    """The fourth policy: names, keys, tags and links are spelled as they must be. Raises FieldError."""
    metadata = entity["metadata"]
    if not _is_api_version(entity["apiVersion"]):
        raise _malformed("apiVersion", _PREFIXED, entity["apiVersion"], "apiVersion")
    if not _is_kind(entity["kind"]):
        raise _malformed("kind", _KIND_TEXT, entity["kind"], "kind")
    if _NAME(metadata["name"]) is None:
        raise _malformed("metadata.name", _NAME_TEXT, metadata["name"], "metadata", "name")
    if not _is_namespace(metadata["namespace"]):
        raise _malformed("metadata.namespace", _LABEL_TEXT, metadata["namespace"], "metadata", "namespace")
    for key, value in metadata.get("labels", {}).items():
        _check_label(key, value)
    for key in metadata.get("annotations", {}):
        if not _is_key(key):
            raise _malformed(f"annotations.{key}", _PREFIXED, key, "metadata", "annotations", key)
    for index, tag in enumerate(metadata.get("tags", ())):
        if not _is_tag(tag):
            raise _malformed(f"tags.{index}", _TAG_TEXT, tag, "metadata", "tags", index)
    for index, link in enumerate(metadata.get("links", ())):
        _check_link(link, index)


def _check_label(key: str, value: str) -> None:
    if not _is_key(key):
        raise _malformed(f"labels.{key}", _PREFIXED, key, "metadata", "labels", key)
    if value and _NAME(value) is None:
        raise _malformed(f"labels.{key}", _NAME_TEXT, value, "metadata", "labels", key)


def _check_link(link: dict[str, Any], index: int) -> None:
    if not is_url(link["url"]):
        raise _malformed(
            f"links.{index}.url", "a string that is a valid url", link["url"], "metadata", "links", index, "url"
        )
    for field in ("title", "icon"):
        if field in link and not trim(link[field]):
            path = ("metadata", "links", index, field)
            raise _malformed(f"links.{index}.{field}", "a non empty string", link[field], *path)


_KNOWN_FIELDS = frozenset({"apiVersion", "kind", "metadata", "spec"})

_LABEL = r"(?![a-z0-9-]{64})[a-z0-9]+(?:-+[a-z0-9]+)*"
_SUBDOMAIN = rf"(?![a-z0-9.-]{{254}}){_LABEL}(?:\.{_LABEL})*"
_OBJECT_NAME = r"(?![-A-Za-z0-9_.]{64})(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

_NAME = re.compile(_OBJECT_NAME).fullmatch


_LONGEST = 317
"""Characters of the longest text that any of these patterns matches: a prefix, a slash and a name."""


def _spelled(pattern: str) -> Callable[[str], bool]:
    """Whether a text is spelled so. Answers are remembered: the same few keys and tags stand in nearly every entity."""
    matches = re.compile(pattern).fullmatch
    remembered = lru_cache(maxsize=2048)(lambda text: matches(text) is not None)
    return lambda text: len(text) <= _LONGEST and remembered(text)


_is_namespace = _spelled(_LABEL)
_is_key = _spelled(rf"(?:{_SUBDOMAIN}/)?{_OBJECT_NAME}")
_is_api_version = _spelled(rf"(?:{_SUBDOMAIN}/)?[a-z0-9A-Z]{{1,63}}")
_is_kind = _spelled(r"[a-zA-Z][a-z0-9A-Z]{0,62}")
_is_tag = _spelled(r"(?![a-z0-9:+#-]{64})[a-z0-9:+#]+(?:-[a-z0-9:+#]+)*")

_PREFIXED = "a valid prefix and/or suffix"
_NAME_TEXT = "a string that is sequences of [a-zA-Z0-9] separated by any of [-_.], at most 63 characters in total"
_LABEL_TEXT = "a string that is sequences of [a-z0-9] separated by [-], at most 63 characters in total"
_TAG_TEXT = "a string that is sequences of [a-z0-9+#] separated by [-], at most 63 characters in total"
_KIND_TEXT = "a string that is a sequence of [a-zA-Z][a-z0-9A-Z], at most 63 characters in total"

_LEARN_MORE = (
    "To learn more about catalog file format, visit: "
    "https://github.com/backstage/backstage/blob/master/docs/architecture-decisions/adr002-default-catalog-file-format.md"
)


def _malformed(field: str, expected: str, found: str, *path: str | int) -> FieldError:
    return FieldError(f'"{field}" is not valid; expected {expected} but found "{found}". {_LEARN_MORE}', list(path))
