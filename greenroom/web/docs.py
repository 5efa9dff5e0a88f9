"""OpenAPI documents -> one page to read and try them, which needs nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import msgspec

from greenroom.web.documents import served_copy
from greenroom.web.responses import weak_etag
from greenroom.web.visit import Visit

PATH = "/.greenroom/docs"
"""Outside `/api`, and no path of any frontend."""

_CSP = (
    "default-src 'none';script-src 'self';style-src 'self';img-src data:;connect-src 'self';"
    "base-uri 'none';form-action 'none';frame-ancestors 'none'"
)
_CSP_NAME = b"Content-Security-Policy"


Answer = Callable[[Visit], Awaitable[None]]


class DocsPage:
    """The page, its script, its style and the documents, made once at start."""

    def __init__(self, documents: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        listed = [{"plugin": plugin, "document": served_copy(one, f"/api/{plugin}")} for plugin, one in documents]
        page = files("greenroom.web") / "page"
        self.answers: dict[str, Answer] = {
            PATH: self._file((page / "index.html").read_bytes(), b"text/html; charset=utf-8"),
            f"{PATH}/page.js": self._file((page / "page.js").read_bytes(), b"text/javascript; charset=utf-8"),
            f"{PATH}/page.css": self._file((page / "page.css").read_bytes(), b"text/css; charset=utf-8"),
            f"{PATH}/documents.json": self._file(msgspec.json.encode(listed), b"application/json; charset=utf-8"),
        }

    def _file(self, content: bytes, content_type: bytes) -> Answer:
        headers = [(b"content-type", content_type), (b"etag", weak_etag(content).encode())]

        async def answer(visit: Visit) -> None:
            reply = visit.reply
            reply.added = [(name, _CSP.encode() if name == _CSP_NAME else value) for name, value in reply.added]
            await reply.whole(200, headers, content)

        return answer
