"""URLs of source files: reading them, and how each Git host spells the ones beside them.

What is imported from here is pure and quick to load; the readers that need a network are in modules of their own.
"""

from greenroom.urls.integrations import Integration, Integrations
from greenroom.urls.service import UnreadableUrlError, Urls
from greenroom.urls.whatwg import InvalidUrlError, Url, is_url, parse

__all__ = [
    "Integration",
    "Integrations",
    "InvalidUrlError",
    "UnreadableUrlError",
    "Url",
    "Urls",
    "is_url",
    "parse",
]
