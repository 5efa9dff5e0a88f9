"""HTTP as upstream speaks it. Statuses, headers and bodies were recorded from the real backend by raw sockets."""

import logging
import re

import msgspec
import pytest

from greenroom.errors import GreenroomError
from greenroom.settings import AuthConfig, BackendConfig
from greenroom.web import Routes, load_document, weak_etag
from greenroom.web.table import Row, Table, segments
from tests.greenroom.web.surface import client, fixed, plain
from tests.support.asgi import Client

LOCATIONS = "/api/catalog/locations"
HELMET = {
    "content-security-policy": "default-src 'self';base-uri 'self';font-src 'self' https: data:;frame-ancestors 'self';"
    "img-src 'self' data:;object-src 'none';script-src 'self' 'unsafe-eval';script-src-attr 'none';"
    "style-src 'self' https: 'unsafe-inline';upgrade-insecure-requests",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=15552000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-dns-prefetch-control": "off",
    "x-download-options": "noopen",
    "x-frame-options": "SAMEORIGIN",
    "x-permitted-cross-domain-policies": "none",
    "x-xss-protection": "0",
}


async def test_every_response_carries_the_headers_of_helmet(door: Client) -> None:
    for target in (LOCATIONS, "/nope", "/.backstage/health/v1/liveness", "/api/catalog/entities?limit=x"):
        reply = await door.get(target)
        assert {name: reply.headers.get(name) for name in HELMET} == HELMET


async def test_a_json_response_has_the_type_length_and_etag_of_express(door: Client) -> None:
    reply = await door.get("/api/plain/fixed")
    assert (reply.status, reply.text) == (200, '{"a":1}')
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert reply.headers["content-length"] == "7"
    assert reply.headers["vary"] == "Accept-Encoding"
    assert reply.headers["etag"] == weak_etag(b'{"a":1}')


@pytest.mark.parametrize(
    ("body", "etag"),
    [
        (b"[]", 'W/"2-l9Fw4VUO7kr8CvBlt4zaMCqXZ0w"'),
        (b'{"status":"ok"}', 'W/"f-VaSQ4oDUiZblZNAEkkN+sX+q3Sg"'),
        (b"GET,HEAD", 'W/"8-ZRAf8oNBS3Bjb/SU2GYZCmbtmXg"'),
        (b"GET,HEAD,PUT,DELETE", 'W/"13-dU6690u+/fZ3lEqFItU6CiBI3Wo"'),
        (b"", 'W/"0-2jmj7l5rSw0yVb/vlWAYkK/YBwk"'),
    ],
)
def test_etags_are_those_of_upstream_to_the_byte(body: bytes, etag: str) -> None:
    assert weak_etag(body) == etag


@pytest.mark.parametrize("asked", ['W/"7-{}"', 'W/W/"7-{}"', '"7-{}"', "*", 'W/"1-x",  "7-{}" , "b"'])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_client_that_has_it_gets_304_and_nothing_else(door: Client, method: str, asked: str) -> None:
    etag = weak_etag(b'{"a":1}')
    given = asked.format(etag[5:-1])
    reply = await door.request(method, "/api/plain/fixed", {"if-none-match": given})
    assert (reply.status, reply.raw, reply.headers["etag"]) == (304, b"", etag)
    assert not {"content-type", "content-length", "vary"} & set(reply.headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"if_none_match": 'W/"7-other"'},
        {"if_none_match": "*", "cache_control": "no-cache"},
        {"if_none_match": "*", "if_modified_since": "Wed, 21 Oct 2099 07:28:00 GMT"},
        {"if_none_match": ""},
    ],
)
async def test_a_client_that_has_something_else_or_wants_it_fresh_gets_it(
    door: Client, headers: dict[str, str]
) -> None:
    assert (await door.get("/api/plain/fixed", **headers)).status == 200


async def test_an_error_is_never_304(door: Client) -> None:
    assert (await door.get("/api/plain/fail/missing", if_none_match="*")).status == 404


@pytest.mark.parametrize(
    "target", ["/nope", "/api", "/api/nope", "/api/catalogue/locations", "/api/catalog/nope", "/api/catalog"]
)
async def test_what_is_not_there_is_an_empty_404(door: Client, target: str) -> None:
    reply = await door.get(target)
    assert (reply.status, reply.raw) == (404, b"")
    assert "content-type" not in reply.headers


