"""A file or folder of the workspace -> the bytes of a ZIP archive, piece by piece: neither is ever in memory whole."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from posixpath import basename
from typing import IO

from greenroom.javascript.texts import well_formed
from greenroom.plugin import FileEntry, Files

_OLDEST = (1980, 1, 1, 0, 0, 0)
"""What a ZIP archive can say at the least: two archives of the same files are the same."""
_CHUNK = 1024 * 1024
_FILE, _FOLDER = 0o100000, 0o040755


def zipped(files: Files, source: FileEntry, archive: str) -> Iterator[bytes]:
    """Links are left out, and so is the archive itself, should it come to stand in the folder that it is made of."""
    written = _Written()
    inside = sorted(files.entries(source.path), key=_order) if source.kind == "folder" else [source]
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as into:
        for entry in inside:
            name = entry.path.removeprefix(f"{source.path}/")
            if entry.kind == "folder":
                into.writestr(_member(f"{name}/", _FOLDER), b"")
            elif entry.kind == "file" and entry.path != archive:
                member = _member(basename(name) if entry is source else name, _FILE | entry.mode)
                member.compress_type = zipfile.ZIP_DEFLATED
                with files.open(entry.path) as content:
                    yield from _packed(content, into, member, written)
    yield written.taken()


def _packed(content: IO[bytes], into: zipfile.ZipFile, member: zipfile.ZipInfo, written: _Written) -> Iterator[bytes]:
    with into.open(member, "w") as packed:
        while chunk := content.read(_CHUNK):
            packed.write(chunk)
            yield written.taken()


def _order(entry: FileEntry) -> list[str]:
    return entry.path.split("/")


def _member(name: str, mode: int) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(well_formed(name), _OLDEST)  # a name may be no UTF-8
    member.external_attr = mode << 16
    return member


class _Written:
    """What a writer, which takes it for a file, has written since it was looked at last."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes, /) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """There is nothing to wait for."""

    def close(self) -> None:
        """Nor to let go of."""

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
