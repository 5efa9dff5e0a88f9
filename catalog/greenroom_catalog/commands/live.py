"""entities + a running server -> findings: references to nothing, and what would change if the files were read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from greenroom.entity import (
    DEFAULT_NAMESPACE,
    EDIT_URL,
    LOCATION,
    ORIGIN_LOCATION,
    ORPHAN,
    SOURCE_LOCATION,
    VIEW_URL,
    EntityRefError,
)
from greenroom.errors import GreenroomError, ServiceUnavailableError
from greenroom.urls.servers import server_address
from greenroom_catalog.commands.files import STDIN
from greenroom_catalog.ingestion.check import Path
from greenroom_catalog.ingestion.findings import Finding, FoundEntity
from greenroom_catalog.ingestion.holes import holes_of
from greenroom_catalog.ingestion.spelling import nearest
from greenroom_catalog.model import order_references
from greenroom_catalog.model.relations import REFERENCES, read_reference

CHUNK = 200
"""Refs of one request."""
NOWHERE = "url:https://validate.invalid/catalog-info.yaml"
"""Where entities are said to stand that are shown to the server."""
MOST_TOLD = 5
"""Changes of an entity that are told one by one."""
WRITTEN = (LOCATION, ORIGIN_LOCATION, VIEW_URL, EDIT_URL, SOURCE_LOCATION, ORPHAN)
"""Annotations that the catalog adds."""


class RefusedError(GreenroomError):
    """The server refused"""


class Mention(NamedTuple):
    """A reference to another entity."""

    entity: FoundEntity
    path: Path
    ref: str


def ask(server: str, token: str | None, findings: Sequence[Finding], entities: Sequence[FoundEntity]) -> list[Finding]:
    """The findings, as the server at `server` completes them: it knows more kinds, and what there is and would be.

    Raises ServiceUnavailableError when nobody answers, RefusedError with the server's words, ConfigError for what is no address."""
    return asyncio.run(_ask(server, token, findings, entities))


async def _ask(
    server: str, token: str | None, findings: Sequence[Finding], entities: Sequence[FoundEntity]
) -> list[Finding]:
    import aiohttp

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=60)) as session:
        client = _Client(session, server_address(server, "--server"))
        judged = await _judge_kinds(client, findings, entities)
        refused = {(found.file, found.entity) for found in judged if found.severity == "error"}
        sound = [entity for entity in entities if (entity.file, entity.ref) not in refused]
        return [*judged, *await _compare(client, sound)]


async def _judge_kinds(client: _Client, findings: Sequence[Finding], entities: Sequence[FoundEntity]) -> list[Finding]:
    """Of entities whose kind is not known here, the server's word counts: a plugin of it may know the kind."""
    by_place = {(entity.file, entity.ref): entity for entity in entities}
    doubtful = {(one.file, one.entity) for one in findings if one.code == "unknown-kind" and one.entity is not None}
    told: list[Finding] = []
    for place in doubtful:
        entity = by_place[place[0], str(place[1])]
        span = entity.places.value(entity.line, ("kind",))
        for message in await client.refusals(entity.value):
            code = "unknown-kind" if message.startswith("No processor recognized") else "malformed-value"
            told.append(Finding(code, "error", message, entity.file, *span, ("kind",), entity.ref))
    kept = [one for one in findings if (one.file, one.entity) not in doubtful or one.severity != "error"]
    return [*kept, *told]


async def _compare(client: _Client, entities: Sequence[FoundEntity]) -> list[Finding]:
    own = {entity.ref for entity in entities}
    mentions = [mention for entity in entities for mention in mentions_of(entity) if mention.ref not in own]
    served = await client.by_refs([entity.ref for entity in entities])
    known = await client.by_refs([mention.ref for mention in mentions], fields=["kind", "metadata.name"])
    missing = [mention for mention in mentions if mention.ref not in known]
    names = {kind: await client.names(kind) for kind in sorted({_kind(mention) for mention in missing})}
    found = [_missing(mention, names[_kind(mention)]) for mention in missing]
    return [*found, *(difference(entity, served.get(entity.ref)) for entity in entities)]


def mentions_of(entity: FoundEntity) -> Iterator[Mention]:
    """The references of an entity's spec."""
    spec = entity.value.get("spec")
    namespace = entity.value["metadata"].get("namespace") or DEFAULT_NAMESPACE
    if not isinstance(spec, dict):
        return
    for reference in REFERENCES.get(entity.value["kind"], ()):
        value = spec.get(reference.field, ())
        items = [((index,), item) for index, item in enumerate(value)] if isinstance(value, list) else [((), value)]
        for index, item in items:
            try:
                ref = read_reference(item, reference.kind, namespace) if isinstance(item, str) else None
            except EntityRefError:
                continue  # `examine` has told
            if ref is not None:
                yield Mention(entity, ("spec", reference.field, *index), str(ref))


