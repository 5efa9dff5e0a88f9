"""Greenroom's templates beside nunjitsu, now: whatever the shared folder has, and what chance makes up.

    python -m tests.conformance.templating.live [--random N] [--seed N] [--rounds N]

The vectors of the specification, every expression and every file of the corpus (its values invented from the names in it),
and N random templates. What differs is said with both answers, and the run fails. `--rounds` also measures: the time that
each side takes for the corpus' expressions, cold (the first time a template is seen) and warm.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from greenroom_scaffolder.templating import Engine, TemplateError
from greenroom_scaffolder.templating.backstage import backstage_filters
from tests.conformance.oracle import shared_folder
from tests.conformance.templating import grammar
from tests.conformance.templating.cases import cases
from tests.conformance.templating.invented import context_for
from tests.conformance.templating.ours import HOSTS, answer, difference
from tests.conformance.templating.upstream import UpstreamMissingError, answers
from tests.conformance.terminal import say

__all__ = ["compared", "main"]

_SHOWN = 20
_LARGEST = 200_000
_OPTIONS: tuple[dict[str, bool], ...] = ({}, {"trimBlocks": True, "lstripBlocks": True}, {"cookiecutterCompat": True})
_WRAPPED = {"${{": "${{{{ {} }}}}", "{{": "{{{{ {} }}}}", "{%": "{{% {} %}}"}


def vectors(shared: Path) -> Iterator[dict[str, Any]]:
    """The cases of the specification that have a context of their own."""
    known = json.loads((shared / "spec" / "template-engine-vectors.json").read_text(encoding="utf-8"))
    for row in known["renderValue"]:
        yield {"template": row["source"], "context": known["context"]}
    for row in known["whitespace"]:
        yield {"template": row["source"], "context": known["context"], "options": row["options"]}
    known = json.loads((shared / "spec" / "template-corpus.json").read_text(encoding="utf-8"))
    for row in known["cases"]:
        yield {"template": row["template"], "context": known["context"], "options": row["options"]}


def expressions(shared: Path) -> Iterator[dict[str, Any]]:
    """Each expression of the corpus, with three invented contexts."""
    lines = (shared / "corpus" / "expressions.jsonl").read_text(encoding="utf-8").splitlines()
    found = {(row["delim"], row["expr"]): None for row in map(json.loads, lines)}
    for delimiter, expression in found:
        template = _WRAPPED[delimiter].format(expression)
        options = {"cookiecutterCompat": True} if delimiter == "{{" else {}
        for seed in range(3):
            yield {"template": template, "context": context_for(template, seed), "options": options}


def files(shared: Path) -> Iterator[dict[str, Any]]:
    """Each file of the corpus that has anything to render, as `fetch:template` may be told to render it."""
    for path in sorted((shared / "corpus").glob("*/**/*")):
        if not path.is_file() or path.stat().st_size > _LARGEST:
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        if any(sign in text for sign in ("{{", "{%", "{#", "#}")):
            context = context_for(text, 1)
            yield from ({"template": text, "context": context, "options": options} for options in _OPTIONS)


def compared(name: str, asked: list[dict[str, Any]]) -> int:
    """Says what differs, and how many answers do."""
    found: Counter[str] = Counter()
    for case, theirs in zip(asked, answers(asked), strict=True):
        mine = answer(case)
        what = difference(theirs, mine)
        found[what] += 1
        if what and sum(found.values()) - found[""] <= _SHOWN:
            part = what.split(":")[0]
            say(f"{name}: {what}", f"  {case['template'][:300]!r} {case.get('options') or ''}")
            say(f"  upstream {json.dumps(theirs[part])[:300]}", f"  ours     {json.dumps(mine[part])[:300]}")
    differing = sum(found.values()) - found[""]
    say(f"{name}: {sum(found.values())} compared, {differing} differ")
    return differing


def measured(asked: list[dict[str, Any]], rounds: int) -> None:
    """Says what an expression costs each side, in microseconds of processor time (of upstream: wall clock)."""
    timed = [{**case, "time": rounds} for case in asked if not case["options"]]
    theirs = sorted(each["microseconds"] for each in answers(timed) if "microseconds" in each)
    filters = {each.name: each.apply for each in backstage_filters(HOSTS.get)}
    cold = min(_once(Engine(filters), timed) for _ in range(5))
    engine = Engine(filters)
    warm = min(_once(engine, timed) for _ in range(max(rounds, 2)))
    mean, median = sum(theirs) / len(theirs), theirs[len(theirs) // 2]
    say(
        f"an expression of the corpus: upstream warm {mean:.1f} us (median {median:.1f}), ours cold {cold:.1f}, warm {warm:.1f}"
    )


def _once(engine: Engine, asked: list[dict[str, Any]]) -> float:
    began = time.process_time()
    for case in asked:
        try:
            engine.value(case["template"], case["context"])
        except TemplateError:
            continue
    return (time.process_time() - began) / len(asked) * 1e6


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.templating.live", description=__doc__)
    parser.add_argument("--random", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=0)
    chosen = parser.parse_args(arguments)
    try:
        return _all(chosen.random, chosen.seed, chosen.rounds)
    except UpstreamMissingError as error:
        say(f"templates: skipped, {error}")
        return 0


def _all(count: int, seed: int, rounds: int) -> int:
    differing = compared("our own templates", cases())
    differing += compared("random templates", [grammar.case(number) for number in range(seed, seed + count)])
    shared = shared_folder()
    if not (shared / "corpus").is_dir():
        say(f"templates: the corpus is skipped, {shared} is not here")
        return int(differing > 0)
    differing += compared("vectors", list(vectors(shared)))
    found = list(expressions(shared))
    differing += compared("expressions of the corpus", found)
    differing += compared("files of the corpus", list(files(shared)))
    if rounds:
        measured(found, rounds)
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main())
