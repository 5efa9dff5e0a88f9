"""patterns + entries -> paths: what npm's globby finds in a tree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from greenroom_scaffolder.workspace.scan import Entry


def select(patterns: Sequence[str], entries: Iterable[Entry], *, files_only: bool = False) -> list[str]:
    """The paths that match."""
    return [entry.path for entry in entries if entry.path in patterns and not (files_only and entry.kind == "folder")]
