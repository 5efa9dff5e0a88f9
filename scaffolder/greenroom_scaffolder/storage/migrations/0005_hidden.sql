-- online
-- Of which tasks something is remembered that is to be hidden (`tasks/hiding.py`): few of many checkpoints, and it is asked again and again.
CREATE INDEX CONCURRENTLY IF NOT EXISTS task_checkpoints_hidden ON task_checkpoints (task_id) WHERE starts_with(key, '%hidden#');
