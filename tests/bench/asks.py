"""What both sides are asked, and what of the answers must be the same before anything is timed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from greenroom.entity import Entity, ref_of
from tests.bench.wire import Ask, Connection

API = "/api/catalog"
FILTERS = (
    "kind=component,spec.type=service",
    "kind=component,spec.lifecycle=production",
    "kind=component,metadata.tags=java",
    "kind=component,relations.ownedBy=group:default/team-3",
    "kind=api",
)
KINDS = ("component", "api", "group", "user", "resource")
WORDS = ("payment", "gateway", "ledger", "stream", "risk")
TABLE_FIELDS = "kind,metadata.namespace,metadata.name,metadata.title,metadata.tags,spec.type,spec.lifecycle,relations"


class Question(NamedTuple):
    """Something asked in several ways, in turn."""

    what: str
    asks: Callable[[Connection], Awaitable[list[Ask]]]
    """The ways; some are made of what that side has answered before, like a cursor."""
    promised: float | None = None


def questions(entities: Sequence[Entity], promises: dict[str, float]) -> list[Question]:
    """All of them, about these entities."""
    refs = [ref_of(entity) for entity in entities]
    some = refs[:: max(1, len(refs) // 20)][:20]
    batches = [refs[start :: max(1, len(refs) // 20)][:20] for start in range(5)]
    fixed = {
        "a page of 20 of a kind, with its total": pages(f"filter=kind={kind}" for kind in KINDS),
        "a filtered page, with its total": filtered_pages(),
        "a page ordered by title": [
            query(f"filter=kind={kind}&orderField=metadata.title,asc&limit=20") for kind in KINDS
        ],
        "a page of a text search": pages(
            f"filter=kind=component&fullTextFilterTerm={word}&fullTextFilterFields=metadata.name,metadata.title"
            for word in WORDS
        ),
        "all of a kind, some fields (`/entities`)": [
            Ask(f"{API}/entities?filter=kind={kind}&fields={TABLE_FIELDS}") for kind in ("component", "api")
        ],
        "facets of kind, type and tags, of all": [facets("kind", "spec.type", "metadata.tags")],
        "a facet of the components": [
            facets(name, of="kind=component")
            for name in ("spec.type", "spec.lifecycle", "metadata.tags", "relations.ownedBy")
        ],
        "a facet of a label, of all": [facets("metadata.labels.tier")],
        "an entity by name": [by_name(ref) for ref in some],
        "20 entities by ref": [by_refs(batch) for batch in batches],
        "the ancestry of an entity": [Ask(f"{by_name(ref).target}/ancestry") for ref in some],
        "the registered locations": [Ask(f"{API}/locations")],
    }
    found = [Question(what, _always(asks), promises.get(what)) for what, asks in fixed.items()]
    found.insert(4, Question("the next page, by cursor", _next_pages, promises.get("the next page, by cursor")))
    return found


def query(parameters: str) -> Ask:
    """Of entities, in pages."""
    return Ask(f"{API}/entities/by-query?{quote(parameters, safe='=,&:')}")


def pages(filters: Any) -> list[Ask]:
    """As the table of the frontend asks for them."""
    return [query(f"{one}&orderField=metadata.name,asc&limit=20") for one in filters]


def facets(*names: str, of: str = "") -> Ask:
    """Of all entities, or of those that match a filter, as the frontend's pickers ask."""
    given = [*(f"facet={name}" for name in names), *([f"filter={of}"] if of else [])]
    return Ask(f"{API}/entity-facets?{'&'.join(given)}")


def filtered_pages() -> list[Ask]:
    """As people filter."""
    return pages(f"filter={one}" for one in FILTERS)


def by_name(ref: str) -> Ask:
    """One entity."""
    kind, _, rest = ref.partition(":")
    return Ask(f"{API}/entities/by-name/{kind}/{rest}")


def by_refs(refs: Sequence[str]) -> Ask:
    """Some entities, as the client asks for those that a page relates to."""
    return Ask(f"{API}/entities/by-refs", "POST", msgspec.json.encode({"entityRefs": refs}))


async def _next_pages(connection: Connection) -> list[Ask]:
    cursors = [(await connection.ask(ask)).json()["pageInfo"].get("nextCursor") for ask in filtered_pages()]
    return [Ask(f"{API}/entities/by-query?limit=20&cursor={quote(cursor)}") for cursor in cursors if cursor]


def _always(asks: list[Ask]) -> Callable[[Connection], Awaitable[list[Ask]]]:
    async def found(_: Connection) -> list[Ask]:
        return asks

    return found


def essence(answer: Any) -> Any:
    """What both sides must agree on: everything but generated ids and cursors, and the order of what is in no order."""
    if isinstance(answer, list):  # of entities, of locations
        return sorted((essence(one) for one in answer), key=repr)
    if "facets" in answer:
        return {name: sorted((one["value"], one["count"]) for one in found) for name, found in answer["facets"].items()}
    if "items" in answer:
        return [answer.get("totalItems"), *(essence(one) for one in answer["items"])]
    if "data" in answer:
        return answer["data"]["target"]
    if "entity" in answer:
        return [sorted(answer["parentEntityRefs"]), essence(answer["entity"])]
    kept = {name: value for name, value in answer["metadata"].items() if name not in ("uid", "etag")}
    return {**answer, "metadata": kept}
