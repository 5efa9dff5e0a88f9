"""Templates on both sides: their forms, what these take and refuse, and their dry runs.

    python -m tests.conformance.scaffolder_corpus [NAME…]

They are the real ones of the shared corpus, and those of `templates/`, which do what the real ones leave out. Each is tried out
as it is, with the files of its folder; then it grows step by step, of those steps whose actions both sides have and that come to
an end, so that what follows a step that needs the world outside is tried out as well.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from greenroom.entity import Entity
from greenroom_catalog.ingestion.parser import Parsed, parse
from greenroom_scaffolder.templates.generate import good_values
from tests.conformance.fuzz.sides import Side
from tests.conformance.oracle import shared_folder
from tests.conformance.scaffolder_sides import both, compared, given, placed
from tests.conformance.schemas.spoiled import bad_values
from tests.conformance.script import HERE

LAYER = """
backend: {workingDirectory: /tmp}
scaffolder: {concurrentTasksLimit: 0}
"""
"""Tasks are created and never run. Workspaces are in one place, so that paths are the same."""

FORMS, GOOD, BAD = 2, 3, 20
"""How many values each template is tried out with, and how many its form is asked about."""


class Template(msgspec.Struct):
    """One real template."""

    file: str
    """From the root of what it is one of."""
    name: str
    """Under which it is registered: they have each other's names."""
    entity: Entity
    home: Path
    """The folder it lies in."""
    repository: Path
    files: list[dict[str, str]]
    """Those of its folder, as a dry run takes them."""


