-- name: held_by_source
-- What a provider has in the catalog now: ref, hash and location key of each root entity.
SELECT s.entity_ref, s.unprocessed_hash, s.location_key
FROM refresh_state_references r JOIN refresh_state s ON s.id = r.target_id
WHERE r.source_key = $1

-- name: held
-- What the catalog has of these refs, whoever emitted them.
SELECT s.id, s.entity_ref, s.unprocessed_hash, s.location_key
FROM refresh_state s WHERE s.entity_ref = ANY($1::text[])

-- name: emit
-- Add or replace unprocessed entities and make them due; a row that another location key holds is left alone and not returned.
WITH written AS (
    INSERT INTO refresh_state AS s (entity_ref, unprocessed_entity, unprocessed_hash, location_key)
    SELECT i.entity_ref, i.entity, i.hash, i.location_key
    FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::text[]) AS i (entity_ref, entity, hash, location_key)
    ORDER BY i.entity_ref
    ON CONFLICT (entity_ref) DO UPDATE
        SET unprocessed_entity = excluded.unprocessed_entity, unprocessed_hash = excluded.unprocessed_hash,
            former_entity = coalesce(s.former_entity, s.unprocessed_entity),
            location_key = excluded.location_key, last_discovery_at = now()
        WHERE s.location_key IS NULL OR s.location_key = excluded.location_key
    RETURNING s.id, s.entity_ref
), due AS (
    INSERT INTO refresh_schedule (id, lane)
    SELECT w.id, i.lane FROM written w JOIN unnest($1::text[], $5::smallint[]) AS i (entity_ref, lane) USING (entity_ref)
    ON CONFLICT (id) DO UPDATE SET next_update_at = now(), lane = excluded.lane
)
SELECT id, entity_ref FROM written

-- name: own_by_source
-- Make a provider the one referrer of these entities. Who was that before will emit them again when it is processed next.
WITH taken_over AS (
    DELETE FROM refresh_state_references WHERE target_id = ANY($2::bigint[]) RETURNING source_id
), forgotten AS (
    UPDATE processed p SET result_hash = NULL FROM taken_over t WHERE p.id = t.source_id
)
INSERT INTO refresh_state_references (source_key, target_id) SELECT $1, id FROM unnest($2::bigint[]) AS t (id)

-- name: disown_by_source
-- Forget that a provider refers to these entities.
DELETE FROM refresh_state_references
WHERE source_key = $1 AND target_id = ANY(ARRAY(SELECT id FROM refresh_state WHERE entity_ref = ANY($2::text[])))

-- name: own_by_entities
-- Make each parent the one referrer of its children, and of nothing else; return the children that were let go, and those that are
-- new to their parent. Whose they were before will emit them again when it is processed next. The parents' claims that were turned
-- away before are forgotten.
WITH wanted AS (
    SELECT DISTINCT ON (target_id) source_id, target_id
    FROM unnest($2::bigint[], $3::bigint[]) WITH ORDINALITY AS w (source_id, target_id, nth) ORDER BY target_id, nth DESC
), dropped AS (
    DELETE FROM refresh_state_references r
    WHERE r.source_id = ANY($1::bigint[])
      AND NOT EXISTS (SELECT FROM wanted w WHERE w.source_id = r.source_id AND w.target_id = r.target_id)
    RETURNING r.target_id
), taken_over AS (
    DELETE FROM refresh_state_references r USING wanted w
    WHERE r.target_id = w.target_id AND (r.source_id IS NULL OR r.source_id <> ALL($1::bigint[]))
    RETURNING r.source_id
), forgotten AS (
    UPDATE processed p SET result_hash = NULL FROM taken_over t WHERE p.id = t.source_id
), settled AS (
    DELETE FROM conflicts WHERE source_id = ANY($1::bigint[])
), added AS (
    INSERT INTO refresh_state_references (source_id, target_id)
    SELECT w.source_id, w.target_id FROM wanted w
    WHERE NOT EXISTS (SELECT FROM refresh_state_references r WHERE r.source_id = w.source_id AND r.target_id = w.target_id)
    RETURNING target_id
)
(SELECT target_id, false AS adopted FROM dropped EXCEPT SELECT target_id, false FROM wanted)
UNION ALL SELECT target_id, true FROM added

-- name: hasten
-- Make these due.
WITH due AS (SELECT id FROM refresh_schedule WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE)
UPDATE refresh_schedule c SET next_update_at = now() FROM due WHERE c.id = due.id

