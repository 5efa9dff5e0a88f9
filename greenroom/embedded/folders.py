"""Where the embedded Postgres keeps its things, and which user of the machine it runs as."""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypedDict

import msgspec

from greenroom.errors import ConfigError

NOBODY = 65534
ROOT_DEFAULT = Path("/var/lib/greenroom")
SOCKET_PARENTS = ("/run", "/tmp")  # noqa: S108 (the folder made in it is private, and checked to be)


class RunAs(TypedDict):
    """Arguments of `subprocess` that run a program as another user."""

    user: int | None
    group: int | None
    extra_groups: list[int] | None


class Owner(msgspec.Struct, frozen=True):
    """The user that Postgres runs as. `switch`: we are root, which Postgres refuses to be, so it becomes that user."""

    uid: int
    gid: int
    switch: bool

    @property
    def run_as(self) -> RunAs:
        """For every program of Postgres."""
        if not self.switch:
            return {"user": None, "group": None, "extra_groups": None}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


class Home(msgspec.Struct, frozen=True):
    """The paths of one embedded server, all below `<data>/postgres-<major>`, except for its sockets."""

    root: Path
    sockets: Path
    owner: Owner

    @property
    def cluster(self) -> Path:
        """What Postgres calls its data directory."""
        return self.root / "cluster"

    @property
    def log(self) -> Path:
        """What Postgres and its supervisor have to say; kept below some ten megabytes."""
        return self.root / "postgres.log"

    @property
    def users_lock(self) -> Path:
        """Held shared by every process that uses the server; the supervisor waits to have it alone."""
        return self.root / "users.lock"

    @property
    def start_lock(self) -> Path:
        """Held by the one process that is looking whether the server must be started."""
        return self.root / "start.lock"

    @property
    def supervisor_lock(self) -> Path:
        """Held for as long as the supervisor lives."""
        return self.root / "supervisor.lock"

    @property
    def postmaster_lock(self) -> Path:
        """Held by Postgres itself, which inherits it, and by each of its processes: free only when none is left."""
        return self.root / "postmaster.lock"


def data_folder(environ: Mapping[str, str]) -> Path:
    """Where Greenroom keeps its data: `GREENROOM_DATA`, else `/var/lib/greenroom` for root, else a folder of the user's.

    Not root's home for root: it is closed to others, and Postgres, which refuses to run as root, could not reach it."""
    if configured := environ.get("GREENROOM_DATA"):
        return Path(configured).expanduser().absolute()
    if os.geteuid() == 0:
        return ROOT_DEFAULT
    parent = environ.get("XDG_DATA_HOME") or Path(environ.get("HOME") or Path.home(), ".local", "share")
    return Path(parent, "greenroom").absolute()


def has_cluster(data: Path) -> bool:
    """Whether a database was ever kept in the data folder, by whatever version of Postgres."""
    return bool(_kept(data))


def _kept(data: Path) -> list[str]:
    """The names of the folders that hold a cluster, one for each major version."""
    return [folder.name for folder in sorted(data.glob("postgres-*")) if (folder / "cluster").is_dir()]


def open_home(data: Path, major: int) -> Home:
    """Make the folders and say whose they are. Raises ConfigError when they cannot be what Postgres needs."""
    data = data.absolute()
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)
        owner = server_owner(data)
        root = data / f"postgres-{major}"
        _refuse_other_majors(data, root)
        root.mkdir(exist_ok=True, mode=0o711 if owner.switch else 0o700)
    except OSError as error:
        hint = "set GREENROOM_DATA to a folder that this user may write to"
        raise ConfigError("GREENROOM_DATA", f"the data folder cannot be made: {error}", hint=hint) from error
    _refuse_foreign(root)
    if owner.switch and (closed := closed_to(root, owner)):
        name = pwd.getpwuid(owner.uid).pw_name
        raise ConfigError(
            "GREENROOM_DATA",
            f"Postgres refuses to run as root, so it runs as {name}, who may not enter {closed}",
            value=str(data),
            hint=f"choose a folder outside of it, such as {ROOT_DEFAULT}, or chmod o+x {closed}",
        )
    return Home(root, _socket_folder(root), owner)


def server_owner(data: Path) -> Owner:
    """Ourselves; when we are root: the owner of the data folder, and `nobody` where that is root as well."""
    uid, gid = os.geteuid(), os.getegid()
    switch = uid == 0
    if switch:
        found = data.stat()
        uid, gid = (found.st_uid, found.st_gid) if found.st_uid else _nobody()
    try:
        pwd.getpwuid(uid)
    except KeyError as error:
        hint = "add an entry for it, run as another user, or use a database outside (backend.database.client: pg)"
        raise ConfigError(
            "backend.database", f"Postgres does not run as user {uid}, who has no entry in /etc/passwd", hint=hint
        ) from error
    return Owner(uid, gid, switch)


def _nobody() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return NOBODY, NOBODY
    return entry.pw_uid, entry.pw_gid


def closed_to(path: Path, owner: Owner) -> Path | None:
    """The first folder on the way to `path` (itself included) that the owner may not enter; None when all are open."""
    for folder in _from_the_root(path.resolve()):
        found = folder.stat()
        if not stat.S_ISDIR(found.st_mode):
            continue
        if not found.st_mode & _enter_bit(found, owner):
            return folder
    return None


def _enter_bit(found: os.stat_result, owner: Owner) -> int:
    if found.st_uid == owner.uid:
        return stat.S_IXUSR
    return stat.S_IXGRP if found.st_gid == owner.gid else stat.S_IXOTH


def _from_the_root(path: Path) -> Iterator[Path]:
    yield from reversed(path.parents)
    yield path


def _refuse_foreign(root: Path) -> None:
    """Two users of the machine cannot share one server: neither could open the other's files."""
    found = root.stat()
    if found.st_uid != os.geteuid():
        raise ConfigError(
            "GREENROOM_DATA",
            f"{root} belongs to user {found.st_uid}, and this process runs as user {os.geteuid()}",
            hint="run as that user, or choose another data folder",
        )


def _refuse_other_majors(data: Path, root: Path) -> None:
    """A new major version reads no older cluster, and an empty one started beside it would look like data loss."""
    older = _kept(data)
    if older and root.name not in older:
        raise ConfigError(
            "GREENROOM_DATA",
            f"{data} holds the data of {older[-1]}, and the installed server is {root.name}",
            hint=f"dump it with the old version and restore it, or move {data / older[-1]} away to begin anew",
        )


def _socket_folder(root: Path) -> Path:
    """A short path (a socket's is limited to 107 bytes), the same for every process that shares `root`."""
    parent = next((folder for folder in SOCKET_PARENTS if os.access(folder, os.W_OK | os.X_OK)), tempfile.gettempdir())
    name = hashlib.blake2b(os.fsencode(root.resolve()), digest_size=8).hexdigest()
    return Path(parent, f"greenroom-{name}")


def make_private(folder: Path, owner: Owner) -> None:
    """Make the folder of the sockets, or make sure of it: whoever may enter it may be any user of the database.

    Raises ConfigError when it is not the owner's alone: a link, made by somebody else, or open to others."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        if owner.switch:
            os.chown(folder, owner.uid, owner.gid)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner.uid or stat.S_IMODE(found.st_mode) != 0o700:
        raise ConfigError(
            "backend.database",
            f"{folder} is not a private folder of user {owner.uid}",
            hint="remove it and start again",
        )
