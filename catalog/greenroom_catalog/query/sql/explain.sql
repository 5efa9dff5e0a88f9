-- name: explain_moment
-- The clock of the database, and whether it takes no writes.
SELECT now() AS now, current_setting('transaction_read_only') = 'on' AS read_only

-- name: explain_chain
-- An entity, and each entity above it on the shortest way up to the provider it came from. No step is told twice.
WITH RECURSIVE up (id, source_key, depth) AS (
    SELECT s.id, r.source_key, 0 FROM refresh_state s LEFT JOIN refresh_state_references r ON r.target_id = s.id AND r.source_key IS NOT NULL
    WHERE s.entity_ref = $1
    UNION
    SELECT r.source_id, above.source_key, up.depth + 1
    FROM up JOIN refresh_state_references r ON r.target_id = up.id AND r.source_id IS NOT NULL
         LEFT JOIN refresh_state_references above ON above.target_id = r.source_id AND above.source_key IS NOT NULL
    WHERE up.depth < 32
), told AS (
    SELECT DISTINCT ON (id) * FROM up ORDER BY id, depth
)
SELECT s.id, s.entity_ref, s.unprocessed_entity, s.errors, s.location_key, s.last_discovery_at, t.source_key,
       EXISTS (SELECT FROM refresh_state_references r WHERE r.target_id = s.id) AS referred_to,
       p.id IS NOT NULL AS tried, p.processed_entity IS NOT NULL AS processed, d.next_update_at, q.requested_at,
       x.error AS stitch_error, x.seen_at AS stitch_failed_at, f.final_entity
FROM told t JOIN refresh_state s USING (id) LEFT JOIN processed p USING (id) LEFT JOIN refresh_schedule d USING (id)
     LEFT JOIN stitch_queue q USING (id) LEFT JOIN stitch_failures x USING (id) LEFT JOIN final_entities f USING (id)
ORDER BY t.depth, s.id

-- name: explain_providers
-- How each provider stands: the last run that has come to an end, and when it last went well.
SELECT p.name, p.paused_at, coalesce(p.lease_until > now(), false) AS running, r.finished_at,
       coalesce(r.found, 0) AS found, r.error, r.failures,
       (SELECT max(g.finished_at) FROM provider_runs g WHERE g.provider = p.name AND g.error IS NULL) AS good_at
FROM providers p LEFT JOIN LATERAL (SELECT * FROM provider_runs r WHERE r.provider = p.name AND r.finished_at IS NOT NULL
                                    ORDER BY r.id DESC LIMIT 1) r ON true
ORDER BY p.name

-- name: explain_claims
-- Who else claims an entity, and was turned away.
SELECT c.source_key, s.entity_ref AS source_ref, c.wanted_by, c.held_by, c.seen_at
FROM conflicts c LEFT JOIN refresh_state s ON s.id = c.source_id
WHERE c.entity_ref = $1 ORDER BY c.seen_at LIMIT 20

-- name: explain_served
-- Which of these refs are served.
SELECT entity_ref FROM final_entities WHERE entity_ref = ANY($1::text[])

-- name: explain_suspects
-- Locations behind which an unknown entity may be: those that failed, were never read, or have nothing behind them, or whose
-- refresh keys hold the name. Those come first whose errors mention the ref, then the name, then those whose keys do.
SELECT s.id, s.entity_ref, s.unprocessed_entity, s.errors, s.location_key, s.last_discovery_at, NULL AS source_key,
       true AS referred_to, p.id IS NOT NULL AS tried, p.processed_entity IS NOT NULL AS processed, d.next_update_at,
       q.requested_at, NULL AS stitch_error, NULL::timestamptz AS stitch_failed_at, NULL::json AS final_entity
FROM refresh_state s LEFT JOIN processed p USING (id) JOIN refresh_schedule d USING (id) LEFT JOIN stitch_queue q USING (id)
     CROSS JOIN LATERAL (SELECT lower(s.errors::text) AS said,
                                EXISTS (SELECT FROM refresh_keys k WHERE k.id = s.id AND position($2 IN lower(k.key)) > 0) AS in_key) e
WHERE s.entity_ref LIKE 'location:%'
  AND (s.errors IS NOT NULL OR p.id IS NULL OR e.in_key OR NOT EXISTS (SELECT FROM refresh_state_references r WHERE r.source_id = s.id))
ORDER BY position($1 IN coalesce(said, '')) > 0 DESC, position($2 IN coalesce(said, '')) > 0 DESC, in_key DESC,
         said IS NOT NULL DESC, s.id DESC
LIMIT $3

-- name: explain_location
-- The location entities that lead to a target: by what they read, or as they are registered.
SELECT s.entity_ref FROM refresh_keys k JOIN refresh_state s USING (id) WHERE k.key = $1
UNION SELECT entity_ref FROM locations WHERE type || ':' || target = $1
LIMIT 5

-- name: explain_registered
-- The registered location that a Location entity stands for.
SELECT id, type, target FROM locations WHERE entity_ref = $1

-- name: explain_same_name
-- Served entities of the same name.
SELECT kind, namespace, name FROM search WHERE name = $1 ORDER BY kind, namespace LIMIT 20

-- name: explain_near_names
-- Served names that a misspelt one may mean: of about the same length, with the same beginning or end; of its kind first.
SELECT kind, namespace, name FROM search
WHERE length(name) BETWEEN length($1) - 3 AND length($1) + 3 AND name <> $1
  AND (left(name, 2) = left($1, 2) OR right(name, 3) = right($1, 3))
ORDER BY kind <> $2, name
LIMIT 500

-- name: explain_failing_names
-- Names, that one or near it, of entities that are not served since something is wrong with them.
WITH failing AS (
    SELECT split_part(entity_ref, ':', 1) AS kind, split_part(split_part(entity_ref, ':', 2), '/', 1) AS namespace,
           split_part(entity_ref, '/', 2) AS name
    FROM refresh_state s
    WHERE errors IS NOT NULL AND NOT EXISTS (SELECT FROM final_entities f WHERE f.id = s.id)
)
SELECT kind, namespace, name FROM failing
WHERE length(name) BETWEEN length($1) - 3 AND length($1) + 3
  AND (left(name, 2) = left($1, 2) OR right(name, 3) = right($1, 3))
ORDER BY kind, namespace, name
LIMIT 500
