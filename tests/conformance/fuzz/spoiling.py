"""Texts of descriptors -> the same with something in them that should not be there: by line, by letter and by byte."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

SCALARS = (
    "0o17", "0x1F", "017", "1_000", "1.50", "1e3", "1E+3", ".5", "5.", "-0", "+1", ".inf", "-.INF", ".NaN", "0b11",
    "12345678901234567890", "1.0", "true", "True", "TRUE", "yes", "No", "on", "OFF", "y", "null", "Null", "~", "",
    "2024-01-31", "2024-01-31T10:00:00Z", "2024-01-31 10:00:00 +1", "12:30:45", "190:20:30", "!!str 5", "!!int '5'",
    "!!float 1", "!!bool yes", "!!null x", "!!binary aGk=", "!!binary '***'", "!!timestamp 2001-12-14",
    "!!set {a, b}", "!!omap [a: 1]", "!!pairs [a: 1]", "!!seq []", "!!map {}", "!custom x",
    "!<tag:yaml.org,2002:str> 5", "! 5", "!!", "!a!b c", "!!js/function x", "a: b", "a #b", "#c", "- x", "[a, b]",
    "{a: 1}", "[a, {b: c}]", "[a: b]", "{a, b: }", "{? a : b}", "[a,, b]", "[a, b,]", "{a: 1,}", "[]", "{}", "[", "{",
    "]", "}", "[a", "{a: [b}", '"a\\x41\\u00e9\\U0001F680\\n\\/\\e\\_"', '"\\q"', '"\\ud83d\\ude80"', '"\\ud83d"',
    "'it''s'", "'it's'", "'open", '"open', "'a' b", '"a" b', '"a\nb"', "'a\n\n  b'", "|", ">", "|+", "|2", ">-", "|0",
    "|x", "| # c", "|-\n      text\n      more\n", ">\n      folded\n      text\n\n        more\n", "|2\n   x\n",
    "&a x", "&a", "*a", "*nope", "&a [1, *a]", "&a {b: 1}", "&a &b x", "*a x", "@at", "`tick", "%x", "? x", ": x",
    "<<", "=", "é", "🚀", "x\ty", "a:b", "a :b", "a::b", "http://x.example.com/?a=b#c", "x" * 1100, "-", "--", "---",
    "...", "a\u2028b", "a\x85b", "a\xa0b", "\xa0x", "\ufeffx", "a\x7fb", "a\x1bb", "!", "&", "*", "?", "!!str",
    "!!str &a x", "&a !!str x", "!!int x", "!!float x", "!!str [a]", "!!map []", "{{ a }}", "${{ values.x }}",
    "<% x %>", "{% if x %}", "\\n", "0.1e400", "1e-400", "0x", "0o8", "0o", "9007199254740993", "-9007199254740993",
    "0xFFFFFFFFFFFFFFFFFF", "1.7976931348623157e309", "00", "-00", "08", "1,000", "+.inf", "++1", "1__0",
)  # fmt: skip
LINES = (
    "", "# note", "---", "...", "%YAML 1.2", "%YAML 1.1", "%YAML 2.0", "%TAG ! tag:x,2000:", "%FOO bar", "\t", "  ",
    "   \t", "null", "- a", "text", "{}", "a: 1", "a: &a {x: 1}", "<<: *a", "<<: [*a, *a]", "<<: {x: 1}", "? k",
    "? k\n: v", "? [a, b]\n: c", "\ufeff", "--- # again", "--- text", "--- |\n x", "--- {a: 1}", "---\ta", "\r",
    "\u2028", "[a]: b", "{a: b}: c", "!!str k: v", "&k k: v", "*a : v", "'k': v", '"k": v', "k : v", "k:v", ": v",
    "k:", "1: a", "true: a", "~: a", "2001-01-01: a", "0x10: a", "1.0: a", "constructor: x", "- - a", "-\ta", "-",
    "?", ":", "!", "&a", "*a", "!!set\n? a\n? b", "name: again", "spec:", "metadata:", "apiVersion: x", "kind: X",
    "}", "]", '"', "'", "|", ">", "@", "`", "%", "a: b: c", "a: 'b' c", "a: |", "a: >\n", "a: [", "a: {", 'a: "',
    "a: '", "# \t", "#", " #x", "... # end", "...x", "---x", "--- ---", "... ...", "x: ---", "\x00", "\x1b[0m",
)  # fmt: skip
LETTERS = "\t\n\r :-?,[]{}#&*!|>'\"%@`=<.~\\/0aZé🚀\u2028\u2029\u0085\u00a0\ufeff\x00\x07\x1b\x7f\ufffd\ud7ff\ufffe"
BYTES = (
    b"\xff",
    b"\xfe",
    b"\xc3",
    b"\xe2\x80",
    b"\xed\xa0\xbd",
    b"\xf5\x80\x80\x80",
    b"\xc0\x80",
    b"\xe9",
    b"\x80",
    b"\x00",
)

Spoil = Callable[[str, random.Random], str]


def drop_line(text: str, chance: random.Random) -> str:
    lines = text.split("\n")
    del lines[chance.randrange(len(lines))]
    return "\n".join(lines)


def repeat_line(text: str, chance: random.Random) -> str:
    lines = text.split("\n")
    line = chance.choice(lines)
    lines.insert(chance.randint(0, len(lines)), line)
    return "\n".join(lines)


def move_line(text: str, chance: random.Random) -> str:
    lines = text.split("\n")
    line = lines.pop(chance.randrange(len(lines)))
    lines.insert(chance.randint(0, len(lines)), line)
    return "\n".join(lines)


def insert_line(text: str, chance: random.Random) -> str:
    """As deep as the line before, or anyhow."""
    lines = text.split("\n")
    at = chance.randint(0, len(lines))
    before = lines[at - 1] if at else ""
    indent = chance.choice((before[: len(before) - len(before.lstrip())], "", "  ", "    ", " "))
    lines.insert(at, indent + chance.choice(LINES))
    return "\n".join(lines)


def indent(text: str, chance: random.Random) -> str:
    """Some lines in a row deeper, or less deep."""
    lines = text.split("\n")
    at, by = chance.randrange(len(lines)), chance.choice((" ", "  ", "\t", "   ", "\u00a0"))
    for index in range(at, min(len(lines), at + chance.choice((1, 1, 2, 5)))):
        lines[index] = (
            lines[index][len(by) :] if chance.random() < 0.5 and lines[index].startswith(by) else by + lines[index]
        )
    return "\n".join(lines)


def tabs(text: str, chance: random.Random) -> str:
    lines = text.split("\n")
    at = chance.randrange(len(lines))
    lines[at] = lines[at].replace(chance.choice(("  ", " ", ": ")), "\t", 1)
    return "\n".join(lines)


def replace_value(text: str, chance: random.Random) -> str:
    """What stands after a colon or a dash."""
    found = [match.span(1) for match in re.finditer(r"(?m)(?::|-)[ \t]+([^\n]*)$", text)]
    if not found:
        return text + chance.choice(SCALARS)
    start, end = chance.choice(found)
    return text[:start] + chance.choice(SCALARS) + text[end:]


def prefix_value(text: str, chance: random.Random) -> str:
    """A tag, an anchor or an alias in front of a value or a key."""
    found = [match.end() for match in re.finditer(r"(?m)(?::|-)[ \t]|^ *", text)]
    at = chance.choice(found)
    word = chance.choice(
        (
            "&a ",
            "&b ",
            "!!str ",
            "!x ",
            "!!map ",
            "!!seq ",
            "*a ",
            "- ",
            "? ",
            ": ",
            "'",
            '"',
            "[",
            "{",
            "| ",
            "> ",
            "# ",
            "@",
            "`",
            "%",
            "&a\n",
        )
    )
    return text[:at] + word + text[at:]


def alias(text: str, chance: random.Random) -> str:
    """An anchor on one value, and an alias of it before or in the place of another."""
    found = [match.end() for match in re.finditer(r"(?m)(?::|-)[ \t]", text)]
    if len(found) < 2:
        return text
    one, other = sorted(chance.sample(found, 2))
    end = text.find("\n", other)
    going = chance.random() < 0.5 and end >= 0
    rest = text[end if going else other :]
    return f"{text[:one]}&a {text[one:other]}*a{chance.choice(('', ' ', chr(10)))}{rest}"


def insert_letter(text: str, chance: random.Random) -> str:
    at = chance.randint(0, len(text))
    return text[:at] + chance.choice(LETTERS) + text[at:]


def drop_letter(text: str, chance: random.Random) -> str:
    at = chance.randint(0, len(text))
    return text[:at] + text[at + chance.choice((1, 1, 2, 9)) :]


def cut(text: str, chance: random.Random) -> str:
    return text[: chance.randint(0, len(text))] + chance.choice(
        ("", "\n", ":", "\n x", "\r", "\t", "\n---", "\n...", " #")
    )


def ends(text: str, chance: random.Random) -> str:
    """Other line ends, everywhere or at one place."""
    end = chance.choice(("\r\n", "\r", "\n\r", "\u2028", "\u0085", "\n\n", " \n", "\t\n", " # c\n"))
    return text.replace("\n", end) if chance.random() < 0.6 else text.replace("\n", end, chance.randint(1, 5))


def documents(text: str, chance: random.Random) -> str:
    """The same again, after or before something."""
    between = chance.choice(
        (
            "---\n",
            "...\n",
            "--- # x\n",
            "---\n---\n",
            "\n---\n\n",
            "...\n---\n",
            "--- !!map\n",
            "%YAML 1.2\n---\n",
            "...\n%YAML 1.1\n---\n",
        )
    )
    return chance.choice(
        (text + between + text, between + text, text + between, text + between + chance.choice(SCALARS) + "\n")
    )


def mark(text: str, chance: random.Random) -> str:
    return "\ufeff" + text


def quote_keys(text: str, chance: random.Random) -> str:
    return re.sub(
        r"(?m)^( *)(\w+):", lambda found: f'{found[1]}"{found[2]}":' if chance.random() < 0.3 else found[0], text
    )


SPOILS: Sequence[Spoil] = (
    drop_line, repeat_line, move_line, insert_line, insert_line, indent, indent, tabs, replace_value, replace_value, replace_value,
    prefix_value, prefix_value, alias, insert_letter, insert_letter, drop_letter, drop_letter, cut, ends, documents, mark,
    quote_keys,
)  # fmt: skip


def spoiled(text: str, chance: random.Random) -> str:
    """The text after a few of these."""
    for _ in range(chance.choice((0, 0, 1, 1, 1, 2, 3))):
        text = chance.choice(SPOILS)(text, chance)
    return text


def encoded(text: str, chance: random.Random) -> bytes:
    """Its bytes; seldom in an encoding that is not the one of YAML on the web, or broken."""
    how = chance.random()
    if how < 0.02:
        return text.encode(
            chance.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "utf-8-sig")), "replace"
        )
    content = text.encode("utf-8", "replace")
    if how < 0.05:
        at = chance.randint(0, len(content))
        return content[:at] + chance.choice(BYTES) + content[at:]
    return content
