"""Fewer bytes on the wire, where and how upstream saves them."""

import asyncio
import gzip
import zlib

import pytest

from greenroom.web.compression import IN_A_THREAD, compress, compressible, negotiate
from tests.support.asgi import Client


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_large_body_is_compressed_for_a_client_that_takes_it(door: Client, encoding: str) -> None:
    reply = await door.get("/api/plain/large", accept_encoding=encoding)
    assert reply.headers["content-encoding"] == encoding
    assert int(reply.headers["content-length"]) == len(reply.raw) < 500
    assert reply.json == {"text": "word " * 1000}
    assert reply.headers["vary"] == "Accept-Encoding"


async def test_compression_does_not_change_the_etag(door: Client) -> None:
    plain, packed = await door.get("/api/plain/large"), await door.get("/api/plain/large", accept_encoding="gzip")
    assert plain.headers["etag"] == packed.headers["etag"]
    assert "content-encoding" not in plain.headers


@pytest.mark.parametrize("target", ["fixed", "image", "never"])
async def test_small_incompressible_and_untouchable_bodies_stay_as_they_are(door: Client, target: str) -> None:
    reply = await door.get(f"/api/plain/{target}", accept_encoding="gzip")
    assert "content-encoding" not in reply.headers
    assert ("vary" in reply.headers) is (target == "fixed")


async def test_head_is_not_compressed(door: Client) -> None:
    reply = await door.request("HEAD", "/api/plain/large", {"accept-encoding": "gzip"})
    assert "content-encoding" not in reply.headers
    assert reply.headers["content-length"] == "5011"


async def test_events_reach_the_client_as_they_happen(door: Client) -> None:
    reply = await door.get("/api/plain/stream/events", accept_encoding="gzip")
    unpack = zlib.decompressobj(31)
    assert [unpack.decompress(chunk) for chunk in reply.chunks[:3]] == [b"one\n", b"two\n", b"three\n"]
    assert "content-length" not in reply.headers


async def test_a_stream_is_compressed_as_a_whole(door: Client) -> None:
    reply = await door.get("/api/plain/stream/lines", accept_encoding="gzip")
    assert reply.text == "one\ntwo\nthree\n"
    assert (await door.get("/api/plain/stream/lines")).raw == b"one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("gzip, deflate, br", "gzip"),
        ("deflate", "deflate"),
        ("deflate, gzip", "gzip"),
        ("gzip;q=0.5, deflate;q=0.8", "deflate"),
        ("gzip;q=0", ""),
        ("gzip;q=0, *", "deflate"),
        ("*", "gzip"),
        ("*;q=0", ""),
        ("identity", ""),
        ("identity;q=1, gzip;q=0.5", ""),
        ("br", ""),
        ("GZIP", "gzip"),
        ("gzip;q=nonsense", ""),
        ("", ""),
    ],
)
def test_the_client_decides_on_the_encoding(accepted: str, expected: str) -> None:
    assert negotiate(accepted.encode()) == expected


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (b"application/json; charset=utf-8", True),
        (b"text/plain", True),
        (b"image/svg+xml", True),
        (b"application/problem+json", True),
        (b"application/x-ndjson", True),
        (b"image/png", False),
        (b"application/octet-stream", False),
        (b"application/zip", False),
    ],
)
def test_types_are_compressed_that_shrink(content_type: bytes, expected: bool) -> None:
    assert compressible(content_type) is expected


async def test_a_huge_body_does_not_hold_up_the_others() -> None:
    body = b"0123456789abcdef" * (IN_A_THREAD // 8)
    packing = asyncio.create_task(compress(body, "gzip"))
    await asyncio.sleep(0)
    assert not packing.done()
    assert gzip.decompress(await packing) == body
