-- online
-- Which step an event is about, and what became of that: asked when a task is cancelled or fails, and not of the bodies, in which there
-- may be what Postgres cannot make a text of (a NUL in a line that a template logs).
ALTER TABLE task_events ADD COLUMN IF NOT EXISTS step_id text, ADD COLUMN IF NOT EXISTS status text;
-- Of tasks that have ended nobody asks. What processes of the version before still write says nothing here.
UPDATE task_events e SET (step_id, status) = (
    SELECT nullif(b.body ->> 'stepId', ''), b.body ->> 'status' FROM (SELECT replace(e.body::text, '\u0000', '\ufffd')::json AS body) b
) FROM tasks t WHERE t.id = e.task_id AND t.status IN ('open', 'processing') AND e.type = 'log' AND e.step_id IS NULL;
