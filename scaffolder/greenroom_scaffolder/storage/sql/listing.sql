-- name: count_tasks
-- How many tasks there are, of these creators and statuses (null: any).
SELECT coalesce(sum(n), 0)::bigint FROM task_tallies WHERE ($1::text[] IS NULL OR created_by = ANY($1)) AND ($2::text[] IS NULL OR status = ANY($2))

-- name: tally
-- How many tasks there are of each status.
SELECT status, sum(n)::bigint AS tasks FROM task_tallies GROUP BY status HAVING sum(n) > 0 ORDER BY status
