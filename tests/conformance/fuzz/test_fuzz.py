"""The harness of the fuzz, without upstream: what it asks is well-formed, and it would find a difference and make it small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import hypothesis.strategies as st
import pytest
from msgspec import UNSET

from greenroom.entity import ref_of
from greenroom_catalog.model import validate_envelope
from tests.conformance.client import Run
from tests.conformance.compare import Outcome
from tests.conformance.fuzz import book, following
from tests.conformance.fuzz.asking import Ask
from tests.conformance.fuzz.entities import entities
from tests.conformance.fuzz.exemptions import exempted
from tests.conformance.fuzz.following import GOT, Following, as_steps
from tests.conformance.fuzz.hunt import Hunt, drawn
from tests.conformance.fuzz.operating import Operate
from tests.conformance.fuzz.run import told
from tests.conformance.fuzz.texts import Dry
from tests.conformance.fuzz.vocabulary import Vocabulary, vocabulary
from tests.conformance.fuzz.world import by_name
from tests.conformance.script import Request, encode_query, fill
from tests.conformance.scrub import Answer


@pytest.fixture(scope="module")
def known() -> Vocabulary:
    return vocabulary([{**entity, "relations": []} for entity in drawn(entities(), 7, 30) if _has_parts(entity)])


def _has_parts(entity: dict[str, Any]) -> bool:
    return isinstance(entity["spec"], dict)


def test_every_entity_has_an_envelope_and_many_are_related() -> None:
    drawn_ones = drawn(entities(), 1, 40)
    for entity in drawn_ones:
        validate_envelope(json.loads(json.dumps(entity)))
    assert len({ref_of(entity) for entity in drawn_ones}) > 12
    assert sum("owner" in entity["spec"] for entity in drawn_ones if isinstance(entity["spec"], dict)) > 15


def _check_sendable(requests: list[Request], variables: dict[str, str]) -> None:
    for request in requests:
        encode_query(fill(request.query, variables))
        fill(request.path, variables).encode()
        fill({**request.headers, "as": request.as_ or ""}, variables)
        if request.method == "POST" and request.raw is None:
            json.dumps(fill(request.json, variables), default=str).encode()


def test_every_request_can_be_sent(known: Vocabulary) -> None:
    requests = drawn(Ask(known).requests(), 1, 400)
    _check_sendable(requests, {f"uid.{ref.encode().hex()}": "x" for ref in known.refs})
    assert len({request.path for request in requests}) > 5
    assert sum(request.walk for request in requests) > 5


def test_requests_to_the_other_operations_can_be_sent_and_change_nothing(known: Vocabulary) -> None:
    strategy = Operate(known, "http://files", ["location.1"], ["a.yaml"]).requests()
    requests = drawn(strategy, 1, 400)
    variables = {"location.1": "x", "guest": "x", "got": "x"} | {f"uid.{ref.encode().hex()}": "x" for ref in known.refs}
    _check_sendable(requests, variables)
    _check_sendable([request.first for request in requests if isinstance(request, Following)], variables)
    dry = [
        request.query.get("dryRun")
        for request in requests
        if request.post == "/locations" and request.json is not UNSET
    ]
    assert dry
    assert all(dry)
    assert not [request for request in requests if request.method in ("PUT", "DELETE") and "$" in request.path]
    for asked in ("/validate-entity", "/analyze-location", "/locations/by-query", "/entities/unprocessed/pending"):
        assert any(request.path.endswith(asked) for request in requests), asked
    assert sum(isinstance(request, Following) for request in requests) > 20


async def test_a_request_carries_what_the_one_before_it_got() -> None:
    class Told:
        """A side that gives out cursors by turns, and remembers what came."""

        def __init__(self) -> None:
            self.known: dict[str, str] = {}
            self.asked: list[Any] = []

        async def outcome(self, request: Request) -> Outcome:
            self.known |= dict.fromkeys(request.save, f"cursor {len(self.asked)}")
            self.asked.append(fill(request.query, self.known))
            return _answer([])

    side = Told()
    first = Request(get="/entities/by-query", query={"limit": 1})
    asked = Following(get="/entities/by-query", query={"cursor": GOT}, first=first, take="pageInfo.nextCursor")
    await following.outcome(cast(Run, side), asked)
    assert side.asked == [{"limit": 1}, {"cursor": "cursor 0"}]
    assert [step.save for step in as_steps(asked)] == [{"got": "pageInfo.nextCursor"}, {}]


def test_a_seed_gives_the_same_requests_again(known: Vocabulary) -> None:
    once, again, other = (drawn(Ask(known).requests(), seed, 30) for seed in (1, 1, 2))
    assert once == again != other


def test_a_key_of_several_values_is_not_compared_place_by_place() -> None:
    spec = {"one": "1", "many": ["1", "2"], "none": None, "long": "y" * 201}
    known = vocabulary([{"metadata": {"name": "a"}, "kind": "X", "spec": spec}])
    assert {"kind", "spec.one"} <= set(known.sortable)
    assert not {"spec.many", "spec.none", "spec.long"} & set(known.sortable)


def _answer(body: Any, status: int = 200) -> Outcome:
    return Outcome(name="", answer=Answer(status, {"content-type": "application/json"}, body))


async def test_a_planted_difference_is_found_once_and_made_as_small_as_can_be(known: Vocabulary) -> None:
    async def planted(request: Request) -> tuple[Outcome, Outcome]:
        """One side that takes `$not` for nothing, anywhere in a predicate."""
        body = request.json if isinstance(request.json, dict) else {}
        wrong = "$not" in json.dumps(body.get("query", {}))
        return _answer({"items": []}), _answer({"items": []}, 404 if wrong else 200)

    hunt = Hunt(planted)
    strategy = Ask(known).by_query_post()
    (found,) = await hunt.through(strategy, 3, 80)
    assert set(found.request.json) == {"query"}
    assert len(json.dumps(found.request.json["query"])) < len('{"$not": {"$all": []}, }')
    assert await hunt.through(strategy, 4, 60) == []
    assert hunt.asked > 100
    assert "post: /entities/by-query" in told(found)
    assert "$not" in told(found)


async def test_sides_that_agree_differ_in_nothing(known: Vocabulary) -> None:
    async def same(_: Request) -> tuple[Outcome, Outcome]:
        return _answer({"items": []}), _answer({"items": []})

    hunt = Hunt(same)
    assert await hunt.through(Ask(known).requests(), 3, 50) == []
    assert hunt.since == hunt.asked >= 40


def test_only_what_is_meant_to_differ_may_differ() -> None:
    failed, right, wrong = _answer({}, 500), _answer([]), _answer({}, 400)
    asked = Request(get="/entities", query={"filter": "a"})
    assert exempted(asked, failed, wrong) == "upstream answers 500"
    assert exempted(asked, failed, failed) is None
    assert exempted(asked, wrong, right) is None
    assert exempted(Request(get="/entities", query={"fields": ["kind.length"]}), right, _answer([{}])) is not None
    assert exempted(Request(post="/entities/by-query", json={"limit": -1}), right, wrong) is not None
    assert exempted(Request(post="/entities/by-query", json={"limit": 1}), right, wrong) is None
    events = "/api/scaffolder/v2/tasks/${task.0}/events"
    told = _answer([{"type": "completion"}])
    assert exempted(Request(get=f"{events}?after=1e21"), right, told) is not None
    assert exempted(Request(get=f"{events}?after=7"), right, told) is None
    assert exempted(Request(head="/api/scaffolder/v2/tasks?limit=&limit=1"), right, wrong) == "parameters of HEAD"
    assert exempted(Request(head="/api/scaffolder/v2/tasks?limit=1"), right, wrong) is None


def test_what_was_made_of_an_entity_is_told_by_its_name() -> None:
    theirs, ours = (
        [{"metadata": {"name": name}, "x": x} for name, x in pairs]
        for pairs in ([("a", 1), ("b", 1)], [("a", 1), ("b", 2)])
    )
    assert list(by_name(_answer(theirs), _answer(ours))) == ["b"]


def test_a_text_is_served_under_its_own_name(tmp_path: Path) -> None:
    dry = Dry(tmp_path, "http://here")
    request = dry.request("a: b\r\n")
    assert dry.text(request) == "a: b\r\n"
    assert dry.request("a: c") != request


def test_the_readme_says_how_many_requests_have_run_since_the_last_difference(tmp_path: Path) -> None:
    assert book.sentence(book.read()) in " ".join(book.README.read_text().split())
    page, runs = tmp_path / "README.md", tmp_path / "runs.json"
    page.write_text(f"So far {book.sentence(book.Book())}.")
    book.note(1, 1000, 0, 2, runs, page)
    book.note(2, 1000, 1000, 0, runs, page)
    assert book.note(3, 500, 500, 0, runs, page).requests == 2500
    assert page.read_text() == "So far **1,500** requests since the last difference, in 3 runs."


def test_strategies_need_no_entities() -> None:
    assert drawn(Ask(vocabulary([])).requests(), 1, 20)
    assert drawn(st.just(1), 1, 3) == [1]
