"""arguments -> files: paths, folders, patterns and `-`, each file once."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

STDIN = "<stdin>"
NAMES = ("catalog-info*.yaml", "catalog-info*.yml")
"""What is looked for in a folder."""
SKIPPED = frozenset({"node_modules", "__pycache__", "dist", "build", "target", "venv"})
"""Folders that are not gone into, beside those whose name begins with a dot."""
LARGEST = 20 * 1024 * 1024
"""Bytes of a file."""


class Unreadable(NamedTuple):
    """An argument that brings no file, and why."""

    name: str
    reason: str


class Source(NamedTuple):
    """A file that was read. `name` is what a person calls it."""

    name: str
    content: bytes


def read_all(arguments: Iterable[str]) -> Iterator[Source | Unreadable]:
    """What the arguments stand for, in their order."""
    seen: set[str] = set()
    for argument in arguments:
        if argument == "-":
            yield Source(STDIN, sys.stdin.buffer.read())
            continue
        for name in _expand(argument):
            if isinstance(name, Unreadable):
                yield name
            elif (real := os.path.realpath(name)) not in seen:
                seen.add(real)
                yield read(name)


def read(name: str) -> Source | Unreadable:
    """One file."""
    path = Path(name)
    try:
        if path.stat().st_size > LARGEST:
            return Unreadable(name, f"larger than {LARGEST} bytes")
        return Source(name, path.read_bytes())
    except OSError as error:
        return Unreadable(name, (error.strerror or "cannot be read").lower())


def _expand(argument: str) -> Iterator[str | Unreadable]:
    if Path(argument).is_dir():
        names: list[str | Unreadable] = [*_below(argument)]
        yield from names or [Unreadable(argument, f"no {' or '.join(NAMES)} below this folder")]
    elif os.path.lexists(argument) or not glob.has_magic(argument):
        yield argument
    else:
        found: list[str | Unreadable] = [*sorted(filter(os.path.isfile, glob.glob(argument, recursive=True)))]  # noqa: PTH207
        yield from found or [Unreadable(argument, "no file matches")]


def _below(folder: str) -> Iterator[str]:
    from fnmatch import fnmatch

    for above, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED and not name.startswith("."))
        for name in sorted(files):
            if any(fnmatch(name, pattern) for pattern in NAMES):
                yield os.path.normpath(os.path.join(above, name))  # noqa: PTH118
