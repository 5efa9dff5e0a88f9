"""The web floor: plugins bring `Routes`, one door serves them all as upstream's express would."""

from greenroom.web.documents import load_document
from greenroom.web.responses import empty, json_response, weak_etag
from greenroom.web.routes import Asked, Routes, asked

__all__ = [
    "Asked",
    "Routes",
    "asked",
    "empty",
    "json_response",
    "load_document",
    "weak_etag",
]
