"""What this server says of itself as an OpenID provider."""

from __future__ import annotations

from typing import Any


def openid_configuration(issuer: str) -> dict[str, Any]:
    """The document at `/.well-known/openid-configuration`, members in upstream's order.

    The list of algorithms is upstream's: it says what a client may meet, not what is signed with here (ES256)."""
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/v1/token",
        "userinfo_endpoint": f"{issuer}/v1/userinfo",
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "response_types_supported": ["code", "id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [
            *(f"{family}{bits}" for family in ("RS", "ES", "PS") for bits in (256, 384, 512)),
            "EdDSA",
        ],
        "scopes_supported": ["openid"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "claims_supported": ["sub", "ent"],
        "grant_types_supported": ["authorization_code"],
        "authorization_endpoint": f"{issuer}/v1/authorize",
        "code_challenge_methods_supported": ["S256", "plain"],
    }
