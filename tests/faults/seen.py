"""What users see of a catalog, and what its tables hold, in a form in which two catalogs of one source are equal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import asyncpg
import msgspec

from greenroom.entity import ref_of
from greenroom_catalog.stitching.tokens import pair, token
from tests.bench.wire import Ask, Connection

API = "/api/catalog"
GENERATED = ("uid", "etag")
"""What two catalogs differ in: a number drawn at random, and a hash over it."""
FACETS = (
    "kind",
    "spec.type",
    "spec.lifecycle",
    "spec.owner",
    "metadata.tags",
    "relations.ownedBy",
    "metadata.labels.tier",
)

LONGEST = 300
"""Characters of a difference that are told."""

TABLES = {
    "who emitted what": """
        SELECT coalesce(r.source_key, p.entity_ref) AS source, s.entity_ref AS target
        FROM refresh_state_references r JOIN refresh_state s ON s.id = r.target_id LEFT JOIN refresh_state p ON p.id = r.source_id
    """,
    "location keys and errors": "SELECT entity_ref, location_key, errors::text FROM refresh_state",
    "refresh keys": "SELECT s.entity_ref, k.key FROM refresh_keys k JOIN refresh_state s USING (id)",
    "relations of others": """
        SELECT s.entity_ref, r.source_entity_ref, r.type, coalesce(r.target_entity_ref, s.entity_ref)
        FROM relations r JOIN refresh_state s ON s.id = r.originating_id
    """,
    "claims turned away": "SELECT entity_ref, coalesce(source_key, ''), wanted_by, held_by FROM conflicts",
}
"""Of each table what does not depend on ids and times."""

FOUND_BY = """
    SELECT s.entity_ref, s.entity_id::text AS uid, (to_jsonb(f) - 'id' - 'tok')::text AS columns, f.tok
    FROM search f JOIN refresh_state s USING (id)
"""

IMPOSSIBLE = {
    "entities that nothing refers to": """
        SELECT s.entity_ref FROM refresh_state s WHERE NOT EXISTS (SELECT FROM refresh_state_references r WHERE r.target_id = s.id)
    """,
    "references that are there twice": """
        SELECT s.entity_ref FROM refresh_state_references r JOIN refresh_state s ON s.id = r.target_id
        GROUP BY s.entity_ref HAVING count(*) > 1
    """,
    "entities that will never be due": """
        SELECT s.entity_ref FROM refresh_state s WHERE NOT EXISTS (SELECT FROM refresh_schedule d WHERE d.id = s.id)
    """,
    "served entities that cannot be found": """
        SELECT f.entity_ref FROM final_entities f WHERE NOT EXISTS (SELECT FROM search s WHERE s.id = f.id)
    """,
    "found entities that are not served": """
        SELECT s.name FROM search s WHERE NOT EXISTS (SELECT FROM final_entities f WHERE f.id = s.id)
    """,
    "rows that an entity has left behind": """
        SELECT id FROM (
            SELECT id FROM processed UNION SELECT id FROM refresh_schedule UNION SELECT id FROM refresh_keys UNION
            SELECT id FROM stitch_queue UNION SELECT id FROM final_entities UNION SELECT id FROM search UNION SELECT id FROM urgent
        ) t
        WHERE NOT EXISTS (SELECT FROM refresh_state s WHERE s.id = t.id)
    """,
    "relations that an entity has left behind": """
        SELECT r.source_entity_ref FROM relations r WHERE NOT EXISTS (SELECT FROM refresh_state s WHERE s.id = r.originating_id)
    """,
    "relations that are there twice": """
        SELECT source_entity_ref FROM relations
        GROUP BY originating_id, source_entity_ref, type, target_entity_ref HAVING count(*) > 1
    """,
}
"""What must hold at any moment, whatever just happened: these find nothing."""

UNDONE = """
    SELECT (SELECT count(*) FROM refresh_schedule WHERE next_update_at < now() + interval '2 days') AS due,
           (SELECT count(*) FROM stitch_queue) AS stitching,
           (SELECT count(*) FROM refresh_state s
            WHERE s.errors IS NULL AND NOT EXISTS (SELECT FROM final_entities f WHERE f.id = s.id)) AS unserved
