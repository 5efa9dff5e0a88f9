"""The section `permission` of the config."""

from __future__ import annotations

import msgspec


class PermissionConfig(msgspec.Struct, frozen=True, rename="camel"):
    """Whether permissions are asked for at all."""

    enabled: bool = False
