"""Robots: a kind of entities, by its JSON Schema and the relations that its fields make."""

from collections.abc import Iterable

from greenroom import Contribution, EntityKind, Host, NoConfig, RelationField, plugin

SPEC = {
    "type": "object",
    "required": ["legs", "owner"],
    "properties": {"legs": {"type": "integer", "minimum": 0}, "owner": {"type": "string"}},
    "additionalProperties": False,
}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "required": ["spec"],
    "properties": {"spec": SPEC},
}


@plugin("robots", NoConfig)
def robots(config: NoConfig, host: Host) -> Iterable[Contribution]:
    """The kind Robot."""
    owned = RelationField("spec.owner", "ownedBy", "ownerOf", kind="Group")
    yield EntityKind("Robot", ["robots.example/v1"], SCHEMA, [owned])
