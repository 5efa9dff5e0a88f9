"""bytes -> binary or text, by the rules of npm's `isbinaryfile` 5: what upstream copies, and what it takes for a template."""

from __future__ import annotations

LOOKED_AT = 512
_RESERVE = 3
"""Bytes beyond, so that a character at the end can be seen whole."""
_SURE_AFTER = 32
_TEXT_MARKS = (
    b"\xef\xbb\xbf",
    b"\x00\x00\xfe\xff",
    b"\xff\xfe\x00\x00",
    b"\x84\x31\x95\x33",
    b"\xfe\xff",
    b"\xff\xfe",
)
_TEXT = bytes([*range(7, 15), *range(32, 128)])


def is_binary(start: bytes) -> bool:
    """Whether a file is, by its first `LOOKED_AT` + 3 bytes."""
    if start.startswith(b"%PDF-") and len(start) >= 5:
        return True
    if not start or start.startswith(_TEXT_MARKS):
        return False
    start = start[: LOOKED_AT + _RESERVE]
    looked = start[:LOOKED_AT]
    if not looked.translate(None, _TEXT):
        return False
    odd = _odd(start, len(looked))
    return odd < 0 or odd * 100 / len(looked) > 10 or (odd > 1 and _is_protobuf(looked))


def _odd(start: bytes, end: int) -> int:
    """How many bytes are neither text nor UTF-8; -1 as soon as it is clear that they are too many."""
    odd = at = 0
    while at < end:
        byte = start[at]
        if byte == 0:
            return -1
        if byte not in _TEXT:
            step, good = _character(start, at)
            at += step
            if not good:
                odd += 1
                if at >= _SURE_AFTER and odd * 100 / end > 10:
                    return -1
        at += 1
    return odd


def _character(start: bytes, at: int) -> tuple[int, bool]:
    """How far to go on behind the first byte of what may be a character, and whether it is one."""
    byte, size = start[at], len(start)
    if 0xC0 <= byte <= 0xDF and at + 1 < size:
        return 1, _follows(start[at + 1])
    if 0xE0 <= byte <= 0xEF and at + 2 < size:
        good = _follows(start[at + 1]) and _follows(start[at + 2])
        return (2 if good else 1), good
    if 0xF0 <= byte <= 0xF7 and at + 3 < size:
        good = all(_follows(one) for one in start[at + 1 : at + 4])
        return (3 if good else 1), good
    return 0, False


def _follows(byte: int) -> bool:
    return 0x80 <= byte <= 0xBF


def _is_protobuf(message: bytes) -> bool:
    """Whether the bytes read as fields of a protocol buffer to the end; the last may be cut off."""
    at = fields = 0
    while True:
        key, at, short = _varint(message, at)
        if short:
            return fields > 0
        kind = key & 7
        if kind == 0:
            _, at, short = _varint(message, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        elif kind == 2:
            length, at, short = _varint(message, at)
            at += max(length, 0) if not short else 0
        else:
            return False
        if short or at > len(message):
            return fields > 0
        fields += 1


def _varint(message: bytes, at: int) -> tuple[int, int, bool]:
    """The number, the place behind it, and whether it was cut off or too long."""
    value = 0
    for index in range(12):
        if at >= len(message):
            return value, at, True
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << (7 * index % 32)
        if not byte & 0x80:
            break
        if index >= 10:
            return value, at, True
    value &= 0xFFFFFFFF
    return (value - (1 << 32) if value & (1 << 31) else value), at, False
