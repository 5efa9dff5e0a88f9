-- name: read_clock
-- How many seconds ago the clock was written down (null: never), and how many ago by any account the latest thing happened: fewer than
-- none, and it was put back. A run of a provider is an account, for a clock may be wrong for a moment only.
SELECT (SELECT extract(epoch FROM now() - seen_at)::float8 FROM clock) AS noted,
       extract(epoch FROM now() - greatest((SELECT seen_at FROM clock), max(started_at), max(finished_at)))::float8 AS since
FROM provider_runs

-- name: note_clock
-- Write down what the clock shows.
INSERT INTO clock (seen_at) VALUES (now())
ON CONFLICT ((true)) DO UPDATE SET seen_at = excluded.seen_at WHERE clock.seen_at < excluded.seen_at

-- name: lock_clock
-- Wait for whoever is putting things right. By a statement of its own, so that the next one sees what that came to.
SELECT FROM clock FOR UPDATE

-- name: reset_clock
-- Write down what the clock shows now that it was put back by more than $1 seconds; returns by how much, to the one who came first,
-- and at most: since the other time was written down, $2 seconds may have passed.
UPDATE clock c SET seen_at = now()
FROM (SELECT seen_at FROM clock) w, (SELECT max(greatest(started_at, finished_at)) AS at FROM provider_runs) r
WHERE greatest(w.seen_at, r.at) > now() + make_interval(secs => $1)
RETURNING greatest(w.seen_at, r.at) - now() + make_interval(secs => $2) AS back

-- name: put_back_runs
-- No run was in the future.
UPDATE provider_runs SET started_at = least(started_at, now()), finished_at = least(finished_at, now())
WHERE greatest(started_at, finished_at) > now()

-- name: put_back_schedule
-- Set the turns of all entities so much earlier.
WITH held AS (SELECT id FROM refresh_schedule WHERE next_update_at > now() ORDER BY id FOR UPDATE)
UPDATE refresh_schedule s SET next_update_at = s.next_update_at - $1::interval FROM held WHERE s.id = held.id

-- name: put_back_tickets
-- Tickets wait no longer than they would have.
WITH held AS (SELECT id FROM stitch_queue WHERE requested_at > now() ORDER BY id FOR UPDATE)
UPDATE stitch_queue q SET requested_at = q.requested_at - $1::interval FROM held WHERE q.id = held.id

-- name: put_back_providers
-- Set the runs of all providers so much earlier, and the leases of those that are under way.
UPDATE providers SET next_run_at = next_run_at - $1::interval, lease_until = lease_until - $1::interval

-- name: put_back_chores
-- Set the chores so much earlier.
UPDATE chores SET next_run_at = next_run_at - $1::interval
