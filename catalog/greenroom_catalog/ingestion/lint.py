"""entity -> warnings: what the catalog takes, though its author can hardly have meant it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from greenroom.entity import DEFAULT_NAMESPACE, LOCATION, ORIGIN_LOCATION, ORPHAN, EntityRef, EntityRefError
from greenroom_catalog.ingestion.advice import Advice, Fix, plain
from greenroom_catalog.ingestion.check import Path
from greenroom_catalog.ingestion.spelling import as_name, nearest
from greenroom_catalog.model import KINDS, UNSEARCHED
from greenroom_catalog.model.relations import REFERENCES, read_reference


class Warn(NamedTuple):
    """A warning about the value at `path`, or about its key."""

    message: str
    path: Path
    advice: Advice
    of_key: bool = False


def warnings_of(value: Mapping[str, Any]) -> Iterator[Warn]:
    """What is odd about a document that has an apiVersion, a kind and a name."""
    metadata = value["metadata"]
    yield from _misspelled(metadata, ("metadata",), METADATA)
    yield from _catalogs_own(metadata)
    yield from _annotations(metadata.get("annotations"))
    spec, kind = value.get("spec"), value["kind"]
    if isinstance(spec, dict):
        yield from _misspelled(spec, ("spec",), FIELDS.get(kind, ()))
        if kind in REFERENCES:
            yield from _references(kind, spec, metadata)
        if kind == "Location":
            yield from _location(spec)
    yield from _clashes(value)


def _clashes(value: Mapping[str, Any]) -> Iterator[Warn]:
    """Keys that differ only in letter case: the stitcher cannot have the entity searched for (`tokens.project`)."""
    met: dict[str, str] = {}
    told: set[str] = set()
    todo: list[tuple[Path, str, Any]] = [
        ((key,), key, value[key]) for key in reversed([*value]) if key not in UNSEARCHED
    ]
    while todo:
        path, text, inner = todo.pop()
        if isinstance(inner, dict):
            todo += [((*path, key), f"{text}.{key}", inner[key]) for key in reversed(inner)]
        elif isinstance(inner, list):
            todo += [((*path, index), text, inner[index]) for index in reversed(range(len(inner)))]
        elif (first := met.setdefault(text.lower(), text)) != text and text not in told:
            told.add(text)
            of_key = path[: max(index for index, part in enumerate(path) if isinstance(part, str)) + 1]
            hint = "rename one of the two: until then nothing finds the entity by what it says"
            message = f"{text} and {first} differ only in letter case"
            yield Warn(message, of_key, Advice("clashing-keys", hint), of_key=True)


METADATA = ("name", "namespace", "title", "description", "labels", "annotations", "tags", "links", "uid", "etag")

_OWNED = ("type", "lifecycle", "owner", "system")
FIELDS: Mapping[str, Sequence[str]] = {
    "Component": (*_OWNED, "subcomponentOf", "providesApis", "consumesApis", "dependsOn", "dependencyOf"),
    "API": (*_OWNED, "definition"),
    "Resource": ("type", "owner", "system", "dependsOn", "dependencyOf", "lifecycle"),
    "System": ("owner", "domain", "type"),
    "Domain": ("owner", "subdomainOf", "type"),
    "Group": ("type", "profile", "parent", "children", "members"),
    "User": ("profile", "memberOf"),
    "Location": ("type", "target", "targets", "presence"),
}
"""The fields of a spec that mean something to the catalog. Others are kept, and mean nothing."""

KNOWN_ANNOTATIONS = (
    "backstage.io/adr-location",
    "backstage.io/code-coverage",
    "backstage.io/edit-url",
    "backstage.io/kubernetes-id",
    "backstage.io/kubernetes-label-selector",
    "backstage.io/kubernetes-namespace",
    "backstage.io/ldap-dn",
    "backstage.io/ldap-rdn",
    "backstage.io/ldap-uuid",
    "backstage.io/linguist",
    "backstage.io/source-location",
    "backstage.io/source-template",
    "backstage.io/techdocs-entity",
    "backstage.io/techdocs-entity-path",
    "backstage.io/techdocs-ref",
    "backstage.io/time-saved",
    "backstage.io/view-url",
    "bitbucket.org/project-slug",
    "circleci.com/project-slug",
    "dev.azure.com/project-repo",
    "github.com/project-slug",
    "github.com/team-slug",
    "github.com/user-login",
    "gitlab.com/project-slug",
    "google.com/email",
    "grafana/alert-label-selector",
    "grafana/dashboard-selector",
    "jenkins.io/job-full-name",
    "pagerduty.com/integration-key",
    "pagerduty.com/service-id",
    "rollbar.com/project-slug",
    "sentry.io/project-slug",
    "sonarqube.org/project-key",
)
"""Annotations that are in wide use, so that one that is nearly one of these is told."""


def _misspelled(holder: Mapping[str, Any], path: Path, known: Sequence[str]) -> Iterator[Warn]:
    missing = [name for name in known if name not in holder]
    for name in holder:
        if name not in known and (like := nearest(name, missing)) is not None:
            advice = Advice("misspelled-field", f"did you mean `{like}`?", Fix((*path, name), like, of_key=True))
            yield Warn(f"the catalog knows no field `{'.'.join(map(str, path))}.{name}`", (*path, name), advice, True)


def _catalogs_own(metadata: Mapping[str, Any]) -> Iterator[Warn]:
    for name in ("uid", "etag"):
        if name in metadata:
            advice = Advice("catalog-writes-this", "remove it")
            yield Warn(f"`metadata.{name}` is written by the catalog itself", ("metadata", name), advice, True)


def _annotations(annotations: object) -> Iterator[Warn]:
    for name in annotations if isinstance(annotations, dict) else ():
        path: Path = ("metadata", "annotations", name)
        if name in (LOCATION, ORIGIN_LOCATION, ORPHAN):
            yield Warn(
                f"`{name}` is written by the catalog itself", path, Advice("catalog-writes-this", "remove it"), True
            )
        elif name not in KNOWN_ANNOTATIONS and (like := _like_annotation(str(name))) is not None:
            advice = Advice("misspelled-annotation", f"did you mean `{like}`?", Fix(path, like, of_key=True))
            yield Warn(f"nothing is known to read the annotation `{name}`", path, advice, True)


def _like_annotation(name: str) -> str | None:
    """Of the same prefix, so that others keep the freedom to name theirs."""
    prefix = f"{name.partition('/')[0]}/"
    return nearest(name, [known for known in KNOWN_ANNOTATIONS if known.startswith(prefix)])


def _references(kind: str, spec: Mapping[str, Any], metadata: Mapping[str, Any]) -> Iterator[Warn]:
    namespace = metadata.get("namespace") or DEFAULT_NAMESPACE
    for reference in REFERENCES[kind]:
        found = spec.get(reference.field)
        items = enumerate(found) if isinstance(found, list) else [(None, found)]
        for index, item in items:
            path: Path = ("spec", reference.field) if index is None else ("spec", reference.field, index)
            try:
                ref = read_reference(item, reference.kind, str(namespace)) if isinstance(item, str) else None
            except EntityRefError:
                continue
            if ref is not None:
                yield from _reference(ref, str(item), path)


def _reference(ref: EntityRef, written: str, path: Path) -> Iterator[Warn]:
    """What cannot be the reference of any entity, though it can be read."""
    if "{{" in written:
        return
    kinds = [name for _, name in KINDS]
    if ref.kind.lower() not in {name.lower() for name in kinds} and (like := nearest(ref.kind, kinds)) is not None:
        text = re.sub(r"^[^:]*", like.lower(), written)
        advice = Advice("misspelled-kind", f"did you mean `{text}`?", Fix(path, plain(text)))
        yield Warn(f"no kind is called `{ref.kind}`", path, advice)
    elif _NAME.fullmatch(ref.name) is None or _NAMESPACE.fullmatch(ref.namespace) is None:
        name = "" if "@" in written or _NAME.fullmatch(ref.name) is not None else as_name(ref.name)
        hint = (
            f"did you mean `{name}`?"
            if name
            else f"name a {ref.kind.lower()} of the catalog: `name`, or `kind:namespace/name`"
        )
        fix = Fix(path, plain(name)) if name and written == ref.name else None
        yield Warn(f"no entity can be called `{written}`", path, Advice("impossible-reference", hint, fix))


_NAME = re.compile(r"(?![-A-Za-z0-9_.]{64})(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_NAMESPACE = re.compile(r"[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*")


def _location(spec: Mapping[str, Any]) -> Iterator[Warn]:
    targets = list(targets_of(spec))
    if not targets:
        advice = Advice("location-without-target", "add `targets:`, or remove the location")
        yield Warn("the location points at nothing", ("spec",), advice, True)
    if spec.get("type") == "file":
        advice = Advice("location-type-file", "leave `type` out: what is relative is then read from where this file is")
        yield Warn("`type: file` is refused in files that are read from a URL", ("spec", "type"), advice)
        for path, target in targets:
            yield from _file_target(target, path)


def _file_target(target: str, path: Path) -> Iterator[Warn]:
    if target.startswith("/") or re.match(r"[A-Za-z]:[\\/]", target):
        advice = Advice("location-target-absolute", "write it relative to this file: `./…`")
        yield Warn(f"`{target}` is a path of one machine", path, advice)
    elif not target.startswith("."):
        text = f"./{target}"
        advice = Advice("location-target-bare", f"write `{text}`", Fix(path, plain(text)))
        yield Warn(f"`{target}` is not taken relative to this file", path, advice)


def targets_of(spec: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """The targets of a Location, each with its path."""
    if isinstance(target := spec.get("target"), str) and target:
        yield ("spec", "target"), target
    targets = spec.get("targets")
    for index, item in enumerate(targets if isinstance(targets, list) else ()):
        if isinstance(item, str):
            yield ("spec", "targets", index), item
