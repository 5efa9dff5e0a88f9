"""The section `auth` of the config."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import msgspec

SHORTEST, LONGEST = timedelta(minutes=10), timedelta(hours=24)


class Guest(msgspec.Struct, rename="camel", frozen=True):
    """Signing in without being anybody in particular. By default for development alone."""

    user_entity_ref: str = "user:development/guest"
    ownership_entity_refs: tuple[str, ...] | None = None
    """What the guest owns if the catalog does not know them; by default themselves."""
    dangerously_allow_outside_development: bool = False


class Providers(msgspec.Struct, frozen=True):
    """Ways to sign in, by the id that stands in the path."""

    guest: Guest | None = None


class AuthConfig(msgspec.Struct, rename="camel", frozen=True):
    """Shapes and defaults are upstream's."""

    environment: str | None = None
    backstage_token_expiration: timedelta = timedelta(hours=1)
    omit_identity_token_ownership_claim: bool = True
    identity_token_algorithm: Literal["ES256"] = "ES256"  # noqa: S105 (no password)
    """The one that is supported here."""
    providers: Providers = Providers()

    @property
    def lifetime(self) -> timedelta:
        """How long a user token is good for: between ten minutes and a day, whatever is configured."""
        return min(max(self.backstage_token_expiration, SHORTEST), LONGEST)
