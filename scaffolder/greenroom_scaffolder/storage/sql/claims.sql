-- name: claim_tasks
-- Open tasks, at most $1, now this worker's ($2, see `holder`): in turn by creator, beginning with those of whom the fewest run, and the
-- oldest first. Looked at are the oldest 300, so that a claim costs no more where thousands wait; some more are found than are taken, as
-- others claim at the same time.
WITH running AS (
    SELECT created_by, count(*) AS n FROM tasks WHERE status = 'processing' GROUP BY created_by
), waiting AS (
    SELECT id, created_by, created_at FROM tasks WHERE status = 'open' ORDER BY created_at, id LIMIT 300
), next AS (
    SELECT w.id, w.created_at,
        coalesce(r.n, 0) + row_number() OVER (PARTITION BY w.created_by ORDER BY w.created_at, w.id) AS turn
    FROM waiting w LEFT JOIN running r USING (created_by) ORDER BY turn, w.created_at, w.id LIMIT $1 + 100
), due AS (
    SELECT t.id FROM next JOIN tasks t ON t.id = next.id WHERE t.status = 'open'
    ORDER BY next.turn, next.created_at, next.id LIMIT $1 FOR NO KEY UPDATE OF t SKIP LOCKED
), claimed AS (
    UPDATE tasks t SET status = 'processing', attempt = t.attempt + 1, written = 0, holder = $2, heartbeat_at = clock_timestamp()
    FROM due WHERE t.id = due.id
    RETURNING t.id, t.created_by, t.created_at, t.attempt, t.resumed, t.retried, t.cancelled
), counted AS (
    INSERT INTO task_tallies AS a (created_by, status, n)
    SELECT created_by, 'open', -count(*) FROM claimed GROUP BY created_by
    UNION ALL SELECT created_by, 'processing', count(*) FROM claimed GROUP BY created_by
    ORDER BY 1, 2
    ON CONFLICT (created_by, status) DO UPDATE SET n = a.n + excluded.n
)
SELECT c.id, c.created_by, c.attempt, c.resumed, c.retried, c.cancelled, s.spec, x.sealed
FROM claimed c JOIN task_specs s ON s.task_id = c.id LEFT JOIN task_secrets x ON x.task_id = c.id
ORDER BY c.created_at, c.id

-- name: steps_of
-- What is known of the steps of a task.
SELECT step_id, attempt, state FROM task_steps WHERE task_id = $1

-- name: checkpoints_of
-- What its checkpoints answered.
SELECT key, value FROM task_checkpoints WHERE task_id = $1

-- name: workspace_of
-- What its workspace held, and whether that is not kept any more.
SELECT archive, dropped FROM task_workspaces WHERE task_id = $1

-- name: held
-- The tasks that workers are at, their last signs of life, and for how many seconds there was none that there could have been.
SELECT id, attempt, holder, heartbeat_at,
    extract(epoch FROM clock_timestamp() - greatest(heartbeat_at, pg_postmaster_start_time()))::float8 AS silent
FROM tasks WHERE status = 'processing'

-- name: lock_lost
-- Those of these tasks that nobody has claimed since, and nobody else is freeing; with what is to be decided of them.
SELECT t.id, t.created_by, t.strategy, t.losses, t.cancelled FROM tasks t JOIN unnest($1::uuid[], $2::integer[]) AS l (id, attempt) ON t.id = l.id AND t.attempt = l.attempt
WHERE t.status = 'processing' ORDER BY t.id FOR NO KEY UPDATE OF t SKIP LOCKED

-- name: overdue
-- The tasks from which nothing was heard for that long.
SELECT id, attempt FROM tasks WHERE status = 'processing' AND heartbeat_at <= clock_timestamp() - $1::interval

-- name: drop_workspaces
-- Forget what the workspaces of tasks held that failed so long ago, and what was to be hidden of them (`tasks/hiding.py`), of which there
-- may be some without a workspace; who wishes that they be tried again holds their rows.
WITH holding AS (
    SELECT task_id FROM task_workspaces WHERE archive IS NOT NULL
    UNION SELECT task_id FROM task_checkpoints WHERE starts_with(key, '%hidden#')
), old AS MATERIALIZED (
    SELECT t.id FROM holding h JOIN tasks t ON t.id = h.task_id
    WHERE t.status NOT IN ('open', 'processing')
        AND coalesce(t.heartbeat_at, t.created_at) <= clock_timestamp() - $1::interval
    ORDER BY t.id LIMIT $2 FOR NO KEY UPDATE OF t SKIP LOCKED
), dropped AS (
    INSERT INTO task_workspaces (task_id, dropped) SELECT id, true FROM old
    ON CONFLICT (task_id) DO UPDATE SET archive = NULL, dropped = true
    RETURNING task_id
), forgotten AS (
    DELETE FROM task_checkpoints USING old WHERE task_id = old.id AND starts_with(key, '%hidden#')
)
SELECT count(*) FROM dropped
