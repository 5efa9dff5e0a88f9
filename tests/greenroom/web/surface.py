"""A plugin with the catalog's document whose handlers tell back what they were asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from litestar import Request, Response, delete, get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Stream

from greenroom.auth import Auth, MemoryKeyStore, read_tokens
from greenroom.errors import ConflictError, NotFoundError, ServiceUnavailableError
from greenroom.settings import BackendConfig, ExternalAccess, StaticToken
from greenroom.telemetry import Telemetry
from greenroom.web import Lifecycle, Routes, asked, build_asgi, empty, json_response, load_document
from tests.support.asgi import TOKEN, App, Client, chunked

_DECORATORS = {"get": get, "post": post, "put": put, "delete": delete}

Ask = Request[Any, Any, Any]


def echo(method: str, path: str, operation_id: str) -> HTTPRouteHandler:
    """A handler that answers with everything `asked` has."""

    async def handler(request: Ask) -> Response[bytes]:
        here = asked(request)
        return json_response(
            {"operation": operation_id, "query": here.query, "path": here.path, "body": here.body, "url": here.url}
        )

    made: HTTPRouteHandler = _DECORATORS[method](
        path.replace("}", ":str}"), operation_id=operation_id, status_code=200
    )(handler)
    return made


def catalog() -> Routes:
    """Every operation of the catalog's document."""
    document = load_document("catalog")
    return Routes(
        "catalog",
        [
            echo(method, path, operation["operationId"])
            for path, item in document["paths"].items()
            for method, operation in item.items()
        ],
        document,
    )


@get("/fixed")
async def fixed() -> Response[bytes]:
    return json_response(b'{"a":1}')


@get("/large")
async def large() -> Response[bytes]:
    return json_response({"text": "word " * 1000})


@get("/image")
async def image() -> Response[bytes]:
    return Response(b"\x00" * 5000, media_type="image/png")


@get("/stream/{kind:str}")
async def stream(kind: FromPath[str]) -> Stream:
    media = {"events": "text/event-stream", "lines": "application/x-ndjson"}[kind]
    return Stream(chunked(b"one\n", b"two\n", b"three\n"), media_type=media)


@get("/never")
async def never() -> Response[bytes]:
    return Response(b"x" * 5000, media_type="text/plain", headers={"Cache-Control": "public, no-transform"})


@get("/things/{name:str}")
async def thing(name: FromPath[str]) -> Response[bytes]:
    return json_response({"name": name})


@get("/files/{file:path}")
async def file(request: Ask) -> Response[bytes]:
    return json_response(asked(request).path)


@post("/raw")
async def raw(request: Ask) -> Response[bytes]:
    here = asked(request)
    read = await request.body()
    return json_response({"asked": here.body, "raw": here.raw.decode(), "body": read.decode()})


@get("/fail/{how:str}")
async def fail(how: FromPath[str]) -> Response[bytes]:
    match how:
        case "missing":
            raise NotFoundError("no such thing")
        case "conflict":
            raise ConflictError("taken", cause=ValueError("twice"), details={"entityRef": "a:b/c"})
        case "unavailable":
            raise ServiceUnavailableError
        case _:
            raise RuntimeError("the password is hunter2")


async def _breaking() -> AsyncIterator[bytes]:
    yield b"half"
    raise RuntimeError("lost")


@get("/breaks")
async def breaks() -> Stream:
    return Stream(_breaking(), media_type="text/plain")


@get("/open/door")
async def open_door(request: Ask) -> Response[bytes]:
    return json_response({"kind": asked(request).credentials.kind})


@get("/")
async def index() -> Response[bytes]:
    return json_response(b'"index"')


@put("/nothing")
async def nothing() -> Response[bytes]:
    return empty(204)


def plain() -> Routes:
    """A plugin without a document."""
    handlers = [fixed, large, image, stream, never, thing, file, raw, fail, breaks, open_door, index, nothing]
    return Routes("plain", handlers, open_paths=("/open",), body_limit=1000)


def auth() -> Auth:
    """An Auth that knows the token of the test client."""
    tokens = read_tokens([ExternalAccess("static", StaticToken(TOKEN, "tests"))])
    return Auth(base_url="http://localhost:7007", keys=MemoryKeyStore(), external_tokens=tokens)


def app(
    config: BackendConfig | None = None,
    *,
    routes: Sequence[Routes] | None = None,
    state: Lifecycle | None = None,
    telemetry: Telemetry | None = None,
) -> App:
    """The door in front of both plugins; started unless a state is given."""
    if state is None:
        state = Lifecycle()
        state.started()
    return build_asgi(
        routes if routes is not None else [catalog(), plain()],
        config=config or BackendConfig(),
        auth=auth(),
        state=state,
        telemetry=telemetry,
    )


def client(config: BackendConfig | None = None, **options: Any) -> Client:
    """A client of `app`."""
    return Client(app(config, **options))
