"""backend.auth.externalAccess -> the tokens that machines may show, kept as digests."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from greenroom.auth.credentials import AccessRestrictions, ServicePrincipal
from greenroom.errors import ConfigError, NotAllowedError

PATH = "backend.auth.externalAccess"
SHORTEST_TOKEN = 8
ACTIONS = ("create", "read", "update", "delete")


class ExternalToken(msgspec.Struct, frozen=True):
    """One configured token: its SHA-256, whose it is, and, if it is restricted, the plugins it may be used on."""

    digest: bytes
    subject: str
    plugins: Mapping[str, AccessRestrictions] | None = None


def find(tokens: Sequence[ExternalToken], token: str) -> ExternalToken | None:
    """The first of the tokens equal to this one. All are compared, in constant time, so that timing tells nothing."""
    digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
    found: ExternalToken | None = None
    for known in tokens:
        if hmac.compare_digest(known.digest, digest) and found is None:
            found = known
    return found


def principal_on(token: ExternalToken, plugin: str) -> ServicePrincipal:
    """Who the token stands for on that plugin. Raises NotAllowedError where it may not be used there."""
    if token.plugins is None:
        return ServicePrincipal(token.subject)
    restrictions = token.plugins.get(plugin)
    if restrictions is None:
        allowed = ", ".join(f"'{name}'" for name in token.plugins)
        raise NotAllowedError(f"This token's access is restricted to plugin(s) {allowed}")
    return ServicePrincipal(token.subject, restrictions)


def read_tokens(entries: Sequence[Any]) -> tuple[ExternalToken, ...]:
    """The tokens of the raw config list, in order. Raises ConfigError, which never quotes a token."""
    return tuple(_read(entry, f"{PATH}[{index}]") for index, entry in enumerate(entries))


def _read(entry: Any, path: str) -> ExternalToken:
    if not isinstance(entry, Mapping):
        raise ConfigError(path, "must be an object with `type` and `options`")
    kind = entry.get("type")
    if kind != "static":
        raise ConfigError(f"{path}.type", "only static tokens are supported", value=kind, hint="type: static")
    options = entry.get("options")
    if not isinstance(options, Mapping):
        raise ConfigError(f"{path}.options", "must be an object with `token` and `subject`")
    token = _word(options.get("token"), f"{path}.options.token")
    if len(token) < SHORTEST_TOKEN:
        raise ConfigError(f"{path}.options.token", f"must be at least {SHORTEST_TOKEN} characters long")
    subject = _word(options.get("subject"), f"{path}.options.subject")
    plugins = _read_restrictions(entry.get("accessRestrictions"), f"{path}.accessRestrictions")
    return ExternalToken(hashlib.sha256(token.encode()).digest(), subject, plugins)


def _word(value: Any, path: str) -> str:
    if not isinstance(value, str) or not value or len(value.split()) != 1 or value != value.strip():
        raise ConfigError(path, "must be a text without spaces")
    return value


def _read_restrictions(value: Any, path: str) -> dict[str, AccessRestrictions] | None:
    if not value:
        return None
    if not isinstance(value, list):
        raise ConfigError(path, "must be a list")
    found: dict[str, AccessRestrictions] = {}
    for index, entry in enumerate(value):
        here = f"{path}[{index}]"
        _only(entry, ("plugin", "permission", "permissionAttribute"), here)
        plugin = _word(entry.get("plugin"), f"{here}.plugin")
        if plugin in found:
            raise ConfigError(f"{here}.plugin", "is restricted twice", value=plugin)
        attribute = entry.get("permissionAttribute") or {}
        _only(attribute, ("action",), f"{here}.permissionAttribute")
        names = _words(entry.get("permission"), f"{here}.permission")
        actions = _words(attribute.get("action"), f"{here}.permissionAttribute.action", ACTIONS)
        found[plugin] = AccessRestrictions(names, actions)
    return found


def _only(value: Any, known: Sequence[str], path: str) -> None:
    if not isinstance(value, Mapping):
        raise ConfigError(path, "must be an object")
    for key in value:
        if key not in known:
            raise ConfigError(f"{path}.{key}", "is not known here", hint=f"expected {' or '.join(known)}")


def _words(value: Any, path: str, allowed: Sequence[str] = ()) -> frozenset[str] | None:
    """A text or a list of texts, split on spaces and commas as upstream does; None when nothing is left."""
    if value is None:
        return None
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ConfigError(path, "must be a text or a list of texts")
    words = frozenset(word for text in texts for word in text.replace(",", " ").split(" ") if word)
    for word in words - set(allowed) if allowed else ():
        raise ConfigError(path, "is not a known action", value=word, hint=f"one of {', '.join(allowed)}")
    return words or None
