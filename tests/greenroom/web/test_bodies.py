"""Reading request bodies as express.json() does: what it says was compared with node's own JSON.parse."""

import gzip
import json
import zlib
from pathlib import Path

import msgspec
import pytest

from greenroom.web import bodies
from greenroom.web.bodies import is_json
from greenroom.web.json_errors import explain
from tests.support.asgi import Client

SENTENCES = json.loads((Path(__file__).parent / "json_errors.json").read_text())
QUERY = "/api/catalog/entities/by-query"
JSON = {"content-type": "application/json"}


def test_broken_json_is_explained_in_the_words_of_v8() -> None:
    assert [(text, explain(text)) for text, _ in SENTENCES] == [(text, sentence) for text, sentence in SENTENCES]


def test_json_nested_too_deeply_is_refused_not_fatal() -> None:
    assert explain("[" * 100_000)


async def test_deep_nesting_costs_a_client_400_not_the_server_its_life(door: Client) -> None:
    reply = await door.post(QUERY, b"[" * 50_000)
    assert (reply.status, reply.error["name"]) == (400, "InputError")


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("GZIP", gzip.compress)]
)
async def test_compressed_bodies_are_read(door: Client, encoding: str, pack: type) -> None:
    reply = await door.post(QUERY, pack(b'{"limit":3}'), content_encoding=encoding)
    assert reply.json["body"] == {"limit": 3}


@pytest.mark.parametrize(
    ("encoding", "body", "message"),
    [
        ("br", b"{}", 'unsupported content encoding "br"'),
        ("gzip", b"{}", "incorrect header check"),
        ("gzip", gzip.compress(b'{"limit":3}')[:-12], "unexpected end of file"),
        ("gzip", gzip.compress(b'{"cursor":"' + b"x" * 5_000_000 + b'"}'), "request entity too large"),
    ],
)
async def test_a_compressed_body_that_cannot_be_read_says_why(
    door: Client, encoding: str, body: bytes, message: str
) -> None:
    reply = await door.post(QUERY, body, content_encoding=encoding)
    assert (reply.status, reply.error["message"]) == (400, message)


@pytest.mark.parametrize(
    ("size", "message"), [(102_400, "request/body/limit must be number"), (102_401, "request entity too large")]
)
async def test_a_body_may_have_100_kilobytes(door: Client, size: int, message: str) -> None:
    start = b'{"limit":"x","a":"'
    body = start + b"x" * (size - len(start) - 2) + b'"}'
    whole = await door.post(QUERY, body)
    pieces = await door.request("POST", QUERY, JSON, [body[:50_000], body[50_000:]])
    assert [whole.error["message"], pieces.error["message"]] == [message, message]


async def test_lone_surrogates_and_numbers_without_end_are_read_as_node_reads_them(door: Client) -> None:
    reply = await door.post(QUERY, b'{"cursor":"\\ud800","limit":1e400}')
    assert reply.status == 400  # Infinity is no number to AJV
    assert reply.error["message"] == "request/body/limit must be number"


async def test_whole_numbers_are_whole_however_they_are_spelled(door: Client) -> None:
    body = (await door.post(QUERY, b'{"query":{"a":[1.0,-0.0,1e9,1.5,1e21]}}')).json["body"]
    assert json.dumps(body["query"]["a"]) == "[1, 0, 1000000000, 1.5, 1e+21]"


async def test_bytes_that_are_not_utf_8_do_not_fail_the_request(door: Client) -> None:
    assert (await door.post(QUERY, b'{"cursor":"\xff"}')).json["body"] == {"cursor": "\ufffd"}


async def test_a_client_that_goes_away_leaves_no_trace(door: Client) -> None:
    reply = await door.request("POST", QUERY, JSON, b'{"a":', gone=True)
    assert reply.status == 0


async def test_a_plugin_without_a_document_tells_the_error_of_the_parser(door: Client) -> None:
    reply = await door.post("/api/plain/raw", b"{bad")
    assert reply.status == 400
    assert reply.error == {
        "name": "SyntaxError",
        "message": "Expected property name or '}' in JSON at position 1",
        "statusCode": 400,
    }


async def test_a_plugin_sets_its_own_limit(door: Client) -> None:
    reply = await door.post("/api/plain/raw", {"a": "x" * 1000})
    assert (reply.status, reply.error["name"]) == (413, "PayloadTooLargeError")


async def test_a_handler_finds_a_json_body_decoded_and_as_it_came(door: Client) -> None:
    reply = await door.post("/api/plain/raw", b'{ "a": 1 }')
    assert reply.json == {"asked": {"a": 1}, "raw": '{ "a": 1 }', "body": '{ "a": 1 }'}


async def test_a_body_of_another_type_is_left_to_the_handler_whatever_its_size(door: Client) -> None:
    lines = b'{"a":1}\n' * 500
    reply = await door.request("POST", "/api/plain/raw", {"content-type": "application/x-ndjson"}, lines)
    assert reply.json == {"asked": None, "raw": "", "body": lines.decode()}


async def test_bad_json_is_refused_even_where_no_route_is(door: Client) -> None:
    reply = await door.post("/api/catalog/nope", b"{bad")
    assert (reply.status, reply.error["name"]) == (400, "InputError")


@pytest.mark.parametrize(
    ("charset", "encoding"), [("utf--8", "utf-8"), ("UTF-16BE", "utf-16-be"), ("utf-16-le", "utf-16-le")]
)
async def test_a_charset_is_known_however_it_is_spelled(door: Client, charset: str, encoding: str) -> None:
    headers = {"content-type": f"application/json; charset={charset}"}
    reply = await door.request("POST", QUERY, headers, '{"cursor":"é"}'.encode(encoding))
    assert reply.json["body"] == {"cursor": "é"}


@pytest.mark.parametrize("charset", ["utf-32", "utf-8-sig", "utf-", "utf8", "latin1"])
async def test_a_charset_that_express_does_not_read_is_named(door: Client, charset: str) -> None:
    reply = await door.request("POST", QUERY, {"content-type": f"application/json; charset={charset}"}, b"{}")
    assert (reply.status, reply.error["message"]) == (400, f'unsupported charset "{charset.upper()}"')


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("Application/JSON ; charset=utf-8", True),
        ('application/json; a="b;c"', True),
        ("application/json;", False),
        ("application/json, text/plain", False),
        ("application/vnd.api+json", False),
        ("", False),
    ],
)
def test_only_json_itself_is_parsed(content_type: str, expected: bool) -> None:
    assert is_json(content_type) is expected


@pytest.mark.parametrize(
    "text", [r'{"a": "x\ud800y"}', r'{"a": "x\udc00y"}', r'{"a": ["\ud800\ud800"]}', r'{"\ud800": 1}']
)
def test_half_a_character_becomes_one_that_can_be_answered(text: str) -> None:
    msgspec.json.encode(bodies._parse_text(text))


def test_a_whole_character_written_as_two_escapes_stays_itself() -> None:
    assert bodies._parse_text(r'{"a": "\ud83d\ude00"}') == {"a": "😀"}
