-- Of a task that failed long ago, what its workspace held is not kept any more: a retry cannot go on without it, and says so.
ALTER TABLE task_workspaces ADD COLUMN dropped boolean NOT NULL DEFAULT false;
