"""The section `backend` of the config: how the server listens, answers, stores and whom it trusts.

Names, defaults and what is refused are those of `@backstage/backend-defaults` 0.18, apart from the database, where
running an embedded one is the default. Fields of type Any are known to upstream, and accepted here without effect, but
for `metrics: false`, which takes `/metrics` away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from greenroom.settings.sections import FieldError, MaybeEmpty, Strings, not_yet

DEFAULT_PORT = 7007
DEFAULT_POOL_SIZE = 10
SHORTEST_TOKEN = 8
LOOPBACK = ("127.0.0.1", "0:0:0:0:0:0:0:1", "::1")
ACTIONS = ("create", "read", "update", "delete")

_READABLE = re.compile(r"(?:\*\.)?[^/?#@*\s]+", re.ASCII)
_PORTS = re.compile(r"(\d+)(?:-(\d+))?\Z")


ConnectionKind = Annotated[Literal["default"], not_yet("azure", "cloudsql", "rds")]
AccessKind = Annotated[Literal["static"], not_yet("jwks", "legacy")]


class Discreet(msgspec.Struct, frozen=True):
    """A struct that keeps what it holds out of logs and tracebacks."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class Listen(msgspec.Struct, frozen=True, rename="camel"):
    """Where to listen: `":7007"`, `"127.0.0.1:7007"`, `"[::1]:7007"`, or an object. No host: every interface."""

    host: MaybeEmpty = ""
    port: int = DEFAULT_PORT

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise FieldError("port", "a port is a number from 0 to 65535")

    @classmethod
    def from_shorthand(cls, value: str | int) -> Listen:
        host, _, port = str(value).strip().rpartition(":")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if not port.isascii() or not port.isdecimal() or (bare == host and ":" in host) or int(port) > 65535:
            raise ValueError("expected `:<port>` or `<host>:<port>`")
        return cls(bare, int(port))


class Cors(msgspec.Struct, frozen=True, rename="camel"):
    """Which origins may call from a browser. Origins are patterns (minimatch, case-insensitive, `**` is `*`).

    Without an `origin`, or with `false`, upstream answers `*` to all of them, as its middleware does by default."""

    origin: Strings | bool | None = None
    methods: Strings | None = None
    allowed_headers: Strings | None = None
    exposed_headers: Strings | None = None
    credentials: bool | None = None
    max_age: int | None = None
    """Seconds."""
    preflight_continue: bool | None = None
    options_success_status: int | None = None

    def cautions(self) -> Iterable[str]:
        if not self.origin:
            yield "origin: none is given, which lets every origin in"


class Referrer(msgspec.Struct, frozen=True, rename="camel"):
    """The `Referrer-Policy` header."""

    policy: list[str]


