"""What a form asks for, and what templates can use: forms, actions, filters and functions, values to choose from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from greenroom.entity import EntityRef
from greenroom.errors import InputError
from greenroom.plugin import Autocomplete
from greenroom.web import asked, json_response
from greenroom_scaffolder.routes.reading import Templates
from greenroom_scaffolder.templates import parameter_schema


def form_routes(templates: Templates) -> list[HTTPRouteHandler]:
    """The form of a template."""

    @get(
        "/v2/templates/{namespace:str}/{kind:str}/{name:str}/parameter-schema",
        operation_id="GetTemplateParameterSchema",
    )
    async def form(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        ref = EntityRef(ask.path["kind"], ask.path["namespace"], ask.path["name"])
        return json_response(parameter_schema(await templates.template(ref, ask.credentials)))

    return [form]


def vocabulary_routes(
    actions: Callable[[], bytes], extensions: Callable[[], Mapping[str, Any]]
) -> list[HTTPRouteHandler]:
    """What the author of a template has at hand. Both are asked once the house is built."""

    @get("/v2/actions", operation_id="ListActions")
    async def listed(request: Request[Any, Any, Any]) -> Response[bytes]:
        return json_response(actions())

    @get("/v2/templating-extensions", operation_id="ListTemplatingExtensions")
    async def extended(request: Request[Any, Any, Any]) -> Response[bytes]:
        return json_response(extensions())

    return [listed, extended]


def autocomplete_routes(providers: Callable[[], Sequence[Autocomplete]]) -> list[HTTPRouteHandler]:
    """Values to choose from, looked up at a vendor's with the user's own token."""

    @post("/v2/autocomplete/{provider:str}/{resource:str}", operation_id="Autocomplete", status_code=200)
    async def complete(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        if not ask.body["token"]:
            raise InputError("Missing token query parameter")
        name = ask.path["provider"]
        provider = next((one for one in providers() if one.provider == name), None)
        if provider is None:
            raise InputError(f"Unsupported provider: {name}")
        found = await provider.complete(ask.path["resource"], ask.body["token"], ask.body["context"])
        return json_response({"results": list(found)})

    return [complete]
