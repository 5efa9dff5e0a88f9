"""A condition, or ids -> documents in chunks, which may be read side by side; between chunks no connection is held.

The ids of many come first, a few bytes each. Documents then come as *runs*: some of them in one value, with commas between them. A
run costs Python what a document would, and two connections are two processes of Postgres that unpack documents."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from greenroom.db import Database
from greenroom.sql import Queries
from greenroom_catalog.query.conditions import Condition
from greenroom_catalog.query.filters import After, Order, Statement
from greenroom_catalog.query.statements import Sought, Statements

CHUNK = 500
"""Documents of a chunk, at most."""

FIRST = 50
"""Of the first one, which is read in a single round trip so that the answer begins early."""

RUN = 50
"""Documents of a run. To put a hundred and more together costs Postgres what it spares Python."""

BLOCK = 40
"""Runs whose ids are read at a time: some 12 kB, which a stalled reader holds."""

CHUNK_BYTES = 1024 * 1024
LARGE_BYTES = CHUNK_BYTES // 2
"""Of a chunk, as far as that can be foretold; and of one of large documents, which gains nothing by more: a thousand readers
that do not read may have one each."""

Reading = Callable[[], Awaitable[list[bytes]]]
"""Reads a chunk, once: runs of documents. What is gone is left out, which may be all."""

Readings = AsyncGenerator[Reading, None]
"""Asked for one after the other, and read in any order or at once. Closed when no more are wanted."""


class Streams:
    """Reads many documents."""

    def __init__(self, database: Database, statements: Statements, sql: Queries) -> None:
        self._db = database
        self._statements = statements
        self._by_id, self._in_order = sql.documents_by_id, sql.documents_in_order

    async def read(self, ids: Sequence[int], chunk: int = CHUNK) -> Readings:
        """The documents of entities in the order of the ids, each as often as it is named."""
        fit, at = _Fit(chunk), 0
        while at < len(ids):
            each, end = fit.each, min(at + fit.each * fit.runs, len(ids))
            runs = [",".join(map(str, ids[start : min(start + each, end)])) for start in range(at, end, each)]
            at = end
            yield partial(self._read, self._in_order, runs, fit)

    async def stream(self, asked: Condition, order: Order | None, chunk: int = CHUNK) -> Readings:
        """All documents, by id or by one key. A change meanwhile may or may not show."""
        fit, sql = _Fit(chunk), self._by_id if order is None else self._in_order
        held, after = await self._first(asked, order, min(chunk, FIRST))
        if held:
            fit.measure(held[0], len(held[0]))
            yield partial(_handed_over, held)
        while after is not None:
            each, at = fit.each, 0
            block = await self._ids(asked, order, after, each)
            while at < len(block) and each == fit.each:
                runs = block[at : at + fit.runs]
                at += len(runs)
                after = _end(runs)
                yield partial(self._read, sql, [run["ids"] for run in runs], fit)
            if at == len(block) < BLOCK:
                return

    async def _first(self, asked: Condition, order: Order | None, size: int) -> tuple[list[list[bytes]], After | None]:
        """The first documents, if there are any, and where the others start, if there may be more."""
        compiled = self._statements.page(Sought(asked, order, size), None, 0)
        rows: list[Any] = await self._db.fetch(compiled.sql, *compiled.arguments)
        return [[row["final_entity"] for row in rows]] if rows else [], _end(rows) if len(rows) == size else None

    async def _ids(self, asked: Condition, order: Order | None, after: After, each: int) -> Sequence[Any]:
        """Of up to BLOCK runs: the ids with commas between them, value and id of the last."""
        statement = Statement()
        sql = statement.runs(*statement.rows(asked, order, after), each, BLOCK)
        return await self._db.fetch(sql, *statement.arguments)

    async def _read(self, sql: str, runs: Sequence[str], fit: _Fit) -> list[bytes]:
        rows: list[Any] = await self._db.fetch(sql, runs)
        documents = [row[0] for row in rows if row[0] is not None]
        fit.measure(documents, sum(run.count(",") + 1 for run in runs))
        return documents


class _Fit:
    """How many documents make a run, and how many runs a chunk, by the size of those that were read last."""

    def __init__(self, chunk: int) -> None:
        self._chunk = chunk
        self._mean = 1

    def measure(self, documents: Sequence[bytes], number: int) -> None:
        """So many of them were read."""
        self._mean = max(1, sum(map(len, documents)) // number)

    @property
    def each(self) -> int:
        """Documents of a run; one, if a few would be more than a chunk should be."""
        return min(self._chunk, RUN) if self._mean * RUN <= CHUNK_BYTES else 1

    @property
    def runs(self) -> int:
        """Runs of a chunk."""
        each = self.each
        most = CHUNK_BYTES if each > 1 else LARGE_BYTES
        return max(1, min(self._chunk // each, most // (self._mean * each)))


def _end(rows: Sequence[Any]) -> After:
    return After(rows[-1]["value"], rows[-1]["id"])


async def _handed_over(held: list[list[bytes]]) -> list[bytes]:
    """What was read before; nothing else holds it then."""
    return held.pop()
