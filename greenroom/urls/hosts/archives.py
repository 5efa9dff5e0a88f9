"""An archive of a repository -> the files in it: nothing is unpacked to where it says, and nothing but files and links counts."""

from __future__ import annotations

import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO, Literal, NamedTuple, TypeAlias

from greenroom.urls.service import UnreadableUrlError
from greenroom.urls.trees import Gathering, is_plain

MAX_FILE = 20 * 1024 * 1024
MAX_FOUND = 1000
"""Files that one pattern may stand for."""
MAX_FOUND_BYTES = 64 * 1024 * 1024
_MAX_NOTE = 1024 * 1024
_NOTES = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
MAX_UNPACKED = 2 * 1024 * 1024 * 1024
"""Bytes that are gone through in search of them."""
MAX_MEMBERS = 500_000
"""Of an archive, be they files or not."""
MAX_LIST = 64 * 1024 * 1024
"""Bytes of the list of members in a zip file, which is read at once."""
MAX_LISTED = 200_000
"""Members in that list: each is an object of some 400 bytes, be it looked at or not."""
_LISTED = struct.Struct("<28xHHH12x")
"""One of them, as far as its length depends on it."""
_MAX_LINK = 4096
_BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError),
    *(RuntimeError, ValueError),
)
"""What the libraries raise about an archive."""

Form: TypeAlias = Literal["tar", "bare tar", "zip"]
"""A tar file has all in one folder, whose name does not count, unless it is bare."""


class _Packed(NamedTuple):
    path: str
    size: int
    open: Callable[[], IO[bytes]]
    executable: bool = False
    link: str | None = None


def matching(archive: IO[bytes], form: Form, matches: Callable[[str], bool]) -> list[tuple[str, bytes]]:
    """Path and content of each plain file that matches.

    Raises UnreadableUrlError for what is no archive, or too much of one."""
    found: list[tuple[str, bytes]] = []
    taken = 0
    with _telling():
        for one in _files(archive, form):
            if one.link is None and is_plain(one.path) and matches(one.path):
                if one.size > MAX_FILE:
                    raise UnreadableUrlError(f"{one.path} is larger than {MAX_FILE} bytes")
                with one.open() as content:
                    found.append((one.path, content.read()))
                taken += one.size
                check_found(len(found), taken)
    return found


def gathered(archive: IO[bytes], form: Form, below: str) -> Gathering:
    """All files and links in one of its folders, or in all of it. Raises as `matching` does."""
    into = Gathering(below)
    with _telling():
        for one in _files(archive, form):
            if not into.wants(one.path):
                continue
            if one.link is not None:
                into.add_link(one.path, one.link)
                continue
            with one.open() as content:
                into.add(one.path, content, one.size, executable=one.executable)
    return into


def check_found(count: int, size: int) -> None:
    """Raises UnreadableUrlError when a pattern stands for more than is read at once."""
    if count > MAX_FOUND:
        raise UnreadableUrlError(f"More than {MAX_FOUND} files match the pattern")
    if size > MAX_FOUND_BYTES:
        raise UnreadableUrlError(f"The files that match the pattern are larger than {MAX_FOUND_BYTES} bytes")


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise UnreadableUrlError(f"The archive of the repository cannot be read, {error}") from error


def _files(archive: IO[bytes], form: Form) -> Iterator[_Packed]:
    seen = 0
    for one in _in_zip(archive) if form == "zip" else _in_tar(archive, root=form == "tar"):
        seen += one.size
        if seen > MAX_UNPACKED:
            raise UnreadableUrlError(f"The archive of the repository is larger than {MAX_UNPACKED} bytes")
        yield one


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


class _Onwards(gzip.GzipFile):
    """What every host sends. Going back would mean to unpack all from the beginning: nobody may have that done."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        here = super().seek(0, io.SEEK_CUR)
        there = offset if whence == io.SEEK_SET else here + offset
        if there < here:
            raise tarfile.ReadError("a member stands before the one that was read")
        return super().seek(there)


@contextmanager
def _opened(archive: IO[bytes]) -> Iterator[tarfile.TarFile]:
    """The library's own way through a stream takes three times as long as this one for what is gzip, as nearly all is."""
    start = archive.tell()
    packed = archive.read(2) == b"\x1f\x8b"
    archive.seek(start)
    if not packed:
        with tarfile.open(fileobj=archive, mode="r|*", tarinfo=_Member) as opened:
            yield opened
        return
    with _Onwards(fileobj=archive) as plain, tarfile.open(fileobj=plain, mode="r:", tarinfo=_Member) as opened:
        yield opened


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    seen = 0
    while (member := archive.next()) is not None:
        archive.members.clear()  # type: ignore[attr-defined] # each is looked at once, and they would all be kept
        seen += 1
        if seen > MAX_MEMBERS:
            raise UnreadableUrlError(f"The archive of the repository has more than {MAX_MEMBERS} members")
        yield member


def _in_tar(archive: IO[bytes], root: bool) -> Iterator[_Packed]:
    with _opened(archive) as opened:
        for member in _members(opened):
            path = member.name.partition("/")[2] if root else member.name
            content = opened.extractfile(member) if member.isreg() else None
            if content is not None:
                yield _Packed(path, member.size, partial(_same, content), bool(member.mode & stat.S_IXUSR))
            elif member.issym():
                yield _Packed(path, 0, partial(_same, archive), link=member.linkname)


def _same(content: IO[bytes]) -> IO[bytes]:
    return content


def _in_zip(archive: IO[bytes]) -> Iterator[_Packed]:
    _refuse_long_list(archive)
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            if member.filename.endswith("/"):
                continue
            mode = member.external_attr >> 16
            # The size is what the archive says; reading stops there, and what differs is found by its checksum.
            packed = _Packed(member.filename, member.file_size, partial(opened.open, member), bool(mode & stat.S_IXUSR))
            if stat.S_ISLNK(mode) and member.file_size <= _MAX_LINK:
                link = opened.read(member).decode("utf-8", "surrogateescape")
                packed = packed._replace(link=link)
            yield packed


def _refuse_long_list(archive: IO[bytes]) -> None:
    """To open a zip file is to read all of its list at once, however many it says that it holds."""
    end = zipfile._EndRecData(archive)  # type: ignore[attr-defined]
    if not end:
        return
    size, behind = end[zipfile._ECD_SIZE], end[zipfile._ECD_LOCATION]  # type: ignore[attr-defined]
    if size > MAX_LIST:
        raise UnreadableUrlError(f"The archive of the repository has a list of more than {MAX_LIST} bytes")
    if end[zipfile._ECD_SIGNATURE] == zipfile.stringEndArchive64:  # type: ignore[attr-defined]
        behind -= zipfile.sizeEndCentDir64 + zipfile.sizeEndCentDir64Locator  # type: ignore[attr-defined]
    archive.seek(max(behind - size, 0))
    listed = archive.read(size)
    at = count = 0
    while at + _LISTED.size <= len(listed):
        at += _LISTED.size + sum(_LISTED.unpack_from(listed, at))
        count += 1
        if count > MAX_LISTED:
            raise UnreadableUrlError(f"The archive of the repository has more than {MAX_LISTED} members")
