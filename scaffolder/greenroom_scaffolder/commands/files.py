"""A YAML file of an author -> its documents."""

from __future__ import annotations

from pathlib import Path

from greenroom.errors import InputError
from greenroom_scaffolder.commands.placeholders import put_in_place
from greenroom_scaffolder.templates.located import Located, Unreadable, read_documents


def entities_of(file: Path) -> list[Located]:
    """The documents of a catalog file, as the catalog has them: with what placeholders stand for. Raises InputError."""
    documents = documents_of(file)
    try:
        return [put_in_place(document, file.parent) for document in documents]
    except Unreadable as error:
        raise InputError(f"{file}:{error.place.line}:{error.place.column}: {error.message}") from error


def documents_of(file: Path) -> list[Located]:
    """Raises InputError, with line and column where there are any."""
    try:
        return read_documents(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8 text (byte {error.start})") from error
    except Unreadable as error:
        raise InputError(f"{file}:{error.place.line}:{error.place.column}: {error.message}") from error
