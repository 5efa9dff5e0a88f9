"""What both engines are asked by name: templates of our own, by topic, and some that nobody wrote. All see one context."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conformance.templating.grammar import CONTEXT, case

__all__ = ["cases"]

RANDOM = 700
"""Random templates that are recorded besides."""

_TEMPLATES = Path(__file__).with_name("templates.json")
_SPACE: tuple[dict[str, bool], ...] = (
    {},
    {"trimBlocks": True},
    {"lstripBlocks": True},
    {"trimBlocks": True, "lstripBlocks": True},
)
_OPTIONS: dict[str, tuple[dict[str, bool], ...]] = {
    "space around blocks": _SPACE,
    "cookiecutter": ({"cookiecutterCompat": True},),
}
"""Of the topics that are not asked with the options' defaults."""


def cases() -> list[dict[str, Any]]:
    """All that is recorded: `{"topic", "template", "context", "options"}`."""
    return [{**each, "context": CONTEXT} for each in [*_by_topic(), *_by_chance()]]


def _by_topic() -> Iterator[dict[str, Any]]:
    for topic, templates in json.loads(_TEMPLATES.read_text(encoding="utf-8")).items():
        for options in _OPTIONS.get(topic, ({},)):
            for template in templates:
                yield {"topic": topic, "template": template, "options": options}


def _by_chance() -> Iterator[dict[str, Any]]:
    for seed in random.Random(7).sample(range(10**6), RANDOM):
        made = case(seed)
        yield {"topic": "chance", "template": made["template"], "options": made["options"]}
