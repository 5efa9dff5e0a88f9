"""location -> files: read what a location stands for, one file or, with wildcards, several."""

from __future__ import annotations

import asyncio
import errno
import re
import stat
from pathlib import Path

from greenroom.entity import Location
from greenroom.errors import GreenroomError, InputError, NotFoundError
from greenroom.urls import Urls
from greenroom_catalog.ingestion.disk import paths_like
from greenroom_catalog.ingestion.work import Reads, Sources, Task

LARGEST_FILE = 20 * 1024 * 1024
"""Bytes, as of what a URL stands for."""
LONGEST_MESSAGE = 5000
"""Characters of a reader's message that are kept."""

_WILD = re.compile(r"[*?]")
_WILD_PARAMETER = re.compile(r"(?:^|&)path=[^&#]*(?:[*?]|%2A|%3F)", re.IGNORECASE)


class UnreadableFileError(GreenroomError):
    """This is nothing to read"""


class Reader:
    """Reads locations of the types `file` and `url`. What goes wrong is put among what was found, worded as upstream does."""

    def __init__(self, urls: Urls) -> None:
        self.urls = urls
        self.reads = Reads(urls)

    async def read_files(self, location: Location, optional: bool, task: Task) -> bool:
        """Take the entities of every file that a path or pattern stands for. Returns whether this is a `file` location."""
        if location.type != "file":
            return False
        found = task.found
        found.sources.forget()
        files, error = await asyncio.to_thread(_read_files, location.target, optional)
        for path, content in files:
            found.refresh_keys[f"file:{path}"] = None
            await found.adopt_file(content, Location("file", path))
        if error is not None:
            found.errors.append(error)
        return True

    async def read_url(self, location: Location, optional: bool, task: Task) -> bool:
        """Take the entities of every file that a URL stands for. Returns whether this is a `url` location."""
        if location.type != "url":
            return False
        found, target = task.found, location.target
        try:
            files = await _read_url(target, found.sources)
        except NotFoundError as error:  # not a file, but what it would be looked for in
            found.sources.forget()
            if not optional:
                found.errors.append(NotFoundError(f"Unable to read url, {error.message}"[:LONGEST_MESSAGE]))
            return True
        except GreenroomError as error:
            found.errors.append(GreenroomError(f"Unable to read url, {error.message}"[:LONGEST_MESSAGE]))
            return True
        found.refresh_keys[f"url:{target}"] = None
        if not files and not optional:
            found.errors.append(NotFoundError(f"Unable to read url, no matching files found for {target}"))
        for url, content in files:
            await found.adopt_file(content, Location("url", url))
        return True


def is_pattern(url: str) -> bool:
    """Whether the path of the URL has wildcards, or the parameter `path`, which is where Azure DevOps has it."""
    path, _, query = url.partition("://")[2].partition("/")[2].partition("?")
    return _WILD.search(path) is not None or _WILD_PARAMETER.search(query) is not None


async def _read_url(target: str, sources: Sources) -> list[tuple[str, bytes]]:
    """Upstream asks its readers to search for any URL; what is not there is no file, and no error."""
    if is_pattern(target):
        return [(url, document.content) for url, document in await sources.search(target)]
    try:
        return [(target, await sources.read(target))]
    except NotFoundError:
        sources.forget()
        return []


def _read_files(pattern: str, optional: bool) -> tuple[list[tuple[str, bytes]], GreenroomError | None]:
    """Path and content of every file that a path or a pattern stands for, up to an error."""
    try:
        paths = paths_like(pattern)
    except InputError as error:
        return [], GreenroomError(f"file {pattern} could not be read, {error.message}")
    if not paths and not optional:
        return [], NotFoundError(f"file {pattern} does not exist")
    files: list[tuple[str, bytes]] = []
    for path in paths:
        try:
            files.append((path, _content(path)))
        except OSError as error:
            return files, GreenroomError(f"file {pattern} could not be read, Error: {_node_message(error)}")
        except UnreadableFileError as error:
            return files, GreenroomError(f"file {pattern} could not be read, Error: {error.message}")
    return files, None


def _content(path: str) -> bytes:
    """Raises OSError, UnreadableFileError: a pipe or a device would never end."""
    kind = Path(path).stat().st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # a folder has an error of its own
        raise UnreadableFileError(f"{path} is neither a file nor a folder")
    with Path(path).open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise UnreadableFileError(f"{path} is larger than {LARGEST_FILE} bytes")
    return content


def _node_message(error: OSError) -> str:
    """`EISDIR: illegal operation on a directory, read`: the code that people search for, then the words."""
    if error.errno == errno.EISDIR:
        return "EISDIR: illegal operation on a directory, read"
    code = errno.errorcode.get(error.errno or 0, "EIO")
    return f"{code}: {(error.strerror or 'unknown error').lower()}, open '{error.filename}'"
