"""JSON Schema of a form -> its fields, wherever they stand: some are only shown with what is chosen in others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from greenroom_scaffolder.commands.form import Block, is_secret
from greenroom_scaffolder.schemas import SchemaError
from greenroom_scaffolder.schemas.references import Scope, root_scope
from greenroom_scaffolder.templates.generate import fits
from greenroom_scaffolder.templates.template import as_object

ANY: Final = msgspec.UNSET
"""Whatever the value may be: all of a form, also what excludes each other."""


class Field:
    """All that a form says of one value: of a page as a whole, or of a member of it."""

    def __init__(self, schemas: Sequence[Any], root: _Root) -> None:
        self._schemas, self._root = schemas, root

    def parts(self, value: Any = ANY) -> list[Block]:
        """The schemas that are about the value, the ones that hold anyway before those that depend on what it is."""
        seen: set[int] = set()
        return [part for schema in self._schemas for part in self._gone_through(schema, value, seen)]

    def members(self, value: Any = ANY) -> dict[str, Field]:
        """The fields that there are, by name; with a value, those that are shown for it."""
        found: dict[str, list[Any]] = {}
        for part in self.parts(value):
            for name, schema in as_object(part.get("properties")).items():
                found.setdefault(name, []).append(schema)
        return {name: Field(schemas, self._root) for name, schemas in found.items()}

    def items(self) -> Field:
        """What is said of the items of a list."""
        rules = [part.get("items") for part in self.parts()]
        return Field([one for rule in rules for one in (rule if isinstance(rule, list) else [rule])], self._root)

    def required(self, value: Block) -> list[str]:
        """The members that an object has to have, when it is this one."""
        lists: list[Any] = []
        for part in self.parts(value):
            rules = as_object(part.get("dependencies"))
            lists += [part.get("required"), *(rule for name, rule in rules.items() if name in value)]
        return list(dict.fromkeys(name for names in lists for name in _list(names) if isinstance(name, str)))

    def schema(self, value: Any = ANY) -> Block:
        """All of it as one schema, where what depends on the value says the last word, but not on what is a secret."""
        said = {key: said for part in self.parts(value) for key, said in part.items()}
        return {**said, "ui:field": "Secret"} if self.is_secret else said

    @property
    def is_secret(self) -> bool:
        """Whether it is typed unseen, and kept out of the task's parameters: it is enough that it may be so."""
        return any(is_secret(part) for part in self.parts())

    @property
    def wants_text(self) -> bool:
        """Whether a text will do, so that what looks like a number is none."""
        return any(_is_text(part) for part in self.parts())

    def _gone_through(self, schema: Any, value: Any, seen: set[int]) -> Iterator[Block]:
        if not isinstance(schema, Mapping) or id(schema) in seen:
            return
        seen.add(id(schema))
        yield schema
        for inner in (self._root.referred(schema), *self._depending(schema, value)):
            yield from self._gone_through(inner, value, seen)

    def _depending(self, schema: Block, value: Any) -> Iterator[Any]:
        """The parts of a schema that are about the same value, of those that exclude each other the one that holds."""
        yield from _list(schema.get("allOf"))
        for key in ("oneOf", "anyOf"):
            options = _list(schema.get(key))
            yield from options if value is ANY else self._chosen(options, as_object(value))
        if value is ANY:
            yield from (schema.get("then"), schema.get("else"))
        elif "if" in schema:
            yield schema.get("then" if self._root.fits(value, schema["if"]) else "else")
        for name, rule in as_object(schema.get("dependencies")).items():
            if value is ANY or name in as_object(value):
                yield rule

    def _chosen(self, options: Sequence[Any], value: Block) -> Sequence[Any]:
        """The option that agrees with most of what there is, the first of several: what the stock form shows."""
        agreeing = [
            option
            for option in options
            if all(self._root.fits(value[name], rule) for name, rule in _members_in(option, value))
        ]
        return [max(agreeing, key=lambda option: len(_members_in(option, value)))] if agreeing else []


class _Root:
    """A page as a whole, which its parts may refer to."""

    def __init__(self, block: Block) -> None:
        self._definitions = {key: block[key] for key in ("definitions", "$defs") if key in block}
        self._scope: Scope | None = None
        with suppress(SchemaError):  # said with its place by whoever checks the values
            self._scope = root_scope(block)

    def referred(self, schema: Block) -> Any:
        """Where the reference of a schema leads; None: there is none, or it leads nowhere."""
        reference = schema.get("$ref")
        if self._scope is None or not isinstance(reference, str):
            return None
        try:
            return self._scope.find(reference, schema)[0]
        except SchemaError:  # as above
            return None

    def fits(self, value: Any, part: Any) -> bool:
        """Whether a part of the page takes a value."""
        return fits(value, {**self._definitions, **part} if isinstance(part, Mapping) else part)


def page(block: Block) -> Field:
    """A page of the form, as a field."""
    return Field([block], _Root(block))


def all_fields(blocks: Iterable[Block]) -> Iterator[tuple[str, Field]]:
    """The fields of a form by name, whatever they depend on."""
    for block in blocks:
        yield from page(block).members().items()


def _members_in(option: Any, value: Block) -> list[tuple[str, Any]]:
    return [(name, rule) for name, rule in as_object(as_object(option).get("properties")).items() if name in value]


def _is_text(schema: Block) -> bool:
    kind = schema.get("type")
    if kind is None:
        choices = [schema["const"]] if "const" in schema else _list(schema.get("enum"))
        return bool(choices) and all(isinstance(one, str) for one in choices)
    return "string" in (kind if isinstance(kind, list) else [kind])


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []
