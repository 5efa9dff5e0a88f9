"""The pool gives JSON as it was stored, survives a lost server, works behind a pooler, and never tells a password."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import shutil
import socket
import ssl
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from greenroom.db import Connection as DatabaseConnection
from greenroom.db import Database, open_database, open_pool
from greenroom.db.address import connect_arguments, place, without_password
from greenroom.db.connections import notice_silence
from greenroom.embedded.folders import server_owner
from greenroom.errors import ConfigError, ServiceUnavailableError
from greenroom.events import open_events
from greenroom.migrate import migrate
from greenroom.plugin import Migrations
from greenroom.settings.backend import Connection, DatabaseConfig, Tls
from tests.support.postgres import TestServer, open_folder

PATH = "backend.database.connection"


# --- statements


@pytest.mark.parametrize("kind", ["json", "jsonb"])
async def test_json_comes_and_goes_as_bytes(database: Database, kind: str) -> None:
    await database.execute(f"create table docs (doc {kind})")
    await database.execute("insert into docs values ($1), ($2), (null)", b'{"a": "\xc3\xa9"}', '{"b": 1}')
    rows = await database.fetch("select doc from docs")
    assert [row["doc"] for row in rows] == [b'{"a": "\xc3\xa9"}', b'{"b": 1}', None]
    assert await database.fetchval("select array_agg(doc) from docs where doc is not null") == [
        b'{"a": "\xc3\xa9"}',
        b'{"b": 1}',
    ]
    async with database.transaction() as connection:
        await connection.copy_records_to_table("docs", records=[(b"[1, 2]",)])
        cursor = connection.cursor("select doc from docs where doc::text like $1", "[%")
        assert [row[0] async for row in cursor] == [b"[1, 2]"]


async def test_json_keeps_its_spelling(database: Database) -> None:
    stored = b'{"b":  1.50, "a": 1, "a": 2}'
    assert await database.fetchval("select $1::json", stored) == stored


async def test_a_transaction_is_all_or_nothing(database: Database) -> None:
    await database.execute("create table things (id int)")

    async def fail() -> None:
        async with database.transaction() as connection:
            await connection.execute("insert into things values (1)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await database.fetchval("select count(*) from things") == 0


async def test_a_forgotten_transaction_is_not_handed_to_the_next_user(database: Database) -> None:
    await database.execute("create table things (id int)")
    async with database.acquire() as connection:
        await connection.execute("begin")
        await connection.execute("insert into things values (1)")
    assert await database.fetchval("select count(*) from things") == 0


async def test_work_that_loses_a_deadlock_is_done_again(database: Database) -> None:
    await database.execute("create table things (id int primary key, n int); insert into things values (1, 0), (2, 0)")
    meeting = asyncio.Barrier(2)
    tries: list[int] = []

    async def work(first: int, second: int) -> None:
        async def step(connection: DatabaseConnection) -> None:
            tries.append(first)
            await connection.execute("set local deadlock_timeout = '10ms'")
            await connection.execute("update things set n = n + 1 where id = $1", first)
            if len(tries) <= 2:
                await meeting.wait()
            await connection.execute("update things set n = n + 1 where id = $1", second)

        await database.retrying(step)

    await asyncio.gather(work(1, 2), work(2, 1))
    assert len(tries) == 3
    assert await database.fetchval("select array_agg(n) from things") == [2, 2]


async def test_a_cut_connection_is_unavailable_once_and_then_replaced(database: Database) -> None:
    async def cut_and_go_on() -> None:
        async with database.acquire() as connection:
            pid = await connection.fetchval("select pg_backend_pid()")
            await database.fetchval("select pg_terminate_backend($1, 5000)", pid)
            await connection.fetchval("select 1")

    async def cut_meanwhile() -> None:
        async with database.transaction() as connection:
            await connection.execute("select pg_terminate_backend(pg_backend_pid())")

    for cut in (cut_and_go_on, cut_meanwhile):
        with pytest.raises(ServiceUnavailableError, match="The database is not available"):
            await cut()
        await database.ping()


async def test_a_connection_that_an_administrator_is_just_ending_is_unavailable_and_not_a_fault_of_ours(
    database: Database,
) -> None:
    """The moment between the server's last words and the end of the stream, in which asyncpg is at a loss."""
    fields = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"

    async def ask_in_between() -> None:
        async with database.acquire() as connection:
            protocol: Any = connection
            protocol._protocol.data_received(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
            await connection.fetchval("select 1")

    with pytest.raises(ServiceUnavailableError):
        await ask_in_between()
    assert await database.fetchval("select 1") == 1


async def test_a_session_on_a_server_that_became_a_standby_is_unavailable_once_and_then_replaced(
    database: Database,
) -> None:
    await database.execute("SET default_transaction_read_only = on")  # of the session at hand, which is asked next
    with pytest.raises(ServiceUnavailableError, match="ReadOnly"):
        await database.execute("CREATE TABLE written (id int)")
    await database.execute("CREATE TABLE written (id int)")


async def test_what_takes_too_long_is_cancelled_in_the_server_too(database: Database) -> None:
    hurried = database.within(0.1)
    asked: list[Any] = [hurried.fetch, hurried.fetchrow, hurried.fetchval, hurried.execute]
    for ask in asked:
        with pytest.raises(ServiceUnavailableError, match=r"longer than 0\.1 s"):
            await ask("select pg_sleep(20)")
    running = "select count(*) from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid() and state = 'active'"
    assert await database.fetchval(running) == 0
    patient = database.within(60)
    asked = [patient.fetch, patient.fetchrow, patient.fetchval, patient.execute]
    assert [await ask("select $1::int", 1) for ask in asked] == [[(1,)], (1,), 1, "SELECT 1"]
    await database.fetchval("select pg_sleep(0.2)")


async def test_a_wrong_query_is_not_mistaken_for_a_lost_database(database: Database) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await database.fetch("select * from nowhere")
    with pytest.raises(asyncpg.InterfaceError):
        await database.fetch("select $1::int", 1, 2)
    with pytest.raises(FileNotFoundError):
        async with database.acquire():
            raise FileNotFoundError


# --- opening


async def test_the_embedded_database_is_the_default() -> None:
    with open_folder() as folder:
        async with open_database(DatabaseConfig(), folder) as database:
            assert await database.fetchval("select current_database()") == "greenroom"
            assert database.direct is not None
            assert not database.pooled


def outside(server: TestServer, database: str, **more: Any) -> DatabaseConfig:
    if "host" not in server.arguments:
        pytest.skip("TEST_DATABASE_URL is not in parts")
    names = {key: server.arguments[key] for key in ("host", "port", "user", "password") if key in server.arguments}
    return DatabaseConfig(client="pg", connection=Connection(**names, database=database), **more)


async def test_a_database_outside_is_made_if_it_does_not_exist(postgres_server: TestServer, tmp_path: Path) -> None:
    config = outside(postgres_server, "made by-us")
    try:
        async with open_database(config, tmp_path) as database:
            assert await database.fetchval("select current_database()") == "made by-us"
    finally:
        await postgres_server.command('drop database "made by-us" with (force)')


async def test_a_missing_database_is_an_error_when_it_must_not_be_made(
    postgres_server: TestServer, tmp_path: Path
) -> None:
    config = outside(postgres_server, "missing", ensure_exists=False)
    with pytest.raises(ConfigError, match=r'missing at .*"missing" does not exist .*allow `ensureExists`'):
        async with open_database(config, tmp_path):
            pass


async def test_text_in_another_encoding_is_refused(postgres_server: TestServer) -> None:
    await postgres_server.command(
        "create database latin encoding latin1 locale_provider libc locale 'C' template template0"
    )
    try:
        with pytest.raises(ConfigError, match="stores text as LATIN1"):
            async with open_pool(postgres_server.to("latin")):
                pass
    finally:
        await postgres_server.command("drop database latin with (force)")


async def test_a_database_that_comes_up_late_is_waited_for(postgres_server: TestServer) -> None:
    arguments = outside_arguments(postgres_server)
    with open_folder() as folder:
        late = asyncio.create_task(opened({**arguments, "host": str(folder)}, patience=20))
        await asyncio.sleep(0.05)
        socket = f".s.PGSQL.{arguments['port']}"
        (folder / socket).symlink_to(Path(arguments["host"], socket))
        assert await late == 1


def outside_arguments(server: TestServer) -> dict[str, Any]:
    if not str(server.arguments.get("host", "")).startswith("/"):
        pytest.skip("needs a server on a Unix socket")
    return dict(server.arguments)


async def opened(arguments: Mapping[str, Any], patience: float) -> int:
    async with open_pool(arguments, patience=patience) as database:
        return int(await database.fetchval("select 1"))


async def test_a_database_that_stays_away_is_named_without_its_password() -> None:
    arguments = connect_arguments("postgresql://ann:s%40crt@127.0.0.1:1/catalog", PATH)
    with pytest.raises(ServiceUnavailableError, match=r"catalog at 127\.0\.0\.1:1 does not answer") as caught:
        await opened(arguments, patience=0)
    assert "crt" not in str(caught.value)


async def test_a_server_without_tls_is_not_waited_for(postgres_server: TestServer) -> None:
    async with plain_server() as port:
        arguments = connect_arguments(Connection(host="127.0.0.1", port=port, user="x", ssl=True), PATH)
        with pytest.raises(ConfigError, match=r"rejected SSL upgrade.*see `ssl`"):
            await opened(arguments, patience=600)


@contextlib.asynccontextmanager
async def plain_server() -> AsyncIterator[int]:
    """Answers a request for TLS as a Postgres without it does."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(b"N")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


# --- addresses


def test_a_url_keeps_what_asyncpg_understands() -> None:
    arguments = connect_arguments("postgres://ann:pw@db:5433/catalog?sslmode=require&application_name=x", PATH)
    assert arguments == {
        "dsn": "postgres://ann:pw@db:5433/catalog?sslmode=require&application_name=x",
        "database": "catalog",
    }
    assert connect_arguments("postgres://db", PATH)["database"] == "greenroom"


def test_what_node_postgres_says_about_tls_is_understood() -> None:
    assert "sslmode=require" in connect_arguments("postgres://db/x?sslmode=no-verify", PATH)["dsn"]
    checked = connect_arguments("postgres://db/x?ssl=true", PATH)
    assert checked["ssl"].verify_mode == ssl.CERT_REQUIRED
    assert "ssl=" not in checked["dsn"]
    assert connect_arguments("postgres://db/x?ssl=0", PATH)["ssl"] is False
    assert connect_arguments(Connection(host="db", ssl=False), PATH)["ssl"] is False
    assert "ssl" not in connect_arguments(Connection(host="db"), PATH)
    lax = connect_arguments(Connection(host="db", ssl=Tls(reject_unauthorized=False)), PATH)["ssl"]
    assert (lax.verify_mode, lax.check_hostname) == (ssl.CERT_NONE, False)


def test_certificates_are_given_as_text() -> None:
    certificate, key = self_signed("db.example")
    tls = Tls(ca=certificate, cert=certificate, key=key, servername="db.example")
    context = connect_arguments(Connection(host="10.0.0.1", ssl=tls), PATH)["ssl"]
    assert len(context.get_ca_certs()) == 1
    session = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="10.0.0.1")
    assert session.server_hostname == "db.example"
    with pytest.raises(ConfigError, match=r"connection\.ssl: the certificate or key cannot be read.*\$file"):
        connect_arguments(Connection(ssl=Tls(ca="./ca.pem")), PATH)


def self_signed(name: str) -> tuple[str, str]:
    """PEM of a certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 1, now, now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    text = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return certificate.public_bytes(pem).decode(), text.decode()


def test_an_address_in_parts_and_a_url_inside_of_it() -> None:
    parts = Connection(host="db", port=5433, user="ann", password="", application_name="us")
    assert connect_arguments(parts, PATH) == {
        "host": "db",
        "port": 5433,
        "user": "ann",
        "password": "",
        "database": "greenroom",
        "server_settings": {"application_name": "us"},
    }
    inside = msgspec.structs.replace(parts, connection_string="postgres://other/catalog")
    assert connect_arguments(inside, PATH)["dsn"] == "postgres://other/catalog"


@pytest.mark.parametrize(
    "url",
    [
        "postgres://ann:pw#x@db/y",
        "postgres://ann:p#w@db/y",
        "postgres://ann:x@db:pw/y",
        "mysql://ann:pw@db/x",
        "postgres://ann:[pw@db/x",
    ],
)
def test_a_bad_url_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ConfigError, match="the URL") as caught:
        connect_arguments(url, PATH)
    assert "pw" not in str(caught.value)


