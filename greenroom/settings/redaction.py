"""A config tree -> the same tree with `<secret>` in place of what must not be shown.

A value is secret for one of four reasons: the config schemas of upstream mark its path so; a word in its key says so;
it was made from a variable or file with such a name; or it looks like a credential (a private key, a GitHub token, the
user part of a URL). The rule of thumb is to hide too much rather than too little; booleans are never secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from greenroom.settings.documents import Place

SECRET = "<secret>"  # noqa: S105 - this is what is shown in place of one

_PATHS = tuple(
    tuple(path.split("."))
    for path in (
        "aws.accountDefaults.externalId",
        "aws.accounts.*.accessKeyId",
        "aws.accounts.*.externalId",
        "aws.mainAccount.accessKeyId",
        "backend.auth.externalAccess.*.options.token",
        "backend.auth.externalAccess.*.options.secret",
        "backend.auth.keys",
        "backend.cache.*.cluster.defaults",
        "backend.cache.*.cluster.rootNodes",
        "integrations.bitbucketCloud.*.clientId",
        "integrations.bitbucketServer.*.username",
        "integrations.gerrit.*.username",
        "integrations.gitea.*.username",
        "kubernetes.clusterLocatorMethods.*.clusters.*.authMetadata",
        "kubernetes.clusterLocatorMethods.*.clusters.*.caData",
        "kubernetes.googleServiceAccountCredentials",
        "techdocs.generator.pullOptions",
    )
)
"""Secret by upstream's schemas (visibility `secret`), where the key does not tell. `*` is any one key or index."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET_PARTS = re.compile(
    "passw(?:or)?d|passphrase|passcode|secret|token|credential|authorization|signature|connectionstring"
    "|(?:api|private|access|signing|account|encryption|storage|master|shared|service|client|auth|deploy|ssh|gpg|rsa|webhook"
    "|licen[sc]e|subscription|session|jwt|integration)keys?(?:id)?"
)
_SECRET_WORDS = frozenset(
    {"key", "pem", "pwd", "pass", "pat", "pats", "creds", "cookie", "cookies", "dsn", "hmac", "salt", "sas"}
)
_ABOUT_SECRETS = frozenset(
    {
        *(
            "expiration",
            "expiry",
            "expires",
            "ttl",
            "lifetime",
            "timeout",
            "duration",
            "offset",
            "interval",
            "length",
            "size",
        ),
        *(
            "type",
            "policy",
            "method",
            "algorithm",
            "enabled",
            "required",
            "url",
            "uri",
            "endpoint",
            "host",
            "header",
            "field",
        ),
    }
)
"""As its last word, these make a key one about a secret (`tokenExpiration`), not one that holds it."""

_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_TOKENS = re.compile(
    r"\b(?:gh[opsur]_\w{16,}|github_pat_\w{16,}|gl(?:pat|oas|dt|rt|cbt|ptt|ft|soat)-[\w-]{10,}|xox[a-z]-[\w-]{10,}|A(?:KIA|SIA)[A-Z0-9]{12,}"
    r"|eyJ[\w-]{10,}\.[\w-]+\.[\w-]*|sk-[\w-]{16,}|npm_\w{20,}|AIza[\w-]{20,})"
)
_SCHEME = re.compile(r"\b(Bearer|Basic|Token|AWS4-HMAC-SHA256)\s+[^\s,;'\"]+", re.IGNORECASE)
_USER_PART = re.compile(
    r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*)://(?P<user>[^/\s@:?#]*)(?P<password>:(?!\d{1,5}(?:[/?#\s,]|$))\S*(?=@))?@"
)
_PARAMETER = re.compile(r"(?P<before>(?:^|[?&#;\s])(?P<name>[\w.~%-]+)\s?=\s?)(?P<value>'[^']*'|\"[^\"]*\"|[^&#;\s]+)")


