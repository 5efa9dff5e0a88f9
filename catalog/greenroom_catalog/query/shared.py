"""One reading for many who wait for it: what comes of it is everybody's, also if it is an error."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@contextmanager
def fails_for_all(waiting: Iterable[asyncio.Future[Any]]) -> Iterator[None]:
    """An error in the block is given to those who still wait. It goes no further, unless the process is to end."""
    try:
        yield
    except BaseException as error:
        for answer in waiting:
            if not answer.done():
                answer.set_exception(error)
        if not isinstance(error, Exception):
            raise


def answer_with(answer: asyncio.Future[T], result: T) -> None:
    """The result to one who waits; whoever asked may have gone."""
    if not answer.done():
        answer.set_result(result)
