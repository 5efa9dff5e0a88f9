"""What Node says of the same values, where Node is: numbers, texts, orders and JSON that nobody wrote."""

from __future__ import annotations

import json
import random
import shutil
import struct
import subprocess
from typing import Any

import pytest

from greenroom.javascript.json_text import json_text
from greenroom.javascript.numbers import exponential, number_text, parse_float, read_number
from greenroom.javascript.objects import keys
from greenroom.javascript.texts import length, sorted_texts, trim
from greenroom.javascript.values import number_of, text_of, truthy

ASK = """
const told = JSON.parse(require("fs").readFileSync(0, "utf8"))
const number = (text) => [String(Number(text)), String(parseFloat(text))]
process.stdout.write(JSON.stringify({
  doubles: told.doubles.map((one) => [String(one), one.toExponential()]),
  texts: told.texts.map((one) => [one.trim(), one.length, ...number(one)]),
  sorted: [...told.texts].sort(),
  values: told.values.map((one) => [JSON.stringify(one), JSON.stringify(one, null, "  "), String(one), String(Number(one)), !!one]),
  keys: told.values.map((one) => one && typeof one === "object" && !Array.isArray(one) ? Object.keys(one) : []),
}))
"""
LETTERS = [
    "a",
    "é",
    "😀",
    "\ufffd",
    "\x1f",
    "\ufeff",
    "\x85",
    " ",
    "\n",
    '"',
    "\\",
    "\u2028",
    *"019.eE+-x",
    "0x",
    "Infinity",
]
NAMES = ["a", "b", "", "0", "1", "01", "10", "-1", "1.5", "4294967294", "4294967295", "9007199254740993", "٣", "\ud83d"]


def double(rng: random.Random) -> float:
    number: float = struct.unpack("d", rng.randbytes(8))[0]
    usual = rng.choice((rng.random() * 10.0 ** rng.randint(-9, 24), float(rng.randint(-(10**22), 10**22)), -0.0, 1e21))
    return number if abs(number) < 1e308 and rng.random() < 0.5 else usual


def text(rng: random.Random) -> str:
    return "".join(rng.choices(LETTERS, k=rng.choice((0, 1, 2, 3, 6))))


def value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(8 if depth < 3 else 6)
    if kind == 6:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 7:
        return {rng.choice(NAMES): value(rng, depth + 1) for _ in range(rng.randrange(5))}
    return (None, True, False, double(rng), rng.randint(-(10**20), 10**20), text(rng))[kind]


def test_node_says_the_same() -> None:
    if shutil.which("node") is None:
        pytest.skip("needs Node")
    rng = random.Random(7)
    doubles, texts, values = (
        [double(rng) for _ in range(2000)],
        [text(rng) for _ in range(2000)],
        [value(rng) for _ in range(2000)],
    )
    asked = subprocess.run(
        ["node", "-e", ASK],
        input=json.dumps({"doubles": doubles, "texts": texts, "values": values}),
        capture_output=True,
        text=True,
        check=True,
    )
    node = json.loads(asked.stdout)
    assert [[number_text(one), exponential(one)] for one in doubles] == node["doubles"]
    assert [
        [trim(one), length(one), number_text(read_number(one)), number_text(parse_float(one))] for one in texts
    ] == node["texts"]
    assert sorted_texts(texts) == node["sorted"]
    assert [
        [json_text(one), json_text(one, "  "), text_of(one), number_text(number_of(one)), truthy(one)] for one in values
    ] == node["values"]
    assert [keys(one) if isinstance(one, dict) else [] for one in values] == node["keys"]
