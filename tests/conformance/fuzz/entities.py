"""Hypothesis strategies: entities of every kind that refer to each other, with values of every shape, some of them wrong."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st

from greenroom.entity import Entity

KINDS = ("Component", "API", "Resource", "System", "Domain", "Group", "User")
NAMESPACES = ("default", "prod", "Zone-B")
NAMES = ("alpha", "Beta", "gamma_1", "d.elta", "e-psilon", "Z9", "eta", "theta", "iota", "kappa")
TYPES = ("service", "Service", "website", "library", "10", "9", "a,b", "ünï", "")
KEYS = (
    "color", "Size", "a", "a.b", "list", "mixed", "deep", "x y", "ÜBER", "9", "true", "example.com/x", "e=mc2", "k" * 186,
    "k" * 200, "ΣΑΣ", "100%", "under_score", "back\\slash",
)  # fmt: skip
WORDS = ("red", "Red", "green", "blue", "true", "1", "10", "9", "default", "service", "team", "a", "A", "b", "")

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0\1")
"""Without NUL, which Postgres cannot hold, and U+0001, which upstream's search takes for null: both are lost there."""
ODD = (
    "ß", "İstanbul", "ΣΊΣΥΦΟΣ", "K", "é", "é", "🚀 Go", "a,b", "a=b", "100% sure", "snake_case", "back\\slash", "it's", '"q"',
    " padded ", "tab\there", "new\nline", "%", "_", "\\", "null", "undefined", "NaN", "[object Object]", "\ufeffbom", "\u2028",
    "y" * 199, "y" * 200, "y" * 201, "🚀" * 100, "🚀" * 101, "İ" * 100, "İ" * 101, "ﬁ", "Å", "\x7f", "\x1f", "\ud7ff", "\uffff",
)  # fmt: skip


def texts() -> st.SearchStrategy[str]:
    """Mostly words that other entities have too."""
    return st.sampled_from(WORDS) | st.sampled_from(WORDS + ODD) | st.text(CHARACTERS, max_size=6)


def numbers() -> st.SearchStrategy[int | float]:
    """As JSON has them, in ranges that JavaScript prints in different ways."""
    odd = [
        0,
        -0.0,
        1.0,
        2.5,
        -3,
        1e21,
        1e-7,
        123456789012345680,
        9007199254740993,
        5e-324,
        1.7976931348623157e308,
        0.1 + 0.2,
    ]
    return st.sampled_from(odd) | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)


def scalars() -> st.SearchStrategy[Any]:
    return st.none() | st.booleans() | numbers() | texts() | texts()


def keys() -> st.SearchStrategy[str]:
    """Keys of objects, now and then in another letter case; never those that JavaScript's objects have already."""
    return st.sampled_from(KEYS) | st.sampled_from(KEYS).map(str.swapcase) | st.text(CHARACTERS, min_size=1, max_size=3)


def values() -> st.SearchStrategy[Any]:
    """Any JSON."""
    return st.recursive(
        scalars(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys(), inner, max_size=3),
        max_leaves=6,
    )


def refs() -> st.SearchStrategy[str]:
    """References to entities of the same pool, in every spelling."""
    name = st.sampled_from(NAMES)
    full = st.builds(
        "{}:{}/{}".format,
        st.sampled_from(KINDS) | st.sampled_from(KINDS).map(str.lower),
        st.sampled_from(NAMESPACES),
        name,
    )
    return full | full | name | st.builds("{}:{}".format, st.sampled_from(KINDS), name)


def _full_refs() -> st.SearchStrategy[str]:
    return refs().filter(lambda ref: ":" in ref)