class Tls(Discreet, frozen=True, rename="camel"):
    """How to speak TLS to Postgres. `ca`, `cert` and `key` are PEM texts, such as `{$file: ./ca.pem}`."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    reject_unauthorized: bool = True
    servername: str | None = None


class Connection(Discreet, frozen=True):
    """A Postgres server, in the terms of node-postgres. What is absent is left to the usual `PG…` defaults."""

    host: str | None = None
    port: int | None = None
    user: str | None = None
    password: MaybeEmpty | None = None
    database: str | None = None
    ssl: Tls | bool | None = None
    application_name: str | None = None
    connection_string: str | None = msgspec.field(default=None, name="connectionString")
    kind: ConnectionKind = msgspec.field(default="default", name="type")

    def __post_init__(self) -> None:
        if self.port is not None and not 0 < self.port < 65536:
            raise FieldError("port", "a port is a number from 1 to 65535")


class Pool(msgspec.Struct, frozen=True):
    """The size of a connection pool."""

    min: int | None = None
    max: int | None = None


class KnexConfig(msgspec.Struct, frozen=True):
    """What upstream hands to knex; only the pool counts here."""

    pool: Pool | None = None


class DatabaseConfig(Discreet, frozen=True, rename="camel"):
    """Where the data lives. Ask `embedded`, `pool_min` and `pool_max` rather than the fields they are made of."""

    client: Literal["embedded", "embedded-postgres", "better-sqlite3", "sqlite3", "pg"] = "embedded"
    connection: str | Connection | None = None
    direct_connection: str | Connection | None = None
    """A way past a pooler in transaction mode, for LISTEN and migrations. Not in upstream."""
    pool_size: int | None = None
    """How many connections at most. Not in upstream, where `knexConfig.pool.max` says it."""
    knex_config: KnexConfig | None = None
    ensure_exists: bool = True
    """Whether a database that does not exist is made."""
    prefix: Any = None
    schema_prefix: Any = None
    ensure_schema_exists: Any = None
    plugin_division_mode: Any = None
    role: Any = None
    skip_migrations: Any = None
    plugin: Any = None

    def __post_init__(self) -> None:
        if self.client == "pg" and not self.connection:
            raise FieldError(
                "connection", "`client: pg` needs a connection", "a URL, or an object with host, user and password"
            )
        if self.client in ("embedded", "embedded-postgres") and self.connection:
            raise FieldError(
                "client", "the embedded database takes no connection", "for a Postgres server write `client: pg`"
            )
        if self.pool_max < 1:
            raise FieldError("poolSize", "a pool needs at least 1 connection")
        if self.pool_min > self.pool_max:
            raise FieldError("knexConfig.pool.min", "more connections than the pool may hold")

    @property
    def embedded(self) -> bool:
        """Whether the server runs a database of its own."""
        return self.client != "pg"

    @property
    def pool_max(self) -> int:
        """How many connections a process holds at most."""
        pool = self.knex_config.pool if self.knex_config else None
        sizes = (self.pool_size, pool.max if pool else None)
        return next((size for size in sizes if size is not None), DEFAULT_POOL_SIZE)

    @property
    def pool_min(self) -> int:
        """How many connections a process keeps open."""
        pool = self.knex_config.pool if self.knex_config else None
        return (pool.min if pool else None) or 0

    def cautions(self) -> Iterable[str]:
        if self.client in ("better-sqlite3", "sqlite3"):
            yield f"client: {self.client} is not used; the embedded Postgres is, and `connection` has no effect"
        if self.plugin:
            yield "plugin: has no effect, all parts share one database"


class StaticToken(Discreet, frozen=True):
    """A token that a caller shows as it is, and the subject it then acts as."""

    token: str
    subject: str

    def __post_init__(self) -> None:
        if re.search(r"\s", self.token):
            raise FieldError("token", "a token cannot have spaces in it")
        if len(self.token) < SHORTEST_TOKEN:
            raise FieldError("token", f"a token has at least {SHORTEST_TOKEN} characters")
        if re.search(r"\s", self.subject):
            raise FieldError("subject", "a subject cannot have spaces in it")


class PermissionAttribute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which permissions, by what they allow to do; `action` is one or several of create, read, update and delete."""

    action: Strings | None = None

    def __post_init__(self) -> None:
        actions = split_words(self.action)
        for word in actions or ():
            if word not in ACTIONS:
                raise FieldError("action", f"{word!r} is not an action", f"one of {', '.join(ACTIONS)}")
        msgspec.structs.force_setattr(self, "action", actions)


class AccessRestriction(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One plugin that a token may be used on, and with which permissions; None is all of them.

    Texts are split at spaces and commas, and what is empty restricts nothing, as upstream."""

    plugin: str
    permission: Strings | None = None
    permission_attribute: PermissionAttribute | None = None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "permission", split_words(self.permission))


class ExternalAccess(msgspec.Struct, frozen=True, rename="camel"):
    """A caller from outside. Without restrictions it may use every plugin."""

    type: AccessKind
    options: StaticToken
    access_restrictions: list[AccessRestriction] = []

    def __post_init__(self) -> None:
        plugins = [restriction.plugin for restriction in self.access_restrictions]
        for index, plugin in enumerate(plugins):
            if plugin in plugins[:index]:
                raise FieldError(f"accessRestrictions[{index}].plugin", f"{plugin!r} is restricted twice")


class AuthConfig(Discreet, frozen=True, rename="camel"):
    """Who is let in."""

    external_access: list[ExternalAccess] = []
    dangerously_disable_default_auth_policy: bool = False
    plugin_key_store: Any = None
    keys: Any = None

    def cautions(self) -> Iterable[str]:
        if self.keys:
            yield "keys: is not supported, tokens signed with these keys are refused; use `externalAccess`"


class AllowedHost(msgspec.Struct, frozen=True):
    """A host that may be read: `example.com`, `*.example.com`, with `:port` or `:from-to`."""

    host: str
    paths: list[str] | None = None
    """Path prefixes, matched at a slash; None: every path."""

    def __post_init__(self) -> None:
        if self.ports is not None and not 0 < self.ports.start < self.ports.stop <= 65536:
            raise FieldError("host", "expected `<host>`, `<host>:<port>` or `<host>:<from>-<to>`")
        if not _READABLE.fullmatch(self.hostname) or not self.hostname.isascii():
            hint = "`example.com`, or `*.example.com` for every name below it; other letters than ASCII's as `xn--…`"
            raise FieldError("host", "is no host, so that nothing could be read by it", hint)
        for index, path in enumerate(self.paths or ()):
            if not path.startswith("/"):
                raise FieldError(f"paths[{index}]", "a path begins with a slash")

    @property
    def hostname(self) -> str:
        """`example.com`, or `*.example.com` for every name below it."""
        return self._parts()[0].lower()

    @property
    def ports(self) -> range | None:
        """None: only the scheme's own port, unwritten."""
        text = self._parts()[1]
        found = _PORTS.match(text)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, -1)
        return range(first, last + 1) if text else None

    def _parts(self) -> tuple[str, str]:
        """An address of version 6 stands in brackets, and is full of colons."""
        end = self.host.find("]") + 1
        hostname, _, ports = self.host[end:].partition(":")
        return self.host[:end] + hostname, ports


