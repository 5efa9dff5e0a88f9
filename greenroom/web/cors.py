"""backend.cors -> which origins may call, and the headers that tell browsers so."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from greenroom.errors import ConfigError
from greenroom.settings import Cors as CorsConfig
from greenroom.web.headers import RawHeaders, header_value

METHODS = "GET,HEAD,PUT,PATCH,POST,DELETE"


class Answer(msgspec.Struct, frozen=True):
    """What CORS adds to one response."""

    headers: RawHeaders
    vary: tuple[str, ...] = ()
    status: int | None = None
    """The status of a preflight that is answered here and now."""


class Cors:
    """The compiled rules. Without an `origin` any origin may call, as the library that upstream uses has it.

    Raises ConfigError for a pattern that makes no sense, and for what no header can carry."""

    def __init__(self, config: CorsConfig) -> None:
        self._any = not config.origin
        self._origins = [_compiled(pattern) for pattern in (config.origin if isinstance(config.origin, list) else ())]
        self._fixed = _pairs({"Access-Control-Allow-Credentials": "true" if config.credentials else ""})
        self._exposed = _pairs({"Access-Control-Expose-Headers": ",".join(config.exposed_headers or ())})
        self._methods = _pairs({"Access-Control-Allow-Methods": ",".join(config.methods or [METHODS])})
        allowed = config.allowed_headers
        self._allowed = None if allowed is None else header_value(",".join(allowed), "backend.cors")
        self._age = _pairs({"Access-Control-Max-Age": "" if config.max_age is None else str(config.max_age)})
        status = config.options_success_status
        self._preflight_status = None if config.preflight_continue else 204 if status is None else status
        self._known: dict[bytes, bool] = {}

    def allows(self, origin: bytes) -> bool:
        """Whether a pattern matches the origin."""
        if origin not in self._known:
            if len(self._known) > 256:  # origins come from clients
                self._known.clear()
            text = origin.decode("latin-1")
            self._known[origin] = any(pattern.fullmatch(text) for pattern in self._origins)
        return self._known[origin]

    def answer(self, method: str, headers: Mapping[bytes, bytes]) -> Answer | None:
        """What to add to the response, None where the origin is not allowed: the request then goes its way."""
        origin = headers.get(b"origin", b"")
        if not self._any and not self.allows(origin):
            return None
        vary: tuple[str, ...] = () if self._any else ("Origin",)
        allow = [(b"Access-Control-Allow-Origin", b"*" if self._any else origin)]
        if method != "OPTIONS":
            return Answer([*allow, *self._fixed, *self._exposed], vary)
        allowed = self._allowed
        if allowed is None:
            vary = (*vary, "Access-Control-Request-Headers")
            allowed = headers.get(b"access-control-request-headers", b"")
        allow_headers = [(b"Access-Control-Allow-Headers", allowed)] if allowed else []
        return Answer(
            [*allow, *self._fixed, *self._methods, *allow_headers, *self._age, *self._exposed],
            vary,
            self._preflight_status,
        )


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return compile_glob(pattern)
    except re.error as error:
        raise ConfigError("backend.cors.origin", f"is not a pattern: {error.msg}", value=pattern) from None


def _pairs(named: Mapping[str, str]) -> RawHeaders:
    return [(name.encode(), header_value(value, "backend.cors")) for name, value in named.items() if value]


def compile_glob(pattern: str) -> re.Pattern[str]:
    """A glob as minimatch reads it (nocase, noglobstar): `*` within slashes, `?`, `[a-z]`, `{a,b}`, `{1..3}`, a leading `!`."""
    negated = len(pattern) - len(pattern.lstrip("!"))
    branches = "|".join(_expression(branch) for branch in _braces(pattern[negated:]))
    expression = f"(?!(?:{branches})\\Z).*" if negated % 2 else f"(?:{branches})"
    return re.compile(expression, re.IGNORECASE | re.DOTALL)


def _braces(pattern: str) -> list[str]:
    """`a{b,c}d` -> `abd`, `acd`; innermost first, so that braces may nest."""
    found = re.search(r"\{([^{}]*)\}", pattern)
    if not found:
        return [pattern]
    span = re.fullmatch(r"(-?\d+)\.\.(-?\d+)", found[1])
    if span:
        first, last = int(span[1]), int(span[2])
        options = [str(number) for number in range(first, last + 1)]
    elif "," in found[1]:
        options = found[1].split(",")
    else:
        return [pattern]
    return [one for option in options for one in _braces(pattern[: found.start()] + option + pattern[found.end() :])]


def _expression(pattern: str) -> str:
    return "/".join(_part(part) for part in pattern.split("/"))


def _part(part: str) -> str:
    """One piece between slashes. A wildcard at its start does not match a leading dot, and one alone not nothing."""
    if part and not part.strip("*"):
        return r"(?!\.)[^/]+"
    pieces = re.findall(r"\*+|\?|\[!?[^\]]+\]|\\.|.", part)
    expression = "".join(_piece(piece) for piece in pieces)
    return rf"(?!\.){expression}" if part[:1] in ("*", "?") else expression


def _piece(piece: str) -> str:
    if piece[0] == "*":
        return "[^/]*"
    if piece == "?":
        return "[^/]"
    if piece[0] == "[" and len(piece) > 1:
        negated = piece[1] in "!^"
        return f"[{'^' if negated else ''}{re.escape(piece[2 if negated else 1 : -1]).replace(chr(92) + '-', '-')}]"
    return re.escape(piece[-1])
