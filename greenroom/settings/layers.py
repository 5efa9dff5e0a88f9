"""A config file or the environment -> one layer: values, variables and included files resolved, each with its source.

The rules are those of `@backstage/config-loader` 1.11 (checked by running it): `${NAME}`, `${NAME:-fallback}` and
`$${literal}` in values, never in keys; `{$env: NAME}`, `{$file: path}` and `{$include: path#key.below}` alone in an
object; a value made from a variable that is not set is dropped, as if the line were not there;
`APP_CONFIG_a_b=<JSON or text>` for `a.b`.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from greenroom.errors import ConfigError
from greenroom.settings.documents import PARSERS, ParsedFile, Place, parse_yaml, read_text

ENV_PREFIX = "APP_CONFIG_"

_VARIABLE = re.compile(r"(\$?\$\{[^{}]*\})")
_KEY_PART = re.compile(r"[a-zA-Z][a-zA-Z0-9]*(?:[-_:][a-zA-Z0-9]+)*\Z")
_INCLUDES = ("$file", "$env", "$include")


class Source(msgspec.Struct, frozen=True):
    """Where a value came from."""

    name: str
    """A file as it was named by whoever asked for it, or an environment variable."""
    line: int | None = None
    inputs: tuple[str, ...] = ()
    """The environment variables and secret files the value was made from."""


class Layer(msgspec.Struct, frozen=True):
    """One layer of config, and the source of each value in it."""

    data: dict[str, Any]
    sources: dict[Place, Source]
    warnings: tuple[str, ...] = ()
    dropped: dict[Place, str] = {}
    """The values that are as if their lines were not there, and why: `NAME is not set`."""

    def source(self, place: Place) -> Source:
        """The source of the value at a place, or of the nearest one around it."""
        while place and place not in self.sources:
            place = place[:-1]
        return self.sources.get(place, Source(""))


class _Dropped(msgspec.Struct, frozen=True):
    """What is left of a value whose variable is not set."""

    why: str


def written(place: Place) -> str:
    """A place as upstream writes it: `catalog.locations[2].type`."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in place]
    return "".join(parts).removeprefix(".")


def file_layer(path: Path, environ: Mapping[str, str]) -> Layer:
    """Read one config file. An empty one is an empty layer. Raises ConfigError."""
    parsed = parse_yaml(read_text(path), str(path))
    if parsed.value is None:
        return Layer({}, {})
    if not isinstance(parsed.value, dict):
        raise ConfigError(str(path), "a config file holds an object with sections, such as `backend:`")
    resolver = _Resolver(environ)
    data = resolver.resolve(parsed.value, (), _Here(parsed, path.parent))
    if not isinstance(data, dict):
        raise ConfigError(str(path), "the included value is not an object with sections")
    return Layer(data, resolver.sources, tuple(resolver.warnings), resolver.dropped)


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """The layer of all `APP_CONFIG_` variables: the rest of the name is the path, with `_` between keys; the value is
    JSON, or else text. Empty ones do not count. Raises ConfigError for names and values that upstream refuses."""
    layer = Layer({}, {})
    for name, value in environ.items():
        if name.startswith(ENV_PREFIX) and value:
            _set_from_environment(layer, name, value)
    return layer


def _set_from_environment(layer: Layer, name: str, text: str) -> None:
    place = tuple(name.removeprefix(ENV_PREFIX).split("_"))
    if not all(_KEY_PART.match(part) for part in place):
        raise ConfigError(
            name, "the name of the variable is not a config path", hint="such as APP_CONFIG_backend_baseUrl"
        )
    value = _json_or_text(text)
    if value is None:
        raise ConfigError(name, "the value may not be null")
    target = layer.data
    for depth, part in enumerate(place[:-1], start=1):
        if target.get(part) is None:
            target[part] = {}
        target = target[part]
        if not isinstance(target, dict):
            raise ConfigError(
                name, f"{written(place[:depth])} is already set by another variable, and not to an object"
            )
    if place[-1] in target:
        raise ConfigError(name, f"{written(place)} is already set by another variable")
    target[place[-1]] = value
    layer.sources[place] = Source(name, inputs=(name,))


