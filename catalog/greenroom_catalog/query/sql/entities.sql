-- name: entity_by_uid
-- The document of one entity.
SELECT f.final_entity FROM refresh_state r JOIN final_entities f USING (id) WHERE r.entity_id = $1

-- name: entities_by_refs
-- The documents of those refs that are served.
SELECT entity_ref, final_entity FROM final_entities WHERE entity_ref = ANY($1::text[])

-- name: documents_by_id
-- The documents of entities, in runs: ids with commas between them -> documents with commas between them, by id. As bytes, for
-- Python would decode text: json_send gives what a client gets of json.
SELECT d.run FROM unnest($1::text[]) AS wanted (ids) CROSS JOIN LATERAL (
    SELECT string_agg(json_send(f.final_entity), ',' ORDER BY f.id) AS run FROM final_entities f
    WHERE f.id = ANY (('{' || wanted.ids || '}')::bigint[])
) d

-- name: documents_in_order
-- The same, each document as often and where it is named. It takes a tenth longer.
SELECT d.run FROM unnest($1::text[]) AS wanted (ids) CROSS JOIN LATERAL (
    SELECT string_agg(json_send(f.final_entity), ',' ORDER BY n.nth) AS run
    FROM unnest(('{' || wanted.ids || '}')::bigint[]) WITH ORDINALITY AS n (id, nth) JOIN final_entities f USING (id)
) d

-- name: ancestry
-- An entity, which comes first, and all above it that are served, with the ids of those that emitted each. Each is looked up by
-- itself, whatever the planner thinks of the number of ancestors.
WITH RECURSIVE upward AS (
    SELECT r.target_id, r.source_id
    FROM final_entities f JOIN refresh_state_references r ON r.target_id = f.id
    WHERE f.entity_ref = $1 AND r.source_id IS NOT NULL
    UNION
    SELECT r.target_id, r.source_id
    FROM upward u JOIN refresh_state_references r ON r.target_id = u.source_id
    WHERE r.source_id IS NOT NULL
)
SELECT f.id, f.entity_ref, f.final_entity, array(SELECT source_id FROM upward WHERE target_id = f.id ORDER BY 1) AS parents
FROM (SELECT f.id FROM final_entities f WHERE f.entity_ref = $1 UNION SELECT source_id FROM upward) above
     CROSS JOIN LATERAL (SELECT f.* FROM final_entities f WHERE f.id = above.id OFFSET 0) f
ORDER BY f.entity_ref <> $1, f.id

-- name: pending_entities
-- What is known of entities that were found but are not served, because they were never processed without errors.
SELECT r.unprocessed_entity, p.processed_entity, coalesce(r.former_entity, r.unprocessed_entity), r.errors, r.location_key, r.last_discovery_at, p.result_hash,
       r.unprocessed_hash, d.next_update_at
FROM refresh_state r LEFT JOIN processed p USING (id) LEFT JOIN refresh_schedule d USING (id)
     LEFT JOIN final_entities f USING (id)
WHERE f.id IS NULL ORDER BY r.id
