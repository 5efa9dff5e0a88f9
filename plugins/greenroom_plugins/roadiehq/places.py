"""Files of the workspace, as upstream's actions name them in their errors."""

from __future__ import annotations

from posixpath import dirname
from typing import Any

from greenroom.errors import InputError
from greenroom.javascript.texts import well_formed
from greenroom.plugin import ActionContext, Files

MAX_BYTES = 64 * 1024 * 1024
"""Of a file that is read whole."""


class FileError(InputError):
    """The file cannot be used"""

    name = "Error"


def read_text(files: Files, path: str) -> str:
    """Bytes that are no UTF-8 become U+FFFD, as in JavaScript. Raises FileError for what is too large, and as `Files`."""
    with files.open(path) as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise FileError(f"{path} is larger than {MAX_BYTES} bytes")
    return content.decode("utf-8", "replace")


def as_bytes(text: str) -> bytes:
    """What JavaScript writes into a file: halves of pairs become U+FFFD."""
    return well_formed(text).encode()


def refuse_missing_folder(ctx: ActionContext[Any], path: str) -> None:
    """Raises FileError where the folder of a file is not there: some of upstream's actions make it, and some do not."""
    if ctx.files.find(dirname(path) or ".", follow=True) is None:
        raise FileError(f"ENOENT: no such file or directory, open '{ctx.inside(path)}'")
