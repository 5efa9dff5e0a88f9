"""What a Template entity must look like: any JSON value -> everything that is wrong with its shape, in upstream's order and words.

The tables hold upstream's rules (catalog-model 1.10, scaffolder-common 2.3), in the words of its other validator, AJV. The catalog
asks the same of what it takes in; here they are asked of what is dry-run and linted, which no catalog has seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from greenroom.errors import GreenroomError, InputError

API_VERSION: Final = "scaffolder.backstage.io/v1beta3"
KIND: Final = "Template"


class Flaw(NamedTuple):
    """What is wrong, and where: `path` are the keys and indices that lead there."""

    path: tuple[str | int, ...]
    message: str
    params: Mapping[str, Any]

    def under(self, key: str | int) -> Flaw:
        return Flaw((key, *self.path), self.message, self.params)

    def __str__(self) -> str:
        """`/spec/type must be string - type: string`."""
        pointer = "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in self.path)
        params = ", ".join(f"{name}: {value}" for name, value in self.params.items())
        return f"{pointer or '<root>'} {self.message} - {params}"


class TemplateShapeError(GreenroomError):
    """The template is not what a template must be"""

    name = "TypeError"  # what upstream throws when a schema does not match
    status = 400

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(str(flaw))
        self.flaw = flaw


Shape: TypeAlias = Callable[[Any], Iterator[Flaw]]


def _must_be(name: str) -> Flaw:
    return Flaw((), f"must be {name}", {"type": name})


def _string(value: Any) -> Iterator[Flaw]:
    if not isinstance(value, str):
        yield _must_be("string")


def _text(value: Any) -> Iterator[Flaw]:
    yield from _string(value)
    if value == "":
        yield Flaw((), "must NOT have fewer than 1 characters", {"limit": 1})


def _string_or_boolean(value: Any) -> Iterator[Flaw]:
    if not isinstance(value, str | bool):
        yield _must_be("string,boolean")


def _word(value: Any) -> Iterator[Flaw]:
    yield from _text(value)
    if isinstance(value, str) and value and not re.search(r"\A\w+\Z", value, re.ASCII):
        yield Flaw((), 'must match pattern "^\\w+$"', {"pattern": "^\\w+$"})


def _one_of(*allowed: str) -> Shape:
    def flaws(value: Any) -> Iterator[Flaw]:
        yield from _string(value)
        if value not in allowed:
            yield Flaw((), "must be equal to one of the allowed values", {"allowedValues": ",".join(allowed)})

    return flaws


def _list(item: Shape) -> Shape:
    def flaws(value: Any) -> Iterator[Flaw]:
        if not isinstance(value, list):
            yield _must_be("array")
            return
        for index, each in enumerate(value):
            yield from (flaw.under(index) for flaw in item(each))

    return flaws


def _thing(
    properties: Mapping[str, Shape] | None = None,
    *,
    required: Sequence[str] = (),
    closed: bool = False,
    others: Shape | None = None,
) -> Shape:
    """An object; `others` looks at members that have no shape of their own, which `closed` forbids."""
    known = properties or {}

    def flaws(value: Any) -> Iterator[Flaw]:
        if not isinstance(value, Mapping):
            yield _must_be("object")
            return
        for name in required:
            if name not in value:
                yield Flaw((), f"must have required property '{name}'", {"missingProperty": name})
        for name, member in value.items():
            if name not in known and closed:
                yield Flaw((), "must NOT have additional properties", {"additionalProperty": name})
            elif name not in known and others is not None:
                yield from (flaw.under(name) for flaw in others(member))
        for name, shape in known.items():
            if name in value:
                yield from (flaw.under(name) for flaw in shape(value[name]))

    return flaws


def _either(first: Shape, second: Shape) -> Shape:
    """Two alternatives that exclude each other; of a value that is neither, only the first complains."""

    def flaws(value: Any) -> Iterator[Flaw]:
        found = list(first(value))
        if found and any(True for _ in second(value)):
            yield from found

    return flaws


def _texts_by_key(value: Any) -> Iterator[Flaw]:
    """Strings, except under keys that `^.+$` does not match."""
    if not isinstance(value, Mapping):
        yield _must_be("object")
        return
    for key, member in value.items():
        if not isinstance(member, str) and re.search(r"\A[^\n\r\u2028\u2029]+\Z", key):
            yield _must_be("string").under(key)


_ref = _thing({"kind": _text, "namespace": _text, "name": _text}, required=["kind", "namespace", "name"], closed=True)
_relation = _thing({"type": _word, "target": _ref, "targetRef": _text}, required=["type", "targetRef"], closed=True)
_error = _thing({"name": _text, "message": _string, "code": _string, "stack": _string}, required=["name", "message"])
_status_item = _thing(
    {"type": _text, "level": _one_of("info", "warning", "error"), "message": _string, "error": _error},
    required=["type", "level", "message"],
)
_metadata = _thing(
    {
        "uid": _text,
        "etag": _text,
        "name": _text,
        "namespace": _text,
        "title": _text,
        "description": _string,
        "labels": _texts_by_key,
        "annotations": _texts_by_key,
        "tags": _list(_text),
        "links": _list(_thing({"url": _text, "title": _text, "icon": _text, "type": _text}, required=["url"])),
    },
    required=["name"],
)
_entity = _thing(
    {
        "apiVersion": _text,
        "kind": _text,
        "metadata": _metadata,
        "spec": _thing(),
        "relations": _list(_relation),
        "status": _thing({"items": _list(_status_item)}),
    },
    required=["apiVersion", "kind", "metadata"],
    closed=True,
)
_permissions = _thing({"tags": _list(_string)})
_block = _thing({"backstage:permissions": _permissions})
_decorators = _list(_thing({"id": _string, "input": _thing()}))
_step = _thing(
    {
        "id": _string,
        "name": _string,
        "action": _string,
        "input": _thing(),
        "if": _string_or_boolean,
        "backstage:permissions": _permissions,
    },
    required=["action"],
)
_link = _thing({"if": _string_or_boolean, "url": _text, "entityRef": _text, "title": _text, "icon": _text})
_blob = _thing({"if": _string_or_boolean, "title": _text, "icon": _text, "content": _string})
_buttons = _thing({"backButtonText": _string, "createButtonText": _string, "reviewButtonText": _string})
_spec = _thing(
    {
        "type": _text,
        "owner": _text,
        "lifecycle": _text,
        "parameters": _either(_block, _list(_block)),
        "secrets": _thing({"schema": _thing()}),
        "presentation": _thing({"buttonLabels": _buttons}),
        "EXPERIMENTAL_recovery": _thing({"EXPERIMENTAL_strategy": _string}),
        "formDecorators": _decorators,
        "EXPERIMENTAL_formDecorators": _decorators,
        "steps": _list(_step),
        "output": _thing({"links": _list(_link), "text": _list(_blob)}, others=_string),
    },
    required=["type", "steps"],
)
_template = _thing({"spec": _spec}, required=["spec"])


def flaws_of(value: Any) -> Iterator[Flaw]:
    """All that is wrong with the shape of a Template entity, apiVersion and kind apart."""
    yield from _entity(value)
    if isinstance(value, Mapping):
        yield from _template(value)


def is_other_kind(value: Any) -> bool:
    """Whether apiVersion or kind, both sound if they are there, are those of something else."""
    if not isinstance(value, Mapping):
        return False
    named = [(value[key], ours) for key, ours in (("apiVersion", API_VERSION), ("kind", KIND)) if key in value]
    sound = all(isinstance(name, str) and name for name, _ in named)
    return sound and any(name != ours for name, ours in named)


def check_template(value: Any) -> None:
    """What upstream asks of a template that came with the request.

    Raises InputError for another kind of entity, TemplateShapeError for the first thing that is wrong."""
    if is_other_kind(value):
        raise InputError("Input template is not a template")
    flaw = next(flaws_of(value), None)
    if flaw is not None:
        raise TemplateShapeError(flaw)
