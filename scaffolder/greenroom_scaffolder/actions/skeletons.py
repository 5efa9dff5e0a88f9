"""folder + values -> files: each rendered or copied, under its rendered name, with its mode; the log lines are what is yielded."""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import msgspec

from greenroom.errors import GreenroomError, InputError, NotAllowedError
from greenroom_scaffolder.actions.binaries import LOOKED_AT, is_binary
from greenroom_scaffolder.workspace.descent import OUTSIDE, FileError, joined, leads_inside, open_to_read, place
from greenroom_scaffolder.workspace.globs import select
from greenroom_scaffolder.workspace.scan import Entry, scan
from greenroom_scaffolder.workspace.workspace import Workspace

Render = Callable[[str], str]
"""Template -> text."""

_CHUNK = 1024 * 1024


class NoFolderError(InputError):
    """The `cwd` option must be a path to a directory"""

    name = "Error"


class Plan(msgspec.Struct, frozen=True):
    """How a skeleton is laid out."""

    target: str
    """The folder of the workspace that it goes to."""
    copied: Sequence[str] = ()
    """Patterns of what is copied as it is, held against names before they are rendered."""
    extension: str | None = None
    """If set, only files with it are templates, and lose it. Begins with a dot."""
    replace: bool = False
    """Whether what is there already is written anew."""
    marks: tuple[bytes, ...] = (b"${{", b"{%", b"{#", b"#}")
    """A file without any of these is no template."""


class Skeleton:
    """A folder to lay out. Whatever is looked at in it is reached anew, link by link, and never outside of a root: what stands in a
    workspace may change at any time."""

    def __init__(self, root: Path, under: str = "") -> None:
        """`root` is a real folder."""
        self._root, self._under = root, posixpath.normpath(under or ".")

    @property
    def path(self) -> Path:
        """For messages, and for other programs."""
        return Path(joined(self._root, self._under))

    def entries(self) -> list[Entry]:
        """Folder by folder, level by level, by name: the order in which upstream (globby) goes through a skeleton.

        Links that lead out of it are left out, and names at its top that begin with two dots, which globby passes over.
        Raises FileError, NoFolderError, NotAllowedError, and InputError for what is neither file, folder nor link."""
        try:
            shown = (entry for entry in self._scan() if not entry.path.startswith(".."))
            found = [entry for entry in shown if entry.kind != "link" or self._keeps(entry)]
        except (FileError, OSError) as error:
            number = error.number if isinstance(error, FileError) else error.errno
            raise NoFolderError if number == errno.ENOTDIR else FileError(number or 0, "lstat", self.path) from error
        for entry in found:
            if entry.kind == "other":
                raise InputError(f"Cannot copy {entry.path} of the template: it is neither a file, a folder nor a link")
        return sorted(found, key=lambda entry: entry.path.count("/"))

    def open(self, path: str) -> IO[bytes]:
        """A file of it. Raises FileError, NotAllowedError."""
        with place(self._root, posixpath.join(self._under, path), follow=False) as there:
            return os.fdopen(open_to_read(there, self.path / path), "rb")

    def _scan(self) -> Iterator[Entry]:
        start = "" if self._under == "." else f"{self._under}/"
        for entry in scan(self._root, self._under):
            yield msgspec.structs.replace(entry, path=entry.path.removeprefix(start)) if start else entry

    def _keeps(self, entry: Entry) -> bool:
        above = posixpath.normpath(posixpath.join(self._under, posixpath.dirname(entry.path)))
        target = Path(posixpath.normpath(self.path / posixpath.dirname(entry.path) / entry.target))
        return (self._under == "." or target.is_relative_to(self.path)) and leads_inside(
            self._root, [] if above == "." else above.split("/"), entry.target
        )


def lay_out(
    skeleton: Skeleton, workspace: Workspace, plan: Plan, render: Render, entries: Sequence[Entry]
) -> Iterator[str]:
    """Write a listed skeleton into the workspace, as upstream's fetch:template does.

    Raises NotAllowedError for a name that leads out of the target, QuotaError, FileError, and what `render` raises, with the
    file's name."""
    verbatim = set(select(list(plan.copied), entries)) if plan.copied else set()
    for entry in entries:
        location = f"{entry.path}/" if entry.kind == "folder" else entry.path
        rendered, name = _named(location, entry.path in verbatim, plan, render)
        if name == "" or name.startswith("/") or "//" in name:
            continue
        target = _below(plan.target, name)
        if workspace.exists(target) and not plan.replace:
            continue
        if not rendered and plan.extension is None:
            yield f"Copying file/directory {location} without processing."
        if entry.kind == "folder":
            yield f"Writing directory {location} to template output path."
            workspace.mkdir(target)
        else:
            yield from _write(skeleton, entry, workspace, target, plan.marks, render if rendered else None)


def _named(location: str, verbatim: bool, plan: Plan, render: Render) -> tuple[bool, str]:
    """Whether the content is a template, and what the file is called in the end."""
    if plan.extension is None:
        return not verbatim, _rendered(location, location, plan, render)
    is_template = posixpath.splitext(location.rstrip("/"))[1] == plan.extension
    name = location[: -len(plan.extension)] if is_template else location
    return is_template, _rendered(name, location, plan, render)


def _rendered(text: str, location: str, plan: Plan, render: Render) -> str:
    if not any(mark.decode() in text for mark in plan.marks):
        return text
    return _telling(location, text, render)


def _telling(location: str, text: str, render: Render) -> str:
    """Render; what goes wrong says where."""
    try:
        return render(text)
    except GreenroomError as error:
        error.message = f"{error.message} (in {location})"
        error.args = (error.message,)
        raise


def _below(folder: str, name: str) -> str:
    """Raises NotAllowedError for a name that leads out of the folder, as upstream's resolveSafeChildPath."""
    below = posixpath.normpath(name)
    if below.startswith(".."):
        raise NotAllowedError(OUTSIDE)
    return posixpath.normpath(posixpath.join(folder, below))


def _write(
    skeleton: Skeleton, entry: Entry, workspace: Workspace, target: str, marks: tuple[bytes, ...], render: Render | None
) -> Iterator[str]:
    if entry.kind == "link":
        yield f"Copying file binary or symbolic link at {entry.path}, to template output path."
        workspace.symlink(target, entry.target)
        return
    with skeleton.open(entry.path) as file:
        start = file.read(_CHUNK)
        if is_binary(start[: LOOKED_AT + 3]):
            yield f"Copying file binary or symbolic link at {entry.path}, to template output path."
            _replace_link(workspace, target)
            workspace.pour(target, _rest(start, file), entry.mode)
            workspace.chmod(target, entry.mode)
            return
        yield f"Writing file {entry.path} to template output path with mode {0o100000 | entry.mode}."
        if render is None:
            workspace.pour(target, _rest(start, file), entry.mode)
        else:
            workspace.write(target, _filled(b"".join(_rest(start, file)), entry.path, marks, render), entry.mode)


def _filled(content: bytes, path: str, marks: tuple[bytes, ...], render: Render) -> bytes:
    """A template is read as UTF-8, as upstream reads it; what is none stays as it is, byte for byte."""
    if not any(mark in content for mark in marks):
        return content
    return _telling(path, content.decode("utf-8", "replace"), render).encode()


def _rest(start: bytes, file: IO[bytes]) -> Iterator[bytes]:
    while start:
        yield start
        start = file.read(_CHUNK)


def _replace_link(workspace: Workspace, target: str) -> None:
    """A copy takes a link's place, and leaves alone what it led to."""
    entry = workspace.find(target)
    if entry is not None and entry.kind == "link":
        workspace.discard(target)
