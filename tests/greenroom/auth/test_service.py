"""Every request's way through the barrier, with the answers of upstream (spec 01 §4, 04 §5, 05b §7)."""

import logging
from datetime import timedelta
from typing import Any

import pytest

from greenroom.auth import (
    Auth,
    Credentials,
    MemoryKeyStore,
    NonePrincipal,
    PathPolicy,
    ServicePrincipal,
    Shown,
    TokenIssuer,
    UserPrincipal,
    read_tokens,
    require,
)
from greenroom.auth import service as service_module
from greenroom.auth import tokens as tokens_module
from greenroom.auth.external import principal_on
from greenroom.auth.tokens import limit
from greenroom.errors import AuthenticationError, GreenroomError, NotAllowedError
from greenroom.settings import AccessRestriction, ExternalAccess, StaticToken

STATIC = "static-token-1234"
RESTRICTED = "restricted-token-1234"
EXTERNAL = read_tokens(
    [
        ExternalAccess("static", StaticToken(STATIC, "tests")),
        ExternalAccess(
            "static", StaticToken(RESTRICTED, "narrow"), [AccessRestriction("catalog", ["catalog.entity.read"])]
        ),
    ]
)
CLOSED = PathPolicy()


class World:
    """An Auth, an issuer on the same keys, and a clock set by hand."""

    def __init__(self, **options: Any) -> None:
        self.now = 1_795_248_465.0
        self.store = MemoryKeyStore(lambda: self.now)
        options = {"base_url": "http://localhost:7007", "external_tokens": EXTERNAL, **options}
        self.auth = Auth(keys=self.store, clock=lambda: self.now, **options)
        self.issuer = TokenIssuer(
            self.store, issuer=self.auth.issuer, lifetime=timedelta(hours=1), clock=lambda: self.now
        )

    async def token(self, ref: str = "user:default/guest") -> str:
        return (await self.issuer.issue(ref, [ref])).token

    async def admit(self, shown: Shown, policy: PathPolicy = CLOSED, path: str = "/entities") -> Credentials:
        return await self.auth.admit(shown, "catalog", path, policy)


@pytest.fixture
def world() -> World:
    return World()


def bearer(token: str) -> Shown:
    return Shown(f"Bearer {token}")


async def test_a_user_comes_in_with_the_token_of_their_sign_in(world: World) -> None:
    token = await world.token()
    credentials = await world.admit(bearer(token))
    assert credentials.principal == UserPrincipal("user:default/guest")
    assert credentials.token == token
    assert credentials.expires_at is not None
    assert credentials.expires_at.timestamp() == int(world.now) + 3600


async def test_a_service_comes_in_with_a_static_token(world: World) -> None:
    assert (await world.admit(bearer(STATIC))).principal == ServicePrincipal("tests")


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic eDp5", STATIC, f"Bearer {STATIC} x", f"Bearer\t{STATIC}"]
)
async def test_a_header_of_another_form_counts_as_no_token(world: World, header: str | None) -> None:
    with pytest.raises(AuthenticationError, match=r"^Missing credentials$"):
        await world.admit(Shown(header))


@pytest.mark.parametrize("word", ["Bearer", "bearer", "BEARER", "Bearer "])
async def test_case_and_spaces_before_the_token_do_not_matter(world: World, word: str) -> None:
    assert (await world.admit(Shown(f"{word} {STATIC}"))).kind == "service"


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("garbage", "Illegal token"),
        ("a.b.c", "Illegal token"),
        (f"{STATIC}x", "Illegal token"),
        ("x" * 40_000, "Illegal token"),
        ("eyJ0eXAiOiJ2bmQuYmFja3N0YWdlLnVzZXIifQ", "Illegal token"),
        ("eyJ0eXAiOiJ2bmQuYmFja3N0YWdlLnVzZXIifQ..", "Failed user token verification"),
        ("eyJ0eXAiOiJ2bmQuYmFja3N0YWdlLnVzZXIifQ.x.y", "Failed user token verification"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJhdWQiOiJiYWNrc3RhZ2UifQ.x", "Failed user token verification"),
        ("eyJ0eXAiOiJ2bmQuYmFja3N0YWdlLnBsdWdpbiJ9.eyJzdWIiOiJjYXRhbG9nIn0.x", "Failed plugin token verification"),
    ],
)
async def test_a_bad_token_is_refused_with_upstreams_words(world: World, token: str, message: str) -> None:
    with pytest.raises(AuthenticationError, match=f"^{message}$"):
        await world.admit(bearer(token))


async def test_a_token_of_another_installation_is_refused(world: World) -> None:
    with pytest.raises(AuthenticationError, match="Failed user token verification"):
        await world.admit(bearer(await World().token()))


