"""Served entities straight into the tables, through the stitcher's own projection, and a generator of many of them."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from hashlib import sha1
from typing import Any

import msgspec

from greenroom.db import Database
from greenroom.entity import Entity, ref_of
from greenroom_catalog.stitching.stitcher import search_row, search_values
from greenroom_catalog.stitching.tokens import project
from greenroom_catalog.storage.store import Store
from greenroom_catalog.storage.tickets import Final

BATCH = 2000

_STATE = """
insert into refresh_state (entity_id, entity_ref, unprocessed_entity, unprocessed_hash)
select * from unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[]) returning id
"""


async def serve(database: Database, entities: Sequence[Entity], *, analyze: bool = True) -> dict[str, int]:
    """Serve stitched entities, ids in the given order. Those without a `metadata.uid` get one. Returns ids by ref."""
    ids: dict[str, int] = {}
    for start in range(0, len(entities), BATCH):
        ids |= await _serve(database, entities[start : start + BATCH])
    if analyze:
        await database.execute("analyze")
    return ids


async def _serve(database: Database, entities: Sequence[Entity]) -> dict[str, int]:
    for entity in entities:
        entity["metadata"].setdefault("uid", str(uuid.uuid4()))
    refs = [ref_of(entity) for entity in entities]
    documents = [msgspec.json.encode(entity) for entity in entities]
    store = Store(database)
    async with store.transaction() as conn:
        uids = [entity["metadata"]["uid"] for entity in entities]
        ids = [row[0] for row in await conn.fetch(_STATE, uids, refs, documents, [b""] * len(refs))]
        await store.tickets.save(conn, [final(id_, entity) for id_, entity in zip(ids, entities, strict=True)])
    return dict(zip(refs, ids, strict=True))


def final(id_: int, entity: Entity) -> Final:
    """A stitched entity as it is written."""
    found = project(entity, entity["metadata"].setdefault("uid", str(uuid.uuid4())))
    document = msgspec.json.encode(entity)
    digest = sha1(document, usedforsecurity=False).digest()
    return Final(id_, ref_of(entity), digest, document, search_values(found), search_row(found))


async def change(database: Database, id_: int, entity: Entity) -> None:
    """Serve an entity that is served already in another form."""
    store = Store(database)
    async with store.transaction() as conn:
        await store.tickets.save(conn, [final(id_, entity)])


async def remove(database: Database, id_: int) -> None:
    """Serve an entity no more."""
    await database.execute("delete from refresh_state where id = $1", id_)


async def emitted_by(database: Database, source: int, *targets: int) -> None:
    """One entity emitted others."""
    await database.executemany(
        "insert into refresh_state_references (source_id, target_id) values ($1, $2)",
        [(source, one) for one in targets],
    )


def entity(name: str, kind: str = "Component", spec: dict[str, Any] | None = None, **metadata: Any) -> Entity:
    """A stitched entity."""
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": kind,
        "metadata": {"namespace": "default", **metadata, "name": name},
        "spec": {} if spec is None else spec,
        "relations": [],
    }


_TAGS = [f"tag{number}" for number in range(80)] + ["java", "python", "go"] * 20
_KINDS = ["Component"] * 12 + ["API"] * 3 + ["Resource"] * 2 + ["System", "Group", "User"]
_TYPES = ["service"] * 11 + ["website"] * 4 + ["library"] * 4 + ["documentation"]
_LIFECYCLES = ["production"] * 7 + ["experimental"] * 2 + ["deprecated"]


def many(count: int, seed: int = 1) -> list[Entity]:
    """Entities of about 2 kB in the proportions of a large company's catalog, the same for the same arguments."""
    rng = random.Random(seed)
    return [_one(rng, number, max(count // 50, 1)) for number in range(count)]


def _one(rng: random.Random, number: int, teams: int) -> Entity:
    kind, team = rng.choice(_KINDS), f"team-{rng.randrange(teams)}"
    name = f"{rng.choice(['payment', 'order', 'search', 'billing', 'user', 'report'])}-{rng.choice(_TAGS)}-{number}"
    location = f"url:https://git.example.com/{team}/{name}/blob/main/catalog-info.yaml"
    annotations = {
        "backstage.io/managed-by-location": location,
        "backstage.io/managed-by-origin-location": location,
        "backstage.io/source-location": location.removesuffix("blob/main/catalog-info.yaml"),
        "backstage.io/techdocs-ref": "dir:.",
        "example.com/project-slug": f"{team}/{name}",
        "example.com/dashboard": f"https://metrics.example.com/d/{number}",
    }
    made = entity(
        name,
        kind,
        {
            "type": rng.choice(_TYPES),
            "lifecycle": rng.choice(_LIFECYCLES),
            "owner": team,
            "system": f"system-{number % 97}",
        },
        title=name.replace("-", " ").title(),
        description=f"The {name} of {team}. " * 8,
        annotations=annotations,
        labels={"tier": str(rng.randrange(3)), "example.com/cost-centre": str(rng.randrange(200))},
        tags=sorted(set(rng.choices(_TAGS, k=rng.randrange(5)))),
        links=[
            {"url": f"https://example.com/{name}/{page}", "title": page, "icon": "docs"} for page in ("wiki", "runs")
        ],
        uid=str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        etag=f"{rng.getrandbits(160):040x}",
    )
    related = [("dependsOn", f"component:default/dep-{rng.randrange(5000)}") for _ in range(rng.randrange(4))]
    related += [("ownedBy", f"group:default/{team}"), ("partOf", f"system:default/system-{number % 97}")]
    made["relations"] = [{"type": type_, "targetRef": target} for type_, target in sorted(related)]
    return made
