from __future__ import annotations

import math
from pathlib import Path

import pytest

from greenroom.errors import ConfigError
from greenroom.settings import load


def parse(folder: Path, text: str | bytes) -> dict[str, object]:
    path = folder / "app-config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load([path], {}).as_dict()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("True", True),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("1e3", 1000),
        ("5.", 5),
        (".5", 0.5),
        ("+5", 5),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("0b11", "0b11"),
        (".inf", math.inf),
        ("!!str 5", "5"),
        ("!!int '7'", 7),
        ("!foo bar", "bar"),
        ("'5'", "5"),
        ("=", "="),
    ],
)
def test_scalars_are_read_by_the_core_schema(tmp_path: Path, text: str, expected: object) -> None:
    value = parse(tmp_path, f"a: {text}")["a"]
    assert value == expected
    assert type(value) is type(expected)


def test_keys_are_texts_and_merge_keys_are_keys(tmp_path: Path) -> None:
    found = parse(tmp_path, "5: a\ntrue: b\nnull: c\n1.50: d\n<<: {z: 1}\no: &x {a: 1}\np: *x")
    assert found == {"5": "a", "true": "b", "": "c", "1.5": "d", "<<": {"z": 1}, "o": {"a": 1}, "p": {"a": 1}}


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    assert parse(tmp_path, b"\xef\xbb\xbfa: 1") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2", "line 4, column 3", "the key 'c' is given twice"),
        ("a:\n\tb: 1", "line 2, column 1", "cannot start any token"),
        ('a: [1,\nb: "x', "line 2", ""),
        ("a: 1\n---\nb: 2", "line 2, column 1", "a config file holds one document"),
        ("a: {{ x }}", "line 1, column 5", "a key must be a plain value"),
        ("a: &x [*x]", "line 1, column 4", "an alias stands inside of what it refers to"),
        ("a: *nope", "line 1, column 4", "undefined alias"),
        ("a: !!int x", "line 1, column 4", "'x' is not a number"),
    ],
)
def test_an_error_in_the_file_names_line_and_column(tmp_path: Path, text: str, place: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(tmp_path, text)
    assert caught.value.path.startswith(place)
    assert problem in caught.value.problem
    assert caught.value.file == str(tmp_path / "app-config.yaml")


@pytest.mark.parametrize("text", ["- a", "hello", "5"])
def test_a_file_that_is_not_an_object_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="a config file holds an object"):
        parse(tmp_path, text)


def test_aliases_that_blow_up_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(ConfigError, match="aliases make this file too large"):
        parse(tmp_path, "\n".join(lines))


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.yaml: the file does not exist"):
        load([tmp_path / "missing.yaml"], {})
    with pytest.raises(ConfigError, match="not UTF-8"):
        parse(tmp_path, b"a: \xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        load([tmp_path], {})
    with pytest.raises(ConfigError, match="not allowed"):
        parse(tmp_path, "a: \x01")