def _spec(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """What the kind demands and allows, and whatever else somebody thought of."""
    type_, lifecycle = (
        st.sampled_from([text for text in TYPES if text]),
        st.sampled_from(("production", "Experimental")),
    )
    some, full = st.lists(refs(), max_size=3), st.lists(_full_refs(), max_size=3)
    required: dict[str, dict[str, st.SearchStrategy[Any]]] = {
        "Component": {"type": type_, "lifecycle": lifecycle, "owner": refs()},
        "API": {
            "type": type_,
            "lifecycle": lifecycle,
            "owner": refs(),
            "definition": st.sampled_from(("{}", "y" * 300)),
        },
        "Resource": {"type": type_, "owner": refs()},
        "System": {"owner": refs()},
        "Domain": {"owner": refs()},
        "Group": {"type": type_, "children": some},
        "User": {"memberOf": some},
    }
    optional: dict[str, dict[str, st.SearchStrategy[Any]]] = {
        "Component": {"system": refs(), "subcomponentOf": refs(), "providesApis": some, "consumesApis": some,
                      "dependsOn": full, "dependencyOf": full},
        "API": {"system": refs()},
        "Resource": {"system": refs(), "dependsOn": full, "dependencyOf": full},
        "System": {"domain": refs(), "type": type_},
        "Domain": {"subdomainOf": refs()},
        "Group": {"parent": refs(), "members": some, "profile": st.fixed_dictionaries({"displayName": texts()})},
        "User": {"profile": st.fixed_dictionaries({"displayName": texts()})},
    }  # fmt: skip
    known = st.fixed_dictionaries(required[kind], optional=optional[kind])
    return st.builds(lambda extra, spec: {**extra, **spec}, st.dictionaries(keys(), values(), max_size=4), known)


def _metadata() -> st.SearchStrategy[dict[str, Any]]:
    label_key = st.sampled_from(("tier", "Zone", "example.com/team", "x.y"))
    label = st.sampled_from(("1", "2", "10", "Gold", "gold", ""))
    annotation_key = st.sampled_from(("example.com/a", "example.com/A.b", "plain", "backstage.io/view-url"))
    link = st.fixed_dictionaries(
        {"url": st.sampled_from(("https://a.example.com/x", "https://b.example.com/?q=1,2"))},
        optional={"title": texts().filter(bool), "icon": st.just("docs"), "type": st.just("admin")},
    )
    located = st.sampled_from(("url:https://git.example.com/o/r/blob/main/catalog-info.yaml", "fuzz:here"))
    annotations = st.builds(
        lambda given, where: {
            **given,
            "backstage.io/managed-by-location": where,
            "backstage.io/managed-by-origin-location": where,
        },
        st.dictionaries(annotation_key, texts(), max_size=3),
        located,
    )
    return st.fixed_dictionaries(
        {"name": st.sampled_from(NAMES), "annotations": annotations},
        optional={
            "namespace": st.sampled_from(NAMESPACES),
            "title": texts().filter(bool),
            "description": texts(),
            "labels": st.dictionaries(label_key, label, max_size=3),
            "tags": st.lists(st.sampled_from(("java", "go", "c++", "a:b", "x-1", "c#", "data")), max_size=4),
            "links": st.lists(link, max_size=2),
            "custom": values(),
            "etag": st.just("authored"),
        },
    )


def entities() -> st.SearchStrategy[Entity]:
    """Mostly right. Some are not: those are never served, and everything about them is compared too."""

    def of_kind(kind: str) -> st.SearchStrategy[Entity]:
        return st.fixed_dictionaries(
            {
                "apiVersion": st.sampled_from(("backstage.io/v1alpha1", "backstage.io/v1beta1")),
                "kind": st.just(kind),
                "metadata": _metadata(),
                "spec": _spec(kind),
            }
        )

    right = st.sampled_from(KINDS).flatmap(of_kind)
    wrong = st.builds(_spoilt, right, st.sampled_from(sorted(SPOILERS)), values())
    named = st.builds(_spoilt, right, st.sampled_from(("apiVersion", "the namespace")), texts().filter(bool))
    return st.sampled_from(range(12)).flatmap(lambda drawn: wrong if drawn == 11 else named if drawn == 10 else right)


SPOILERS = {
    "a tag": ("metadata", "tags"),
    "a label": ("metadata", "labels"),
    "the title": ("metadata", "title"),
    "links": ("metadata", "links"),
    "the annotations": ("metadata", "annotations"),
    "the spec": ("spec",),
    "the owner": ("spec", "owner"),
    "the type": ("spec", "type"),
    "members": ("spec", "members"),
    "memberOf": ("spec", "memberOf"),
    "dependsOn": ("spec", "dependsOn"),
    "the relations": ("relations",),
    "the status": ("status",),
}
"""What may be wrong with an entity, and where."""

ENVELOPE = {"apiVersion": ("apiVersion",), "the namespace": ("metadata", "namespace")}
"""Where only another text may stand: without an envelope, the whole mutation is refused."""


def _spoilt(entity: Entity, what: str, value: Any) -> Entity:
    path = SPOILERS.get(what) or ENVELOPE[what]
    if len(path) == 1:
        return {**entity, path[0]: value}
    outer, inner = path
    return {**entity, outer: {**entity[outer], inner: value}}
