-- name: create_tasks
-- New tasks, open to whoever claims them. Those that are there already, from an attempt whose answer was lost, stay as they are.
WITH given AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::json[], $5::bytea[]) AS g (id, created_by, strategy, spec, sealed)
), made AS (
    INSERT INTO tasks (id, created_by, strategy) SELECT id, created_by, strategy FROM given ON CONFLICT DO NOTHING
    RETURNING id, created_by
), specified AS (
    INSERT INTO task_specs (task_id, spec) SELECT id, spec FROM given JOIN made USING (id)
), entrusted AS (
    INSERT INTO task_secrets (task_id, sealed) SELECT id, sealed FROM given JOIN made USING (id)
), counted AS (
    INSERT INTO task_tallies AS a (created_by, status, n)
    SELECT created_by, 'open', count(*) FROM made GROUP BY created_by ORDER BY created_by
    ON CONFLICT (created_by, status) DO UPDATE SET n = a.n + excluded.n
), told AS MATERIALIZED (
    SELECT pg_notify('greenroom', 'scaffolder.open ')
)
SELECT count(*) FROM made WHERE (SELECT count(pg_notify::text) FROM told) > 0

-- name: get_task
-- A task as it is told of.
SELECT id, created_by, created_at, status, heartbeat_at, spec FROM tasks JOIN task_specs ON task_id = id WHERE id = $1

-- name: lock_task
-- A task, of which no event is written by anybody else until the end of the transaction.
SELECT created_by, status, strategy, began FROM tasks WHERE id = $1 FOR NO KEY UPDATE

-- name: newest_step
-- The step that was last heard of, of events from $2 on.
SELECT body ->> 'stepId' FROM task_events WHERE task_id = $1 AND id >= $2 AND coalesce(body ->> 'stepId', '') <> '' ORDER BY id DESC LIMIT 1

-- name: mark_cancelled
-- Whoever runs the task, or will, is to stop; its secrets are nobody's any more.
WITH task AS (
    UPDATE tasks SET cancelled = true WHERE id = $1
)
DELETE FROM task_secrets WHERE task_id = $1

-- name: tell_cancelled
-- Have the worker hear of it at once.
SELECT pg_notify('greenroom', 'scaffolder.cancel ' || $1::text)

-- name: add_events
-- Events of a task whose row is held; answers the id of the last, and tells whoever follows it.
WITH noted AS (
    INSERT INTO task_events (task_id, type, body)
    SELECT $1::uuid, type, body FROM unnest($2::text[], $3::json[]) WITH ORDINALITY AS e (type, body, nr) ORDER BY nr
    RETURNING id
), last AS MATERIALIZED (
    SELECT max(id) AS id FROM noted
), told AS MATERIALIZED (
    SELECT pg_notify('greenroom', 'scaffolder.event ' || $1::uuid || ' ' || id) FROM last
)
SELECT id FROM last WHERE (SELECT count(pg_notify::text) FROM told) > 0

-- name: forget_outcome
-- The events of how a task ended are no longer true.
DELETE FROM task_events WHERE task_id = $1 AND type IN ('cancelled', 'completion')

-- name: forget_progress
-- The task is to begin anew.
WITH steps AS (
    DELETE FROM task_steps WHERE task_id = $1
), checkpoints AS (
    DELETE FROM task_checkpoints WHERE task_id = $1
)
DELETE FROM task_workspaces WHERE task_id = $1

-- name: entrust
-- Secrets in place of those that the task had.
INSERT INTO task_secrets (task_id, sealed) VALUES ($1, $2) ON CONFLICT (task_id) DO UPDATE SET sealed = excluded.sealed

-- name: reopen_task
-- Have a task claimed again: $2 whether it goes on from where it was, $3 the event with which it began (null: as before), $4 by
-- whose loss (0: nobody's; null: a new start by somebody's wish).
WITH task AS (
    UPDATE tasks SET status = 'open', heartbeat_at = clock_timestamp(), holder = NULL, resumed = $2, began = coalesce($3::bigint, began),
        losses = coalesce(losses + $4::integer, 0), cancelled = cancelled AND $4::integer IS NOT NULL,
        retried = CASE WHEN $4::integer IS NULL THEN attempt ELSE retried END
    WHERE id = $1
), told AS MATERIALIZED (
    SELECT pg_notify('greenroom', 'scaffolder.open ')
)
SELECT count(pg_notify::text) FROM told

-- name: end_task
-- How a task ended of which no worker says so.
WITH secrets AS (
    DELETE FROM task_secrets WHERE task_id = $1
)
UPDATE tasks SET status = $2, holder = NULL WHERE id = $1

-- name: recount
-- Tasks of these creators went from one status to another.
INSERT INTO task_tallies AS a (created_by, status, n)
SELECT created_by, status, sum(n) FROM (
    SELECT created_by, was AS status, -1 AS n FROM unnest($1::text[], $2::text[]) AS m (created_by, was)
    UNION ALL SELECT created_by, is_now, 1 FROM unnest($1::text[], $3::text[]) AS m (created_by, is_now)
) c GROUP BY created_by, status ORDER BY created_by COLLATE "C", status COLLATE "C"
ON CONFLICT (created_by, status) DO UPDATE SET n = a.n + excluded.n

-- name: ended_tasks
-- Those of these tasks that nobody runs any more, nor will.
SELECT id FROM tasks WHERE id = ANY($1::uuid[]) AND status NOT IN ('open', 'processing')
