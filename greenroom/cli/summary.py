"""What a person at the terminal is told once a server has started: what came of the first round, what failed, where to look."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from greenroom.app import Running
from greenroom.cli.output import console
from greenroom.plugin import Status
from greenroom.web.docs import PATH as DOCS_PATH

log = logging.getLogger("greenroom.app")

SETTLING = 60.0
"""Seconds for which the summary waits for the first round of providers."""

PART = "Catalog"
"""The part whose `Status` is told. What it does not say is left out: its words are for people, and may change."""


async def summarise(house: Running) -> None:
    """Print the summary. Where that goes wrong, the log says so, and the server goes on."""
    try:
        facts = await _first_round(house)
    except Exception:
        log.warning("There is no summary of the start", exc_info=True)
        return
    if facts is None:
        return
    out = console()
    out.print()
    for label, style, text in _lines(facts, house.house.backend.base_url):
        out.print(Text.assemble((label.ljust(11), style), text))
    out.print()


def _lines(facts: Mapping[str, Any], base: str) -> list[tuple[str, str, str]]:
    """Label, style and text of each line."""
    kinds = facts.get("by kind")
    named = ", ".join(f"{count} {kind}" for kind, count in kinds.items()) if isinstance(kinds, Mapping) else ""
    lines = [("Entities", "bold", f"{facts.get('entities', 0)} served: {named or 'none yet'}")]
    for failure in _rows(facts, "failures"):
        lines.append(("Failed", "bold red", f"{failure.get('entity')} at {failure.get('at')}"))
        lines.append(("", "", str(failure.get("error"))))
    lines += [
        ("Provider", "bold red", f"{provider.get('name')}: {provider['error']}")
        for provider in _rows(facts, "providers")
        if provider.get("error")
    ]
    return [
        *lines,
        ("API", "bold", f"{base}/api/catalog/entities"),
        ("API docs", "bold", f"{base}{DOCS_PATH}"),
        ("Look", "bold", "greenroom catalog list, greenroom catalog explain REF"),
    ]


def _rows(facts: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    rows = facts.get(name)
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


async def _first_round(house: Running) -> Mapping[str, Any] | None:
    """The facts, once every provider has run and nothing waits; what there is after SETTLING at the latest."""
    status = next((one for one in house.house.services.all(Status) if one.title == PART), None)
    facts: Mapping[str, Any] | None = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLING):
            while status is not None:
                facts = await status.read()
                if _is_settled(facts):
                    break
                await asyncio.sleep(0.5)
    return facts


def _is_settled(facts: Mapping[str, Any]) -> bool:
    waiting = [count for name, count in facts.items() if name.startswith("waiting")]
    if any(waiting) or facts.get("providers") == []:  # none are known yet, for there are always some
        return False
    return all(one.get("last run") != "never" and not one.get("running") for one in _rows(facts, "providers"))
