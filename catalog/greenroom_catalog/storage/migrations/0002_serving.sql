-- What is served, and how it is found. `final_entity` goes out as it is; `search` is narrow so that it is read fast.
CREATE TABLE final_entities (
    id            bigint PRIMARY KEY,
    entity_ref    text STORAGE MAIN COLLATE "C" NOT NULL UNIQUE,
    hash          bytea STORAGE MAIN NOT NULL, -- of what it was put together from
    final_entity  json STORAGE MAIN NOT NULL,
    search_values json STORAGE MAIN NOT NULL -- search key -> "value" | ["value" | ["lower", "Original"] | null, …] of the keys without a column, which are shortened (stitching/tokens.py)
) WITH (toast_tuple_target = 128);
-- STORAGE MAIN and that target: over 2 kB both documents are compressed, and stay in the row. json, for jsonb has so many numbers in it that it compresses badly:
-- 130 bytes an entity.

-- A column holds the lower-cased value of its key if the key has exactly one that is not null; `facet_…` holds the
-- original spelling where it differs. `tok` holds blake2b-64 of every key, and of every key, NUL and value (spec 02 §2.2), but
-- of kind, name and namespace. Of a key that has its usual value and nothing else, such as the `true` that each element of a list makes, it
-- holds the latter only, and there is nothing in `search_values`.
CREATE TABLE search (
    id              bigint PRIMARY KEY,
    kind            text COLLATE "C" NOT NULL,
    namespace       text COLLATE "C" NOT NULL,
    name            text COLLATE "C" NOT NULL,
    title           text COLLATE "C",
    type            text COLLATE "C",
    lifecycle       text COLLATE "C",
    owner           text COLLATE "C",
    owned_by        text COLLATE "C",
    facet_kind      text COLLATE "C",
    facet_namespace text COLLATE "C",
    facet_name      text COLLATE "C",
    facet_title     text COLLATE "C",
    facet_type      text COLLATE "C",
    facet_lifecycle text COLLATE "C",
    facet_owner     text COLLATE "C",
    facet_owned_by  text COLLATE "C",
    tags            text[] COLLATE "C" NOT NULL DEFAULT '{}', -- original spelling
    tok             bigint[] NOT NULL
);
CREATE INDEX search_name ON search (name, id);
CREATE INDEX search_kind_name ON search (kind, name, id);
CREATE INDEX search_kind_type_name ON search (kind, type, name, id);
-- The pending list is as long as an eighth of the usual: pages that it once had stay, 250 bytes an entity of 20,000, for a tenth of time.
CREATE INDEX search_tok ON search USING gin (tok) WITH (gin_pending_list_limit = 512);
-- Facets and counts by column are read from this index alone. The spellings are keys, not INCLUDEd, for then equal rows are
-- stored once (btree deduplication): 50 bytes an entity.
CREATE INDEX search_facets ON search (
    kind, facet_kind, type, facet_type, lifecycle, facet_lifecycle, namespace, facet_namespace,
    owner, facet_owner, owned_by, facet_owned_by
);

CREATE FUNCTION unserve_entities() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE ids bigint[] := ARRAY(SELECT id FROM gone); -- an array, for which the plan is a look into the index, whoever made it
BEGIN
    DELETE FROM search WHERE id = ANY(ids);
    DELETE FROM final_entities WHERE id = ANY(ids);
    RETURN NULL;
END $$;
CREATE TRIGGER entities_unserved AFTER DELETE ON refresh_state REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION unserve_entities();
