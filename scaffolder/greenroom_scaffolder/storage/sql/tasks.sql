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
SELECT step_id FROM task_events WHERE task_id = $1 AND id >= $2 AND step_id IS NOT NULL ORDER BY id DESC LIMIT 1

-- name: mark_cancelled
-- Whoever runs the task, or will, is to stop; its secrets are nobody's any more.
WITH task AS (
    UPDATE tasks SET cancelled = true WHERE id = $1
)
DELETE FROM task_secrets WHERE task_id = $1

-- name: tell_cancelled
-- The event of a task whose row is held; its worker and its followers hear of it at once.
WITH noted AS (
    INSERT INTO task_events (task_id, type, body) VALUES ($1::uuid, 'cancelled', $2::json)
    RETURNING id
), told AS MATERIALIZED (
    SELECT pg_notify('greenroom', 'scaffolder.event ' || $1::uuid || ' ' || id) FROM noted
    UNION ALL SELECT pg_notify('greenroom', 'scaffolder.cancel ' || $1::uuid)
)
SELECT count(pg_notify::text) FROM told

-- name: forget_outcome
-- The events of how a task ended are no longer true.
DELETE FROM task_events WHERE task_id = $1 AND type IN ('cancelled', 'completion')

-- name: entrust
-- Secrets in place of those that the task had.
INSERT INTO task_secrets (task_id, sealed) VALUES ($1, $2) ON CONFLICT (task_id) DO UPDATE SET sealed = excluded.sealed

-- name: reopen_tasks
-- Have tasks claimed again: $2 the event that tells of it, $3 whether it is the first that is shown from now on, $4 whether they
-- begin anew, $5 by whose loss (0: nobody's; null: somebody wished it).
WITH given AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::json[], $3::boolean[], $4::boolean[]) AS g (id, event, first, anew)
), noted AS (
    INSERT INTO task_events (task_id, type, body) SELECT id, 'recovered', event FROM given
    RETURNING task_id, id
), task AS (
    UPDATE tasks t SET status = 'open', heartbeat_at = clock_timestamp(), holder = NULL, resumed = NOT g.anew,
        began = CASE WHEN g.first THEN n.id ELSE t.began END, losses = coalesce(t.losses + $5::integer, 0),
        cancelled = t.cancelled AND $5::integer IS NOT NULL, retried = CASE WHEN $5::integer IS NULL THEN t.attempt ELSE t.retried END
    FROM given g JOIN noted n ON n.task_id = g.id WHERE t.id = g.id
), steps AS (
    DELETE FROM task_steps USING given g WHERE task_id = g.id AND g.anew
), checkpoints AS (
    DELETE FROM task_checkpoints USING given g WHERE task_id = g.id AND g.anew
), workspaces AS (
    DELETE FROM task_workspaces USING given g WHERE task_id = g.id AND g.anew
), told AS MATERIALIZED (
    SELECT pg_notify('greenroom', 'scaffolder.event ' || task_id || ' ' || id) FROM noted
    UNION ALL SELECT pg_notify('greenroom', 'scaffolder.open ')
)
SELECT count(pg_notify::text) FROM told

-- name: fail_tasks
-- End tasks of which no worker says how: $2 why, $3 the completion that tells of it. The steps that they were at have failed, too,
-- as far as they are shown.
WITH given AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::json[]) AS g (id, message, completion)
), caught AS (
    SELECT g.id, g.message, e.step_id, e.last FROM given g JOIN tasks t ON t.id = g.id CROSS JOIN LATERAL (
        SELECT step_id, max(id) AS last FROM task_events
        WHERE task_id = g.id AND id >= t.began AND step_id IS NOT NULL AND status IS NOT NULL
        GROUP BY step_id HAVING (array_agg(status ORDER BY id DESC))[1] = 'processing'
    ) e
), noted AS (
    INSERT INTO task_events (task_id, type, body, step_id, status)
    SELECT id, type, body, step_id, status FROM (
        SELECT id, 'log' AS type, (
            SELECT row_to_json(b) FROM (SELECT message, step_id AS "stepId", 'failed' AS status) b
        ) AS body, step_id, 'failed' AS status, last FROM caught
        UNION ALL SELECT id, 'completion', completion, NULL, NULL, NULL FROM given
    ) e ORDER BY id, last NULLS LAST
    RETURNING task_id, id
), wiped AS (
    DELETE FROM task_secrets USING given g WHERE task_id = g.id
), ended AS (
    UPDATE tasks t SET status = 'failed', holder = NULL FROM given g WHERE t.id = g.id
), told AS MATERIALIZED (
    SELECT pg_notify('greenroom', 'scaffolder.event ' || task_id || ' ' || max(id)) FROM noted GROUP BY task_id
)
SELECT count(pg_notify::text) FROM told

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
