"""What takes the place of a match: the second argument of `replace` and `replaceAll`. All texts are in `units`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

__all__ = ["expand"]

_DOLLAR = re.compile(r"\$(?:([$&`'])|([0-9]{1,2})|<([^>]*)>)")


def expand(replacement: str, subject: str, start: int, groups: Sequence[str | None], names: Mapping[str, int]) -> str:
    """The replacement with what `$1`, `$&` and the like in it stand for.

    `groups` begins with the whole match, which begins at `start`; `names` says which of them has which name."""
    if "$" not in replacement:
        return replacement
    end = start + len(groups[0] or "")
    places = {"&": slice(start, end), "`": slice(start), "'": slice(end, None)}

    def meant(found: re.Match[str]) -> str:
        sign, digits, name = found.groups()
        if sign:
            return "$" if sign == "$" else subject[places[sign]]
        if digits:
            return _numbered(groups, digits)
        return (groups[names[name]] or "" if name in names else "") if names else found[0]

    return _DOLLAR.sub(meant, replacement)


def _numbered(groups: Sequence[str | None], digits: str) -> str:
    """Two digits if there are so many groups, else one, and the other digit as it is."""
    for length in (len(digits), 1):
        if 0 < int(digits[:length]) < len(groups):
            return (groups[int(digits[:length])] or "") + digits[length:]
    return f"${digits}"
