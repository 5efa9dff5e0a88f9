"""error -> the JSON that upstream's error middleware answers with, and what the log keeps to itself."""

from __future__ import annotations

import logging
import secrets
from typing import Any, NamedTuple

import msgspec
from litestar.exceptions import HTTPException

from greenroom.errors import GreenroomError, InputError, ServiceUnavailableError, to_wire
from greenroom.web.bodies import BodyError

log = logging.getLogger("greenroom.web")

_encode = msgspec.json.Encoder().encode


class Envelope(NamedTuple):
    """An error as it is answered."""

    status: int
    body: bytes


def envelope(error: BaseException, method: str, url: str) -> Envelope:
    """`{"error": …, "request": {method, url}, "response": {statusCode}}`; `url` is relative to the plugin.

    What is not an error of ours tells the client an id only, which the log has too (upstream masks database errors so).
    5xx are logged, 4xx are not."""
    status, wire = _describe(error)
    if status >= 500:
        _log(error, status, wire)
    body = {"error": wire, "request": {"method": method, "url": url}, "response": {"statusCode": status}}
    return Envelope(status, _encode(body))


def _describe(error: BaseException) -> tuple[int, dict[str, Any]]:
    if isinstance(error, BodyError):
        return error.status_code, {**to_wire(error), "statusCode": error.status_code}
    if isinstance(error, GreenroomError):
        return error.status, to_wire(error)
    if isinstance(error, HTTPException) and error.status_code < 500:
        return error.status_code, to_wire(InputError(error.detail))
    return 500, {"name": "Error", "message": f"An internal error occurred logId={secrets.token_hex(10)}"}


def _log(error: BaseException, status: int, wire: dict[str, Any]) -> None:
    expected = isinstance(error, ServiceUnavailableError)
    log.error("Request failed with status %d: %s", status, wire["message"], exc_info=None if expected else error)
