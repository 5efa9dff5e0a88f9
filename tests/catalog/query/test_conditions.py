from __future__ import annotations

from typing import Any

import pytest

from greenroom.errors import InputError
from greenroom_catalog.query.conditions import (
    All,
    AnyOf,
    Equals,
    Has,
    Not,
    StartsWith,
    condition,
    from_filters,
    from_json,
)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["kind=api"], {"kind": "api"}),
        (["kind=api,spec.type=x"], {"$all": [{"kind": "api"}, {"spec.type": "x"}]}),
        (["kind=api", "kind=group"], {"$any": [{"kind": "api"}, {"kind": "group"}]}),
        (["a=1,a=2,a"], {"a": {"$in": ["1", "2"]}}),
        (["a"], {"a": {"$exists": True}}),
        (["a="], {"a": ""}),
        ([" a = b=c ,"], {"a": "b=c"}),
        ([","], None),
        (None, None),
    ],
)
def test_a_filter_says_what_upstream_takes_it_for(filters: list[str] | None, expected: Any) -> None:
    assert from_filters(filters) == expected


def test_a_statement_without_a_key_is_refused_with_upstreams_sentence() -> None:
    with pytest.raises(InputError) as caught:
        from_filters(["=x"])
    form = "(expected a string on the form a=b or a= or a)"
    assert caught.value.message == f"Invalid filter, '=x' is not a valid statement {form}"


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        ({}, All(())),
        ({"Kind": "API"}, Equals("kind", ("api",))),
        ({"a": 5.0}, Equals("a", ("5",))),
        ({"a": True}, Equals("a", ("true",))),
        ({"a": {"$in": ["X", "x", 1]}}, Equals("a", ("x", "1"))),
        ({"a": {"$exists": False}}, Not(Has("a"))),
        ({"a": {"$exists": "?", "$in": ["y"]}}, Equals("a", ("y",))),
        ({"a": {"$hasPrefix": "Ab"}}, StartsWith("a", "ab")),
        ({"a": {"$contains": "B"}}, Equals("a", ("b",))),
        ({"a": "1", "b": "2"}, All((Equals("a", ("1",)), Equals("b", ("2",))))),
        ({"$any": [{"a": "1"}, {"$not": {"b": "2"}}]}, AnyOf((Equals("a", ("1",)), Not(Equals("b", ("2",)))))),
        ({"relations": {"$contains": {"type": "ownedBy"}}}, Has("relations.ownedby")),
        (
            {"relations": {"$contains": {"type": "ownedBy", "targetRef": {"$in": ["Group:A/b", "user:a/c"]}}}},
            Equals("relations.ownedby", ("group:a/b", "user:a/c")),
        ),
    ],
)
def test_a_predicate_means_what_it_says(predicate: Any, expected: Any) -> None:
    assert condition(from_json(predicate)) == expected


_STRICT = [
    f"Required at \"{operator}\"; Unrecognized key(s) in object: 'kind'" for operator in ("$all", "$any", "$not")
]
_NULL = [
    *(f'Expected {kind}, received null at "kind"' for kind in ("string", "number", "boolean", "object")),
    'Invalid at "kind"; Expected never, received null at "kind"',
    *(f"Expected {kind}, received object" for kind in ("string", "number", "boolean")),
    *_STRICT,
]


@pytest.mark.parametrize(
    ("predicate", "message"),
    [
        ({"$foo": "x"}, 'Invalid query: Validation error: Invalid at "$foo"'),
        ({"$all": [{"a": "b"}], "kind": "x"}, "Invalid query: Validation error: Unrecognized key(s) in object: 'kind'"),
        ({"kind": None}, "Invalid query: Validation error: " + ", or ".join(_NULL)),
        ("a", "Query must be an object"),
    ],
)
def test_a_malformed_predicate_is_refused_in_the_words_upstream_uses(predicate: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        from_json(predicate)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("predicate", "message"),
    [
        ({"$all": ["a"]}, 'not supported. Wrap the value in a field expression, e.g. { "kind": "a" }'),
        ({"A": {"$contains": {"b": "c"}}}, 'Object form of $contains is not supported for field "a"'),
        ({"relations": {"$contains": {}}}, 'for "relations" requires a "type" string property'),
        ({"relations": {"$contains": {"type": "a", "Type": "b"}}}, 'Duplicate key "Type" in $contains'),
        ({"relations": {"$contains": {"foo": "a"}}}, 'Unsupported key "foo" in $contains'),
        ({"relations": {"$contains": {"type": "a", "targetRef": {"$in": []}}}}, 'Empty "$in" array'),
        ({"relations": {"$contains": {"type": "a", "targetRef": 1}}}, "but got 1"),
    ],
)
def test_what_no_query_can_express_is_refused(predicate: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        condition(from_json(predicate))
    assert message in caught.value.message


@pytest.mark.parametrize("operator", ["$not", "$all", "$contains"])
def test_a_deeply_nested_predicate_is_refused_before_it_exhausts_the_stack(operator: str) -> None:
    def nested(levels: int) -> Any:
        inner: Any = {"kind": "api"}
        for _ in range(levels):
            inner = (
                {"$all": [inner]}
                if operator == "$all"
                else {operator: inner}
                if operator == "$not"
                else {"a": {operator: inner}}
            )
        return inner

    assert from_json(nested(45))
    with pytest.raises(InputError, match="levels deep"):
        from_json(nested(5000))
