"""The two sides: npm's `jsonschema` in a Node process, and ours; and what of their answers differs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from greenroom_scaffolder.schemas import SchemaError, TooMuchError, validate
from tests.conformance.schemas.cases import Case, encoded

HERE = Path(__file__).parent
PACKAGE = "jsonschema"

_TOO_DEEP = "Maximum call stack size exceeded"


def ask_upstream(node_modules: Path, cases: Iterable[Case]) -> Iterator[Any]:
    """`{"errors"}` or `{"thrown": {"name", "message", …}}` for each case."""
    command = ["node", "--stack-size=4000", str(HERE / "upstream.js"), str(node_modules)]
    ran = subprocess.run(command, input=b"\n".join(map(encoded, cases)), capture_output=True, check=True)
    return (json.loads(line) for line in ran.stdout.splitlines())


def ask_ours(case: Case) -> Any:
    try:
        problems = validate(case.get("value", msgspec.UNSET), case["schema"])
    except TooMuchError:
        return {"thrown": {"name": "RangeError", "message": _TOO_DEEP}}
    except SchemaError as error:
        return {"thrown": {"name": error.name, "message": error.message, **error.details}}
    return {"errors": json.loads(msgspec.json.encode(problems))}


def same_answer(ours: Any, upstream: Any) -> bool:
    return canonical(ours) == canonical(upstream)


def canonical(value: Any) -> str:
    """JSON in which 1 and 1.0 are one number, and the order of members says nothing."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
