"""A bench of Greenroom alone -> a command: it measures, tells, writes JSON, and ends with 1 when a promise is broken."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from greenroom.cli.running import run


class Promised(Protocol):
    """Figures of which some were promised."""

    def broken(self) -> Sequence[str]:
        """The promises that do not hold, for people."""
        ...


F = TypeVar("F", bound=Promised)


def told(
    arguments: Sequence[str] | None,
    module: str,
    doc: str | None,
    size: tuple[str, int],
    measure: Callable[[int], Coroutine[Any, Any, F]],
    report: Callable[[F], str],
) -> int:
    """Measure and tell. `size` is the name of the option that says how much of it, and how much otherwise. Returns 1 when a
    promise does not hold."""
    name, usual = size
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=(doc or "").splitlines()[0])
    parser.add_argument(f"--{name}", type=int, default=usual, metavar="N", help=f"how many ({usual:,})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args(arguments)
    figures = run(measure(getattr(options, name)))
    sys.stdout.write(report(figures) + "\n")
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(figures)))
    broken = figures.broken()
    for text in broken:
        sys.stderr.write(f"NOT KEPT: {text}\n")
    return 1 if broken else 0
