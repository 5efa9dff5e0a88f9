-- name: sign_on
-- Be known as a worker.
INSERT INTO workers (number, process) VALUES ($1, $2) ON CONFLICT DO NOTHING

-- name: workers
-- All that are known, whether they live or not.
SELECT number FROM workers

-- name: free_claims
-- What these workers held is anybody's; returns how many entities that were.
WITH freed AS (
    UPDATE refresh_schedule SET next_update_at = least(next_update_at, now()), holder = NULL WHERE holder = ANY($1::integer[])
    RETURNING id
), idle AS (
    UPDATE providers SET lease_until = NULL, holder = NULL WHERE holder = ANY($1::integer[]) RETURNING name
), ended AS (
    UPDATE provider_runs r SET finished_at = now(), error = 'The process that ran it ended'
    FROM idle WHERE r.provider = idle.name AND r.finished_at IS NULL
), gone AS (
    DELETE FROM workers WHERE number = ANY($1::integer[])
), told AS MATERIALIZED (
    SELECT pg_notify('greenroom', topic) FROM unnest('{"catalog.process ","catalog.provide "}'::text[]) AS t (topic)
)
SELECT count(*) FROM freed WHERE (SELECT count(pg_notify::text) FROM told) > 0
