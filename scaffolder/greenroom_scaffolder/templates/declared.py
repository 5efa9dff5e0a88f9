"""The blocks of a form -> the parameters that they declare, and what is wrong with them as schemas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from greenroom_scaffolder.schemas import SchemaError, TooMuchError
from greenroom_scaffolder.schemas.combining import TYPES
from greenroom_scaffolder.schemas.patterns import matcher
from greenroom_scaffolder.schemas.references import root_scope
from greenroom_scaffolder.templates.findings import Findings
from greenroom_scaffolder.templates.located import Located

_LISTS: Final = ("allOf", "anyOf", "oneOf")
_SINGLES: Final = ("if", "then", "else", "not", "additionalProperties", "additionalItems", "contains", "propertyNames")
_MAPS: Final = ("properties", "patternProperties", "definitions", "$defs", "dependencies")
_DEEPEST: Final = 50
PLACEHOLDERS: Final = ("$text", "$json", "$yaml")


def declared(schema: Any) -> set[str]:
    """Names of the members that a schema says anything about, also under conditions and where it refers to."""
    names: set[str] = set()
    seen: set[int] = set()
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, Mapping) or id(part) in seen:
            continue
        seen.add(id(part))
        names.update(_names(part))
        waiting.extend(_parts_of_value(part))
        if isinstance(part.get("$ref"), str):
            waiting.append(_followed(part["$ref"], schema))
    return names


def _names(schema: Mapping[str, Any]) -> Iterator[str]:
    members, required = schema.get("properties"), schema.get("required")
    if isinstance(members, Mapping):
        yield from members
    if isinstance(required, list):
        yield from (name for name in required if isinstance(name, str))


def _parts_of_value(schema: Mapping[str, Any]) -> Iterator[Any]:
    """The subschemas that are about the same value."""
    for key in _LISTS:
        if isinstance(schema.get(key), list):
            yield from schema[key]
    for key in ("if", "then", "else"):
        yield schema.get(key)
    rules = schema.get("dependencies")
    if isinstance(rules, Mapping):
        yield from rules.values()


def _followed(reference: str, root: Any) -> Any:
    """What a pointer into the same schema leads to."""
    try:
        return root_scope({"schema": root}).find(f"#/schema{reference.removeprefix('#')}", {})[0]
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


def check_block(block: Located, path: tuple[str | int, ...], findings: Findings) -> None:
    """What is wrong with a block as a schema."""
    try:
        scope = root_scope(block.value)
    except SchemaError as error:
        findings.error("invalid-schema", block.place, f"The parameters are no JSON Schema: {error.message}", path=path)
        return
    for way, schema in _schemas(block, path):
        _check_pattern(schema, way, findings)
        _check_types(schema, way, findings)
        _check_required(schema, way, findings)
        _check_enum(schema, way, findings)
        reference = schema.members.get("$ref")
        if reference is not None and isinstance(reference.value, str) and reference.value:
            try:
                scope.find(reference.value, schema.value)
            except SchemaError as error:
                findings.error("invalid-schema", reference.place, error.message, path=(*way, "$ref"))


def _schemas(
    schema: Located, path: tuple[str | int, ...], depth: int = 0
) -> Iterator[tuple[tuple[str | int, ...], Located]]:
    """The schema and all within it, with the ways to them."""
    if not isinstance(schema.value, Mapping) or depth > _DEEPEST:
        return
    yield path, schema
    for key, member in schema.members.items():
        if key in _MAPS:
            for name, inner in member.members.items():
                yield from _schemas(inner, (*path, key, name), depth + 1)
        elif key in _LISTS or (key == "items" and member.items):
            for index, inner in enumerate(member.items):
                yield from _schemas(inner, (*path, key, index), depth + 1)
        elif key in _SINGLES or key == "items":
            yield from _schemas(member, (*path, key), depth + 1)


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


def _check_required(schema: Located, path: tuple[str | int, ...], findings: Findings) -> None:
    """A required member that nothing declares has no field, so that nobody can fill it in."""
    required, members = schema.members.get("required"), schema.members.get("properties")
    if required is None or members is None or is_open(schema.value):
        return
    names = declared({key: part for key, part in schema.value.items() if key != "required"})
    for name in required.items:
        if isinstance(name.value, str) and name.value not in names:
            near = findings.nearest(name.value, names)
            hint = f'did you mean "{near}"?' if near else None
            message = f'"{name.value}" is required, but the form has no such field'
            findings.warning("required-without-field", name.place, message, hint, (*path, "required"))
