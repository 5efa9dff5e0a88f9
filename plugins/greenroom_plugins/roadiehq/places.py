"""Files of the workspace, as upstream's actions name them in their errors."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from greenroom.errors import InputError
from greenroom.plugin import ActionContext

MAX_BYTES = 64 * 1024 * 1024
"""Of a file that is read whole."""


class FileError(InputError):
    """The file cannot be used"""

    name = "Error"


def read_text(ctx: ActionContext[Any], path: str) -> str:
    """Bytes that are no UTF-8 become U+FFFD, as in JavaScript. Raises NotAllowedError, FileError."""
    return read_bytes(ctx.inside(path)).decode("utf-8", "replace")


def read_bytes(whole: Path) -> bytes:
    """Raises FileError for what is no plain file, or too large."""
    try:
        about = whole.stat()
    except FileNotFoundError:
        raise FileError(f"ENOENT: no such file or directory, open '{whole}'") from None
    except OSError as error:
        raise FileError(f"{whole} cannot be read: {error.strerror}") from error
    if stat.S_ISDIR(about.st_mode):
        raise FileError("EISDIR: illegal operation on a directory, read")
    if not stat.S_ISREG(about.st_mode):
        raise FileError(f"{whole} is no plain file")
    if about.st_size > MAX_BYTES:
        raise FileError(f"{whole} is larger than {MAX_BYTES} bytes")
    return whole.read_bytes()


def write(whole: Path, content: bytes, *, append: bool = False, folders: bool = False) -> None:
    """Raises FileError. With `folders`, those above it are made."""
    try:
        if folders:
            whole.parent.mkdir(parents=True, exist_ok=True)
        if whole.exists() and not whole.is_file():
            raise FileError(f"EISDIR: illegal operation on a directory, open '{whole}'")
        with whole.open("ab" if append else "wb") as file:
            file.write(content)
    except FileNotFoundError:
        raise FileError(f"ENOENT: no such file or directory, open '{whole}'") from None
    except OSError as error:
        raise FileError(f"{whole} cannot be written: {error.strerror}") from error
