-- Public halves of the keys that user tokens are signed with. No private key is ever stored: see keys.py.
create table auth_signing_keys (
    kid text primary key,
    key json not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);

-- What was known of each user when they last signed in: the claims that userinfo answers with.
create table auth_user_info (
    user_entity_ref text collate "C" primary key,
    claims json not null,
    updated_at timestamptz not null default now()
);
