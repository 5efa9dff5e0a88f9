"""The blocks of a form -> the parameters that they declare, and what is wrong with them as schemas."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache, cached_property, partial
from typing import Any, Final

from greenroom_scaffolder.schemas import SchemaError, TooMuchError
from greenroom_scaffolder.schemas.combining import TYPES
from greenroom_scaffolder.schemas.patterns import matcher
from greenroom_scaffolder.schemas.references import root_scope
from greenroom_scaffolder.templates.findings import Findings
from greenroom_scaffolder.templates.located import Located

_LISTS: Final = ("allOf", "anyOf", "oneOf")
_CONDITIONS: Final = ("if", "then", "else", "not")
_SINGLES: Final = (*_CONDITIONS, "additionalProperties", "additionalItems", "contains", "propertyNames")
_DEFINITIONS: Final = ("definitions", "$defs")
_MAPS: Final = ("properties", "patternProperties", *_DEFINITIONS, "dependencies")
_SAME_VALUE: Final = frozenset({*_CONDITIONS, *_LISTS, "dependencies"})
"""Keys whose schemas are about the value itself."""
_DEEPEST: Final = 50
PLACEHOLDERS: Final = ("$text", "$json", "$yaml")


def declared(schema: Any) -> set[str]:
    """Names of the members that a schema says anything about, also under conditions and where it refers to."""
    parts = list(_parts_of_value(schema, schema))
    required = (part["required"] for part in parts if isinstance(part.get("required"), list))
    return _properties(parts).union(name for names in required for name in names if isinstance(name, str))


def fields(schema: Any, root: Any = None) -> set[str]:
    """Names of the members that a schema has a schema for. `root` is what its references point into, if not itself."""
    return _properties(_parts_of_value(schema, schema if root is None else root))


def _properties(parts: Iterable[Mapping[str, Any]]) -> set[str]:
    return {name for part in parts if isinstance(part.get("properties"), Mapping) for name in part["properties"]}


def _parts_of_value(schema: Any, root: Any) -> Iterator[Mapping[str, Any]]:
    """The schema and the subschemas that are about the same value, each once."""
    seen: set[int] = set()
    waiting = [schema]
    pointers = _Pointers(root)
    while waiting:
        part = waiting.pop()
        if not isinstance(part, Mapping) or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        waiting.extend(part.get(key) for key in _CONDITIONS)
        waiting.extend(inner for key in _LISTS if isinstance(part.get(key), list) for inner in part[key])
        rules = part.get("dependencies")
        waiting.extend(rules.values() if isinstance(rules, Mapping) else ())
        if isinstance(part.get("$ref"), str):
            waiting.append(pointers.followed(part["$ref"]))


class _Pointers:
    """What references lead to within a schema."""

    def __init__(self, root: Any) -> None:
        self._root = root

    @cached_property
    def _scope(self) -> Any:
        return root_scope({"schema": self._root})

    def followed(self, reference: str) -> Any:
        try:
            return self._scope.find(f"#/schema{reference.removeprefix('#')}", {})[0]
        except SchemaError:
            return None


def is_open(schema: Any) -> bool:
    """Whether a schema expects members that it does not name."""
    if not isinstance(schema, Mapping) or has_placeholder(schema):
        return True
    more = schema.get("additionalProperties")
    return bool(schema.get("patternProperties")) or more is True or isinstance(more, Mapping)


def is_placeholder(value: Any) -> bool:
    """Whether the catalog puts what stands elsewhere in the place of a value."""
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in PLACEHOLDERS


def has_placeholder(value: Any) -> bool:
    """Whether there is one in a value, or it is one."""
    if isinstance(value, Mapping):
        return is_placeholder(value) or any(map(has_placeholder, value.values()))
    return isinstance(value, list) and any(map(has_placeholder, value))


def filled_by_others(schema: Any) -> Iterator[str]:
    """Parameters that fields of the organisation's own may fill in besides themselves: what their options name."""
    if isinstance(schema, Mapping):
        if "ui:field" in schema:
            for text in _texts(schema.get("ui:options")):
                yield text.partition(".")[0]
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from filled_by_others(part)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(inner)


_Fields = Callable[[], Collection[str] | None]
"""The members that all of a form together has a schema for, of one value; None if there may be any."""


