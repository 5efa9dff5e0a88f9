"""Layers -> one config: merged, addressed by dotted paths, and read section by section into typed structs."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from greenroom.settings.documents import Place
from greenroom.settings.layers import Layer, Source, environment_layer, file_layer, overrides_layer, written
from greenroom.settings.redaction import redact
from greenroom.settings.sections import Section

T = TypeVar("T")

_PART = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


class AppConfig:
    """The merged config. Nothing in it changes once it is loaded; what is returned is the caller's own copy."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = tuple(layers)
        merged: dict[str, Any] = {}
        for layer in layers:
            merged = _merge(layer.data, merged)
        self._data = merged
        self._known: set[Place] = set()
        self._unknown: dict[Place, str] = {}
        self._cautions: dict[str, None] = dict.fromkeys(text for layer in layers for text in layer.warnings)

    @property
    def warnings(self) -> list[str]:
        """What is odd but does not stop the start: unknown keys of the sections read so far, settings without effect.

        A key is not unknown if any reader knows it, or something below it."""
        unknown = [
            text
            for place, text in self._unknown.items()
            if not any(known[: len(place)] == place for known in self._known)
        ]
        return [*self._cautions, *unknown]

    def get(self, path: str, default: Any = None) -> Any:
        """The raw value at a dotted path (`backend.listen.port`, `catalog.locations[0].type`), or the default."""
        value = _find(self._data, _place(path))
        return default if value is None else copy.deepcopy(value)

    def has(self, path: str) -> bool:
        """Whether a value is set there. One that was set to null is not."""
        return _find(self._data, _place(path)) is not None

    def origin(self, path: str) -> str:
        """The file or environment variable that set the value (the last of several, for an object); "" if none did."""
        place = _place(path)
        return self._source(place).name if _find(self._data, place) is not None else ""

    def section(self, path: str, into: type[T]) -> T:
        """Read a section into a type. A missing one is read as `{}`.

        Numbers and booleans may be given as text, and durations (`timedelta`) as in `parse_duration`. An unknown key is
        a warning. Raises ConfigError with file and line, the path down to the list index, the value unless it is
        secret, and a hint."""
        place = _place(path)
        value = _find(self._data, place)
        self._known.add(place)
        section = Section(self._source, self.redacted_at, self._dropped_near)
        result = section.read({} if value is None else copy.deepcopy(value), into, place)
        self._known.update(section.known)
        self._unknown.update(section.unknown)
        self._cautions.update(dict.fromkeys(section.cautions))
        return result

    def as_dict(self) -> dict[str, Any]:
        """The whole config, secrets included."""
        return copy.deepcopy(self._data)

    def redacted(self) -> dict[str, Any]:
        """The whole config with `<secret>` for what must not be shown."""
        shown: dict[str, Any] = redact(self._data, self._inputs)
        return shown

    def redacted_at(self, place: Place) -> Any:
        """What `redacted()` has at a place."""
        return _find(self.redacted(), place)

    def secrets(self) -> list[str]:
        """Every text that `redacted()` hides, whole or in part, and passwords within URLs: for a filter of log lines."""
        found: list[str] = []
        for value, shown in _leaves(self._data, self.redacted()):
            if isinstance(value, str) and value != shown:
                found += [value, unquote(urlsplit(value).password or "")] if "://" in value else [value]
        return [text for text in found if text]

    def _inputs(self, place: Place) -> Iterable[str]:
        return self._source(place).inputs

    def _dropped_near(self, place: Place) -> list[str]:
        """Why values are absent that would be at a place, in it, around it, or beside it in the same object."""
        absent = {
            one: why for layer in self._layers for one, why in layer.dropped.items() if _find(self._data, one) is None
        }
        return [f"{written(one)} is left out: {why}" for one, why in absent.items() if _is_near(one, place)]

    def _source(self, place: Place) -> Source:
        """The source of the value at a place, or of the nearest object around it that is set."""
        while place:
            for layer in reversed(self._layers):
                if _find(layer.data, place) is not None:
                    return layer.source(place)
            place = place[:-1]
        return Source("")


def load(paths: Sequence[Path], environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> AppConfig:
    """Read config files in order, then `APP_CONFIG_` variables, then overrides; later ones win.

    Objects merge; anything else replaces what was there, and null removes it. The keys of overrides may be dotted
    paths. Raises ConfigError."""
    layers = [file_layer(path, environ) for path in paths]
    return AppConfig([*layers, environment_layer(environ), overrides_layer(overrides or {})])


def default_paths(folder: Path, environ: Mapping[str, str]) -> list[Path]:
    """The config files of a folder that are read when none are named, in order, as upstream: `app-config.yaml`,
    `app-config.<env>.yaml`, `app-config.local.yaml`, `app-config.<env>.local.yaml`, for each `<env>` of
    `BACKSTAGE_ENV`. Only those that exist; possibly none."""
    names = [name.strip() for name in environ.get("BACKSTAGE_ENV", "").split(",") if name.strip()]
    parts = ["", *(f".{name}" for name in names), ".local", *(f".{name}.local" for name in names)]
    return [path for part in parts if (path := folder / f"app-config{part}.yaml").is_file()]


def _merge(new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """The newer keys come first, as upstream; a null removes what an older layer set. Arrays are taken as they are."""
    merged: dict[str, Any] = {}
    for key in dict.fromkeys([*new, *old]):
        value = _merged(new[key], old.get(key)) if key in new else old[key]
        if value is not None:
            merged[key] = value
    return merged


def _merged(new: object, old: object) -> object:
    if isinstance(new, Mapping):
        return _merge(new, old if isinstance(old, Mapping) else {})
    return new


def _leaves(value: object, shown: object) -> Iterator[tuple[object, object]]:
    """The scalars of two values of the same shape, pair by pair; where one is cut short, what is left of the other."""
    if isinstance(value, Mapping) and isinstance(shown, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, shown.get(key))
    elif isinstance(value, list) and isinstance(shown, list):
        for inner, shown_inner in zip(value, shown, strict=True):
            yield from _leaves(inner, shown_inner)
    elif isinstance(value, (Mapping, list)):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(inner, None)
    else:
        yield value, shown


def _place(path: str) -> Place:
    """`a.b[0].c` or `a.b.0.c`; an empty path is the whole config."""
    return tuple(int(index) if index else name for index, name in _PART.findall(path))


def _is_near(one: Place, other: Place) -> bool:
    """In the same object, or one within the other."""
    shorter = min(len(one), len(other))
    return one[:-1] == other[:-1] or one[:shorter] == other[:shorter]


def _find(value: object, place: Place) -> Any:
    """The value at a place, or None."""
    for part in place:
        if isinstance(value, Mapping):
            value = value.get(part if isinstance(part, str) else str(part))
        elif isinstance(value, list):
            index = part if isinstance(part, int) else int(part) if part.isdecimal() else -1
            value = value[index] if 0 <= index < len(value) else None
        else:
            return None
    return value
