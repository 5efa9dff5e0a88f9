"""location -> files: read what a location stands for, one file or, with wildcards, several."""

from __future__ import annotations

import asyncio
import glob
import os.path
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from greenroom.errors import GreenroomError, InputError, NotFoundError, NotModifiedError
from greenroom.urls import Urls
from greenroom_catalog.ingestion.locations import Location

LONGEST_MESSAGE = 5000
"""Characters of a reader's message that are kept."""

_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
_WILD = re.compile(r"[*?]")


class File(msgspec.Struct, frozen=True):
    """A file that was found, and where."""

    location: Location
    content: bytes


class Reading(msgspec.Struct, frozen=True):
    """What a location came to. `error` stands beside no files; `unchanged` says that `etag` is still the last one."""

    files: tuple[File, ...] = ()
    refresh_keys: tuple[str, ...] = ()
    etag: str | None = None
    error: GreenroomError | None = None
    unchanged: bool = False


class Reader:
    """Reads locations of the types `file` and `url`."""

    def __init__(self, urls: Urls) -> None:
        self.urls = urls

    async def read(self, location: Location, *, optional: bool, etag: str | None = None) -> Reading:
        """Failures come back in the Reading, worded as upstream does. Raises InputError for an unknown type."""
        if location.type == "file":
            return await asyncio.to_thread(_read_files, location.target, optional)
        if location.type == "url":
            return await self._read_url(location.target, optional, etag)
        raise InputError(f"No processor was able to handle reading of {location}")

    async def _read_url(self, target: str, optional: bool, etag: str | None) -> Reading:
        keys = (f"url:{target}",)
        try:
            if _WILD.search(target.partition("://")[2].partition("/")[2].partition("?")[0]):
                found = await self.urls.search(target)
                files = tuple(File(Location("url", url), document.content) for url, document in found)
                new_etag = None
            else:
                document = await self.urls.read(target, etag)
                files = (File(Location("url", target), document.content),)
                new_etag = document.etag
        except NotModifiedError:
            return Reading(refresh_keys=keys, etag=etag, unchanged=True)
        except NotFoundError:
            files, new_etag = (), None
        except GreenroomError as error:
            return Reading(error=GreenroomError(f"Unable to read url, {error.message}"[:LONGEST_MESSAGE]))
        if not files and not optional:
            message = f"Unable to read url, no matching files found for {target}"
            return Reading(refresh_keys=keys, error=NotFoundError(message))
        return Reading(files, keys, new_etag)


def _read_files(pattern: str, optional: bool) -> Reading:
    """Read every file that a path, or a pattern with `*`, `**`, `?` and `{a,b}`, stands for."""
    paths = sorted({path for plain in _expand(pattern) for path in _match(plain)})
    if not paths and not optional:
        return Reading(error=NotFoundError(f"file {pattern} does not exist"))
    files: list[File] = []
    for path in paths:
        try:
            files.append(File(Location("file", os.path.normpath(path)), Path(path).read_bytes()))
        except OSError as error:
            return Reading(error=GreenroomError(f"file {pattern} could not be read, Error: {_node_message(error)}"))
    return Reading(tuple(files), tuple(f"file:{file.location.target}" for file in files))


def _match(pattern: str) -> Iterator[str]:
    if _WILD.search(pattern) or "[" in pattern:
        yield from glob.iglob(pattern, recursive=True)  # noqa: PTH207 - patterns may be absolute or relative
    elif os.path.lexists(pattern):
        yield pattern


def _expand(pattern: str) -> Iterator[str]:
    """`a{b,c}` -> `ab`, `ac`."""
    braces = _BRACES.search(pattern)
    if braces is None:
        yield pattern
        return
    for choice in braces.group(1).split(","):
        yield from _expand(pattern[: braces.start()] + choice + pattern[braces.end() :])


def _node_message(error: OSError) -> str:
    """`EISDIR: illegal operation on a directory, read`: the code that people search for, then the words."""
    code = {1: "EPERM", 2: "ENOENT", 13: "EACCES", 21: "EISDIR"}.get(error.errno or 0, "EIO")
    return f"{code}: {(error.strerror or 'unknown error').lower()}"