class Findings:
    """What was asked, and what differs."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.lines: list[str] = []

    def note(self, what: str, template: Template, lines: Sequence[str]) -> None:
        self.asked[what] += 1
        self.lines += [f"{template.file} {template.name}: {what}: {line}" for line in lines]


def corpus() -> Path:
    return shared_folder() / "corpus"


def listed() -> Iterator[tuple[Path, str]]:
    """Roots and files below them in which there are templates."""
    index = corpus() / "templates.jsonl"
    lines = index.read_text().splitlines() if index.exists() else []
    yield from ((corpus(), file) for file in dict.fromkeys(json.loads(line)["file"] for line in lines))
    own = HERE / "templates"
    for path in sorted(own.rglob("*.yaml")):
        if b"\nkind: Template\n" in path.read_bytes():
            yield own, str(path.relative_to(own))


def templates(names: Sequence[str]) -> Iterator[Template]:
    """All of them, or those whose file has one of the names in it."""
    index = 0
    for root, file in listed():
        path = root / file
        for document in parse(path.read_bytes()):
            entity = document.value if isinstance(document, Parsed) else None
            if isinstance(entity, dict) and entity.get("kind") == "Template":
                index += 1
                if not names or any(name in file for name in names):
                    plain = json.loads(json.dumps(entity, default=str))
                    name, repository = f"t{index}", root / file.partition("/")[0]
                    files = list(_beside(path.parent))
                    yield Template(file, name, placed(plain, name), path.parent, repository, files)


def _beside(folder: Path, under: str = "") -> Iterator[dict[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = base64.b64encode(path.read_bytes()).decode()
            yield {"path": f"{under}{path.relative_to(folder)}", "base64Content": content}


def moved_in(template: Template) -> Template:
    """With folders elsewhere in the repository that its steps fetch from among the files of its own: a dry run has no others."""
    steps, files = [], list(template.files)
    for index, step in enumerate(template.entity["spec"].get("steps") or []):
        url = (step.get("input") or {}).get("url")
        folder = (template.home / url).resolve() if isinstance(url, str) and url.startswith("..") else None
        if folder is not None and folder.is_dir() and folder.is_relative_to(template.repository.resolve()):
            files += _beside(folder, f"moved{index}/")
            steps.append({**step, "input": {**step["input"], "url": f"./moved{index}"}})
        else:
            steps.append(step)
    entity = {**template.entity, "spec": {**template.entity["spec"], "steps": steps}}
    return msgspec.structs.replace(template, entity=entity, files=files)


def blocks(entity: Entity) -> list[Any]:
    """The pages of its form."""
    parameters = (entity.get("spec") or {}).get("parameters") or []
    return parameters if isinstance(parameters, list) else [parameters]


def filled_in(entity: Entity, variety: int) -> list[dict[str, Any]]:
    """Values that its whole form takes."""
    pages = [[found for found in good_values(block) if isinstance(found, dict)] for block in blocks(entity)]
    found: list[dict[str, Any]] = []
    for at in range(variety):
        values: dict[str, Any] = {}
        for page in pages:
            values |= page[at % len(page)] if page else {}
        if values not in found:
            found.append(values)
    return found


def refused(entity: Entity, most: int) -> list[dict[str, Any]]:
    """Values of which one page of the form refuses some."""
    pages = blocks(entity)
    found: list[dict[str, Any]] = []
    for at, page in enumerate(pages):
        others = {**entity, "spec": {"parameters": [*pages[:at], *pages[at + 1 :]]}}
        around = (filled_in(others, 1) or [{}])[0]
        spoiled = islice((value for value in bad_values(page) if isinstance(value, dict)), most // len(pages) + 1)
        found += [{**around, **value} for value in spoiled]
    return found


async def forms(sides: Sequence[Side], template: Template, findings: Findings) -> None:
    """What the form is, and what it takes."""
    triplet = f"/templates/default/template/{template.name}/parameter-schema"
    findings.note("form", template, (await compared(sides, "GET", triplet))[1])
    for what, values in (
        *(("good values", one) for one in filled_in(template.entity, GOOD)),
        *(("bad values", one) for one in refused(template.entity, BAD)),
    ):
        body = {"templateRef": f"template:default/{template.name}", "values": values}
        found, lines = await compared(sides, "POST", "/tasks", body)
        findings.note(f"{what}, {found.answer.status}", template, lines)


def tried_out(template: Template, values: Mapping[str, Any], steps: Sequence[Any]) -> dict[str, Any]:
    """The body of a dry run, with these steps."""
    entity = {**template.entity, "spec": {**template.entity["spec"], "steps": list(steps)}}
    return {"template": entity, "values": values, "secrets": {}, "directoryContents": template.files}


async def dry_runs(sides: Sequence[Side], template: Template, actions: set[str], findings: Findings) -> None:
    """As it is where both sides have all its actions, and grown of what both come to the end of."""
    steps = (template.entity.get("spec") or {}).get("steps") or []
    for values in filled_in(template.entity, FORMS):
        if all(step.get("action") in actions for step in steps):
            found, lines = await compared(sides, "POST", "/dry-run", tried_out(template, values, steps))
            findings.note(f"dry run, {found.answer.status}", template, lines)
            if found.answer.status == 200:
                continue
        kept: list[Any] = []
        moved = moved_in(template)
        for step in (step for step in moved.entity["spec"]["steps"] if step.get("action") in actions):
            body = tried_out(moved, values, [*kept, step])
            found, lines = await compared(sides, "POST", "/dry-run", body)
            findings.note(f"dry run of some steps, {found.answer.status}", template, lines)
            if found.answer.status == 200:
                kept.append(step)


async def whole(names: Sequence[str]) -> Findings:
    """Everything about every template."""
    found, findings, told = list(templates(names)), Findings(), 0
    async with both(LAYER) as sides:
        for at in range(0, len(found), 20):
            await given(sides, [one.entity for one in found[at : at + 20]])
        actions = await known_to_both(sides)
        for template in found:
            await forms(sides, template, findings)
            await dry_runs(sides, template, actions, findings)
            sys.stderr.writelines(f"{line}\n" for line in findings.lines[told:])
            told = len(findings.lines)
    return findings


async def known_to_both(sides: Sequence[Side]) -> set[str]:
    """Ids of actions that both have, and of those that neither has."""
    listed = [(await compared([side, side], "GET", "/actions"))[0].answer.body for side in sides]
    theirs, ours = ({action["id"] for action in some} for some in listed)
    return _Except(theirs ^ ours)


class _Except(set[str]):
    """All but these."""

    def __contains__(self, item: object) -> bool:
        return not super().__contains__(item)


def main() -> int:
    findings = asyncio.run(whole(sys.argv[1:]))
    asked = ", ".join(f"{count} {what}" for what, count in sorted(findings.asked.items()))
    sys.stdout.writelines(f"{line}\n" for line in [*findings.lines, f"templates: {asked}"])
    sys.stdout.write(f"templates: {len(findings.lines)} differences\n")
    return 1 if findings.lines else 0


if __name__ == "__main__":
    sys.exit(main())
