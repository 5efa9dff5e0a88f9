"""What is to be reached: the rows of the goal, as many times better than upstream, and the floors below which a run fails.

A goal is an aim; it is shown with what was found. A floor is what was reached before, with a margin for a busy machine:
only a change of ours breaks one.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.bench.wrk import CLIENTS

LOADED = f", {CLIENTS} clients"


class Goal(NamedTuple):
    """Of one row."""

    times: float | None = None
    """How many times better than upstream."""
    floor: float | None = None
    """How many times better it has to be."""
    at_most: float | None = None
    """In the row's own unit, whatever upstream does; it has to be."""


GOALS = {
    "ingest": Goal(25, 8),
    "committed": Goal(None, 3),
    "unchanged": Goal(2, 0.5),
    "unchanged-rows": Goal(at_most=0),
    "list": Goal(20, 3),
    "list-load": Goal(40, 5),
    "list-kind": Goal(20, 3),
    "list-kind-load": Goal(40, 5),
    "any": Goal(20, 3),
    "facets": Goal(10, 2),
    "facets-load": Goal(20, 2),
    "facets-all": Goal(10, 0.4),
    "facets-all-load": Goal(20, 0.5),
    "by-name-load": Goal(2, 1.2),
    "by-refs": Goal(1, 0.6),
    "ancestry": Goal(1, 0.7),
    "all": Goal(2, 1),
    "all-fields": Goal(3, 1),
    "database": Goal(5, 3),
    "memory-idle": Goal(2, 1.5),
    "memory-ingest": Goal(2, 1.5),
    # not in the goal, promised before it
    "changed": Goal(None, 1.3),
    "location": Goal(None, 3),
    "filtered": Goal(None, 2),
    "filtered-load": Goal(None, 2),
    "start": Goal(None, 1.5),
}
"""By the row's id."""
