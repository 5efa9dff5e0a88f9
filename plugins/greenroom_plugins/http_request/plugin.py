"""The plugin http-request: the action `http:backstage:request`, and what it may ask (`scaffolder.http`)."""

from __future__ import annotations

from collections.abc import Iterable

import aiohttp
import msgspec

from greenroom.plugin import Contribution, Host, plugin
from greenroom.settings import BackendConfig
from greenroom_plugins.http_request.request import request_action
from greenroom_plugins.http_request.sending import Bounds, Sender


class HttpRequestConfig(msgspec.Struct, rename="camel"):
    """`scaffolder.http`"""

    allowed_methods: list[str] = []
    """Which methods may be used; none named: all of them."""
    allowed_hosts: list[str] = []
    """Which hosts a whole URL in `path` may name; none named: paths are paths. As upstream."""
    base_url: str | None = None
    """Where this process reaches the backend, if not by `backend.baseUrl`."""


@plugin("http-request", HttpRequestConfig, section="scaffolder.http")
def http_request(config: HttpRequestConfig, host: Host) -> Iterable[Contribution]:
    """The action `http:backstage:request`."""
    base = (config.base_url or host.get(BackendConfig).base_url).rstrip("/")
    bounds = Bounds(frozenset(config.allowed_methods), tuple(config.allowed_hosts))
    yield request_action(Sender(base, aiohttp.ClientSession), bounds)
