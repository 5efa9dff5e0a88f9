"""An answer from the wire -> one that can be compared with another run's: ids, hashes, times, ports and paths made equal."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
STACK = re.compile(r"(?:\n {4}at [^\n]*)+|(?:\\n {4}at (?:(?!\\n|\").)*)+")
"""Of Node, in a task's log: as text, and as text in JSON."""
EVENT_ID = re.compile(r'"id":\d+(?=,"isTaskRecoverable":)')
LOG_ID = re.compile(r"logId=[0-9a-f]+")
JWT = re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]+\.[\w-]*")
HEADERS = (
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "allow",
    "cache-control",
    "content-encoding",
    "content-type",
    "etag",
    "link",
    "location",
    "vary",
    "www-authenticate",
)
SECURITY_HEADERS = (
    "content-security-policy",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "origin-agent-cluster",
    "referrer-policy",
    "strict-transport-security",
    "x-content-type-options",
    "x-dns-prefetch-control",
    "x-download-options",
    "x-frame-options",
    "x-permitted-cross-domain-policies",
    "x-powered-by",
    "x-xss-protection",
)
IGNORED_KEYS = {"stack"}
"""Upstream sometimes leaks stacks of Node: never part of the contract."""
PRIVATE_KEYS = {
    "cache",
    "expiresInSeconds",
    "location_key",
    "nextCursor",
    "prevCursor",
    "result_hash",
    "token",
    "unprocessed_hash",
}
"""Values that only their own side understands; that they are there at all is compared."""


class Answer(msgspec.Struct):
    """A scrubbed answer. `body` is JSON; where the wire had something else, `text` has it."""

    status: int
    headers: dict[str, str] = {}
    body: Any = None
    text: str | None = None


class Scrubber:
    """Knows what is peculiar to one run: where files were served, and so how generated locations are named."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        """`texts` maps what this run said to what every run shall say; longer ones are replaced first."""
        self._texts = sorted(texts.items(), key=lambda pair: -len(pair[0]))
        self._known: dict[str, str] = {}
        """Texts that were scrubbed already: most come again and again."""

    def answer(self, status: int, headers: Mapping[str, str], content: bytes, *, security: bool = False) -> Answer:
        """Numbers that Python and JavaScript would print differently are kept as the text that was sent."""
        wanted = (*HEADERS, *SECURITY_HEADERS) if security else HEADERS
        kept = {name: self._header(name, headers[name]) for name in wanted if name in headers}
        if not content or not headers.get("content-type", "").startswith("application/json"):
            return Answer(status, kept, text=self._frames(self.text(content.decode())) if content else None)
        return Answer(status, kept, self.value(json.loads(content, parse_int=_integer, parse_float=_number)))

    def text(self, text: str) -> str:
        scrubbed = self._known.get(text)
        if scrubbed is None:
            scrubbed = self._known[text] = self._scrubbed(text)
        return scrubbed

    def _frames(self, text: str) -> str:
        """Server-sent events in the order that `in_order` gives them, without comments; any other text as it is."""
        if not text.startswith(("event: ", ": ")):
            return text
        frames = [frame.partition("\ndata: ") for frame in text.split("\n\n")]
        told = in_order([{**json.loads(data), "frame": (kind, data)} for kind, _, data in frames if data])
        return "".join(f"{kind}\ndata: {data}\n\n" for kind, data in (one["frame"] for one in told))

    def _scrubbed(self, text: str) -> str:
        for found, said in self._texts:
            text = text.replace(found, said)
        text = JWT.sub("<jwt>", TIME.sub("<time>", UUID.sub("<uuid>", text)))
        text = STACK.sub("", EVENT_ID.sub('"id":0', text))
        return LOG_ID.sub("logId=<id>", text)

    def value(self, value: Any, key: str = "") -> Any:
        if key in PRIVATE_KEYS and value is not None:
            return f"<{key}>"
        if isinstance(value, dict):
            kept = value if key != "processed_entity" else _as_processed(value)
            if "isTaskRecoverable" in kept:  # an event of a task, whose number depends on what ran before
                kept = {**kept, "id": 0}
            return {self.text(name): self.value(item, name) for name, item in kept.items() if name not in IGNORED_KEYS}
        if isinstance(value, list):
            return in_order([self.value(item) for item in value])
        if isinstance(value, str):
            return self._string(value, key)
        return value

    def _string(self, value: str, key: str) -> str:
        if key == "etag" and not value.startswith("authored"):
            return "<etag>"
        return self.text(value)

    def _header(self, name: str, value: str) -> str:
        if name == "etag":
            return 'W/"…"' if value.startswith('W/"') else '"…"'
        if name == "content-security-policy":
            return ";".join(sorted(value.split(";")))
        return self.text(value)


def in_order(items: list[Any]) -> list[Any]:
    """Events of a task with the lines that actions log put in order behind the beginning of their step: upstream writes them
    without waiting, so that they come in any order, and some after the end of the step. Any other list as it is."""
    if not items or not all(isinstance(item, dict) and "isTaskRecoverable" in item for item in items):
        return items
    lines: list[Any] = []
    told: list[tuple[list[Any], list[Any]]] = [([], lines)]
    of_step: dict[str, list[Any]] = {}
    for item in items:
        body = item["body"]
        step = body.get("stepId")
        if item["type"] == "log" and step is not None and "status" not in body:
            of_step.get(step, lines).append(item)
            continue
        behind: list[Any] = []
        told.append(([item], behind))
        if body.get("status") == "processing" and step is not None:
            of_step[step] = behind
    return [one for first, behind in told for one in (*first, *sorted(behind, key=_message))]


def _message(event: Any) -> str:
    message: str = event["body"]["message"]
    return message


def _integer(text: str) -> int | str:
    return int(text) if len(text) < 16 and text != "-0" else _number(text)


def _number(text: str) -> str:
    """Kept as it was spelled, but for what no reader of JSON can tell: the plus sign of an exponent, and the exponent -6, which
    JavaScript writes as zeros."""
    if found := _MILLIONTHS.fullmatch(text):
        text = f"{found[1]}0.00000{found[2]}{found[3] or ''}"
    return f"<number {re.sub(r'e(?=[0-9])', 'e+', text)}>"


_MILLIONTHS = re.compile(r"(-?)([1-9])(?:\.([0-9]+))?e-0?6")


def _as_processed(entity: dict[str, Any]) -> dict[str, Any]:
    """A stored entity before it is stitched: whether its identity is in it already is its owner's business."""
    metadata = {key: value for key, value in entity.get("metadata", {}).items() if key not in ("uid", "etag")}
    return {**entity, "metadata": metadata}
