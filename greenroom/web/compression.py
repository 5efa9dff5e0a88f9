"""Accept-Encoding + body -> fewer bytes, where the `compression` of express would do so too."""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache
from typing import Protocol

from isal import isal_zlib

THRESHOLD = 1024
"""Bytes from which on a body of known length is compressed."""

IN_A_THREAD = 512 * 1024
"""Bytes from which on compressing would hold up other requests for about a millisecond."""

LEVEL = 1
"""isal at level 1 packs as well as zlib at 2, six times as fast; the usual level 6 costs more than a whole request."""

_WINDOW_BITS = {"gzip": 31, "deflate": 15}
_TEXTUAL = re.compile(
    r"text/|application/(json|javascript|xml|yaml|x-yaml|x-ndjson|ld\+json|manifest\+json|wasm|graphql|rtf|toml|sql|"
    r"x-javascript|x-sh|x-web-app-manifest\+json|vnd\.ms-fontobject|x-font-ttf|x-httpd-php|tar|x-tar)(?=;|\s|$)|"
    r"[^;\s]+\+(json|text|xml)(?=;|\s|$)|image/(bmp|x-icon|vnd\.microsoft\.icon|x-ms-bmp)|font/(ttf|otf)",
    re.IGNORECASE,
)


class Compressor(Protocol):
    """One response's running compression."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self, mode: int = ..., /) -> bytes: ...


@lru_cache(maxsize=256)
def compressible(content_type: bytes) -> bool:
    """Whether bodies of this type shrink. Text, JSON, XML and the like, as mime-db marks them."""
    return bool(_TEXTUAL.match(content_type.decode("latin-1").strip()))


@lru_cache(maxsize=256)
def negotiate(accept_encoding: bytes) -> str:
    """`gzip`, `deflate`, or "" for neither: the one the client weighs most, gzip on a tie. (Upstream also knows br.)"""
    weights = dict(_weight(item) for item in accept_encoding.decode("latin-1").lower().split(",") if item.strip())
    rest = weights.get("*", 0.0)
    best, best_weight = "", max(weights.get("identity", rest if "*" in weights else 0.0), 0.0)
    for name in ("gzip", "deflate"):
        weight = weights.get(name, rest)
        if weight > 0 and (weight > best_weight or (weight == best_weight and best == "")):
            best, best_weight = name, weight
    return best


def _weight(item: str) -> tuple[str, float]:
    name, *parameters = (part.strip() for part in item.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, float(parameter[2:])
            except ValueError:
                return name, 0.0
    return name, 1.0


def compressor(encoding: str) -> Compressor:
    """A running compression for a body that comes in pieces."""
    made: Compressor = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, _WINDOW_BITS[encoding])
    return made


async def compress(body: bytes, encoding: str) -> bytes:
    """A whole body at once; a large one beside the event loop."""
    if len(body) < IN_A_THREAD:
        return isal_zlib.compress(body, LEVEL, _WINDOW_BITS[encoding])
    return await asyncio.to_thread(isal_zlib.compress, body, LEVEL, _WINDOW_BITS[encoding])


def flush_now(running: Compressor) -> bytes:
    """What was compressed so far, so that the client can read it: for event streams."""
    return running.flush(isal_zlib.Z_SYNC_FLUSH)
