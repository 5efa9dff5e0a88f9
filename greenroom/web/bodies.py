"""request body -> JSON value, as express.json() reads it: limits, encodings, charsets, and what it says when it cannot."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import msgspec

from greenroom.errors import GreenroomError
from greenroom.javascript.numbers import as_whole
from greenroom.javascript.values import storable
from greenroom.web.asgi import Receive
from greenroom.web.json_errors import explain, unexpected

MOST_DRAINED = 16 * 1024 * 1024
"""Bytes of a body that is too large which are read and dropped, so that the client gets to read why it was refused."""


def _number(text: str) -> int | float:
    """To JavaScript, `1.0` and `1e9` are whole numbers: they are checked as such, and printed without a fraction."""
    return as_whole(float(text))


_decode = msgspec.json.Decoder(float_hook=_number).decode

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
_FIRST = re.compile(r"[ \t\n\r]*([^ \t\n\r])")
_CHARSET = re.compile(r';[ \t]*charset[ \t]*=[ \t]*"?([^";\s]+)', re.IGNORECASE)
_JSON = re.compile(
    r"""\s*application/json\s*(;\s*[!#$%&'*+.^_`|~0-9a-z-]+\s*=\s*("(\\.|[^"\\])*"|[!#$%&'*+.^_`|~0-9a-z-]+)\s*)*""",
    re.IGNORECASE,
)
_PUNCTUATION = re.compile(r"[^0-9a-z]")
_CHARSETS = {"utf8": "utf-8", "utf7": "utf-7", "utf16": "utf-16-le", "utf16le": "utf-16-le", "utf16be": "utf-16-be"}
"""What express reads, by what is left of the name without punctuation -> what Python calls it."""
_WINDOW_BITS = {"gzip": 31, "deflate": 15}


class BodyError(GreenroomError):
    """The request body cannot be read"""

    name: ClassVar[str] = "BadRequestError"

    def __init__(self, message: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.status_code = status


class PayloadTooLargeError(BodyError):
    """request entity too large"""

    name: ClassVar[str] = "PayloadTooLargeError"
    status = 413

    def __init__(self) -> None:
        super().__init__("request entity too large", 413)


class UnreadableError(BodyError):
    """The charset or content encoding is not one that express reads"""

    name: ClassVar[str] = "UnsupportedMediaTypeError"
    status = 415

    def __init__(self, message: str) -> None:
        super().__init__(message, 415)


class JsonSyntaxError(BodyError):
    """The body is not JSON"""

    name: ClassVar[str] = "SyntaxError"
    status = 400


class ClientGoneError(BodyError):
    """request aborted"""

    status = 400


class Body(NamedTuple):
    """What came: `value` is None and `raw` empty when the body is not JSON, and was not read."""

    value: Any
    raw: bytes
    read: bool


NO_BODY = Body({}, b"", read=False)
OTHER_BODY = Body(None, b"", read=False)


def is_json(content_type: str) -> bool:
    """Whether express.json() parses this content type: exactly `application/json`, any case, sound parameters."""
    return content_type == "application/json" or bool(_JSON.fullmatch(content_type))


async def read_json(headers: Mapping[bytes, bytes], receive: Receive, limit: int) -> Body:
    """Read and decode a JSON body of at most `limit` bytes after decompression. An empty one counts as `{}`.

    Raises BodyError with the sentence of body-parser, ClientGoneError."""
    charset = _charset(headers.get(b"content-type", b"").decode("latin-1"))
    encoding = headers.get(b"content-encoding", b"identity").decode("latin-1").lower() or "identity"
    if encoding == "identity":
        raw = await _read(receive, limit)
    elif encoding in _WINDOW_BITS:
        raw = _inflate(await _read(receive, limit), limit, _WINDOW_BITS[encoding])
    else:
        raise UnreadableError(f'unsupported content encoding "{encoding}"')
    return Body(_parse(raw, charset), raw, read=True)


async def drain(receive: Receive) -> None:
    """Read what is left of a body, up to a bound, and drop it."""
    size, more = 0, True
    while more and size < MOST_DRAINED:
        message = await receive()
        size += len(message.get("body", b""))
        more = bool(message.get("more_body"))


def _charset(content_type: str) -> str:
    found = _CHARSET.search(content_type)
    if not found:
        return "utf-8"
    named = found[1].lower()
    charset = _CHARSETS.get(_PUNCTUATION.sub("", named)) if named.startswith("utf-") else None
    if charset is None:
        raise UnreadableError(f'unsupported charset "{named.upper()}"')
    return charset


async def _read(receive: Receive, limit: int) -> bytes:
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        if not message.get("more_body"):
            break
        if size > limit + MOST_DRAINED:
            raise PayloadTooLargeError
    if size > limit:
        raise PayloadTooLargeError
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _inflate(packed: bytes, limit: int, window_bits: int) -> bytes:
    if not packed:
        return b""
    stream = zlib.decompressobj(wbits=window_bits)
    try:
        raw = stream.decompress(packed, limit + 1)
    except zlib.error as error:
        raise BodyError(str(error).rpartition(": ")[2]) from error
    if len(raw) > limit:
        raise PayloadTooLargeError
    if not stream.eof:
        raise BodyError("unexpected end of file")
    return raw


def _parse(raw: bytes, charset: str) -> Any:
    if not raw:
        return {}
    if charset == "utf-8" and raw[:1] in b"{[":
        try:
            return _decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # V8 takes more than msgspec does (lone surrogates, huge numbers), and says why it takes no more
    text = raw.decode(charset, "replace").removeprefix("\ufeff")
    if not text:
        return {}
    return _parse_text(text)


def _parse_text(text: str) -> Any:
    first = _FIRST.match(text)
    if not first:
        raise JsonSyntaxError("Unexpected end of JSON input")
    if first[1] not in "{[":
        raise JsonSyntaxError(unexpected(text, first.start(1)))
    try:
        value = json.loads(text, parse_constant=_refuse)
        return storable(value) if _SURROGATE.search(text) else value
    except ValueError:
        raise JsonSyntaxError(explain(text)) from None
    except RecursionError:
        raise JsonSyntaxError("The JSON is nested too deeply") from None


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
