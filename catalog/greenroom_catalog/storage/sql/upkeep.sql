-- name: unanalyzed
-- Of these tables those that have no statistics, or have grown to twice the size that theirs are of, and by $2 pages besides. Where
-- ANALYZE saw no rows, they may have been those of a transaction that was not over.
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
    LATERAL (SELECT pg_relation_size(c.oid) / current_setting('block_size')::int AS pages) now
WHERE c.oid = ANY($1::text[]::regclass[])
  AND (now.pages > 2 * c.relpages + $2 OR now.pages > 0 AND c.reltuples <= 0
       OR now.pages > 0 AND NOT EXISTS (SELECT FROM pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = c.relname))
ORDER BY c.relname

-- name: unvacuumed
-- Of these tables those of more pages than $2, of less than half of which it is known that everybody sees all there is; none while
-- entities wait to be processed or stitched.
SELECT c.relname FROM pg_class c,
    LATERAL (SELECT pg_relation_size(c.oid) / current_setting('block_size')::int AS pages) now
WHERE c.oid = ANY($1::text[]::regclass[]) AND now.pages > $2 AND 2 * c.relallvisible < now.pages
  AND NOT EXISTS (SELECT FROM stitch_queue) AND NOT EXISTS (SELECT FROM refresh_schedule WHERE lane = ANY('{0,1,2}') AND next_update_at <= now())
ORDER BY c.relname
