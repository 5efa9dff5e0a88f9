"""Every action there is, by id: found for a step, held against its schema, and told to those who write templates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from greenroom.errors import ConflictError, InputError, NotFoundError
from greenroom.plugin import Action
from greenroom_scaffolder.schemas.validator import CompiledSchema, compile_schema

_ORDER = " _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789"
_RANK = {character: rank for rank, character in enumerate(_ORDER)}


class Registry:
    """The actions of all plugins."""

    def __init__(self, actions: Iterable[Action[Any]]) -> None:
        """Raises ConflictError for two of one id, which stops the start."""
        self._actions: dict[str, Action[Any]] = {}
        self._schemas: dict[str, CompiledSchema] = {}
        for action in actions:
            if action.id in self._actions:
                raise ConflictError(f"Template action with ID '{action.id}' has already been registered")
            self._actions[action.id] = action

    def __iter__(self) -> Iterator[Action[Any]]:
        """In the order of `GET /v2/actions`."""
        return iter(sorted(self._actions.values(), key=lambda action: _collation(action.id)))

    def __contains__(self, action_id: object) -> bool:
        return action_id in self._actions

    def get(self, action_id: str) -> Action[Any]:
        """Raises NotFoundError, in upstream's words."""
        try:
            return self._actions[action_id]
        except (KeyError, TypeError):
            raise NotFoundError(
                f"Template action with ID '{action_id}' is not registered. See https://backstage.io/docs/features/"
                "software-templates/builtin-actions/ on how to add a new action module."
            ) from None

    def check(self, action: Action[Any], given: Any, called: str) -> None:
        """Hold a rendered input against the action's schema. `called` is its id, with `[key]` in a round of an `each`.

        Raises InputError that tells all that is wrong, in the words of upstream's validator; SchemaError."""
        if action.input_schema is None:
            return
        schema = self._schemas.get(action.id)
        if schema is None:
            schema = self._schemas[action.id] = compile_schema(action.input_schema)
        if problems := schema.validate(given):
            told = ", ".join(problem.stack for problem in problems)
            raise InputError(f"Invalid input passed to action {called}, {told}")

    def listing(self) -> list[dict[str, Any]]:
        """What `GET /v2/actions` answers: `[{"id", "description"?, "examples"?, "schema": {"input"?, "output"?}}]`."""
        return [_told(action) for action in self]


def _told(action: Action[Any]) -> dict[str, Any]:
    schema = {"input": action.input_schema, "output": action.output_schema}
    told: dict[str, Any] = {"id": action.id}
    if action.description is not None:
        told["description"] = action.description
    if action.examples:
        told["examples"] = [_present(msgspec.structs.asdict(example)) for example in action.examples]
    told["schema"] = _present(schema)
    return told


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _collation(text: str) -> tuple[list[int], str]:
    """The order that JavaScript's localeCompare gives ids: marks before digits before letters, whatever their case; then
    small letters before capitals."""
    return [_RANK.get(character, len(_ORDER) + ord(character)) for character in text.lower()], text.swapcase()
