"""nunjitsu, as upstream's scaffolder runs it: asked through a Node process that answers line for line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

__all__ = ["UpstreamMissingError", "answers", "installed"]

_SCRIPT = Path(__file__).with_name("answer.mjs")


class UpstreamMissingError(Exception):
    """There is no Node, or no upstream installed."""


def installed() -> Path:
    """Upstream's `node_modules`: in `ORACLE_HOME`, or where the conformance recorder and the oracle keep theirs."""
    caches = [Path.home() / ".cache" / name for name in ("greenroom-conformance", "greenroom-oracle")]
    homes = [Path(os.environ["ORACLE_HOME"])] if os.environ.get("ORACLE_HOME") else caches
    for home in homes:
        if (home / "node_modules" / "nunjitsu").is_dir():
            return (home / "node_modules").resolve()
    raise UpstreamMissingError("upstream's npm packages are not installed: ORACLE_HOME, or ~/.cache/greenroom-oracle")


def answers(cases: Iterable[dict[str, Any]], patience: float = 5.0) -> Iterator[dict[str, Any]]:
    """An answer for each case, in order: `{"render": …, "value": …}`, each with `value`, `undefined` or `error`.

    Upstream goes on for ever about some templates: after so many seconds it counts as a limit that was reached."""
    node = shutil.which("node")
    if node is None:
        raise UpstreamMissingError("node is not installed")
    command = [node, str(_SCRIPT), str(installed())]
    lines = [json.dumps(case) for case in cases]
    done = 0
    while done < len(lines):
        for answer in _answered(command, lines[done:], patience):
            done += 1
            yield answer


def _answered(command: Sequence[str], lines: Sequence[str], patience: float) -> Iterator[dict[str, Any]]:
    """The answers of one process, up to and with the first that does not come."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    assert process.stdout is not None
    threading.Thread(target=_feed, args=(process, lines), daemon=True).start()
    try:
        for _ in lines:
            watch = threading.Timer(patience, process.kill)
            watch.start()
            line = process.stdout.readline()
            watch.cancel()
            yield (
                json.loads(line)
                if line
                else {part: {"error": "no answer", "limit": True} for part in ("render", "value")}
            )
            if not line:
                return
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _feed(process: subprocess.Popen[str], lines: Sequence[str]) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write("".join(f"{line}\n" for line in lines))
        process.stdin.close()
    except (BrokenPipeError, ValueError):
        return
