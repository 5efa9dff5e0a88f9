"""backend.csp, backend.referrer, backend.cors and backend.health.headers, as browsers get to see them."""

from typing import Any

import pytest

from greenroom.errors import ConfigError
from greenroom.settings import BackendConfig, Cors, HealthConfig, Referrer
from greenroom.web import Door, Lifecycle
from greenroom.web.cors import compile_glob
from greenroom.web.headers import content_security_policy, referrer_policy
from tests.greenroom.web.surface import client
from tests.support.asgi import Client

ORIGIN = "http://127.0.0.1:3000"
CORS = Cors(origin=["http://127.0.0.1:*"], credentials=True, methods=["GET", "HEAD", "PATCH"])
LOCATIONS = "/api/catalog/locations"


def test_directives_replace_and_false_removes() -> None:
    policy = content_security_policy(
        {"connectSrc": ["'self'", "https:"], "img-src": ["*"], "upgrade-insecure-requests": False, "sandbox": []}
    )
    assert policy == (
        "default-src 'self';base-uri 'self';font-src 'self' https: data:;frame-ancestors 'self';img-src *;object-src 'none';"
        "script-src 'self' 'unsafe-eval';script-src-attr 'none';style-src 'self' https: 'unsafe-inline';"
        "connect-src 'self' https:;sandbox"
    )


@pytest.mark.parametrize("csp", [{"default-src": False}, {"imgSrc": ["a;b"]}, {"imgSrc": "a"}, {"imgSrc": [1]}])
def test_a_policy_that_helmet_would_not_take_stops_the_start(csp: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"backend\.csp"):
        content_security_policy(csp)


def test_referrer_policies_are_listed_and_checked() -> None:
    assert referrer_policy(Referrer(["origin", "same-origin"])) == "origin,same-origin"
    with pytest.raises(ConfigError, match=r"backend\.referrer\.policy"):
        referrer_policy(Referrer(["everything"]))