def names_a_secret(name: str) -> bool:
    """Whether a key, variable or file has a name that is given to secrets: `clientSecret`, `DB_PASSWORD`, `tls.key`."""
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words:
        return False
    return bool(_SECRET_PARTS.search("".join(words))) or (
        words[-1] in _SECRET_WORDS and (words[-1] != "key" or len(words) <= 2)
    )


def is_about_secrets(key: str) -> bool:
    """Whether a key, for all its secretive words, holds a setting: `tokenExpiration`."""
    words = [word.lower() for word in _WORDS.findall(key)]
    return bool(words) and words[-1] in _ABOUT_SECRETS


def is_secret(place: Place) -> bool:
    """Whether the value at a place of the config is secret, for its path or for a key on the way to it."""
    keys = [part for part in place if isinstance(part, str)]
    return (
        any(names_a_secret(key) and not is_about_secrets(key) for key in keys)
        or bool(keys and keys[-1].lower().endswith("auth"))
        or any(_matches(pattern, place) for pattern in _PATHS)
    )


def _matches(pattern: tuple[str, ...], place: Place) -> bool:
    return len(place) >= len(pattern) and all(want in ("*", got) for want, got in zip(pattern, place, strict=False))


def hide_in_text(text: str) -> str:
    """The text without the credentials that can be recognised inside it."""
    if _PRIVATE_KEY.search(text):
        return SECRET
    text = _PARAMETER.sub(_without_parameter, hide_credentials(text))
    return _SCHEME.sub(lambda found: f"{found[1]} {SECRET}", text)


def hide_credentials(text: str) -> str:
    """The text without what is a credential in any text, also in one of code: users of URLs, and tokens by their looks."""
    return _TOKENS.sub(SECRET, _USER_PART.sub(_without_user, text))


def _without_user(found: re.Match[str]) -> str:
    """A git or HTTP URL may carry a token as its user; elsewhere the user is no secret, but the password is."""
    scheme, user, password = found["scheme"], found["user"], found["password"]
    if scheme.lower().removeprefix("git+") in {"http", "https"}:
        return f"{scheme}://{SECRET}@"
    return f"{scheme}://{user}{':' + SECRET if password else ''}@"


def _without_parameter(found: re.Match[str]) -> str:
    secret = names_a_secret(found["name"]) or found["name"].lower() in {"sig", "code", "sslpassword"}
    return f"{found['before']}{SECRET}" if secret else found[0]


def redact(value: object, inputs: Callable[[Place], Iterable[str]], place: Place = ()) -> Any:
    """The value with its secrets hidden. `inputs` tells of a place which variables and files it is made of."""
    found = set(_secret_texts(value, inputs, place))
    return _redacted(value, inputs, place, sorted(found, key=len, reverse=True))


def _hidden(value: object, inputs: Callable[[Place], Iterable[str]], place: Place) -> bool:
    if value is None or isinstance(value, bool):
        return False
    return is_secret(place) or any(names_a_secret(name) for name in inputs(place))


def _secret_texts(value: object, inputs: Callable[[Place], Iterable[str]], place: Place) -> Iterable[str]:
    """Secrets long enough to be looked for in other values too."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _secret_texts(item, inputs, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _secret_texts(item, inputs, (*place, index))
    elif isinstance(value, str) and len(value) >= 12 and _hidden(value, inputs, place):
        yield value


def _redacted(value: object, inputs: Callable[[Place], Iterable[str]], place: Place, known: list[str]) -> object:
    if isinstance(value, dict):
        return {_text(key, known): _redacted(item, inputs, (*place, key), known) for key, item in value.items()}
    if isinstance(value, list):
        return [_redacted(item, inputs, (*place, index), known) for index, item in enumerate(value)]
    if _hidden(value, inputs, place):
        return SECRET
    return _text(value, known) if isinstance(value, str) else value


def _text(text: str, known: list[str]) -> str:
    for secret in known:
        text = text.replace(secret, SECRET)
    return hide_in_text(text)
