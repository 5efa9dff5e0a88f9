"""recorded, answered -> differences: one short line each, none when the two sides cannot be told apart."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

import msgspec

from tests.conformance.script import Order
from tests.conformance.scrub import Answer, in_order

ABSENT = "<absent>"


class Outcome(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What one request came to: its answer, and for a walk the pages that followed, forward and back."""

    name: str
    answer: Answer
    forward: list[Answer] = []
    back: list[Answer] = []
    turned: bool | None = None
    """A walk: whether the pages met on the way back held, by uid, exactly the entities of the way forward, in its order."""


def differences(recorded: Outcome, answered: Outcome, order: Order = "exact") -> list[str]:
    """Compare as a request's `order` says (see script.Request)."""
    if recorded.forward or answered.forward or recorded.turned is not None:
        return list(_walks(recorded, answered, order))
    return list(_answers(recorded.answer, answered.answer, order))


def _answers(recorded: Answer, answered: Answer, order: Order) -> Iterator[str]:
    recorded, answered = (
        msgspec.structs.replace(answer, body=_in_order(_cut(answer.body))) for answer in (recorded, answered)
    )
    if recorded.status != answered.status:
        yield f"status: recorded {recorded.status}, answered {answered.status}{_said(answered)}"
        return
    yield from _values("headers", recorded.headers, answered.headers)
    yield from _values("text", recorded.text, answered.text)
    if order == "exact":
        yield from _values("body", recorded.body, answered.body)
        return
    yield from _values("body", _frame(recorded.body), _frame(answered.body))
    yield from _lists(_items(recorded.body), _items(answered.body), order)


FOREIGN = [
    (re.compile(r"\b(YAMLParseError|SyntaxError|Validation error|Malformed cursor): .*", re.DOTALL), r"\1: …"),
    (re.compile(r"^(?:Unexpected (?:token|end)|Expected (?:property name|.* in JSON)).*", re.DOTALL), "…"),
]
"""What npm `yaml`, V8 and zod say is theirs: of such texts the first clause counts, and of V8's none."""


def _in_order(body: Any) -> Any:
    """Files of a dry run come in the order in which upstream happens to find them, and so do the lines that tell of them."""
    if not isinstance(body, dict) or not isinstance(tree := body.get("directoryContents"), list):
        return body
    lines = [{"isTaskRecoverable": False, "type": "log", **line} for line in body["log"]]
    return {**body, "directoryContents": sorted(tree, key=lambda file: str(file["path"])), "log": in_order(lines)}


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cut(item) for item in value]
    return _cut_text(value) if isinstance(value, str) else value


@lru_cache(maxsize=50_000)
def _cut_text(text: str) -> str:
    for theirs, ours in FOREIGN:
        text = theirs.sub(ours, text)
    return text


def _said(answer: Answer) -> str:
    if isinstance(answer.body, dict) and isinstance(answer.body.get("error"), dict):
        error = answer.body["error"]
        return f" ({error.get('name')}: {error.get('message')})"
    return ""


def _walks(recorded: Outcome, answered: Outcome, order: Order) -> Iterator[str]:
    """Which of several equal rows fall on which page is chance, so pages compare by size and the whole by content."""
    pages = [[outcome.answer, *outcome.forward] for outcome in (recorded, answered)]
    yield from _values("statuses", *([page.status for page in walk] for walk in pages))
    yield from _values("pages", *([_page(page) for page in walk] for walk in pages))
    yield from _values("pages back", *([_page(page) for page in outcome.back] for outcome in (recorded, answered)))
    yield from _values("the way back", recorded.turned, answered.turned)
    before, after = ([item for page in walk for item in _items(page.body)] for walk in pages)
    yield from _lists(before, after, order)


def _page(page: Answer) -> dict[str, Any]:
    return {"size": len(_items(page.body)), "frame": _frame(page.body)}


def _items(body: Any) -> list[Any]:
    if isinstance(body, dict):
        return next((body[key] for key in ("items", "entities") if isinstance(body.get(key), list)), [])
    return body if isinstance(body, list) else []


def _frame(body: Any) -> Any:
    """What surrounds the list that `_items` finds."""
    if isinstance(body, dict):
        listed = next((key for key in ("items", "entities") if isinstance(body.get(key), list)), None)
        return {key: value for key, value in body.items() if key != listed}
    return None if isinstance(body, list) else body


