-- What the git providers know of the outside: repositories, how far the catalog has been told, and the files it was told of.

create table git_repository (
    id bigint generated always as identity primary key,
    provider text not null,
    url text not null,
    branch text not null,                       -- as configured; empty for the remote's default branch
    match_key text not null,                    -- by which a webhook names it
    forms text[] not null,                      -- URLs of its files, with {branch} and {path}
    prefixes text[] not null,                   -- what these begin with
    rules text not null,                        -- a digest of what decides which files are told, and how

    resolved_branch text,
    commit_sha text,                            -- what is read now
    applied_sha text,                           -- what the catalog has been told
    applied_rules text,

    due_at timestamptz not null,
    requested_at timestamptz,                   -- by a webhook
    lease_until timestamptz,
    checked_at timestamptz,
    failures int not null default 0,
    error text,
    unique (provider, url, branch)
);

create index git_repository_due on git_repository (provider, due_at);
create index git_repository_key on git_repository (match_key);
create index git_repository_prefixes on git_repository using gin (prefixes);

create table git_file (
    repository_id bigint not null references git_repository on delete cascade,
    target text not null,
    path bytea not null,
    blob_sha text,                              -- at commit_sha; null when it is gone from there
    applied_sha text,                           -- the blob at applied_sha; null as long as the catalog was not told
    primary key (repository_id, target)
);

create index git_file_path on git_file (repository_id, path);
