"""the shape of a question -> its statement, made once: what varies from one asking to the next is filled in at the end."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Literal, TypeVar

import msgspec

from greenroom_catalog.query.conditions import Condition
from greenroom_catalog.query.differences import NOTHING, Counting, facets_now, facets_since, number_now, number_since
from greenroom_catalog.query.filters import After, Order, Statement
from greenroom_catalog.query.memory import Memory

ROOM = 4 * 1024 * 1024
"""Bytes of a process for statements made before."""

Look = Literal["now", "holds", "since", "unlogged"]
"""What is to be found out of a count: all of it, whether what was counted still holds, or what has changed since; or all of
it without a look at the log of changes. "holds" is there for what is read beside it: alone, it is asked of `Looks`."""

Total = Condition | Literal["uncounted", "unread"]
"""What is to be told beside a page: the number of entities that match; 0, for the sake of the snapshot; nothing."""


class Compiled(msgspec.Struct, frozen=True):
    """SQL and its first arguments. After them come, as far as they were asked for: value and id where a page starts, its
    offset, and the snapshot and generation of what was counted before."""

    sql: str
    arguments: tuple[Any, ...]
    lasting: bool
    """It looks at nothing but what the log of changes tells of."""


class Sought(msgspec.Struct, frozen=True):
    """What a page is of, apart from where it starts. `like`: a text that the sorted value itself has to match."""

    condition: Condition
    order: Order | None
    limit: int
    like: str | None = None
    backwards: bool = False
    documents: bool = True


M = TypeVar("M", Compiled, Counting)


class Statements:
    """Makes statements, and remembers them."""

    def __init__(self) -> None:
        self._made: Memory[Any] = Memory(ROOM)

    def counting(self, condition: Condition, order: Order | None) -> Counting:
        """The number of entities that match; with an order, of those that have a value to sort by."""
        return self._once(("number", condition, order), lambda: Statement().counted(condition, order))

    def number(self, condition: Condition, order: Order | None, look: Look) -> Compiled:
        """A query for `told`: see `differences`."""

        def make() -> Compiled:
            statement = Statement()
            counting = statement.counted(condition, order)
            told, late = _told(statement, counting, look)
            return _compiled(statement, f"select {told} as told", late)

        return self._once(("number", condition, order, look), make)

    def facets_counting(self, names: tuple[str, ...], condition: Condition) -> Counting:
        """The values of some keys, in lower case, with the number of entities that have each."""
        return self._once(("facets", names, condition), lambda: Statement().facets(names, condition))

    def facets(self, names: tuple[str, ...], condition: Condition, look: Look) -> Compiled:
        """A query for `facet, value, count`: see `differences`."""

        def make() -> Compiled:
            statement = Statement()
            counting = statement.facets(names, condition)
            if look != "since":
                return _compiled(statement, facets_now(counting, logged=look == "now"), 0)
            return _compiled(statement, facets_since(counting, *_since(statement)), 2)

        return self._once(("facets", names, condition, look), make)

    def page(
        self,
        sought: Sought,
        after: After | None,
        offset: int,
        total: Total = "unread",
        look: Look = "now",
    ) -> Compiled:
        """A query for `id, value, final_entity` of a page, and of all but an unread total `told`: see `differences`."""

        def make() -> Compiled:
            statement = Statement()
            counting = None
            if total == "uncounted":
                counting = NOTHING
            elif total != "unread" and look != "holds":
                counting = statement.counted(total, sought.order)
            rows, ordering = statement.rows(
                sought.condition, sought.order, after, sought.like, backwards=sought.backwards
            )
            late = 0 if after is None else 1 if sought.order is None else 2
            window = statement.window(sought.limit, offset)
            told, more = (None, 0) if total == "unread" else _told(statement, counting, look)
            sql = statement.page(rows, ordering, window, told, documents=sought.documents)
            return _compiled(statement, sql, late + bool(offset) + more)

        return self._once(("page", sought, after is not None, bool(offset), total, look), make)

    def _once(self, key: Hashable, make: Callable[[], M]) -> M:
        made: M | None = self._made.get(key)
        if made is None:
            made = make()
            self._made.put(key, made, 2 * len(made.sql) + 2 * len(repr(key)) + 1000)
        return made


def _told(statement: Statement, counting: Counting | None, look: Look) -> tuple[str, int]:
    """(an expression for what is to be found out of a number, how many arguments it takes at the end)."""
    if counting is not None and look != "since":
        return number_now(counting, logged=look == "now"), 0
    return number_since(counting, *_since(statement)), 2


def _since(statement: Statement) -> tuple[str, str]:
    return statement.argument(None), statement.argument(None)


def _compiled(statement: Statement, sql: str, late: int) -> Compiled:
    return Compiled(sql, tuple(statement.arguments[: len(statement.arguments) - late]), statement.lasting)
