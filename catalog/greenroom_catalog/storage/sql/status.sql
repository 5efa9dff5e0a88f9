-- name: entities_by_kind
-- How many entities are served, by kind.
SELECT kind, count(*) AS entities FROM search GROUP BY kind ORDER BY kind

-- name: failures
-- Entities whose last processing failed, and whether an earlier state of them is served meanwhile.
SELECT s.entity_ref, s.errors, f.id IS NOT NULL AS served, s.unprocessed_entity
FROM refresh_state s LEFT JOIN final_entities f USING (id)
WHERE s.errors IS NOT NULL ORDER BY s.entity_ref LIMIT $1

-- name: longest_waits
-- For how many seconds the first in each queue has waited; null where nothing does.
SELECT (SELECT extract(epoch FROM now() - min(first.next_update_at))::float8 FROM generate_series(0, 2) AS l (lane) CROSS JOIN LATERAL (
            SELECT next_update_at FROM refresh_schedule c WHERE c.lane = l.lane ORDER BY next_update_at LIMIT 1
        ) first WHERE first.next_update_at <= now()) AS process,
       (SELECT extract(epoch FROM now() - min(requested_at))::float8 FROM stitch_queue) AS stitch

-- name: sizes
-- How many locations, relations and tickets there are.
SELECT (SELECT count(*) FROM locations) AS locations,
       (SELECT count(*) FROM relations) + (SELECT coalesce(sum(own_relations), 0) FROM processed) AS relations,
       (SELECT count(*) FROM stitch_queue) AS tickets
