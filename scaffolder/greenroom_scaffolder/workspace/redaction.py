"""text -> text without secrets: whatever leaves a task - logs, events, outputs, errors, answers of dry runs - goes through here.

What is looked for is described in `variants`. Long secrets are found in any case and form, wrapped over lines or not; short
ones and rendered texts as they are written, as upstream does.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Generic, TypeVar

from greenroom.errors import InputError
from greenroom_scaffolder.workspace.exact import Exact, Span, merged
from greenroom_scaffolder.workspace.variants import (
    SHORTEST,
    dropped,
    exact_forms,
    folded,
    loose_forms,
    squeezed,
)

About = TypeVar("About")

MASK = "***"
"""Upstream's."""

MOST_SECRET = 64 * 1024
"""Characters of all secrets of a task: to know one in all its forms takes its time, and some hundred bytes, for each."""
MOST_SECRETS = 1_000
"""Secrets of a task: each has some dozens of forms, however short it is."""
_FEW = 1_500
"""Characters of secrets that are learnt in passing."""
_FEW_TEXTS, _SHORT_TEXTS = 2_000, 256 * 1024
"""Rendered texts that are known in passing, and the characters of those that are added to them."""

_GRAM = 4
_STRIDE = 3
"""A form of at least `_GRAM + _STRIDE - 1` characters has a whole gram at one of every `_STRIDE` places of a text."""

_SIGHT = 3
"""How far back a stream looks, in lengths of the longest form: white space takes some of it."""
_MOST_BEGINNINGS = 1_000
"""Places, the last ones, where a secret may have begun that are looked at: only texts that are made for it have more."""
_SPARE = 1_000_000
"""Characters of secrets that may be found beyond four times what a text is long: more, and they all overlap."""
_FARTHEST = 1024 * 1024
"""Characters behind the beginning of a text that are looked at: where a rendered text is longer, none of that is shown."""
_TELLING = 8
"""Characters of the beginning of a secret that are too many to be shown when nothing follows."""

_LINE = re.compile(r"\S[^\r\n]*")
_DEEPEST = 400


class LargeSecretsError(InputError):
    """The secrets are too large"""


def refuse_large(secrets: Mapping[str, str]) -> None:
    """Raises LargeSecretsError for secrets that nobody could look for in all that a task says."""
    if sum(map(len, secrets.values())) > MOST_SECRET:
        raise LargeSecretsError(f"The secrets of a task may have {MOST_SECRET} characters together, and no more")
    if len(secrets) > MOST_SECRETS:
        raise LargeSecretsError(f"A task may have {MOST_SECRETS} secrets, and no more")


def few(secrets: Iterable[str], left: int = _FEW) -> bool:
    """Whether they are so few characters that they may be learnt in passing: otherwise a thread does it."""
    return all((left := left - len(secret)) >= 0 for secret in secrets)