def all_fields(*schemas: Any) -> set[str] | None:
    """What schemas of one value have a schema for, taken together; None if there may be more."""
    return None if any(map(is_open, schemas)) else {name for schema in schemas for name in fields(schema)}


def check_block(block: Located, path: tuple[str | int, ...], findings: Findings, known: Collection[str] | None) -> None:
    """What is wrong with a block as a schema. `known` are the fields of all blocks; None if there may be any."""
    try:
        scope = root_scope(block.value)
    except SchemaError as error:
        findings.error("invalid-schema", block.place, f"The parameters are no JSON Schema: {error.message}", path=path)
        return
    for way, schema, value in _schemas(block, path, block.value, lambda: known):
        _check_pattern(schema, way, findings)
        _check_types(schema, way, findings)
        _check_required(schema, value, way, findings)
        _check_enum(schema, way, findings)
        reference = schema.members.get("$ref")
        if reference is not None and isinstance(reference.value, str) and reference.value:
            try:
                scope.find(reference.value, schema.value)
            except SchemaError as error:
                findings.error("invalid-schema", reference.place, error.message, path=(*way, "$ref"))


def _schemas(
    schema: Located, path: tuple[str | int, ...], root: Any, value: _Fields, depth: int = 0
) -> Iterator[tuple[tuple[str | int, ...], Located, _Fields]]:
    """The schema and all within it, with the ways to them, and the fields of the values that they are about."""
    if not isinstance(schema.value, Mapping) or depth > _DEEPEST:
        return
    yield path, schema, value
    for key, member in schema.members.items():
        for way, inner in _inside(key, member):
            about = value if key in _SAME_VALUE else cache(partial(_fields_within, inner.value, root, value, key))
            yield from _schemas(inner, (*path, *way), root, about, depth + 1)


def _fields_within(schema: Any, root: Any, around: _Fields, key: str) -> set[str] | None:
    """Those of another value than the one around it. Whether a definition is of that one depends on who refers to it."""
    outside = around() if key in _DEFINITIONS else ()
    return None if outside is None or is_open(schema) else fields(schema, root).union(outside)


def _inside(key: str, member: Located) -> Iterator[tuple[tuple[str | int, ...], Located]]:
    """The schemas that stand under a key of a schema."""
    if key in _MAPS:
        yield from (((key, name), inner) for name, inner in member.members.items())
    elif key in _LISTS or (key == "items" and member.items):
        yield from (((key, index), inner) for index, inner in enumerate(member.items))
    elif key in _SINGLES or key == "items":
        yield (key,), member


def _check_pattern(schema: Located, path: tuple[str | int, ...], findings: Findings) -> None:
    pattern = schema.members.get("pattern")
    if pattern is None or not isinstance(pattern.value, str):
        return
    try:
        matcher(pattern.value)
    except (SchemaError, TooMuchError) as error:
        findings.error("invalid-pattern", pattern.place, error.message, path=(*path, "pattern"))


def _check_types(schema: Located, path: tuple[str | int, ...], findings: Findings) -> None:
    types = schema.members.get("type")
    for named in [*types.items, types] if types is not None else []:
        if isinstance(named.value, str) and named.value not in TYPES:
            near = findings.nearest(named.value, TYPES)
            findings.warning(
                "unknown-type",
                named.place,
                f'"{named.value}" is no type, so that any value will do',
                f'did you mean "{near}"?' if near else f"known are {', '.join(TYPES)}",
                (*path, "type"),
            )


def _check_enum(schema: Located, path: tuple[str | int, ...], findings: Findings) -> None:
    values = schema.members.get("enum")
    if values is not None and not isinstance(values.value, list) and not is_placeholder(values.value):
        hint = "write `const` for a single value"
        findings.error("invalid-schema", values.place, "`enum` is not a list of values", hint, (*path, "enum"))


def _check_required(schema: Located, value: _Fields, path: tuple[str | int, ...], findings: Findings) -> None:
    """A required member that nothing declares has no field, so that nobody can fill it in."""
    required, members = schema.members.get("required"), schema.members.get("properties")
    if required is None or members is None or is_open(schema.value) or (known := value()) is None:
        return
    for name in required.items:
        if isinstance(name.value, str) and name.value not in known:
            near = findings.nearest(name.value, known)
            hint = f'did you mean "{near}"?' if near else None
            message = f'"{name.value}" is required, but the form has no such field'
            findings.warning("required-without-field", name.place, message, hint, (*path, "required"))
