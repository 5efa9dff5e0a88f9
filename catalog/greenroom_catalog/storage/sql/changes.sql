-- name: changes_begun
-- Whether there is a log, of this server: one that came out of a backup counts transactions of another.
SELECT EXISTS (SELECT FROM search_horizon h WHERE greatest(h.trimmed, h.mark) <= pg_snapshot_xmin(pg_current_snapshot()))
   AND NOT EXISTS (SELECT FROM search_changes c WHERE c.xid >= pg_snapshot_xmax(pg_current_snapshot()))

-- name: begin_changes
-- A log that is empty after a crash or a failover, or another server's, begins anew: what was remembered of the one before
-- counts no more.
WITH foreigners AS (
    DELETE FROM search_changes c WHERE c.xid >= pg_snapshot_xmax(pg_current_snapshot())
)
INSERT INTO search_horizon AS h DEFAULT VALUES
ON CONFLICT ((true)) DO UPDATE SET generation = excluded.generation, trimmed = excluded.trimmed, mark = excluded.mark, marked_at = now()

-- name: trim_changes
-- Delete changes older than $1, and all but the latest $2. Nobody ever sees the rest of a log without its new horizon. Only
-- transactions are trimmed that had ended when the oldest of now began, for later ones may still add to theirs.
WITH h AS (
    SELECT * FROM search_horizon FOR UPDATE SKIP LOCKED
), edge AS (
    SELECT greatest(
        CASE WHEN h.marked_at < now() - $1::interval THEN h.mark END,
        (
            SELECT least(c.xid, pg_snapshot_xmin(pg_current_snapshot())) FROM search_changes c
            ORDER BY c.xid DESC, c.seq DESC OFFSET $2 LIMIT 1
        )
    ) AS xid
    FROM h
), gone AS (
    DELETE FROM search_changes c USING edge WHERE c.xid < edge.xid RETURNING 1
), moved AS (
    UPDATE search_horizon SET
        trimmed = CASE WHEN EXISTS (SELECT FROM gone) THEN greatest(search_horizon.trimmed, edge.xid) ELSE search_horizon.trimmed END,
        mark = CASE WHEN search_horizon.marked_at < now() - $1::interval THEN pg_snapshot_xmin(pg_current_snapshot()) ELSE search_horizon.mark END,
        marked_at = CASE WHEN search_horizon.marked_at < now() - $1::interval THEN now() ELSE search_horizon.marked_at END
    FROM edge
    WHERE EXISTS (SELECT FROM gone)
       OR search_horizon.marked_at < now() - $1::interval AND (SELECT c.xid FROM search_changes c ORDER BY c.xid LIMIT 1) IS NOT NULL
)
SELECT count(*) FROM gone
