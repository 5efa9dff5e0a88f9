-- name: claim_due
-- Take due entities for the length of a lease; a crashed worker's come back when it is missed, or the lease ends. $3: of these lanes.
-- Where some are urgent, none but those.
WITH pressing AS (
    SELECT c.id, c.next_update_at FROM urgent u CROSS JOIN LATERAL (
        SELECT id, next_update_at FROM refresh_schedule
        WHERE id = u.id AND next_update_at <= now() AND lane = ANY($3::smallint[]) FOR UPDATE SKIP LOCKED
    ) c LIMIT $1
), others AS (
    SELECT c.id, c.next_update_at FROM unnest($3::smallint[]) AS l (lane) CROSS JOIN LATERAL (
        SELECT id, next_update_at FROM refresh_schedule
        WHERE lane = l.lane AND next_update_at <= now() AND NOT EXISTS (SELECT FROM pressing)
        ORDER BY next_update_at LIMIT $1 FOR UPDATE SKIP LOCKED
    ) c ORDER BY c.next_update_at LIMIT $1
), due AS (
    SELECT id, next_update_at, true AS urgent FROM pressing UNION ALL SELECT id, next_update_at, false FROM others
), claimed AS (
    UPDATE refresh_schedule c SET next_update_at = now() + $2::interval, holder = $4 FROM due WHERE c.id = due.id
    RETURNING c.id, c.next_update_at AS lease, extract(epoch FROM now() - due.next_update_at)::float8 AS waited, due.urgent
)
SELECT s.id, s.entity_id, s.entity_ref, s.unprocessed_entity, s.unprocessed_hash, p.result_hash, s.location_key, p.memory,
       c.lease, c.waited, c.urgent
FROM claimed c JOIN refresh_state s USING (id) LEFT JOIN processed p USING (id)

-- name: prolong
-- Hold claimed entities for longer, but for those that became due or another worker's meanwhile.
UPDATE refresh_schedule c SET next_update_at = now() + $3::interval
FROM unnest($1::bigint[], $2::timestamptz[]) AS d (id, lease)
WHERE c.id = d.id AND c.next_update_at = d.lease
RETURNING c.id, c.next_update_at AS lease

-- name: set_lane
-- Put the entities of these kinds (null: all) in the lane $1, which plugins that came may need.
UPDATE refresh_schedule c SET lane = $1 FROM refresh_state s
WHERE s.id = c.id AND c.lane <> $1 AND ($2::text[] IS NULL OR split_part(s.entity_ref, ':', 1) = ANY($2))

-- name: reschedule
-- Let claimed entities rest until their next turn, but for those that became due, or became other ones, meanwhile. What is
-- locked is just being made due; if that fails, it is due again when the lease ends.
WITH held AS (
    SELECT c.id, d.hash, d.rest FROM unnest($1::bigint[], $2::timestamptz[], $3::bytea[], $4::interval[]) AS d (id, lease, hash, rest)
        JOIN refresh_schedule c USING (id)
    WHERE c.next_update_at = d.lease FOR UPDATE OF c SKIP LOCKED
)
UPDATE refresh_schedule c SET next_update_at = now() + CASE WHEN s.unprocessed_hash = h.hash THEN h.rest ELSE '0' END, holder = NULL
FROM held h JOIN refresh_state s USING (id) WHERE c.id = h.id

-- name: save_processed
-- Store good results; return those stored, and which of them are the first of their entities. Left out is what changed while it was processed or is changing now (it is locked:
-- a worker never waits for a provider, which may hold thousands of rows), and what another worker took over because the
-- lease had ended (its lease ends later).
WITH current AS (
    SELECT d.* FROM unnest($1::bigint[], $2::bytea[], $3::timestamptz[], $4::bytea[], $5::integer[], $6::bytea[], $7::json[])
        AS d (id, unprocessed_hash, lease, entity, relations, result_hash, memory)
        JOIN refresh_state s USING (id) JOIN refresh_schedule c USING (id)
    WHERE s.unprocessed_hash = d.unprocessed_hash AND c.next_update_at <= d.lease
    FOR NO KEY UPDATE OF s SKIP LOCKED
), forgiven AS (
    UPDATE refresh_state s SET errors = NULL, former_entity = NULL FROM current
    WHERE s.id = current.id AND (s.errors IS NOT NULL OR s.former_entity IS NOT NULL)
)
INSERT INTO processed (id, processed_entity, own_relations, result_hash, memory)
SELECT id, entity, relations, result_hash, memory FROM current
ON CONFLICT (id) DO UPDATE SET processed_entity = excluded.processed_entity, own_relations = excluded.own_relations,
    result_hash = excluded.result_hash, memory = excluded.memory
RETURNING id, xmax = 0 AS first -- nothing was there that would have been locked

