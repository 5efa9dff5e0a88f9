"""Asks nunjitsu about every case of `cases`, and keeps its answers: `python -m tests.conformance.templating.record`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conformance.templating.cases import cases
from tests.conformance.templating.upstream import answers
from tests.conformance.terminal import say

__all__ = ["RECORDED", "main"]

RECORDED = Path(__file__).with_name("recorded.jsonl")


def main() -> None:
    """Where upstream reached a limit of its own, what it would have said is not known: such a case is left out."""
    asked = cases()
    lines: list[str] = []
    for case, answer in zip(asked, answers(asked), strict=True):
        if not any(part.pop("limit", False) for part in answer.values()):
            kept = {name: case[name] for name in ("topic", "template", "options") if case.get(name)}
            lines.append(json.dumps({**kept, "template": case["template"], **answer}))
    RECORDED.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    say(f"{len(lines)} of {len(asked)} cases recorded in {RECORDED.name}")


if __name__ == "__main__":
    main()
