"""value + options -> YAML text, as npm's `yaml` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from greenroom.errors import InputError
from greenroom.yaml_text import PLAIN, Style, dump
from greenroom_plugins.roadiehq.json_text import refuse_blanks

_WITHOUT_EFFECT = {"collectionStyle": ("any", "block"), "flowCollectionPadding": (True, False), "simpleKeys": (False,)}
"""Options of what this writer never writes, and the values that ask for nothing else."""


def yaml_text(value: Any, options: Mapping[str, Any] | None) -> str:
    """Raises InputError for an option that is set to something that this writer cannot do, and for a value that is nested too
    deeply, or mostly indentation."""
    style = PLAIN if not options else _style(options)
    refuse_blanks(value, style.indent)
    try:
        return dump(_apart(value), style)
    except RecursionError:
        raise InputError("What is written is nested too deeply") from None


def _apart(value: Any) -> Any:
    """The same value, of which no two parts are the same object: the writer would refer from one to the other."""
    if isinstance(value, Mapping):
        return {key: _apart(one) for key, one in value.items()}
    return [_apart(one) for one in value] if isinstance(value, list | tuple) else value


def _style(options: Mapping[str, Any]) -> Style:
    wanted = dict(options)
    for name, values in _WITHOUT_EFFECT.items():
        if name in wanted and wanted.pop(name) not in values:
            raise InputError(f"The YAML option {name} cannot be {options[name]!r} here: leave it out")
    try:
        return msgspec.convert(wanted, Style)
    except msgspec.ValidationError as error:
        raise InputError(f"The YAML options are wrong: {error}") from error
