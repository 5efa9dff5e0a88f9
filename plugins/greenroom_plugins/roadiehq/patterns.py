"""A JavaScript regular expression or text, and what takes the place of each match: `String.replaceAll`, bounded in time."""

from __future__ import annotations

import re

import regex

from greenroom.errors import InputError

SECONDS = 5.0
MOST_CHARACTERS = 64 * 1024 * 1024
MOST_REPEATED = 20_000
"""All `{n}` of a pattern multiplied: `regex` lays them out, and nested ones would fill the memory."""

_SIGNS = re.compile(
    r"\\(?P<escaped>[\s\S])|(?P<open>\[\^?\]?)|(?P<close>\])|(?P<sign>[.$^])|\(\?<(?P<name>[A-Za-z_$][\w$]*)>"
)
_SPACE = r"\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_CLASSES = {"d": "0-9", "w": "A-Za-z0-9_", "s": _SPACE}
_WORD = "[A-Za-z0-9_]"
_EDGES = {
    "b": f"(?:(?<={_WORD})(?!{_WORD})|(?<!{_WORD})(?={_WORD}))",
    "B": f"(?:(?<={_WORD})(?={_WORD})|(?<!{_WORD})(?!{_WORD}))",
}
_REPEATED = re.compile(r"\{([0-9]+)(?:,[0-9]*)?\}")
_MARK = re.compile(r"\$(?:\$|&|`|'|(\d{1,2})|<([^>]*)>)")


def replace_all(content: str, find: str, replacement: str, *, is_pattern: bool) -> str:
    """Raises InputError for an expression that is none, takes too long, or makes too much of the text."""
    try:
        if is_pattern:
            _refuse_large(find)
        found = regex.compile(_translated(find) if is_pattern else regex.escape(find), regex.VERSION0)
        size = 0

        def fill(match: regex.Match[str]) -> str:
            nonlocal size
            text = _filled(match, content, replacement)
            size += len(text)
            if size > MOST_CHARACTERS:
                raise InputError("Replacing makes too large a text")
            return text

        return found.sub(fill, content, timeout=SECONDS)
    except regex.error as error:
        raise InputError(f"Invalid regular expression: /{find}/: {error}") from error
    except RecursionError:
        raise InputError("Invalid regular expression: its groups are nested too deeply") from None
    except TimeoutError:
        raise InputError(f"The regular expression /{find}/ takes longer than {SECONDS:g} seconds") from None


def _refuse_large(pattern: str) -> None:
    """Raises InputError for repetitions within repetitions that come to too much."""
    laid_out = 1
    for found in _REPEATED.finditer(pattern):
        laid_out *= max(int(found[1][:9]), 1)
        if laid_out * len(pattern) > MOST_REPEATED * 100 or laid_out > MOST_REPEATED:
            raise InputError("Invalid regular expression: what it repeats is too large")


def _translated(pattern: str) -> str:
    """In the words of Python: JavaScript's `$` stands for the very end, `.` for no line end, and classes are those of ASCII."""
    inside = False

    def sign(match: re.Match[str]) -> str:
        nonlocal inside
        if match["escaped"] is not None:
            return _escaped(match["escaped"], inside)
        if match["open"] is not None:
            if inside:
                return "\\[" + match["open"][1:].replace("]", "")
            inside = not match["open"].endswith("]")
            return match["open"] if inside else ("[\\s\\S]" if "^" in match["open"] else "(?!)")
        if match["close"] is not None:
            inside = False
            return "]"
        if match["name"] is not None:
            return f"(?P<{match['name'].replace('$', '_')}>" if not inside else match[0]
        if inside:
            return match[0]
        return {".": r"[^\n\r\u2028\u2029]", "$": r"(?![\s\S])", "^": r"(?<![\s\S])"}[match["sign"]]

    return _SIGNS.sub(sign, pattern)


def _escaped(letter: str, inside: bool) -> str:
    if letter in _CLASSES:
        return _CLASSES[letter] if inside else f"[{_CLASSES[letter]}]"
    if letter.lower() in _CLASSES and not inside:
        return f"[^{_CLASSES[letter.lower()]}]"
    if letter in _EDGES and not inside:
        return _EDGES[letter]
    if letter == "/" or (letter.isalpha() and letter not in "bBdDwWsSnrtvfxuckpP0"):
        return re.escape(letter)
    return "\\" + letter


def _filled(match: regex.Match[str], content: str, replacement: str) -> str:
    """`$1`, `$<name>`, `$&` and the like filled in."""
    named = match.groupdict()

    def one(mark: re.Match[str]) -> str:
        text = mark[0]
        if text == "$$":
            return "$"
        if text == "$&":
            return match[0]
        if text == "$`":
            return content[: match.start()]
        if text == "$'":
            return content[match.end() :]
        if mark[2] is not None:
            return (named.get(mark[2]) or "") if named else text
        return _numbered(match, mark[1])

    return _MARK.sub(one, replacement)


def _numbered(match: regex.Match[str], digits: str) -> str:
    """Two digits if there are so many groups, else one and the other digit as it is."""
    count = match.re.groups
    for length in (2, 1):
        number = int(digits[:length])
        if len(digits) >= length and 1 <= number <= count:
            return (match[number] or "") + digits[length:]
    return f"${digits}"
