"""How many connections a process may hold, and whether the server has room for them: found out at the start, not under load."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

from greenroom.errors import ConfigError

log = logging.getLogger(__name__)

SESSION = 1
"""Beside the pool: the session that hears events."""

ROOM = """
select least(
         current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
           - coalesce(current_setting('reserved_connections', true)::int, 0),
         (select nullif(rolconnlimit, -1) from pg_roles where rolname = current_user and not rolsuper),
         (select nullif(datconnlimit, -1) from pg_database, pg_roles
          where datname = current_database() and rolname = current_user and not rolsuper)) as room,
       (select count(*)::int from pg_stat_activity
        where datid is not null and pid <> pg_backend_pid() and coalesce(backend_type, 'client backend') = 'client backend') as used
"""


class Room(NamedTuple):
    """Connections that a server has for us and our like, and how many others hold now."""

    room: int
    used: int


def budget(pool: int, *, session: bool) -> int:
    """The connections that a process holds at most, apart from a moment at its start when one more migrates."""
    return pool + (SESSION if session else 0)


async def look_for_room(connection: Any) -> Room:
    """What the server says, to a connection that is not counted."""
    return Room(*await connection.fetchrow(ROOM))


def check(wanted: int, found: Room) -> None:
    """Warns when there may be too few connections. Raises ConfigError when there are too few for this process alone."""
    if wanted > found.room:
        raise ConfigError(
            "backend.database.poolSize",
            f"a process holds up to {wanted} connections, and the database has {found.room} for all of them",
            hint=f"{max(1, found.room - SESSION)} at most, or raise max_connections (or the limit of role or database)",
        )
    if wanted + found.used > found.room:
        log.warning(
            "The database has %d connections, of which others hold %d: with up to %d of this process they may not suffice "
            "(backend.database.poolSize, max_connections)",
            found.room, found.used, wanted,
        )  # fmt: skip
