"""A connection as the config gives it, in the terms of node-postgres -> arguments of `asyncpg.connect`."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from greenroom.errors import ConfigError
from greenroom.settings.backend import Connection, Tls

DATABASE = "greenroom"
"""The database's name where the config tells none."""
ON, OFF = ("true", "1"), ("false", "0")


def connect_arguments(connection: str | Connection | None, path: str, database: str = DATABASE) -> dict[str, Any]:
    """Always with a `database`; with `dsn` or `host` and so on, as given. `path` is where in the config it stands.

    Raises ConfigError, which never quotes the connection."""
    if connection is None:
        connection = Connection()
    if isinstance(connection, str):
        return _of_url(connection, path, database)
    if connection.connection_string:
        arguments = _of_url(connection.connection_string, f"{path}.connectionString", database)
    else:
        named = {key: getattr(connection, key) for key in ("host", "port", "user", "password")}
        arguments = {key: value for key, value in named.items() if value is not None}
        arguments["database"] = connection.database or database
    if connection.ssl is not None:
        arguments.setdefault("ssl", _tls(connection.ssl, path))
    if connection.application_name:
        arguments["server_settings"] = {"application_name": connection.application_name}
    return arguments


def _of_url(url: str, path: str, database: str) -> dict[str, Any]:
    """`sslmode` is asyncpg's own; `ssl=true` and `sslmode=no-verify` are what node-postgres knows beside it."""
    try:
        parts = urlsplit(url)
        _ = parts.port if "," not in parts.netloc else None
        if parts.fragment:
            raise ValueError("a # in it")
    except ValueError as error:
        hint = "special characters in user or password must be percent-encoded"
        raise ConfigError(path, "the URL cannot be read", hint=hint) from error
    if parts.scheme not in ("postgres", "postgresql"):
        raise ConfigError(path, "the URL does not begin with postgresql://")
    query = dict(parse_qsl(parts.query))
    arguments: dict[str, Any] = {"database": unquote(parts.path.lstrip("/")) or query.get("dbname") or database}
    switch = query.pop("ssl", None)
    if query.get("sslmode") == "no-verify":
        query["sslmode"] = "require"
    elif switch in ON and "sslmode" not in query:
        arguments["ssl"] = ssl.create_default_context()
    elif switch in OFF and "sslmode" not in query:
        arguments["ssl"] = False
    arguments["dsn"] = parts._replace(query=urlencode(query)).geturl()
    return arguments


def _tls(given: Tls | bool, path: str) -> ssl.SSLContext | bool:
    """`true` checks the server's certificate against those that the system trusts, as in Node."""
    if given is False:
        return False
    tls = Tls() if given is True else given
    try:
        return _context(tls)
    except (ssl.SSLError, ValueError) as error:
        hint = "give the PEM text itself, for instance by {$file: ./ca.pem}"
        raise ConfigError(f"{path}.ssl", f"the certificate or key cannot be read: {error}", hint=hint) from error


def _context(tls: Tls) -> ssl.SSLContext:
    context = _Named(ssl.PROTOCOL_TLS_CLIENT)
    context.servername = tls.servername
    if tls.ca:
        context.load_verify_locations(cadata=tls.ca)
    else:
        context.load_default_certs()
    if not tls.reject_unauthorized:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert:
        with tempfile.TemporaryDirectory() as folder:  # private; the library reads certificates from files only
            chain = Path(folder, "chain.pem")
            chain.write_text("\n".join(filter(None, (tls.cert, tls.key))))
            context.load_cert_chain(chain)
    return context


class _Named(ssl.SSLContext):
    """Expects the certificate of another name than the host's, where one is given."""

    servername: str | None = None

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        return super().wrap_bio(incoming, outgoing, server_side, self.servername or server_hostname, session)


def place(arguments: Mapping[str, Any]) -> str:
    """`catalog at db.example.net:5432`, for messages: never the user or the password."""
    if "dsn" in arguments:
        where = urlsplit(arguments["dsn"]).netloc.rpartition("@")[2] or "the default host"
    else:
        where = f"{arguments.get('host', 'the default host')}:{arguments.get('port', 5432)}"
    return f"{arguments.get('database', 'the default database')} at {where}"


def without_password(text: str, arguments: Mapping[str, Any]) -> str:
    """The text of a foreign error, in case that it quotes what it was given."""
    secrets = [arguments.get("password")]
    if "dsn" in arguments:
        found = urlsplit(arguments["dsn"]).password
        secrets += [found, unquote(found or "")]
    for secret in filter(None, secrets):
        text = text.replace(str(secret), "…")
    return text