-- name: save_errors
-- Store why entities failed; what they last were stays. Left out is the same as with good results.
WITH current AS (
    SELECT d.* FROM unnest($1::bigint[], $2::bytea[], $3::timestamptz[], $4::json[], $5::bytea[], $6::json[])
        AS d (id, unprocessed_hash, lease, errors, result_hash, memory)
        JOIN refresh_state s USING (id) JOIN refresh_schedule c USING (id)
    WHERE s.unprocessed_hash = d.unprocessed_hash AND c.next_update_at <= d.lease
    FOR NO KEY UPDATE OF s SKIP LOCKED
), failed AS (
    UPDATE refresh_state s SET errors = current.errors FROM current WHERE s.id = current.id
)
INSERT INTO processed (id, result_hash, memory) SELECT id, result_hash, memory FROM current
ON CONFLICT (id) DO UPDATE SET result_hash = excluded.result_hash, memory = excluded.memory
RETURNING id

-- name: forget_results
-- Make the next processing of these entities count as a change, as after a conflict that may since be gone.
UPDATE processed SET result_hash = NULL WHERE id = ANY($1::bigint[])

-- name: add_relations
-- Relations of others that entities emit which never emitted any.
INSERT INTO relations (originating_id, source_entity_ref, type, target_entity_ref)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[])

-- name: replace_relations
-- Make these the relations of others that these entities emit; return the refs whose served relations change by it. What there is and
-- what is wanted are grouped, not joined: of a group with 20,000 members the planner once compared each with each, for a minute.
WITH compared AS (
    SELECT originating_id, source_entity_ref, type, target_entity_ref, array_agg(place) FILTER (WHERE place IS NOT NULL) AS places,
           bool_or(place IS NULL) AS wanted
    FROM (
        SELECT originating_id, source_entity_ref, type, target_entity_ref, ctid AS place FROM relations
        WHERE originating_id = ANY($1::bigint[])
        UNION ALL
        SELECT *, NULL FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[])
    ) AS both_sides
    GROUP BY originating_id, source_entity_ref, type, target_entity_ref
), gone AS (
    DELETE FROM relations WHERE ctid = ANY(ARRAY(SELECT unnest(places) FROM compared WHERE NOT wanted))
    RETURNING source_entity_ref
), added AS (
    INSERT INTO relations (originating_id, source_entity_ref, type, target_entity_ref)
    SELECT originating_id, source_entity_ref, type, target_entity_ref FROM compared WHERE places IS NULL
    RETURNING source_entity_ref
)
SELECT source_entity_ref FROM gone UNION SELECT source_entity_ref FROM added

-- name: replace_refresh_keys
-- Make these the refresh keys of these entities.
WITH desired AS (
    SELECT DISTINCT * FROM unnest($2::bigint[], $3::text[]) AS d (id, key)
), gone AS (
    DELETE FROM refresh_keys k WHERE k.id = ANY($1::bigint[])
      AND NOT EXISTS (SELECT FROM desired d WHERE d.id = k.id AND d.key = k.key)
)
INSERT INTO refresh_keys (id, key)
SELECT id, key FROM desired EXCEPT SELECT id, key FROM refresh_keys WHERE id = ANY($1::bigint[])

-- name: ancestors
-- An entity and all above it, itself first.
WITH RECURSIVE up (id, depth) AS (
    SELECT s.id, 0 FROM refresh_state s WHERE s.entity_ref = $1
    UNION
    SELECT r.source_id, up.depth + 1 FROM up JOIN refresh_state_references r ON r.target_id = up.id
    WHERE r.source_id IS NOT NULL AND up.depth < 32
)
SELECT up.id, s.entity_ref, up.depth, s.entity_ref LIKE 'location:%' AS reads,
       NOT EXISTS (SELECT FROM refresh_state_references r WHERE r.target_id = up.id) AS is_orphan
FROM up JOIN refresh_state s USING (id) ORDER BY up.depth

-- name: refresh_entities
-- Make these due.
UPDATE refresh_schedule SET next_update_at = now() WHERE id = ANY($1::bigint[])

-- name: give_way
-- In this transaction, wait no longer than that for what another has locked.
SELECT set_config('lock_timeout', $1, true)

-- name: touch_parents
-- Make the parents of an entity due, and their next result count as a change, so that they emit it again.
WITH parents AS (
    SELECT source_id AS id FROM refresh_state_references WHERE target_id = $1 AND source_id IS NOT NULL
), forgotten AS (
    UPDATE processed s SET result_hash = NULL FROM parents p WHERE s.id = p.id
)
UPDATE refresh_schedule c SET next_update_at = now() FROM parents p WHERE c.id = p.id

-- name: id_of
-- The row of an entity, by its uid.
SELECT id FROM refresh_state WHERE entity_id = $1

-- name: backlog
-- How many entities are due, and how many wait for a stitch.
SELECT (SELECT count(*) FROM refresh_schedule WHERE lane = ANY('{0,1,2}') AND next_update_at <= now()) AS due,
       (SELECT count(*) FROM stitch_queue) AS stitching
