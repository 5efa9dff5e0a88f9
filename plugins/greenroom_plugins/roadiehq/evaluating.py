"""Job -> outcome: one JSONata expression evaluated. A process of its own, for expressions are programs:

python -m greenroom_plugins.roadiehq.evaluating <job.json
"""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path
from typing import Any

import msgspec

from greenroom.javascript.json_text import json_text
from greenroom.javascript.numbers import as_whole

MEMORY = 1024**3
"""Bytes of address space, for Python and all."""
MOST_RESULT = 16 * 1024 * 1024
"""Bytes of a result as JSON."""
_NAMED = re.compile(r"\{\{\w+\}\}")


class Job(msgspec.Struct, frozen=True):
    """An expression, and what it is evaluated over."""

    expression: str
    data: Any
    outcome: str
    """The file to write when it is done."""
    seconds: int
    """Of processor time that it may take."""


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What it came to; neither: nothing, which JSONata calls undefined."""

    result: Any = msgspec.UNSET
    error: str | None = None


def evaluated(job: Job) -> Outcome:
    """Never raises for what an expression may do, short of being ended by the system."""
    from jsonata import JException, Jsonata, Utils

    try:
        expression = Jsonata(job.expression)
        expression.set_output_convert_nulls(False)
        result = expression.evaluate(job.data)
    except JException as error:
        return Outcome(error=_told(error).strip() or "unknown JSONata evaluation error")
    except MemoryError:
        return Outcome(error=f"It took more memory than the {MEMORY // 1024**2} MB that it may have")
    except RecursionError:
        return Outcome(error="It is nested too deeply")
    except Exception as error:  # noqa: BLE001 - whatever the library makes of an odd expression
        return Outcome(error=str(error) or type(error).__name__)
    return Outcome() if result is None else Outcome(result=_plain(result, Utils.NULL_VALUE))


def _told(error: Any) -> str:
    """A JException in the words of JSONata itself: the library has those of an ancestor in Java, which says `Object` for function,
    and does not quote what it names."""
    words = error.error_codes.get(error.error)
    if words is None or "{{{" in words:
        return str(error)
    if error.error == "T0411":  # of which function, the library does not say
        return f"Context value is not a compatible type with argument {error.expected} of a function"
    named = iter((error.current, error.expected, error.extra))
    return _NAMED.sub(lambda _: _quoted(next(named, None)), words.replace("Object", "function"))


def _quoted(value: Any) -> str:
    return json_text(value) if isinstance(value, str | int | float) else str(value)


def _plain(value: Any, null: object) -> Any:
    """JSON of it, with numbers as JavaScript has them: those without a fraction are whole."""
    if value is null:
        return None
    if isinstance(value, dict):
        return {str(key): _plain(one, null) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, null) for one in value]
    return as_whole(value) if isinstance(value, float) else value


def main() -> int:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    resource.setrlimit(resource.RLIMIT_CPU, (job.seconds, job.seconds))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    outcome = evaluated(job)
    try:
        written = msgspec.json.encode(outcome)
    except (TypeError, ValueError) as error:
        written = msgspec.json.encode(Outcome(error=f"The result is not JSON: {error}"))
    if len(written) > MOST_RESULT:
        written = msgspec.json.encode(Outcome(error=f"The result is larger than {MOST_RESULT} bytes"))
    Path(job.outcome).write_bytes(written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
