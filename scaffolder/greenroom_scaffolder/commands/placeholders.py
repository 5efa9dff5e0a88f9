"""`$yaml: ./page.yaml` in a template -> what that file holds, as the catalog would put it there, without a catalog.

Only files beside the template can be read here. What is elsewhere (an address) stays as it is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from greenroom_scaffolder.templates.declared import is_placeholder
from greenroom_scaffolder.templates.located import DEEPEST, LONGEST, Located, Place, Unreadable, all_at, read_documents

MOST: Final = 200
"""Placeholders of one file, as in the catalog."""
ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|/")


def put_in_place(document: Located, folder: Path) -> Located:
    """The document with what its placeholders stand for. All of that is said to stand where the placeholder does.

    Raises Unreadable, with the place of the placeholder."""
    return _Reading(folder).of(document)


class _Reading:
    def __init__(self, folder: Path) -> None:
        self._folder, self._read = folder, 0

    def of(self, found: Located) -> Located:
        if is_placeholder(found.value):
            return self._resolved(found)
        if isinstance(found.value, Mapping) and not any(key.startswith("$") for key in found.value):
            members = {key: self.of(member) for key, member in found.members.items()}
            if any(members[key] is not member for key, member in found.members.items()):
                return _with(found, {key: member.value for key, member in members.items()}, members=members)
        elif found.items:
            items = [self.of(item) for item in found.items]
            if any(new is not old for new, old in zip(items, found.items, strict=True)):
                return _with(found, [item.value for item in items], items=items)
        return found

    def _resolved(self, found: Located) -> Located:
        ((key, target),) = found.value.items()
        place = found.place_of(key)
        if not isinstance(target, str) or ELSEWHERE.match(target):
            return found
        self._read += 1
        if self._read > MOST:
            raise Unreadable(f"There are more than {MOST} placeholders", place)
        what = f"{key}: {target}"
        value = _READERS[key](_text(self._folder / target, key, place), what, place)
        if _is_deeper(DEEPEST, value):
            raise Unreadable(f"{what} is nested deeper than {DEEPEST} levels", place)
        return all_at(place, value)


def _is_deeper(most: int, value: Any) -> bool:
    level = [value]
    for _ in range(most):
        holding = [one for one in level if isinstance(one, dict | list)]
        level = [one for outer in holding for one in (outer.values() if isinstance(outer, dict) else outer)]
    return any(isinstance(one, dict | list) for one in level)


def _with(found: Located, value: Any, **inner: Any) -> Located:
    members = {"members": found.members, "items": found.items, **inner}
    return Located(value, found.place, found.source, found.end, keys=found.keys, repeated=found.repeated, **members)


def _text(file: Path, key: str, place: Place) -> str:
    try:
        if file.stat().st_size > LONGEST:
            raise Unreadable(f"{key}: {file} has more than {LONGEST} bytes", place)
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise Unreadable(f"{key}: {file}: {error.strerror}", place) from error
    except UnicodeDecodeError as error:
        raise Unreadable(f"{key}: {file} is not UTF-8 text (byte {error.start})", place) from error


def _yaml(text: str, what: str, place: Place) -> Any:
    try:
        documents = read_documents(text)
    except Unreadable as error:
        raise Unreadable(f"{what}:{error.place.line}:{error.place.column}: {error.message}", place) from error
    if len(documents) > 1:
        raise Unreadable(f"{what} holds several documents", place)
    return documents[0].value if documents else None


def _json(text: str, what: str, place: Place) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{what} holds no JSON: {error}", place) from error


_READERS: Final[Mapping[str, Callable[[str, str, Place], Any]]] = {
    "$text": lambda text, _what, _place: text,
    "$yaml": _yaml,
    "$json": _json,
}