def test_messages_tell_the_place_but_not_the_password() -> None:
    arguments = connect_arguments("postgresql://ann:s%40crt@db:5433/catalog", PATH)
    assert place(arguments) == "catalog at db:5433"
    assert place({"host": "db", "database": "x", "password": "s@crt"}) == "x at db:5432"
    assert without_password("bad: s%40crt or s@crt", arguments) == "bad: … or …"


# --- behind PgBouncer


@pytest.fixture
async def pgbouncer(postgres_server: TestServer) -> AsyncIterator[dict[str, Any]]:
    """Arguments that lead to a PgBouncer in transaction mode with two sessions."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    server = outside_arguments(postgres_server)
    with open_folder() as folder:
        folder.chmod(0o777)
        ini = folder / "pgbouncer.ini"
        ini.write_text(
            f"[databases]\n* = host={server['host']} port={server['port']} user={server['user']}\n"
            f"[pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = {folder}\n"
            "auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n"
        )
        process = await asyncio.create_subprocess_exec(
            program, "-q", ini, stdout=PIPE, stderr=PIPE, **server_owner(folder).run_as
        )
        try:
            yield {"host": str(folder), "port": 6432, "user": server["user"], "ssl": False}
        finally:
            process.kill()
            await process.communicate()


async def test_a_pooler_is_noticed_and_many_share_two_sessions(
    postgres_server: TestServer, pgbouncer: dict[str, Any]
) -> None:
    async with postgres_server.empty() as name, open_pool({**pgbouncer, "database": name}, size=8) as database:
        assert database.pooled
        assert database.direct is None
        await database.execute("create table docs (n int, doc json)")

        async def use(number: int) -> bytes:
            await database.execute("insert into docs values ($1, $2)", number, b'{"n": %d}' % number)
            return bytes(await database.fetchval("select doc from docs where n = $1", number))

        answers = await asyncio.gather(*(use(number) for number in range(200)))
        assert answers == [b'{"n": %d}' % number for number in range(200)]
        async with database.transaction() as connection:
            await connection.copy_records_to_table("docs", records=[(1000, b"[]")])
        assert await database.fetchval("select count(*) from docs") == 201


async def test_a_way_past_the_pooler_serves_migrations_and_events(
    postgres_server: TestServer, pgbouncer: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "0001_things.sql").write_text("create table things (id int)")
    (tmp_path / "0002_index.sql").write_text("-- online\ncreate index concurrently on things (id)")
    async with (
        postgres_server.empty() as name,
        open_pool({**pgbouncer, "database": name}, direct=postgres_server.to(name)) as database,
        open_events(database) as events,
    ):
        assert database.pooled
        assert len(await migrate(database, [Migrations("acme", tmp_path)])) == 2
        heard: asyncio.Queue[str | None] = asyncio.Queue()
        events.subscribe("task", heard.put_nowait)
        async with asyncio.timeout(60):
            if not events.listening:
                assert await heard.get() is None
            await events.publish("task", "hello")
            assert await heard.get() == "hello"


def test_a_machine_that_went_without_a_word_is_noticed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as one:
        notice_silence(one.fileno())
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
            assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 15
    left, right = socket.socketpair()
    with left, right:
        notice_silence(left.fileno())


async def test_the_sockets_of_the_pool_are_looked_after(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[int]()
    monkeypatch.setattr("greenroom.db.connections.notice_silence", seen.append)
    assert database.direct is not None
    async with database.direct.open() as connection:
        await connection.fetchval("select 1")
    async with database.acquire(), database.acquire():
        pass
    assert len(seen) >= 2