-- name: doomed_by_removal
-- What goes when a provider lets go of these refs: they and all below them that nothing else holds up. OFFSET 0 has each looked
-- up by index: of how many there are in a recursion the planner knows nothing, and it would read all references for each level.
-- Whether something is held is asked from above, of all at once: to look upwards from each is quadratic in a chain's length.
WITH RECURSIVE roots AS (
    SELECT r.target_id AS id FROM refresh_state s CROSS JOIN LATERAL (
        SELECT target_id FROM refresh_state_references WHERE source_key = $1 AND target_id = s.id OFFSET 0
    ) r WHERE s.entity_ref = ANY($2::text[])
), below (id) AS (
    SELECT id FROM roots
    UNION
    SELECT r.target_id FROM below b CROSS JOIN LATERAL (
        SELECT target_id FROM refresh_state_references WHERE source_id = b.id OFFSET 0
    ) r
), above (id) AS (
    SELECT id FROM below
    UNION
    SELECT r.source_id FROM above a CROSS JOIN LATERAL (
        SELECT source_id FROM refresh_state_references WHERE target_id = a.id OFFSET 0
    ) r WHERE r.source_id IS NOT NULL
), edges AS MATERIALIZED (
    SELECT r.source_key, r.source_id, r.target_id FROM above a CROSS JOIN LATERAL (
        SELECT * FROM refresh_state_references WHERE target_id = a.id OFFSET 0
    ) r
), held (id) AS (
    SELECT target_id FROM edges
    WHERE source_key IS NOT NULL AND NOT (source_key = $1 AND target_id IN (SELECT id FROM roots))
    UNION
    SELECT e.target_id FROM held h JOIN edges e ON e.source_id = h.id
)
SELECT id FROM below EXCEPT SELECT id FROM held

-- name: orphans_among
-- Those of these entities that nothing refers to any more.
SELECT s.id FROM refresh_state s
WHERE s.id = ANY($1::bigint[]) AND NOT EXISTS (SELECT FROM refresh_state_references r WHERE r.target_id = s.id)

-- name: orphans
-- All that nothing refers to.
SELECT s.id FROM refresh_state s WHERE NOT EXISTS (SELECT FROM refresh_state_references r WHERE r.target_id = s.id)

-- name: children_of
-- What these entities emitted.
SELECT DISTINCT target_id FROM refresh_state_references WHERE source_id = ANY($1::bigint[])

-- name: related_to
-- The entities, other than these, whose served relations come from processing these.
SELECT DISTINCT s.id FROM relations r CROSS JOIN LATERAL (
    SELECT id FROM refresh_state WHERE entity_ref = r.source_entity_ref OFFSET 0
) s WHERE r.originating_id = ANY($1::bigint[]) AND s.id <> ALL($1::bigint[])

-- name: delete_entities
-- Delete these entities with everything that was made from them. $2: who claimed one of them in vain is made due, at once; returns
-- the topics that wake them.
WITH gone AS (
    DELETE FROM refresh_state WHERE id = ANY($1::bigint[]) RETURNING entity_ref
), freed AS (
    SELECT c.source_key, c.source_id FROM conflicts c JOIN gone USING (entity_ref) WHERE $2
), parents AS (
    UPDATE refresh_schedule s SET next_update_at = now() FROM freed f WHERE s.id = f.source_id
), providers AS (
    UPDATE providers p SET next_run_at = now() FROM freed f WHERE p.name = f.source_key
)
SELECT DISTINCT CASE WHEN source_id IS NULL THEN 'catalog.provide' ELSE 'catalog.process' END AS topic FROM freed

-- name: settle_conflicts_of_source
-- Forget the claims of a provider that were turned away: all, or those to some refs.
DELETE FROM conflicts WHERE source_key = $1 AND ($2::text[] IS NULL OR entity_ref = ANY($2::text[]))

-- name: note_conflicts
-- Remember the claims, of a provider or of entities, that were turned away just now.
INSERT INTO conflicts (source_key, source_id, entity_ref, wanted_by, held_by)
SELECT DISTINCT ON (source_id, entity_ref) CASE WHEN source_id IS NULL THEN $1 END, source_id, entity_ref, wanted_by, held_by
FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[]) AS c (source_id, entity_ref, wanted_by, held_by)
WHERE held_by IS NOT NULL

-- name: refresh_by_keys
-- Make due whatever was made from these refresh keys.
UPDATE refresh_schedule SET next_update_at = now()
WHERE id IN (SELECT id FROM refresh_keys WHERE key = ANY($1::text[]))

-- name: source_keys
-- The providers that have something in the catalog.
SELECT DISTINCT source_key FROM refresh_state_references WHERE source_key IS NOT NULL
