"""Requests to both sides -> differences, each made as small as Hypothesis can."""

from __future__ import annotations

import asyncio
import re
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import HypothesisException, HypothesisWarning
from hypothesis.strategies import SearchStrategy

from tests.conformance.compare import Outcome, differences, only_count
from tests.conformance.fuzz.asking import clone
from tests.conformance.fuzz.exemptions import exempted
from tests.conformance.fuzz.following import Following
from tests.conformance.script import Request

T = TypeVar("T")
AT_ONCE = 12
SHRINK_ASKS = 300
"""Requests that making one case smaller may cost."""

UNBOTHERED = (
    HealthCheck.data_too_large,
    HealthCheck.filter_too_much,
    HealthCheck.too_slow,
    HealthCheck.large_base_example,
    HealthCheck.nested_given,
)
"""What Hypothesis warns the authors of tests of: here nothing is tested but by what is drawn."""


class Difference(msgspec.Struct):
    """A request that the two sides answer otherwise."""

    request: Request
    lines: list[str]

    @property
    def signature(self) -> str:
        """What kind of difference it is: the route, and where in the answer."""
        route = re.sub(r"/by-(name|uid)/.*", r"/by-\1", self.request.path)
        place = re.sub(r"\[[^\]]*\]|\d+", "", self.lines[0].partition(": ")[0])
        if self.lines[0].startswith(("status", "body.error.message")):
            place = re.sub(r"'[^']*'|\"[^\"]*\"", "'…'", self.lines[0])
        return f"{self.request.method} {route} {place[:160]}"


Ask = Callable[[Request], Awaitable[tuple[Outcome, Outcome]]]
"""Request -> what upstream and what Greenroom answered."""


class StillDiffersError(Exception):
    """Raised inside Hypothesis for a case that still differs"""


class Hunt:
    """Asks, counts, and remembers what was found."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.asked = 0
        self.since = 0
        """Requests since the last difference."""
        self.statuses: Counter[str] = Counter()
        self.exempt: Counter[str] = Counter()
        self.found: dict[str, Difference] = {}
        """By signature."""

    async def through(self, strategy: SearchStrategy[Request], number: int, count: int) -> list[Difference]:
        """Ask `count` requests drawn with this seed. Returns differences of a kind not met before, made small."""
        requests = await asyncio.to_thread(drawn, strategy, number, count)
        known: dict[str, Difference | None] = {}
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(request: Request) -> None:
            async with gate:
                known[clone(request)] = await self.difference(request)

        await asyncio.gather(*(one(request) for request in {clone(request): request for request in requests}.values()))
        news: list[Difference] = []
        for difference in [one for one in known.values() if one is not None]:
            if difference.signature not in self.found:
                smaller = await self._smaller(strategy, number, count, known, difference)
                self.found[difference.signature] = smaller
                news.append(smaller)
        return news

    async def difference(self, request: Request) -> Difference | None:
        """Ask both sides one request."""
        theirs, ours = (_comparable(request, outcome) for outcome in await self._ask(request))
        pages = 1 + len(theirs.forward) + len(theirs.back)
        self.asked += pages
        self.since += pages
        self.statuses[f"{request.method} {theirs.answer.status}"] += 1
        lines = differences(theirs, ours, request.order)
        if not lines:
            return None
        if (rule := exempted(request, theirs, ours)) is not None:
            self.exempt[rule] += 1
            return None
        self.since = 0
        return Difference(request, lines)

    async def _smaller(
        self,
        strategy: SearchStrategy[Request],
        number: int,
        count: int,
        known: dict[str, Difference | None],
        difference: Difference,
    ) -> Difference:
        """Draw the same requests again, and let Hypothesis shrink the first of this kind."""
        loop = asyncio.get_running_loop()
        best = [difference]
        asked = 0

        def differs(request: Request) -> None:
            nonlocal asked
            key = clone(request)
            if key not in known:
                if asked >= SHRINK_ASKS:
                    return
                asked += 1
                known[key] = asyncio.run_coroutine_threadsafe(self.difference(request), loop).result()
            found = known[key]
            if found is not None and found.signature == difference.signature:
                if len(key) <= len(clone(best[0].request)):
                    best[0] = found
                raise StillDiffersError

        await asyncio.to_thread(_shrink, strategy, number, count, differs)
        return best[0]


def _comparable(request: Request, outcome: Outcome) -> Outcome:
    """Without what is chance: which rows came before a walk broke off, and the cursor in a URL that failed."""
    pages = [outcome.answer, *outcome.forward, *outcome.back]
    for page in pages if request.walk or isinstance(request, Following) else []:
        if page.status >= 400 and isinstance(page.body, dict) and "request" in page.body:
            page.body["request"]["url"] = "…"
    if len(pages) > 1 and any(page.status != 200 for page in pages):
        for page in pages:
            page.body = only_count(page.body)
    return outcome


def drawn(strategy: SearchStrategy[T], number: int, count: int) -> list[T]:
    """What a strategy gives with a seed: always the same."""
    found: list[T] = []
    _given(strategy, number, count, found.append, [Phase.generate])
    return found


def _shrink(strategy: SearchStrategy[Any], number: int, count: int, check: Callable[[Any], None]) -> None:
    try:
        _given(strategy, number, count, check, [Phase.generate, Phase.shrink])
    except (StillDiffersError, HypothesisException):
        return


def _given(
    strategy: SearchStrategy[T], number: int, count: int, check: Callable[[T], object], phases: Sequence[Phase]
) -> None:
    @seed(number)
    @settings(
        max_examples=count,
        phases=phases,
        database=None,
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=UNBOTHERED,
    )
    @given(strategy)
    def each(value: T) -> None:
        check(value)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HypothesisWarning)  # about the length of what it prints
        each()
