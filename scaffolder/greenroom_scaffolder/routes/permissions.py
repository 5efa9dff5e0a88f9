"""The permissions and rules of the scaffolder, as they are defined to the rest of the world (spec 03 §9, 05b §2)."""

from __future__ import annotations

from typing import Any

from greenroom.permissions import Permission, Rule

TEMPLATE, ACTION, TASK = "scaffolder-template", "scaffolder-action", "scaffolder-task"

DRY_RUN = Permission("scaffolder.template.dry-run")
PARAMETER_READ = Permission("scaffolder.template.parameter.read", "read", TEMPLATE)
STEP_READ = Permission("scaffolder.template.step.read", "read", TEMPLATE)
ACTION_EXECUTE = Permission("scaffolder.action.execute", None, ACTION)
TASK_CANCEL = Permission("scaffolder.task.cancel", None, TASK)
TASK_CREATE = Permission("scaffolder.task.create", "create")
TASK_READ = Permission("scaffolder.task.read", "read", TASK)
TEMPLATE_MANAGEMENT = Permission("scaffolder.template.management")

ENTITY_READ = Permission("catalog.entity.read", "read", "catalog-entity")
"""The catalog's: templates and users are read as whoever asks."""

PERMISSIONS = (
    DRY_RUN,
    PARAMETER_READ,
    STEP_READ,
    ACTION_EXECUTE,
    TASK_CANCEL,
    TASK_CREATE,
    TASK_READ,
    TEMPLATE_MANAGEMENT,
)
"""In the order in which they are listed."""


def _one(type_: str, description: str) -> dict[str, Any]:
    return {"type": type_, "description": description}


def _property(type_: str) -> Rule:
    key = _one("string", "Dotted path into the action's input")
    value = _one(type_, "The property's value; any if left out")
    return Rule(
        f"HAS_{type_.upper()}_PROPERTY",
        f"Actions whose input has a property that is a {type_}",
        ACTION,
        {"key": key, "value": value},
        "key",
    )


_CREATORS = {"type": "array", "items": {"type": "string"}, "description": "Full refs of users who started the task"}

RULES = (
    Rule(
        "HAS_TAG", "Parameters and steps with a tag", TEMPLATE, {"tag": _one("string", "The tag, in its case")}, "tag"
    ),
    Rule("HAS_ACTION_ID", "Actions with an id", ACTION, {"actionId": _one("string", "The action's id")}, "actionId"),
    _property("boolean"),
    _property("number"),
    _property("string"),
    Rule("IS_TASK_OWNER", "Tasks started by some users", TASK, {"createdBy": _CREATORS}, "createdBy"),
)


def metadata() -> dict[str, Any]:
    """What `GET /.well-known/backstage/permissions/metadata` answers."""
    return {
        "permissions": [permission.to_wire() for permission in PERMISSIONS],
        "rules": [rule.to_wire() for rule in RULES],
    }
