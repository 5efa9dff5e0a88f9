"""Lines for whoever watches a run that takes long: each is there at once, also in a pipe."""

from __future__ import annotations

import sys


def say(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()
