"""texts, text -> where those stand in it, as they are written.

Those that were added last are looked for one after another, which is the quickest way for a few. Of the many others, each place
of the text is asked which is the longest one that begins there: they are sorted, and each knows those that it begins with."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

Span = tuple[int, int]
"""From and to, in characters."""

_START = 2
"""Characters by which it is told whether one of many may begin at a place. No text that is looked for is shorter."""
_FEW = 250
"""Texts that are looked for one after another."""

_SIGHT = 128
"""Characters after a place that are looked at first; more, only while some text begins with all of them."""
_FARTHER = 4
"""So many times as far is looked each time."""
_SPARE = 100_000_000
_EACH = 2 * _SIGHT
"""Characters, of all and for each of a text, that may be looked at in it: what takes more is made to take long."""


class Exact:
    """Finds texts. One thread may add some while others look."""

    def __init__(self) -> None:
        self._all: dict[str, None] = {}
        self._few: Sequence[str] = ()
        """The longest first: what they cover need not be looked at again."""
        self._many = _Many(())

    def __contains__(self, text: str) -> bool:
        return text in self._all

    def __len__(self) -> int:
        return len(self._all)

    @property
    def longest(self) -> int:
        """Characters of the longest text."""
        few, many = self._few, self._many
        return max(many.longest, len(few[0]) if few else 0)

    def copy(self) -> Exact:
        other = Exact()
        other._all, other._few, other._many = self._all.copy(), self._few, self._many
        return other

    def add(self, text: str) -> None:
        """One character is not looked for."""
        self.update((text,))

    def update(self, texts: Iterable[str]) -> None:
        """Add several. Many at once cost what they are; one by one, each some of what was added before."""
        new = [text for text in dict.fromkeys(texts) if len(text) >= _START and text not in self._all]
        if not new:
            return
        self._all.update(dict.fromkeys(new))
        few = sorted([*self._few, *new], key=len, reverse=True)
        if len(few) > _FEW:
            self._many, few = _Many([*self._many.texts, *few]), []
        self._few = few

    def spans(self, text: str) -> list[Span]:
        """Where they are, in order; those that overlap are one."""
        few, many = self._few, self._many  # in this order: what is moved meanwhile is in both
        found = merged(many.spans(text)) if many.texts else []
        for _, alike in groupby([known for known in few if known in text], len):
            more = [span for known in alike for span in _beyond(found, text, known)]
            found = merged([*found, *more])
        return found


class _Many:
    """What does not change, so that threads need not wait for each other."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = sorted(texts)
        self._starts = {text[:_START] for text in self.texts}
        self.longest = max(map(len, self.texts), default=0)
        self._beginnings = list(_beginnings(self.texts))

    def spans(self, text: str) -> Iterator[Span]:
        """The longest that begins at each place. Where that takes too long, all that follows is one span: nothing leaks."""
        starts, left = self._starts, _SPARE + _EACH * len(text)
        places = range(len(text) - _START + 1)
        for place in [place for place in places if text[place : place + _START] in starts]:
            before, sight = self._last_before(text, place)
            if length := self._longest_at(text, place, before, sight):
                yield place, place + length
            left -= sight
            if left < 0:
                yield place, len(text)
                return

    def _last_before(self, text: str, place: int) -> tuple[int, int]:
        """Which is the last text that is not sorted behind what is at this place, and how far was looked: no text that stands
        there is longer. All that do are among its beginnings, if it is not one itself."""
        sight, at = min(_SIGHT, self.longest), 0
        while True:
            window = text[place : place + sight]
            at = bisect_right(self.texts, window, at)
            is_all = sight == self.longest or place + sight >= len(text)
            if is_all or at == len(self.texts) or not self.texts[at].startswith(window):
                return at - 1, sight
            sight = min(sight * _FARTHER, self.longest)

    def _longest_at(self, text: str, place: int, at: int, sight: int) -> int:
        """Of this text and those that it begins with, how long the longest is that is there; 0 for none."""
        if at < 0:
            return 0
        whole, lengths = self.texts[at], self._beginnings[at]
        if text.startswith(whole, place):
            return len(whole)
        within = bisect_right(lengths, sight)
        known = bisect_right(lengths, False, 0, within, key=lambda length: not text.startswith(whole[:length], place))
        return lengths[known - 1] if known else 0


def _beginnings(texts: Sequence[str]) -> Iterator[tuple[int, ...]]:
    """For each of sorted texts, how long the others are that it begins with, in order. (Those with the same ones share them.)"""
    open_: list[tuple[str, tuple[int, ...]]] = [("", ())]
    for text in texts:
        while not text.startswith(open_[-1][0]):
            open_.pop()
        lengths = open_[-1][1]
        yield lengths
        open_.append((text, (*lengths, len(text))))


def _beyond(found: Sequence[Span], text: str, known: str) -> Iterator[Span]:
    """Where one text stands, but for what was found before."""
    size, at = len(known), 0
    start = text.find(known)
    while start >= 0:
        while at < len(found) and found[at][1] <= start:
            at += 1
        if at < len(found) and found[at][0] <= start and start + size <= found[at][1]:
            start = text.find(known, found[at][1] - size + 1)
        else:
            yield start, start + size
            start = text.find(known, start + 1)


def merged(spans: Iterable[Span]) -> list[Span]:
    """In order; those that overlap become one."""
    done: list[Span] = []
    for start, end in sorted(spans):
        if done and start < done[-1][1]:
            done[-1] = (done[-1][0], max(end, done[-1][1]))
        else:
            done.append((start, end))
    return done
