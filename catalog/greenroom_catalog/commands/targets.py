"""entities of a file -> what they point at beside it, targets of locations and files of placeholders, and what of it is missing."""

from __future__ import annotations

import glob
import os.path
from collections.abc import Iterator
from typing import NamedTuple

from greenroom_catalog.ingestion.check import Path
from greenroom_catalog.ingestion.findings import Examination, Finding, FoundEntity
from greenroom_catalog.ingestion.holes import holes_of
from greenroom_catalog.ingestion.lint import targets_of


class Pointer(NamedTuple):
    """A path that an entity names, relative to its file."""

    entity: FoundEntity
    path: Path
    target: str
    placeholder: str | None = None
    optional: bool = False


def pointers_of(entity: FoundEntity) -> Iterator[Pointer]:
    """The relative paths of an entity. What is elsewhere (a URL, a templated path) is not looked for."""
    value = entity.value
    spec = value.get("spec")
    if value["kind"] == "Location" and isinstance(spec, dict):
        for path, target in targets_of(spec):
            if _is_beside(target, str(spec.get("type"))):
                yield Pointer(entity, path, target, optional=spec.get("presence") == "optional")
    for hole in holes_of(value):
        if isinstance(hole.argument, str) and "://" not in hole.argument and "{{" not in hole.argument:
            yield Pointer(entity, (*hole.path, f"${hole.key}"), hole.argument, hole.key)


def _is_beside(target: str, type_: str) -> bool:
    """Whether the target is a path relative to the file. `type: file` needs a dot for that."""
    if "://" in target or "{{" in target or target.startswith("/"):
        return False
    return target.startswith(".") or type_ != "file"


def files_at(pointer: Pointer) -> list[str]:
    """The files that it stands for."""
    path = os.path.normpath(os.path.join(os.path.dirname(pointer.entity.file), pointer.target))  # noqa: PTH118, PTH120
    if pointer.placeholder is None and glob.has_magic(path):
        return sorted(found for found in glob.glob(path, recursive=True) if os.path.isfile(found))  # noqa: PTH113, PTH207
    return [path] if os.path.isfile(path) else []  # noqa: PTH113


def missing_files(examination: Examination) -> Iterator[Finding]:
    """Findings about pointers that lead nowhere."""
    for entity in examination.entities:
        for pointer in pointers_of(entity):
            if not pointer.optional and not files_at(pointer):
                span = examination.places.value(entity.line, pointer.path)
                code, message = _worded(pointer)
                yield Finding(code, "error", message, entity.file, *span, pointer.path, entity.ref, _hint(pointer))


def _worded(pointer: Pointer) -> tuple[str, str]:
    if pointer.placeholder is not None:
        message = f"Placeholder ${pointer.placeholder} could not read location {pointer.target}, there is no such file"
        return "placeholder-file-missing", message
    if glob.has_magic(pointer.target):
        return "location-target-missing", f"no file matches {pointer.target}"
    return "location-target-missing", f"file {pointer.target} does not exist"


def _hint(pointer: Pointer) -> str:
    folder = os.path.dirname(os.path.join(os.path.dirname(pointer.entity.file), pointer.target))  # noqa: PTH118, PTH120
    name = os.path.basename(pointer.target)  # noqa: PTH119
    near = _nearest_file(folder, name)
    if near is not None:
        return f"did you mean `{pointer.target[: len(pointer.target) - len(name)]}{near}`?"
    return "paths are relative to this file" if pointer.placeholder else "or say `presence: optional`"


def _nearest_file(folder: str, name: str) -> str | None:
    from greenroom_catalog.ingestion.spelling import nearest

    try:
        return nearest(name, sorted(os.listdir(folder or ".")))  # noqa: PTH208
    except OSError:
        return None
