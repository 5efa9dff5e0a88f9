"""GitHub Apps open repositories with tokens that are asked for seldom, are told to nobody, and go nowhere else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import RSAKey

from greenroom.errors import ConfigError, GreenroomError
from greenroom.settings import SECRET, IntegrationsConfig, load
from greenroom.urls import UnreadableUrlError, Urls
from greenroom.urls.configured import known_hosts, read_section
from greenroom.urls.hosts import GithubReader, host_readers
from greenroom.urls.outgoing import open_outgoing

_RSA = rsa.generate_private_key(65537, 2048)
KEY = _RSA.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
).decode()
PUBLIC = RSAKey.import_key(
    _RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class GitHub:
    """A host with one file in each repository, and the API of apps. It checks every proof and every token."""

    def __init__(self) -> None:
        self.installed: dict[str, dict[str, Any]] = {"Acme": {"id": 1}}
        self.selected: list[str] | None = None
        self.asked: list[str] = []
        self.base = ""
        self.status: dict[str, int] = {}
        self.page = 100
        self.now = [NOW]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        self.asked.append(f"{request.method} {path}")
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if path in self.status:
            return web.Response(status=self.status[path])
        if path.startswith("/api/app/"):
            return self._as_app(request, given)
        if path == "/api/installation/repositories":
            assert given.startswith("ghs_")
            return self._paged(request, [{"name": name} for name in self.selected or ()], "repositories")
        return web.Response(text=given or "nobody")

    def _as_app(self, request: web.Request, given: str) -> web.StreamResponse:
        claims = jwt.decode(given, PUBLIC, algorithms=["RS256"]).claims
        assert claims["iss"] == "7"
        assert 0 < claims["exp"] - claims["iat"] <= 600
        if request.path == "/api/app/installations":
            rows = [{"account": {"login": owner}, **facts} for owner, facts in self.installed.items()]
            return self._paged(request, rows, None)
        assert request.method == "POST"
        number = request.path.split("/")[4]
        selection = "all" if self.selected is None else "selected"
        expires = (self.now[0] + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
        return web.json_response(
            {"token": f"ghs_{number}_{len(self.asked)}", "expires_at": expires, "repository_selection": selection},
            status=201,
        )

    def _paged(self, request: web.Request, rows: list[Any], name: str | None) -> web.StreamResponse:
        page = int(request.query.get("page", "1"))
        part = rows[(page - 1) * self.page : page * self.page]
        more = page * self.page < len(rows)
        links = {"Link": f'<{self.base}{request.path}?page={page + 1}>; rel="next", <x>; rel="last"'} if more else {}
        return web.Response(text=json.dumps({name: part} if name else part), headers=links)


@asynccontextmanager
async def github(
    *apps: dict[str, Any], now: list[datetime] | None = None, **config: Any
) -> AsyncIterator[tuple[GitHub, Urls]]:
    host = GitHub()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", host.answer)
    if now:
        host.now = now
    async with TestServer(app) as server, open_outgoing() as outgoing:
        host.base = f"http://127.0.0.1:{server.port}"
        entry = {"host": f"127.0.0.1:{server.port}", "apiBaseUrl": f"{host.base}/api", "rawBaseUrl": f"{host.base}/raw"}
        section = read_section(
            {"github": [{**entry, **config, "apps": [{"appId": 7, "privateKey": KEY, **one} for one in apps]}]}
        )
        known = known_hosts(section)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("greenroom.urls.hosts.github_apps._now", lambda: host.now[0])
            yield host, Urls(list(host_readers(section, known, outgoing)), known)


async def opened_by(urls: Urls, host: GitHub, repository: str = "Acme/shop") -> str:
    """The token that the file of the repository was read with."""
    return (await urls.read(f"{host.base}/{repository}/blob/main/x.yaml")).content.decode()


async def test_a_file_is_read_as_the_app_that_is_installed_for_its_owner() -> None:
    async with github({}) as (host, urls):
        assert await opened_by(urls, host, "acme/shop") == "ghs_1_2"
        assert host.asked == [
            "GET /api/app/installations",
            "POST /api/app/installations/1/access_tokens",
            "GET /api/repos/acme/shop/contents/x.yaml",
        ]


async def test_a_token_is_asked_for_once_and_again_ten_minutes_before_it_ends() -> None:
    now = [NOW]
    async with github({}, now=now) as (host, urls):
        first = await opened_by(urls, host)
        now[0] = NOW + timedelta(minutes=49)
        assert await opened_by(urls, host, "Acme/other") == first
        now[0] = NOW + timedelta(minutes=50)
        assert await opened_by(urls, host) != first
    assert host.asked.count("POST /api/app/installations/1/access_tokens") == 2


async def test_an_owner_without_an_installation_is_read_with_the_token_or_without_one() -> None:
    async with github({}, token="pat") as (host, urls):
        assert await opened_by(urls, host, "else/r") == "pat"
        assert await opened_by(urls, host, "else/r") == "pat"
        assert host.asked.count("GET /api/app/installations") == 1
    async with github({}) as (host, urls):
        assert await opened_by(urls, host, "else/r") == "nobody"
        assert host.asked[-1] == "GET /raw/else/r/main/x.yaml"


async def test_a_new_installation_is_found_within_a_minute() -> None:
    now = [NOW]
    async with github({}, token="pat", now=now) as (host, urls):
        assert await opened_by(urls, host, "new/r") == "pat"
        host.installed["new"] = {"id": 2}
        now[0] = NOW + timedelta(seconds=59)
        assert await opened_by(urls, host, "new/r") == "pat"
        now[0] = NOW + timedelta(seconds=60)
        assert (await opened_by(urls, host, "new/r")).startswith("ghs_2_")


async def test_many_installations_come_in_pages() -> None:
    async with github({}) as (host, urls):
        host.page = 2
        host.installed = {f"owner{n}": {"id": n} for n in range(5)}
        assert (await opened_by(urls, host, "owner4/r")).startswith("ghs_4_")
        assert host.asked.count("GET /api/app/installations") == 3


async def test_no_page_elsewhere_is_asked_with_the_proof_of_the_app() -> None:
    async with github({}, token="pat") as (host, urls):
        host.installed, host.page, base = {"a": {"id": 1}, "b": {"id": 2}}, 1, host.base
        host.base = base.replace("127.0.0.1", "localhost")
        urls_of_b = f"{base}/b/r/blob/main/x.yaml"
        assert (await urls.read(urls_of_b)).content == b"pat"


async def test_what_the_installation_is_not_for_is_told_with_a_remedy() -> None:
    async with github({}) as (host, urls):
        host.selected = ["shop"]
        assert (await opened_by(urls, host)).startswith("ghs_1_")
        with pytest.raises(UnreadableUrlError, match="App 7 may not read the repository other of Acme: add it"):
            await opened_by(urls, host, "Acme/other")


async def test_an_app_is_used_only_for_the_owners_that_it_is_meant_for() -> None:
    async with github({"allowedInstallationOwners": ["acme"]}, token="pat") as (host, urls):
        host.installed["else"] = {"id": 2}
        assert await opened_by(urls, host, "else/r") == "pat"
        assert (await opened_by(urls, host)).startswith("ghs_1_")


async def test_an_app_with_public_access_reads_what_everybody_may() -> None:
    async with github({"allowedInstallationOwners": ["nobody"]}, {"publicAccess": True}) as (host, urls):
        assert (await opened_by(urls, host, "else/r")).startswith("ghs_1_")
        host.installed.clear()
    async with github({"publicAccess": True}) as (host, urls):
        host.installed.clear()
        assert await opened_by(urls, host, "else/r") == "nobody"


async def test_the_first_app_that_works_is_used() -> None:
    async with github({"appId": 7, "privateKey": KEY}, {}) as (host, urls):
        host.installed["Acme"]["suspended_at"] = None
        assert (await opened_by(urls, host)).startswith("ghs_1_")


async def test_a_suspended_app_is_told() -> None:
    async with github({}, token="pat") as (host, urls):
        host.installed["Acme"]["suspended_at"] = "2026-01-01T00:00:00Z"
        with pytest.raises(UnreadableUrlError, match="App 7 is suspended for Acme"):
            await opened_by(urls, host)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/api/app/installations", 401, "401 Unauthorized: check appId, privateKey and apiBaseUrl"),
        ("/api/app/installations", 500, "500 Internal Server Error"),
        ("/api/app/installations/1/access_tokens", 404, "404 Not Found: the GitHub App was uninstalled"),
    ],
)
async def test_what_github_refuses_is_told_with_a_hint_and_no_secret(path: str, status: int, words: str) -> None:
    async with github({"clientSecret": "hush"}) as (host, urls):
        host.status[path] = status
        with pytest.raises(UnreadableUrlError, match=words) as caught:
            await opened_by(urls, host)
        assert not any(secret in str(caught.value) for secret in ("hush", "eyJ", KEY[40:80]))
        host.status.clear()
        assert (await opened_by(urls, host)).startswith("ghs_1_")


async def test_a_damaged_key_is_told_without_being_shown() -> None:
    damaged = KEY[:100] + "!!" + KEY[120:]
    async with github({"privateKey": damaged}) as (host, urls):
        with pytest.raises(GreenroomError, match="privateKey of the GitHub App 7 is not one") as caught:
            await opened_by(urls, host)
        assert damaged[40:80] not in str(caught.value)
        assert host.asked == []


async def test_a_pattern_is_read_as_the_app_too() -> None:
    async with github({}) as (host, urls):
        with pytest.raises(UnreadableUrlError, match="answered in an unexpected way"):
            await urls.search(f"{host.base}/Acme/shop/blob/main/*.yaml")
        assert host.asked[:2] == ["GET /api/app/installations", "POST /api/app/installations/1/access_tokens"]


async def test_many_at_once_ask_for_one_token() -> None:
    async with github({}) as (host, urls):
        found = await asyncio.gather(*(opened_by(urls, host, f"Acme/r{n}") for n in range(10)))
        assert len(set(found)) == 1
        assert len([path for path in host.asked if path.startswith(("GET /api/app", "POST /api/app"))]) == 2


def test_a_key_may_stand_on_one_line_and_nothing_but_a_key_may() -> None:
    app = {"appId": "7", "privateKey": KEY.replace("\n", "\\n")}
    [read, *_] = (
        load([], {}, {"integrations": {"github": [{"apps": [app]}]}}).section("integrations", IntegrationsConfig).github
    )
    assert (read.apps[0].private_key, read.apps[0].app_id) == (KEY.strip(), 7)
    for wrong in ("secret", KEY[:200], ""):
        config = load([], {}, {"integrations": {"github": [{"apps": [{"appId": 7, "privateKey": wrong}]}]}})
        with pytest.raises(ConfigError, match=r"integrations\.github\[0\]\.apps\[0\]\.privateKey") as caught:
            config.section("integrations", IntegrationsConfig)
        assert "'secret'" not in caught.value.message
    shown = str(load([], {}, {"integrations": {"github": [{"apps": [app]}]}}).redacted())
    assert SECRET in shown
    assert "BEGIN" not in shown


async def test_of_two_entries_for_a_host_the_last_has_the_credentials() -> None:
    async with open_outgoing() as outgoing:
        section = read_section({"github": [{"host": "ghe.example.com", "token": token} for token in ("a", "b")]})
        [reader, _] = [
            one
            for one in host_readers(section, known_hosts(section), outgoing)
            if isinstance(one, GithubReader) and one.host == "ghe.example.com"
        ]
        assert await reader.credentials("https://ghe.example.com/api/v3/repos/o/r") == {"Authorization": "Bearer b"}
