"""The keywords that upstream checks, and the functions that make their checks.

A check is built once for a schema, looks at a value and answers with what is wrong, in the words, order and shapes of npm's
`jsonschema`. What is wrong with the schema itself is raised by the check, not when it is built: upstream notices nothing before a
value of the right type comes by.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from greenroom_scaffolder.schemas.checking import Keyword
from greenroom_scaffolder.schemas.combining import all_of, any_of, if_, not_, one_of, type_
from greenroom_scaffolder.schemas.inside import (
    additional_properties,
    contains,
    dependencies,
    items,
    pattern_properties,
    properties,
    property_names,
    required,
    unique_items,
)
from greenroom_scaffolder.schemas.plain import (
    _at_least,
    _at_most,
    _count,
    _length,
    _limit,
    _members_count,
    _multiple,
    const,
    enum,
    exclusive_maximum,
    exclusive_minimum,
    format_,
    maximum,
    minimum,
    pattern,
)

KEYWORDS: Final[Mapping[str, Keyword]] = {
    "type": type_,
    "not": not_,
    "disallow": not_,
    "enum": enum,
    "const": const,
    "anyOf": any_of,
    "oneOf": one_of,
    "allOf": all_of,
    "if": if_,
    "propertyNames": property_names,
    "properties": properties,
    "patternProperties": pattern_properties,
    "additionalProperties": additional_properties,
    "items": items,
    "contains": contains,
    "uniqueItems": unique_items,
    "dependencies": dependencies,
    "required": required,
    "minimum": minimum,
    "maximum": maximum,
    "exclusiveMinimum": exclusive_minimum,
    "exclusiveMaximum": exclusive_maximum,
    "multipleOf": _multiple("multipleOf", "is not a multiple of (divisible by)"),
    "divisibleBy": _multiple("divisibleBy", "is not divisible by (multiple of)"),
    "minLength": _limit("minLength", "does not meet minimum length of", _length, _at_least),
    "maxLength": _limit("maxLength", "does not meet maximum length of", _length, _at_most),
    "minItems": _limit("minItems", "does not meet minimum length of", _count, _at_least),
    "maxItems": _limit("maxItems", "does not meet maximum length of", _count, _at_most),
    "minProperties": _limit("minProperties", "does not meet minimum property length of", _members_count, _at_least),
    "maxProperties": _limit("maxProperties", "does not meet maximum property length of", _members_count, _at_most),
    "pattern": pattern,
    "format": format_,
}
"""All that upstream checks; other words say nothing."""
