"""The permission plugin: `/api/permission`."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from greenroom.permissions import Permissions
from greenroom.plugin import Contribution, Host, plugin
from greenroom_plugins.permission.routes import permission_routes


class PermissionConfig(msgspec.Struct, rename="camel", frozen=True):
    """The section `permission`. It is the floor's `Permissions` that obeys it."""

    enabled: bool = False


@plugin("permission", PermissionConfig)
def permission(config: PermissionConfig, host: Host) -> Iterable[Contribution]:
    """Answers clients that ask what a user may do."""
    if not config.enabled:
        host.log.info("Permissions are disabled: everything is allowed. Enable them by permission.enabled: true.")
    yield permission_routes(host.get(Permissions))
