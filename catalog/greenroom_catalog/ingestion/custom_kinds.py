"""Kinds that plugins describe by JSON Schema: is an entity sound, which lists have no order, what relations follow.

What upstream does for the kinds of its model sources, in its words. Nothing is ever fetched: a reference to elsewhere is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from greenroom.entity import DEFAULT_NAMESPACE, Entity, parse_ref, ref_of
from greenroom.errors import ConfigError, GreenroomError
from greenroom.javascript.texts import sorted_texts
from greenroom.javascript.values import text_of
from greenroom.plugin import EntityKind, RelationField
from greenroom_catalog.ingestion.guard import Alarm, BlockedError
from greenroom_catalog.model import Relation

PROCESSOR = "ModelProcessor"
"""Who complains, in upstream's messages."""
MOST = 20
"""Problems of one entity that are told."""
LONGEST_CHECK = 2.0
"""Seconds: a pattern of a schema can take for ever on a text that was made for it."""


class SoundnessError(GreenroomError):
    """The entity is not what its kind must be"""

    name = "TypeError"  # what upstream throws when a schema does not match

    def __init__(self, message: str, path: list[str | int]) -> None:
        """`path` leads to the first problem, so that a message can point at the line of a file."""
        super().__init__(message)
        self.path = path


class CustomKinds:
    """All kinds that plugins brought."""

    def __init__(self, kinds: Iterable[EntityKind]) -> None:
        """Raises ConfigError for a schema that is none."""
        self._kinds = {(version, kind.kind): (kind, _compiled(kind)) for kind in kinds for version in kind.versions}

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def order(self, entity: Entity) -> Entity:
        """The entity with the lists sorted that make relations. The given one is not changed."""
        kind = self._of(entity)
        for field in kind[0].relations if kind else ():
            value = _get(entity, field.field)
            if isinstance(value, list) and len(value) > 1 and all(isinstance(item, str) for item in value):
                entity = _set(entity, field.field.split("."), sorted_texts(value))
        return entity

    def check(self, entity: Entity) -> bool:
        """Whether a plugin describes this kind. Raises SoundnessError."""
        kind = self._of(entity)
        if kind is None:
            return False
        try:
            with Alarm(LONGEST_CHECK):
                errors = [error for _, error in zip(range(MOST), kind[1].iter_errors(entity), strict=False)]
        except BlockedError as error:
            message = f"Validation of {entity['kind']} entity failed: it took longer than {LONGEST_CHECK:g} s"
            raise SoundnessError(message, []) from error
        except Unresolvable as error:
            message = f"Validation of {entity['kind']} entity failed: the schema refers to {error.ref}, which it does not hold"
            raise SoundnessError(message, []) from error
        if errors:
            told = "; ".join(describe_problem(error) for error in errors)
            raise SoundnessError(f"Validation of {entity['kind']} entity failed: {told}", list(errors[0].absolute_path))
        return True

    def relations(self, entity: Entity) -> Iterable[Relation]:
        """The relations that the kind's fields make, in both directions. Raises EntityRefError."""
        kind = self._of(entity)
        namespace = entity["metadata"].get("namespace") or DEFAULT_NAMESPACE
        itself = ref_of(entity)
        for field in kind[0].relations if kind else ():
            for reference in _references(entity, field):
                other = str(parse_ref(reference, default_kind=field.kind, default_namespace=namespace))
                yield Relation(itself, field.relation, other)
                if field.reverse is not None:
                    yield Relation(other, field.reverse, itself)

    def _of(self, entity: Entity) -> tuple[EntityKind, Validator] | None:
        return self._kinds.get((entity["apiVersion"], entity["kind"]))


def _compiled(kind: EntityKind) -> Validator:
    schema = dict(kind.schema)
    validator: type[Validator] = validator_for(schema, default=Draft7Validator)
    try:
        validator.check_schema(schema)
    except SchemaError as error:
        raise ConfigError(f"plugins: the kind {kind.kind}", f"its schema is not valid: {error.message}") from error
    return validator(schema, registry=Registry())


def _references(entity: Entity, field: RelationField) -> list[str]:
    value = _get(entity, field.field)
    return [item for item in (value if isinstance(value, list) else [value]) if item and isinstance(item, str)]


def _get(value: Any, dotted: str) -> Any:
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _set(value: Entity, keys: Sequence[str], item: Any) -> Entity:
    head, *rest = keys
    return {**value, head: _set(value[head], rest, item) if rest else item}


# --- AJV's words -----------------------------------------------------------------------------------------------------


def describe_problem(error: ValidationError) -> str:
    """`/spec/size must be number - type: number`: as AJV words it, where it has the keyword."""
    pointer = "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in error.absolute_path)
    message, params = _worded(error)
    told = ", ".join(f"{name}: {text_of(value)}" for name, value in params.items())
    return f"{pointer or '<root>'} {message}{f' - {told}' if told else ''}"


def _worded(error: ValidationError) -> tuple[str, Mapping[str, Any]]:
    """Message and parameters."""
    keyword, limit = str(error.validator), error.validator_value
    if keyword in _LIMITS:
        return _LIMITS[keyword].format(text_of(limit)), {"limit": limit}
    if keyword in _COMPARED:
        sign = _COMPARED[keyword]
        return f"must be {sign} {text_of(limit)}", {"comparison": sign, "limit": limit}
    worded = _WORDED.get(keyword)
    return worded(limit, error) if worded else (error.message, {"keyword": keyword})


_LIMITS = {
    "minLength": "must NOT have fewer than {} characters",
    "maxLength": "must NOT have more than {} characters",
    "minItems": "must NOT have fewer than {} items",
    "maxItems": "must NOT have more than {} items",
    "minProperties": "must NOT have fewer than {} properties",
    "maxProperties": "must NOT have more than {} properties",
}
_COMPARED = {"minimum": ">=", "maximum": "<=", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}


def _type(limit: Any, error: ValidationError) -> tuple[str, Mapping[str, Any]]:
    return f"must be {text_of(limit)}", {"type": limit}


def _required(limit: Any, error: ValidationError) -> tuple[str, Mapping[str, Any]]:
    missing = next((name for name in limit if error.message.startswith(repr(name))), limit[0])
    return f"must have required property '{missing}'", {"missingProperty": missing}


def _additional(limit: Any, error: ValidationError) -> tuple[str, Mapping[str, Any]]:
    schema = error.schema if isinstance(error.schema, dict) else {}
    instance = error.instance if isinstance(error.instance, dict) else {}
    extra = next((key for key in instance if key not in schema.get("properties", {})), "")
    return "must NOT have additional properties", {"additionalProperty": extra}


_WORDED: Mapping[str, Callable[[Any, ValidationError], tuple[str, Mapping[str, Any]]]] = {
    "type": _type,
    "required": _required,
    "additionalProperties": _additional,
    "enum": lambda limit, _: ("must be equal to one of the allowed values", {"allowedValues": limit}),
    "const": lambda limit, _: ("must be equal to constant", {"allowedValue": limit}),
    "pattern": lambda limit, _: (f'must match pattern "{limit}"', {"pattern": limit}),
    "format": lambda limit, _: (f'must match format "{limit}"', {"format": limit}),
    "multipleOf": lambda limit, _: (f"must be multiple of {text_of(limit)}", {"multipleOf": limit}),
    "anyOf": lambda *_: ("must match a schema in anyOf", {}),
    "oneOf": lambda *_: ("must match exactly one schema in oneOf", {"passingSchemas": None}),
    "not": lambda *_: ("must NOT be valid", {}),
}
