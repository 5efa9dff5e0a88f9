"""The permission plugin: `/api/permission`."""

from __future__ import annotations

from collections.abc import Iterable

from greenroom.permissions import Permissions
from greenroom.plugin import Contribution, Host, plugin
from greenroom.settings import PermissionConfig
from greenroom_plugins.permission.routes import permission_routes


@plugin("permission", PermissionConfig)
def permission(config: PermissionConfig, host: Host) -> Iterable[Contribution]:
    """Answers clients that ask what a user may do. It is the floor's `Permissions` that obeys the config."""
    if not config.enabled:
        host.log.info("Permissions are disabled: everything is allowed. Enable them by permission.enabled: true.")
    yield permission_routes(host.get(Permissions))
