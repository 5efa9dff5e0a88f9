"""`{$text: ./openapi.yaml}` -> what stands there: objects of one key that begins with `$`, anywhere in an entity (spec 02 §4.2).

Which objects are placeholders, in what order things are checked and how errors are worded is upstream's. Only the keys of known
resolvers count; all else that begins with a `$` is left as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from greenroom.entity import Entity
from greenroom.errors import GreenroomError, InputError, describe
from greenroom.urls.integrations import azure_file, repository_file
from greenroom.urls.whatwg import parse as parse_url
from greenroom_catalog.ingestion.parser import Broken, parse_values
from greenroom_catalog.ingestion.work import LARGE, Found
from greenroom_catalog.model.values import from_json

MARK = b'"$'
"""In the JSON of every entity that has a placeholder."""
MOST = 200
"""Placeholders of one entity."""
LARGEST = 20 * 1024 * 1024
"""Bytes that one placeholder may read."""

_FILE = ("raw", "src", "blob", "tree", "edit")


class PlaceholderError(GreenroomError):
    """A placeholder could not be replaced"""


class BrokenFileError(InputError):
    """The file is broken"""

    name = "YAMLParseError"  # what upstream's parser throws


class ForeignFileError(GreenroomError):
    """Placeholder may only reference files from the same repository as the entity"""


class Spot:
    """One placeholder (`greenroom.plugin.Placeholder`)."""

    def __init__(self, key: str, value: Any, base: str, found: Found) -> None:
        self.key = key
        self.value = value
        self.base = base
        self._found = found
        self.bytes_read = 0

    def resolve(self, reference: str, base: str | None = None) -> str:
        return self._found.sources.reads.urls.resolve(reference, base or self.base)

    async def read(self, url: str) -> bytes:
        content = await self._found.sources.read(url)
        self._found.refresh_keys[f"url:{url}"] = None
        self.bytes_read += len(content)
        if self.bytes_read > LARGEST:
            raise PlaceholderError(f"Placeholder ${self.key} read more than {LARGEST} bytes")
        return content

    def parse(self, content: bytes) -> Any:
        documents = parse_values(content) or [None]
        if len(documents) > 1:
            raise BrokenFileError("Source contains multiple documents; please use YAML.parseAllDocuments()")
        if isinstance(documents[0], Broken):
            raise BrokenFileError(documents[0].message)
        return documents[0]

    def forget(self) -> None:
        """The value came from elsewhere, and may be another next time though no file has changed."""
        self._found.sources.forget()


Resolver = Callable[[Spot], Awaitable[Any]]
"""A placeholder -> JSON. What it raises is worded for the author of the entity."""


async def replace(entity: Entity, base: str, resolvers: Mapping[str, Resolver], found: Found) -> Entity:
    """The entity with every placeholder replaced. The given one is not changed; the first that fails is raised."""
    spots = list(_spots(entity, base, resolvers, found))
    if not spots:
        return entity
    if len(spots) > MOST:
        raise PlaceholderError(f"The entity has {len(spots)} placeholders, more than {MOST}")
    results = await asyncio.gather(*(resolvers[spot.key](spot) for spot in spots), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return _replaced(entity, resolvers, iter(results))  # type: ignore[no-any-return]


def _is_placeholder(value: Mapping[str, Any], resolvers: Mapping[str, Resolver]) -> bool:
    if len(value) != 1:
        return False
    (key,) = value
    return key.startswith("$") and key[1:] in resolvers


def _is_left(value: Mapping[str, Any]) -> bool:
    """Whether upstream does not look into the object, for one of its keys."""
    return any(key.startswith("$") for key in value)


def _spots(value: Any, base: str, resolvers: Mapping[str, Resolver], found: Found) -> Iterator[Spot]:
    if isinstance(value, list):
        for item in value:
            yield from _spots(item, base, resolvers, found)
    elif isinstance(value, dict):
        if _is_placeholder(value, resolvers):
            ((key, argument),) = value.items()
            yield Spot(key[1:], argument, base, found)
        elif not _is_left(value):
            for item in value.values():
                yield from _spots(item, base, resolvers, found)


def _replaced(value: Any, resolvers: Mapping[str, Resolver], results: Iterator[Any]) -> Any:
    """The same walk, with a result taken where a spot was found."""
    if isinstance(value, list):
        return [_replaced(item, resolvers, results) for item in value]
    if not isinstance(value, dict):
        return value
    if _is_placeholder(value, resolvers):
        return next(results)
    if _is_left(value):
        return value
    return {key: _replaced(item, resolvers, results) for key, item in value.items()}


# --- $text, $json, $yaml ---------------------------------------------------------------------------------------------


async def read_text(spot: Spot) -> str:
    """`$text`: the file as it is; bytes that are not UTF-8 are replaced."""
    return (await _content(spot)).decode(errors="replace")


async def read_json(spot: Spot) -> Any:
    """`$json`: the value that the file holds."""
    content = await _content(spot)
    try:
        return from_json(content.decode(errors="replace"))
    except InputError as error:
        problem = error.message.removeprefix("Invalid JSON: ")
        message = f"Placeholder $json failed to parse JSON data at {spot.value}, SyntaxError: {problem}"
        raise PlaceholderError(message) from error


async def read_yaml(spot: Spot) -> Any:
    """`$yaml`: the value that the one document of the file holds."""
    content = await _content(spot)
    documents = await asyncio.to_thread(parse_values, content) if len(content) > LARGE else parse_values(content)
    if len(documents) != 1:
        raise PlaceholderError(
            f"Placeholder $yaml expected to find exactly one document of data at {spot.value}, found {len(documents)}"
        )
    (document,) = documents
    if isinstance(document, Broken):
        raise PlaceholderError(
            f"Placeholder $yaml found an error in the data at {spot.value}, {document.name}: {document.message}"
        )
    return document


BUILT_IN: Mapping[str, Resolver] = {"text": read_text, "json": read_json, "yaml": read_yaml}


async def _content(spot: Spot) -> bytes:
    url = _url(spot)
    try:
        return await spot.read(url)
    except GreenroomError as error:
        raise PlaceholderError(
            f"Placeholder ${spot.key} could not read location {spot.value}, {describe(error)}"
        ) from error


def _url(spot: Spot) -> str:
    if not isinstance(spot.value, str):
        raise PlaceholderError(
            f"Placeholder ${spot.key} expected a string value parameter, in the form of an absolute URL or a relative path"
        )
    try:
        url = spot.resolve(spot.value)
        check_repository(url, spot.base)
    except GreenroomError as error:
        raise PlaceholderError(
            f"Placeholder ${spot.key} could not form a URL out of {spot.base} and {spot.value}, {describe(error)}"
        ) from error
    return url


# --- the same repository ---------------------------------------------------------------------------------------------


def check_repository(url: str, base: str) -> None:
    """An entity in a repository may not quote the files of another one, which the server may read and its author may not.

    Where either is no file of a repository, the allowed hosts alone decide, as upstream. Raises ForeignFileError."""
    wanted, own = repository_of_file(url), repository_of_file(base)
    if wanted is not None and own is not None and wanted != own:
        raise ForeignFileError


def repository_of_file(url: str) -> tuple[str, ...] | None:
    """Host, owner and name of the repository that a file's URL names; None where upstream sees no file in a repository."""
    try:
        parsed, file = parse_url(url), repository_file(url)
        azure = azure_file(url) if (parsed.hostname or "").endswith(".azure.com") else None
    except InputError:
        return None
    host = parsed.hostname or ""
    if azure is not None:
        return (host, *azure.folders, azure.project, azure.name) if azure.path else None
    return (host, file.owner, file.name) if host and file.owner and file.name and file.path else None
