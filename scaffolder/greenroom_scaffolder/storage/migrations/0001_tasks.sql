-- Tasks, as far as they change or are looked for: narrow, since each change writes the row anew. What one is to do stands in `task_specs`.
CREATE TABLE tasks (
    id           uuid PRIMARY KEY,
    created_by   text COLLATE "C" NOT NULL, -- a user; '': a service
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    status       text COLLATE "C" NOT NULL DEFAULT 'open',
    heartbeat_at timestamptz,
    strategy     text, -- EXPERIMENTAL_recovery of the template; null: it says nothing
    began        bigint NOT NULL DEFAULT 0, -- the event with which it began anew: those before are not shown any more
    attempt      integer NOT NULL DEFAULT 0, -- how often it was claimed; who writes names it, and is turned away if another has it
    written      integer NOT NULL DEFAULT 0, -- the last batch of this attempt that is written: none is written twice
    losses       integer NOT NULL DEFAULT 0, -- workers that were lost on it since a step was last finished
    retried      integer NOT NULL DEFAULT 0, -- the last attempt before somebody wished that it be tried again
    holder       integer, -- the worker; null: nobody, or one of which nobody could tell that it lives
    resumed      boolean NOT NULL DEFAULT false, -- it is to go on from where it ended
    cancelled    boolean NOT NULL DEFAULT false
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
CREATE INDEX tasks_created ON tasks (created_at, id);
CREATE INDEX tasks_status ON tasks (status, created_at, id);
CREATE INDEX tasks_creator ON tasks (created_by, status, created_at, id);

-- How many tasks there are, so that a page of them need not count.
CREATE TABLE task_tallies (
    created_by text COLLATE "C" NOT NULL,
    status     text COLLATE "C" NOT NULL,
    n          bigint NOT NULL,
    PRIMARY KEY (created_by, status)
) WITH (fillfactor = 50);

-- Where ids stand without REFERENCES, whoever writes them holds the row of `tasks`: to look each up once more would cost more than it proves.

CREATE TABLE task_specs (
    task_id uuid PRIMARY KEY,
    spec    json NOT NULL
);

-- What the task was given in confidence, and on whose behalf it runs, sealed. Gone as soon as the task has ended.
CREATE TABLE task_secrets (
    task_id uuid PRIMARY KEY,
    sealed  bytea NOT NULL
);

-- The ids of a task's events are in the order in which they become visible: who writes them holds the task's row.
CREATE TABLE task_events (
    id         bigint GENERATED ALWAYS AS IDENTITY,
    task_id    uuid NOT NULL,
    type       text NOT NULL,
    body       json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (task_id, id)
);
CREATE INDEX task_events_marks ON task_events (task_id) WHERE type <> 'log';

-- What is known of each step, sealed, since outputs may hold secrets.
CREATE TABLE task_steps (
    task_id  uuid NOT NULL,
    step_id  text COLLATE "C" NOT NULL,
    position integer NOT NULL, -- in the order in which steps began
    attempt  integer NOT NULL, -- that of which the status is
    status   text NOT NULL,
    state    bytea NOT NULL,
    PRIMARY KEY (task_id, step_id)
);

CREATE TABLE task_checkpoints (
    task_id uuid NOT NULL,
    key     text COLLATE "C" NOT NULL,
    value   bytea NOT NULL, -- sealed
    PRIMARY KEY (task_id, key)
);

-- What the workspace held after the last finished step, until the task is completed.
CREATE TABLE task_workspaces (
    task_id uuid PRIMARY KEY,
    archive bytea STORAGE EXTERNAL -- sealed; null: it was empty
);
