"""A webhook's headers and body -> the repositories whose branches moved, if the sender knows a secret."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from greenroom.errors import NotFoundError
from greenroom.plugin import CatalogProviders
from greenroom_plugins.git.addresses import Address, InvalidAddressError
from greenroom_plugins.git.settings import Webhook
from greenroom_plugins.git.state import Repositories

_SIGNATURES = (
    ("x-hub-signature-256", "sha256="),  # GitHub, Gitea, Forgejo
    ("x-hub-signature", "sha256="),  # Bitbucket
    ("x-gitea-signature", ""),
    ("x-forgejo-signature", ""),
    ("x-gogs-signature", ""),
)
"""Headers with an HMAC-SHA256 of the body in hex, and what stands before it."""
_TOKEN = "x-gitlab-token"  # noqa: S105 - a header's name
_LINKS = (
    "clone_url",
    "ssh_url",
    "git_url",
    "html_url",
    "git_http_url",
    "git_ssh_url",
    "git_http_url",
    "web_url",
    "homepage",
    "url",
)


class Push(msgspec.Struct, frozen=True):
    """A branch (None: some) of one repository moved."""

    urls: tuple[str, ...]
    """All that the host calls the repository by."""
    branch: str | None


class Refusal(msgspec.Struct, frozen=True):
    """Why a webhook is not believed, in the words of upstream's event modules."""

    message: str


def is_signed(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
    """Whether the sender knows one of the secrets. `headers` in lower case. Comparisons take the same time for any guess."""
    token = headers.get(_TOKEN)
    if token is not None and any(_same(token, secret) for secret in secrets):
        return True
    for secret in secrets:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        if any(_same(headers.get(header, ""), before + digest) for header, before in _SIGNATURES):
            return True
    return False


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def pushes(payload: Any) -> Iterator[Push]:
    """What a payload of GitHub, GitLab, Gitea, Bitbucket Cloud or Server, or `{"url": …, "ref": …}`, tells of."""
    if not isinstance(payload, dict):
        return
    if isinstance(payload.get("url"), str) and "repository" not in payload:
        yield Push((payload["url"],), _branch(payload.get("ref")))
        return
    urls = tuple(dict.fromkeys(_urls(payload.get("repository"), payload.get("project"))))
    if urls:
        for branch in dict.fromkeys(_branches(payload)):
            yield Push(urls, branch)


def _urls(*places: Any) -> Iterator[str]:
    for place in places:
        if isinstance(place, dict):
            yield from (place[name] for name in _LINKS if isinstance(place.get(name), str))
            links = place.get("links")
            if isinstance(links, dict):
                yield from _hrefs(links)


def _hrefs(links: Mapping[str, Any]) -> Iterator[str]:
    """Bitbucket: `{html: {href}, clone: [{href}, …]}`."""
    for link in links.values():
        for one in link if isinstance(link, list) else [link]:
            if isinstance(one, dict) and isinstance(one.get("href"), str):
                yield one["href"]


def _branches(payload: Mapping[str, Any]) -> Iterator[str | None]:
    changes = payload.get("changes")
    push = payload.get("push")
    if isinstance(push, dict):
        changes = [
            change.get("new") or change.get("old") for change in push.get("changes") or [] if isinstance(change, dict)
        ]
        yield from (
            change.get("name") for change in changes if isinstance(change, dict) and change.get("type") != "tag"
        )
    elif isinstance(changes, list):
        yield from (_branch(change.get("refId")) for change in changes if isinstance(change, dict))
    elif isinstance(ref := payload.get("ref"), str) and not ref.startswith("refs/tags/"):
        yield _branch(ref)


def _branch(ref: Any) -> str | None:
    return ref.removeprefix("refs/heads/") if isinstance(ref, str) else None


class Receiver:
    """Believes webhooks, and makes what they announce due at once."""

    def __init__(
        self,
        webhooks: Mapping[str, Webhook],
        repositories: Repositories,
        catalog: CatalogProviders,
        log: logging.Logger,
    ) -> None:
        """`webhooks` by provider name."""
        self._webhooks = webhooks
        self._repositories = repositories
        self._catalog = catalog
        self._log = log

    async def receive(self, headers: Mapping[str, str], body: bytes, payload: Any) -> Refusal | None:
        """Refuses what no provider's secret signed. Anything else is accepted, whether we know the repository or not."""
        believers = [name for name, webhook in self._webhooks.items() if _believes(webhook, headers, body)]
        if not believers:
            return Refusal("invalid token" if _TOKEN in headers else "invalid signature")
        for push in pushes(payload):
            await self._announce(believers, push)
        return None

    async def _announce(self, providers: Sequence[str], push: Push) -> None:
        keys = sorted({key for url in push.urls if (key := _key(url))})
        followed = await self._repositories.announce(providers, keys, push.branch)
        if not followed:
            self._log.info("A webhook told of %s, which nobody follows", " ".join(keys) or "an unreadable URL")
        for provider in sorted({provider for provider, _ in followed}):
            try:
                await self._catalog.trigger(provider, by="webhook")
            except (
                NotFoundError
            ):  # the catalog has not met it yet; the request is on record, and found at its first run
                self._log.info("%s has not run yet", provider)


def _believes(webhook: Webhook, headers: Mapping[str, str], body: bytes) -> bool:
    if webhook.secret:
        return is_signed(headers, body, webhook.secret)
    return webhook.dangerously_allow_unsigned


def _key(url: str) -> str | None:
    try:
        # A page may be served over http, as a Bitbucket Server's or a Gitea's often is; what is cloned is of our config.
        return Address.parse(url.replace("http://", "https://", 1).replace("git://", "https://", 1)).key
    except InvalidAddressError:
        return None
