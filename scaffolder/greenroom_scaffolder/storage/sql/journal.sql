-- name: write_journal
-- What running tasks came to since the last time, of those that are still their worker's; answers these, and who is to stop.
WITH mine AS (
    UPDATE tasks t SET written = r.batch, heartbeat_at = clock_timestamp(), status = coalesce(r.ended, t.status),
        holder = CASE WHEN r.ended IS NULL THEN $1::integer END, losses = CASE WHEN r.progress THEN 0 ELSE t.losses END
    FROM unnest($2::uuid[], $3::integer[], $4::integer[], $5::text[], $6::boolean[]) AS r (id, attempt, batch, ended, progress)
    WHERE t.id = r.id AND t.attempt = r.attempt AND t.status = 'processing' AND t.written < r.batch
    RETURNING t.id, t.created_by, t.attempt, t.cancelled, r.ended
), noted AS (
    INSERT INTO task_events (task_id, type, body, step_id, status, created_at)
    SELECT e.id, e.type, e.body, e.step_id, e.status, clock_timestamp() - e.age * interval '1 second'
    FROM unnest($7::uuid[], $8::text[], $9::json[], $10::text[], $11::text[], $12::float8[])
        WITH ORDINALITY AS e (id, type, body, step_id, status, age, nr) JOIN mine ON mine.id = e.id
    ORDER BY e.nr
    RETURNING task_id, id
), stepped AS (
    INSERT INTO task_steps (task_id, step_id, attempt, status, state)
    SELECT s.id, s.step_id, mine.attempt, s.status, s.state
    FROM unnest($13::uuid[], $14::text[], $15::text[], $16::bytea[]) AS s (id, step_id, status, state)
    JOIN mine ON mine.id = s.id
    ON CONFLICT (task_id, step_id) DO UPDATE SET attempt = excluded.attempt, status = excluded.status, state = excluded.state
), checked AS (
    INSERT INTO task_checkpoints (task_id, key, value)
    SELECT c.* FROM unnest($17::uuid[], $18::text[], $19::bytea[]) AS c (id, key, value) JOIN mine ON mine.id = c.id
    ON CONFLICT (task_id, key) DO UPDATE SET value = excluded.value
), kept AS (
    INSERT INTO task_workspaces (task_id, archive)
    SELECT w.* FROM unnest($20::uuid[], $21::bytea[]) AS w (id, archive) JOIN mine ON mine.id = w.id
    ON CONFLICT (task_id) DO UPDATE SET archive = excluded.archive
), wiped AS (
    DELETE FROM task_secrets USING mine WHERE task_id = mine.id AND mine.ended IS NOT NULL
), cleared AS (
    DELETE FROM task_workspaces USING mine WHERE task_id = mine.id AND mine.ended = 'completed'
), forgotten AS ( -- what was to be hidden of what is not gone on with (`tasks/hiding.py`)
    DELETE FROM task_checkpoints USING mine WHERE task_id = mine.id AND mine.ended = 'completed' AND starts_with(key, '%hidden#')
), counted AS (
    INSERT INTO task_tallies AS a (created_by, status, n)
    SELECT created_by, 'processing', -count(*) FROM mine WHERE ended IS NOT NULL GROUP BY created_by
    UNION ALL SELECT created_by, ended, count(*) FROM mine WHERE ended IS NOT NULL GROUP BY created_by, ended
    ORDER BY 1, 2
    ON CONFLICT (created_by, status) DO UPDATE SET n = a.n + excluded.n
), told AS MATERIALIZED (
    SELECT pg_notify('greenroom', 'scaffolder.event ' || task_id || ' ' || max(id)) FROM noted GROUP BY task_id
)
SELECT id, cancelled FROM mine WHERE (SELECT count(pg_notify::text) FROM told) >= 0

-- name: whereabouts
-- Whose these tasks are, and what is written of them.
SELECT id, attempt, written FROM tasks WHERE id = ANY($1::uuid[])
