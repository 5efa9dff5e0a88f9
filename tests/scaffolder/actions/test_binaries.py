"""Which files are copied as they are: npm's isbinaryfile 5 said so of each of these."""

from __future__ import annotations

import pytest

from greenroom_scaffolder.actions.binaries import is_binary


@pytest.mark.parametrize(
    ("start", "binary"),
    [
        (b"", False),
        (b"plain text\n", False),
        ("Grüße, 世界, 😀".encode(), False),
        (b"text with a \0 byte", True),
        (b"%PDF-1.7 all text", True),
        (b"\xff\xfeh\0i\0", False),
        (b"\xef\xbb\xbf\0", False),
        (b"\x84\x31\x95\x33\0", False),
        ("Grüße von hier und dort".encode("latin-1"), False),
        ("äöü".encode("latin-1"), True),
        (b"a" * 511 + "ü".encode(), False),
        (b"\x01\x02\x03", True),
        (b"a" * 600 + b"\0", False),
    ],
)
def test_binary_is_what_npm_says(start: bytes, binary: bool) -> None:
    assert is_binary(start) is binary
