"""JSON Schema of a form -> values that it should take; the same ones each time."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from greenroom.javascript.numbers import as_double
from greenroom_scaffolder.schemas import SchemaError, TooMuchError, validate
from greenroom_scaffolder.templates.template import as_object

_DEEPEST = 8
_MOST = 5000
_TRIES = 24
_REPO = "github.com?owner=acme&repo=service"
_FORMATS = {
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "date": "2026-11-22",
    "date-time": "2026-11-22T01:15:00Z",
    "time": "01:15:00",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
}
_FIELDS = {
    "RepoUrlPicker": _REPO,
    "OwnerPicker": "group:default/team-a",
    "EntityPicker": "component:default/service",
    "OwnedEntityPicker": "component:default/service",
    "MyGroupsPicker": "group:default/team-a",
    "EntityNamePicker": "service",
}
_WORDS = (
    "service", "my-service", "a", "abc", "Abc", "ABC", "1", "12", "123456789012", "1.2.3", "v1.0.0", "my_service", "service1",
    "/service", "com.example.service", "example.com", "https://example.com/a", "https://github.com/acme/service",
    "https://github.com/acme/service.git", "github.com?owner=acme&repo=service", "acme/service", "someone@example.com",
    "10.0.0.0/16", "10.0.0.1", "2026-11-22", "t3.micro", "eu-west-1", "arn:aws:iam::123456789012:role/x", "ABC-123", "true",
    "Some Text", "user:default/guest", "group:default/team-a", "component:default/service", "100Mi", "500m", "#a1b2c3",
)  # fmt: skip


def good_values(schema: Mapping[str, Any]) -> Iterator[Any]:
    """The least that the form takes, and all that it asks for, in some variety. What it would refuse is left out."""
    for seed in range(_TRIES // 4):
        value = _Maker(schema, seed, everything=seed > 0).value(schema)
        if fits(value, schema):
            yield value


def fits(value: Any, schema: Any) -> bool:
    """Whether the schema takes the value. A schema that is none takes nothing."""
    try:
        return not validate(value, schema)
    except (SchemaError, TooMuchError):
        return False


class _Maker:
    """Makes one value: with `everything`, optional members too."""

    def __init__(self, root: Mapping[str, Any], seed: int, *, everything: bool) -> None:
        self.root, self.everything = root, everything
        self.rng = random.Random(seed)  # noqa: S311 - for variety, not for secrecy
        self.seed, self.made = seed, 0

    def value(self, schema: Any, depth: int = 0) -> Any:
        schema = self.followed(schema)
        self.made += 1
        if depth > _DEEPEST or self.made > _MOST or not isinstance(schema, Mapping):
            return None
        made = self.plain(schema, depth)
        return self.refined(schema, made, depth) if isinstance(made, dict) else made

    def followed(self, schema: Any) -> Any:
        """What a local reference leads to."""
        for _ in range(_DEEPEST):
            reference = as_object(schema).get("$ref")
            if not isinstance(reference, str):
                return schema
            schema = self.root
            for step in reference.removeprefix("#/").split("/"):
                schema = as_object(schema).get(step)
        return None

    def plain(self, schema: Mapping[str, Any], depth: int) -> Any:
        for key in ("const", "default") if self.seed % 2 else ("const",):
            if key in schema:
                return schema[key]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return self.rng.choice(schema["enum"])
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = self.rng.choice(kind) if kind else None
        if not isinstance(kind, str):
            kind = "object" if "properties" in schema or depth == 0 else "array" if "items" in schema else None
        if kind is None:
            return self.alternative(schema, depth)
        makers: dict[str, Callable[[Mapping[str, Any], int], Any]] = {
            "object": self.object, "array": self.array, "string": self.string, "number": self.number,
            "integer": self.number, "boolean": lambda schema, depth: self.rng.random() < 0.5,
        }  # fmt: skip
        maker = makers.get(kind)
        return maker(schema, depth) if maker else None

    def alternative(self, schema: Mapping[str, Any], depth: int) -> Any:
        for key in ("oneOf", "anyOf", "allOf"):
            if isinstance(schema.get(key), list) and schema[key]:
                return self.value(self.rng.choice(schema[key]), depth + 1)
        return self.string(schema, depth)

    def object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        members = as_object(schema.get("properties"))
        needed = _listed(schema.get("required"))
        wanted = [key for key in members if self.everything or key in needed]
        made = {key: self.value(members[key], depth + 1) for key in wanted}
        for key in needed:
            made.setdefault(str(key), "x")
        return made

    def refined(self, schema: Mapping[str, Any], made: dict[str, Any], depth: int) -> dict[str, Any]:
        """The object with what conditional parts of the schema ask for besides."""
        parts: list[Any] = [*_listed(schema.get("allOf"))]
        parts.extend(self.rng.choice(options) for key in ("oneOf", "anyOf") if (options := _listed(schema.get(key))))
        if "if" in schema:
            parts.append(schema.get("then" if fits(made, schema["if"]) else "else"))
        for key, rule in as_object(schema.get("dependencies")).items():
            if key in made and isinstance(rule, Mapping):
                parts.append(self.fitting(rule, made))
            elif key in made and isinstance(rule, list):
                parts.append({"required": rule})
        for part in parts:
            if isinstance(self.followed(part), Mapping):
                further = self.value({"type": "object", **self.followed(part)}, depth + 1)
                made = {**(further if isinstance(further, dict) else {}), **made}
        return made

    def fitting(self, rule: Mapping[str, Any], made: dict[str, Any]) -> Any:
        """Of a dependency's alternatives, one that agrees with what there is."""
        for option in _listed(rule.get("oneOf")):
            members = as_object(as_object(option).get("properties"))
            if all(fits(made[key], member) for key, member in members.items() if key in made):
                return option
        return rule

    def array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        least, most = _count(schema.get("minItems"), 0), _count(schema.get("maxItems"), 20)
        count = min(max(least, self.rng.randint(0, 3) if self.everything else 0), most, 20)
        rule = schema.get("items")
        if isinstance(rule, list):
            rules = [*rule, *[{}] * count][:count]
        else:
            rules = [rule if rule is not None else {"type": "string"}] * count
        made = [self.value(one, depth + 1) for one in rules]
        if schema.get("uniqueItems") is True:
            made = [item for at, item in enumerate(made) if item not in made[:at]]
        return made

    def number(self, schema: Mapping[str, Any], depth: int) -> float:
        low, high = _bound(schema, "minimum", "exclusiveMinimum", 1), _bound(schema, "maximum", "exclusiveMaximum", -1)
        step = schema.get("multipleOf")
        base = low if low is not None else min(high, 1) if high is not None else 1
        if isinstance(step, int | float) and step > 0 and math.isfinite(as_double(base) / as_double(step)):
            base = math.ceil(base / step) * step
        return self.rng.choice([base, high]) if high is not None and high >= base and not step else base

    def string(self, schema: Mapping[str, Any], depth: int) -> str:
        """The first that does, beginning with what the schema itself shows."""
        shown = [schema.get("default"), *_listed(schema.get("examples")), schema.get("ui:placeholder")]
        likely = [_FIELDS.get(str(schema.get("ui:field"))), _FORMATS.get(str(schema.get("format")))]
        length = _count(schema.get("minLength"), 0)
        words = self.rng.sample(_WORDS, len(_WORDS))
        candidates = [*shown, *likely, *words, "a" * min(length, 1000)]
        texts = [text for text in candidates if isinstance(text, str) and text]
        rules = {
            key: rule for key, rule in schema.items() if key in {"pattern", "minLength", "maxLength", "format", "type"}
        }
        return next((text for text in texts if fits(text, rules)), texts[0])


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _count(value: Any, default: int) -> int:
    """A number of items or characters; more than a form could show are as good as a million."""
    return int(min(value, 1_000_000)) if isinstance(value, int | float) and value >= 0 else default


def _bound(schema: Mapping[str, Any], inclusive: str, exclusive: str, inside: int) -> float | None:
    edge, beyond = schema.get(inclusive), schema.get(exclusive)
    if isinstance(beyond, int | float) and not isinstance(beyond, bool):
        return beyond + inside
    if not isinstance(edge, int | float):
        return None
    return edge + inside if beyond is True else edge
