"""What is wished for is gone through; aside, in a thread, where that may take long: others are answered meanwhile."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from litestar import Response

from greenroom.web import Asked, json_response
from greenroom_scaffolder.schemas import Problem
from greenroom_scaffolder.templates import Template
from greenroom_scaffolder.workspace.threads import in_thread

T = TypeVar("T")

LARGE = 16 * 1024
"""Bytes that are not gone through in passing: a megabyte may take a second."""
AT_A_TIME = 2
"""Threads that examine: whoever answers takes turns with all of them."""
_WINDING = re.compile(rb'"(?:\$ref|extends|pattern|patternProperties)":')
"""By these a small form may take long with small values."""


class Examiner:
    """Goes through what is wished for before anything is done about it."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_A_TIME)

    async def do(self, work: Callable[[], T], *, large: bool) -> T:
        """What `work`, which waits for nothing, comes to."""
        if not large:
            return work()
        async with self._turns:
            return await in_thread(work)

    async def refusal(
        self, ask: Asked, template: Template, examine: Callable[[], Sequence[Problem]]
    ) -> Response[bytes] | None:
        """The answer to a wish that is not sound; None: it is. Raises what `examine` raises."""

        def refuse() -> Response[bytes] | None:
            problems = examine()
            return json_response({"errors": problems}, 400) if problems else None

        return await self.do(refuse, large=len(ask.raw) > LARGE or _takes_long(template))


def _takes_long(template: Template) -> bool:
    """Whether its form, or the number of its steps, may keep whoever looks through them."""
    try:
        written = msgspec.json.encode(template.spec)
    except RecursionError:
        return True
    return len(written) > LARGE or _WINDING.search(written) is not None
