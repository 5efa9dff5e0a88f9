"""The web floor: plugins bring `Routes`, one door serves them all as upstream's express would."""

from greenroom.web.documents import load_document
from greenroom.web.door import Door, build_asgi
from greenroom.web.json_errors import explain
from greenroom.web.lifecycle import Lifecycle, Phase
from greenroom.web.responses import EventStream, JsonStream, empty, json_response, weak_etag
from greenroom.web.routes import Asked, Routes, asked, closing, gone, sent_method
from greenroom.web.server import bind, serve

__all__ = [
    "Asked",
    "Door",
    "EventStream",
    "JsonStream",
    "Lifecycle",
    "Phase",
    "Routes",
    "asked",
    "bind",
    "build_asgi",
    "closing",
    "empty",
    "explain",
    "gone",
    "json_response",
    "load_document",
    "sent_method",
    "serve",
    "weak_etag",
]
