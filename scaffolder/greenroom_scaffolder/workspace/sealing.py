"""secrets <-> sealed text: encrypted and authenticated, bound to one task, under keys that can be changed."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from greenroom.errors import ConfigError, GreenroomError

CONFIGURED = "scaffolder.secrets.keys"
"""Where the keys stand in app-config: `[{secret: ...}]`, the first seals."""

_VERSION = "gr1"
_PURPOSE = b"greenroom scaffolder task secrets 1: "
_NONCE = 12
_KEY = 32
_PIECE = 3 * 64 * 1024
"""Bytes, three of which are four characters of a sealed text."""


class SealError(GreenroomError):
    """The sealed secrets cannot be opened"""


class UnknownKeyError(SealError):
    """The secrets were sealed with a key that is not configured"""


class Key(NamedTuple):
    """A name that tells nothing of the key, and its cipher (AES-256-GCM)."""

    name: str
    cipher: AESGCM


class Keyring:
    """The first key seals, all open: to change keys, put a new one in front, and take the old one away when no task needs it."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = tuple(keys)
        self._by_name = {key.name: key for key in reversed(self._keys)}

    def seal(self, plain: bytes, task_id: str) -> str:
        """The same text never comes out twice. It opens for this task only."""
        first = self._keys[0]
        nonce = os.urandom(_NONCE)
        sealed = nonce + first.cipher.encrypt(nonce, plain, _bound(first.name, task_id))
        return f"{_VERSION}.{first.name}.{_text(sealed)}"

    def open(self, sealed: str, task_id: str) -> bytes:
        """Raises UnknownKeyError, and SealError for what was changed, or sealed for another task."""
        name, data = _taken_apart(sealed)
        key = self._by_name.get(name)
        if key is None:
            raise UnknownKeyError(
                f"The secrets of task {task_id} were sealed with the key {name}, which this process does not have: "
                f"add its secret to {CONFIGURED}, the same on every machine"
            )
        try:
            return key.cipher.decrypt(data[:_NONCE], data[_NONCE:], _bound(name, task_id))
        except InvalidTag as error:
            raise SealError(f"The sealed secrets of task {task_id} are damaged, or belong to another task") from error


def keys_from(given: Iterable[str], fallback_file: Path | None) -> Keyring:
    """The keys of these secrets, in order; that of the file comes last. Without any, the file is made, for this machine alone.

    Raises ConfigError for a file that others may read or that is no key, and when there is neither a key nor a file."""
    keys = [_key(secret.encode()) for secret in given]
    if fallback_file is not None and (fallback_file.exists() or not keys):
        keys.append(_key(_from_file(fallback_file)))
    if not keys:
        raise ConfigError(
            CONFIGURED, "is missing: the secrets of tasks are kept sealed", hint="a list of {secret: ...}"
        )
    return Keyring(keys)


def _key(secret: bytes) -> Key:
    return Key(_derived(secret, b"name", 4).hex(), AESGCM(_derived(secret, b"key", _KEY)))


def _derived(secret: bytes, use: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=_PURPOSE + use).derive(secret)


def _bound(name: str, task_id: str) -> bytes:
    return f"{_VERSION}.{name}.{task_id}".encode()


def _taken_apart(sealed: str) -> tuple[str, bytes]:
    version, _, rest = sealed.partition(".")
    name, _, text = rest.partition(".")
    with suppress(binascii.Error, ValueError):
        data = _data(text)
        if version == _VERSION and len(data) > _NONCE:
            return name, data
    raise SealError("The sealed secrets are not in a form that this version of Greenroom knows")


def _text(data: bytes) -> str:
    """In pieces, of which none keeps other threads waiting for long."""
    return "".join(_text_of_piece(data[start : start + _PIECE]) for start in range(0, len(data), _PIECE))


def _text_of_piece(piece: bytes) -> str:
    return base64.urlsafe_b64encode(piece).decode().rstrip("=")


def _data(text: str) -> bytes:
    """Raises binascii.Error, ValueError."""
    step = _PIECE // 3 * 4
    return b"".join(_data_of_piece(text[start : start + step]) for start in range(0, len(text), step))


def _data_of_piece(text: str) -> bytes:
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _text_of_piece(data) != text:  # one text for each seal, no other
        raise ValueError
    return data


def _from_file(path: Path) -> bytes:
    """The key in a file, which is made if need be. Of several processes at once, one makes it and all read the same."""
    with suppress(FileExistsError):
        if not path.exists():
            _make(path)
    about = path.lstat()
    if not stat.S_ISREG(about.st_mode) or about.st_mode & 0o007:
        raise ConfigError(CONFIGURED, f"is missing, and the key file {path} may be read by others", hint="chmod 600")
    text = path.read_bytes().strip()
    if len(text) < _KEY:
        raise ConfigError(CONFIGURED, f"is missing, and the file {path} holds no key", hint="delete it for a new one")
    return text


def _make(path: Path) -> None:
    """Whole or not at all. Raises FileExistsError when another was faster."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(os.urandom(_KEY)) + b"\n")
            file.flush()
            os.fsync(descriptor)
        os.link(draft, path)
    finally:
        draft.unlink()
