"""The auth API through the real door and a real Postgres, held against upstream's answers (spec, t_auth.json)."""

import base64
import json
from collections.abc import Iterable, Sequence
from typing import Any, cast

import pytest

from greenroom.auth import Auth, ServicePrincipal, read_tokens
from greenroom.auth.storage import MIGRATIONS, DatabaseKeyStore
from greenroom.auth.tokens import limit
from greenroom.db import Database
from greenroom.entity import Entity
from greenroom.errors import GreenroomError
from greenroom.plugin import CatalogReader
from greenroom.settings import BackendConfig, ExternalAccess, StaticToken, load
from greenroom.testing import FakeHost
from greenroom.web import Lifecycle, Routes, build_asgi
from greenroom_plugins.auth.plugin import auth as auth_plugin
from greenroom_plugins.auth.settings import AuthConfig
from tests.support.asgi import Client, Reply
from tests.support.postgres import MigratedDatabase

STATIC = "static-token-1234"
GUEST = {"guest": {"userEntityRef": "user:default/guest", "dangerouslyAllowOutsideDevelopment": True}}


class Catalog:
    """A catalog of a few entities."""

    def __init__(self, *entities: Entity) -> None:
        self.entities = {f"{one['kind']}:default/{one['metadata']['name']}".lower(): one for one in entities}

    async def by_refs(self, refs: Sequence[str]) -> list[Entity | None]:
        return [self.entities.get(ref) for ref in refs]


class Server:
    """A whole auth API: `await server.start(providers…)`, then requests by `client`."""

    def __init__(self, database: Database) -> None:
        self.backend = BackendConfig(base_url="http://localhost:7007")
        self.auth = Auth(
            base_url=self.backend.base_url,
            keys=DatabaseKeyStore(database),
            external_tokens=read_tokens([ExternalAccess("static", StaticToken(STATIC, "tests"))]),
        )
        self.services: dict[type, object] = {Auth: self.auth, Database: database}

    def client(self, section: dict[str, Any], catalog: CatalogReader | None = None) -> Client:
        if catalog is not None:
            self.services[CatalogReader] = catalog
        config = load([], {}, {"auth": section}).section("auth", AuthConfig)
        routes = cast(Iterable[Routes], auth_plugin.build(config, FakeHost(self.services)))
        state = Lifecycle()
        state.started()
        app: Any = build_asgi(list(routes), config=self.backend, auth=self.auth, state=state)
        return Client(app, token=None, base="/api/auth")


@pytest.fixture
async def server(migrated_database: MigratedDatabase) -> Server:
    return Server(await migrated_database([MIGRATIONS]))


@pytest.fixture
async def client(server: Server) -> Client:
    return server.client({"providers": GUEST})


def error(answer: Reply) -> tuple[int, str, str]:
    body = answer.json["error"]
    return answer.status, body["name"], body["message"]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def token_of(client: Client) -> str:
    return str((await client.get("/guest/refresh")).json["backstageIdentity"]["token"])


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_guest_gets_a_session_whose_token_opens_the_door(server: Server, client: Client, method: str) -> None:
    answer = await client.request(method, "/guest/refresh")
    assert answer.status == 200
    body = answer.json
    token = body["backstageIdentity"].pop("token")
    assert body["backstageIdentity"].pop("expiresInSeconds") in (3599, 3600)
    assert body == {
        "profile": {},
        "backstageIdentity": {
            "identity": {
                "type": "user",
                "userEntityRef": "user:default/guest",
                "ownershipEntityRefs": ["user:default/guest"],
            }
        },
    }
    assert (await server.auth.authenticate(token, "catalog")).kind == "user"


async def test_an_expired_token_in_the_header_does_not_keep_a_guest_out(client: Client) -> None:
    assert (await client.get("/guest/refresh", **bearer("garbage"))).status == 200


