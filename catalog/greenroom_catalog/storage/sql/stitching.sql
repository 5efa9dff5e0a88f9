-- name: request_stitch
-- Ask for a stitch; waits for a stitcher that holds the ticket, so that no request is lost to one that read too early.
INSERT INTO stitch_queue (id)
SELECT s.id FROM refresh_state s WHERE s.id = ANY($1::bigint[])
UNION
SELECT s.id FROM refresh_state s WHERE s.entity_ref = ANY($2::text[])
ORDER BY 1
ON CONFLICT (id) DO UPDATE SET requested_at = excluded.requested_at WHERE false

-- name: claim_tickets
-- Take the oldest tickets until the end of the transaction, but for those of $3. Where some are urgent, none but those, be they of $3 or
-- not. Nobody is waited for, so that nobody can be deadlocked with.
WITH pressing AS (
    SELECT q.id, q.requested_at FROM urgent u CROSS JOIN LATERAL (
        SELECT id, requested_at FROM stitch_queue WHERE id = u.id FOR UPDATE SKIP LOCKED
    ) q LIMIT $1
), others AS (
    SELECT id, requested_at FROM stitch_queue
    WHERE requested_at <= now() - $2::interval AND id <> ALL($3::bigint[]) AND NOT EXISTS (SELECT FROM pressing)
    ORDER BY requested_at LIMIT $1 FOR UPDATE SKIP LOCKED
)
SELECT id, extract(epoch FROM now() - requested_at)::float8 AS waited
FROM (SELECT * FROM pressing UNION ALL SELECT * FROM others) AS taken

-- name: claimed_entities
-- What the entities of claimed tickets are now. A statement of its own, since it must see what was saved until the tickets
-- were locked; those that are just being deleted are left out.
SELECT s.id, s.entity_id, s.entity_ref, p.processed_entity, coalesce(s.former_entity, s.unprocessed_entity), s.errors,
       NOT EXISTS (SELECT FROM refresh_state_references r WHERE r.target_id = s.id) AS orphan, f.hash
FROM refresh_state s LEFT JOIN processed p USING (id) LEFT JOIN final_entities f USING (id)
WHERE s.id = ANY($1::bigint[])
FOR KEY SHARE OF s SKIP LOCKED

-- name: relations_to
-- The relations of these refs that other entities emitted.
SELECT r.source_entity_ref, r.type, coalesce(r.target_entity_ref, s.entity_ref)
FROM relations r JOIN refresh_state s ON s.id = r.originating_id WHERE r.source_entity_ref = ANY($1::text[])

-- name: save_final
-- Serve these entities.
WITH incoming AS (
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::json[], $5::json[])
        AS i (id, entity_ref, hash, final_entity, search_values)
)
INSERT INTO final_entities (id, entity_ref, hash, final_entity, search_values)
SELECT id, entity_ref, hash, final_entity, search_values FROM incoming ORDER BY id
ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, final_entity = excluded.final_entity, search_values = excluded.search_values

-- name: save_search
-- Make these entities findable; a row that is as it was is left alone, with all its indexes. Arrays within the arrays come as text,
-- since unnest would flatten them.
INSERT INTO search AS s (id, kind, namespace, name, title, type, lifecycle, owner, owned_by,
                    facet_kind, facet_namespace, facet_name, facet_title, facet_type, facet_lifecycle, facet_owner, facet_owned_by,
                    tags, tok)
SELECT i.id, i.kind, i.namespace, i.name, i.title, i.type, i.lifecycle, i.owner, i.owned_by,
       i.facet_kind, i.facet_namespace, i.facet_name, i.facet_title, i.facet_type, i.facet_lifecycle, i.facet_owner, i.facet_owned_by,
       i.tags::text[], i.tok::bigint[]
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
            $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[],
            $18::text[], $19::text[])
    AS i (id, kind, namespace, name, title, type, lifecycle, owner, owned_by,
          facet_kind, facet_namespace, facet_name, facet_title, facet_type, facet_lifecycle, facet_owner, facet_owned_by, tags, tok)
ORDER BY i.id
ON CONFLICT (id) DO UPDATE SET
    kind = excluded.kind, namespace = excluded.namespace, name = excluded.name, title = excluded.title, type = excluded.type,
    lifecycle = excluded.lifecycle, owner = excluded.owner, owned_by = excluded.owned_by, facet_kind = excluded.facet_kind,
    facet_namespace = excluded.facet_namespace, facet_name = excluded.facet_name, facet_title = excluded.facet_title,
    facet_type = excluded.facet_type, facet_lifecycle = excluded.facet_lifecycle, facet_owner = excluded.facet_owner,
    facet_owned_by = excluded.facet_owned_by, tags = excluded.tags, tok = excluded.tok
WHERE ROW(s.*) IS DISTINCT FROM ROW(excluded.*)

-- name: drop_tickets
-- Stitched: the tickets are spent, nobody waits for it, and earlier failures are forgotten. Whoever is just changing what is urgent
-- may wait for these tickets, and is not waited for.
WITH better AS (DELETE FROM stitch_failures WHERE id = ANY($1::bigint[])),
     served AS (DELETE FROM urgent WHERE id IN (SELECT id FROM urgent WHERE id = ANY($1::bigint[]) FOR UPDATE SKIP LOCKED))
DELETE FROM stitch_queue WHERE id = ANY($1::bigint[])

-- name: note_stitch_failures
-- Remember why entities cannot be served.
INSERT INTO stitch_failures (id, error) SELECT id, error FROM unnest($1::bigint[], $2::text[]) AS f (id, error)
