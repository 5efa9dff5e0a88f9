"""entries <-> a packed tar: how a workspace travels through the database to another machine.

What comes back may have been forged. A member that is no plain file, folder or link, a name that leads out, and an archive that
grows beyond its bounds are refused. Links may lead anywhere: whoever puts them back follows none.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable, Iterator
from typing import IO, Any, NamedTuple

from isal import isal_zlib

from greenroom.errors import InputError
from greenroom_scaffolder.workspace.quota import QuotaError, in_words
from greenroom_scaffolder.workspace.scan import Entry

MOST_PACKED = 50 * 1024**2
"""Bytes: upstream's bound of a workspace in the database (workspace-database module)."""

_HEADER = 64 * 1024
"""Bytes of a header's extension: only names and link targets stand there."""
_HOLES = "The packed workspace has a file with holes"
_LEVEL = 1
_GZIP = 31
"""Window bits, for zlib."""
_BLOCK = 16 * 1024


class ArchiveError(InputError):
    """The packed workspace is not valid"""


class Member(NamedTuple):
    """One thing of an archive; `content` is to be read before the next member is asked for."""

    entry: Entry
    content: IO[bytes] | None


def pack(entries: Iterable[tuple[Entry, IO[bytes] | None]], most: int = MOST_PACKED) -> bytes:
    """A tar, gzipped. Each file comes with its open content, which is closed. Raises QuotaError beyond `most` bytes."""
    packed = _Packed(most)
    with tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_BLOCK) as tar:
        for entry, content in entries:
            if content is None:
                tar.addfile(_header(entry))
            else:
                with content:
                    tar.addfile(_header(entry), content)
    return packed.finish()


def unpack(packed: bytes, most: int, most_members: int) -> Iterator[Member]:
    """Its members; at most `most` bytes are unpacked. Raises ArchiveError, QuotaError."""
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as squeezed:
        plain = _Counted(squeezed, most)
        try:
            with tarfile.open(fileobj=plain, mode="r|", tarinfo=_Header, bufsize=_BLOCK) as tar:
                for info in _members(tar, most_members):
                    yield Member(_entry(info), tar.extractfile(info) if info.isreg() else None)
        except (tarfile.TarError, EOFError, OSError, ValueError, RecursionError) as error:
            raise ArchiveError("The packed workspace is not valid", cause=None) from error


class _Packed(io.RawIOBase):
    """What is written, gzipped, up to a bound."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._pieces: list[bytes] = []
        self._compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP)

    def write(self, data: Any, /) -> int:
        self._keep(self._compressor.compress(data))
        return len(data)

    def finish(self) -> bytes:
        self._keep(self._compressor.flush())
        return b"".join(self._pieces)

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._most:
            raise QuotaError(f"The workspace is too large to be kept: more than {in_words(self._most)} packed")
        self._pieces.append(piece)


class _Counted(io.RawIOBase):
    """What is unpacked, up to a bound."""

    def __init__(self, source: gzip.GzipFile, most: int) -> None:
        self._source = source
        self._most = most
        self._left = most

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise QuotaError(f"The packed workspace holds more than {in_words(self._most)}")
        return data


def _members(tar: tarfile.TarFile, most: int) -> Iterator[tarfile.TarInfo]:
    seen = 0
    while (info := tar.next()) is not None:
        tar.members.clear()  # type: ignore[attr-defined] # each is looked at once, and they would all be kept
        seen += 1
        if seen > most:
            raise QuotaError(f"The packed workspace has more than {most} members")
        yield info


class _Header(tarfile.TarInfo):
    """Refuses what tarfile would take into memory, however much it is: long extensions, and lists of the holes in a file."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        header = super().frombuf(buf, encoding, errors)
        if not (header.isreg() or header.isdir() or header.issym()) and header.size > _HEADER:
            raise ArchiveError("The packed workspace has a header that is too long")
        if header.type == tarfile.GNUTYPE_SPARSE:
            raise ArchiveError(_HOLES)
        return header

    def _proc_gnusparse_10(self, *_: object) -> None:
        raise ArchiveError(_HOLES)


def _header(entry: Entry) -> tarfile.TarInfo:
    info = tarfile.TarInfo(entry.path)
    info.mode = entry.mode
    if entry.kind == "file":
        info.size = entry.size
    else:
        info.type = tarfile.DIRTYPE if entry.kind == "folder" else tarfile.SYMTYPE
        info.linkname = entry.target
    return info


def _entry(info: tarfile.TarInfo) -> Entry:
    name = info.name
    if not name or name.startswith("/") or "\0" in name or ".." in name.split("/"):
        raise ArchiveError(f"The packed workspace has a member outside of it: {name[:200]!r}")
    if info.isreg() and not info.issparse():
        return Entry(name, "file", info.mode & 0o777, info.size)
    if info.isdir():
        return Entry(name, "folder", info.mode & 0o777)
    if info.issym() and info.linkname and "\0" not in info.linkname:
        return Entry(name, "link", 0o777, 0, info.linkname)
    raise ArchiveError(f"The packed workspace has a member that is neither file, folder nor link: {name[:200]!r}")
