-- name: known_repositories
-- All repositories of a provider, by what config calls them.
select id, url, branch, rules from git_repository where provider = $1

-- name: add_repositories
-- New repositories, or new rules for known ones, which are then due.
insert into git_repository (provider, url, branch, match_key, forms, prefixes, rules, due_at)
values ($1, $2, $3, $4, $5, $6, $7, now() + $8::interval)
on conflict (provider, url, branch) do update
set match_key = excluded.match_key, forms = excluded.forms, prefixes = excluded.prefixes, rules = excluded.rules,
    due_at = now()
where git_repository.rules <> excluded.rules

-- name: targets_of
-- Every file of a repository that the catalog may have been told of.
select target from git_file where repository_id = $1

-- name: forget_repository
-- A repository that is no longer configured, once the catalog knows.
delete from git_repository where id = $1

-- name: claim_repository
-- The next repository to look at, kept from others for a while: announced ones first, then by due time. One that was checked in what is
-- now the future is due, and such a lease is none: the clock was put back.
update git_repository
set lease_until = now() + $2::interval
where id = (
    select id from git_repository
    where provider = $1 and (due_at <= now() or requested_at is not null or checked_at > now() + interval '1 minute')
      and (lease_until is null or lease_until not between now() and now() + interval '1 hour')
    order by requested_at nulls last, due_at
    limit 1
    for update skip locked
)
returning id, provider, url, branch, forms, rules, resolved_branch, commit_sha, applied_sha, applied_rules, requested_at

-- name: hurry_repositories
-- Somebody wants all of them looked at now.
update git_repository set due_at = now() where provider = $1 and due_at > now()

-- name: due_repositories
-- How many wait for their turn.
select count(*) from git_repository
where provider = $1 and (due_at <= now() or requested_at is not null or checked_at > now() + interval '1 minute')
  and (lease_until is null or lease_until not between now() and now() + interval '1 hour')

-- name: keep_leases
-- Repositories that are still being worked on.
update git_repository set lease_until = now() + $2::interval where id = any($1::bigint[]) and lease_until is not null

-- name: rest_repository
-- Nothing new there: look again later. An announcement that came meanwhile stays.
update git_repository
set due_at = now() + $2::interval, lease_until = null, checked_at = now(), failures = 0, error = null,
    requested_at = case when requested_at = $3 then null else requested_at end
where id = $1

-- name: fail_repository
-- It could not be read: keep everything, and try again later and later.
update git_repository
set due_at = now() + least($2::interval, interval '10 seconds' * power(2, least(failures, 16))),
    lease_until = null, checked_at = now(), failures = failures + 1, error = $3,
    requested_at = case when requested_at = $4 then null else requested_at end
where id = $1

-- name: prepare_commit
-- What is read from now on. Written before the catalog is told, which may read at once.
update git_repository set resolved_branch = $2, commit_sha = $3 where id = $1

-- name: prepare_files
-- The files as of that commit. New ones are on record before the catalog is told, so that none outlives a crash unknown.
with wanted as (
    select * from unnest($2::text[], $3::bytea[], $4::text[]) as wanted (target, path, blob_sha)
), gone as (
    update git_file set blob_sha = null
    where repository_id = $1 and target not in (select target from wanted)
)
insert into git_file (repository_id, target, path, blob_sha)
select $1, target, path, blob_sha from wanted
on conflict (repository_id, target) do update set path = excluded.path, blob_sha = excluded.blob_sha

-- name: files_to_tell
-- The files in which what is read differs from what the catalog was told, and those that are gone.
select target, path, blob_sha, applied_sha from git_file
where repository_id = $1 and (blob_sha is null or applied_sha is null or blob_sha <> applied_sha or $2::boolean)

-- name: applied_commit
-- The catalog has been told of this commit under these rules, unless another process has gone on meanwhile.
update git_repository set applied_sha = commit_sha, applied_rules = $3 where id = $1 and commit_sha = $2 returning id

-- name: applied_files
-- It has been told of all files as they are.
update git_file set applied_sha = blob_sha where repository_id = $1 and applied_sha is distinct from blob_sha

-- name: drop_gone_files
-- And of those that are gone.
delete from git_file where repository_id = $1 and blob_sha is null

-- name: find_repository
-- The repositories to which a URL may belong, by everything that it may begin with.
select id, provider, url, forms, resolved_branch, commit_sha from git_repository where prefixes && $1::text[] order by id

-- name: blob_at
-- The blob of a file that the catalog was told of.
select blob_sha from git_file where repository_id = $1 and path = $2 and blob_sha is not null limit 1

-- name: announce
-- A webhook says that a branch (null: any) of these repositories moved.
update git_repository set requested_at = clock_timestamp()
where provider = any($1::text[]) and match_key = any($2::text[])
  and ($3::text is null or coalesce(nullif(branch, ''), resolved_branch, $3) = $3)
returning provider, url

-- name: standing
-- How each repository of some providers stands.
select provider, url, coalesce(resolved_branch, branch) as branch, applied_sha, checked_at, due_at, error,
       (select count(*) from git_file where repository_id = git_repository.id and applied_sha is not null) as files
from git_repository where provider = any($1::text[]) order by provider, url, branch
