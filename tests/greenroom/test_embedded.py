"""The embedded server is shared by processes, outlives the killing of any of them, and never outlives them all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import stat
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from greenroom.embedded import data_folder, embedded_postgres
from greenroom.embedded.folders import Home, closed_to, make_private, open_home, server_owner
from greenroom.embedded.locks import ALONE, is_held, open_lock, try_lock
from greenroom.embedded.programs import Programs, find_programs, staged
from greenroom.embedded.server import SETTINGS, _prepare_and_launch
from greenroom.embedded.supervisor import LOG_LIMIT, trim
from greenroom.errors import ConfigError, ServiceUnavailableError
from tests.support.postgres import open_folder

UNSAFE = {"fsync": "off"}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

USER = """
import asyncio, sys
from pathlib import Path
import asyncpg
from greenroom.embedded import embedded_postgres

async def main():
    async with embedded_postgres(Path(sys.argv[1]), {"fsync": "off"}) as server:
        connection = await asyncpg.connect(**server.dsn)
        await connection.execute("create table if not exists visits (at timestamptz default clock_timestamp())")
        await connection.execute("insert into visits default values")
        await connection.close()
        print("up", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


@pytest.fixture
async def home(folder: Path) -> AsyncIterator[Home]:
    """The home of a server that is surely gone when the test ends."""
    found = open_home(folder, find_programs().major)
    yield found
    await until(lambda: not is_held(found.supervisor_lock))


@contextlib.asynccontextmanager
async def user(folder: Path) -> AsyncIterator[Process]:
    """Another process that uses the server; it leaves when its input ends."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", USER, folder, stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"up\n"
        yield process
    finally:
        process.stdin.close()
        await process.wait()


async def until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


def postmaster(home: Home) -> int:
    """0 where there is none, or its file is just being made."""
    try:
        number, end, _ = (home.cluster / "postmaster.pid").read_text().partition("\n")
    except FileNotFoundError:
        return 0
    return int(number) if end else 0


async def supervisor(home: Home) -> int:
    """The parent of the postmaster."""
    process = await asyncio.create_subprocess_exec("ps", "-o", "ppid=", "-p", str(postmaster(home)), stdout=PIPE)
    said, _ = await process.communicate()
    return int(said)


def holds_files(pid: int) -> bool:
    """False for what has ended, be it that nobody has asked how. The first thread may be dead before the others are."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return "\nState:\tZ" not in status or "\nThreads:\t1\n" not in status


def environ_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def nothing_runs(home: Home) -> bool:
    """No process of Postgres holds the lock that all of them inherit."""
    return not is_held(home.postmaster_lock)


async def visits(dsn: dict[str, Any]) -> int:
    connection = await asyncpg.connect(**dsn)
    try:
        return int(await connection.fetchval("select count(*) from visits"))
    finally:
        await connection.close()


async def test_two_processes_share_one_server_and_the_last_one_stops_it(folder: Path, home: Home) -> None:
    async with user(folder) as first:
        pid = postmaster(home)
        async with user(folder):
            assert postmaster(home) == pid
            assert first.stdin is not None
            first.stdin.close()
            await first.wait()
            assert not nothing_runs(home)
    assert nothing_runs(home)
    assert not home.sockets.exists()
    assert "database system is shut down" in home.log.read_text()


async def test_processes_that_start_together_all_come_up(folder: Path, home: Home) -> None:
    async with contextlib.AsyncExitStack() as stack:
        await asyncio.gather(*(stack.enter_async_context(user(folder)) for _ in range(3)))
        async with embedded_postgres(folder, UNSAFE) as server:
            assert await visits(server.dsn) == 3
    assert nothing_runs(home)


async def test_killing_one_process_leaves_the_server_to_the_other(folder: Path, home: Home) -> None:
    async with user(folder) as first, embedded_postgres(folder, UNSAFE) as server:
        first.kill()
        await first.wait()
        assert await visits(server.dsn) == 1
    assert nothing_runs(home)


async def test_killing_all_processes_stops_the_server_and_loses_nothing(folder: Path, home: Home) -> None:
    async with user(folder) as first, user(folder) as second:
        first.kill()
        second.kill()
        await asyncio.gather(first.wait(), second.wait())
        await until(lambda: not is_held(home.supervisor_lock))
        assert nothing_runs(home)
    async with embedded_postgres(folder, UNSAFE) as server:
        assert await visits(server.dsn) == 2


async def test_a_killed_postmaster_is_started_again_under_its_users(folder: Path, home: Home) -> None:
    async with user(folder), embedded_postgres(folder, UNSAFE) as server:
        killed = postmaster(home)
        os.kill(killed, signal.SIGKILL)
        await until(lambda: postmaster(home) not in (0, killed))
        assert await eventually_visits(server.dsn) == 1
    assert nothing_runs(home)


async def test_a_postmaster_that_was_told_to_stop_does_not_wait_for_its_users(folder: Path, home: Home) -> None:
    async with user(folder), embedded_postgres(folder, UNSAFE) as server:
        stays = await asyncpg.connect(**server.dsn)
        told = postmaster(home)
        os.kill(told, signal.SIGTERM)
        await until(lambda: (home.cluster / "postmaster.pid").exists() and postmaster(home) != told)
        assert await eventually_visits(server.dsn) == 1
        stays.terminate()
    assert nothing_runs(home)


async def eventually_visits(dsn: dict[str, Any]) -> int:
    async with asyncio.timeout(120):
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError):
                return await visits(dsn)
            await asyncio.sleep(0.02)


