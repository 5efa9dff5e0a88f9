-- name: register_providers
-- Make known the providers of this process; a new one is due at once.
INSERT INTO providers AS p (name, every, longest, next_run_at)
SELECT name, every, longest, now() FROM unnest($1::text[], $2::interval[], $3::interval[]) AS i (name, every, longest)
ON CONFLICT (name) DO UPDATE SET every = excluded.every, longest = excluded.longest,
    next_run_at = least(p.next_run_at, now() + excluded.every) -- also when it was to run but once so far
    WHERE (p.every, p.longest) IS DISTINCT FROM (excluded.every, excluded.longest)

-- name: forget_providers
-- Providers that are no longer there have no runs either.
DELETE FROM providers WHERE name <> ALL($1::text[]) AND (lease_until IS NULL OR lease_until < now())

-- name: restart_providers
-- Make due those that run once at each start.
UPDATE providers SET next_run_at = now(), retry = false WHERE name = ANY($1::text[])

-- name: claim_provider
-- Begin a run of one due provider, kept from others for the length of a lease. A run whose process died ends with this.
WITH due AS (
    SELECT name, triggered_by, by_hand, confirmed,
           CASE WHEN triggered_at IS NOT NULL THEN 'trigger' WHEN retry THEN 'retry' WHEN every IS NULL THEN 'start' ELSE 'schedule' END AS cause
    FROM providers
    WHERE name = ANY($1::text[]) AND next_run_at <= now() AND paused_at IS NULL AND (lease_until IS NULL OR lease_until < now())
    ORDER BY next_run_at LIMIT 1 FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE providers p SET lease_until = now() + $2::interval, holder = $4, triggered_at = NULL, triggered_by = NULL, by_hand = false, cancelled = false,
        confirmed = NULL
    FROM due WHERE p.name = due.name
), lost AS (
    UPDATE provider_runs r SET finished_at = now(), error = 'The process that ran it ended'
    FROM due WHERE r.provider = due.name AND r.finished_at IS NULL
)
INSERT INTO provider_runs (provider, cause, caused_by, process)
SELECT name, cause, CASE cause WHEN 'trigger' THEN triggered_by END, $3 FROM due
RETURNING provider, id, (SELECT by_hand FROM due), (SELECT coalesce(confirmed, 0) FROM due)

-- name: extend_lease
-- Keep a provider that is still running. Nothing is returned when somebody else has taken it over.
UPDATE providers p SET lease_until = now() + $2::interval
WHERE name = $1 AND EXISTS (SELECT FROM provider_runs r WHERE r.id = $3 AND r.finished_at IS NULL) RETURNING name

-- name: cancel_provider
-- Have whoever runs a provider stop. Nothing is returned when nobody does.
UPDATE providers SET cancelled = true WHERE name = $1 AND lease_until > now() RETURNING name

-- name: is_cancelled
-- Whether a run is to stop.
SELECT cancelled FROM providers WHERE name = $1

-- name: report_run
-- How far a run has come.
UPDATE provider_runs SET found = $2, added = $3, changed = $4, removed = $5, unchanged = $6, refreshed = $7, failed = $8,
    done = $9, total = $10, failures = $11
WHERE id = $1

-- name: finish_run
-- End a run, and keep no more than the last of each provider. One whose process overslept its lease stays ended.
WITH ended AS (
    UPDATE provider_runs SET finished_at = now(), error = $2 WHERE id = $1 AND finished_at IS NULL
    RETURNING id, provider, NOT eventful AS idle
)
DELETE FROM provider_runs r USING ended e
WHERE r.provider = e.provider AND r.id < e.id AND (
    e.idle AND NOT r.eventful AND r.id = (SELECT max(id) FROM provider_runs WHERE provider = e.provider AND id < e.id)
    OR r.id <= (SELECT id FROM provider_runs WHERE provider = e.provider ORDER BY id DESC OFFSET $3 LIMIT 1))

-- name: rest_provider
-- Let a provider rest after a run, unless another has begun; one that was triggered while it ran is due again at once.
UPDATE providers SET
    lease_until = NULL, holder = NULL, retry = $3, refused = $5,
    next_run_at = CASE WHEN triggered_at IS NOT NULL THEN now() ELSE now() + $4::interval END
WHERE name = $1 AND (SELECT max(id) FROM provider_runs WHERE provider = $1) = $2

-- name: trigger_provider
-- Make a provider due now. $3: a person wants it.
UPDATE providers SET next_run_at = now(), triggered_at = now(), triggered_by = $2, by_hand = by_hand OR $3 WHERE name = $1
RETURNING name, pg_notify('greenroom', 'catalog.provide ')

-- name: confirm_removal
-- Have a provider run now, which may remove as many entities as it wanted to. Nothing is returned when nothing was refused.
UPDATE providers SET confirmed = refused, refused = NULL, next_run_at = now(), triggered_at = now(), triggered_by = $2, by_hand = true
WHERE name = $1 AND refused IS NOT NULL
RETURNING name, pg_notify('greenroom', 'catalog.provide ')

-- name: pause_provider
-- Begin no more runs of a provider.
UPDATE providers SET paused_at = coalesce(paused_at, now()), paused_by = CASE WHEN paused_at IS NULL THEN $2 ELSE paused_by END
WHERE name = $1 RETURNING name

-- name: resume_provider
-- Begin runs of a provider again; one that fell due meanwhile is run at once.
UPDATE providers SET paused_at = NULL, paused_by = NULL WHERE name = $1 RETURNING name, pg_notify('greenroom', 'catalog.provide ')

-- name: next_provider_run
-- Seconds until the next of these providers is due.
SELECT extract(epoch FROM min(greatest(next_run_at, lease_until)) - now())::float8 FROM providers
WHERE name = ANY($1::text[]) AND paused_at IS NULL

-- name: provider_standings
-- How each provider stands.
SELECT p.name, p.every, p.longest, p.next_run_at, p.paused_at, p.paused_by, p.triggered_at IS NOT NULL AS triggered, p.refused,
       coalesce(p.lease_until > now(), false) AS running, r.id AS run
FROM providers p
LEFT JOIN LATERAL (SELECT id FROM provider_runs WHERE provider = p.name ORDER BY id DESC LIMIT 1) r ON true
WHERE $1::text IS NULL OR p.name = $1
ORDER BY p.name

-- name: runs_of_provider
-- The last runs of a provider, newest first, each with whether somebody is at it, and what the good ones before it took: in seconds, at
-- the median.
SELECT r.*, r.finished_at IS NULL AND p.lease_until > now() AS running, (
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM e.finished_at - e.started_at))
    FROM (SELECT * FROM provider_runs e WHERE e.provider = r.provider AND e.id < r.id AND e.error IS NULL AND e.finished_at IS NOT NULL
          ORDER BY e.id DESC LIMIT 5) e
)::float8 AS usual
FROM provider_runs r JOIN providers p ON p.name = r.provider WHERE r.provider = $1 ORDER BY r.id DESC LIMIT $2

-- name: runs_by_id
-- These runs, with the same.
SELECT r.*, r.finished_at IS NULL AND p.lease_until > now() AS running, (
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM e.finished_at - e.started_at))
    FROM (SELECT * FROM provider_runs e WHERE e.provider = r.provider AND e.id < r.id AND e.error IS NULL AND e.finished_at IS NOT NULL
          ORDER BY e.id DESC LIMIT 5) e
)::float8 AS usual
FROM provider_runs r JOIN providers p ON p.name = r.provider WHERE r.id = ANY($1::bigint[])
