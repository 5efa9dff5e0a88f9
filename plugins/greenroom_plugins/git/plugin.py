"""The git plugins: catalog files from any Git host, followed by clone URL, and `publish:git`, which makes repositories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from litestar import Request, Response, post

from greenroom.db import Database
from greenroom.plugin import CatalogProviders, Contribution, DataFolder, Host, Status, plugin
from greenroom.settings import AppConfig
from greenroom.urls import Urls
from greenroom.web import Routes, asked, json_response
from greenroom_plugins.git.actions import Words, publish_action
from greenroom_plugins.git.command import Git
from greenroom_plugins.git.commits import Author
from greenroom_plugins.git.provider import GitProvider
from greenroom_plugins.git.published import PublishedReader
from greenroom_plugins.git.publishing import Publisher
from greenroom_plugins.git.reader import GitReader
from greenroom_plugins.git.settings import GitConfig, PublishConfig
from greenroom_plugins.git.state import MIGRATIONS, Repositories
from greenroom_plugins.git.webhook import Receiver

PUBLISHING = "scaffolder.publishGit"
WEBHOOK_LIMIT = 5 * 1024 * 1024
"""Bytes of a webhook's body, as upstream's events backend."""


@plugin("git", dict[str, GitConfig], section="catalog.providers.git", needs=(CatalogProviders,))
def git(config: Mapping[str, GitConfig], host: Host) -> Iterable[Contribution]:
    """Follows repositories, reads their files, and hears webhooks."""
    repositories = Repositories(host.get(Database))
    integrations = host.get(Urls).integrations
    cache = host.get(DataFolder).path / "cache" / "git"
    command = Git(cache)
    providers = [
        GitProvider(
            id_, one, repositories=repositories, git=command, cache=cache, integrations=integrations, log=host.log
        )
        for id_, one in config.items()
    ]
    by_name = {provider.name: provider for provider in providers}
    webhooks = {provider.name: provider.config.webhook for provider in providers}

    yield MIGRATIONS
    publishing = host.get(AppConfig).section(PUBLISHING, PublishConfig)
    if publishing.folders:  # asked before the providers' reader, which has not seen yet what has just been published
        yield PublishedReader(command, cache, publishing.folders)
    yield from providers
    if providers:
        yield GitReader(by_name, repositories, integrations)
        yield webhook_routes(Receiver(webhooks, repositories, host.get(CatalogProviders), host.log))
        yield Status("Git", lambda: _status(repositories, by_name))
    others = [one for one in publishing.hosts if integrations.by_url(f"https://{one.host}/") is None]
    if others:
        yield PublishedReader(command, cache, hosts=others)


@plugin("git-publishing", PublishConfig, section=PUBLISHING)
def publishing(config: PublishConfig, host: Host) -> Iterable[Contribution]:
    """The action `publish:git`."""
    app = host.get(AppConfig)
    author = Author(app.get("scaffolder.defaultAuthor.name", ""), app.get("scaffolder.defaultAuthor.email", ""))
    words = Words(author, app.get("scaffolder.defaultCommitMessage", ""))
    command = Git(host.get(DataFolder).path / "cache" / "git")
    yield publish_action(Publisher(command, config, host.get(Urls).integrations), words)


def webhook_routes(receiver: Receiver) -> Routes:
    """`POST /api/events/http/git`."""

    @post("/http/git", status_code=202)
    async def receive(request: Request[Any, Any, Any]) -> Response[bytes]:
        told = asked(request)
        headers = {name.lower(): value for name, value in request.headers.items()}
        refusal = await receiver.receive(headers, told.raw, told.body)
        if refusal is not None:
            return json_response({"message": refusal.message}, 403)
        return json_response({"status": "accepted"}, 202)

    return Routes("events", [receive], open_paths=("/http/git",), body_limit=WEBHOOK_LIMIT)


async def _status(repositories: Repositories, providers: Mapping[str, GitProvider]) -> dict[str, Any]:
    rows = await repositories.standing(list(providers))
    failing = [row for row in rows if row["error"]]
    return {
        "repositories": len(rows),
        "files": sum(row["files"] for row in rows),
        "failing": [{"provider": row["provider"], "repository": row["url"], "error": row["error"]} for row in failing],
    }
