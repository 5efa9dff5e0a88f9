"""The topics (`greenroom.events`) that wake the loops; sent with the commit that gives them something to do."""

from __future__ import annotations

from greenroom.db import Connection

TO_PROCESS = "catalog.process"
TO_STITCH = "catalog.stitch"
TO_PROVIDE = "catalog.provide"
TO_DO = "catalog.chores"


async def wake(conn: Connection, topic: str) -> None:
    """Tell the loops at commit. Equal messages of one transaction are sent once."""
    await conn.execute("SELECT pg_notify('greenroom', $1)", f"{topic} ")
