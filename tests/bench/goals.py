"""What is to be reached: the rows of the goal, as many times better than upstream, and the floors below which a run fails.

A goal is an aim; it is shown with what was found. A floor is half to three quarters of what was reached with 20,000 entities,
which leaves room for a busy machine: only a change of ours breaks one. With fewer entities there are no floors: what upstream
does row by row is quick then.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.bench.wrk import CLIENTS

LOADED = f", {CLIENTS} clients"

FULL = 20_000
"""Entities, from which on the floors hold."""


class Goal(NamedTuple):
    """Of one row."""

    times: float | None = None
    """How many times better than upstream."""
    floor: float | None = None
    """How many times better it has to be."""
    at_most: float | None = None
    """In the row's own unit, whatever upstream does; it has to be."""


GOALS = {
    "ingest": Goal(25, 12),
    "committed": Goal(None, 1.2),
    "unchanged": Goal(2, 2),
    "unchanged-rows": Goal(at_most=0),
    "list": Goal(20, 18),
    "list-load": Goal(40, 25),
    "list-kind": Goal(20, 20),
    "list-kind-load": Goal(40, 35),
    "any": Goal(20, 100),
    "facets": Goal(10, 40),
    "facets-load": Goal(20, 60),
    "facets-all": Goal(10, 15),
    "facets-all-load": Goal(20, 12),
    "by-name-load": Goal(2, 1.8),
    "by-refs": Goal(1, 1),
    "ancestry": Goal(1, 1.2),
    "all": Goal(2, 1.6),
    "all-fields": Goal(3, 2),
    "database": Goal(5, 5),
    "memory-idle": Goal(2, 1.9),
    "memory-ingest": Goal(2, 2),
    # not in the goal, promised before it
    "changed": Goal(None, 1.3),
    "location": Goal(None, 5),
    "filtered": Goal(None, 10),
    "filtered-load": Goal(None, 20),
    "start": Goal(None, 1.7),
}
"""By the row's id."""

TASK_GOALS = {
    "burst": Goal(6, 6),
    "single": Goal(2, 2),
    "dry-run": Goal(1, 2),
    "fetch-template": Goal(3, 4),
    "expressions": Goal(5, 3),
    "expressions-cold": Goal(1, 2),
    "corpus": Goal(2, 1.2),
    "task-list": Goal(5, 15),
}
"""Of the scaffolder, by the row's id; whatever the size of the catalog."""


def goal(id_: str, entities: int) -> Goal:
    """Of a row, in a catalog of so many entities."""
    found = GOALS.get(id_, Goal())
    return found if entities >= FULL else found._replace(floor=None)
