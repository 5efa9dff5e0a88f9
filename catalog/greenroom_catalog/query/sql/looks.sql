-- name: looks
-- For each of some snapshots with their generations of the log: the number of changes since, $3 if there are as many; -1 if nobody knows.
-- And the snapshot in which that is so. What stands between the bounds: see `differences`. The arrays are subqueries, so that nobody knows
-- their length: of one element the planner would think that it costs less than of any, and plan each time, which is most of it.
SELECT CASE
           WHEN EXISTS (SELECT FROM search_horizon h WHERE h.generation = s.generation AND h.trimmed <= pg_snapshot_xmin(s.seen))
           THEN (
               SELECT count(*) FROM (
                   SELECT FROM search_changes c
                   WHERE c.xid BETWEEN pg_snapshot_xmin(s.seen) AND pg_snapshot_xmax(pg_current_snapshot())
                     AND NOT pg_visible_in_snapshot(c.xid, s.seen)
                   LIMIT $3::int
               ) c
           )
           ELSE -1
       END AS changes, pg_current_snapshot()::text AS now
FROM unnest((SELECT $1::text[]::pg_snapshot[]), (SELECT $2::text[]::uuid[])) WITH ORDINALITY AS s (seen, generation, nth) ORDER BY s.nth
