"""The resolvers of `$openapi` and `$asyncapi` (upstream: catalog-backend-module-openapi)."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Iterable
from typing import Any

from greenroom.errors import GreenroomError, describe
from greenroom.plugin import Contribution, Host, NoConfig, Placeholder, PlaceholderResolver, plugin
from greenroom_plugins.openapi.bundle import ROOT, bundled, checked, read_all
from greenroom_plugins.openapi.yaml_text import dump

TEXT = (".txt", ".htm", ".html", ".md", ".xml", ".js", ".min", ".map", ".css", ".scss", ".less", ".svg")
"""Files that are no JSON or YAML, and are put in as text."""


class DefinitionError(GreenroomError):
    """The definition could not be bundled"""


@plugin("openapi", NoConfig)
def openapi(config: NoConfig, host: Host) -> Iterable[Contribution]:
    """Bundles API definitions that are spread over files, where `$openapi` or `$asyncapi` stands for them."""
    yield PlaceholderResolver("openapi", resolve)
    yield PlaceholderResolver("asyncapi", resolve)


async def resolve(placeholder: Placeholder) -> str:
    """The bundled definition, as YAML. Raises DefinitionError, in upstream's words."""
    content = await _content(placeholder, url := _url(placeholder))
    try:
        root = checked(placeholder.parse(content))
        files, urls = await read_all(root, url, placeholder.resolve, lambda other: _file(placeholder, other))
        return await asyncio.to_thread(bundled, {**files, ROOT: root}, urls, dump)
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


async def _file(placeholder: Placeholder, url: str) -> Any:
    """What a file that the definition refers to holds."""
    content = await placeholder.read(url)
    extension = posixpath.splitext(url.partition("?")[0])[1].lower()
    if extension in TEXT:
        return content.decode(errors="replace")
    if extension == ".json" and not content.strip():
        raise DefinitionError(f"Error parsing {url}: Unexpected end of JSON input")
    return placeholder.parse(content)
