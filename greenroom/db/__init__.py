"""The database as the parts see it: one pool of connections to Postgres, on which JSON columns come and go as bytes.

`json` and `jsonb` values are `bytes` both ways (a `str` parameter is encoded): what was stored is served without being
decoded. Nothing may change the session of a pooled connection (`SET`, `LISTEN`, session advisory locks): it is handed
on as it is, which saves a round trip per use, and a pooler in transaction mode would give it to somebody else anyway.
`SET LOCAL` and `pg_advisory_xact_lock` are fine. What needs a session of its own takes one from `Database.direct`.
"""

from greenroom.db.connections import LOST, Connection, Database, DirectConnections, Record, unavailable
from greenroom.db.opening import open_database, open_pool

__all__ = [
    "LOST",
    "Connection",
    "Database",
    "DirectConnections",
    "Record",
    "open_database",
    "open_pool",
    "unavailable",
]
