"""A Postgres of our own: started when the first process needs it, shared by all that do, stopped after the last one.

Small rooms: `folders` (where things lie and whose they are), `programs` (which Postgres), `locks`, `supervisor` (the
process that keeps it running), `server` (the door: `embedded_postgres`).
"""

from greenroom.embedded.folders import data_folder, has_cluster
from greenroom.embedded.server import Server, embedded_postgres

__all__ = ["Server", "data_folder", "embedded_postgres", "has_cluster"]
