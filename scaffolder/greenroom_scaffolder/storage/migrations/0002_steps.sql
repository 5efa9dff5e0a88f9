-- Nobody asks in which order the steps of a task began.
ALTER TABLE task_steps DROP COLUMN position;
