"""Whether a text is a URL that runs code, however it is disguised. All else about URLs is known to `greenroom.urls`."""

from __future__ import annotations

import re

_SCRIPT = re.compile(r"[\x00-\x20]*" + r"[\r\n\t]*".join("javascript") + r"[\r\n\t]*:", re.IGNORECASE)


def is_script_url(text: str) -> bool:
    """Whether a browser would run it as a `javascript:` URL, however it is disguised (upstream's pattern)."""
    return _SCRIPT.match(text) is not None