async def test_an_expired_token_is_refused_even_if_it_was_just_good(world: World) -> None:
    shown = bearer(await world.token())
    world.now += 3599
    await world.admit(shown)
    world.now += 1
    with pytest.raises(AuthenticationError, match="Failed user token verification"):
        await world.admit(shown)


async def test_a_verified_token_is_not_verified_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = bearer(await world.token())
    first = await world.admit(shown)
    monkeypatch.delattr(tokens_module, "verify")
    assert await world.admit(shown) is first


async def test_a_stream_of_tokens_does_not_grow_the_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "REMEMBERED", 3)
    for number in range(10):
        await world.admit(bearer(await world.token(f"user:default/u{number}")))
    assert len(world.auth._verified) == 3


async def test_a_limited_token_opens_only_paths_that_take_the_cookie(world: World) -> None:
    limited, policy = limit(await world.token()), PathPolicy(cookie_paths=["/static"])
    with pytest.raises(AuthenticationError, match=r"^Illegal limited user token$"):
        await world.admit(bearer(limited), policy)
    for shown in (bearer(limited), Shown(None, f"other=1; backstage-auth={limited}")):
        assert (await world.admit(shown, policy, "/static/docs/index.html")).kind == "user"
        with pytest.raises(AuthenticationError):
            await world.admit(shown, policy, "/statics")


async def test_a_cookie_counts_for_nothing_on_other_paths(world: World) -> None:
    with pytest.raises(AuthenticationError, match="Missing credentials"):
        await world.admit(Shown(None, f"backstage-auth={await world.token()}"))


async def test_a_bad_header_wins_over_a_good_cookie(world: World) -> None:
    shown = Shown("Bearer garbage", f"backstage-auth={limit(await world.token())}")
    with pytest.raises(AuthenticationError, match="Illegal token"):
        await world.admit(shown, PathPolicy(cookie_paths=["/static"]), "/static/x")


@pytest.mark.parametrize("path", ["/health", "/health/", "/HEALTH", "/health/deep"])
async def test_on_an_open_path_nobody_looks_at_the_token(world: World, path: str) -> None:
    credentials = await world.admit(bearer("garbage"), PathPolicy(open_paths=["/health"]), path)
    assert credentials.principal == NonePrincipal()


async def test_a_plugin_can_be_open_as_a_whole(world: World) -> None:
    for path in ("/", "/guest/refresh"):
        assert (await world.admit(Shown(), PathPolicy(open_paths=["/"]), path)).kind == "none"


@pytest.mark.parametrize("path", ["/", "/healthy", "/unhealth", "/x/health", "//health", "/health%2f", ""])
async def test_an_open_path_opens_nothing_beside_it(world: World, path: str) -> None:
    with pytest.raises(AuthenticationError):
        await world.admit(Shown(), PathPolicy(open_paths=["/health"]), path)


async def test_a_restricted_token_is_turned_away_by_other_plugins(world: World) -> None:
    inside = await world.admit(bearer(RESTRICTED))
    assert isinstance(inside.principal, ServicePrincipal)
    assert inside.principal.restrictions is not None
    assert inside.principal.restrictions.permissions == frozenset({"catalog.entity.read"})
    with pytest.raises(NotAllowedError, match=r"^This token's access is restricted to plugin\(s\) 'catalog'$"):
        await world.auth.admit(bearer(RESTRICTED), "search", "/query", CLOSED)


async def test_without_the_default_policy_nobody_may_come_in_but_no_bad_token() -> None:
    open_world = World(enforced=False)
    assert (await open_world.admit(Shown())).kind == "none"
    with pytest.raises(AuthenticationError, match="Illegal token"):
        await open_world.admit(bearer("garbage"))