async def test_a_guest_whom_the_catalog_knows_owns_what_their_groups_own(server: Server) -> None:
    guest: Entity = {
        "kind": "User",
        "metadata": {"name": "Guest"},
        "relations": [
            {"type": "memberOf", "targetRef": "group:default/team-a"},
            {"type": "memberOf", "targetRef": "group:default/team-a"},
            {"type": "memberOf", "targetRef": "system:default/odd"},
            {"type": "ownerOf", "targetRef": "component:default/x"},
        ],
    }
    section = {"providers": {"guest": {**GUEST["guest"], "ownershipEntityRefs": ["group:default/other"]}}}
    client = server.client(section, Catalog(guest))
    identity = (await client.get("/guest/refresh")).json["backstageIdentity"]
    claims = (await client.get("/v1/userinfo", **bearer(identity["token"]))).json
    owned = ["user:default/guest", "group:default/team-a"]
    assert identity["identity"]["ownershipEntityRefs"] == owned
    assert claims == {"claims": {"sub": "user:default/guest", "ent": owned}}


async def test_a_guest_unknown_to_the_catalog_owns_what_is_configured(server: Server) -> None:
    section = {"providers": {"guest": {**GUEST["guest"], "ownershipEntityRefs": ["group:default/other"]}}}
    client = server.client(section, Catalog())
    identity = (await client.get("/guest/refresh")).json["backstageIdentity"]["identity"]
    assert identity["ownershipEntityRefs"] == ["group:default/other"]


async def test_guests_stay_out_of_production_unless_it_is_called_dangerous(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NODE_ENV", raising=False)
    section = {"environment": "development", "providers": {"guest": {"userEntityRef": "user:default/guest"}}}
    client = server.client(section)
    status, name, message = error(await client.get("/guest/refresh"))
    assert (status, name) == (403, "NotAllowedError")
    assert message.startswith("The guest provider cannot be used outside of a development environment unless 'auth.")


async def test_guests_come_in_during_development(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_ENV", "development")
    client = server.client({"providers": {"guest": {}}})
    identity = (await client.get("/guest/refresh")).json["backstageIdentity"]["identity"]
    assert identity["userEntityRef"] == "user:development/guest"


async def test_a_guest_that_is_no_reference_is_an_error_and_no_token(server: Server) -> None:
    section = {"providers": {"guest": {**GUEST["guest"], "userEntityRef": "nobody"}}}
    client = server.client(section, Catalog())
    status, _, message = error(await client.get("/guest/refresh"))
    assert (status, message) == (500, '"sub" claim provided by the auth resolver is not a valid EntityRef.')


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/guest/start?env=development", (501, "NotImplementedError", "Not implemented")),
        ("GET", "/guest/handler/frame", (501, "NotImplementedError", "Not implemented")),
        ("POST", "/guest/handler/frame", (501, "NotImplementedError", "Not implemented")),
        ("POST", "/guest/logout", (404, "NotFoundError", "Unknown auth provider 'guest'")),
        ("POST", "/guest/start", (404, "NotFoundError", "Unknown auth provider 'guest'")),
        ("DELETE", "/guest/refresh", (404, "NotFoundError", "Unknown auth provider 'guest'")),
        ("GET", "/guest", (404, "NotFoundError", "Unknown auth provider 'guest'")),
        ("GET", "/guest/", (404, "NotFoundError", "Unknown auth provider 'guest'")),
        ("GET", "/github/start", (404, "NotFoundError", "Unknown auth provider 'github'")),
        ("GET", "/nonexist", (404, "NotFoundError", "Unknown auth provider 'nonexist'")),
        ("GET", "/a/b/c/d", (404, "NotFoundError", "Unknown auth provider 'a'")),
        ("GET", "/v1/authorize", (404, "NotFoundError", "Unknown auth provider 'v1'")),
        ("POST", "/v1/token", (404, "NotFoundError", "Unknown auth provider 'v1'")),
        ("POST", "/v1/userinfo", (404, "NotFoundError", "Unknown auth provider 'v1'")),
        ("POST", "/v1/register", (404, "NotFoundError", "Unknown auth provider 'v1'")),
        ("GET", "/.well-known/x", (404, "NotFoundError", "Unknown auth provider '.well-known'")),
        ("GET", "/v1/userinfo", (401, "AuthenticationError", "No token provided")),
    ],
)
async def test_what_is_not_there_is_refused_as_upstream_does(
    client: Client, method: str, path: str, expected: tuple[int, str, str]
) -> None:
    answer = await client.request(method, path)
    assert error(answer) == expected
    assert answer.json["request"] == {"method": method, "url": path}


