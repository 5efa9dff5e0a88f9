-- name: looks
-- For each of some snapshots with their generations of the log: whether nothing has changed since, and until which snapshot.
SELECT EXISTS (SELECT FROM search_horizon h WHERE h.generation = s.generation AND h.trimmed <= pg_snapshot_xmin(s.seen))
   AND NOT EXISTS (
       SELECT FROM search_changes c
       WHERE c.xid BETWEEN pg_snapshot_xmin(s.seen) AND pg_snapshot_xmax(pg_current_snapshot()) -- see `differences`
         AND NOT pg_visible_in_snapshot(c.xid, s.seen)
   ) AS holds, pg_current_snapshot()::text AS now
FROM unnest($1::text[]::pg_snapshot[], $2::text[]::uuid[]) WITH ORDINALITY AS s (seen, generation, nth) ORDER BY s.nth
