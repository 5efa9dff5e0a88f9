"""Random regular expressions, here and in V8: which are none, and what the others find.

python -m tests.conformance.schemas.patterns [--seed N --count N]
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from greenroom.javascript.patterns import PatternError, PatternTooLargeError, compiled
from greenroom.javascript.texts import units
from tests.conformance.terminal import say

SCRIPT = Path(__file__).with_name("patterns.js")
TOLERATED = 0.001
"""Of what is found: repeated groups that may match nothing are counted otherwise (DIFFERENCES.md)."""

_ATOMS = (
    "a", "b", "c", "A", "é", "É", "😀", "ß", "1", "_", "-", " ", ".", "\\d", "\\D", "\\w", "\\W", "\\s", "\\S", "\\b", "\\B", "^",
    "$", "\\n", "\\t", "\\x41", "\\u0061", "\\u{61}", "\\uD83D", "\\uD83D\\uDE00", "\\cA", "\\0", "\\1", "\\2", "\\12", "\\8",
    "\\k<n>", "\\-", "\\/", "\\_", "\\p{L}", "\\P{Lu}", "\\p{Script=Greek}", "[abc]", "[^abc]", "[a-c]", "[\\d-x]", "[]", "[^]",
    "[\\]a]", "[a\\-z]", "[-a]", "[a-]", "[😀]", "[\\w-]", "[\\b]", "[\\cA]", "[\\c]", "[^\\S]", "[\\s\\S]", "[é-í]", "{", "}",
    "]", "{1", "{,2}", "x{2}", "/",
)  # fmt: skip
_TIMES = ("*", "+", "?", "{2}", "{1,2}", "{0}", "{,2}", "{2,1}", "*?", "+?", "??", "{1}?", "{2,}")
_GROUPS = ("(", "(", "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?<n>", "(?<m>", "(?")
_LETTERS = "abcABCéÉ😀ß1_- \n\t\u2028xX01\ud83d{}]/ñλΛ"
_FLAGS = (None, None, "", "i", "m", "im")


def case(seed: int) -> dict[str, Any]:
    rng = random.Random(seed)
    text = "".join(rng.choice(_LETTERS) for _ in range(rng.choice((0, 1, 3, 6, 10))))
    return {"source": _source(rng, 2), "flags": rng.choice(_FLAGS), "text": text}


def _source(rng: random.Random, depth: int) -> str:
    written = "".join(_term(rng, depth) for _ in range(rng.choice((1, 1, 2, 2, 3))))
    return f"{written}|{_source(rng, depth - 1)}" if depth and rng.random() < 0.15 else written


def _term(rng: random.Random, depth: int) -> str:
    times = rng.choice(_TIMES) if rng.random() < 0.3 else ""
    if not depth or rng.random() > 0.3:
        return rng.choice(_ATOMS) + times
    closing = ")" if rng.random() < 0.9 else ""
    return f"{rng.choice(_GROUPS)}{_source(rng, depth - 1)}{closing}{times}"


def found_here(source: str, flags: str | None, text: str) -> Any:
    """As the script answers: the index and the groups, None, or the words of the error."""
    try:
        return _found(source, flags, text)
    except PatternError as error:
        return str(error)


def _found(source: str, flags: str | None, text: str) -> Any:
    if flags is None:
        try:
            found = compiled(source, strict=True).search(text, timeout=2)
            return found and [len(units(text[: found.start()])), found[0], *found.groups()]
        except PatternError:
            flags = ""
    found = compiled(source, flags).search(units(text), timeout=2)
    return found and [found.start(), found[0], *found.groups()]


def _plain(answer: Any) -> Any:
    """Errors are not compared in their words, which the forms are (`live.py`); texts are, in code units."""
    if isinstance(answer, str):
        return "none"
    return answer and [units(part) if isinstance(part, str) else part for part in answer]


def compared(cases: list[dict[str, Any]]) -> tuple[int, int]:
    """How many are none on one side only, and how many find something else."""
    lines = "".join(f"{json.dumps(each)}\n" for each in cases)
    node = shutil.which("node")
    assert node is not None
    told = subprocess.run([node, str(SCRIPT)], input=lines, capture_output=True, check=True, encoding="utf-8").stdout
    verdicts = matches = 0
    for each, line in zip(cases, told.split("\n"), strict=False):
        theirs = json.loads(line)
        try:
            ours = found_here(**each)
        except PatternTooLargeError:
            continue
        if _plain(theirs) == _plain(ours):
            continue
        verdict = isinstance(theirs, str) != isinstance(ours, str)
        verdicts, matches = verdicts + verdict, matches + (not verdict)
        say(f"{json.dumps(each)}\n    V8   {json.dumps(theirs)}\n    ours {json.dumps(ours)}")
    return verdicts, matches


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=20_000)
    given = parser.parse_args()
    if shutil.which("node") is None:
        say("patterns: skipped, node is not installed")
        return 0
    verdicts, matches = compared([case(seed) for seed in range(given.seed, given.seed + given.count)])
    say(f"patterns: {given.count} compared, {verdicts} are none on one side only, {matches} find something else")
    return int(verdicts > 0 or matches > TOLERATED * given.count)


if __name__ == "__main__":
    sys.exit(main())
