"""value + options -> YAML text, as npm's `yaml` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from greenroom.errors import InputError
from greenroom.yaml_text import dump

_DEFAULTS: Mapping[str, Any] = {
    "blockQuote": True,
    "collectionStyle": "any",
    "defaultKeyType": None,
    "defaultStringType": "PLAIN",
    "directives": None,
    "doubleQuotedAsJSON": False,
    "doubleQuotedMinMultiLineLength": 40,
    "falseStr": "false",
    "flowCollectionPadding": True,
    "indent": 2,
    "indentSeq": True,
    "lineWidth": 80,
    "minContentWidth": 20,
    "nullStr": "null",
    "simpleKeys": False,
    "singleQuote": None,
    "trueStr": "true",
}


def yaml_text(value: Any, options: Mapping[str, Any] | None) -> str:
    """Raises InputError for an option that is set to something that this writer cannot do."""
    for name, wanted in (options or {}).items():
        if wanted is not None and wanted != _DEFAULTS.get(name):
            raise InputError(f"The YAML option {name} cannot be {wanted!r} here: leave it out")
    return dump(msgspec.json.decode(msgspec.json.encode(value)))
