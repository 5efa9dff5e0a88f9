"""The resolvers of `$openapi` and `$asyncapi` (upstream: catalog-backend-module-openapi)."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Iterable
from typing import Any

from greenroom.errors import GreenroomError, describe
from greenroom.plugin import Contribution, Host, NoConfig, Placeholder, PlaceholderResolver, plugin
from greenroom.yaml_text import dump
from greenroom_plugins.openapi.bundle import bundled, read_all

VALUES = (".json", ".yaml", ".yml")
TEXT = (".txt", ".htm", ".html", ".md", ".xml", ".js", ".min", ".map", ".css", ".scss", ".less", ".svg")
"""Files that are no JSON or YAML, and are put in as text, like others that turn out to be neither."""


class DefinitionError(GreenroomError):
    """The definition could not be bundled"""


class NothingError(GreenroomError):
    """Cannot read properties of null (reading 'asyncapi')"""

    name = "TypeError"  # as Node says of a file with nothing in it


class UnreadableReferenceError(GreenroomError):
    """A file that is referred to cannot be read"""

    name = "ResolverError"  # as json-schema-ref-parser calls it


class ParserError(GreenroomError):
    """A file that is referred to is broken"""

    name = "ParserError"  # as json-schema-ref-parser calls it


@plugin("openapi", NoConfig)
def openapi(config: NoConfig, host: Host) -> Iterable[Contribution]:
    """Bundles API definitions that are spread over files, where `$openapi` or `$asyncapi` stands for them."""
    yield PlaceholderResolver("openapi", resolve)
    yield PlaceholderResolver("asyncapi", resolve)


async def resolve(placeholder: Placeholder) -> str:
    """The bundled definition, as YAML. Raises DefinitionError, in upstream's words."""
    content = await _content(placeholder, url := _url(placeholder))
    try:
        root = _definition(placeholder.parse(content))
        files = await read_all(root, url, placeholder.resolve, lambda other: _file(placeholder, other))
        return await asyncio.to_thread(bundled, files, dump)
    except GreenroomError as error:
        raise DefinitionError(
            f"Placeholder ${placeholder.key} unable to bundle the file at {placeholder.value}, {describe(error)}"
        ) from error


def _url(placeholder: Placeholder) -> str:
    key, value = placeholder.key, placeholder.value
    if not isinstance(value, str):
        raise DefinitionError(
            f"Placeholder ${key} expected a string value parameter, in the form of an absolute URL or a relative path"
        )
    try:
        return placeholder.resolve(value)
    except GreenroomError as error:
        raise DefinitionError(
            f"Placeholder ${key} could not form a URL out of {placeholder.base} and {value}, {describe(error)}"
        ) from error


async def _content(placeholder: Placeholder, url: str) -> bytes:
    try:
        return await placeholder.read(url)
    except GreenroomError as error:
        raise DefinitionError(
            f"Placeholder ${placeholder.key} could not read location {placeholder.value}, {describe(error)}"
        ) from error


def _definition(value: Any) -> Any:
    """Raises NothingError, and DefinitionError for what has no members, and so no references."""
    if value is None:
        raise NothingError
    if not isinstance(value, dict | list):
        raise DefinitionError("Expected an object at the root of the definition")
    return value


async def _file(placeholder: Placeholder, url: str) -> Any:
    """What a file that the definition refers to holds. Raises UnreadableReferenceError, ParserError."""
    try:
        content = await placeholder.read(url)
    except GreenroomError as error:
        raise UnreadableReferenceError(f'Error reading file "{url}"') from error
    extension = posixpath.splitext(url.partition("?")[0])[1].lower()
    if extension in TEXT:
        return content.decode(errors="replace")
    try:
        return placeholder.parse(content)
    except GreenroomError as error:
        if extension not in VALUES:
            return content.decode(errors="replace")
        raise ParserError(f"Error parsing {url}: {error.message}") from error
