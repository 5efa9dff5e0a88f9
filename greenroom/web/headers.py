"""backend.csp and backend.referrer -> the headers that helmet puts on every response, ready to be sent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from greenroom.errors import ConfigError
from greenroom.settings import Referrer

RawHeaders = list[tuple[bytes, bytes]]

_DIRECTIVES: dict[str, Sequence[str]] = {
    "default-src": ("'self'",),
    "base-uri": ("'self'",),
    "font-src": ("'self'", "https:", "data:"),
    "frame-ancestors": ("'self'",),
    "img-src": ("'self'", "data:"),
    "object-src": ("'none'",),
    "script-src": ("'self'", "'unsafe-eval'"),
    "script-src-attr": ("'none'",),
    "style-src": ("'self'", "https:", "'unsafe-inline'"),
    "upgrade-insecure-requests": (),
}
_REFERRERS = (
    "no-referrer no-referrer-when-downgrade same-origin origin strict-origin origin-when-cross-origin "
    "strict-origin-when-cross-origin unsafe-url"
)
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")


def content_security_policy(csp: Mapping[str, Any] | None) -> str:
    """Helmet's defaults as upstream bends them, overridden by `backend.csp`: lists replace, `false` removes.

    Names may be camelCase. Raises ConfigError for what helmet refuses to start with."""
    directives = dict(_DIRECTIVES)
    for key, value in (csp or {}).items():
        name, path = "-".join(_WORD.findall(key)).lower(), f"backend.csp.{key}"
        if value is False:
            directives.pop(name, None)
        elif not isinstance(value, list) or not all(isinstance(source, str) for source in value):
            raise ConfigError(path, "must be a list of sources, or false", value=value)
        elif any(";" in source or "," in source for source in value):
            raise ConfigError(path, "a source may contain neither `;` nor `,`", value=value)
        else:
            directives[name] = value
    if "default-src" not in directives:
        raise ConfigError("backend.csp.default-src", "is needed", hint="give it a list of sources")
    return ";".join(" ".join([name, *sources]) for name, sources in directives.items())


def referrer_policy(referrer: Referrer | None) -> str:
    """`no-referrer` unless `backend.referrer.policy` lists others. Raises ConfigError for an unknown policy."""
    policies = referrer.policy if referrer else ["no-referrer"]
    for policy in policies:
        if policy not in ("", *_REFERRERS.split()):
            raise ConfigError("backend.referrer.policy", "is not a referrer policy", value=policy)
    return ",".join(policies)


def fixed_headers(csp: Mapping[str, Any] | None = None, referrer: Referrer | None = None) -> RawHeaders:
    """What every response carries, in helmet's order. Raises ConfigError."""
    named = {
        "Content-Security-Policy": content_security_policy(csp),
        "Referrer-Policy": referrer_policy(referrer),
        "Strict-Transport-Security": "max-age=15552000; includeSubDomains",
        "X-Content-Type-Options": "nosniff",
        "X-DNS-Prefetch-Control": "off",
        "X-Download-Options": "noopen",
        "X-Frame-Options": "SAMEORIGIN",
        "X-Permitted-Cross-Domain-Policies": "none",
        "X-XSS-Protection": "0",
    }
    return [(name.encode(), header_value(value, "backend.csp")) for name, value in named.items()]


def header_value(text: str, path: str) -> bytes:
    """What the config has at `path`, as the value of a header. Raises ConfigError for what no header can carry."""
    if not _HEADER_VALUE.fullmatch(text):
        raise ConfigError(path, "has characters that no header can carry", value=text)
    return text.encode("latin-1")