"""
"""Work that is due, leased, or set for a tomorrow that a clock dreamt of: with an interval of 30 days, all else rests longer."""


class Seen(NamedTuple):
    """Everything in which two catalogs of one source must agree."""

    entities: Mapping[str, Any]
    """By ref, as the API serves them, without what is generated."""
    counts: Mapping[str, Any]
    """Totals and facets, as the API counts them."""
    tables: Mapping[str, Counter[str]]


class Undone(NamedTuple):
    """How much is left to do."""

    due: int
    stitching: int
    unserved: int


async def seen(port: int, database: Mapping[str, Any]) -> Seen:
    """`port` is that of a server, `database` arguments of `asyncpg.connect`."""
    door, tables = Connection(port), await asyncpg.connect(**database)
    try:
        listed = (await door.ask(Ask(f"{API}/entities"))).json()
        found = {ref_of(entity): _without_generated(entity) for entity in listed}
        assert len(found) == len(listed), "an entity is served twice"
        rows = {name: await _rows(tables, sql) for name, sql in TABLES.items()}
        return Seen(found, await counts(door), {**rows, "how it is found": await _found_by(tables)})
    finally:
        door.close()
        await tables.close()


async def counts(door: Connection) -> dict[str, Any]:
    """Of all entities, and of each kind."""
    query = "&".join(f"facet={name}" for name in FACETS)
    facets = (await door.ask(Ask(f"{API}/entity-facets?{query}"))).json()["facets"]
    told: dict[str, Any] = {name: {one["value"]: one["count"] for one in values} for name, values in facets.items()}
    for kind in told["kind"]:
        answer = await door.ask(Ask(f"{API}/entities/by-query?filter=kind={kind}&limit=0"))
        told[f"total of {kind}"] = answer.json()["totalItems"]
    return told


def counted(entities: Mapping[str, Any]) -> dict[str, Any]:
    """What `counts` must say of these entities: counted here one by one, by nothing of Greenroom's."""
    told: dict[str, Any] = {
        name: dict(Counter(v for one in entities.values() for v in _values(one, name))) for name in FACETS
    }
    return {**told, **{f"total of {kind}": number for kind, number in told["kind"].items()}}


def _values(entity: Any, facet: str) -> set[str]:
    if facet == "relations.ownedBy":
        return {one["targetRef"] for one in entity.get("relations", ()) if one["type"] == "ownedBy"}
    for part in facet.split("."):
        entity = entity.get(part) if isinstance(entity, dict) else None
    if entity is None:
        return set()
    return set(entity) if isinstance(entity, list) else {entity}


def differences(ours: Seen, theirs: Seen, most: int = 8) -> list[str]:
    """In what they differ, in words: a few of each sort. Empty: the same."""
    found = _of_mappings("entity", ours.entities, theirs.entities, most)
    found += _of_mappings("count", ours.counts, theirs.counts, most)
    for name, rows in theirs.tables.items():
        surplus, lack = ours.tables[name] - rows, rows - ours.tables[name]
        found += [f"{name}: only ours ({many}): {row[:LONGEST]}" for row, many in list(surplus.items())[:most]]
        found += [f"{name}: only theirs ({many}): {row[:LONGEST]}" for row, many in list(lack.items())[:most]]
    return found


async def impossible(database: Mapping[str, Any]) -> list[str]:
    """What must not be, whatever has just happened."""
    connection = await asyncpg.connect(**database)
    try:
        async with connection.transaction(isolation="repeatable_read"):
            found = {what: await connection.fetch(f"{sql} LIMIT 5") for what, sql in IMPOSSIBLE.items()}
    finally:
        await connection.close()
    return [f"{what}: {[row[0] for row in rows]}" for what, rows in found.items() if rows]


async def undone(connection: Any) -> Undone:
    """How much is left to do."""
    return Undone(*await connection.fetchrow(UNDONE))


def _of_mappings(what: str, ours: Mapping[str, Any], theirs: Mapping[str, Any], most: int) -> list[str]:
    lost, surplus = sorted(theirs.keys() - ours.keys()), sorted(ours.keys() - theirs.keys())
    other = [key for key in sorted(ours.keys() & theirs.keys()) if ours[key] != theirs[key]]
    found = [f"{what} lost ({len(lost)}): {key}" for key in lost[:most]]
    found += [f"{what} too many ({len(surplus)}): {key}" for key in surplus[:most]]
    found += [f"{what} differs ({len(other)}): {key}: {_difference(ours[key], theirs[key])}" for key in other[:most]]
    return found


def _difference(ours: Any, theirs: Any) -> str:
    """The parts of two values that differ, as JSON."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        parts = [key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)]
        return "; ".join(f"{key}: {_difference(ours.get(key), theirs.get(key))}" for key in sorted(parts))
    return f"{msgspec.json.encode(ours).decode()[:LONGEST]} is not {msgspec.json.encode(theirs).decode()[:LONGEST]}"


def _without_generated(entity: Any) -> Any:
    kept = {name: value for name, value in entity["metadata"].items() if name not in GENERATED}
    return {**entity, "metadata": kept}


async def _rows(connection: Any, sql: str) -> Counter[str]:
    return Counter(str(tuple(row.values())) for row in await connection.fetch(sql))


async def _found_by(connection: Any) -> Counter[str]:
    """Columns and tokens, but for that of the uid."""
    rows = await connection.fetch(FOUND_BY)
    return Counter(
        str((row["entity_ref"], row["columns"], sorted(set(row["tok"]) - {token(pair("metadata.uid", row["uid"]))})))
        for row in rows
    )
