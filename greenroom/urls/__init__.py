"""URLs of source files: reading them, and how each Git host spells the ones beside them."""

from greenroom.urls.integrations import Integration, Integrations
from greenroom.urls.reading import HttpReader, UnreadableUrlError
from greenroom.urls.service import Urls
from greenroom.urls.whatwg import InvalidUrlError, Url, is_url, parse

__all__ = [
    "HttpReader",
    "Integration",
    "Integrations",
    "InvalidUrlError",
    "UnreadableUrlError",
    "Url",
    "Urls",
    "is_url",
    "parse",
]