def _json_or_text(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def overrides_layer(overrides: Mapping[str, Any]) -> Layer:
    """The layer of values given by the caller: nested, or with dotted paths as keys of the outermost mapping."""
    layer = Layer({}, {(): Source("command line")})
    for path, value in overrides.items():
        nested: Any = value
        for part in reversed(path.split(".")):
            nested = {part: nested}
        _update(layer.data, nested)
    return layer


def _update(into: dict[str, Any], new: Mapping[str, Any]) -> None:
    for key, value in new.items():
        present = into.get(key)
        if isinstance(value, Mapping) and isinstance(present, dict):
            _update(present, value)
        else:
            into[key] = value


class _Here(msgspec.Struct, frozen=True):
    """The file that is being resolved, and how deep in it and in its includers."""

    parsed: ParsedFile
    folder: Path
    place: Place = ()
    """Where in the file the value stands."""
    includes: tuple[tuple[str, str], ...] = ()

    def below(self, part: str | int) -> _Here:
        return msgspec.structs.replace(self, place=(*self.place, part))

    def source(self, inputs: tuple[str, ...] = ()) -> Source:
        return Source(self.parsed.name, self.parsed.line(self.place), inputs)


class _Resolver:
    """Resolves the variables and inclusions of one layer, and notes the source of every value."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.sources: dict[Place, Source] = {}
        self.warnings: list[str] = []
        self.dropped: dict[Place, str] = {}

    def resolve(self, value: object, place: Place, here: _Here) -> object:
        """The value as it counts, for its place in the layer; _Dropped if made from a variable that is not set."""
        if isinstance(value, str):
            text, inputs = self._substitute(value)
            self.sources[place] = here.source(inputs)
            return text
        if isinstance(value, dict):
            key = self._inclusion(value, place, here)
            if key is not None:
                return self._include(key, value[key], place, here)
        self.sources[place] = here.source()
        return self._members(value, place, here)

    def _members(self, value: object, place: Place, here: _Here) -> object:
        """The value with everything inside it resolved. What is dropped leaves no gap in an array."""
        if isinstance(value, dict):
            members = {key: self.resolve(item, (*place, key), here.below(key)) for key, item in value.items()}
            return {key: item for key, item in members.items() if not self._is_dropped(item, (*place, key))}
        if isinstance(value, list):
            items: list[object] = []
            for index, item in enumerate(value):
                at = (*place, len(items))
                resolved = self.resolve(item, at, here.below(index))
                if not self._is_dropped(resolved, at):
                    items.append(resolved)
            return items
        return value

    def _is_dropped(self, resolved: object, place: Place) -> bool:
        if isinstance(resolved, _Dropped):
            self.dropped[place] = resolved.why
            return True
        return False

    def _variable(self, name: str) -> str | None:
        value = self._environ.get(name)
        return value.strip() if value is not None else None

    def _substitute(self, text: str) -> tuple[str | _Dropped, tuple[str, ...]]:
        """The text with its variables filled in, and their names."""
        parts: list[str | None] = list(_VARIABLE.split(text))
        names: list[str] = []
        unset: list[str] = []
        for index in range(1, len(parts), 2):
            part = parts[index] or ""
            if part.startswith("$$"):
                parts[index] = part[1:]
                continue
            name, separator, fallback = part[2:-1].partition(":-")
            names.append(name.strip())
            found = self._variable(name.strip())
            parts[index] = (found or fallback.strip() or None) if separator else found
            if parts[index] is None:
                unset.append(name.strip())
        known = [part for part in parts if part is not None]
        return (_unset(unset) if unset else "".join(known)), tuple(names)

    def _inclusion(self, value: dict[str, Any], place: Place, here: _Here) -> str | None:
        key = next((key for key in value if key in _INCLUDES), None)
        if key is not None and len(value) != 1:
            raise self._error(place, here, f"{key} must stand alone in its object")
        return key

    def _include(self, key: str, argument: object, place: Place, here: _Here) -> object:
        if not isinstance(argument, str):
            raise self._error(place, here, f"{key} wants a text")
        text, inputs = self._substitute(argument)
        if not isinstance(text, str):
            raise self._error(place, here, f"{key} uses a variable, but {text.why}")
        if key == "$env":
            self.sources[place] = here.source((text, *inputs))
            return _unset([text]) if (found := self._variable(text)) is None else found
        if key == "$file":
            self.sources[place] = here.source((text, *inputs))
            return self._read(here, place, text).rstrip()
        return self._include_data(text, place, here)

    def _include_data(self, text: str, place: Place, here: _Here) -> object:
        """`$include: path#key.below`. The value found is resolved in its own file, but not followed if it is itself an
        inclusion, which upstream leaves as it stands."""
        name, _, inner = text.partition("#")
        parser = PARSERS.get(os.path.splitext(name)[1])  # noqa: PTH122 - Path.suffix differs for `a.`
        if parser is None:
            raise self._error(
                place, here, f"cannot include {name}", "use a .yaml, .yml or .json file, or $file for plain text"
            )
        path = _join(here.folder, name)
        if (str(path), inner) in here.includes:
            raise self._error(place, here, f"{text} includes itself")
        parsed = parser(self._read(here, place, name), str(path))
        value, inside = self._select(parsed, inner, place, here)
        there = _Here(parsed, path.parent, inside, (*here.includes, (str(path), inner)))
        if isinstance(value, str | _Dropped):
            return value if isinstance(value, _Dropped) else self.resolve(value, place, there)
        if isinstance(value, dict) and self._inclusion(value, place, there):
            self.warnings.append(
                f"{here.parsed.name}: {written(place)}: {text} is an inclusion itself, and is not followed"
            )
        self.sources[place] = there.source()
        return self._members(value, place, there)

    def _select(self, parsed: ParsedFile, inner: str, place: Place, here: _Here) -> tuple[object, Place]:
        value, inside = parsed.value, tuple(inner.split(".")) if inner else ()
        for depth, part in enumerate(inside):
            if not isinstance(value, dict):
                raise self._error(
                    place, here, f"{'.'.join(inside[:depth]) or 'the content'} in {parsed.name} is not an object"
                )
            if part not in value:
                return _Dropped(f"{parsed.name} has no {inner}"), inside
            value = value[part]
        return value, inside

    def _read(self, here: _Here, place: Place, name: str) -> str:
        try:
            return read_text(_join(here.folder, name))
        except ConfigError as error:
            raise self._error(place, here, f"{error.path}: {error.problem}") from None

    def _error(self, place: Place, here: _Here, problem: str, hint: str = "") -> ConfigError:
        line = here.source().line
        file = here.parsed.name if line is None else f"{here.parsed.name}:{line}"
        return ConfigError(written(place), problem, hint=hint, file=file)


def _unset(names: Sequence[str]) -> _Dropped:
    different = list(dict.fromkeys(names))
    return _Dropped(f"{' and '.join(different)} {'is' if len(different) == 1 else 'are'} not set")


def _join(folder: Path, name: str) -> Path:
    """A path relative to the folder of the file that names it; absolute ones and `..` are allowed, as upstream."""
    return Path(os.path.normpath(folder / name))
