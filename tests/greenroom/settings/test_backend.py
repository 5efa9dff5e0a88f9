from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from greenroom.errors import ConfigError
from greenroom.settings import AppConfig, BackendConfig, Connection, Listen, load


def config_of(folder: Path, text: str) -> AppConfig:
    (folder / "app-config.yaml").write_text(f"backend: {text}")
    return load([folder / "app-config.yaml"], {})


def read(folder: Path, text: str) -> BackendConfig:
    return config_of(folder, text).section("backend", BackendConfig)


def test_the_defaults_need_no_file() -> None:
    config = load([], {})
    backend = config.section("backend", BackendConfig)
    assert backend.base_url == "http://localhost:7007"
    assert backend.listen == Listen("", 7007)
    assert backend.cors is None
    assert backend.limits is None
    assert backend.database.embedded
    assert backend.database.pool_max == 10
    assert backend.lifecycle.startup_request_pause_timeout == timedelta(seconds=5)
    assert config.warnings == []


def test_a_config_as_backstage_creates_it_starts(tmp_path: Path) -> None:
    config = config_of(
        tmp_path,
        """
  baseUrl: http://localhost:7007/
  listen:
    port: 7007
  csp:
    connect-src: ["'self'", 'http:', 'https:']
    upgradeInsecureRequests: false
  cors:
    origin: http://localhost:3000
    methods: [GET, HEAD, PATCH, POST, PUT, DELETE]
    credentials: true
  database:
    client: better-sqlite3
    connection: ':memory:'
  packages: all
  plugins: {search: {onPluginBootFailure: continue}}
  actions: {pluginSources: [catalog]}
""",
    )
    backend = config.section("backend", BackendConfig)
    assert backend.base_url == "http://localhost:7007"
    assert backend.cors is not None
    assert backend.cors.origin == ["http://localhost:3000"]
    assert backend.csp == {"connect-src": ["'self'", "http:", "https:"], "upgradeInsecureRequests": False}
    assert backend.database.embedded
    assert [text.partition("backend.")[2] for text in config.warnings] == [
        "database.client: better-sqlite3 is not used; the embedded Postgres is, and `connection` has no effect"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("':80'", Listen("", 80)),
        ("'80'", Listen("", 80)),
        ("80", Listen("", 80)),
        ("'127.0.0.1:8080'", Listen("127.0.0.1", 8080)),
        ("'[::1]:8080'", Listen("::1", 8080)),
        ("{port: '8080'}", Listen("", 8080)),
        ("{host: 0.0.0.0}", Listen("0.0.0.0", 7007)),  # noqa: S104
        ("{host: '', port: 0}", Listen("", 0)),
    ],
)
def test_the_address_may_be_written_as_upstream_allows(tmp_path: Path, text: str, expected: Listen) -> None:
    assert read(tmp_path, f"{{listen: {text}}}").listen == expected


def test_a_postgres_connection_may_be_a_url_or_parts(tmp_path: Path) -> None:
    database = read(tmp_path, "{database: {client: pg, connection: 'postgres://u:p@h/db'}}").database
    assert database.connection == "postgres://u:p@h/db"
    assert not database.embedded
    text = """{database: {client: pg, poolSize: '7', knexConfig: {pool: {min: 2, max: 20}},
        connection: {host: h, port: '5433', user: u, password: '', database: d, ssl: {ca: x, rejectUnauthorized: false}},
        directConnection: {host: direct, ssl: true}}}"""
    database = read(tmp_path, text).database
    assert isinstance(database.connection, Connection)
    assert (database.connection.port, database.connection.password) == (5433, "")
    assert not isinstance(database.connection.ssl, bool | None)
    assert database.connection.ssl.reject_unauthorized is False
    assert database.direct_connection == Connection("direct", ssl=True)
    assert (database.pool_min, database.pool_max) == (2, 7)


def test_nothing_secret_gets_into_logs_by_printing_the_config(tmp_path: Path) -> None:
    text = """{database: {client: pg, connection: {host: h, password: S3CRET, ssl: {key: S3CRET}},
        directConnection: 'postgres://a:S3CRET@b'}, auth: {keys: [{secret: S3CRET}],
        externalAccess: [{type: static, options: {token: S3CRET-token, subject: ci}}]}, cache: {connection: S3CRET}}"""
    backend = read(tmp_path, text)
    for part in (backend, backend.database, backend.database.connection, backend.auth, *backend.auth.external_access):
        assert "S3CRET" not in repr(part)


def test_external_callers_and_their_restrictions_are_read_as_upstream(tmp_path: Path) -> None:
    text = """
  auth:
    externalAccess:
      - type: static
        options: {token: longenough, subject: ci}
        accessRestrictions:
          - {plugin: catalog, permission: 'a.read, b.read', permissionAttribute: {action: [read, 'create update']}}
          - {plugin: search, permission: []}
"""
    [access] = read(tmp_path, text).auth.external_access
    assert access.options.subject == "ci"
    assert "longenough" not in repr(access)
    first, second = access.access_restrictions
    assert first.permission == ["a.read", "b.read"]
    assert first.permission_attribute is not None
    assert first.permission_attribute.action == ["read", "create", "update"]
    assert second.permission is None


