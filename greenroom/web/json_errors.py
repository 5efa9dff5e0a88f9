"""JSON that does not parse -> the sentence that V8 says about it, which clients of upstream see in a 400."""

from __future__ import annotations

import re
from typing import NoReturn

CONTEXT = 10

_SPACE = " \t\n\r"
_DIGITS = "0123456789"
_ESCAPES = '"\\/bfnrt'
_HEX = re.compile(r"[0-9a-fA-F]*")


class MalformedError(Exception):
    """Carries V8's sentence."""


def explain(text: str) -> str:
    """Why `JSON.parse(text)` fails, in V8's words (as of Node 20)."""
    try:
        end = _skip(text, _value(text, _skip(text, 0)))
        if end < len(text):
            _at("Unexpected non-whitespace character after JSON", end)
    except MalformedError as error:
        return str(error)
    except RecursionError:
        return "Maximum call stack size exceeded"
    return "Unexpected end of JSON input"


def unexpected(text: str, position: int) -> str:
    """`Unexpected token 'x', "…" is not valid JSON`, quoting up to ten characters on each side."""
    if position >= len(text):
        return "Unexpected end of JSON input"
    start = max(0, position - CONTEXT) if len(text) > 2 * CONTEXT else 0
    end = position + CONTEXT if len(text) > 2 * CONTEXT else len(text)
    before = "..." if len(text) > 2 * CONTEXT and position >= CONTEXT else ""
    after = "..." if end < len(text) else ""
    return f"Unexpected token '{text[position]}', {before}\"{text[start:end]}\"{after} is not valid JSON"


def _at(problem: str, position: int) -> NoReturn:
    where = "" if problem.endswith("JSON") else " in JSON"
    raise MalformedError(f"{problem}{where} at position {position}")


def _token(text: str, position: int) -> NoReturn:
    """What V8 says of a character that may not stand here."""
    if position < len(text) and (text[position] in _DIGITS or text[position] == "-"):
        _at("Unexpected number", position)
    if position < len(text) and text[position] == '"':
        _at("Unexpected string", position)
    raise MalformedError(unexpected(text, position))


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in _SPACE:
        position += 1
    return position


def _value(text: str, position: int) -> int:
    if position >= len(text):
        raise MalformedError("Unexpected end of JSON input")
    character = text[position]
    if character == "{":
        return _object(text, position + 1)
    if character == "[":
        return _array(text, position + 1)
    if character == '"':
        return _string(text, position + 1)
    if character == "-" or character in _DIGITS:
        return _number(text, position)
    for literal in ("true", "false", "null"):
        if character == literal[0]:
            return _literal(text, position, literal)
    raise MalformedError(unexpected(text, position))


def _literal(text: str, position: int, literal: str) -> int:
    for offset, character in enumerate(literal):
        if position + offset >= len(text) or text[position + offset] != character:
            _token(text, position + offset)
    return position + len(literal)


def _object(text: str, position: int) -> int:
    position, first = _skip(text, position), True
    while True:
        if first and position < len(text) and text[position] == "}":
            return position + 1
        name = "Expected property name or '}'" if first else "Expected double-quoted property name"
        if position >= len(text) or text[position] != '"':
            _at(name, position)
        position = _skip(text, _string(text, position + 1))
        if position >= len(text) or text[position] != ":":
            _at("Expected ':' after property name", position)
        position = _skip(text, _value(text, _skip(text, position + 1)))
        if position < len(text) and text[position] == "}":
            return position + 1
        if position >= len(text) or text[position] != ",":
            _at("Expected ',' or '}' after property value", position)
        position, first = _skip(text, position + 1), False


def _array(text: str, position: int) -> int:
    position = _skip(text, position)
    if position < len(text) and text[position] == "]":
        return position + 1
    while True:
        position = _skip(text, _value(text, position))
        if position < len(text) and text[position] == "]":
            return position + 1
        if position >= len(text) or text[position] != ",":
            _at("Expected ',' or ']' after array element", position)
        position = _skip(text, position + 1)


def _string(text: str, position: int) -> int:
    while position < len(text):
        character = text[position]
        if character == '"':
            return position + 1
        if character < " ":
            _at("Bad control character in string literal", position)
        if character == "\\":
            position = _escape(text, position + 1)
        else:
            position += 1
    _at("Unterminated string", position)


def _escape(text: str, position: int) -> int:
    if position >= len(text):
        raise MalformedError("Unexpected end of JSON input")
    if text[position] == "u":
        found = _HEX.match(text, position + 1, position + 5)
        end = found.end() if found else position + 1
        if end < position + 5:
            _at("Bad Unicode escape", end)
        return end
    if text[position] not in _ESCAPES:
        _at("Bad escaped character", position)
    return position + 1


def _number(text: str, position: int) -> int:
    if text[position] == "-":
        position += 1
        if position >= len(text) or text[position] not in _DIGITS:
            _at("No number after minus sign", position)
    if text[position] == "0":
        position += 1
        if position < len(text) and text[position] in _DIGITS:
            _at("Unexpected number", position)
    position = _digits(text, position)
    if position < len(text) and text[position] == ".":
        position = _some_digits(text, position + 1, "Unterminated fractional number")
    if position < len(text) and text[position] in "eE":
        position += 1
        if position < len(text) and text[position] in "+-":
            position += 1
        position = _some_digits(text, position, "Exponent part is missing a number")
    return position


def _digits(text: str, position: int) -> int:
    while position < len(text) and text[position] in _DIGITS:
        position += 1
    return position


def _some_digits(text: str, position: int, problem: str) -> int:
    end = _digits(text, position)
    if end == position:
        _at(problem, position)
    return end
