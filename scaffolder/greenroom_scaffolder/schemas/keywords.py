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
    const,
    divisible_by,
    enum,
    exclusive_maximum,
    exclusive_minimum,
    format_,
    max_items,
    max_length,
    max_properties,
    maximum,
    min_items,
    min_length,
    min_properties,
    minimum,
    multiple_of,
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
    "multipleOf": multiple_of,
    "divisibleBy": divisible_by,
    "minLength": min_length,
    "maxLength": max_length,
    "minItems": min_items,
    "maxItems": max_items,
    "minProperties": min_properties,
    "maxProperties": max_properties,
    "pattern": pattern,
    "format": format_,
}
"""All that upstream checks; other words say nothing."""
