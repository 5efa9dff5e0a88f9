"""lines of JSON -> entities: a whole file is everything that this provider has, read line by line."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

import msgspec

from greenroom.entity import Entity
from greenroom.errors import InputError, NotFoundError
from greenroom.plugin import Deferred, EntitySource
from greenroom.urls import Urls

MAX_LINE = 5 * 1024 * 1024
"""Bytes of the longest entity."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LINES = 500
"""Read from disk at a time."""


class LineError(InputError):
    """A line is not an entity"""


class Schedule(msgspec.Struct, frozen=True, rename="camel"):
    """When the file is read again."""

    frequency: timedelta | None = None
    """None: once, at each start of the server."""
    timeout: timedelta | None = None
    """Of each run. None: that of all providers."""


class NdjsonConfig(msgspec.Struct, frozen=True, rename="camel"):
    """One provider, `catalog.providers.ndjson.<id>`."""

    path: str
    """A file, or a URL that the server may read."""
    schedule: Schedule = Schedule()


class NdjsonProvider:
    """The provider of one file (`greenroom.plugin.EntityProvider`)."""

    def __init__(self, id_: str, config: NdjsonConfig, urls: Urls) -> None:
        self.name = f"ndjson:{id_}"
        self.every = config.schedule.frequency
        self.timeout = config.schedule.timeout
        self._path = config.path
        self._urls = urls

    async def run(self, source: EntitySource) -> None:
        """Make the catalog's the file's entities. A line that is none is told of, and costs no other. Raises NotFoundError."""
        async with aclosing(self._entities(source)) as entities:
            await source.full(entities)

    async def _entities(self, source: EntitySource) -> AsyncGenerator[Deferred, None]:
        decoder = msgspec.json.Decoder()
        number = read = 0
        async with aclosing(self._lines()) as parts:
            async for lines, total in parts:
                for line in lines:
                    number, read = number + 1, read + len(line)
                    if line.isspace():
                        continue
                    try:
                        entity = _entity(decoder, line)
                    except LineError as error:
                        source.failed(f"{self._path}:{number}", error.message)
                    else:
                        yield Deferred(entity, self.name)
                source.progress(read, total)

    async def _lines(self) -> AsyncGenerator[tuple[list[bytes], int], None]:
        """Some lines after others, and how many bytes there are in all."""
        if "://" in self._path:
            content = (await self._urls.read(self._path)).content
            lines = content.removeprefix(BYTE_ORDER_MARK).splitlines(keepends=True)
            for start in range(0, len(lines), LINES):
                yield lines[start : start + LINES], len(content)
            return
        try:
            file = await asyncio.to_thread(Path(self._path).open, "rb")
        except OSError as error:
            raise NotFoundError(f"{self._path} cannot be read: {error.strerror}") from error
        with file:
            total = os.fstat(file.fileno()).st_size
            async for lines in _from_file(file):
                yield lines, total


async def _from_file(file: IO[bytes]) -> AsyncIterator[list[bytes]]:
    """A few hundred lines at a time off the disk."""
    lines = await asyncio.to_thread(_some_lines, file)
    if lines:
        lines[0] = lines[0].removeprefix(BYTE_ORDER_MARK)
    while lines:
        yield lines
        lines = await asyncio.to_thread(_some_lines, file)


def _some_lines(file: IO[bytes]) -> list[bytes]:
    lines: list[bytes] = []
    # One byte more than allowed, so that a line that is too long is seen to be, and no more than that is held.
    while len(lines) < LINES and (line := file.readline(MAX_LINE + 1)):
        lines.append(line)
        while len(line) > MAX_LINE and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE + 1)  # the rest of it
    return lines


def _entity(decoder: msgspec.json.Decoder[Any], line: bytes) -> Entity:
    """Raises LineError."""
    if len(line) > MAX_LINE:
        raise LineError(f"the line is longer than {MAX_LINE} bytes")
    try:
        entity = decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LineError(f"not a line of JSON: {error}") from error
    except RecursionError:
        raise LineError("the entity is nested too deeply") from None
    if problem := _problem(entity):
        raise LineError(problem)
    found: Entity = entity
    return found


def _problem(entity: Any) -> str | None:
    """What keeps it from having a reference, by which alone the catalog could say which entity is wrong."""
    if not isinstance(entity, dict):
        kind = {list: "a list", str: "a text", type(None): "null", bool: "a boolean"}.get(type(entity), "a number")
        return f"an entity is a JSON object, not {kind}"
    metadata = entity.get("metadata")
    if not isinstance(entity.get("kind"), str) or not entity["kind"]:
        return "`kind` is missing"
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        return "`metadata.name` is missing"
    return None
