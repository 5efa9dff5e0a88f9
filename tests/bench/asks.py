"""What both sides are asked, and what of the answers must be the same before anything is timed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
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
FACETS = ("spec.type", "spec.lifecycle", "metadata.tags")
PICKED = ("spec.type", "spec.lifecycle", "metadata.tags", "relations.ownedBy")
FOUR_FIELDS = "kind,metadata.name,metadata.namespace,spec.type"
TABLE_FIELDS = "kind,metadata.namespace,metadata.name,metadata.title,metadata.tags,spec.type,spec.lifecycle,relations"


class Question(NamedTuple):
    """Something asked in several ways, in turn."""

    id: str
    what: str
    asks: Callable[[Connection], Awaitable[list[Ask]]]
    """The ways; some are made of what that side has answered before, like a cursor."""
    loaded: bool = False
    """Also by several clients at once."""
    fresh: bool = False
    """Each way is asked once only, so that no answer was ever computed before."""


def questions(entities: Iterable[Entity]) -> list[Question]:
    """All of them, about these entities."""
    refs = [ref_of(entity) for entity in entities]
    some = refs[:: max(1, len(refs) // 200)][:200]
    owned = [f"relations.ownedBy={ref}" for ref in refs if ref.startswith("group:")][:43]
    batches = [refs[start :: max(1, len(refs) // 100)][:100] for start in range(5)]
    return [
        Question("list", "list 20 of all by name, with total", _always([listed("")]), loaded=True),
        Question("list-kind", "list 20 components by name, with total", _always([listed("filter=kind=component")]), loaded=True),
        Question("any", "20 by an `$any` predicate, ordered, with total", _always(predicates())),
        Question("facets", "3 facets of the components", _always([facets(*FACETS, of="kind=component")]), loaded=True),
        Question("facets-all", "3 facets of all", _always([facets(*FACETS)]), loaded=True),
        Question("by-name", "an entity by name", _always([by_name(ref) for ref in some]), loaded=True),
        Question("by-refs", "100 entities by ref", _always([by_refs(batch) for batch in batches])),
        Question("ancestry", "the ancestry of an entity", _always([Ask(f"{by_name(ref).target}/ancestry") for ref in some])),
        Question("filtered", "a filtered page, with its total", _always(filtered_pages()), loaded=True),
        Question("filtered-fresh", "a page filtered by an owner never asked for", _always(
            pages(f"kind=component,{one}" for one in owned)), fresh=True),
        Question("facets-fresh", "3 facets of an owner never asked for", _always(
            [facets(*FACETS, of=f"kind=component,{one}") for one in owned]), fresh=True),
        Question("title", "a page ordered by title", _always(
            [query(f"filter={kind(one)}&orderField=metadata.title,asc&limit=20") for one in KINDS]
        )),
        Question("text", "a page of a text search", _always(pages(
            f"filter=kind=component&fullTextFilterTerm={word}&fullTextFilterFields=metadata.name,metadata.title"
            for word in WORDS
        ))),
        Question("cursor", "the next page, by cursor", _next_pages),
        Question("facet", "a facet of the components", _always([facets(name, of="kind=component") for name in PICKED])),
        Question("facet-label", "a facet of a label, of all", _always([facets("metadata.labels.tier")])),
        Question("locations", "the registered locations", _always([Ask(f"{API}/locations")])),
    ]  # fmt: skip


def streams() -> list[Question]:
    """Those with large answers."""
    return [
        Question("all", "all components", _always([everything()])),
        Question("all-fields", "all components, 4 fields of each", _always([everything(FOUR_FIELDS)])),
        Question("all-table", "all components, the fields of a table", _always([everything(TABLE_FIELDS)])),
    ]


def kind(name: str) -> str:
    """A filter."""
    return f"kind={name}"


def everything(fields: str = "") -> Ask:
    """All components in one answer."""
    return Ask(f"{API}/entities?filter=kind=component" + (f"&fields={fields}" if fields else ""))


def listed(filters: str) -> Ask:
    """The first 20 by name, as the catalog's table asks for them."""
    return query(f"{filters}&orderField=metadata.name,asc&limit=20".removeprefix("&"))


def predicates() -> list[Ask]:
    """What can only be asked by POST: this or that."""
    asked = [
        {"$any": [{"kind": "component", "spec.type": "service"}, {"kind": "api"}]},
        {"$any": [{"spec.lifecycle": "deprecated"}, {"metadata.tags": "java"}]},
        {"$any": [{"relations.ownedBy": "group:default/team-3"}, {"kind": {"$in": ["system", "domain"]}}]},
    ]
    order = [{"field": "metadata.name", "order": "asc"}]
    bodies = [{"query": one, "orderBy": order, "limit": 20} for one in asked]
    return [Ask(f"{API}/entities/by-query", "POST", msgspec.json.encode(body)) for body in bodies]


def query(parameters: str) -> Ask:
    """Of entities, in pages."""
    return Ask(f"{API}/entities/by-query?{quote(parameters, safe='=,&:')}")


def pages(filters: Iterable[str]) -> list[Ask]:
    """As the table of the frontend asks for them."""
    return [listed(one if one.startswith("filter=") else f"filter={one}") for one in filters]


def facets(*names: str, of: str = "") -> Ask:
    """Of all entities, or of those that match a filter, as the frontend's pickers ask."""
    given = [*(f"facet={name}" for name in names), *([f"filter={of}"] if of else [])]
    return Ask(f"{API}/entity-facets?{'&'.join(given)}")


def filtered_pages() -> list[Ask]:
    """As people filter."""
    return pages(FILTERS)


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


def _spelled(answer: Any) -> bytes:
    """Whatever the order of its keys."""
    return msgspec.json.encode(answer, order="deterministic")


def essence(answer: Any) -> Any:
    """What both sides must agree on: everything but generated ids and cursors, and the order of what is in no order."""
    if isinstance(answer, list):  # of entities, of locations
        return sorted((essence(one) for one in answer), key=_spelled)
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
