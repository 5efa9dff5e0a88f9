"""International names and odd spellings of addresses. Expectations are those of `new URL(text).host` in Node 20."""

from __future__ import annotations

import subprocess
import sys

import pytest

from greenroom.urls import InvalidUrlError, parse


@pytest.mark.parametrize(
    ("host", "want"),
    [
        ("faß.de", "xn--fa-hia.de"),
        ("☃.net", "xn--n3h.net"),
        ("a\u00adb.c", "ab.c"),
        ("\uff41\u3002b", "a.b"),
        ("%C3%BC.de", "xn--tda.de"),
        ("XN--TDA.de", "xn--tda.de"),
        ("אב.com", "xn--4dbc.com"),
        ("1\u0640", "xn--1-foc"),
        ("①.①.①.①", "1.1.1.1"),
        ("\uff11\uff12\uff17.\uff11", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0177.0.0.01", "127.0.0.1"),
        ("127.1.", "127.0.0.1"),
        ("0xA9FEA9FE", "169.254.169.254"),
        ("%31%32%37.1", "127.0.0.1"),
        ("[0:0:0:0:0:ffff:7f00:1]", "[::ffff:7f00:1]"),
        ("[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
        ('a"b', 'a"b'),
    ],
)
def test_a_name_is_written_as_node_writes_it(host: str, want: str) -> None:
    assert parse(f"http://{host}/").host == want


@pytest.mark.parametrize(
    "host",
    [
        "-1.5",
        "+1.5",
        "1_0.5",
        "xn--a",
        "xn--",
        "\u00ad",
        "\u0301a",
        "אa",
        "a\u200db",
        "א1٣",
        "1.2.3.256",
        "a%00b",
        "foo:8x",
    ],
)
def test_what_is_no_name_is_no_url(host: str) -> None:
    with pytest.raises(InvalidUrlError):
        parse(f"http://{host}/")


def test_half_a_character_is_replaced() -> None:
    assert parse("http://x/\ud800?\udc00").href == "http://x/%EF%BF%BD?%EF%BF%BD"
    assert parse("http://x/\ud83d\ude00").href == "http://x/%F0%9F%98%80"


def test_no_network_library_is_loaded_to_look_at_a_url() -> None:
    """Files are validated offline, and within milliseconds."""
    program = "import greenroom.urls, sys; print(sorted({'aiohttp', 'yarl', 'idna', 'greenroom.settings'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"
