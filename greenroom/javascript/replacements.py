"""What takes the place of a match: the second argument of `replace` and `replaceAll`. All texts are in `units`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["expand"]

_MARK = re.compile(r"\$(?:([$&`'])|([0-9]{1,2})|<)")


def expand(
    replacement: str,
    subject: str,
    start: int,
    groups: Sequence[str | None],
    names: Mapping[str, int],
    pay: Callable[[int], None] = lambda length: None,
) -> str:
    """The replacement with what `$1`, `$&` and the like in it stand for.

    `groups` begins with the whole match, which begins at `start`; `names` says which of them has which name. `pay` is
    told with each mark how long the text has become, and raises where that is too long."""
    if "$" not in replacement:
        return replacement
    end = start + len(groups[0] or "")
    places = {"&": slice(start, end), "`": slice(start), "'": slice(end, None)}
    parts: list[str] = []
    done = length = 0
    for found, after in _marks(replacement, named=bool(names)):
        sign, digits = found.groups()
        if sign:
            meant = "$" if sign == "$" else subject[places[sign]]
        elif digits:
            meant = _numbered(groups, digits)
        else:
            meant = _named(groups, names, replacement[found.end() : after - 1])
        parts += (replacement[done : found.start()], meant)
        length += found.start() - done + len(meant)
        pay(length)
        done = after
    return "".join([*parts, replacement[done:]])


def _marks(replacement: str, *, named: bool) -> Iterator[tuple[re.Match[str], int]]:
    """All marks, and where each ends. `$<` is one where groups have names and a `>` comes after it."""
    last = replacement.rfind(">") if named else -1
    at = 0
    while found := _MARK.search(replacement, at):
        at = found.end()
        if found[0] != "$<":
            yield found, at
        elif at <= last:
            at = replacement.find(">", at) + 1
            yield found, at


def _named(groups: Sequence[str | None], names: Mapping[str, int], name: str) -> str:
    return groups[names[name]] or "" if name in names else ""


def _numbered(groups: Sequence[str | None], digits: str) -> str:
    """Two digits if there are so many groups, else one, and the other digit as it is."""
    for length in (len(digits), 1):
        if 0 < int(digits[:length]) < len(groups):
            return (groups[int(digits[:length])] or "") + digits[length:]
    return f"${digits}"
