"""Real templates and broken ones, before a real upstream and before our rooms: forms, TaskSpecs, verdicts on values and shapes.

python -m tests.conformance.schemas.templates [--broken N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from greenroom.entity import LOCATION, ORIGIN_LOCATION, Entity, ref_of
from greenroom.errors import GreenroomError, to_wire
from greenroom_scaffolder.templates import (
    Template,
    check_secrets,
    check_template,
    check_values,
    numbered_steps,
    parameter_schema,
    read_template,
    task_spec,
)
from greenroom_scaffolder.templates.generate import good_values
from greenroom_scaffolder.templates.shape import API_VERSION, flaws_of
from tests.conformance.oracle import REPOSITORY, upstream
from tests.conformance.schemas.live import corpus_templates, shared
from tests.conformance.schemas.sides import canonical
from tests.conformance.schemas.spoiled import bad_values
from tests.conformance.terminal import say

TOKEN = {"authorization": "Bearer oracle-token-for-tests"}
AT_ONCE = 2
WHOLE: dict[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": "Template",
    "metadata": {
        "name": "a", "namespace": "n", "title": "t", "description": "", "labels": {"a": "b"}, "annotations": {"a": "b"},
        "tags": ["x"], "links": [{"url": "u", "title": "t"}],
    },
    "spec": {
        "type": "x", "owner": "o", "lifecycle": "l", "parameters": [{"backstage:permissions": {"tags": ["a"]}}],
        "secrets": {"schema": {}}, "presentation": {"buttonLabels": {"backButtonText": "a"}},
        "EXPERIMENTAL_recovery": {"EXPERIMENTAL_strategy": "none"}, "formDecorators": [{"id": "a", "input": {}}], "steps": [],
        "output": {"links": [{"if": True, "url": "a"}], "text": [{"content": "a"}], "b": "c"},
    },
    "relations": [{"type": "a", "targetRef": "b:c/d", "target": {"kind": "a", "namespace": "b", "name": "c"}}],
    "status": {"items": [{"type": "a", "level": "info", "message": "m", "error": {"name": "n", "message": "m"}}]},
}  # fmt: skip
"""A template with everything but steps, for breaking."""


def filled(template: Template) -> dict[str, Any]:
    """Values that should do for all blocks."""
    values: dict[str, Any] = {}
    for block in template.blocks:
        made = next(good_values(block), None)
        values.update(made if isinstance(made, dict) else {})
    return values


def dry_runs(templates: Iterable[Template]) -> Iterator[dict[str, Any]]:
    """Each template without its steps, with values good and bad."""
    for template in templates:
        entity = {**template.entity, "spec": {**template.spec, "steps": [], "output": {}}}
        full = filled(template)
        bad = (value for block in template.blocks for value in islice(bad_values(block), 2) if isinstance(value, dict))
        for values in (full, {}, *({**full, **value} for value in bad)):
            yield asked(entity, values)


def asked(entity: Any, values: dict[str, Any]) -> dict[str, Any]:
    return {"template": entity, "values": values, "secrets": {}, "directoryContents": []}


def broken(seed: int) -> Any:
    """The whole template with one or two things replaced, removed or added."""
    rng = random.Random(seed)
    whole = json.loads(json.dumps(WHOLE))
    for _ in range(rng.choice([1, 1, 1, 2])):
        node: Any = whole
        while node:
            key: Any = rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
            if isinstance(node[key], dict | list) and node[key] and rng.random() < 0.8:
                node = node[key]
                continue
            chance = rng.random()
            if chance < 0.6:
                node[key] = rng.choice([None, 5, "", [], {}, "x", True, [5], {"a": 5}])
            elif chance < 0.8:
                del node[key]
            elif isinstance(node, dict):
                node["extra"] = rng.choice([1, "a"])
            break
    return whole


def our_verdict(body: dict[str, Any]) -> tuple[int, Any]:
    """Status and errors of a dry run that has no steps."""
    try:
        check_template(body["template"])
        template = read_template(body["template"])
        problems = check_values(template, body["values"]) or check_secrets(template, body["secrets"])
    except GreenroomError as error:
        return error.status, {"error": to_wire(error)}
    if problems:
        return 400, {"errors": json.loads(msgspec.json.encode(problems))}
    return 200, {"steps": numbered_steps(template)}


class Upstream:
    def __init__(self, base: str, session: aiohttp.ClientSession) -> None:
        self.base, self.session, self.gate = base, session, asyncio.Semaphore(AT_ONCE)

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self.gate, self.session.request(method, self.base + path, json=body, headers=TOKEN) as answer:
            return answer.status, await answer.json()

    async def verdict(self, body: dict[str, Any]) -> str:
        """What differs between upstream's answer to a dry run and ours; empty if nothing does."""
        status, told = await self.ask("POST", "/api/scaffolder/v2/dry-run", body)
        ours = our_verdict(body)
        told = {key: told[key] for key in ours[1] if key in told}
        same = (meant(status, ours[0]), canonical(told)) == (ours[0], canonical(ours[1]))
        return "" if same else f"{canonical(body)}\n    upstream {status} {canonical(told)}\n    ours     {ours}"

    async def form(self, template: Template) -> str:
        """The same of a form, the order of its members included."""
        metadata = template.metadata
        place = f"{metadata.get('namespace', 'default')}/template/{metadata['name']}"
        _, told = await self.ask("GET", f"/api/scaffolder/v2/templates/{place}/parameter-schema")
        return "" if ordered(told) == ordered(parameter_schema(template)) else f"form of {place}: {told}"

    async def spec(self, template: Template) -> str:
        """The same of a TaskSpec."""
        ref, values = ref_of(template.entity), filled(template)
        status, told = await self.ask("POST", "/api/scaffolder/v2/tasks", {"templateRef": ref, "values": values})
        if status != 201:
            return "" if check_values(template, values) else f"{ref} is refused: {told}"
        _, task = await self.ask("GET", f"/api/scaffolder/v2/tasks/{told['id']}")
        ours = task_spec(template, values, ref=ref, base_url=template.base_url())
        same = canonical(task["spec"]) == canonical(ours) and list(task["spec"]) == list(ours)
        return "" if same else f"spec of {ref}: {task['spec']}"


