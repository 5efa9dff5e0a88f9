"""secret -> the forms in which it may turn up: as it is, in other case, reversed, escaped and encoded."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from itertools import islice
from urllib.parse import quote, quote_plus

SHORTEST = 6
"""Characters, white space aside, from which a secret is looked for in any form. A shorter one - a PIN, `dev`, `true` - is looked
for as it is written and escaped, no more: three letters in either case or reversed stand in any text by chance, and replacing
those would make logs unreadable, and tell what the secret is."""

_LONG = 4096
"""Characters from which a secret is looked for piece by piece, and not in what was escaped or encoded twice: each form takes time
and memory, and long ones that are all alike take time at each place of a text."""
_PIECE, _OVERLAP = 1024, 64
_MOST_LINES = 500
"""Of one secret that are looked for one by one."""

_LEAST = 6
"""Characters of a form that is looked for: what is left of a base64 text between its alignments, for example."""

_PRINTED = "".join(map(chr, range(0x21, 0x7F)))
_IN_URLS = tuple(
    "".join(char for char in _PRINTED if char not in escaped)
    for escaped in ('"<>`', '"#<>', "\"#<>'", '"#<>?^`{}', '"#<>?`{}', '"#<>?^`{}/:;=@[\\]|')
)
"""What stays as it is in the fragment, query, path and user of a URL that a browser (or node) prints."""

_DROPPED = re.compile(r"(?:\s|\x1b\[[0-9;]*[A-Za-z])+")
"""What may be put between the characters of a secret that is wrapped, indented or coloured."""


def squeezed(text: str) -> str:
    """Without white space and terminal colours."""
    return "".join(text.split()) if "\x1b" not in text else _DROPPED.sub("", text)


def dropped(text: str) -> Iterator[tuple[int, int]]:
    """Where `squeezed` takes something away, from and to."""
    return (found.span() for found in _DROPPED.finditer(text))


def folded(text: str) -> str:
    """In one case, of the same length: what differs in nothing but case becomes equal."""
    return text.replace("\u0130", "i").lower().replace("\u03c2", "\u03c3")


def exact_forms(secret: str) -> set[str]:
    """As it is written, or escaped for JSON, URLs, HTML, shells and YAML."""
    return {secret, *_escaped(secret)}


def loose_forms(secret: str) -> set[str]:
    """All forms, squeezed and folded, at least as long as a form must be to say anything."""
    forms = {folded(squeezed(form)) for form in _forms(secret)}
    return {form for form in forms if len(form) >= _LEAST}


def _forms(secret: str) -> Iterator[str]:
    is_long = len(secret) > _LONG
    for one in (*(_pieces(secret) if is_long else (secret,)), *_lines(secret)):
        cases = {one, one.upper(), one.lower(), one.title(), one.capitalize(), one.swapcase(), one.casefold()}
        for text in {one, one[::-1]} if one.isascii() else {*cases, *(case[::-1] for case in cases)}:
            yield from (text, *_in_json(text))
        escaped = _escaped(one)
        yield from escaped
        if is_long:
            yield from _encoded(one)
            continue
        for text in {one, one.upper(), one.lower(), *_in_json(one)}:
            yield from _encoded(text)
        for text in escaped:
            yield from _in_json(text)
            yield quote(text, safe="", errors="surrogatepass")


def _pieces(secret: str) -> Iterator[str]:
    """They overlap by more than what an encoding makes of the ends of a piece, which depends on what stands beside it."""
    for start in range(0, len(secret), _PIECE - _OVERLAP):
        yield secret[start : start + _PIECE]


def _lines(secret: str) -> list[str]:
    """Those of a key in PEM form, which may be logged one by one; its first and last say nothing."""
    lines = dict.fromkeys(line.strip() for line in secret.splitlines())
    telling = (line for line in lines if len(squeezed(line)) >= 2 * SHORTEST and not line.startswith("--"))
    return list(islice(telling, _MOST_LINES))


def _escaped(text: str) -> set[str]:
    quoted = {quote(text, safe=safe, errors="surrogatepass") for safe in ("", "/", "-_.!~*'()", ";,/?:@&=+$-_.!~*'()#")}
    in_one_line = text.translate({9: None, 10: None, 13: None})
    quoted |= {quote(in_one_line, safe=safe, errors="surrogatepass") for safe in _IN_URLS}
    quoted |= {quote_plus(text, errors="surrogatepass"), quote_plus(text, safe="*", errors="surrogatepass")}
    quotes = {text.replace("'", other) for other in ("'\\''", "'\"'\"'", "''", "\\'", "&#39;", "&apos;")}
    marked = {html.escape(text), html.escape(text, quote=False), html.escape(text, quote=False).replace('"', "&quot;")}
    marked |= {html.escape(text).replace("&#x27;", other) for other in ("&#39;", "&apos;")}
    return {*_in_json(text), *quoted, *quotes, *marked, re.escape(text), repr(text)[1:-1], text.replace('"', '\\"')}


def _in_json(text: str) -> set[str]:
    plain, ascii_only = json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(text)[1:-1]
    return {plain, ascii_only, plain.replace("/", "\\/"), ascii_only.replace("/", "\\/")}


def _encoded(text: str) -> Iterator[str]:
    data = text.encode("utf-8", "surrogatepass")
    yield from (data.hex(), data.hex(":"), data.hex("-"))
    yield "".join(f"%{byte:02x}" for byte in data)
    yield repr(data)[2:-1]
    for before in range(3):
        core = _base64_core(data, before)
        yield core
        yield core.replace("+", "-").replace("/", "_")


def _base64_core(data: bytes, before: int) -> str:
    """The characters that depend on nothing but the data, which stands after so many bytes of something else."""
    text = base64.b64encode(bytes(before) + data + bytes(3)).decode()
    return text[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
