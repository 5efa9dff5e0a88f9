"""Bitbucket and Azure DevOps are read as a client of theirs: with tokens that are fetched seldom and told to nobody."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from greenroom.settings import BitbucketCloudConfig
from greenroom.urls import UnreadableUrlError, Urls
from greenroom.urls.configured import known_hosts, read_section
from greenroom.urls.hosts import AzureReader, BitbucketCloudReader
from greenroom.urls.hosts.repository import RepositoryReader
from greenroom.urls.integrations import Integrations
from greenroom.urls.outgoing import Outgoing, open_outgoing

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Host:
    """Gives tokens, and tells with which one a file was asked for."""

    def __init__(self) -> None:
        self.base, self.host, self.now = "", "", NOW
        self.fetched: list[tuple[str, dict[str, str], str]] = []
        self.answer: Any = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            form = {name: str(value) for name, value in (await request.post()).items()}
            self.fetched.append((request.path, form, request.headers.get("Authorization", "")))
            if self.answer is not None:
                return web.Response(status=self.answer[0], text=self.answer[1])
            return web.json_response(
                {"access_token": f"t{len(self.fetched)}", "expires_in": 3600, "token_type": "bearer"}
            )
        return web.Response(text=request.headers.get("Authorization", "nobody"))


@asynccontextmanager
async def reading(
    make: Callable[[Host, Outgoing], tuple[RepositoryReader, Integrations]],
) -> AsyncIterator[tuple[Host, Urls]]:
    host = Host()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", host.handle)
    async with TestServer(app) as server, open_outgoing() as outgoing:
        host.host = f"127.0.0.1:{server.port}"
        host.base = f"http://{host.host}"
        reader, known = make(host, outgoing)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("greenroom.urls.hosts.client_credentials._now", lambda: host.now)
            yield host, Urls([reader], known)


def bitbucket(host: Host, outgoing: Outgoing) -> tuple[RepositoryReader, Integrations]:
    known = known_hosts(read_section({"bitbucketServer": [{"host": host.host}]}))
    given = {"clientId": "id", "clientSecret": " hush ", "username": "u", "token": "t"}
    config = msgspec.convert(given, BitbucketCloudConfig)
    return BitbucketCloudReader(outgoing, known, config, host=host.host, web=host.base, api=f"{host.base}/2.0"), known


def azure(host: Host, outgoing: Outgoing) -> tuple[RepositoryReader, Integrations]:
    credentials: list[dict[str, Any]] = [
        {"organizations": ["org"], "tenantId": "tenant", "clientId": "id", "clientSecret": "hush"},
        {"personalAccessToken": "pat"},
    ]
    section = read_section({"azure": [{"credentials": credentials}]})
    known = known_hosts(section)
    config = msgspec.structs.replace(section.azure[0])
    msgspec.structs.force_setattr(config, "host", host.host)
    return AzureReader(outgoing, known, config, login=f"{host.base}/login"), known


async def file(host: Host, urls: Urls) -> str:
    return (await urls.read(f"{host.base}/o/r/src/main/x.yaml")).content.decode()


async def test_bitbucket_is_read_as_an_oauth_consumer_before_any_user() -> None:
    async with reading(bitbucket) as (host, urls):
        assert await file(host, urls) == "Bearer t1"
        client = "Basic " + base64.b64encode(b"id:hush").decode()
        assert host.fetched == [("/site/oauth2/access_token", {"grant_type": "client_credentials"}, client)]


async def test_a_token_is_kept_until_ten_minutes_before_it_ends() -> None:
    async with reading(bitbucket) as (host, urls):
        assert set(await asyncio.gather(*(file(host, urls) for _ in range(10)))) == {"Bearer t1"}
        host.now = NOW + timedelta(minutes=49)
        assert await file(host, urls) == "Bearer t1"
        host.now = NOW + timedelta(minutes=50)
        assert await file(host, urls) == "Bearer t2"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((401, "no"), "401 Unauthorized; check clientId and clientSecret"),
        ((500, "no"), "500 Internal Server Error$"),
        ((200, "{}"), "something that is no token"),
        ((200, "<html>"), "something that is no token"),
        ((302, ""), "302 Found$"),
    ],
)
async def test_a_client_that_gets_no_token_is_told_why_and_no_secret(answer: tuple[int, str], words: str) -> None:
    async with reading(bitbucket) as (host, urls):
        host.answer = answer
        with pytest.raises(UnreadableUrlError, match=words) as caught:
            await file(host, urls)
        assert "hush" not in caught.value.message
        host.answer = None
        assert await file(host, urls) == "Bearer t2"


async def test_azure_is_read_as_a_service_principal_where_the_organization_has_one() -> None:
    async with reading(azure) as (host, urls):
        query = "path=/x.yaml&version=GBmain"
        assert (await urls.read(f"{host.base}/org/p/_git/r?{query}")).content == b"Bearer t1"
        form = {
            "grant_type": "client_credentials",
            "client_id": "id",
            "client_secret": "hush",
            "scope": "499b84ac-1321-427f-aa17-267ca6975798/.default",
        }
        assert host.fetched == [("/login/tenant/oauth2/v2.0/token", form, "")]
        other = (await urls.read(f"{host.base}/else/p/_git/r?{query}")).content.decode()
        assert other == "Basic " + base64.b64encode(b":pat").decode()
