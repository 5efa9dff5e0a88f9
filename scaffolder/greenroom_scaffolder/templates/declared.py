"""The blocks of a form -> the parameters that they declare, and what is wrong with them as schemas."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
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
_MAPS: Final = ("properties", "patternProperties", "definitions", "$defs", "dependencies")
_SAME_VALUE: Final = frozenset({*_CONDITIONS, *_LISTS, "dependencies", "definitions", "$defs"})
"""Keys whose schemas are about the value itself, or may be."""
_DEEPEST: Final = 50
PLACEHOLDERS: Final = ("$text", "$json", "$yaml")


def declared(schema: Any) -> set[str]:
    """Names of the members that a schema says anything about, also under conditions and where it refers to."""
    parts = list(_parts_of_value(schema, schema))
    required = (part["required"] for part in parts if isinstance(part.get("required"), list))
    return fields(schema).union(name for names in required for name in names if isinstance(name, str))


def fields(schema: Any, root: Any = None) -> set[str]:
    """Names of the members that a schema has a schema for. `root` is what its references point into, if not itself."""
    parts = _parts_of_value(schema, schema if root is None else root)
    return {name for part in parts if isinstance(part.get("properties"), Mapping) for name in part["properties"]}


def _parts_of_value(schema: Any, root: Any) -> Iterator[Mapping[str, Any]]:
    """The schema and the subschemas that are about the same value, each once."""
    seen: set[int] = set()
    waiting = [schema]
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
            waiting.append(_followed(part["$ref"], root))


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


class _Value:
    """What a form says of one value: the outermost schema of it, in a block."""

    def __init__(self, schema: Any, root: Any, besides: Collection[str] = ()) -> None:
        self.schema, self.root, self.besides = schema, root, besides

    @cached_property
    def fields(self) -> set[str] | None:
        """Names of its members; None if any may be."""
        return None if is_open(self.schema) else fields(self.schema, self.root).union(self.besides)


def check_block(block: Located, path: tuple[str | int, ...], findings: Findings, form: Collection[str] | None) -> None:
    """What is wrong with a block as a schema. `form` are the fields of all blocks; None if there may be any."""
    try:
        scope = root_scope(block.value)
    except SchemaError as error:
        findings.error("invalid-schema", block.place, f"The parameters are no JSON Schema: {error.message}", path=path)
        return
    whole = _Value(block.value if form is not None else True, block.value, form or ())
    for way, schema, value in _schemas(block, path, whole):
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
    schema: Located, path: tuple[str | int, ...], value: _Value, depth: int = 0
) -> Iterator[tuple[tuple[str | int, ...], Located, _Value]]:
    """The schema and all within it, with the ways to them, and the values that they are about."""
    if not isinstance(schema.value, Mapping) or depth > _DEEPEST:
        return
    yield path, schema, value
    for key, member in schema.members.items():
        for way, inner in _inside(key, member):
            about = value if key in _SAME_VALUE else _Value(inner.value, value.root)
            yield from _schemas(inner, (*path, *way), about, depth + 1)


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


def _check_required(schema: Located, value: _Value, path: tuple[str | int, ...], findings: Findings) -> None:
    """A required member that nothing declares has no field, so that nobody can fill it in."""
    required, members = schema.members.get("required"), schema.members.get("properties")
    if required is None or members is None or is_open(schema.value) or value.fields is None:
        return
    names = value.fields.union(fields(schema.value, value.root))
    for name in required.items:
        if isinstance(name.value, str) and name.value not in names:
            near = findings.nearest(name.value, names)
            hint = f'did you mean "{near}"?' if near else None
            message = f'"{name.value}" is required, but the form has no such field'
            findings.warning("required-without-field", name.place, message, hint, (*path, "required"))