@pytest.mark.parametrize(
    ("config", "path"),
    [
        (BackendConfig(csp={"img-src": ["https://\u2192"]}), "backend.csp"),
        (BackendConfig(csp={"img-src": ["a\r\nx: y"]}), "backend.csp"),
        (BackendConfig(cors=Cors(origin=["*"], exposed_headers=["a\nb"])), "backend.cors"),
        (BackendConfig(cors=Cors(origin=["http://[z-a].example.com"])), "backend.cors.origin"),
        (BackendConfig(health=HealthConfig({"x y": "1"})), "backend.health.headers"),
        (BackendConfig(health=HealthConfig({"x": "1\n2"})), "backend.health.headers.x"),
    ],
)
def test_what_no_header_can_carry_stops_the_start(config: BackendConfig, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Door(config=config, state=Lifecycle())
    assert caught.value.path == path


@pytest.fixture(scope="module")
def cors() -> Client:
    return client(BackendConfig(cors=CORS))


async def test_without_a_config_there_is_no_cors_at_all(door: Client) -> None:
    reply = await door.get(LOCATIONS, origin=ORIGIN)
    assert not [name for name in reply.headers if name.startswith("access-control")]
    assert reply.headers["vary"] == "Accept-Encoding"


async def test_an_allowed_origin_is_told_so_also_with_errors(cors: Client) -> None:
    for token, status in (("", 200), (None, 401)):
        reply = await cors.request("GET", LOCATIONS, {"origin": ORIGIN}, token=token)
        assert reply.status == status
        assert reply.headers["access-control-allow-origin"] == ORIGIN
        assert reply.headers["access-control-allow-credentials"] == "true"
        assert reply.headers["vary"] == "Origin, Accept-Encoding"


async def test_304_still_varies_by_origin(cors: Client) -> None:
    reply = await cors.get("/api/plain/fixed", origin=ORIGIN, if_none_match="*", accept_encoding="gzip")
    assert (reply.status, reply.headers["vary"]) == (304, "Origin")


@pytest.mark.parametrize("origin", ["http://evil", "http://127.0.0.1:30/00", "https://127.0.0.1:3000", ""])
async def test_another_origin_is_told_nothing(cors: Client, origin: str) -> None:
    reply = await cors.get(LOCATIONS, origin=origin)
    assert "access-control-allow-origin" not in reply.headers
    assert reply.headers["vary"] == "Accept-Encoding"


async def test_a_preflight_is_answered_for_any_path_without_credentials(cors: Client) -> None:
    headers = {"origin": ORIGIN, "access-control-request-headers": "x-a,authorization"}
    for target in (LOCATIONS, "/nope"):
        reply = await cors.request("OPTIONS", target, headers, token=None)
        assert (reply.status, reply.raw, reply.headers["content-length"]) == (204, b"", "0")
        assert reply.headers["access-control-allow-methods"] == "GET,HEAD,PATCH"
        assert reply.headers["access-control-allow-headers"] == "x-a,authorization"
        assert reply.headers["vary"] == "Origin, Access-Control-Request-Headers"


async def test_a_preflight_from_another_origin_goes_its_way_to_the_barrier(cors: Client) -> None:
    assert (await cors.request("OPTIONS", LOCATIONS, {"origin": "http://evil"}, token=None)).status == 401


async def test_every_key_of_the_cors_config_counts() -> None:
    config = Cors(
        origin=["*://*.example.com"],
        allowed_headers=["X-One", "X-Two"],
        exposed_headers=["X-Three"],
        max_age=600,
        options_success_status=200,
    )
    asked = client(BackendConfig(cors=config))
    preflight = await asked.request("OPTIONS", "/nope", {"origin": "https://a.EXAMPLE.com"})
    assert preflight.status == 200
    assert {name: value for name, value in preflight.headers.items() if name.startswith("access-control")} == {
        "access-control-allow-origin": "https://a.EXAMPLE.com",
        "access-control-allow-methods": "GET,HEAD,PUT,PATCH,POST,DELETE",
        "access-control-allow-headers": "X-One,X-Two",
        "access-control-max-age": "600",
        "access-control-expose-headers": "X-Three",
    }
    assert preflight.headers["vary"] == "Origin"
    assert (await asked.get("/nope", origin="https://a.example.com")).headers[
        "access-control-expose-headers"
    ] == "X-Three"


async def test_a_preflight_may_be_left_to_the_routes() -> None:
    asked = client(BackendConfig(cors=Cors(origin=["*://*"], preflight_continue=True)))
    reply = await asked.request("OPTIONS", LOCATIONS, {"origin": ORIGIN})
    assert (reply.status, reply.text) == (200, "POST,GET,HEAD")
    assert reply.headers["access-control-allow-origin"] == ORIGIN


async def test_without_an_origin_in_the_config_everybody_may_call() -> None:
    reply = await client(BackendConfig(cors=Cors())).get(LOCATIONS)
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("pattern", "origin", "expected"),
    [
        ("http://localhost:3000", "HTTP://LOCALHOST:3000", True),
        ("http://localhost:*", "http://localhost:", True),
        ("http://*.a.com", "http://x.y.a.com", True),
        ("http://*.a.com", "http://.a.com", False),
        ("http://**", "http://a.com", True),
        ("http://**", "http://a/b", False),
        ("*", "", False),
        ("http?://a", "https://a", True),
        ("http{,s}://{a,b}.com", "https://b.com", True),
        ("http{,s}://{a,b}.com", "https://c.com", False),
        ("http://a:{3000..3002}", "http://a:3001", True),
        ("http://a:300[0-2]", "http://a:3002", True),
        ("http://a:300[!0-2]", "http://a:3002", False),
        ("!http://a", "http://b", True),
        ("!http://a", "http://a", False),
        ("http://a.com", "http://aXcom", False),
    ],
)
def test_origin_patterns_mean_what_minimatch_takes_them_to_mean(pattern: str, origin: str, expected: bool) -> None:
    assert bool(compile_glob(pattern).fullmatch(origin)) is expected


async def test_health_has_its_own_headers() -> None:
    asked = client(BackendConfig(health=HealthConfig({"Service-Control": "a"})))
    for name in ("liveness", "readiness"):
        assert (await asked.get(f"/.backstage/health/v1/{name}")).headers["service-control"] == "a"
