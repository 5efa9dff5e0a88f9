"""Files and folders of a command line -> the files that are meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

SKIPPED: Final = frozenset({".git", ".venv", "node_modules", "venv"})
"""Folders whose files nobody here has written."""


def chosen_files(paths: Iterable[Path], names: Sequence[str]) -> Iterator[Path]:
    """The files among the paths, and those below the folders that are called by one of the names (patterns), each once."""
    seen = set()
    for path in paths:
        for file in [path] if path.is_file() else _below(path, names):
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield file


def _below(folder: Path, names: Sequence[str]) -> list[Path]:
    files = {file for name in names for file in folder.rglob(name) if file.is_file()}
    return sorted(file for file in files if SKIPPED.isdisjoint(file.relative_to(folder).parts))