@pytest.mark.parametrize("method", ["PATCH", "PUT", "TRACE", "BREW"])
async def test_a_verb_that_no_route_has_is_an_empty_404_too(door: Client, method: str) -> None:
    reply = await door.request(method, LOCATIONS)
    assert (reply.status, reply.raw) == (404, b"")


@pytest.mark.parametrize("target", ["/nope", "/locations", "", "/?y=1", "//nope"])
async def test_nobody_learns_what_is_there_without_credentials(door: Client, target: str) -> None:
    reply = await door.request("GET", f"/api/catalog{target}", token=None)
    assert reply.status == 401
    assert reply.json == {
        "error": {"name": "AuthenticationError", "message": "Missing credentials"},
        "request": {"method": "GET", "url": target if target.startswith("/") else "/"},
        "response": {"statusCode": 401},
    }


async def test_an_unknown_token_is_told_so(door: Client) -> None:
    reply = await door.request("GET", LOCATIONS, token="nobodys")
    assert (reply.status, reply.error["message"]) == (401, "Illegal token")


async def test_open_paths_need_no_token_and_look_at_none(door: Client) -> None:
    for token in (None, "nobodys"):
        reply = await door.request("GET", "/api/plain/open/door", token=token)
        assert (reply.status, reply.json) == (200, {"kind": "none"})


async def test_the_default_policy_can_be_switched_off() -> None:
    config = BackendConfig(auth=AuthConfig(dangerously_disable_default_auth_policy=True))
    assert (await client(config).request("GET", LOCATIONS)).status == 200


@pytest.mark.parametrize(
    "target",
    [
        "/API/Catalog/LOCATIONS",
        f"{LOCATIONS}/",
        "/api/catalog//locations",
        "/api/catalog/locations?",
        "/api/Catalog/locations/",
    ],
)
async def test_paths_match_as_generously_as_in_express(door: Client, target: str) -> None:
    assert (await door.get(target)).json["operation"] == "GetLocations"


@pytest.mark.parametrize(
    "target", [f"{LOCATIONS}//", "/api/catalog/%6Cocations", "/api/catalog/x/../locations", "//api/catalog/locations"]
)
async def test_paths_match_no_more_generously_than_in_express(door: Client, target: str) -> None:
    assert (await door.get(target)).status == 404


async def test_parameters_keep_their_case_and_may_hold_an_escaped_slash(door: Client) -> None:
    reply = await door.get("/api/catalog/entities/BY-NAME/Component/default/A%2Fb%20%C3%A9")
    assert reply.json["path"] == {"kind": "Component", "namespace": "default", "name": "A/b é"}


async def test_a_handler_that_takes_a_parameter_as_argument_gets_it_decoded(door: Client) -> None:
    assert (await door.get("/api/plain/things/a%2Fb")).json == {"name": "a/b"}


async def test_a_parameter_may_take_the_rest_of_the_path(door: Client) -> None:
    assert (await door.get("/api/plain/files/a/b%20c/D.txt")).json == {"file": "a/b c/D.txt"}


@pytest.mark.parametrize("escape", ["%zz", "%FF", "%"])
async def test_an_escape_that_cannot_be_decoded_is_refused(door: Client, escape: str) -> None:
    documented = await door.get(f"/api/catalog/entities/by-uid/a{escape}")
    assert (documented.status, documented.error["message"]) == (400, "malformed uri'")
    other = await door.get(f"/api/plain/things/a{escape}")
    assert (other.status, other.error["message"]) == (400, f"Failed to decode param 'a{escape}'")


async def test_a_fixed_path_wins_over_a_parameter_unless_it_lacks_the_verb(door: Client) -> None:
    assert (await door.get("/api/catalog/locations/by-query")).json["path"] == {"id": "by-query"}
    assert (await door.post("/api/catalog/locations/by-query", {})).json["operation"] == "GetLocationsByQuery"