async def test_no_token_reaches_a_log_an_error_or_a_repr(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = await world.token()
    forged = f"{token[:-6]}AAAAAA"
    with pytest.raises(GreenroomError) as refused:
        await world.admit(bearer(forged))
    credentials = await world.admit(bearer(token))
    shown = Shown(f"Bearer {token}", f"backstage-auth={token}")
    issued = await world.issuer.issue("user:default/guest", [])
    for text in (caplog.text, str(refused.value), repr(credentials), repr(shown), repr(issued), repr(world.auth)):
        assert "eyJ" not in text
    assert "Refused a user token" in caplog.text


def test_the_wrong_kind_of_caller_is_named() -> None:
    user, service = Credentials(UserPrincipal("user:default/a")), Credentials(ServicePrincipal("ci"))
    assert require(user, "user", "service") is user
    with pytest.raises(NotAllowedError, match=r"^This endpoint does not allow 'service' credentials$"):
        require(service, "user", "none")
    with pytest.raises(NotAllowedError, match=r"^This endpoint does not allow 'user' credentials$"):
        require(user, "service")


async def test_a_user_gets_a_cookie_with_the_limited_token(world: World) -> None:
    token = await world.token()
    renewal = await world.auth.renew_cookie(bearer(token), "techdocs")
    assert renewal.body == {"expiresAt": "2026-11-21T09:07:45.000Z"}
    assert renewal.set_cookie == (
        f"backstage-auth={limit(token)}; Domain=localhost; Path=/; Expires=Sat, 21 Nov 2026 09:07:45 GMT; "
        "HttpOnly; Secure; Priority=High; SameSite=None"
    )


@pytest.mark.parametrize(
    ("base_url", "attributes"),
    [
        ("https://backstage.example.net", "HttpOnly; Secure; Priority=High; SameSite=None"),
        ("http://localhost:7007/", "HttpOnly; Secure; Priority=High; SameSite=None"),
        ("http://127.0.0.1:7007", "HttpOnly; Priority=High; SameSite=Lax"),
    ],
)
def test_the_cookie_is_cleared_with_the_attributes_it_was_set_with(base_url: str, attributes: str) -> None:
    cleared = World(base_url=base_url).auth.clear_cookie()
    assert cleared.startswith("backstage-auth=; Domain=")
    assert cleared.endswith(f"; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; {attributes}")


async def test_a_cookie_is_kept_until_it_is_about_to_expire(world: World) -> None:
    token = await world.token()
    shown = Shown(f"Bearer {token}", f"backstage-auth={limit(token)}")
    world.now += 3600 - 300
    assert (await world.auth.renew_cookie(shown, "techdocs")).set_cookie is None
    world.now += 1
    assert (await world.auth.renew_cookie(shown, "techdocs")).set_cookie is not None


async def test_a_cookie_that_no_longer_counts_is_replaced(world: World) -> None:
    shown = Shown(f"Bearer {await world.token()}", "backstage-auth=garbage")
    assert (await world.auth.renew_cookie(shown, "techdocs")).set_cookie is not None


async def test_only_users_get_cookies(world: World) -> None:
    with pytest.raises(NotAllowedError, match="does not allow 'service'"):
        await world.auth.renew_cookie(bearer(STATIC), "techdocs")
    with pytest.raises(AuthenticationError, match="Missing credentials"):
        await world.auth.renew_cookie(Shown(None, f"backstage-auth={limit(await world.token())}"), "techdocs")
    with pytest.raises(AuthenticationError, match="Illegal limited user token"):
        await world.auth.renew_cookie(bearer(limit(await world.token())), "techdocs")


async def test_a_reference_that_is_none_gets_no_token(world: World) -> None:
    with pytest.raises(GreenroomError, match='"sub" claim provided by the auth resolver is not a valid EntityRef'):
        await world.issuer.issue("guest", [])


async def test_ownership_travels_in_the_token_only_if_it_is_told_to(world: World) -> None:
    telling = TokenIssuer(world.store, issuer="x", lifetime=timedelta(hours=1), with_ownership=True)
    ref, owned = "user:default/guest", ["user:default/guest", "group:default/team-a"]
    plain, with_ent = await world.issuer.issue(ref, owned), await telling.issue(ref, owned)
    assert len(with_ent.token) > len(plain.token)


def test_a_service_is_lent_no_plugin_that_its_token_is_not_for() -> None:
    world = World()
    limits = [AccessRestriction("scaffolder"), AccessRestriction("catalog"), AccessRestriction("search", ["x"])]
    tokens = read_tokens([ExternalAccess("static", StaticToken(RESTRICTED, "several"), limits)])
    auth = World(external_tokens=tokens).auth
    asking = Credentials(principal_on(tokens[0], "scaffolder"), RESTRICTED)
    assert auth.delegated(asking, "catalog").principal == ServicePrincipal("several")
    with pytest.raises(NotAllowedError, match="'search' is restricted and cannot be delegated"):
        auth.delegated(asking, "search")
    with pytest.raises(NotAllowedError, match="'events' is not included"):
        auth.delegated(asking, "events")
    with pytest.raises(NotAllowedError, match="'catalog' is not included"):  # by now it is not configured any more
        world.auth.delegated(Credentials(asking.principal, "an-older-token"), "catalog")


def test_a_user_and_a_service_of_its_own_are_lent_everything() -> None:
    for who in (Credentials(UserPrincipal("user:default/jo")), Credentials(ServicePrincipal("tests"), STATIC)):
        assert World().auth.delegated(who, "catalog") == who