def test_rate_limits_have_the_defaults_of_upstream(tmp_path: Path) -> None:
    limits = read(tmp_path, "{rateLimit: true}").limits
    assert limits is not None
    assert (limits.window, limits.incoming_request_limit) == (timedelta(minutes=1), 5)
    limits = read(tmp_path, "{rateLimit: {global: false, plugin: {catalog: {window: PT5S}}}}").limits
    assert limits is not None
    assert not limits.over_all
    assert limits.plugin["catalog"].window == timedelta(seconds=5)
    assert limits.plugin["catalog"].ip_allow_list == ["127.0.0.1", "0:0:0:0:0:0:0:1", "::1"]
    assert read(tmp_path, "{rateLimit: false}").limits is None


@pytest.mark.parametrize("value", [True, 2, "loopback", ["10.0.0.0/8"]])
def test_proxies_may_be_trusted_in_each_way_of_express(tmp_path: Path, value: object) -> None:
    assert load([], {}, {"backend.trustProxy": value}).section("backend", BackendConfig).trust_proxy == value


ACTION = "{plugin: a, permissionAttribute: {action: raed}}"
STATIC = "type: static, options: {token: longenough, subject: ci}"


@pytest.mark.parametrize(
    ("text", "path", "problem"),
    [
        ("{baseUrl: localhost:7007}", "baseUrl", "expected a URL"),
        ("{listen: 'a:b'}", "listen", "expected `:<port>` or `<host>:<port>`, found 'a:b'"),
        ("{listen: '::1:80'}", "listen", "expected `:<port>`"),
        ("{listen: ':99999'}", "listen", "expected `:<port>`"),
        ("{listen: {port: 99999}}", "listen.port", "a port is a number from 0 to 65535"),
        ("{https: true}", "https", "does not speak TLS"),
        ("{https: {certificate: {cert: a, key: hunter2}}}", "https", "does not speak TLS"),
        ("{csp: {a-src: x}}", "csp.a-src", "expected a list of texts"),
        ("{csp: {a-src: true}}", "csp.a-src", "expected a list of texts, or false"),
        ("{database: {client: mysql2}}", "database.client", "found 'mysql2'"),
        ("{database: {client: pg}}", "database.connection", "needs a connection"),
        ("{database: {connection: 'postgres://a:hunter2@b'}}", "database.client", "client: pg"),
        ("{database: {client: pg, connection: {type: rds}}}", "database.connection.type", "not supported yet"),
        ("{database: {client: pg, connection: {port: x}}}", "database.connection.port", "expected a whole number"),
        ("{database: {client: pg, connection: {password: 12}}}", "database.connection.password", "in quotes"),
        ("{database: {poolSize: 0}}", "database.poolSize", "at least 1"),
        ("{auth: {externalAccess: [{type: jwks, options: {}}]}}", "auth.externalAccess[0].type", "not supported yet"),
        ("{auth: {externalAccess: [{type: odd}]}}", "auth.externalAccess[0].type", "expected 'static', found 'odd'"),
        (
            "{auth: {externalAccess: [{type: static, options: {token: hunter2, subject: x}}]}}",
            "auth.externalAccess[0].options.token",
            "at least 8 characters",
        ),
        (
            "{auth: {externalAccess: [{type: static, options: {token: hunter2 hunter2, subject: x}}]}}",
            "auth.externalAccess[0].options.token",
            "spaces",
        ),
        (
            f"{{auth: {{externalAccess: [{{{STATIC}, accessRestrictions: [{{plugin: a, permissions: b}}]}}]}}}}",
            "auth.externalAccess[0].accessRestrictions[0].permissions",
            "did you mean permission?",
        ),
        (
            f"{{auth: {{externalAccess: [{{{STATIC}, accessRestrictions: [{{plugin: a}}, {{plugin: a}}]}}]}}}}",
            "auth.externalAccess[0].accessRestrictions[1].plugin",
            "restricted twice",
        ),
        (
            f"{{auth: {{externalAccess: [{{{STATIC}, accessRestrictions: [{ACTION}]}}]}}}}",
            "auth.externalAccess[0].accessRestrictions[0].permissionAttribute.action",
            "'raed' is not an action",
        ),
        ("{reading: {allow: [{host: 'a:9-2'}]}}", "reading.allow[0].host", "expected `<host>`"),
        ("{reading: {allow: [{paths: [/a]}]}}", "reading.allow[0].host", "a value is missing"),
        ("{rateLimit: {window: 60}}", "rateLimit.window", "a number needs a unit"),
        ("{rateLimit: {window: {seconds: 0}}}", "rateLimit.window", "a window takes some time"),
        ("{health: {headers: {x: 5}}}", "health.headers.x", "expected a text"),
        ("{lifecycle: {serverShutdownDelay: soon}}", "lifecycle.serverShutdownDelay", "expected a duration"),
        ("{auth: {dangerouslyDisableDefaultAuthPolicy: 2}}", "auth.dangerouslyDisableDefaultAuthPolicy", "true or"),
    ],
)
def test_a_wrong_backend_section_stops_the_start(tmp_path: Path, text: str, path: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert caught.value.path == f"backend.{path}"
    assert problem in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "caution"),
    [
        ("{auth: {keys: [{secret: hunter2}]}}", "backend.auth.keys: is not supported"),
        ("{cors: {methods: [GET]}}", "backend.cors.origin: none is given"),
        ("{rateLimit: {store: {type: redis}}}", "backend.rateLimit.store: has no effect"),
        ("{database: {plugin: {catalog: {}}}}", "backend.database.plugin: has no effect"),
    ],
)
def test_what_has_no_effect_is_told(tmp_path: Path, text: str, caution: str) -> None:
    config = config_of(tmp_path, text)
    config.section("backend", BackendConfig)
    [warning] = config.warnings
    assert caution in warning
    assert "hunter2" not in warning
