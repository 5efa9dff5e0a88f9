"""`python -m tests.e2e.record`: drive the scaffolder's pages over the real upstream, and write down what they showed.

Takes some four minutes. It needs what `make e2e` needs for the frontend, and upstream itself (see tests/conformance).
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from tests.conformance.oracle import upstream
from tests.e2e.frontend import FRONTEND, SCAFFOLDER, TEMPLATES, Call, Visit, drive, free_ports, plain, served

RECORDED = Path(__file__).parent / "scaffolder.jsonl"
HERE_SAID = "${templates}"
"""What stands in the recording for the folder of the templates."""
COMPARED = ("auth", "catalog", "permission", "scaffolder")
CONFIG = """
organization: {name: RefCo}
permission: {enabled: true}
catalog:
  rules: [{allow: [Component, System, API, Resource, Location, Domain, Template, User, Group]}]
  locations:
    - {type: file, target: '%(fixtures)s/create-app-examples/entities.yaml'}
    - {type: file, target: '%(fixtures)s/create-app-examples/org.yaml'}
    - {type: file, target: '%(fixtures)s/all.yaml'}
    - {type: file, target: '%(templates)s/all.yaml'}
"""


async def record() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, ports = Path(name), free_ports()
        config = folder / "upstream.yaml"
        config.write_text(CONFIG % {"fixtures": FRONTEND / "fixtures", "templates": TEMPLATES})
        async with upstream(None, config) as oracle, served(oracle.base, ports, folder):
            visit = await drive(oracle.base, ports, folder, "", SCAFFOLDER)
    told = "".join(json.dumps(line) + "\n" for line in _lines(visit))
    RECORDED.write_text(told.replace(str(TEMPLATES), HERE_SAID))
    failed = [name for name, step in visit.steps.items() if not step["ok"]]
    assert not failed, f"over upstream itself these failed: {failed}"


def recorded() -> Visit:
    """What was written down."""
    visit = Visit({}, {})
    for line in RECORDED.read_text().replace(HERE_SAID, str(TEMPLATES)).splitlines():
        found = json.loads(line)
        visit.steps[found["shown"]["step"]] = found["shown"]
        visit.calls[found["shown"]["step"]] = {
            plugin: [Call(tuple(call[0]), call[1], call[2]) for call in calls]
            for plugin, calls in found["calls"].items()
        }
    return visit


def _lines(visit: Visit) -> list[dict[str, Any]]:
    """Without what is peculiar to the run; whole answers are the scaffolder's only, and once in each step."""
    return [
        {
            "shown": {key: _plain(value) for key, value in step.items()},
            "calls": {plugin: _once(visit.calls[name][plugin], plugin == "scaffolder") for plugin in COMPARED},
        }
        for name, step in visit.steps.items()
    ]


def _once(calls: list[Call], whole: bool) -> list[Call]:
    found: dict[str, Call] = {}
    for call in calls:
        short = call if whole and not call.question[1].endswith("/v2/actions") else call._replace(body=None)
        if not whole:
            short = short._replace(question=(*call.question[:2], "", ""))
        found[json.dumps(short)] = short
    return list(found.values())


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return plain(value) if isinstance(value, str) else value


if __name__ == "__main__":
    asyncio.run(record())
