-- name: add_key
-- Publish a public key for a while, and forget those whose time is over.
with expired as (
    delete from auth_signing_keys where expires_at <= now()
)
insert into auth_signing_keys (kid, key, expires_at)
values ($1, $2, now() + $3);

-- name: public_keys
-- The public keys that still count, oldest first.
select key
from auth_signing_keys
where expires_at > now()
order by created_at, kid;

-- name: remember_user
-- Keep the claims of a user who signs in, in place of those of the last time.
insert into auth_user_info (user_entity_ref, claims)
values ($1, $2)
on conflict (user_entity_ref) do update
set claims = excluded.claims, updated_at = now();

-- name: user_claims
-- The claims of a user as they last signed in.
select claims
from auth_user_info
where user_entity_ref = $1;