class ReadingConfig(msgspec.Struct, frozen=True):
    """What the server may fetch, besides the hosts of `integrations`."""

    allow: list[AllowedHost] = []


class PluginRateLimit(msgspec.Struct, frozen=True, rename="camel"):
    """How many requests an address may make in a window of time."""

    window: timedelta = timedelta(minutes=1)
    incoming_request_limit: int = 5
    ip_allow_list: list[str] = msgspec.field(default_factory=lambda: list(LOOPBACK))
    skip_successful_requests: bool = False
    skip_failed_requests: bool = False
    pass_on_store_error: bool = False

    def __post_init__(self) -> None:
        if self.window <= timedelta(0):
            raise FieldError("window", "a window takes some time")
        if self.incoming_request_limit < 0:
            raise FieldError("incomingRequestLimit", "a limit is not negative")


class RateLimit(PluginRateLimit, frozen=True, rename="camel"):
    """The limit over all plugins, unless `global` is false, and those of each plugin."""

    over_all: bool = msgspec.field(default=True, name="global")
    plugin: dict[str, PluginRateLimit] = {}
    store: Any = None

    def cautions(self) -> Iterable[str]:
        if self.store:
            yield "store: has no effect, each process counts for itself"


class LifecycleConfig(msgspec.Struct, frozen=True, rename="camel"):
    """How long things wait at start and stop."""

    startup_request_pause_timeout: timedelta = timedelta(seconds=5)
    """How long a request waits for its plugin to have started."""
    server_shutdown_delay: timedelta = timedelta(0)
    """How long the server answers on after it was told to stop, being no longer ready."""
    server_shutdown_timeout: timedelta = timedelta(seconds=30)
    """How long requests that are under way may take to finish. Not in upstream."""


class HealthConfig(msgspec.Struct, frozen=True):
    """The health endpoints."""

    headers: dict[str, str] = {}

    def __post_init__(self) -> None:
        if "" in self.headers:
            raise FieldError("headers", "the name of a header is empty")


class BackendConfig(Discreet, frozen=True, rename="camel"):
    """The whole section. Each part stands as it is written; the defaults are in place."""

    base_url: str = f"http://localhost:{DEFAULT_PORT}"
    """Where others reach the server, without a slash at the end."""
    listen: Listen = Listen()
    https: Any = None
    cors: Cors | None = None
    """None: no CORS headers at all."""
    csp: dict[str, list[str] | bool] | None = None
    """Directives (camelCase or kebab-case) that replace a default one; False removes it."""
    referrer: Referrer | None = None
    """None: `no-referrer`."""
    database: DatabaseConfig = DatabaseConfig()
    auth: AuthConfig = AuthConfig()
    reading: ReadingConfig = ReadingConfig()
    rate_limit: bool | RateLimit = False
    lifecycle: LifecycleConfig = LifecycleConfig()
    health: HealthConfig = HealthConfig()
    trust_proxy: bool | int | str | list[str] | None = None
    """As in express: how many proxies, or which addresses (or `loopback`, `linklocal`, `uniquelocal`), are trusted."""
    working_directory: str | None = None
    """Where tasks have their workspaces. It must be there. None: the data folder."""
    actions: Any = None
    auditor: Any = None
    cache: Any = None
    logger: Any = None
    metrics: Any = None
    packages: Any = None
    plugins: Any = None
    server: Any = None
    startup: Any = None
    tracing: Any = None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "base_url", self.base_url.rstrip("/"))
        if not _is_web_address(self.base_url):
            raise FieldError("baseUrl", "expected a URL", "such as `https://backstage.example.com`")
        if self.https:
            hint = "let a reverse proxy do it, and say `https://…` in backend.baseUrl"
            raise FieldError("https", "this server does not speak TLS itself", hint)
        for directive, values in (self.csp or {}).items():
            if values is True:
                raise FieldError(f"csp.{directive}", "expected a list of texts, or false")

    @property
    def limits(self) -> RateLimit | None:
        """The rate limits; None where there are none."""
        return RateLimit() if self.rate_limit is True else self.rate_limit or None


def split_words(texts: list[str] | None) -> list[str] | None:
    """Each word once, split at spaces and commas; None when there is none."""
    words = [word for text in texts or () for word in re.split(r"[ ,]", text) if word]
    return list(dict.fromkeys(words)) or None


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port >= 0)
    except ValueError:
        return False
