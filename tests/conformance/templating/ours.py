"""Greenroom's engine, asked the same, and told in the same shape."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache
from typing import Any

from greenroom_scaffolder.templating import UNDEFINED, Engine, TemplateError
from greenroom_scaffolder.templating.backstage import backstage_filters
from greenroom_scaffolder.templating.evaluate import OPTIONS

__all__ = ["HOSTS", "answer", "difference"]

HOSTS = {
    "github.com": "github",
    "gitlab.com": "gitlab",
    "dev.azure.com": "azure",
    "bitbucket.org": "bitbucketCloud",
    "bitbucket.test": "bitbucketServer",
    "gitea.test": "gitea",
    "gerrit.test": "gerrit",
}
"""The integrations that both sides have."""


@cache
def engine(options: str) -> Engine:
    filters = {each.name: each.apply for each in backstage_filters(HOSTS.get)}
    settings = {OPTIONS[name]: bool(value) for name, value in json.loads(options).items()}
    return Engine(filters, None, None, **settings)


def answer(case: dict[str, Any]) -> dict[str, Any]:
    """`{"render": …, "value": …}`, each with `value`, `undefined` or `error`."""
    chosen = engine(json.dumps(case.get("options") or {}))
    return {"render": _attempt(chosen.text, case), "value": _attempt(chosen.value, case)}


def _attempt(work: Callable[..., Any], case: dict[str, Any]) -> dict[str, Any]:
    try:
        value = work(case["template"], case.get("context") or {})
    except TemplateError as error:
        return {"error": error.message, "limit": error.limit}
    return {"undefined": True} if value is UNDEFINED else {"value": value}


def difference(theirs: dict[str, Any], mine: dict[str, Any]) -> str:
    """What differs, in a word; nothing where both say the same. A limit of either side counts as no answer."""
    for part in ("render", "value"):
        their, my = theirs[part], mine[part]
        if their.get("limit") or my.get("limit"):
            continue
        if ("error" in their) != ("error" in my):
            return f"{part}: one side fails"
        if their.get("error") != my.get("error"):
            return f"{part}: message"
        if "error" not in my and comparable(their) != comparable(my):
            return f"{part}: result"
    return ""


def comparable(outcome: dict[str, Any]) -> str:
    value = {name: outcome[name] for name in ("value", "undefined") if name in outcome}
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    """Numbers as JavaScript's JSON has them; halves of surrogate pairs as they would reach a file."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        double = float(value)  # JavaScript writes large whole numbers in digits that are not all meant
        return None if not math.isfinite(double) else int(double) if double.is_integer() else double
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()}
