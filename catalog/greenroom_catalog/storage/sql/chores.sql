-- name: claim_chore
-- Take a chore that is due, or was never done.
INSERT INTO chores AS c (name, next_run_at) VALUES ($1, now() + $2::interval)
ON CONFLICT (name) DO UPDATE SET next_run_at = excluded.next_run_at WHERE c.next_run_at <= now()
RETURNING name

-- name: end_chore
-- Record how it went.
UPDATE chores SET ended_at = now(), error = $2 WHERE name = $1

-- name: trigger_chore
-- Make it due, and wake who does it.
WITH due AS (UPDATE chores SET next_run_at = now() WHERE name = $1)
SELECT pg_notify('greenroom', 'catalog.chores ')

-- name: next_chore
-- Seconds until it is due.
SELECT extract(epoch FROM next_run_at - now())::float8 FROM chores WHERE name = $1

-- name: get_chore
-- How it stands.
SELECT name, next_run_at, ended_at, error FROM chores WHERE name = $1