async def test_the_root_of_the_api_is_empty(client: Client) -> None:
    answer = await client.get("")
    assert (answer.status, answer.raw) == (404, b"")


async def test_a_guest_provider_that_is_not_configured_says_so(server: Server) -> None:
    client = server.client({})
    for path in ("/guest/refresh", "/guest"):
        assert error(await client.get(path)) == (
            404,
            "NotFoundError",
            "No auth provider registered for 'guest'",
        )


async def test_others_can_find_out_how_to_verify_our_tokens(server: Server, client: Client) -> None:
    configuration = (await client.get("/.well-known/openid-configuration")).json
    assert configuration["issuer"] == "http://localhost:7007/api/auth"
    assert (await client.get("/.well-known/jwks.json")).json == {"keys": []}
    token = await token_of(client)
    [key] = (await client.get("/.well-known/jwks.json")).json["keys"]
    assert list(key) == ["kty", "x", "y", "crv", "kid", "alg"]
    assert (await server.auth.authenticate(token, "catalog")).kind == "user"


async def test_userinfo_answers_for_both_tokens_of_a_user(client: Client) -> None:
    token = await token_of(client)
    for shown in (token, limit(token)):
        answer = await client.get("/v1/userinfo", **bearer(shown))
        assert answer.json == {"claims": {"sub": "user:default/guest", "ent": ["user:default/guest"]}}


async def test_userinfo_is_for_users_only(client: Client) -> None:
    message = "Userinfo endpoint must be called with a token that represents a user principal"
    assert error(await client.get("/v1/userinfo", **bearer(STATIC))) == (400, "InputError", message)
    answer = await client.get("/v1/userinfo", **bearer("garbage"))
    assert error(answer) == (401, "AuthenticationError", "Illegal token")
    forged = f"{(await token_of(client))[:-4]}AAAA"
    answer = await client.get("/v1/userinfo", **bearer(forged))
    assert error(answer) == (401, "AuthenticationError", "Failed user token verification")


async def test_a_user_who_was_forgotten_has_no_userinfo(server: Server, client: Client) -> None:
    token = await token_of(client)
    database = cast(Database, server.services[Database])
    await database.execute("delete from auth_user_info")
    answer = await client.get("/v1/userinfo", **bearer(token))
    assert (answer.status, answer.text) == (404, "User info not found")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


async def test_the_cli_is_told_that_client_documents_are_off(client: Client) -> None:
    answer = await client.get("/.well-known/oauth-client/cli.json")
    assert answer.status == 404
    assert answer.json == {
        "error": "not_found",
        "error_description": "Client ID metadata documents not enabled",
    }


@pytest.mark.parametrize(("configured", "seconds"), [("1m", 600), ("2h", 7200), ("7d", 86400)])
async def test_a_token_lives_between_ten_minutes_and_a_day(server: Server, configured: str, seconds: int) -> None:
    client = server.client({"providers": GUEST, "backstageTokenExpiration": configured})
    identity = (await client.get("/guest/refresh")).json["backstageIdentity"]
    assert identity["expiresInSeconds"] in (seconds - 1, seconds)


async def test_ownership_is_in_the_token_only_when_it_is_not_omitted(server: Server) -> None:
    for section, present in (({}, False), ({"omitIdentityTokenOwnershipClaim": False}, True)):
        client = server.client({"providers": GUEST, **section})
        _, payload, _ = (await token_of(client)).split(".")
        claims = json.loads(base64.urlsafe_b64decode(f"{payload}=="))
        assert ("ent" in claims) is present


async def test_tokens_of_one_process_are_known_to_another(server: Server, client: Client) -> None:
    token = await token_of(client)
    other = Server(cast(Database, server.services[Database]))
    assert (await other.auth.authenticate(token, "catalog")).kind == "user"


async def test_an_unsupported_algorithm_stops_the_start() -> None:
    config = load([], {}, {"auth.identityTokenAlgorithm": "RS256"})
    with pytest.raises(GreenroomError, match=r"auth.identityTokenAlgorithm"):
        config.section("auth", AuthConfig)


async def test_a_static_token_is_a_service_on_the_auth_api_too(server: Server) -> None:
    assert (await server.auth.authenticate(STATIC, "auth")).principal == ServicePrincipal("tests")
