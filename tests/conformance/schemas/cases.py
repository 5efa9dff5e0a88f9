"""Pairs of schema and value: written by hand, for what each keyword does and what odd schemas do, and made up at random."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

Case = dict[str, Any]
"""`{"schema", "value"?}`; without a value, there is none (`undefined`)."""

_EVERYTHING: list[Any] = [
    None, True, False, 0, 1, -1, 5, 2.5, 1e21, 1e-7, 123456789012345680000, "", "a", "abc", "5", " 5 ", "0x1f", "😀b",
    [], [1], [1, 2], ["a", "b"], [[1], [1]], [{}, []], {}, {"a": 1}, {"a": None, "b": "x"}, {"1": "x", "b": 2, "0": 3},
    {"constructor": 1}, {"a b": 1, "a.b": {"c": [1, {"d": 2}]}},
]  # fmt: skip

_SCHEMAS: list[Any] = [
    True, False, {}, [], {"type": "string"}, {"type": ["string", "null"]}, {"type": []}, {"type": "any"}, {"type": "date"},
    {"type": "unheard-of"}, {"type": None}, {"type": ""}, {"type": 5}, {"type": [{"minimum": 3}, "string"]},
    {"type": {"type": "string"}}, {"type": [{"$id": "short", "maxLength": 1}]}, {"type": ["", "string"]}, {"type": False},
    {"type": "integer"}, {"type": "number"}, {"type": "boolean"}, {"type": "array"}, {"type": "object"}, {"type": "null"},
    {"enum": ["a", 1, None, [1], {"a": 1}]}, {"enum": []}, {"enum": "a"}, {"enum": [True, 1.5, [None, ["x"]]]},
    {"const": {}}, {"const": []}, {"const": None}, {"const": 1.0}, {"const": [1, None]}, {"const": {"a": 1}},
    {"not": {"type": "string"}}, {"not": "string"}, {"not": []}, {"not": ["string", {"type": "number"}]}, {"not": True},
    {"not": False}, {"not": {}}, {"not": {"$id": "forbidden"}}, {"disallow": "string"}, {"disallow": ["array", "object"]},
    {"not": None, "disallow": "number"}, {"not": [None]}, {"disallow": False, "not": "string"},
    {"anyOf": [{"type": "string"}, {"type": "number"}]}, {"anyOf": []}, {"anyOf": {}}, {"anyOf": None}, {"anyOf": [None]},
    {"anyOf": [{"title": "One", "minimum": 9}, {"$ref": "#/definitions/a"}, {"id": "two", "maximum": -9}],
     "definitions": {"a": {"type": "null"}}},
    {"anyOf": [False, True]}, {"anyOf": [False]}, {"anyOf": ["#"]}, {"anyOf": [5, 0]}, {"anyOf": [0]}, {"anyOf": [""]},
    {"oneOf": [{"type": "string"}, {"minLength": 3}]}, {"oneOf": [{"$id": "a"}, {"id": 5}, {"title": {"x": 1}}]},
    {"oneOf": []}, {"oneOf": 1}, {"oneOf": [{"type": "object"}, None]},
    {"allOf": [{"type": "string"}, {"minLength": 3}, {"title": "T", "const": 1}]}, {"allOf": [{"id": {"a": 1}, "const": 1}]},
    {"allOf": [False]}, {"allOf": [{"allOf": [{"type": "string"}]}]}, {"allOf": ["x"]}, {"allOf": True},
    {"allOf": [{"$ref": "#/definitions/a"}], "definitions": {"a": {"$ref": "#/definitions/b"}, "b": {"const": 7}}},
    {"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"const": 1}}, {"if": {"const": 1}}, {"if": None},
    {"if": True, "then": None}, {"if": {"properties": {"a": {"const": 1}}, "required": ["a"]}, "then": {"required": ["b"]}},
    {"if": False, "else": False}, {"then": False, "else": False}, {"if": "string"}, {"if": [], "then": []},
    {"propertyNames": {"maxLength": 2}}, {"propertyNames": False}, {"propertyNames": None}, {"propertyNames": "x"},
    {"propertyNames": {"pattern": "^[a-z]+$", "enum": ["b"]}},
    {"properties": {"a": {"type": "string"}, "b": {"type": "number"}}}, {"properties": {"a": None}}, {"properties": None},
    {"properties": ["a"]}, {"properties": "ab"}, {"properties": {"a": "x"}}, {"properties": {"a": 5, "b": 0}},
    {"properties": {"2": {"required": True}, "b": {"required": True}, "0": {"required": True}}},
    {"properties": {"a": {"required": True}, "": {"required": True}, "x y": {"required": True}, "9a": {"required": True}}},
    {"properties": {"a": {"properties": {"b": {"required": True}}}}}, {"properties": {"a": {"$ref": "nowhere"}}},
    {"properties": {"a.b": {"properties": {"c": {"items": {"type": "string"}}}}}},
    {"properties": {"a": False}}, {"properties": {"a": [1]}}, {"properties": {"a": {"type": "string", "id": "name"}}},
    {"additionalProperties": False}, {"additionalProperties": {"type": "string"}}, {"additionalProperties": True},
    {"additionalProperties": None}, {"additionalProperties": "x"}, {"additionalProperties": 5},
    {"properties": {"a": {}}, "additionalProperties": False}, {"properties": {}, "additionalProperties": False},
    {"properties": {"a": None}, "additionalProperties": False}, {"properties": "a", "additionalProperties": False},
    {"patternProperties": {"^a": {"type": "string"}, "b": False}}, {"patternProperties": {"a": None}},
    {"patternProperties": {"^a": True}, "additionalProperties": False}, {"patternProperties": None, "additionalProperties": False},
    {"patternProperties": {"(": {}}}, {"patternProperties": {"[0-9]": {"type": "number"}}, "additionalProperties": {"const": 1}},
    {"patternProperties": {}, "additionalProperties": False}, {"patternProperties": {"a": "x"}},
    {"minProperties": 1}, {"maxProperties": 0}, {"minProperties": "1"}, {"maxProperties": None}, {"minProperties": {}},
    {"items": {"type": "number"}}, {"items": [{"type": "number"}, {"type": "string"}]}, {"items": False}, {"items": None},
    {"items": [{"type": "string"}], "additionalItems": False}, {"items": [], "additionalItems": {"type": "number"}},
    {"items": [True], "additionalItems": {"const": "b"}}, {"items": "x"}, {"items": [None]}, {"items": 5}, {"items": [False]},
    {"additionalItems": False}, {"items": {"items": {"type": "string"}}}, {"items": [], "additionalItems": None},
    {"contains": {"type": "number"}}, {"contains": False}, {"contains": None}, {"contains": "x"}, {"contains": True},
    {"minItems": 2}, {"maxItems": 1}, {"minItems": "2"}, {"maxItems": [1]}, {"uniqueItems": True}, {"uniqueItems": "true"},
    {"minimum": 1}, {"maximum": 1}, {"minimum": 1, "exclusiveMinimum": True}, {"maximum": 5, "exclusiveMaximum": True},
    {"minimum": 1, "exclusiveMinimum": False}, {"exclusiveMinimum": 1}, {"exclusiveMaximum": 5}, {"exclusiveMinimum": True},
    {"minimum": "1"}, {"maximum": "x"}, {"minimum": None}, {"maximum": {"a": 1}}, {"minimum": [2]}, {"exclusiveMaximum": "3"},
    {"minimum": 1e21}, {"minimum": 0.1}, {"maximum": -1e-9}, {"minimum": True, "exclusiveMinimum": "yes"},
    {"multipleOf": 2}, {"multipleOf": 0.1}, {"multipleOf": 0}, {"multipleOf": "2"}, {"multipleOf": "x"}, {"multipleOf": None},
    {"divisibleBy": 2.5}, {"divisibleBy": 0}, {"divisibleBy": []}, {"multipleOf": 1e-7}, {"multipleOf": {}}, {"multipleOf": -2},
    {"multipleOf": 1e300}, {"divisibleBy": False},
    {"minLength": 2}, {"maxLength": 2}, {"minLength": "2"}, {"maxLength": "x"}, {"minLength": None}, {"maxLength": -1},
    {"required": ["a", "b"]}, {"required": True}, {"required": []}, {"required": "a"}, {"required": ["constructor", 1, None]},
    {"required": ["a", "a", "c"]},
    {"pattern": "^a"}, {"pattern": "("}, {"pattern": None}, {"pattern": 5}, {"pattern": ["a", "b"]}, {"pattern": {}},
    {"pattern": "^[a-z0-9\\-]+$"}, {"pattern": "^\\-"}, {"pattern": "^.$"}, {"pattern": "\\d{2,}"}, {"pattern": "^(?!a)"},
    {"pattern": "b$"}, {"pattern": "*"}, {"pattern": "a{2,1}"}, {"pattern": "[b-a]"}, {"pattern": ")"}, {"pattern": "\\"},
    {"pattern": ""}, {"pattern": True},
    {"format": "email"}, {"format": "uri"}, {"format": "unheard-of"}, {"format": None}, {"format": 5}, {"format": "regex"},
    {"format": "utc-millisec"}, {"format": "alphanumeric"}, {"format": "color"}, {"format": "hostname"}, {"format": ["email"]},
    {"dependencies": {"a": "b"}}, {"dependencies": {"a": ["b", "c"]}}, {"dependencies": {"a": {"required": ["z"]}}},
    {"dependencies": {"a": None}}, {"dependencies": {"a": False}}, {"dependencies": {"a": 5}}, {"dependencies": []},
    {"dependencies": {"a": ["toString"], "constructor": ["q"]}}, {"dependencies": {"a": [1, None]}}, {"dependencies": "a"},
    {"dependencies": {"a": {"oneOf": [{"properties": {"a": {"enum": [2]}}}, {"required": ["b"]}]}}},
    {"extends": {"type": "string"}, "minLength": 2}, {"extends": [{"type": "string"}, {"type": ["number"]}]},
    {"extends": "#/definitions/a", "definitions": {"a": {"type": "object", "required": ["q"]}}}, {"extends": None},
    {"extends": {"required": ["x"]}, "required": ["a"]}, {"extends": 5}, {"extends": [None]}, {"extends": [[1]]},
    {"required": ["a"], "extends": {"required": ["a", {"b": 1}], "properties": {"a": {"type": "string"}}}},
    {"properties": {"a": {"extends": {"$ref": "#/definitions/z"}, "title": "t"}}, "definitions": {"z": {"const": 9}}},
    {"extends": {"$ref": "#/definitions/z"}, "definitions": {"z": {"enum": ["q"]}}},
    {"extends": {"enum": [None]}, "enum": [1]}, {"extends": {"extends": {"type": "string"}}},
    {"$ref": "#/definitions/a", "type": "null", "definitions": {"a": {"type": "string"}}}, {"$ref": "#/nowhere"},
    {"$ref": ""}, {"$ref": 5}, {"$ref": {"a": 1}}, {"$ref": "other"}, {"$ref": "other#"}, {"$ref": "http://x/y"}, {"$ref": "//["},
    {"$ref": "#/properties/a", "properties": {"a": {"type": "string"}}},
    {"$ref": "#/$defs/x~1y~0z", "$defs": {"x/y~z": {"const": 1}}},
    {"$ref": "#/definitions/a%20b", "definitions": {"a b": {"const": 1}}}, {"$ref": "#/definitions/%", "definitions": {"%": {}}},
    {"$ref": "#/definitions/a b", "definitions": {"a b": {"const": 1}}}, {"$ref": "#/items/0", "items": [{"type": "string"}]},
    {"$ref": "#/definitions/a/0", "definitions": {"a": [{"const": 2}]}}, {"$ref": "#/definitions/a/b", "definitions": {"a": 5}},
    {"$ref": "#/definitions/a", "definitions": {"a": False}}, {"$ref": "#/definitions/a", "definitions": {"a": None}},
    {"$ref": "#/definitions/a", "definitions": {"a": "x"}}, {"$ref": "#frag", "definitions": {"a": {"id": "#frag", "const": 1}}},
    {"$id": "http://x/y/z", "$ref": "w", "definitions": {"w": {"$id": "w", "const": 1}}},
    {"$id": "http://x/y/z", "properties": {"a": {"$ref": "#/definitions/w"}}, "definitions": {"w": {"const": 3}}},
    {"id": "root", "properties": {"a": {"id": "leaf", "const": 3}, "b": {"$ref": "leaf"}}},
    {"$id": "urn:a:b", "properties": {"a": {"const": 2}}}, {"$id": "urn:a:b"}, {"id": "http://["}, {"id": 5, "const": 1},
    {"id": {"type": "string"}, "const": 1}, {"$id": "", "id": "x", "const": 1}, {"id": "a b#c", "const": 1},
    {"properties": {"a": {"id": "q", "const": 1}, "b": {"id": "q", "const": 2}}},
    {"properties": {"a": {"id": "q", "const": 1}, "b": {"id": "q", "const": 1}}},
    {"properties": {"id": {"type": "string"}, "$ref": {"type": "string"}, "type": {"type": "number"}}},
    {"if": {"id": "cond", "type": "string"}, "then": {"id": "yes", "$ref": "cond"}, "else": {"id": "no", "const": 1}},
    {"definitions": {"tree": {"properties": {"a": {"$ref": "#/definitions/tree"}}, "type": "object"}},
     "$ref": "#/definitions/tree"},
    {"title": "T", "description": "d", "default": 1, "examples": [], "$comment": "c", "const": 3},
    {"title": {"toString": 1}, "toString": {}, "constructor": 5, "const": 3},
]  # fmt: skip


def written() -> Iterator[Case]:
    """Each schema by hand with each kind of value, and with none."""
    for schema in _SCHEMAS:
        yield {"schema": schema}
        for value in _EVERYTHING:
            yield {"schema": schema, "value": value}


def _words(rng: random.Random) -> str:
    return rng.choice(["a", "b", "c", "d e", "1", "0", "x.y", "9z", "", "constructor", "ä"])


def _number(rng: random.Random) -> Any:
    return rng.choice([0, 1, 2, 3, 5, -1, 1.5, 0.1, 10, 100.25])


def _odd(rng: random.Random) -> Any:
    return rng.choice([None, True, False, 0, 1, "", "a", [], ["a"], {}, {"a": 1}, [None]])


class Maker:
    """Schemas that are mostly sensible, and values that mostly have to do with them."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def case(self) -> Case:
        schema = self.schema(3)
        if isinstance(schema, dict) and self.rng.random() < 0.4:
            schema["definitions"] = {"d": self.schema(1), "e": self.schema(2)}
        return {"schema": schema, "value": self.value(3)}

    def schema(self, depth: int) -> Any:
        rng = self.rng
        if rng.random() < 0.06:
            return rng.choice([True, False])
        if rng.random() < 0.08:
            return {"$ref": rng.choice(["#/definitions/d", "#/definitions/e", "#/definitions/d", "#/nowhere", "d"])}
        keywords = rng.sample(sorted(self.MAKERS), k=rng.choice([0, 1, 1, 2, 2, 3, 5]))
        return {key: _odd(rng) if rng.random() < 0.03 else self.MAKERS[key](self, depth - 1) for key in keywords}

    def schemas(self, depth: int) -> list[Any]:
        return [self.schema(depth) for _ in range(self.rng.randint(0 if self.rng.random() < 0.1 else 1, 3))]

    def members(self, depth: int) -> dict[str, Any]:
        names = [_words(self.rng) for _ in range(self.rng.randint(0, 4))]
        # Upstream gives an object that lacks it a `constructor` of its own, by asking for it: not worth having.
        return {name: self.schema(depth) if depth > 0 else {} for name in names if name != "constructor"}

    def value(self, depth: int) -> Any:
        kind = self.rng.choice(["object"] * 4 + ["array"] * 2 + ["string"] * 2 + ["number", "number", "other"])
        if kind == "object" and depth > 0:
            return {_words(self.rng): self.value(depth - 1) for _ in range(self.rng.randint(0, 4))}
        if kind == "array" and depth > 0:
            return [self.value(depth - 1) for _ in range(self.rng.randint(0, 4))]
        if kind == "number":
            return _number(self.rng)
        return (
            self.rng.choice(["", "a", "ab", "abc-1", "x@y.zz", "2020-01-01", "😀"])
            if kind == "string"
            else _odd(self.rng)
        )

    def kind(self) -> Any:
        return self.rng.choice(["string", "number", "integer", "boolean", "array", "object", "null", "any"])

    MAKERS: dict[str, Callable[[Maker, int], Any]] = {  # noqa: RUF012 - a table, never written to
        "type": lambda m, d: m.kind() if m.rng.random() < 0.7 else [m.kind(), m.schema(d) if d > 0 else m.kind()],
        "enum": lambda m, d: [m.value(1) for _ in range(3)],
        "const": lambda m, d: m.value(1),
        "anyOf": lambda m, d: m.schemas(d) if d > 0 else [{}],
        "oneOf": lambda m, d: m.schemas(d) if d > 0 else [{}],
        "allOf": lambda m, d: m.schemas(d) if d > 0 else [{}],
        "not": lambda m, d: m.schema(d) if d > 0 else m.kind(),
        "disallow": lambda m, d: [m.kind(), m.schema(d) if d > 0 else {}],
        "if": lambda m, d: m.schema(d) if d > 0 else True,
        "then": lambda m, d: m.schema(d) if d > 0 else False,
        "else": lambda m, d: m.schema(d) if d > 0 else False,
        "properties": lambda m, d: m.members(d),
        "patternProperties": lambda m, d: {m.rng.choice(["^a", "[0-9]", "\\-", ".", "^$"]): m.schema(d) if d > 0 else {}},
        "additionalProperties": lambda m, d: m.schema(d) if d > 0 else False,
        "propertyNames": lambda m, d: m.schema(d) if d > 0 else {"maxLength": 1},
        "items": lambda m, d: m.schemas(d) if m.rng.random() < 0.4 else m.schema(d) if d > 0 else {"type": "string"},
        "additionalItems": lambda m, d: m.schema(d) if d > 0 else False,
        "contains": lambda m, d: m.schema(d) if d > 0 else {"type": "number"},
        "dependencies": lambda m, d: {_words(m.rng): m.rng.choice(["b", ["a", "c"], m.schema(max(d, 0)), {}])},
        "extends": lambda m, d: m.schema(d) if d > 0 else {"type": "object"},
        "required": lambda m, d: m.rng.choice([True, [_words(m.rng)], [_words(m.rng), _words(m.rng)]]),
        "uniqueItems": lambda m, d: True,
        "minimum": lambda m, d: _number(m.rng),
        "maximum": lambda m, d: _number(m.rng),
        "exclusiveMinimum": lambda m, d: m.rng.choice([True, False, _number(m.rng)]),
        "exclusiveMaximum": lambda m, d: m.rng.choice([True, False, _number(m.rng)]),
        "multipleOf": lambda m, d: _number(m.rng),
        "divisibleBy": lambda m, d: _number(m.rng),
        "minLength": lambda m, d: _number(m.rng),
        "maxLength": lambda m, d: _number(m.rng),
        "minItems": lambda m, d: _number(m.rng),
        "maxItems": lambda m, d: _number(m.rng),
        "minProperties": lambda m, d: _number(m.rng),
        "maxProperties": lambda m, d: _number(m.rng),
        "pattern": lambda m, d: m.rng.choice(["^a", "^[a-z\\-]+$", "b$", "(?=x)", "^\\S+@\\S+$", "(?<n>a)\\k<n>", "\\u{1F600}"]),
        "format": lambda m, d: m.rng.choice(["email", "date", "uri", "hostname", "regex", "ipv6", "odd"]),
        "id": lambda m, d: m.rng.choice(["i", "j", "#k", "http://h/"]),
        "title": lambda m, d: m.rng.choice(["T", ""]),
    }  # fmt: skip


def made_up(seed: int, count: int) -> Iterator[Case]:
    maker = Maker(seed)
    for _ in range(count):
        yield maker.case()


def encoded(case: Case) -> bytes:
    return msgspec.json.encode(case)