async def test_head_is_get_without_the_body(door: Client) -> None:
    got, head = await door.get("/api/plain/fixed"), await door.request("HEAD", "/api/plain/fixed")
    assert (head.status, head.raw) == (200, b"")
    assert {name: head.headers[name] for name in ("etag", "content-length", "content-type", "vary")} == {
        name: got.headers[name] for name in ("etag", "content-length", "content-type", "vary")
    }


async def test_head_is_not_held_against_the_document(door: Client) -> None:
    """As upstream, which checks only the verbs that the document has: its answers are those of the oracle."""
    for query in ("limit=x", "bogus=1", "limit=2&fields=a:b"):
        assert (await door.request("HEAD", f"/api/catalog/entities/by-query?{query}")).status == 200
        assert (await door.get(f"/api/catalog/entities/by-query?{query}")).status == (200 if "fields" in query else 400)
    assert (await door.request("HEAD", "/api/catalog/entity-facets")).status == 400
    assert (await door.request("HEAD", "/api/catalog/entities/by-query?limit=-1")).status == 400


async def test_what_a_handler_gets_of_a_head_has_its_type(door: Client) -> None:
    target = "/entities/by-query?limit=2&offset=x&bogus=1&facets[]=1&fields=a,b"
    seen = {"operation": "GetEntitiesByQuery", "query": {"limit": 2, "fields": ["a", "b"]}, "path": {}, "body": {}}
    reply = await door.request("HEAD", f"/api/catalog{target}")
    assert reply.headers["etag"] == weak_etag(msgspec.json.encode({**seen, "url": target}))


@pytest.mark.parametrize(
    ("target", "allow"),
    [
        ("/api/catalog/entities", "GET,HEAD"),
        ("/api/catalog/openapi.json", "GET,HEAD"),
        ("/api/catalog/.backstage/auth/v1/jwks.json", "GET,HEAD"),
        ("/api/catalog/locations/abc", "GET,HEAD,PUT,DELETE"),
        ("/api/catalog/locations/by-query", "POST,GET,HEAD,PUT,DELETE"),
        ("/.backstage/health/v1/liveness", "GET,HEAD"),
    ],
)
async def test_options_lists_the_verbs_in_upstreams_order(door: Client, target: str, allow: str) -> None:
    reply = await door.request("OPTIONS", target)
    assert (reply.status, reply.headers["allow"], reply.text) == (200, allow, allow)
    assert reply.headers["content-type"] == "text/html; charset=utf-8"


async def test_options_of_what_is_not_there_is_404_and_behind_the_barrier(door: Client) -> None:
    assert (await door.request("OPTIONS", "/api/catalog/nope")).status == 404
    assert (await door.request("OPTIONS", "/api/catalog/entities", token=None)).status == 401


async def test_public_keys_are_served_to_everyone(door: Client) -> None:
    reply = await door.request("GET", "/api/catalog/.backstage/auth/v1/jwks.json", token=None)
    assert (reply.status, reply.text) == (200, '{"keys":[]}')


async def test_only_users_get_a_cookie_and_everyone_may_drop_it(door: Client) -> None:
    refused = await door.get("/api/catalog/.backstage/auth/v1/cookie")
    assert (refused.status, refused.error["message"]) == (403, "This endpoint does not allow 'service' credentials")
    dropped = await door.request("DELETE", "/api/catalog/.backstage/auth/v1/cookie")
    assert (dropped.status, dropped.raw) == (204, b"")
    assert dropped.headers["set-cookie"].startswith("backstage-auth=; ")
    assert "Expires=Thu, 01 Jan 1970 00:00:00 GMT" in dropped.headers["set-cookie"]


async def test_an_error_tells_what_a_client_needs_to_know(door: Client) -> None:
    missing = await door.get("/api/plain/fail/missing?a=1")
    assert missing.status == 404
    assert missing.text == (
        '{"error":{"name":"NotFoundError","message":"no such thing"},'
        '"request":{"method":"GET","url":"/fail/missing?a=1"},"response":{"statusCode":404}}'
    )
    conflict = await door.get("/api/plain/fail/conflict")
    assert conflict.error == {
        "name": "ConflictError",
        "message": "taken; caused by ValueError: twice",
        "entityRef": "a:b/c",
        "cause": {"name": "ValueError", "message": "twice"},
    }


