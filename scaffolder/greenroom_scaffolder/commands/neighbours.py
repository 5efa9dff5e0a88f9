"""A template of a file -> the skeletons and files beside it that its steps name, and that are not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from greenroom_scaffolder.commands.placeholders import ELSEWHERE
from greenroom_scaffolder.templates.findings import Finding
from greenroom_scaffolder.templates.located import Located
from greenroom_scaffolder.templating.suggestions import nearest

FETCHING: Final = ("fetch:template", "fetch:template:file", "fetch:plain", "fetch:plain:file", "fetch:cookiecutter")


def missing(document: Located, file: Path) -> Iterator[Finding]:
    """What steps would fetch in vain. What is known only once it is rendered, or lies elsewhere, is passed over."""
    steps = document.get("spec", "steps")
    for number, step in enumerate(steps.items if steps is not None else ()):
        action, url = step.get("action"), step.get("input", "url")
        if action is None or url is None or action.value not in FETCHING or not _is_beside(url.value):
            continue
        wanted = file.parent / url.value
        if not os.path.exists(wanted):  # noqa: PTH110 - of a Path, a name that is too long is an error
            near = _nearest(wanted)
            hint = f"did you mean `{near}`?" if near else "addresses without a host lead from the template's own folder"
            message, path = f"There is no {url.value}", ("spec", "steps", number, "input", "url")
            yield Finding(str(file), url.place.line, url.place.column, "error", "missing-file", message, hint, path)


def _is_beside(url: Any) -> bool:
    return isinstance(url, str) and "{{" not in url and "{%" not in url and ELSEWHERE.match(url) is None


def _nearest(wanted: Path) -> str | None:
    """What lies where it should, and is called nearly so."""
    folder = wanted.parent
    if not (os.path.isdir(folder) and os.access(folder, os.R_OK)):  # noqa: PTH112 - as above
        return None
    return nearest(wanted.name, sorted(path.name for path in folder.iterdir()))
