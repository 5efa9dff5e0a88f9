-- name: count_tasks
-- How many tasks there are, of these creators and statuses (null: any).
SELECT coalesce(sum(n), 0)::bigint FROM task_tallies WHERE ($1::text[] IS NULL OR created_by = ANY($1)) AND ($2::text[] IS NULL OR status = ANY($2))

-- name: first_creators
-- The creators, in order, to whom the first $2 tasks of these statuses belong. Services come last.
SELECT created_by FROM (
    SELECT created_by, sum(sum(n)) OVER (ORDER BY created_by = '', created_by) - sum(n) AS before
    FROM task_tallies WHERE status = ANY($1::text[]) AND n > 0 GROUP BY created_by
) c WHERE before < $2

-- name: last_creators
-- The same from the other end.
SELECT created_by FROM (
    SELECT created_by, sum(sum(n)) OVER (ORDER BY created_by = '' DESC, created_by DESC) - sum(n) AS before
    FROM task_tallies WHERE status = ANY($1::text[]) AND n > 0 GROUP BY created_by
) c WHERE before < $2

-- name: tally
-- How many tasks there are of each status.
SELECT status, sum(n)::bigint AS tasks FROM task_tallies GROUP BY status HAVING sum(n) > 0 ORDER BY status
