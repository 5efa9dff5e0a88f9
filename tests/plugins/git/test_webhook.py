"""A push announces itself and is seen at once; nobody without the secret can make us do anything."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from typing import Any

import pytest

from greenroom.errors import NotFoundError
from greenroom.testing import RecordingProviders
from greenroom_plugins.git.settings import Webhook
from greenroom_plugins.git.webhook import Push, Receiver, Refusal, is_signed, pushes
from tests.plugins.git.conftest import MakeWorld, World
from tests.plugins.git.repositories import Remote

BODY = b'{"ref":"refs/heads/main"}'


def hexdigest(secret: str, body: bytes = BODY) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    "headers",
    [
        {"x-hub-signature-256": f"sha256={hexdigest('right')}"},
        {"x-gitea-signature": hexdigest("right")},
        {"x-forgejo-signature": hexdigest("right")},
        {"x-hub-signature": f"sha256={hexdigest('right')}"},
        {"x-gitlab-token": "right"},
    ],
)
def test_each_hosts_way_of_signing_is_known(headers: dict[str, str]) -> None:
    assert is_signed(headers, BODY, ["old", "right"])
    assert not is_signed(headers, BODY, ["wrong"])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-hub-signature-256": hexdigest("right")},
        {"x-hub-signature-256": "sha256="},
        {"x-hub-signature-256": f"sha256={hexdigest('right', b'another body')}"},
        {"x-hub-signature": f"sha1={hmac.new(b'right', BODY, hashlib.sha1).hexdigest()}"},
        {"x-gitlab-token": ""},
        {"x-gitlab-token": "rüght"},
    ],
)
def test_anything_else_is_not_a_signature(headers: dict[str, str]) -> None:
    assert not is_signed(headers, BODY, ["right"])


PAYLOADS: dict[str, tuple[Any, str, str | None]] = {
    "github": (
        {
            "ref": "refs/heads/main",
            "repository": {
                "html_url": "https://github.com/Acme/App",
                "clone_url": "https://github.com/Acme/App.git",
                "ssh_url": "git@github.com:Acme/App.git",
                "url": "https://github.com/Acme/App",
            },
        },
        "git@github.com:acme/app.git",
        "main",
    ),
    "gitlab": (
        {
            "object_kind": "push",
            "ref": "refs/heads/feature/x",
            "project": {
                "web_url": "https://gitlab.example.com/g/s/app",
                "git_http_url": "https://gitlab.example.com/g/s/app.git",
                "git_ssh_url": "git@gitlab.example.com:g/s/app.git",
            },
        },
        "https://gitlab.example.com/g/s/app.git",
        "feature/x",
    ),
    "gitea": (
        {
            "ref": "refs/heads/main",
            "repository": {
                "html_url": "http://gitea.local:3000/o/app",
                "clone_url": "http://gitea.local:3000/o/app.git",
            },
        },
        "ssh://git@gitea.local:2222/o/app.git",
        "main",
    ),
    "bitbucket cloud": (
        {
            "push": {"changes": [{"new": {"type": "branch", "name": "main"}, "old": None}]},
            "repository": {"links": {"html": {"href": "https://bitbucket.org/w/app"}}},
        },
        "https://bitbucket.org/w/app.git",
        "main",
    ),
    "bitbucket server": (
        {
            "changes": [{"refId": "refs/heads/main", "ref": {"id": "refs/heads/main"}, "type": "UPDATE"}],
            "repository": {
                "slug": "app",
                "links": {"clone": [{"href": "https://bb.example.com/scm/p/app.git", "name": "http"}]},
            },
        },
        "ssh://git@bb.example.com:7999/p/app.git",
        "main",
    ),
    "anything": ({"url": "https://git.example.com/x/app.git", "ref": "main"}, "https://git.example.com/x/app", "main"),
}


@pytest.mark.parametrize("host", PAYLOADS)
async def test_each_hosts_push_finds_its_repository(host: str, world: MakeWorld) -> None:
    payload, clone_url, branch = PAYLOADS[host]
    here = world(repositories=[{"url": clone_url}, {"url": "https://github.com/somebody/else"}])
    await here.repositories.add("git:test", list(here.provider.wanted()), here.provider.config.schedule.initial_delay)
    assert [push.branch for push in pushes(payload)] == [branch]
    catalog = RecordingProviders()
    receiver = Receiver({"git:test": Webhook(["right"])}, here.repositories, catalog, logging.getLogger())
    body = json.dumps(payload).encode()
    assert await receiver.receive({"x-hub-signature-256": f"sha256={hexdigest('right', body)}"}, body, payload) is None
    assert catalog.triggered == ["git:test"]
    requested = await here.database.fetchval("select array_agg(url) from git_repository where requested_at is not null")
    assert len(requested) == 1
    assert "app" in requested[0]


@pytest.mark.parametrize(
    "payload",
    [None, [], "x", {}, {"zen": "ping", "repository": {"clone_url": "https://github.com/a/b"}}, {"repository": 5, "ref": 7},
     {"ref": "refs/tags/v1", "repository": {"clone_url": "https://github.com/a/b"}}, {"push": {"changes": [None, {"new": None}]}}],
)  # fmt: skip
def test_what_is_no_push_to_a_branch_is_nothing(payload: Any) -> None:
    assert list(pushes(payload)) == []


def test_a_payload_with_urls_of_other_kinds_is_read_as_far_as_it_goes() -> None:
    payload = {
        "ref": "refs/heads/main",
        "repository": {"clone_url": "ftp://x/y", "html_url": 7, "links": {"self": None}},
    }
    assert list(pushes(payload)) == [Push(("ftp://x/y",), "main")]


@pytest.fixture
async def followed(world: MakeWorld, remote: Remote) -> World:
    remote.push({"catalog-info.yaml": "1"})
    here = world(repositories=[{"url": remote.url}])
    await here.run()
    return here


def receiver(here: World, webhook: Webhook, catalog: RecordingProviders | None = None) -> Receiver:
    return Receiver({"git:test": webhook}, here.repositories, catalog or RecordingProviders(), logging.getLogger())


async def test_without_a_secret_every_webhook_is_refused_unless_danger_was_asked_for(
    followed: World, remote: Remote
) -> None:
    payload = {"url": remote.url}
    refused = await receiver(followed, Webhook()).receive({}, BODY, payload)
    assert refused == Refusal("invalid signature")
    assert await receiver(followed, Webhook(["s"])).receive({"x-gitlab-token": "x"}, BODY, payload) == Refusal(
        "invalid token"
    )
    assert await followed.database.fetchval("select count(*) from git_repository where requested_at is not null") == 0
    assert await receiver(followed, Webhook(dangerously_allow_unsigned=True)).receive({}, BODY, payload) is None
    assert await followed.database.fetchval("select count(*) from git_repository where requested_at is not null") == 1


async def test_a_secret_opens_only_its_own_providers_repositories(followed: World, remote: Remote) -> None:
    catalog = RecordingProviders()
    webhooks = {"git:test": Webhook(["theirs"]), "git:other": Webhook(["ours"])}
    one = Receiver(webhooks, followed.repositories, catalog, logging.getLogger())
    assert await one.receive({"x-gitlab-token": "ours"}, BODY, {"url": remote.url}) is None
    assert catalog.triggered == []


async def test_an_unknown_repository_is_accepted_so_that_nobody_learns_which_are_followed(
    followed: World, caplog: pytest.LogCaptureFixture
) -> None:
    catalog = RecordingProviders()
    with caplog.at_level(logging.INFO):
        told = receiver(followed, Webhook(["s"]), catalog)
        assert await told.receive({"x-gitlab-token": "s"}, BODY, {"url": "https://github.com/a/b"}) is None
    assert catalog.triggered == []
    assert "github.com/a/b, which nobody follows" in caplog.text


async def test_a_push_to_another_branch_wakes_nobody(followed: World, remote: Remote) -> None:
    catalog = RecordingProviders()
    told = receiver(followed, Webhook(["s"]), catalog)
    await told.receive({"x-gitlab-token": "s"}, BODY, {"url": remote.url, "ref": "refs/heads/feature"})
    assert catalog.triggered == []
    await told.receive({"x-gitlab-token": "s"}, BODY, {"url": remote.url, "ref": "refs/heads/main"})
    assert catalog.triggered == ["git:test"]


async def test_an_announced_repository_is_looked_at_although_it_is_not_due(followed: World, remote: Remote) -> None:
    remote.push({"catalog-info.yaml": "2"})
    await receiver(followed, Webhook(["s"])).receive({"x-gitlab-token": "s"}, BODY, {"url": remote.url})
    await followed.provider.run(followed.source)
    assert followed.source.refreshed == [f"url:{remote.target('catalog-info.yaml')}"]
    assert await followed.repositories.claim("git:test") is None


async def test_an_announcement_during_a_look_is_not_lost(
    followed: World, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look has read the old commit already when the second push is announced."""
    told = receiver(followed, Webhook(["s"]))
    await told.receive({"x-gitlab-token": "s"}, BODY, {"url": remote.url})
    claim = await followed.repositories.claim("git:test")
    assert claim is not None
    await told.receive({"x-gitlab-token": "s"}, BODY, {"url": remote.url})
    await followed.repositories.rest(claim, followed.provider.config.schedule.frequency)
    assert await followed.repositories.claim("git:test") is not None


async def test_a_webhook_before_the_first_run_is_no_failure(followed: World, remote: Remote) -> None:
    class Unknowing(RecordingProviders):
        async def trigger(self, provider: str, *, by: str | None = None) -> None:
            raise NotFoundError(f"No such entity provider: {provider}")

    told = receiver(followed, Webhook(["s"]), Unknowing())
    assert await told.receive({"x-gitlab-token": "s"}, BODY, {"url": remote.url}) is None