async def test_a_killed_supervisor_is_replaced_and_the_server_goes_on(
    folder: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom.embedded.server.GUARD_SECONDS", 0.05)
    async with embedded_postgres(folder, UNSAFE) as server:
        connection = await asyncpg.connect(**server.dsn)
        pid, keeper = postmaster(home), await supervisor(home)
        os.kill(keeper, signal.SIGKILL)
        await until(lambda: not holds_files(keeper))  # and with them the lock
        await until(lambda: is_held(home.supervisor_lock))
        assert postmaster(home) == pid
        assert await connection.fetchval("select 1") == 1
        await connection.close()
    await until(lambda: nothing_runs(home))


async def test_a_supervisor_that_is_killed_just_before_the_last_user_leaves_does_not_leave_the_server_behind(
    folder: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom.embedded.server.GUARD_SECONDS", 600.0)  # the guard does not see it
    async with embedded_postgres(folder, UNSAFE):
        os.kill(await supervisor(home), signal.SIGKILL)
    assert nothing_runs(home)
    assert "database system is shut down" in home.log.read_text()


async def test_leaving_a_server_without_a_supervisor_does_not_wait_for_somebody_who_is_stuck_at_its_start(
    folder: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom.embedded.server.GUARD_SECONDS", 600.0)
    monkeypatch.setattr("greenroom.embedded.server.LEAVE_SECONDS", 0.1)
    stuck = open_lock(home.start_lock)
    async with asyncio.timeout(120), embedded_postgres(folder, UNSAFE):
        assert try_lock(stuck, ALONE)
        os.kill(await supervisor(home), signal.SIGKILL)
    os.close(stuck)
    monkeypatch.undo()
    async with embedded_postgres(folder, UNSAFE):
        pass
    assert nothing_runs(home)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
async def test_the_supervisor_is_not_told_our_secrets(
    folder: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_TOKEN", "do-not-tell")
    async with embedded_postgres(folder, UNSAFE):
        environ = environ_of(await supervisor(home))
    assert b"PYTHONPATH=" in environ
    assert b"do-not-tell" not in environ


async def test_everything_killed_at_once_is_found_and_taken_over(folder: Path, home: Home) -> None:
    async with user(folder) as first:
        keeper, pid = await supervisor(home), postmaster(home)
        os.kill(keeper, signal.SIGKILL)
        first.kill()
        await first.wait()
        assert not nothing_runs(home)
        async with embedded_postgres(folder, UNSAFE) as server:
            assert postmaster(home) == pid
            assert await visits(server.dsn) == 1
    assert nothing_runs(home)


async def test_a_process_id_left_from_a_crash_that_is_somebody_else_now(folder: Path, home: Home) -> None:
    """As in a container that is started again: the ids in the lock files are taken, by processes of the same user."""
    async with user(folder):
        lines = (home.cluster / "postmaster.pid").read_text().splitlines()
    bystander = await asyncio.create_subprocess_exec("sleep", "60", **home.owner.run_as)
    try:
        (home.cluster / "postmaster.pid").write_text("\n".join([str(bystander.pid), *lines[1:]]) + "\n")
        make_private(home.sockets, home.owner)
        stale = home.sockets / ".s.PGSQL.5432.lock"
        stale.write_text(f"{bystander.pid}\n")
        (home.sockets / ".s.PGSQL.5432").touch()
        async with embedded_postgres(folder, UNSAFE) as server:
            assert await visits(server.dsn) == 1
        assert bystander.returncode is None
    finally:
        bystander.kill()
        await bystander.wait()


async def test_a_supervisor_whose_starter_is_gone_already_tells_no_stranger_to_end(folder: Path, home: Home) -> None:
    async with user(folder):
        lines = (home.cluster / "postmaster.pid").read_text().splitlines()
    stranger = await asyncio.create_subprocess_exec("sleep", "600", **home.owner.run_as)
    (home.cluster / "postmaster.pid").write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
    await asyncio.to_thread(_prepare_and_launch, home, find_programs(), {**SETTINGS, **UNSAFE})
    await until(lambda: not is_held(home.supervisor_lock))
    stranger.kill()
    assert await stranger.wait() == -signal.SIGKILL


async def test_a_half_made_cluster_is_made_again(folder: Path, home: Home) -> None:
    half = home.root / "cluster.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    async with embedded_postgres(folder, UNSAFE) as server:
        connection = await asyncpg.connect(**server.dsn)
        assert await connection.fetchval("select lower('ÉCOLE') || current_setting('server_encoding')") == "écoleUTF8"
        assert await connection.fetchval("select 'a' > 'B'"), "text is ordered by code point"
        await connection.close()
    assert not half.exists()


async def test_a_process_that_comes_during_the_shutdown_waits_and_starts_it_anew(folder: Path, home: Home) -> None:
    """The test plays a supervisor that is just stopping the server: it has the users' lock alone."""
    users = open_lock(home.users_lock)
    assert try_lock(users, ALONE)
    coming = asyncio.create_task(visit_once(folder))
    await until(lambda: is_held(home.start_lock))
    assert not coming.done()
    os.close(users)
    await coming
    assert nothing_runs(home)


async def visit_once(folder: Path) -> None:
    async with embedded_postgres(folder, UNSAFE) as server:
        await (await asyncpg.connect(**server.dsn)).close()


async def test_a_server_that_cannot_start_says_why(folder: Path, home: Home) -> None:
    with pytest.raises(ServiceUnavailableError, match='unrecognized configuration parameter "nonsense"'):
        async with embedded_postgres(folder, {"nonsense": "1"}):
            pass
    async with embedded_postgres(folder, UNSAFE):
        pass


async def test_nobody_else_on_the_machine_can_connect(folder: Path, home: Home) -> None:
    async with embedded_postgres(folder, UNSAFE) as server:
        assert stat.S_IMODE(home.sockets.stat().st_mode) == 0o700
        assert stat.S_IMODE(home.cluster.stat().st_mode) == 0o700
        connection = await asyncpg.connect(**server.dsn)
        assert await connection.fetchval("select current_setting('listen_addresses')") == ""
        await connection.close()


def test_a_prepared_folder_for_sockets_is_refused(folder: Path, home: Home) -> None:
    mine = folder / "mine"
    mine.mkdir(mode=0o700)
    link = folder / "link"
    link.symlink_to(mine)
    with pytest.raises(ConfigError, match="not a private folder"):
        make_private(link, home.owner)
    opened = folder / "opened"
    opened.mkdir()
    opened.chmod(0o777)
    with pytest.raises(ConfigError, match="not a private folder"):
        make_private(opened, home.owner)


def test_a_long_data_path_still_gives_a_short_socket(folder: Path) -> None:
    home = open_home(folder / ("long" * 40), 18)
    assert len(os.fsencode(home.sockets / ".s.PGSQL.5432")) <= 107


@as_root
async def test_as_root_it_runs_as_another_user(folder: Path, home: Home) -> None:
    async with embedded_postgres(folder, UNSAFE):
        assert home.cluster.stat().st_uid == pwd.getpwnam("nobody").pw_uid
        assert home.root.stat().st_uid == 0


@as_root
def test_as_root_the_owner_of_the_data_folder_runs_it(folder: Path) -> None:
    somebody = pwd.getpwnam("daemon")
    os.chown(folder, somebody.pw_uid, somebody.pw_gid)
    assert open_home(folder, 18).owner.uid == somebody.pw_uid


@as_root
async def test_a_data_folder_below_a_closed_one_is_refused_with_its_name(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ConfigError, match=f"nobody, who may not enter {closed}") as caught:
        async with embedded_postgres(closed / "data"):
            pass
    assert "/var/lib/greenroom" in str(caught.value)


@as_root
async def test_programs_in_a_closed_folder_are_staged(folder: Path, home: Home) -> None:
    """As when the package is installed below root's home."""
    found = find_programs()
    package = found.folder.parent.parent
    site = folder / "closed"
    site.mkdir(mode=0o700)
    for tree in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(tree, site / tree.name, symlinks=True)
    usable = staged(Programs(site / found.folder.relative_to(package.parent), found.version), home)
    assert usable.folder.is_relative_to(home.root)
    assert closed_to(usable.folder, home.owner) is None
    process = await asyncio.create_subprocess_exec(
        usable.folder / "postgres", "--version", stdout=PIPE, **home.owner.run_as
    )
    said, _ = await process.communicate()
    assert found.version in said.decode()


def test_a_cluster_of_another_major_version_is_not_silently_left_behind(folder: Path) -> None:
    (folder / "postgres-17" / "cluster").mkdir(parents=True)
    with pytest.raises(ConfigError, match="holds the data of postgres-17"):
        open_home(folder, 18)


def test_where_the_data_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_folder({"GREENROOM_DATA": "/srv/data"}) == Path("/srv/data")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert data_folder({"HOME": "/root"}) == Path("/var/lib/greenroom")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert data_folder({"HOME": "/home/ann"}) == Path("/home/ann/.local/share/greenroom")
    assert data_folder({"HOME": "/home/ann", "XDG_DATA_HOME": "/xdg"}) == Path("/xdg/greenroom")


def test_a_user_without_a_name_is_told_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    with pytest.raises(ConfigError, match="user 4000000, who has no entry in /etc/passwd"):
        server_owner(folder)


def test_a_long_log_is_cut(folder: Path) -> None:
    log = folder / "postgres.log"
    log.write_text("short\n")
    trim(log)
    assert log.read_text() == "short\n"
    with log.open("ab") as stream:
        stream.truncate(LOG_LIMIT + 1)
        trim(log)
        stream.write(b"next\n")
        stream.flush()
    assert log.read_text() == "next\n"
    assert log.with_name("postgres.log.1").stat().st_size == LOG_LIMIT + 1
