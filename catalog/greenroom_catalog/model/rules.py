"""Which kinds of entity may come from which location: `catalog.rules`, and the `rules` of a configured location (spec 02 §4.10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from greenroom.entity import Entity
from greenroom.errors import ConfigError
from greenroom_catalog.model.globs import Glob


class AllowedKind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind, or only those entities of it whose `spec.type` is the given one. Letter case does not matter."""

    kind: str
    spec_type: str | None = msgspec.field(name="spec.type", default=None)

    def allows(self, entity: Entity) -> bool:
        if entity["kind"].lower() != self.kind.lower():
            return False
        if not self.spec_type:
            return True
        spec = entity.get("spec")
        found = spec.get("type") if isinstance(spec, dict) else None
        return isinstance(found, str) and found.lower() == self.spec_type.lower()


class LocationMatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Locations of a type: all of them, the one with the `exact` target, or those whose target the `pattern` matches."""

    type: str
    exact: str | None = None
    pattern: str | None = None


class RuleConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `catalog.rules`."""

    allow: list[str | AllowedKind]
    locations: list[LocationMatch] | None = None


class LocationRuleConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the `rules` of a configured location."""

    allow: list[str]


class Place(NamedTuple):
    """Locations that a rule is for."""

    type: str
    exact: str | None
    glob: Glob | None

    def holds(self, type_: str, target: str) -> bool:
        if type_ != self.type or (self.exact and self.exact != target):
            return False
        return self.glob is None or self.glob.matches(target)


class Rule(NamedTuple):
    """These kinds are allowed in these places; None: everywhere."""

    kinds: Sequence[AllowedKind]
    places: Sequence[Place] | None


DEFAULT_RULES = (Rule([AllowedKind("Component"), AllowedKind("API"), AllowedKind("Location")], None),)
"""What holds when `catalog.rules` is not set: no users or groups from just anywhere."""


class Rules:
    """What the configuration allows. An entity that no rule allows is refused."""

    def __init__(self, rules: Sequence[Rule] = DEFAULT_RULES) -> None:
        self.rules = tuple(rules)

    def allows(self, entity: Entity, location: str) -> bool:
        """Whether an entity of sound envelope may come from a location, given as `type:target` (the *origin* location)."""
        type_, _, target = location.partition(":")
        return any(
            (rule.places is None or any(place.holds(type_.strip(), target.strip()) for place in rule.places))
            and any(kind.allows(entity) for kind in rule.kinds)
            for rule in self.rules
        )


def read_rules(rules: object, locations: object, *, folder: Path) -> Rules:
    """The raw values of `catalog.rules` (None: not set) and `catalog.locations` -> Rules.

    A `file` target is taken relative to `folder`, as the reader of such locations takes it. Raises ConfigError.
    """
    read = (
        [*DEFAULT_RULES]
        if rules is None
        else [_read_rule(rule, f"catalog.rules[{i}]") for i, rule in _items(rules, "catalog.rules")]
    )
    if locations is not None:
        for index, location in _items(locations, "catalog.locations"):
            read.extend(_read_location_rules(location, f"catalog.locations[{index}]", folder))
    return Rules(read)


def _read_rule(value: object, path: str) -> Rule:
    config = _convert(value, RuleConfig, path)
    kinds = [AllowedKind(kind) if isinstance(kind, str) else kind for kind in config.allow]
    if config.locations is None:
        return Rule(kinds, None)
    return Rule(kinds, [_read_place(match, f"{path}.locations[{i}]") for i, match in enumerate(config.locations)])


def _read_place(match: LocationMatch, path: str) -> Place:
    if match.pattern and match.exact:
        raise ConfigError(path, "a location of a rule cannot have both `exact` and `pattern`", hint="keep one of them")
    return Place(match.type, match.exact, Glob(match.pattern) if match.pattern else None)


def _read_location_rules(location: object, path: str, folder: Path) -> list[Rule]:
    if not isinstance(location, Mapping) or "rules" not in location:
        return []
    type_, target = location.get("type"), location.get("target")
    if not isinstance(type_, str) or not isinstance(target, str):
        raise ConfigError(path, "a location with rules needs a `type` and a `target`")
    exact = str(folder / target) if type_ == "file" else target
    configs = [
        _convert(rule, LocationRuleConfig, f"{path}.rules[{i}]")
        for i, rule in _items(location["rules"], f"{path}.rules")
    ]
    return [Rule([AllowedKind(kind) for kind in config.allow], [Place(type_, exact, None)]) for config in configs]


def _items(value: object, path: str) -> enumerate[Any]:
    if not isinstance(value, list | tuple):
        raise ConfigError(path, "expected a list", value=value)
    return enumerate(value)


def _convert(value: object, into: type[Any], path: str) -> Any:
    try:
        return msgspec.convert(value, into)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at `$")
        raise ConfigError(f"{path}{where.rstrip('`')}", problem[:1].lower() + problem[1:], value=value) from error
