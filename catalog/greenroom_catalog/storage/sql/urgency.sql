-- name: mark_urgent
-- These entities go before others.
INSERT INTO urgent (id) SELECT s.id FROM refresh_state s WHERE s.id = ANY($1::bigint[]) ORDER BY s.id ON CONFLICT DO NOTHING

-- name: mark_refs_urgent
-- These entities, by ref, go before others.
INSERT INTO urgent (id) SELECT s.id FROM refresh_state s WHERE s.entity_ref = ANY($1::text[]) ORDER BY s.id ON CONFLICT DO NOTHING

-- name: mark_urgent_by_keys
-- What was made from these refresh keys goes before others: at most $2.
INSERT INTO urgent (id) SELECT DISTINCT k.id FROM refresh_keys k WHERE k.key = ANY($1::text[]) ORDER BY k.id LIMIT $2
ON CONFLICT DO NOTHING

-- name: mark_children_urgent
-- What these entities emitted goes before others as they do, so far as it is due: at most $2.
INSERT INTO urgent (id)
SELECT c.id FROM refresh_state_references r JOIN refresh_schedule c ON c.id = r.target_id
WHERE r.source_id = ANY($1::bigint[]) AND c.next_update_at <= now() ORDER BY c.id LIMIT $2
ON CONFLICT DO NOTHING

-- name: settle_urgent
-- Of these, nothing has changed for those that have no ticket, and are not due once more.
DELETE FROM urgent u WHERE u.id = ANY($1::bigint[]) AND NOT EXISTS (SELECT FROM stitch_queue q WHERE q.id = u.id)
    AND NOT EXISTS (SELECT FROM refresh_schedule c WHERE c.id = u.id AND c.next_update_at <= now())
