"""Behind nginx as people run it, buffering and packing everything: events of a task still come one by one.

Runs in `make conformance`, where nginx is installed."""

from __future__ import annotations

import asyncio
import os
import shutil
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import aiohttp
import pytest

from greenroom.web import bind, serve
from tests.conformance.oracle import free_port
from tests.scaffolder.routes.conftest import TOKEN, Surface, a_task, an_event, streams, surface

__all__ = ["streams", "surface"]

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

pytestmark = pytest.mark.skipif(
    not os.environ.get("GREENROOM_NGINX") or NGINX is None, reason="GREENROOM_NGINX is not set, or there is no nginx"
)

STREAM = "/api/scaffolder/v2/tasks/1/eventstream"
CONFIG = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1200; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  gzip on;
  gzip_types *;
  gzip_min_length 0;
  gzip_proxied any;
  gzip_buffers 16 64k;
  proxy_buffering on;
  proxy_buffers 8 64k;
  proxy_read_timeout {patience}s;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://127.0.0.1:{upstream}; {more} }}
  }}
}}
"""


@asynccontextmanager
async def behind_nginx(surface: Surface, folder: Path, *, more: str = "", patience: int = 60) -> AsyncIterator[str]:
    """The surface, and the address of an nginx in front of it."""
    surface.tasks.known["1"] = a_task("1", {})
    port = free_port()
    with bind("127.0.0.1", 0) as listening:
        stop = asyncio.Event()
        server = asyncio.create_task(serve(surface.app, listening, surface.state, stop=stop))
        upstream = listening.getsockname()[1]
        file = folder / "nginx.conf"
        file.write_text(CONFIG.format(folder=folder, port=port, upstream=upstream, more=more, patience=patience))
        nginx = await asyncio.create_subprocess_exec(str(NGINX), "-p", str(folder), "-c", str(file))
        try:
            await _listens(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            nginx.terminate()
            await nginx.wait()
            stop.set()
            await server


async def _listens(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


def client(address: str, encoding: str) -> aiohttp.ClientSession:
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": encoding}
    return aiohttp.ClientSession(address, headers=headers, auto_decompress=False)


WAYS = {
    "as Debian has it": "",
    "by HTTP/1.1": 'proxy_http_version 1.1; proxy_set_header Connection "";',
    "packed by nginx alone": 'proxy_set_header Accept-Encoding "";',
}


@pytest.mark.parametrize("more", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_each_event_comes_at_once(surface: Surface, tmp_path: Path, encoding: str, more: str) -> None:
    async with (
        behind_nginx(surface, tmp_path, more=more) as address,
        client(address, encoding) as session,
        session.get(STREAM) as answer,
    ):
        assert answer.headers.get("content-encoding", "identity") == encoding
        unpacking, told = zlib.decompressobj(31), b""
        for number in range(1, 6):
            surface.tasks.add(an_event(number, "log", f"number {number}"))
            began = monotonic()
            while f"number {number}".encode() not in told:
                read = await asyncio.wait_for(answer.content.readany(), 5)
                told += unpacking.decompress(read) if encoding == "gzip" else read
            assert monotonic() - began < 0.1, "held back"


async def test_a_proxy_that_has_little_patience_keeps_a_silent_stream(surface: Surface, tmp_path: Path) -> None:
    """With the heartbeat that there is by default."""
    async with (
        behind_nginx(surface, tmp_path, patience=16) as address,
        client(address, "identity") as session,
        session.get(STREAM) as answer,
    ):
        assert (await answer.content.readuntil(b"\n\n")).startswith(b":")
        told = await asyncio.wait_for(answer.content.readuntil(b"\n\n"), 20)
        assert told == b": heartbeat\n\n"
        await asyncio.sleep(3)  # nginx would have given up by now
        surface.tasks.add(an_event(1, "log", "still here"))
        assert b"still here" in await asyncio.wait_for(answer.content.readuntil(b"\n\n"), 5)


async def test_a_client_that_leaves_nginx_leaves_us_too(surface: Surface, tmp_path: Path) -> None:
    async with behind_nginx(surface, tmp_path) as address, client(address, "identity") as session:
        answers = [await session.get(STREAM) for _ in range(3)]
        assert surface.tasks.followers == 3
        for answer in answers:
            answer.close()
        async with asyncio.timeout(10):
            while surface.tasks.followers:
                await asyncio.sleep(0.01)