def difference(entity: FoundEntity, served: Mapping[str, Any] | None) -> Finding:
    """What would become of what is served if the entity were read from its file."""
    if served is None:
        return _note("would-add", f"{entity.ref} would be added", entity)
    holder = str(served["metadata"].get("annotations", {}).get(LOCATION, ""))
    if not _may_be(entity.file, holder):
        message = f"{entity.ref} is held by {holder}"
        return _note("would-conflict", message, entity, "warning")
    holes = [hole.path for hole in holes_of(entity.value)]
    changes = [
        change
        for change in _changes(_bare(served, entity), _bare(entity.value, entity))
        if not any(change[0][: len(path)] == path for path in holes)
    ]
    if not changes:
        return _note("would-keep", f"{entity.ref} would stay as it is", entity)
    told = ", ".join(f"{'.'.join(map(str, path))} {what}" for path, what in changes[:MOST_TOLD])
    more = f", and {len(changes) - MOST_TOLD} more" if len(changes) > MOST_TOLD else ""
    return _note("would-change", f"{entity.ref} would change: {told}{more}", entity)


def _may_be(file: str, location: str) -> bool:
    """Whether a file on this disk can be what the catalog reads at a location: the end of its path is the same."""
    name = file.replace("\\", "/").rpartition("/")[2]
    return file == STDIN or not location or location.partition("?")[0].endswith((f"/{name}", f":{name}"))


def _bare(value: Mapping[str, Any], entity: FoundEntity) -> dict[str, Any]:
    """Without what the catalog writes, and in its order, so that only what authors write is compared."""
    ordered = order_references(dict(value))
    metadata = {"namespace": DEFAULT_NAMESPACE, **ordered["metadata"]}
    own = entity.value["metadata"]
    for field in ("uid", "etag"):
        if field not in own or field == "uid":
            metadata.pop(field, None)
    given = own.get("annotations") or {}
    annotations = metadata.get("annotations") or {}
    metadata["annotations"] = {k: v for k, v in annotations.items() if k not in WRITTEN or k in given}
    return {
        "apiVersion": ordered["apiVersion"],
        "kind": ordered["kind"],
        "metadata": metadata,
        "spec": ordered.get("spec"),
    }


def _changes(old: Any, new: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Paths that differ, and how."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            if key not in new:
                yield (*path, key), "goes"
            elif key not in old:
                yield (*path, key), "is new"
            else:
                yield from _changes(old[key], new[key], (*path, key))
    elif old != new:
        yield path, f"{_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _kind(mention: Mention) -> str:
    return mention.ref.partition(":")[0]


def _missing(mention: Mention, names: Iterable[str]) -> Finding:
    entity = mention.entity
    like = nearest(mention.ref.rpartition("/")[2], names)
    hint = "it may come later: relations to what is missing are kept" if like is None else f"did you mean `{like}`?"
    span = entity.places.value(entity.line, mention.path)
    message = f"the catalog has no {mention.ref}"
    return Finding("reference-not-found", "warning", message, entity.file, *span, mention.path, entity.ref, hint)


def _note(code: str, message: str, entity: FoundEntity, severity: Literal["warning", "note"] = "note") -> Finding:
    span = entity.places.value(entity.line, ("metadata", "name"))
    return Finding(code, severity, message, entity.file, *span, (), entity.ref)


class _Client:
    """The few questions, asked of `/api/catalog`."""

    def __init__(self, session: Any, base: str) -> None:
        self._session = session
        self._base = base.rstrip("/")

    async def by_refs(self, refs: Iterable[str], fields: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
        wanted = list(dict.fromkeys(refs))
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(wanted), CHUNK):
            chunk = wanted[start : start + CHUNK]
            body = {"entityRefs": chunk, **({"fields": fields} if fields else {})}
            answer = await self._call("POST", "/entities/by-refs", json=body)
            found |= {ref: item for ref, item in zip(chunk, answer["items"], strict=True) if item is not None}
        return found

    async def refusals(self, entity: Mapping[str, Any]) -> list[str]:
        """What the server says is wrong with an entity."""
        answer = await self._call("POST", "/validate-entity", json={"entity": entity, "location": NOWHERE}, but=400)
        return [error["message"] for error in (answer or {}).get("errors", ())]

    async def names(self, kind: str) -> list[str]:
        query = {"facet": "metadata.name", "filter": f"kind={kind}"}
        answer = await self._call("GET", "/entity-facets", params=query)
        return [item["value"] for item in answer["facets"]["metadata.name"]]

    async def _call(self, method: str, path: str, *, but: int = 0, **options: Any) -> Any:
        """The decoded answer, None if there is none. `but` is a status of an error that is an answer, too."""
        import aiohttp

        url = f"{self._base}/api/catalog{path}"
        try:
            async with self._session.request(method, url, **options) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ServiceUnavailableError(f"No server answers at {self._base} ({error})") from error
        if answer.status >= 400 and answer.status != but:
            hint = " (give a token by --token or GREENROOM_TOKEN)" if answer.status == 401 else ""
            raise RefusedError(f"{method} {path} was answered with {answer.status}, {_reason(content)}{hint}")
        try:
            return json.loads(content) if content else None
        except ValueError as error:
            raise RefusedError(f"{method} {path} was not answered with JSON: is {self._base} the backend?") from error


def _reason(content: bytes) -> str:
    try:
        error = json.loads(content)["error"]
        return f"{error['name']}: {error['message']}"
    except (ValueError, KeyError, TypeError):
        return content.decode(errors="replace")[:200] or "no reason was given"
