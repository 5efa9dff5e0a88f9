"""Ask npm's `jsonschema` and ours the same, now: what is written, what is made up, and the forms of the shared corpus.

    python -m tests.conformance.schemas.live [--seed N] [--count N] [--record]

`--record` writes `recording.jsonl` anew: upstream's answers to some of what is written and made up."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from greenroom_catalog.ingestion.parser import Parsed, parse
from greenroom_scaffolder.templates import Template, read_template
from greenroom_scaffolder.templates.generate import good_values
from greenroom_scaffolder.templates.shape import API_VERSION
from tests.conformance.schemas.cases import Case, encoded, made_up, written
from tests.conformance.schemas.sides import PACKAGE, ask_ours, ask_upstream, canonical, same_answer
from tests.conformance.schemas.spoiled import bad_values
from tests.conformance.terminal import say
from tests.support.node import installed

HERE = Path(__file__).parent
RECORDING = HERE / "recording.jsonl"
RECORDED_SEED, RECORDED_COUNT = 20261122, 700


def recorded_cases() -> Iterator[Case]:
    yield from islice(written(), 0, None, 4)
    yield from made_up(RECORDED_SEED, RECORDED_COUNT)


def shared() -> Path:
    return Path(os.environ.get("GREENROOM_SHARED", HERE.parents[3] / "shared"))


def corpus_templates(folder: Path) -> Iterator[Template]:
    """The templates of the corpus, of whatever apiVersion."""
    for line in (folder / "corpus" / "templates.jsonl").read_text().splitlines():
        file = folder / "corpus" / json.loads(line)["file"]
        for document in parse(file.read_bytes()):
            if isinstance(document, Parsed) and document.value.get("kind") == "Template":
                yield read_template({**document.value, "apiVersion": API_VERSION})


def corpus_cases(folder: Path) -> Iterator[Case]:
    """Every block of every template's form, with values that should do and values that should not."""
    for template in corpus_templates(folder):
        for block in template.blocks:
            values = [*good_values(block), *bad_values(block), {}, [], None]
            yield from ({"schema": block, "value": value} for value in values)


def compare(title: str, cases: Iterable[Case], node_modules: Path) -> int:
    asked = list(cases)
    different = good = bad = 0
    for case, upstream in zip(asked, ask_upstream(node_modules, asked), strict=True):
        good, bad = good + (upstream.get("errors") == []), bad + bool(upstream.get("errors"))
        ours = ask_ours(case)
        if not same_answer(ours, upstream):
            different += 1
            say(f"{canonical(case)}\n    upstream {canonical(upstream)}\n    ours     {canonical(ours)}")
    say(f"{title}: {len(asked)} asked, {good} good, {bad} bad, {different} differ")
    return different


def record(node_modules: Path) -> None:
    cases = list(recorded_cases())
    answers = ask_upstream(node_modules, cases)
    lines = (f"{encoded(case).decode()}\t{json.dumps(answer)}\n" for case, answer in zip(cases, answers, strict=True))
    RECORDING.write_text("".join(lines))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--record", action="store_true")
    given = parser.parse_args()
    node_modules = installed(PACKAGE)
    if node_modules is None:
        sys.exit(f"npm's {PACKAGE} is not installed: GREENROOM_NODE_MODULES says where it is")
    if given.record:
        record(node_modules)
    different = compare("written", written(), node_modules)
    different += compare("made up", islice(made_up(given.seed, given.count), given.count), node_modules)
    if (shared() / "corpus").is_dir():
        different += compare("corpus", corpus_cases(shared()), node_modules)
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