def meant(upstream: int, ours: int) -> int:
    """Upstream fails over a template that is none; we say that it is one that cannot be (DIFFERENCES.md)."""
    return 400 if (upstream, ours) == (500, 400) else upstream


def is_sound(template: Template) -> bool:
    return not any(True for _ in flaws_of(template.entity))


def placed(template: Template) -> Entity:
    """The entity as one that a provider brings: with a location."""
    location = "url:https://example.com/templates/template.yaml"
    annotations = {**template.metadata.get("annotations", {}), LOCATION: location, ORIGIN_LOCATION: location}
    return {**template.entity, "metadata": {**template.metadata, "annotations": annotations}}


def ordered(form: Any) -> tuple[str, list[str], list[list[str]]]:
    return canonical(form), list(form), [list(page) for page in form.get("steps", [])]


async def compare(count: int) -> int:
    known = {ref_of(template.entity): template for template in corpus_templates(shared())}
    sound = {ref: template for ref, template in known.items() if is_sound(template)}
    with tempfile.TemporaryDirectory() as folder:
        seed = Path(folder) / "entities.ndjson"
        seed.write_bytes(b"".join(msgspec.json.encode(placed(template)) + b"\n" for template in sound.values()))
        async with (
            upstream(seed, REPOSITORY / "tests" / "conformance" / "base.yaml") as oracle,
            aiohttp.ClientSession() as session,
        ):
            return await compared(Upstream(oracle.base, session), list(sound), list(known.values()), count)


async def compared(side: Upstream, refs: Sequence[str], templates: Sequence[Template], count: int) -> int:
    _, served = await side.ask("GET", "/api/catalog/entities?filter=kind=template")
    stored = [read_template(entity) for entity in served if ref_of(entity) in set(refs)]
    bodies = [*dry_runs(templates), *(asked(broken(number), {}) for number in range(count))]
    different = 0
    for title, work in (
        ("forms", [side.form(template) for template in stored]),
        ("TaskSpecs", [side.spec(template) for template in stored]),
        ("verdicts", [side.verdict(body) for body in bodies]),
    ):
        found = [line for line in await asyncio.gather(*work) if line]
        say(*found, f"{title}: {len(work)} asked, {len(found)} differ")
        different += len(found) + (not work)
    return different


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broken", type=int, default=1500)
    given = parser.parse_args()
    if not (shared() / "corpus").is_dir():
        say("templates: skipped, the shared corpus is not here")
        return 0
    return int(asyncio.run(compare(given.broken)) > 0)


if __name__ == "__main__":
    sys.exit(main())
