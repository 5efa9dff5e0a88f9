"""Secrets at rest: what lies in the database tells nothing, opens for one task only, and survives a change of keys."""

from __future__ import annotations

import base64
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.errors import ConfigError
from greenroom_scaffolder.workspace.sealing import (
    Keyring,
    SealError,
    UnknownKeyError,
    keys_from,
)

PLAIN = b'{"token": "ghp_a-very-secret-token"}'


def ring(*secrets: str) -> Keyring:
    return keys_from(secrets, None)


OLD, NEW = "an-old-secret-of-some-length", "a-new-secret-of-some-length"


@given(plain=st.binary(max_size=500), task=st.text(max_size=40))
def test_what_is_sealed_opens_again(plain: bytes, task: str) -> None:
    keys = ring(OLD)
    assert keys.open(keys.seal(plain, task), task) == plain


@pytest.mark.parametrize("size", [-30, -29, -28, -27, 0, 1, 2, 3, 3 * 64 * 1024 + 1])
def test_what_is_sealed_in_several_pieces_reads_as_if_it_were_one(size: int) -> None:
    """Another release, which knows of no pieces, opens it."""
    keys, plain = ring(OLD), b"x" * (3 * 64 * 1024 + size)
    sealed = keys.seal(plain, "t")
    text = sealed.rpartition(".")[2]
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert base64.urlsafe_b64encode(data).decode().rstrip("=") == text
    assert keys.open(sealed, "t") == plain
    with pytest.raises(SealError):
        keys.open(f"{sealed[:-8]}={sealed[-7:]}", "t")


def test_the_sealed_text_shows_neither_secret_nor_that_it_is_the_same() -> None:
    keys = ring(OLD)
    one, two = keys.seal(PLAIN, "t"), keys.seal(PLAIN, "t")
    assert one != two
    assert "ghp_" not in one
    assert base64.urlsafe_b64encode(PLAIN).decode()[4:20] not in one
    assert OLD not in one


def test_it_does_not_open_for_another_task() -> None:
    keys = ring(OLD)
    with pytest.raises(SealError, match="damaged, or belong to another task"):
        keys.open(keys.seal(PLAIN, "mine"), "yours")


@given(st.data())
def test_no_changed_text_opens(data: st.DataObject) -> None:
    keys = ring(OLD)
    sealed = keys.seal(PLAIN, "t")
    at = data.draw(st.integers(0, len(sealed) - 1))
    changed = (
        sealed[:at] + data.draw(st.characters(codec="ascii").filter(lambda one: one != sealed[at])) + sealed[at + 1 :]
    )
    with pytest.raises(SealError):
        keys.open(changed, "t")


def test_no_other_spelling_of_a_seal_opens() -> None:
    sealed = next(one for _ in range(1000) if "_" in (one := ring(OLD).seal(PLAIN, "t")) and "-" in one)
    for other in (
        sealed.replace("_", "/"),
        sealed.replace("-", "+"),
        sealed + "=",
        sealed[:-1] + chr(ord(sealed[-1]) + 1),
    ):
        with pytest.raises(SealError):
            ring(OLD).open(other, "t")


@pytest.mark.parametrize("text", ["", "gr1", "gr1..", "gr2.aabbccdd.QUFB", "plain text", '{"a": 1}', "gr1.aabbccdd.ä"])
def test_what_was_never_sealed_is_told_so(text: str) -> None:
    with pytest.raises(SealError, match="not in a form"):
        ring(OLD).open(text, "t")


def test_keys_are_changed_without_losing_a_task() -> None:
    sealed = ring(OLD).seal(PLAIN, "t")
    both = ring(NEW, OLD)
    assert both.open(sealed, "t") == PLAIN
    assert ring(NEW).open(both.seal(PLAIN, "t"), "t") == PLAIN


def test_a_missing_key_says_what_to_configure() -> None:
    with pytest.raises(UnknownKeyError, match=r"task t .* add its secret to scaffolder\.secrets\.keys"):
        ring(NEW).open(ring(OLD).seal(PLAIN, "t"), "t")


def test_no_file_is_made_where_a_key_is_configured(tmp_path: Path) -> None:
    keys_from([NEW], tmp_path / "key")
    assert not (tmp_path / "key").exists()


def test_without_any_key_a_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "data" / "key"
    sealed = keys_from([], file).seal(PLAIN, "t")
    assert file.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in file.parent.iterdir()] == ["key"]
    assert keys_from([], file).open(sealed, "t") == PLAIN
    assert keys_from([NEW], file).open(sealed, "t") == PLAIN, "also once a key is configured"


def test_of_many_processes_that_start_at_once_all_have_the_same_key(tmp_path: Path) -> None:
    rings: list[Keyring] = []
    threads = [threading.Thread(target=lambda: rings.append(keys_from([], tmp_path / "key"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sealed = rings[0].seal(PLAIN, "t")
    assert len(rings) == 16
    assert all(one.open(sealed, "t") == PLAIN for one in rings)


def test_a_key_file_that_others_may_read_or_that_is_broken_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    keys_from([], file)
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="may be read by others"):
        keys_from([], file)
    file.write_bytes(b"")
    file.chmod(0o600)
    with pytest.raises(ConfigError, match="holds no key"):
        keys_from([], file)
    with pytest.raises(ConfigError, match="is missing"):
        keys_from([], None)


def test_a_keyring_does_not_tell_its_keys() -> None:
    assert OLD not in repr(ring(OLD))
    assert OLD not in str(vars(ring(OLD)))
