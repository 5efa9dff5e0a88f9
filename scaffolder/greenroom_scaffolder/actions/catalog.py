"""catalog:fetch, catalog:register, catalog:write: what a template reads from the catalog, and what it adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from greenroom.auth import NOBODY, Auth, Credentials
from greenroom.entity import Entity, EntityRefError, EntityRefFormError, parse_ref, ref_of
from greenroom.errors import ConflictError, GreenroomError, InputError, NotFoundError, ServiceUnavailableError
from greenroom.javascript.json_text import copied
from greenroom.permissions import Permission, Permissions
from greenroom.plugin import Action, ActionContext, CatalogLocations, CatalogReader
from greenroom.urls.service import Urls
from greenroom.urls.whatwg import is_url
from greenroom.yaml_text import dump
from greenroom_scaffolder.actions.interface import Interfaces
from greenroom_scaffolder.workspace.quota import Quota
from greenroom_scaffolder.workspace.threads import in_thread
from greenroom_scaffolder.workspace.workspace import Workspace

SOURCE_TEMPLATE = "backstage.io/source-template"

_ENTITY_READ = Permission("catalog.entity.read", "read", "catalog-entity")
_INTERFACES = Interfaces("catalog")


class Reading(msgspec.Struct, frozen=True, rename="camel"):
    """Which entities to read, and what their references leave out."""

    entity_ref: str | None = None
    entity_refs: Sequence[str] | None = None
    optional: bool = False
    default_kind: str | None = None
    default_namespace: str | None = None


class Registering(msgspec.Struct, frozen=True, rename="camel"):
    """Which file to register: by its URL, or by its repository and its path there."""

    catalog_info_url: str | None = None
    repo_contents_url: str = ""
    catalog_info_path: str = "/catalog-info.yaml"
    optional: bool = False


class Writing(msgspec.Struct, frozen=True, rename="camel"):
    """What to write, and where."""

    entity: dict[str, Any]
    file_path: str = "catalog-info.yaml"


class MissingEntityError(NotFoundError):
    """There is no such entity"""

    name = "Error"


class NoReferenceError(InputError):
    """Missing entity reference or references"""

    name = "Error"


class WrongReferenceError(InputError):
    """A reference is none"""

    name = "Error"


class MalformedReferenceError(WrongReferenceError):
    """A reference is not even of the form of one"""

    name = "TypeError"


class CatalogAsInitiator:
    """The catalog as whoever started the task may see it."""

    def __init__(
        self, catalog: CatalogReader | None, permissions: Permissions | None, auth: Auth | None = None
    ) -> None:
        """Without a catalog (templates that are tried out offline) every look at it is refused. Without `auth` no service's
        token is restricted."""
        self._catalog = catalog
        self._permissions, self._auth = permissions, auth

    async def entities(self, refs: Sequence[str], initiator: object) -> list[Entity | None]:
        """One entity or None per canonical reference, in order.

        Raises ServiceUnavailableError, and NotAllowedError for a service whose token is not for the catalog."""
        if self._catalog is None:
            raise ServiceUnavailableError("There is no catalog here to read entities from")
        who = initiator if isinstance(initiator, Credentials) else NOBODY
        who = who if self._auth is None else self._auth.delegated(who, "catalog")
        found = await self._catalog.by_refs(refs)
        return [one if one and await self._shows(who, ref) else None for ref, one in zip(refs, found, strict=True)]

    async def _shows(self, who: Credentials, ref: str) -> bool:
        return self._permissions is None or await self._permissions.allows(who, _ENTITY_READ, ref)


def catalog_actions(
    catalog: CatalogAsInitiator, locations: CatalogLocations | None, urls: Urls, quota: Quota
) -> list[Action[Any]]:
    """The actions of this family."""
    return [_fetch(catalog), _register(locations, urls), _write(quota)]


def _fetch(catalog: CatalogAsInitiator) -> Action[Any]:
    @_INTERFACES.action("catalog:fetch", dry_run=True, idempotent=True)
    async def fetch(ctx: ActionContext[Reading]) -> Mapping[str, Any]:
        """Read one entity of the catalog (`entityRef`), or several (`entityRefs`)."""
        wanted = ctx.input
        if not wanted.entity_ref and wanted.entity_refs is None:
            if wanted.optional:
                return {}
            raise NoReferenceError
        outputs: dict[str, Any] = {}
        if wanted.entity_ref:
            outputs["entity"] = (await _read(catalog, wanted, [wanted.entity_ref], ctx.initiator))[0]
        if wanted.entity_refs is not None:
            outputs["entities"] = await _read(catalog, wanted, wanted.entity_refs, ctx.initiator)
        return outputs

    return fetch


def _canonical(ref: str, wanted: Reading) -> str:
    try:
        return str(parse_ref(ref, default_kind=wanted.default_kind, default_namespace=wanted.default_namespace))
    except EntityRefFormError as error:
        raise MalformedReferenceError(error.message) from error
    except EntityRefError as error:
        raise WrongReferenceError(error.message) from error


async def _read(
    catalog: CatalogAsInitiator, wanted: Reading, refs: Sequence[str], initiator: object
) -> list[Entity | None]:
    found = await catalog.entities([_canonical(ref, wanted) for ref in refs], initiator)
    for ref, entity in zip(refs, found, strict=True):
        if entity is None and not wanted.optional:
            raise MissingEntityError(f"Entity {ref} not found")
    return found


def _register(locations: CatalogLocations | None, urls: Urls) -> Action[Any]:
    @_INTERFACES.action("catalog:register", idempotent=True)
    async def register(ctx: ActionContext[Registering]) -> Mapping[str, Any]:
        """Register a catalog file, so that the catalog follows it, and tell which entity it describes."""
        url = _catalog_file(urls, ctx.input)
        ctx.log.info(f"Registering {url} in the catalog")
        if locations is None:
            raise ServiceUnavailableError("There is no catalog here to register anything in")
        described: Sequence[Entity] = ()
        try:
            await ctx.checkpoint("register", partial(_registered, ctx, locations, url))
        except GreenroomError:
            if not ctx.input.optional:
                raise
        try:
            described = (await locations.register(url, dry_run=True, initiator=ctx.initiator)).entities
        except GreenroomError:
            if not ctx.input.optional:
                raise
        outputs = {"catalogInfoUrl": url}
        return {"entityRef": ref_of(_foremost(described)), **outputs} if described else outputs

    return register


async def _registered(ctx: ActionContext[Registering], locations: CatalogLocations, url: str) -> bool:
    """Register it. What this step has registered before it was interrupted, unable to say so, is no conflict.

    It is this step's own if it was not there when an earlier attempt looked (`free`), and nobody was told since that it is
    another's (`taken`). Raises ConflictError for another's, and what else the catalog raises."""
    first = not await _remembered(ctx, "free")
    if first and await _is_free(locations, url, ctx.initiator):
        await ctx.checkpoint("free", _yes)
    try:
        await locations.register(url, initiator=ctx.initiator)
    except ConflictError:
        if first:
            await ctx.checkpoint("taken", _yes)
        if first or await _remembered(ctx, "taken"):
            raise
    return True


async def _is_free(locations: CatalogLocations, url: str, initiator: object) -> bool:
    """Whether nobody has registered it yet, as far as one can see: what cannot be read can be registered all the same."""
    try:
        return not (await locations.register(url, dry_run=True, initiator=initiator)).exists
    except GreenroomError:
        return False


async def _remembered(ctx: ActionContext[Any], key: str) -> bool:
    """Whether there is such a checkpoint. To ask makes none: what raises is not remembered."""
    try:
        await ctx.checkpoint(key, _unknown)
    except LookupError:
        return False
    return True


async def _yes() -> bool:
    return True


async def _unknown() -> bool:
    raise LookupError


def _write(quota: Quota) -> Action[Any]:
    @_INTERFACES.action("catalog:write", dry_run=True, idempotent=True)
    async def write(ctx: ActionContext[Writing]) -> None:
        """Write a catalog file, which tells of the template that it came from."""
        ctx.log.info(f"Writing {ctx.input.file_path}")
        text = dump(_with_source(ctx.input.entity, ctx.template.entity_ref))
        await in_thread(lambda: Workspace(ctx.workspace, quota).write(ctx.input.file_path, text.encode()))

    return write


def _catalog_file(urls: Urls, wanted: Registering) -> str:
    """Raises InputError for a repository on a host that is not known."""
    if wanted.catalog_info_url is not None:
        return wanted.catalog_info_url
    contents = wanted.repo_contents_url
    if urls.integrations.by_url(contents) is None and not (is_url(contents) and urls.reads_folders(contents)):
        raise InputError(f"No integration found for host {wanted.repo_contents_url}")
    return urls.resolve(wanted.catalog_info_path, wanted.repo_contents_url)


def _foremost(entities: Sequence[Entity]) -> Entity:
    """What a file is about: its first component that has a name of its own, else the first entity that has."""
    named = [one for one in entities if not one["metadata"]["name"].startswith("generated-")]
    components = [one for one in named if one["kind"] == "Component"]
    return (components or named or list(entities))[0]


def _with_source(entity: Mapping[str, Any], template: str) -> dict[str, Any]:
    """The entity with the annotation; no two parts of it the same object, which YAML would write once and refer to."""
    own: dict[str, Any] = copied(entity)
    metadata = own.get("metadata")
    if not isinstance(metadata, dict):
        raise InputError("The entity needs metadata, an object")
    annotations = metadata.get("annotations")
    metadata["annotations"] = {**(annotations if isinstance(annotations, dict) else {}), SOURCE_TEMPLATE: template}
    return own
