"""datasets/ + requests/ -> Script: the data both sides are fed, and what they are asked, step by step."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import quote, urlencode

import msgspec
import yaml

HERE = Path(__file__).parent
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TOKEN = "oracle-token-for-tests"
"""The static service token that both sides accept, and that a request carries unless it says otherwise (`as`)."""

Order: TypeAlias = Literal["exact", "any", "count"] | dict[Literal["ties", "values"], str]


class Request(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One entry of a request list. Paths stand under `/api/catalog` unless they begin with `/api/` or `/.`.

    Exactly one of `get`, `post`, `put`, `delete`, `head`, `options`, `patch` gives method and path. `${name}` is filled in from
    the data set (`files`, `root`, `self`), the list's `generated` names, and what earlier requests `save`d.
    """

    name: str = ""
    """Default: the method, path, query and body themselves."""
    get: str | None = None
    post: str | None = None
    put: str | None = None
    delete: str | None = None
    head: str | None = None
    options: str | None = None
    patch: str | None = None
    query: dict[str, str | int | list[str]] = {}
    json: Any = msgspec.UNSET
    raw: str | None = None
    filler: int = 0
    """Bytes of padding appended to `raw`, for bodies that are too large to write down."""
    headers: dict[str, str] = {}
    as_: str | None = msgspec.field(name="as", default=TOKEN)
    """The bearer token; null for none."""
    order: Order = "exact"
    """How lists compare: `exact`; `any` order; `ties: field` (sorted by it, equal ones in any order); `values: field` (only
    that field, in order); `count` (only how many)."""
    walk: bool = False
    """Follow `nextCursor` to the end and `prevCursor` back again; the pages compare as a whole."""
    save: dict[str, str] = {}
    """Variables for later requests: name -> dotted path into the answer (`items.0.metadata.uid`), or `@link`, `@etag`."""
    until: dict[str, str] = {}
    """Dotted path into the answer -> the value to wait for: it is asked again and again until all are there."""
    security: bool = False
    """Record the security headers too."""

    @property
    def method(self) -> str:
        return next(verb for verb in VERBS if getattr(self, verb) is not None).upper()

    @property
    def path(self) -> str:
        path: str = getattr(self, self.method.lower())
        return path if path.startswith(("/api/", "/.")) or path == "/" else f"/api/catalog{path}"

    def __post_init__(self) -> None:
        if [getattr(self, verb) is not None for verb in VERBS].count(True) != 1:
            raise ValueError(f"{self.name or self}: exactly one of {', '.join(VERBS)} is needed")
        self.name = self.name or self._described()

    def _described(self) -> str:
        parts = [f"{self.method} {getattr(self, self.method.lower())}"]
        parts += [f"{key}={value}" for key, value in self.query.items()]
        if self.json is not msgspec.UNSET:
            parts.append(json_text(self.json))
        return " ".join(parts)


VERBS = ("get", "post", "put", "delete", "head", "options", "patch")


class Act(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A change of the world between two requests."""

    write: dict[str, str] = {}
    """Served files: path -> new text."""
    remove: list[str] = []
    settle: bool = False
    """Wait until every entity is processed and stitched."""


Step: TypeAlias = Request | Act


class RequestList(msgspec.Struct, forbid_unknown_fields=True):
    """A file of requests/."""

    steps: list[dict[str, Any]]
    generated: dict[str, str] = {}
    """Variable -> `type:target` of a location whose generated entity name it shall hold."""


class Script(msgspec.Struct):
    """One data set with its request list."""

    name: str
    steps: list[Step]
    generated: dict[str, str]

    @property
    def folder(self) -> Path:
        return HERE / "datasets" / self.name

    @property
    def entities(self) -> Path | None:
        """The seed, one entity a line."""
        path = self.folder / "entities.ndjson"
        return path if path.exists() else None

    @property
    def config(self) -> str:
        """An `app-config.yaml` layer with `${files}` and `${root}` still in it."""
        path = self.folder / "config.yaml"
        return path.read_text() if path.exists() else "{}\n"

    @property
    def requests(self) -> list[Request]:
        return [step for step in self.steps if isinstance(step, Request)]

    @property
    def recording(self) -> Path:
        return HERE / "recordings" / f"{self.name}.jsonl"


def json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def names() -> list[str]:
    """Every data set that has a request list."""
    return sorted(path.stem for path in (HERE / "requests").glob("*.yaml"))


def load(name: str) -> Script:
    """Raises msgspec.ValidationError for an entry that is not well formed, ValueError for a name used twice."""
    source = yaml.load((HERE / "requests" / f"{name}.yaml").read_text(), Loader=LOADER)  # noqa: S506  it is a safe one
    listed = msgspec.convert(source, RequestList)
    steps = [_step(entry) for entry in listed.steps]
    seen: set[str] = set()
    for step in steps:
        if isinstance(step, Request):
            if step.name in seen:
                raise ValueError(f"{name}: two requests are named {step.name}")
            seen.add(step.name)
    return Script(name, steps, listed.generated)


def _step(entry: Mapping[str, Any]) -> Step:
    if any(verb in entry for verb in VERBS):
        return msgspec.convert(entry, Request)
    return msgspec.convert(entry, Act)


def fill(value: Any, variables: Mapping[str, str]) -> Any:
    """Put variables in place of `${name}` everywhere in a JSON-like value. Raises KeyError for an unknown one."""
    if isinstance(value, str):
        return re.sub(r"\$\{([\w.-]+)\}", lambda found: variables[found[1]], value)
    if isinstance(value, Mapping):
        return {fill(key, variables): fill(item, variables) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [fill(item, variables) for item in value]
    return value


def encode_query(query: Mapping[str, Any]) -> str:
    return urlencode(query, doseq=True, quote_via=quote)


def generated_name(location: str) -> str:
    """The entity name of a registered location, from its `type:target` (spec 02 §4.3)."""
    return "generated-" + hashlib.sha1(location.encode(), usedforsecurity=False).hexdigest()


def targets(script: Script, variables: Mapping[str, str]) -> Iterator[str]:
    """Every served or local target named in the data set, as the live side knows it."""
    texts = [script.config, repr(script.generated), *(repr(step) for step in script.steps)]
    for found in re.findall(r"\$\{(?:files|root)\}[^\s\"',;}\]\\]*", "\n".join(texts)):
        yield fill(found, variables)
