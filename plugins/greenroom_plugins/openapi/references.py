"""Which objects are references, and what each of them leads to: past other references, through files, round in circles.

The rules, odd ones included, are those of npm's json-schema-ref-parser 15, which upstream uses. `$id` is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeGuard
from urllib.parse import unquote, urljoin

import msgspec

from greenroom.errors import GreenroomError

MOST_STEPS = 200_000
"""Of following references and merging members: as much as a definition that was made to cost much may cost."""

Tokens: TypeAlias = tuple[str, ...]


class BundleError(GreenroomError):
    """The references cannot be followed"""


class MissingPointerError(GreenroomError):
    """A reference points at nothing"""

    name = "MissingPointerError"  # as json-schema-ref-parser calls it


class InvalidPointerError(GreenroomError):
    """A reference has a fragment that is no pointer"""

    name = "InvalidPointerError"  # as json-schema-ref-parser calls it


def is_reference(value: Any) -> TypeGuard[dict[str, Any]]:
    """An object with a `$ref` that can be followed: to another file, or `#` and a pointer."""
    reference = value.get("$ref") if isinstance(value, dict) else None
    return isinstance(reference, str) and reference != "" and (reference[0] != "#" or reference[:2] in ("#", "#/"))


def is_extended(value: Any) -> bool:
    """A reference with other members, which what it leads to is given."""
    return is_reference(value) and len(value) > 1


# --- places ----------------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """A spot in a file."""

    file: str
    tokens: Tokens

    def pointer(self) -> str:
        return to_pointer(self.tokens)

    def of(self, reference: str) -> Place:
        """What a reference that stands here means. Raises InvalidPointerError."""
        target, _, pointer = reference.partition("#")
        return Place(urljoin(self.file, target) if target else self.file, to_tokens(unquote(pointer)))

    def below(self, tokens: Sequence[str]) -> Place:
        return Place(self.file, (*self.tokens, *tokens))


def to_pointer(tokens: Sequence[str]) -> str:
    """`#/a/b~1c`."""
    return "#" + "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)


def to_tokens(pointer: str) -> Tokens:
    """`/a/b~1c` -> its parts. Raises InvalidPointerError for what is no pointer."""
    if not pointer:
        return ()
    first, *tokens = (token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/"))
    if first:
        raise InvalidPointerError(f'Invalid $ref pointer "{pointer}". Pointers must begin with "#/"')
    return tuple(tokens)


# --- following -------------------------------------------------------------------------------------------------------


class Target(msgspec.Struct):
    """What a reference leads to, over how many others."""

    place: Place
    value: Any
    hops: int = 0
    is_itself: bool = False
    """The place holds a reference to the very same place."""
    in_circle: bool = False


class Graph:
    """All files, and where their references lead."""

    def __init__(self, files: Mapping[str, Any], root: str) -> None:
        self._files = files
        self._root = root
        self._steps = 0

    def from_root(self, tokens: Tokens) -> Place:
        return Place(self._root, tokens)

    def find(
        self, place: Place, origin: Place, seen: frozenset[Place] = frozenset(), *, to_the_end: bool = True
    ) -> Target:
        """What is at a place, for a reference that stands at `origin`; references on the way, and at its end, are followed.

        Raises MissingPointerError, InvalidPointerError, BundleError."""
        if place.file not in self._files:
            raise BundleError(
                f'Error resolving $ref pointer "{place.file}{place.pointer()}". "{place.file}" not found.'
            )
        found, tokens = Target(place, self._files[place.file]), list(place.tokens)
        while tokens:
            before, extended = (found.is_itself, found.in_circle), is_extended(found.value)
            if self._follow(found, origin, seen):
                found.place = found.place.below(tokens)
            elif extended:
                found.is_itself, found.in_circle = before
            found.value, tokens = _member(found.value, tokens, place)
            found.in_circle = before[1]
        if to_the_end and is_reference(found.value):
            if found.place.of(found.value["$ref"]) == origin != found.place:
                found.in_circle = True
            else:
                self._follow(found, origin, seen)
        return found

    def _follow(self, found: Target, origin: Place, seen: frozenset[Place]) -> bool:
        """Go where the value leads, as long as it is a reference; whether the place is another one then."""
        moved = False
        while is_reference(reference := found.value):
            here, onward = found.place, found.place.of(reference["$ref"])
            if onward == here and origin.tokens:
                found.is_itself = found.in_circle = True
                return moved
            if onward in seen or onward == origin != here:
                found.in_circle = True
                return moved
            seen |= {onward}
            self._count(1)
            extended = is_extended(reference)
            there = self.find(onward, here, seen, to_the_end=extended)
            found.hops += there.hops + 1
            found.in_circle |= there.is_itself or there.in_circle
            if extended:
                if not found.in_circle:
                    found.value = self.merged(reference, there.value)
                return moved
            found.place, found.value, origin, moved = there.place, there.value, here, True
        return moved

    def merged(self, reference: Mapping[str, Any], value: Any) -> Any:
        """What stands in place of a reference: the value, with the other members of the reference, which win."""
        if not is_extended(reference) or not isinstance(value, dict | list):
            return value
        own = {key: item for key, item in reference.items() if key != "$ref"}
        members = value if isinstance(value, dict) else {str(index): item for index, item in enumerate(value)}
        return {**own, **{key: self._merge(item, own[key]) if key in own else item for key, item in members.items()}}

    def _merge(self, value: Any, over: Any) -> Any:
        """An object over another, member by member; all else replaces."""
        if not isinstance(over, dict) or not isinstance(value, dict | list):
            return over
        self._count(len(value) + len(over))
        members = value if isinstance(value, dict) else {str(index): item for index, item in enumerate(value)}
        return {**members, **{key: self._merge(members.get(key), item) for key, item in over.items()}}

    def _count(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MOST_STEPS:
            raise BundleError("Its references lead through each other too often")


def _member(value: Any, tokens: Sequence[str], wanted: Place) -> tuple[Any, list[str]]:
    """The member that the first tokens name, and the tokens left: one name may hold slashes that nobody escaped."""
    members = {}
    if isinstance(value, dict):
        members = value
    elif isinstance(value, list):
        members = {str(index): item for index, item in enumerate(value)}
    first, *rest = tokens
    if first in members and (members[first] is not None or rest):
        return members[first], rest
    for count in range(len(tokens), 1, -1):
        name = "/".join(tokens[:count])
        if name in members:
            return members[name], list(tokens[count:])
    if first in members:
        return None, rest
    raise MissingPointerError(f'Missing $ref pointer "{wanted.pointer()}". Token "{first}" does not exist.')
