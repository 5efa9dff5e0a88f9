"""How much a workspace may hold, and the account of what it does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakValueDictionary

import msgspec

from greenroom.errors import InputError


class Quota(msgspec.Struct, frozen=True):
    """What one workspace may hold. Folders and links count among the files."""

    max_bytes: int = 1024**3
    max_files: int = 100_000
    max_file_bytes: int = 256 * 1024**2


class QuotaError(InputError):
    """The workspace is full"""


class Usage(msgspec.Struct, frozen=True):
    """What a workspace holds: bytes of its files, and how many files, folders and links."""

    bytes: int = 0
    files: int = 0


class Account:
    """What one workspace holds, as far as it was counted: the same for all who write there."""

    def __init__(self, measure: Callable[[], Usage]) -> None:
        self.lock = threading.RLock()
        self.used = Usage()
        """To be read and changed with the lock held, after `known` or `count`."""
        self._measure = measure
        self._news: object = object()
        self._counted: object = None
        """The news that were counted last."""

    def known(self) -> Usage:
        """Counted only if that is needed. With the lock held."""
        return self.used if self._counted is self._news else self.count()

    def count(self) -> Usage:
        """Count anew, with the lock held. What is forgotten meanwhile will be counted again."""
        news = self._news
        self.used = self._measure()
        self._counted = news
        return self.used

    def forget(self) -> None:
        """Count anew when it is asked for next. Nobody waits for the lock."""
        self._news = object()


ACCOUNTS: WeakValueDictionary[Path, Account] = WeakValueDictionary()
"""Those of this process, by their folders. Each is gone with the last one who writes there."""
_OPENING = threading.Lock()


def account_of(folder: Path, measure: Callable[[], Usage]) -> Account:
    """The one that all have. Who joins later has it counted anew: processes of the steps before may have written by themselves."""
    with _OPENING:
        account = ACCOUNTS.get(folder)
        if account is None:
            account = ACCOUNTS[folder] = Account(measure)
        else:
            account.forget()
        return account


class Ledger:
    """What one may write into a workspace: its account is kept from the first write on, so that no write has to count all files.

    Whoever writes claims first. Several threads may."""

    def __init__(self, quota: Quota, account: Account) -> None:
        self._quota = quota
        self._account = account

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Around a change and all its claims: one at a time, so that none is half done when things are counted."""
        with self._account.lock:
            self._account.known()
            yield

    def claim(self, more_bytes: int, more_files: int, *, made: int = 0) -> None:
        """Raises QuotaError, with figures, when that is too much, `made` of the files being there already. Giving back is never
        refused. Others may have deleted something: all is counted anew before anything is refused."""
        with self._account.lock:
            used = self._account.known()
            wanted = Usage(used.bytes + more_bytes, used.files + more_files)
            if (more_bytes > 0 or more_files > 0) and self._too_much(wanted):
                used = self._account.count()
                wanted = Usage(used.bytes + more_bytes, used.files + more_files - made)
                self._refuse_too_much(wanted)
            self._account.used = wanted

    def forget(self) -> None:
        """Count anew at the next claim: after a write that failed in the middle, a deletion, or a process that wrote by itself."""
        self._account.forget()

    def check(self) -> Usage:
        """Count anew, at once. Raises QuotaError."""
        with self._account.lock:
            used = self._account.count()
            self._refuse_too_much(used)
            return used

    def refuse_large(self, path: str, size: int) -> None:
        """Raises QuotaError for a single file that is too large."""
        if size > self._quota.max_file_bytes:
            raise QuotaError(
                f"The file {path} of {in_words(size)} is too large for the workspace: "
                f"at most {in_words(self._quota.max_file_bytes)} each (scaffolder.workspace.maxFileBytes)"
            )

    def _too_much(self, wanted: Usage) -> bool:
        return wanted.bytes > self._quota.max_bytes or wanted.files > self._quota.max_files

    def _refuse_too_much(self, wanted: Usage) -> None:
        if wanted.bytes > self._quota.max_bytes:
            raise QuotaError(
                f"The workspace would hold {in_words(wanted.bytes)}, more than the {in_words(self._quota.max_bytes)} "
                "that a task may have (scaffolder.workspace.maxBytes)"
            )
        if wanted.files > self._quota.max_files:
            raise QuotaError(
                f"The workspace would hold {wanted.files} files and folders, more than the {self._quota.max_files} "
                "that a task may have (scaffolder.workspace.maxFiles)"
            )


def in_words(size: int) -> str:
    """`1536` -> `1.5 kB`, in steps of 1024."""
    amount = float(size)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1024:
            return f"{amount:.4g} {unit}"
        amount /= 1024
    return f"{amount:.4g} GB"
