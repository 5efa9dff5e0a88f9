"""Template entity and values -> TaskSpec: what a worker is to do, written down so that it needs the template no more."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from greenroom.entity import LOCATION, SOURCE_LOCATION, Entity, EntityRef
from greenroom.errors import GreenroomError, InputError
from greenroom_scaffolder.templates.shape import API_VERSION

TaskSpec: TypeAlias = dict[str, Any]
"""`{apiVersion, steps, EXPERIMENTAL_recovery?, output, parameters, user, templateInfo}` (spec 03 §2.3)."""

DRY_RUN_REF = "template:default/dry-run"

MayRead: TypeAlias = Callable[[Mapping[str, Any]], bool]
"""Whether a user may know of a block of parameters, or of a step: `tags_of` says by which tags to tell."""

_SCRIPT = re.compile(r"[\x00-\x1f ]*" + r"[\r\n\t]*".join("javascript") + r"[\r\n\t]*:", re.IGNORECASE)


class LocationRefError(GreenroomError):
    """An annotation says in no known form where the template comes from"""

    name = "TypeError"  # what upstream throws


class Template(msgspec.Struct, frozen=True):
    """A Template entity, read: `blocks` are the pages of its form, `steps` what it does."""

    entity: Entity
    blocks: Sequence[Mapping[str, Any]]
    steps: Sequence[Mapping[str, Any]]

    @property
    def spec(self) -> Mapping[str, Any]:
        return as_object(self.entity.get("spec"))

    @property
    def metadata(self) -> Mapping[str, Any]:
        return as_object(self.entity.get("metadata"))

    @property
    def secrets_schema(self) -> Any:
        """The JSON Schema of the secrets that are asked for; None if any will do."""
        return as_object(self.spec.get("secrets")).get("schema") or None

    def readable_by(self, may_read_block: MayRead, may_read_step: MayRead) -> Template:
        """The template without what the predicates refuse: neither shown, nor checked, nor run (spec 03 §9)."""
        return msgspec.structs.replace(
            self,
            blocks=[block for block in self.blocks if may_read_block(block)],
            steps=[step for step in self.steps if may_read_step(step)],
        )

    def base_url(self) -> str | None:
        """What relative URLs are relative to: the source location, or where the template's file stands.

        Raises LocationRefError with upstream's words."""
        annotations = as_object(self.metadata.get("annotations"))
        location = annotations.get(SOURCE_LOCATION) or annotations.get(LOCATION)
        if not location:
            return None
        kind, target = _parse_location(location)
        return {"url": target, "file": f"file://{target}"}.get(kind)


def as_object(value: Any) -> Mapping[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def read_template(entity: Entity) -> Template:
    """An entity of the kind Template as the catalog has it. Raises InputError for an apiVersion that is not upstream's."""
    if entity.get("apiVersion") != API_VERSION:
        raise InputError(f"Unsupported apiVersion field in schema entity, {entity.get('apiVersion', 'undefined')}")
    spec = as_object(entity.get("spec"))
    blocks, steps = spec.get("parameters"), spec.get("steps")
    listed = blocks if isinstance(blocks, list) else [blocks]
    return Template(
        entity=entity,
        blocks=[block for block in listed if isinstance(block, Mapping)],
        steps=[step for step in steps if isinstance(step, Mapping)] if isinstance(steps, list) else [],
    )


def tags_of(part: Mapping[str, Any]) -> Sequence[str]:
    """`backstage:permissions.tags` of a block of parameters or of a step."""
    tags = as_object(part.get("backstage:permissions")).get("tags")
    return tags if isinstance(tags, list) else []


def numbered_steps(template: Template) -> list[dict[str, Any]]:
    """The steps, each with an id (`step-1`, …) and a name (its action's), for those that have none."""
    return [
        {**step, "id": _or(step.get("id"), f"step-{number}"), "name": _or(step.get("name"), step.get("action"))}
        for number, step in enumerate(template.steps, 1)
    ]


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def task_spec(
    template: Template,
    values: Mapping[str, Any],
    *,
    ref: EntityRef | str,
    user_ref: str | None = None,
    user_entity: Entity | None = None,
    base_url: str | None = None,
) -> TaskSpec:
    """What a task has to do, members in upstream's order. `ref` is the template's; `base_url` mostly `template.base_url()`.

    Of a service that is no user, `user` is an empty object."""
    user = {"entity": user_entity, "ref": user_ref}
    info = {"entityRef": str(ref), "baseUrl": base_url, "entity": {"metadata": template.metadata}}
    recovery = {"EXPERIMENTAL_recovery": template.spec.get("EXPERIMENTAL_recovery")}
    return {
        "apiVersion": template.entity["apiVersion"],
        "steps": numbered_steps(template),
        **_present(recovery),
        "output": _or(template.spec.get("output"), {}),
        "parameters": values,
        "user": _present(user),
        "templateInfo": _present(info),
    }


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {key: member for key, member in members.items() if member is not None}


def _parse_location(location: Any) -> tuple[str, str]:
    if not isinstance(location, str):
        raise LocationRefError(
            f"Unable to parse location ref '{location}', unexpected argument {type(location).__name__}"
        )
    kind, colon, target = location.partition(":")
    kind, target = kind.strip(), target.strip()
    if not colon or not kind or not target:
        raise LocationRefError(
            f"Unable to parse location ref '{location}', expected '<type>:<target>', e.g. 'url:https://host/path'"
        )
    if kind in {"http", "https"}:
        raise LocationRefError(
            f"Invalid location ref '{location}', please prefix it with 'url:', e.g. 'url:{location}'"
        )
    if _SCRIPT.match(target):
        raise LocationRefError(f"Invalid location ref '{location}', target is a javascript: URL")
    return kind, target
