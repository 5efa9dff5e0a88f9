"""number -> entities: a made-up organisation, always the same, of the size and shape that upstream's users have.

As found in a repository an entity has some 1.4 kB of JSON; as served 2 kB, some 4 relations of its own, and some 40 of
what upstream would keep as search rows.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from greenroom.entity import LOCATION, ORIGIN_LOCATION, Entity

HOST = "git.example.com"

WORDS = (
    "payment",
    "order",
    "invoice",
    "customer",
    "cart",
    "search",
    "billing",
    "session",
    "email",
    "notify",
    "report",
    "ledger",
    "risk",
    "fraud",
    "stock",
    "route",
    "price",
    "promotion",
    "review",
    "media",
    "image",
    "video",
    "stream",
    "event",
    "audit",
    "config",
    "deploy",
    "build",
    "metric",
    "trace",
    "log",
    "cache",
    "proxy",
    "gateway",
    "edge",
    "core",
    "data",
    "lake",
    "model",
    "score",
    "rank",
    "feed",
    "ticket",
    "contract",
    "policy",
    "claim",
    "quote",
    "tariff",
    "meter",
    "grid",
    "asset",
)
LANGUAGES = ("java", "python", "go", "typescript", "kotlin", "rust", "csharp", "scala", "ruby", "php")
TOPICS = ("grpc", "rest", "kafka", "batch", "web", "mobile", "internal", "public", "critical", "legacy", "beta", "data")
KINDS = {"Component": 70, "API": 12, "Resource": 5, "System": 4, "Group": 3, "User": 5, "Domain": 1}
TYPES = {"service": 55, "library": 20, "website": 15, "documentation": 5, "job": 5}
LIFECYCLES = {"production": 75, "experimental": 18, "deprecated": 7}


def entities(number: int, seed: int = 1) -> Iterator[Entity]:
    """Entities that the catalog accepts. What they refer to mostly exists."""
    draw = random.Random(seed)
    sizes = _Sizes(number)
    for index in range(number):
        kind = "Group" if index < sizes.teams else _weighted(draw, KINDS)
        yield _entity(draw, sizes, kind, index)


class _Sizes:
    """How many there are to refer to."""

    def __init__(self, number: int) -> None:
        self.all = number
        self.teams = max(4, number // 200)
        self.systems = max(4, number // 100)


def _entity(draw: random.Random, sizes: _Sizes, kind: str, index: int) -> Entity:
    name = f"team-{index}" if kind == "Group" else f"{draw.choice(WORDS)}-{draw.choice(WORDS)}-{index}"
    repository = f"org-{index % 50}/{name}"
    location = f"url:https://{HOST}/{repository}/blob/main/catalog-info.yaml"
    metadata: dict[str, Any] = {
        "name": name,
        "title": name.replace("-", " ").title(),
        "description": " ".join(draw.choices(WORDS, k=50)).capitalize() + ".",
        "labels": {"tier": str(draw.randrange(4)), "region": draw.choice(("eu", "us", "ap"))},
        "annotations": {
            LOCATION: location,
            ORIGIN_LOCATION: location,
            "github.com/project-slug": repository,
            "backstage.io/techdocs-ref": "dir:.",
        },
        "tags": sorted({draw.choice(LANGUAGES), *draw.choices(TOPICS, k=draw.randrange(4))}),
        "links": [
            {"url": f"https://dash.example.com/d/{name}", "title": "Dashboard", "icon": "dashboard"},
            {"url": f"https://run.example.com/{name}/runbook", "title": "Runbook"},
        ],
    }
    spec = _spec(draw, sizes, kind, name)
    return {"apiVersion": "backstage.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def _spec(draw: random.Random, sizes: _Sizes, kind: str, name: str) -> dict[str, Any]:
    owner = f"group:default/team-{int(draw.random() ** 1.5 * sizes.teams)}"
    system = f"system-{draw.randrange(sizes.systems)}"
    if kind == "User":
        profile = {"displayName": name.title(), "email": f"{name}@example.com"}
        return {"profile": profile, "memberOf": [owner.removeprefix("group:default/")]}
    if kind == "Group":
        return {"type": "team", "profile": {"displayName": name}, "parent": "everybody", "children": []}
    if kind == "Domain":
        return {"owner": owner}
    if kind == "System":
        return {"owner": owner, "domain": "core"}
    spec = {"type": _weighted(draw, TYPES), "lifecycle": _weighted(draw, LIFECYCLES), "owner": owner, "system": system}
    if kind == "API":
        return {**spec, "type": "openapi", "definition": "openapi: 3.0.0\ninfo:\n  title: " + name}
    others = [f"component:default/{draw.choice(WORDS)}-{draw.randrange(sizes.all)}" for _ in range(draw.randrange(4))]
    if kind == "Resource":
        return {**spec, "type": "database", "dependsOn": others}
    apis = [f"{draw.choice(WORDS)}-{draw.randrange(sizes.all)}" for _ in range(draw.randrange(3))]
    return {**spec, "dependsOn": others, "providesApis": apis}


def _weighted(draw: random.Random, weights: dict[str, int]) -> str:
    return draw.choices(list(weights), list(weights.values()))[0]