def only_count(body: Any) -> Any:
    """The body with null for every item: enough where only their number is compared."""
    if isinstance(body, list):
        return [None] * len(body)
    return {**_frame(body), "items": [None] * len(_items(body))} if isinstance(body, dict) and "items" in body else body


def _lists(recorded: list[Any], answered: list[Any], order: Order) -> Iterator[str]:
    if order == "exact":
        yield from _values("items", recorded, answered)
    elif order == "count":
        yield from _values("number of items", len(recorded), len(answered))
    elif order == "any":
        yield from _multisets("items", recorded, answered)
    elif "values" in order:
        yield from _values(
            "values", *([_folded(item, order["values"]) for item in side] for side in (recorded, answered))
        )
    else:
        yield from _tied(recorded, answered, order["ties"])


def _tied(recorded: list[Any], answered: list[Any], field: str) -> Iterator[str]:
    runs = [
        [(value, list(run)) for value, run in groupby(side, lambda item: _folded(item, field))]
        for side in (recorded, answered)
    ]
    yield from _values(f"order by {field}", *([value for value, _ in side] for side in runs))
    if [value for value, _ in runs[0]] == [value for value, _ in runs[1]]:
        for (value, left), (_, right) in zip(*runs, strict=True):
            yield from _multisets(f"items with {field}={value}", left, right)


def _folded(item: Any, field: str) -> str:
    found = lookup(item, field)
    return found.lower() if isinstance(found, str) else json.dumps(found, sort_keys=True)


def _multisets(where: str, recorded: Sequence[Any], answered: Sequence[Any]) -> Iterator[str]:
    """Items that only one side has; those of one name are shown as one item that differs."""
    left, right = (
        Counter(json.dumps(item, sort_keys=True, ensure_ascii=False) for item in side) for side in (recorded, answered)
    )
    missing, surplus = (
        sorted(
            (json.loads(text) for text in only.elements()),
            key=lambda item: (name_of(item), json.dumps(item, sort_keys=True)),
        )
        for only in (left - right, right - left)
    )
    if [name_of(item) for item in missing] == [name_of(item) for item in surplus]:
        for one, other in zip(missing, surplus, strict=True):
            yield from _values(f"{where}[{name_of(one)}]", one, other)
        return
    yield from (f"{where}: missing {_short(item)}" for item in missing)
    yield from (f"{where}: not recorded {_short(item)}" for item in surplus)


def name_of(item: Any) -> str:
    """What to call an item in a message: an entity's name, also when it stands inside something; else an ellipsis."""
    paths = ("metadata.name", "entity.metadata.name", "unprocessed_entity.metadata.name")
    return next((str(name) for path in paths if (name := lookup(item, path)) is not None), "…")


def _values(where: str, recorded: Any, answered: Any) -> Iterator[str]:
    if isinstance(recorded, dict) and isinstance(answered, dict):
        for key in sorted({*recorded, *answered}):
            yield from _values(f"{where}.{key}", recorded.get(key, ABSENT), answered.get(key, ABSENT))
    elif isinstance(recorded, list) and isinstance(answered, list):
        if len(recorded) != len(answered):
            yield f"{where}: recorded {len(recorded)} elements, answered {len(answered)}: {_short(recorded)} / {_short(answered)}"
            return
        for index, (one, other) in enumerate(zip(recorded, answered, strict=True)):
            yield from _values(f"{where}[{index}]", one, other)
    elif type(recorded) is not type(answered) or recorded != answered:
        yield f"{where}: recorded {_short(recorded)}, answered {_short(answered)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= 300 else text[:300] + "…"


def lookup(item: Any, path: str) -> Any:
    """A dotted path into JSON, whose keys may hold dots themselves; list indices are numbers. None where nothing is."""
    if not path:
        return item
    if isinstance(item, list):
        head, _, rest = path.partition(".")
        return lookup(item[int(head)], rest) if head.isdigit() and int(head) < len(item) else None
    if not isinstance(item, dict):
        return None
    keys = [key for key in item if path == key or path.startswith(f"{key}.")]
    found = (lookup(item[key], path[len(key) + 1 :]) for key in sorted(keys, key=len, reverse=True))
    return next((value for value in found if value is not None), None)
