"""visit -> one line of the access log, in upstream's form and with its fields."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from greenroom.javascript.times import iso
from greenroom.settings import hide_in_text
from greenroom.web.visit import Visit

access_log = logging.getLogger("greenroom.access")


@lru_cache(256)
def _shown(url: str) -> str:
    """A URL as it may be told. Most are asked for again and again, and looking through one takes a quarter of telling it."""
    return hide_in_text(url)


def log_access(visit: Visit) -> None:
    """Credentials in URLs do not get into it."""
    if not access_log.isEnabledFor(logging.INFO):
        return
    url = _shown(visit.url) if visit.query else visit.path
    agent, referrer = visit.header(b"user-agent"), visit.header(b"referer")
    fields: dict[str, Any] = {
        "type": "incomingRequest",
        "date": iso(datetime.now(UTC)),
        "method": visit.method,
        "url": url,
        "status": visit.reply.status,
        "httpVersion": visit.scope.get("http_version", "1.1"),
        "contentLength": visit.reply.length,
    }
    if agent:
        fields["userAgent"] = agent
    if referrer:
        fields["referrer"] = hide_in_text(referrer)
    access_log.info(
        '[%s] "%s %s HTTP/%s" %d %d "%s" "%s"',
        fields["date"],
        visit.method,
        url,
        fields["httpVersion"],
        visit.reply.status,
        visit.reply.length,
        fields.get("referrer", "-"),
        agent or "-",
        extra=fields,
    )
