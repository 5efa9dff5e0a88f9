-- What is known of each entity before it is served: as found, why it failed, and who claims it.
CREATE TABLE refresh_state (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity_id           uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    entity_ref          text COLLATE "C" NOT NULL UNIQUE,
    unprocessed_entity  bytea STORAGE MAIN NOT NULL, -- storage/packing.py
    unprocessed_hash    bytea NOT NULL, -- of the document before it was packed
    errors              json,
    location_key        text COLLATE "C",
    last_discovery_at   timestamptz NOT NULL DEFAULT now()
);

-- What processing came to, apart from refresh_state so that each wide row is written once.
CREATE TABLE processed (
    id               bigint PRIMARY KEY REFERENCES refresh_state ON DELETE CASCADE,
    processed_entity bytea STORAGE MAIN, -- of the last time it went well; with its own relations, storage/packing.py
    own_relations    smallint NOT NULL DEFAULT 0, -- how many
    result_hash      bytea, -- null: the next result counts as a change
    read_etags       json -- what its location targets answered, so that an unchanged source costs no parsing
);

-- Apart from the wide row, so that a claim writes 40 bytes and not a document.
CREATE TABLE refresh_schedule (
    id             bigint PRIMARY KEY REFERENCES refresh_state ON DELETE CASCADE,
    next_update_at timestamptz NOT NULL DEFAULT now(),
    reads          boolean NOT NULL DEFAULT false -- processing it waits for the outside, as Locations do
);
CREATE INDEX refresh_schedule_due ON refresh_schedule (next_update_at);

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
    id  bigint NOT NULL REFERENCES refresh_state ON DELETE CASCADE,
    key text COLLATE "C" NOT NULL
);
CREATE INDEX refresh_keys_key ON refresh_keys (key);
CREATE INDEX refresh_keys_id ON refresh_keys (id);

-- Relations of other entities than the one whose processing emitted them, as the other side of each; its own stand in
-- `processed`. Neither end need exist.
CREATE TABLE relations (
    originating_id    bigint NOT NULL REFERENCES refresh_state ON DELETE CASCADE,
    source_entity_ref text COLLATE "C" NOT NULL,
    type              text COLLATE "C" NOT NULL,
    target_entity_ref text COLLATE "C" NOT NULL
);
CREATE INDEX relations_originating ON relations (originating_id);
CREATE INDEX relations_source ON relations (source_entity_ref);

-- Tickets of entities whose served form may have changed.
CREATE TABLE stitch_queue (
    id           bigint PRIMARY KEY REFERENCES refresh_state ON DELETE CASCADE,
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

-- When each provider ran, and when it is due.
CREATE TABLE providers (
    name         text COLLATE "C" PRIMARY KEY,
    next_run_at  timestamptz,
    triggered_at timestamptz,
    lease_until  timestamptz,
    started_at   timestamptz,
    finished_at  timestamptz,
    error        text,
    outcome      json
);