class Redactor:
    """Knows the secrets of one task, and takes them out of texts.

    Learn all secrets before several threads use it; texts may be added meanwhile."""

    def __init__(self, secrets: Iterable[str] = (), rendered: Iterable[str] = ()) -> None:
        self._exact = Exact()
        self._secrets: frozenset[str] = frozenset()
        self._forms: list[str] = []
        self._longest = 0
        self._first: frozenset[str] = frozenset()
        self._by_gram: Mapping[str, tuple[tuple[int, str], ...]] = {}
        self.learn(secrets)
        self.update(rendered)

    def copy(self) -> Redactor:
        """One that knows the same, and may learn more: to know a secret in all its forms takes its time."""
        other = Redactor()
        other._exact = self._exact.copy()
        other._secrets, other._forms, other._longest = self._secrets, self._forms, self._longest
        other._first, other._by_gram = self._first, self._by_gram
        return other

    def add(self, text: str) -> None:
        """A text that was rendered with a secret: it is taken out whole, as it is written. One character does not count (upstream
        has it so)."""
        self.update((text,))

    def update(self, rendered: Iterable[str]) -> None:
        """The same for several texts: many are known sooner at once than one by one."""
        self._exact.update(text.strip() for text in rendered)

    def soon(self, rendered: Sequence[str]) -> bool:
        """Whether these may be added in passing, beside those that it knows: otherwise a thread does it."""
        return len(self._exact) + len(rendered) <= _FEW_TEXTS and few(rendered, _SHORT_TEXTS)

    def learn(self, secrets: Iterable[str]) -> None:
        """Secrets themselves: they are taken out in all their forms. One character does not count.

        Many at once cost what they are long; one by one, each costs what was learnt before."""
        known = {secret.strip() for secret in secrets} - self._secrets
        new = [secret for secret in known if len(secret) > 1]
        loose: set[str] = set()
        for secret in new:
            if len(squeezed(secret)) < SHORTEST:
                for form in exact_forms(secret):
                    self.add(form)
            else:
                self.add(secret)
                loose |= loose_forms(secret)
        self._secrets = self._secrets.union(new)
        if loose:
            self._look_for(loose)

    def redact(self, text: str) -> str:
        """Each secret becomes `***`; of one that is wrapped, its part on each line does."""
        return self.masked(text, self.spans(text))

    def redact_beginning(self, text: str, size: int) -> str:
        """So many characters of a long text: of what begins among them and goes on behind, nothing is left."""
        if min(self._exact.longest, len(text) - size) > _FARTHEST:
            return MASK
        exact = self._exact.spans(text[: size + self._exact.longest])
        loose = self._loose_spans(text[: size + self.sight])
        kept = [(start, min(end, size)) for start, end in merged([*exact, *loose]) if start < size]
        return self.masked(text[:size], kept)

    def redact_tree(self, value: Any) -> Any:
        """The same for all texts, keys and numbers of a JSON value, which is not changed itself."""
        return self._tree(value, 0) if self._exact else value

    def spans(self, text: str) -> list[Span]:
        """Where the secrets are, in order; those that overlap are one."""
        if not self._exact:
            return []
        exact, loose = self._exact.spans(text), self._loose_spans(text)
        return merged([*exact, *loose]) if exact and loose else exact or loose

    def masked(self, text: str, spans: Iterable[Span]) -> str:
        pieces, done = [], 0
        for start, end in spans:
            found = text[start:end]
            pieces += [text[done:start], MASK if found in self._exact else _LINE.sub(MASK, found)]
            done = end
        return "".join([*pieces, text[done:]]) if pieces else text

    def beginning(self, text: str) -> tuple[int, bool] | None:
        """Where at the end of a text some form of a secret may have begun, and whether there is too much of it to be shown.

        Less than `_GRAM` characters of one say nothing."""
        tail = folded(squeezed(text[-self.sight :])) if self._forms else ""
        places = range(max(0, len(tail) - self._longest + 1), len(tail) - _GRAM + 1)
        likely = [place for place in places if tail[place : place + _GRAM] in self._first]
        for start in likely[-_MOST_BEGINNINGS:]:
            form = self._form_beginning(tail[start:])
            if form is not None:
                count = len(tail) - start
                return _place_of_last(text, count), count >= _TELLING or 2 * count >= len(form)
        return None

    @property
    def sight(self) -> int:
        """Characters back, as far as which a stream looks."""
        return _SIGHT * self._longest

    def _look_for(self, forms: set[str]) -> None:
        """What was known is shared with copies, and stays as it is."""
        new = forms.difference(self._forms)
        self._forms = sorted([*self._forms, *new])
        self._longest = max(map(len, self._forms))
        self._first |= {form[:_GRAM] for form in new}
        grams: dict[str, list[tuple[int, str]]] = {}
        for form in new:
            for offset in range(_STRIDE):
                grams.setdefault(form[offset : offset + _GRAM], []).append((offset, form))
        known = self._by_gram
        self._by_gram = {**known, **{gram: (*known.get(gram, ()), *more) for gram, more in grams.items()}}

    def _form_beginning(self, tail: str) -> str | None:
        at = bisect_right(self._forms, tail)
        return self._forms[at] if at < len(self._forms) and self._forms[at].startswith(tail) else None

    def _loose_spans(self, text: str) -> list[Span]:
        if not self._forms:
            return []
        plain = folded(squeezed(text))
        grams = self._by_gram
        places = range(0, len(plain) - _GRAM + 1, _STRIDE)
        likely = [place for place in places if plain[place : place + _GRAM] in grams]
        found: list[Span] = []
        left = 4 * len(plain) + _SPARE
        for place in likely:
            for offset, form in grams[plain[place : place + _GRAM]]:
                if place >= offset and plain.startswith(form, place - offset):
                    found.append((place - offset, place - offset + len(form)))
                    left -= len(form)
            if left < 0:  # a secret such as `aaaa…` in a text such as `aaaa…`
                found.append((place, len(plain)))
                break
        return _unsqueezed(text, merged(found))

    def _tree(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, Mapping | list | tuple):
            if depth > _DEEPEST:
                return MASK
            if isinstance(value, Mapping):
                return {self._tree(key, depth): self._tree(one, depth + 1) for key, one in value.items()}
            return [self._tree(one, depth + 1) for one in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return MASK if str(value) in self._exact or self._loose_spans(str(value)) else value
        return value


class Stream(Generic[About]):
    """Texts that come one after another, such as the lines of a log: a secret may begin in one and end in another.

    A text whose end may be the beginning of a secret is held back until more is known; so `feed` may answer with nothing, or with
    several. `separator` is what readers will see between two texts."""

    def __init__(self, redactor: Redactor, separator: str = "\n") -> None:
        self._redactor = redactor
        self._separator = separator
        self._seen = ""
        self._held: list[tuple[str, About]] = []

    def feed(self, text: str, about: About) -> list[tuple[str, About]]:
        """One more; the answer is what may be shown now, in order, each with what was given along."""
        self._held.append((text, about))
        whole = self._whole()
        begun = self._redactor.beginning(whole)
        place = len(whole) if begun is None else begun[0]
        return self._release(whole, self._redactor.spans(whole), place, place)

    def flush(self) -> list[tuple[str, About]]:
        """What is still held back, as nothing follows, or not soon: a long beginning of a secret is masked as well."""
        whole = self._whole()
        spans = self._redactor.spans(whole)
        begun = self._redactor.beginning(whole)
        if begun is not None and begun[1]:
            spans = merged([*spans, (begun[0], len(whole))])
        return self._release(whole, spans, len(whole), len(whole) if begun is None else begun[0])

    def _whole(self) -> str:
        return self._separator.join([self._seen, *(text for text, _ in self._held)])

    def _release(self, whole: str, spans: list[Span], until: int, begun: int) -> list[tuple[str, About]]:
        """What ends before `until`. From `begun` on it may be that a secret is being written."""
        shown, start = [], len(self._seen) + len(self._separator)
        for text, about in self._held:
            end = start + len(text)
            if end > until:
                break
            inside = [(max(a, start) - start, min(b, end) - start) for a, b in spans if a < end and b > start]
            shown.append((self._redactor.masked(text, inside), about))
            start = end + len(self._separator)
        self._held = self._held[len(shown) :]
        self._seen = self._remembered(whole[: start - len(self._separator)], begun)
        return shown

    def _remembered(self, seen: str, begun: int) -> str:
        """As much as a secret that goes on may have left there: mostly next to nothing, so that a line costs what it is long.
        What is written in one piece is not over two lines."""
        sight = self._redactor.sight
        if not self._separator or not sight:
            return seen[-sight:] if sight else ""
        if begun < len(seen):
            return squeezed(seen[-sight:])[-sight // _SIGHT :]
        return squeezed(seen[-sight:])[-_GRAM + 1 :]


def _unsqueezed(text: str, spans: list[Span]) -> list[Span]:
    """From places in the squeezed text to those in the text."""
    if not spans:
        return []
    gaps = list(dropped(text))
    gone = [0, *accumulate(end - start for start, end in gaps)]
    at = [start - before for (start, _), before in zip(gaps, gone, strict=False)]
    return [
        (start + gone[bisect_right(at, start)], end - 1 + gone[bisect_right(at, end - 1)] + 1) for start, end in spans
    ]


def _place_of_last(text: str, count: int) -> int:
    """Where the last so many characters begin, white space aside."""
    size = len(squeezed(text))
    return _unsqueezed(text, [(size - count, size)])[0][0]
