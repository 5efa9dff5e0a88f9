-- What is known of each entity before it is served: as found, why it failed, and who claims it.
CREATE TABLE refresh_state (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity_id           uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    entity_ref          text COLLATE "C" NOT NULL UNIQUE,
    unprocessed_entity  bytea STORAGE MAIN NOT NULL, -- storage/packing.py
    unprocessed_hash    bytea NOT NULL, -- of the document before it was packed
    former_entity       bytea STORAGE MAIN, -- what `processed` was made from, while that is no longer `unprocessed_entity`
    errors              json,
    location_key        text COLLATE "C",
    last_discovery_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX refresh_state_failed ON refresh_state (entity_ref) WHERE errors IS NOT NULL;

-- Where ids stand without REFERENCES, whoever writes them holds the row of refresh_state, and `forget_entities` deletes them with it:
-- to look each up once more would be a tenth of all that writing costs.

-- What processing came to, apart from refresh_state so that each wide row is written once.
CREATE TABLE processed (
    id               bigint PRIMARY KEY,
    processed_entity bytea STORAGE MAIN, -- of the last time it went well; by what it was made from; with its own relations: storage/packing.py
    own_relations    integer NOT NULL DEFAULT 0, -- how many
    result_hash      bytea, -- null: the next result counts as a change
    memory           json -- what the next processing should know of this one: etags of what was read, caches of plugins
);

-- Apart from the wide row, so that a claim writes 40 bytes and not a document.
CREATE TABLE refresh_schedule (
    id             bigint PRIMARY KEY,
    next_update_at timestamptz NOT NULL DEFAULT now(),
    lane           smallint NOT NULL DEFAULT 0, -- what processing it may wait for: 0 nothing, 1 URLs, 2 the code of plugins
    holder         integer -- the worker that has claimed it; null: nobody, or one of which nobody could tell that it lives
);
-- By lane, so that nobody looks through a million entities of one that is full for some of another.
CREATE INDEX refresh_schedule_due ON refresh_schedule (lane, next_update_at);

-- Who emitted whom: a provider (source_key) or an entity (source_id). An entity that nothing points at is an orphan.
CREATE TABLE refresh_state_references (
    source_key text COLLATE "C",
    source_id  bigint REFERENCES refresh_state ON DELETE CASCADE,
    target_id  bigint NOT NULL REFERENCES refresh_state ON DELETE CASCADE,
    CHECK (num_nonnulls(source_key, source_id) = 1)
);
CREATE INDEX refresh_state_references_target ON refresh_state_references (target_id);
CREATE INDEX refresh_state_references_source ON refresh_state_references (source_id) WHERE source_id IS NOT NULL;
CREATE INDEX refresh_state_references_key ON refresh_state_references (source_key, target_id) WHERE source_key IS NOT NULL;

-- What an entity was made from (`url:https://…`): a change there makes the entity due.
CREATE TABLE refresh_keys (
    id  bigint NOT NULL,
    key text COLLATE "C" NOT NULL
);
CREATE INDEX refresh_keys_key ON refresh_keys (key);
CREATE INDEX refresh_keys_id ON refresh_keys (id);

-- Relations of other entities than the one whose processing emitted them, as the other side of each; its own stand in
-- `processed`. Neither end need exist.
CREATE TABLE relations (
    originating_id    bigint NOT NULL,
    source_entity_ref text COLLATE "C" NOT NULL,
    type              text COLLATE "C" NOT NULL,
    target_entity_ref text COLLATE "C" -- null: the entity that emitted it, as nearly always
);
CREATE INDEX relations_originating ON relations (originating_id);
CREATE INDEX relations_source ON relations (source_entity_ref);

-- Tickets of entities whose served form may have changed, or which are gone since.
CREATE TABLE stitch_queue (
    id           bigint PRIMARY KEY,
    requested_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX stitch_queue_requested ON stitch_queue (requested_at);

-- Registered locations.
CREATE TABLE locations (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    type       text COLLATE "C" NOT NULL,
    target     text COLLATE "C" NOT NULL,
    entity_ref text COLLATE "C" NOT NULL,
    UNIQUE (type, target)
);

-- Providers: when each is due, and who holds it back.
CREATE TABLE providers (
    name         text COLLATE "C" PRIMARY KEY,
    every        interval, -- from one run to the next; null: once at each start
    longest      interval, -- a run that takes longer is ended; null: nobody has said
    next_run_at  timestamptz, -- null: not before it is triggered
    triggered_at timestamptz, -- by the last trigger that no run has answered yet
    triggered_by text, -- whoever pulled it: the ref of a principal, or `webhook`
    by_hand      boolean NOT NULL DEFAULT false, -- a person pulled it, who wants everything looked at
    retry        boolean NOT NULL DEFAULT false, -- due because the last run failed
    paused_at    timestamptz, -- null: not paused
    paused_by    text,
    lease_until  timestamptz, -- while a process runs it
    holder       integer, -- the worker that does
    cancelled    boolean NOT NULL DEFAULT false, -- whoever runs it is to stop
    refused      integer, -- entities that the last run would have removed, had that not been refused
    confirmed    integer -- how many of them the next run may remove after all
);

-- Processes that claim work, each with the number of an advisory lock that it holds for as long as it lives (greenroom/presence.py).
CREATE TABLE workers (
    number  integer PRIMARY KEY,
    process text NOT NULL, -- host:pid
    since   timestamptz NOT NULL DEFAULT now()
);

-- Work that one process at a time does now and then.
CREATE TABLE chores (
    name        text COLLATE "C" PRIMARY KEY,
    next_run_at timestamptz NOT NULL,
    ended_at    timestamptz,
    error       text -- of the last time
);

-- What each run of a provider did: the last 50 of each. Of runs by schedule that changed nothing, one after another, the last.
CREATE TABLE provider_runs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider    text COLLATE "C" NOT NULL REFERENCES providers ON DELETE CASCADE,
    cause       text NOT NULL CHECK (cause IN ('start', 'schedule', 'trigger', 'retry')),
    caused_by   text, -- of a trigger: who pulled it
    process     text NOT NULL, -- host:pid
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz, -- null: under way, or its process died
    found       integer NOT NULL DEFAULT 0, -- entities that the provider emitted
    added       integer NOT NULL DEFAULT 0,
    changed     integer NOT NULL DEFAULT 0,
    removed     integer NOT NULL DEFAULT 0,
    unchanged   integer NOT NULL DEFAULT 0,
    refreshed   integer NOT NULL DEFAULT 0, -- entities that it asked to be processed again
    failed      integer NOT NULL DEFAULT 0, -- items that could not be made entities
    done        bigint, -- as the provider says, in units of its own (repositories, bytes); null: it said nothing
    total       bigint,
    error       text, -- why the run ended early; secrets are taken out
    failures    json, -- [{"what", "error"}], the first 50 of `failed`
    eventful    boolean GENERATED ALWAYS AS (
        cause <> 'schedule' OR error IS NOT NULL OR added + changed + removed + refreshed + failed > 0
    ) STORED
);
CREATE INDEX provider_runs_provider ON provider_runs (provider, id);

-- Claims that were turned away: an entity that another location key holds. A row goes when its claim is won, or is no longer
-- made; when the entity goes, its claimants are made due.
CREATE TABLE conflicts (
    entity_ref text COLLATE "C" NOT NULL, -- what is claimed
    source_key text COLLATE "C", -- who claims it: a provider,
    source_id  bigint REFERENCES refresh_state ON DELETE CASCADE, -- or the entity (a Location) that emitted it
    wanted_by  text COLLATE "C", -- the location key of the claim
    held_by    text COLLATE "C" NOT NULL, -- the location key that won
    seen_at    timestamptz NOT NULL DEFAULT now(), -- the last time it was turned away
    CHECK (num_nonnulls(source_key, source_id) = 1)
);
CREATE INDEX conflicts_entity ON conflicts (entity_ref);
CREATE INDEX conflicts_source ON conflicts (source_id) WHERE source_id IS NOT NULL;
CREATE INDEX conflicts_key ON conflicts (source_key) WHERE source_key IS NOT NULL;

-- Entities that were processed well and cannot be served, such as one whose keys differ only in case.
CREATE TABLE stitch_failures (
    id      bigint PRIMARY KEY,
    error   text NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION forget_entities() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE ids bigint[] := ARRAY(SELECT id FROM gone); -- an array, for which the plan is a look into the index, whoever made it
BEGIN
    DELETE FROM refresh_schedule WHERE id = ANY(ids);
    DELETE FROM stitch_queue WHERE id = ANY(ids);
    DELETE FROM processed WHERE id = ANY(ids);
    DELETE FROM refresh_keys WHERE id = ANY(ids);
    DELETE FROM relations WHERE originating_id = ANY(ids);
    DELETE FROM stitch_failures WHERE id = ANY(ids);
    RETURN NULL;
END $$;
CREATE TRIGGER entities_forgotten AFTER DELETE ON refresh_state REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION forget_entities();
