"""An archive of a repository -> the files in it that match: nothing is unpacked to disk, and nothing but plain files counts."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO

from greenroom.urls.service import UnreadableUrlError

MAX_FILE = 20 * 1024 * 1024
MAX_FOUND = 1000
"""Files that one pattern may stand for."""
MAX_FOUND_BYTES = 64 * 1024 * 1024
_MAX_NOTE = 1024 * 1024
_NOTES = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
MAX_UNPACKED = 2 * 1024 * 1024 * 1024
"""Bytes that are gone through in search of them."""


def matching_in_tar(archive: IO[bytes], matches: Callable[[str], bool], *, root: bool) -> list[tuple[str, bytes]]:
    """Path and content of each. With a `root`, all is in one folder, whose name does not count.

    Raises UnreadableUrlError for what is no archive, or too much of one."""
    return _gather(_in_tar(archive, root), matches)


def matching_in_zip(archive: IO[bytes], matches: Callable[[str], bool]) -> list[tuple[str, bytes]]:
    """As in a tar file without a root."""
    return _gather(_in_zip(archive), matches)


def _gather(
    files: Iterator[tuple[str, int, Callable[[], bytes]]], matches: Callable[[str], bool]
) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    seen = taken = 0
    try:
        for path, size, content in files:
            seen += size
            if seen > MAX_UNPACKED:
                raise UnreadableUrlError(f"The archive of the repository is larger than {MAX_UNPACKED} bytes")
            if is_plain(path) and matches(path):
                if size > MAX_FILE:
                    raise UnreadableUrlError(f"{path} is larger than {MAX_FILE} bytes")
                found.append((path, content()))
                taken += size
                check_found(len(found), taken)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise UnreadableUrlError(f"The archive of the repository cannot be read, {error}") from error
    return found


def check_found(count: int, size: int) -> None:
    """Raises UnreadableUrlError when a pattern stands for more than is read at once."""
    if count > MAX_FOUND:
        raise UnreadableUrlError(f"More than {MAX_FOUND} files match the pattern")
    if size > MAX_FOUND_BYTES:
        raise UnreadableUrlError(f"The files that match the pattern are larger than {MAX_FOUND_BYTES} bytes")


def is_plain(path: str) -> bool:
    """Whether a path leads down from the root and nowhere else."""
    return bool(path) and not path.startswith("/") and not {"", ".", ".."}.intersection(path.split("/"))


class _Member(tarfile.TarInfo):
    """Refuses what no host packs, and what takes its reader much memory or for ever before any file is looked at."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.size < 0 or (self.type in _NOTES and self.size > _MAX_NOTE):
            raise tarfile.ReadError(f"a member has {self.size} bytes of name or notes")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.ReadError("a member is a file with holes")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]

    def _proc_gnusparse_10(self, *_: object) -> None:
        raise tarfile.ReadError("a member is a file with holes")


def _in_tar(archive: IO[bytes], root: bool) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    with tarfile.open(fileobj=archive, mode="r|*", tarinfo=_Member) as opened:
        for member in opened:
            if not member.isreg():
                continue
            path = member.name.partition("/")[2] if root else member.name
            content = opened.extractfile(member)
            if content is not None:
                yield path, member.size, content.read


def _in_zip(archive: IO[bytes]) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            if not member.is_dir():
                # The size is what the archive says; reading stops there, and what differs is found by its checksum.
                yield member.filename, member.file_size, partial(opened.read, member)
