"""The spoiling of descriptors, without upstream: it can be done again, reaches what it should, and makes cases small."""

from __future__ import annotations

import random
from pathlib import Path

from greenroom_catalog.ingestion.findings import examine
from greenroom_catalog.ingestion.parser import Broken, Parsed, parse
from tests.conformance.fuzz.descriptors import Case, Shelf, Trial, Verdict, cases, comparable, hunt
from tests.conformance.fuzz.samples import SPECS, disturb, entity, written

TAKEN, REFUSED = Verdict(201, []), Verdict(400, "InputError: it is odd")


class Particular(Trial):
    """Two sides, of which one refuses whatever holds the word `odd`."""

    def __init__(self) -> None:
        super().__init__([], Shelf(None), "")

    async def verdicts(self, case: Case) -> tuple[Verdict, Verdict]:
        self.asked += 1
        return TAKEN, REFUSED if b"odd" in case.content else TAKEN


def test_a_seed_draws_the_same_files_again(tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text("kind: Component\n")
    first, again = (list(cases(7, 40, tmp_path)) for _ in range(2))
    assert first == again
    assert {"real.yaml", "catalog-info.yaml"} == {case.path for case in first}
    assert len({case.key for case in first}) > 20


def test_samples_are_right_until_they_are_spoiled() -> None:
    chance = random.Random(3)
    right = wrong = 0
    for _ in range(60):
        value = entity(chance)
        texts = [written(value, random.Random(1))]
        disturb(value, chance)
        texts.append(written(value, random.Random(1)))
        found = [any(one.severity == "error" for one in examine(text.encode(), "x.yaml").findings) for text in texts]
        right, wrong = right + (not found[0]), wrong + found[1]
    assert right > 36
    assert wrong > 18


def test_every_kind_is_among_the_samples() -> None:
    kinds = {"API", "AiResource", "Component", "Domain", "Group", "Location", "Resource", "System", "Template", "User"}
    assert {kind for _, kind, _ in SPECS} == kinds


def test_some_files_are_accepted_and_some_are_not() -> None:
    kinds = [type(document) for case in cases(5, 150, None) for document in parse(case.content)]
    assert kinds.count(Parsed) > 50
    assert kinds.count(Broken) > 20


async def test_a_difference_is_told_once_with_the_smallest_file() -> None:
    trial = Particular()
    lines = b"".join(b"line %d\n" % number for number in range(40))
    found = [Case("x.yaml", lines + b"an odd one\n" + lines), Case("y.yaml", b"odd"), Case("z.yaml", lines)]
    smallest = await trial.smaller(found[0], (TAKEN, REFUSED))
    assert smallest.content == b"odd"
    assert await hunt(Particular(), found) == 1
    assert await hunt(Particular(), found[2:]) == 0


def test_what_is_the_machines_to_say_does_not_count() -> None:
    told = [
        "Unable to read url, request to https://x.test/ failed, reason: getaddrinfo ENOTFOUND x.test",
        "Unable to read url, Unable to read https://x.test/, Cannot connect to host x.test:443 ssl:default [None]",
    ]
    verdicts = {comparable(400, {"error": {"name": "InputError", "message": message}}) for message in told}
    assert len(verdicts) == 1
    refused = comparable(400, {"error": {"name": "InputError", "message": "Unable to read url, not found"}})
    assert refused not in verdicts