async def test_an_unforeseen_error_tells_an_id_and_the_log_the_rest(
    door: Client, caplog: pytest.LogCaptureFixture
) -> None:
    reply = await door.get("/api/plain/fail/unforeseen")
    assert (reply.status, reply.error["name"]) == (500, "Error")
    found = re.fullmatch(r"An internal error occurred logId=([0-9a-f]{20})", reply.error["message"])
    assert found
    record = next(record for record in caplog.records if found[1] in record.getMessage())
    assert record.exc_info
    assert "hunter2" in str(record.exc_info[1])


async def test_the_log_has_5xx_and_not_4xx(door: Client, caplog: pytest.LogCaptureFixture) -> None:
    await door.get("/api/plain/fail/missing")
    assert [record for record in caplog.records if record.name == "greenroom.web"] == []
    await door.get("/api/plain/fail/unavailable")
    assert [record.levelname for record in caplog.records if record.name == "greenroom.web"] == ["ERROR"]


async def test_a_response_that_breaks_off_is_not_finished_as_if_it_were_whole(
    door: Client, caplog: pytest.LogCaptureFixture
) -> None:
    reply = await door.get("/api/plain/breaks")
    assert (reply.status, reply.raw) == (200, b"half")
    assert any("broke off" in record.getMessage() for record in caplog.records)


async def test_204_has_no_body_type_or_length(door: Client) -> None:
    reply = await door.request("PUT", "/api/plain/nothing")
    assert (reply.status, reply.raw) == (204, b"")
    assert not {"content-type", "content-length", "vary"} & set(reply.headers)


async def test_the_api_document_is_served_below_its_mount(door: Client) -> None:
    reply = await door.get("/api/catalog/openapi.json?any=1")
    assert reply.json["openapi"] == "3.0.3"
    assert reply.json["paths"].keys() == {f"/api/catalog{path}" for path in load_document("catalog")["paths"]}
    assert (await door.request("GET", "/api/catalog/openapi.json", token=None)).status == 401


async def test_a_request_id_goes_in_comes_out_and_is_made_up_if_it_is_odd(door: Client) -> None:
    assert (await door.get("/nope", x_request_id="abc-1")).headers["x-request-id"] == "abc-1"
    for odd in ("a b", "x" * 200, 'a"b'):
        assert re.fullmatch(r"[0-9a-f]{16}", (await door.get("/nope", x_request_id=odd)).headers["x-request-id"])


async def test_the_access_log_has_a_line_per_request_without_secrets(
    door: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "greenroom.access"):
        await door.get("/api/plain/fixed?token=hunter2&a=1", user_agent="tests", referer="http://x/?code=hunter2")
    (record,) = [record for record in caplog.records if record.name == "greenroom.access"]
    assert "hunter2" not in record.getMessage()
    assert re.fullmatch(
        r'\[[-0-9T:.]+Z\] "GET /api/plain/fixed\?token=\S+&a=1 HTTP/1.1" 200 7 "http://x/\?code=\S+" "tests"',
        record.getMessage(),
    )
    assert (record.__dict__["type"], record.__dict__["status"], record.__dict__["contentLength"]) == (
        "incomingRequest",
        200,
        7,
    )


def test_two_handlers_for_one_operation_stop_the_start() -> None:
    document = {"paths": {"/a": {"get": {"operationId": "A"}}}}
    from tests.greenroom.web.surface import echo

    with pytest.raises(GreenroomError, match="two handlers for the operation A"):
        client(routes=[Routes("x", [echo("get", "/a", "A"), echo("get", "/b", "A")], document)])


async def test_two_parts_may_share_a_plugin() -> None:
    shared = client(routes=[Routes("x", [fixed]), Routes("x", plain().handlers[1:3])])
    assert [(await shared.get(f"/api/x/{name}")).status for name in ("fixed", "large")] == [200, 200]


def test_a_table_does_not_take_an_empty_segment_for_a_parameter() -> None:
    table = Table([Row(("GET",), segments("/a/{b:str}/c"), "found")])
    assert table.find("GET", "/a//c") is None
    match = table.find("GET", "/A/x/C/")
    assert match is not None
    assert (match.path, match.parameters) == ("/a/x/c", {"b": "x"})
