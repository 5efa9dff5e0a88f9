"""The comparison can fail: every kind of wrong answer is told apart, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.compare import Outcome, differences, lookup, only_count
from tests.conformance.differences import Difference, documented, intended
from tests.conformance.script import Order
from tests.conformance.scrub import Answer, Scrubber

JSON = {"content-type": "application/json; charset=utf-8"}


def one(body: Any = None, status: int = 200, headers: Mapping[str, str] = JSON) -> Outcome:
    return Outcome(name="x", answer=Answer(status, dict(headers), body))


def named(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [{"metadata": {"name": name}, **more} for name in names]


def envelope(message: str, name: str = "InputError") -> dict[str, Any]:
    return {
        "error": {"name": name, "message": message},
        "request": {"method": "GET", "url": "/x"},
        "response": {"statusCode": 400},
    }


@pytest.mark.parametrize("order", ["exact", "any", "count", {"ties": "metadata.name"}, {"values": "metadata.name"}])
def test_the_same_answer_is_the_same(order: Any) -> None:
    assert differences(one(named("a", "b")), one(named("a", "b")), order) == []


@pytest.mark.parametrize(
    ("answered", "line"),
    [
        (one({"a": 1}, 201), "status: recorded 200, answered 201"),
        (one({"a": 2}), "body.a: recorded 1, answered 2"),
        (one({"a": "1"}), 'body.a: recorded 1, answered "1"'),
        (one({"a": True}), "body.a: recorded 1, answered true"),
        (one({"a": None}), "body.a: recorded 1, answered null"),
        (one({}), 'body.a: recorded 1, answered "<absent>"'),
        (one({"a": 1, "b": 1}), 'body.b: recorded "<absent>", answered 1'),
        (one({"a": 1}, headers={}), f'headers.content-type: recorded "{JSON["content-type"]}", answered "<absent>"'),
        (one({"a": 1}, headers={**JSON, "etag": "x"}), 'headers.etag: recorded "<absent>", answered "x"'),
        (Outcome(name="x", answer=Answer(200, dict(JSON), {"a": 1}, text="t")), 'text: recorded null, answered "t"'),
    ],
)
def test_a_wrong_answer_is_told(answered: Outcome, line: str) -> None:
    assert differences(one({"a": 1}), answered) == [line]


def test_a_refusal_is_told_with_its_words() -> None:
    assert differences(one([]), one(envelope("no"), 400)) == ["status: recorded 200, answered 400 (InputError: no)"]


def test_the_order_counts_unless_it_is_said_not_to() -> None:
    recorded, answered = one(named("a", "b")), one(named("b", "a"))
    assert differences(recorded, answered)
    assert differences(recorded, answered, "any") == []


def test_in_any_order_each_item_still_counts_as_often_as_it_was_recorded() -> None:
    assert differences(one(named("a", "b")), one(named("a", "a")), "any")
    assert differences(one(named("a", "b")), one(named("a")), "any") == ['items: missing {"metadata": {"name": "b"}}']
    assert differences(one(named("a")), one(named("a", "a")), "any") == [
        'items: not recorded {"metadata": {"name": "a"}}'
    ]


def test_an_item_that_changed_is_shown_where_it_changed() -> None:
    recorded, answered = one(named("a", "b", kind="X")), one([*named("b", kind="X"), *named("a", kind="Y")])
    assert differences(recorded, answered, "any") == ['items[a].kind: recorded "X", answered "Y"']


def test_what_surrounds_a_list_is_compared_in_any_order_too() -> None:
    recorded = one({"items": named("a"), "totalItems": 1, "pageInfo": {}})
    answered = one({"items": named("a"), "totalItems": 2, "pageInfo": {"nextCursor": "<nextCursor>"}})
    found = differences(recorded, answered, "any")
    assert found == [
        'body.pageInfo.nextCursor: recorded "<absent>", answered "<nextCursor>"',
        "body.totalItems: recorded 1, answered 2",
    ]


def test_equal_rows_may_change_places_and_no_others() -> None:
    field: Order = {"ties": "metadata.name"}
    recorded = one([*named("A", kind="X"), *named("a", kind="Y"), *named("b")])
    assert differences(recorded, one([*named("a", kind="Y"), *named("A", kind="X"), *named("b")]), field) == []
    assert differences(recorded, one([*named("b"), *named("A", kind="X"), *named("a", kind="Y")]), field)
    assert differences(recorded, one([*named("A", kind="X"), *named("a", kind="Z"), *named("b")]), field)


def test_values_in_order_are_all_that_counts_when_a_page_cuts_through_equal_rows() -> None:
    recorded, answered = one(named("a", "B", kind="X")), one(named("a", "b", kind="Y"))
    assert differences(recorded, answered, {"values": "metadata.name"}) == []
    assert differences(recorded, one(named("b", "a")), {"values": "metadata.name"})


def test_only_the_number_of_items_counts_where_chance_chose_them() -> None:
    assert differences(one(only_count(named("a", "b"))), one(only_count(named("c", "d"))), "count") == []
    assert differences(one(only_count(named("a"))), one(only_count(named("c", "d"))), "count")


def page(*names: str, total: int = 4, **cursors: str) -> Answer:
    return Answer(200, dict(JSON), {"items": named(*names), "totalItems": total, "pageInfo": cursors})


def walk(*pages: Answer, back: tuple[Answer, ...] = (), turned: bool = True) -> Outcome:
    return Outcome(name="x", answer=pages[0], forward=list(pages[1:]), back=list(back), turned=turned)


WALK = walk(page("a", "b", nextCursor="n"), page("c", "d", prevCursor="p"), back=(page("a", "b", nextCursor="n"),))


@pytest.mark.parametrize(
    "answered",
    [
        walk(page("a", "b", nextCursor="n"), page("c", "e", prevCursor="p"), back=(page("a", "b", nextCursor="n"),)),
        walk(page("a", nextCursor="n"), page("b", "c", "d", prevCursor="p"), back=(page("a", nextCursor="n"),)),
        walk(page("a", "b", nextCursor="n"), page("c", "d", prevCursor="p")),
        walk(page("a", "b", nextCursor="n"), page("c", "d"), back=(page("a", "b", nextCursor="n"),)),
        walk(
            page("a", "b", nextCursor="n"),
            page("c", "d", prevCursor="p"),
            back=(page("a", "b", nextCursor="n"),),
            turned=False,
        ),
        walk(
            page("a", "b", nextCursor="n"),
            page("c", "d", total=5, prevCursor="p"),
            back=(page("a", "b", nextCursor="n"),),
        ),
        walk(page("a", "b", nextCursor="n")),
        walk(page("c", "d", nextCursor="n"), page("a", "b", prevCursor="p"), back=(page("c", "d", nextCursor="n"),)),
    ],
)
def test_a_walk_that_goes_wrong_is_told(answered: Outcome) -> None:
    assert differences(WALK, answered, {"ties": "metadata.name"})


def test_a_walk_may_meet_equal_rows_on_other_pages() -> None:
    def tied(first: str, second: str) -> Outcome:
        pages = [Answer(200, dict(JSON), {"items": [{"name": "a", "kind": kind}]}) for kind in (first, second)]
        return walk(*pages)

    assert differences(tied("X", "Y"), tied("Y", "X"), {"ties": "name"}) == []
    assert differences(tied("X", "Y"), tied("X", "X"), {"ties": "name"})


@pytest.mark.parametrize(
    ("recorded", "answered", "same"),
    [
        (
            "YAML error at url:x, YAMLParseError: Nested mappings",
            "YAML error at url:x, YAMLParseError: other words",
            True,
        ),
        (
            "YAML error at url:x, YAMLParseError: Nested mappings",
            "YAML error at url:y, YAMLParseError: Nested mappings",
            False,
        ),
        ("Invalid query: Validation error: Required", "Invalid query: Validation error: Expected", True),
        ("Malformed cursor: SyntaxError: Unexpected end", "Malformed cursor: not base64", True),
        ("Unexpected token 'x', x is not valid JSON", "Unexpected end of input", True),
        ("Unexpected token 'x', x is not valid JSON", "not JSON", False),
        ("request/query/limit must be integer", "request/query/limit must be number", False),
    ],
)
def test_only_the_words_of_other_peoples_parsers_are_let_go(recorded: str, answered: str, same: bool) -> None:
    assert (differences(one(envelope(recorded), 400), one(envelope(answered), 400)) == []) is same


def scrubbed(value: Any, **texts: str) -> Any:
    return Scrubber(texts).answer(200, JSON, value if isinstance(value, bytes) else json.dumps(value).encode()).body


def test_what_chance_decides_is_scrubbed() -> None:
    found = scrubbed(
        {
            "uid": "9f2d7e54-1111-4222-8333-444455556666",
            "etag": "0b1c",
            "message": "since 2026-01-02T03:04:05.678Z logId=abc",
            "nextCursor": "e30=",
        }
    )
    assert found == {
        "uid": "<uuid>",
        "etag": "<etag>",
        "message": "since <time> logId=<id>",
        "nextCursor": "<nextCursor>",
    }


def test_what_was_authored_is_not_scrubbed() -> None:
    value = {"etag": "authored-etag", "date": "2026-01-02", "name": "generated-abc", "location_key": None}
    assert scrubbed(value) == value


def test_numbers_are_compared_as_they_were_printed() -> None:
    assert scrubbed(b"[1, 1.0, 12345678901234567890, 1e21, 1e+21, 1e-7, -0, 1.5e-6, 0.0000015]") == [
        1, "<number 1.0>", "<number 12345678901234567890>", "<number 1e+21>", "<number 1e+21>", "<number 1e-7>", "<number -0>",
        "<number 0.0000015>", "<number 0.0000015>",
    ]  # fmt: skip


def test_addresses_of_a_run_are_replaced_longest_first() -> None:
    texts = {"http://127.0.0.1:1": "http://self.test", "http://127.0.0.1:12": "http://files.test"}
    assert scrubbed(["http://127.0.0.1:12/x"], **texts) == ["http://files.test/x"]


def test_an_entity_tag_is_compared_by_its_kind() -> None:
    weak, strong = (Scrubber({}).answer(200, {"etag": tag}, b"").headers["etag"] for tag in ('W/"1a"', '"1a"'))
    assert weak != strong


def test_a_dotted_path_finds_keys_with_dots() -> None:
    item = {"metadata": {"labels": {"example.net/zone": "x"}}, "list": [{"a": 1}]}
    assert lookup(item, "metadata.labels.example.net/zone") == "x"
    assert lookup(item, "list.0.a") == 1
    assert lookup(item, "list.1.a") is None
    assert lookup(item, "metadata.nothing") is None


def test_a_row_of_the_page_covers_its_request_and_says_what_is_answered(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "| requests | u | g | why |\n|---|---|---|---|\n"
        "| `s/a` | 500 | 400 InputError | r |\n| `s/b: *`<br>`s/d` | 200 | 404 | r |\n"
    )
    rows = documented(page)
    assert rows == {
        "s/a": Difference("s/a", 400, "InputError"),
        "s/b: *": Difference("s/b: *", 404, None),
        "s/d": Difference("s/d", 404, None),
    }
    assert intended("s/b: x", rows) == rows["s/b: *"]
    assert intended("s/c", rows) is None
    assert rows["s/a"].found_in(one(envelope("m"), 400)) is None
    assert rows["s/a"].found_in(one(envelope("m", "Error"), 500)) is not None
    assert rows["s/a"].found_in(one([], 400)) is not None


@pytest.mark.parametrize("row", ["| `s/a` | 500 | bad | r |", "| `s/a` | 500 | 400 |", "| `s/a` | 1 | 200 |  |"])
def test_a_row_that_cannot_be_read_is_refused(row: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(row + "\n")
    with pytest.raises(ValueError, match="cannot read"):
        documented(page)


def test_a_request_named_twice_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("| `s/a` | 500 | 400 | r |\n" * 2)
    with pytest.raises(ValueError, match="twice"):
        documented(page)
