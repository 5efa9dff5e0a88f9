-- What changed of what is served and found, so that counts and facets that a process remembers are brought up to date by
-- the difference, and pages are known to be as they were (query/README.md). Unlogged: it costs ingestion half as much, and
-- after a crash or a failover it is empty together with its horizon, so that nothing from before is believed.
CREATE UNLOGGED TABLE search_changes (
    xid  xid8 NOT NULL DEFAULT pg_current_xact_id(),
    seq  bigint GENERATED ALWAYS AS IDENTITY, -- of one entity, later changes have greater numbers: rows are locked till the end
    id   bigint NOT NULL, -- of the entity
    part "char" NOT NULL, -- of which table: `s`earch, or the search_values of `f`inal_entities; `d`: but for its document it is as it was
    was  search, -- the row of `search` before; null: there was none
    held json, -- the search_values before
    PRIMARY KEY (xid, seq)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Whose log it is, and from where on it is whole. No row: nothing can be said of what changed (storage/changes.py makes one).
CREATE UNLOGGED TABLE search_horizon (
    generation uuid NOT NULL DEFAULT gen_random_uuid(), -- another one once changes may be missing
    trimmed    xid8 NOT NULL DEFAULT pg_snapshot_xmin(pg_current_snapshot()), -- changes before this one are gone
    mark       xid8 NOT NULL DEFAULT pg_snapshot_xmin(pg_current_snapshot()), -- those before this one are as old as `marked_at`
    marked_at  timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX search_horizon_one ON search_horizon ((true));
INSERT INTO search_horizon DEFAULT VALUES;

-- No nested loops: the plan of a function stays as it was made at its first call, which may have been for one row or none.
CREATE FUNCTION note_search_inserts() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO search_changes (id, part) SELECT id, 's' FROM born;
    RETURN NULL;
END $$;
CREATE FUNCTION note_search_updates() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$ BEGIN
    INSERT INTO search_changes (id, part, was) SELECT o.id, 's', ROW(o.*)::search FROM gone o JOIN born n USING (id) WHERE o IS DISTINCT FROM n;
    RETURN NULL;
END $$;
CREATE FUNCTION note_search_deletes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO search_changes (id, part, was) SELECT o.id, 's', ROW(o.*)::search FROM gone o;
    RETURN NULL;
END $$;
CREATE FUNCTION note_value_updates() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$ BEGIN
    INSERT INTO search_changes (id, part, held)
    SELECT id, CASE WHEN valued THEN 'f' ELSE 'd' END, CASE WHEN valued THEN held END FROM (
        SELECT o.id, o.search_values AS held, o.search_values::text <> n.search_values::text AS valued,
               o.hash <> n.hash OR o.final_entity::text <> n.final_entity::text AS told -- unpacked only where the hash says nothing
        FROM gone o JOIN born n USING (id) OFFSET 0
    ) changed WHERE valued OR told;
    RETURN NULL;
END $$;
CREATE FUNCTION note_value_deletes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO search_changes (id, part, held) SELECT o.id, 'f', o.search_values FROM gone o;
    RETURN NULL;
END $$;

CREATE TRIGGER search_inserted AFTER INSERT ON search REFERENCING NEW TABLE AS born
    FOR EACH STATEMENT EXECUTE FUNCTION note_search_inserts();
CREATE TRIGGER search_updated AFTER UPDATE ON search REFERENCING OLD TABLE AS gone NEW TABLE AS born
    FOR EACH STATEMENT EXECUTE FUNCTION note_search_updates();
CREATE TRIGGER search_deleted AFTER DELETE ON search REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION note_search_deletes();
-- An entity's values and document are born with its row of `search`, and need no note of it.
CREATE TRIGGER final_entities_updated AFTER UPDATE ON final_entities REFERENCING OLD TABLE AS gone NEW TABLE AS born
    FOR EACH STATEMENT EXECUTE FUNCTION note_value_updates();
CREATE TRIGGER final_entities_deleted AFTER DELETE ON final_entities REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION note_value_deletes();
