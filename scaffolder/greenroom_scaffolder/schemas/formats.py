"""The formats that npm's `jsonschema` knows, put together from the grammars behind them; others are not checked.

Texts only are checked. What is odd here is odd upstream: months are 00-12 (so is every day up to 31), `duration`, `style` and
`uri-template` are found anywhere in a text, and an `ip-address` may have leading zeros.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from greenroom.javascript.numbers import parse_float, read_number
from greenroom.javascript.texts import WHITESPACE
from greenroom.javascript.values import text_of
from greenroom_scaffolder.schemas.patterns import Matcher, is_pattern, matcher

_DATE = r"\d{4}-(?:0\d|1[0-2])-(?:3[01]|0[1-9]|[12]\d)"
_CLOCK = r"(?:2[0-4]|[01]\d):[0-5]\d:(?:60|[0-5]\d)"
_OFFSET = r"(?:[zZ]|[+-][0-5]\d:(?:60|[0-5]\d))"

_TIMES = r"T\d+(?:H(?:\d+M(?:\d+S)?)?|M(?:\d+S)?|S)"
_DAYS = r"\d+(?:D|M(?:\d+D)?|Y(?:\d+M(?:\d+D)?)?)"
_DURATION = f"P(?:{_TIMES}|{_DAYS}(?:{_TIMES})?|\\d+W)"

_WORD = r"[\w!#$%&'*+\-/=?^`{|}~]+"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-](?!\.)){0,61}[a-zA-Z0-9]?\."
_TOP = r"[a-zA-Z0-9](?:[a-zA-Z0-9-](?!$)){0,61}[a-zA-Z0-9]?"
_OCTET = r"(?:[01]?\d{1,2}|2[0-4]\d|25[0-5])"
_EMAIL = rf"^(?:{_WORD}\.)*{_WORD}@(?:(?:{_LABEL})+{_TOP}|\[(?:{_OCTET}\.){{3}}{_OCTET}\])$"

_ATOM = r"[!#-'*+\-/-9=?A-Z\^-\u{10FFFF}]"
_ATOMS = f"{_ATOM}(?:\\.?{_ATOM})*"
_QUOTED = r'"(?:[!#-\[\]-\u{10FFFF}]|\\[\t -\u{10FFFF}])*"'
_IDN_EMAIL = rf"^(?:{_QUOTED}|{_ATOMS})@(?:{_ATOMS}|\[[!-Z\^-\u{{10FFFF}}]*\])$"

_IPV4 = r"(?:(?:25[0-5]|2[0-4]\d|[01]?\d\d?)\.){3}(?:25[0-5]|2[0-4]\d|[01]?\d\d?)"
_STRICT_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_EMBEDDED = rf"{_STRICT_OCTET}(?:\.{_STRICT_OCTET}){{3}}"
_HEX = "[0-9A-Fa-f]{1,4}"


def _ipv6() -> str:
    """Up to seven groups, then what may follow so many: two colons stand for the rest, the last two groups may be an IPv4."""
    forms = [f"(?:{_HEX}:){{7}}(?:{_HEX}|:)", f"(?:{_HEX}:){{6}}(?::{_HEX}|{_EMBEDDED}|:)"]
    for groups in range(5, -1, -1):
        most = 7 - groups
        short = f"(?::{_HEX}){{0,{most - 2}}}:{_EMBEDDED}"
        head = f"(?:{_HEX}:){{{groups}}}" if groups else ":"
        forms.append(f"{head}(?:(?::{_HEX}){{1,{most}}}|{short}|:)")
    return f"^\\s*(?:{'|'.join(forms)})(?:%.+)?\\s*$"


def _reference(also: str = "") -> str:
    """A URI, or what may stand for one beside another (RFC 3986), without users; `also` are further characters of an IRI.

    Without a scheme, the first segment has no colon."""
    rest = f"(?:%[0-9A-Fa-f]{{2}}|[!$&-;=?-Z_a-z~{also}])"
    no_slash = f"(?:%[0-9A-Fa-f]{{2}}|[!$&-.0-;=?-Z_a-z~{also}])"
    no_colon = f"(?:%[0-9A-Fa-f]{{2}}|[!$&-.0-9;=@-Z_a-z~{also}])"
    name = f"(?:%[0-9A-Fa-f]{{2}}|[!$&-.0-9;=A-Z_a-z~{also}])"
    address = rf"\[(?:[Vv][0-9A-Fa-f]+\.[!$&-.0-;=A-Z_a-z~{also}]+|[.0-:A-Fa-f]*)\]"
    authority = rf"//(?:{name}+|(?:{address})?)(?::\d*)?"
    rooted = f"{authority}(?:[/?]{rest}*)?|/(?:{no_slash}{rest}*)?"
    absolute = f"[A-Za-z][A-Za-z0-9+.-]*:(?:{rooted}|{no_slash}{rest}*)?"
    relative = f"{rooted}|(?:{no_colon}+(?:[/?]{rest}*)?)|\\?{rest}*"
    return f"^(?:{absolute}|{relative}|)(?:#{rest}*)?$"


_BYTE = r"\b(?:\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])\b"
_SHARE = r"(?:\d?\d%|100%)+"
_NAMES = "aqua|black|blue|fuchsia|gray|green|lime|maroon|navy|olive|orange|purple|red|silver|teal|white|yellow"
_COMMA = r"\s*,\s*"
_COLOR = (
    rf"^(?:#?(?:[0-9A-Fa-f]{{3}}){{1,2}}\b|{_NAMES}|rgb\(\s*{_BYTE}{_COMMA}{_BYTE}{_COMMA}{_BYTE}\s*\)"
    rf"|rgb\(\s*{_SHARE}{_COMMA}{_SHARE}{_COMMA}{_SHARE}\s*\))$"
)
_HOST_LABEL = "[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?"
_HOSTNAME = rf"^(?=.{{1,255}}$){_HOST_LABEL}(?:\.{_HOST_LABEL})*\.?$"
_POINTER = r"(?:/(?:[\x00-.0-}\x7f\u017f\u212a]|~[01])*)*"  # the last two are s and k, as far as case is ignored
_URI = r"^[a-zA-Z][a-zA-Z0-9+.-]*:[^\s]*$"
_UUID = "^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"

_PATTERNS = {
    "date-time": f"^{_DATE}[tT ]{_CLOCK}(?:\\.\\d+)?{_OFFSET}$",
    "date": f"^{_DATE}$",
    "time": f"^{_CLOCK}$",
    "duration": re.sub("[A-Z]", lambda letter: f"[{letter[0]}{letter[0].lower()}]", _DURATION),
    "email": _EMAIL,
    "idn-email": _IDN_EMAIL,
    "ip-address": f"^{_IPV4}$",
    "ipv4": f"^{_IPV4}$",
    "ipv6": _ipv6(),
    "uri": _URI,
    "uri-reference": _reference(),
    "iri": _URI,
    "iri-reference": _reference(r"-\u{10FFFF}"),
    "uuid": _UUID,
    "json-pointer": f"^{_POINTER}$",
    "relative-json-pointer": f"^\\d+(?:#|{_POINTER})$",
    "hostname": _HOSTNAME,
    "host-name": _HOSTNAME,
    "style": r"[\r\n\t ]*[^\r\n\t ][^:]*:[\r\n\t ]*[^\r\n\t ;]*[\r\n\t ]*;?",
    "color": _COLOR,
    "phone": r"^\+(?:[0-9] ?){6,14}[0-9]$",
    "alpha": "^[a-zA-Z]+$",
    "alphanumeric": "^[a-zA-Z0-9]+$",
}  # fmt: skip

_LEADING_INTEGER = re.compile(rf"[{WHITESPACE}]*([+-]?[0-9]+)")


def format_check(name: object) -> Matcher | None:
    """The check of a format; None if any text has it."""
    key = text_of(name)
    return matcher(_PATTERNS[key]) if key in _PATTERNS else _CHECKS.get(key)


def _is_whole_milliseconds(text: str) -> bool:
    """A whole number and nothing else; texts that only begin like one are none."""
    integer = _LEADING_INTEGER.match(text)
    if integer is None or math.isnan(read_number(text)):
        return False
    return parse_float(text) == float(integer[1])


_CHECKS: dict[str, Callable[[str], bool]] = {
    "utc-millisec": _is_whole_milliseconds,
    "regex": is_pattern,
    "regexp": is_pattern,
    "pattern": is_pattern,
}
