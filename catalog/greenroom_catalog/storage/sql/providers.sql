-- name: register_providers
-- Make known the providers of this process; a new one is due at once.
INSERT INTO providers (name, next_run_at) SELECT name, now() FROM unnest($1::text[]) AS p (name) ON CONFLICT (name) DO NOTHING

-- name: restart_providers
-- Make due those that run once at each start.
UPDATE providers SET next_run_at = now() WHERE name = ANY($1::text[])

-- name: claim_provider
-- Take one due provider for the length of a lease.
UPDATE providers SET lease_until = now() + $2::interval, started_at = now()
WHERE name = (
    SELECT name FROM providers
    WHERE name = ANY($1::text[]) AND next_run_at <= now() AND (lease_until IS NULL OR lease_until < now())
    ORDER BY next_run_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING name, started_at

-- name: extend_lease
-- Keep a provider that is still running.
UPDATE providers SET lease_until = now() + $2::interval WHERE name = $1

-- name: finish_provider
-- Record how a run went; one that was triggered while it ran is due again at once.
UPDATE providers SET
    finished_at = now(), lease_until = NULL, error = $3, outcome = $4,
    next_run_at = CASE WHEN triggered_at > $2 THEN now() ELSE now() + $5::interval END
WHERE name = $1

-- name: trigger_provider
-- Make a provider due now.
UPDATE providers SET next_run_at = now(), triggered_at = clock_timestamp() WHERE name = $1 RETURNING name, pg_notify('greenroom', 'catalog.provide ')

-- name: next_provider_run
-- Seconds until the next of these providers is due.
SELECT extract(epoch FROM min(greatest(next_run_at, lease_until)) - now())::float8 FROM providers WHERE name = ANY($1::text[])

-- name: provider_runs
-- How each provider stands.
SELECT name, next_run_at, started_at, finished_at, error, outcome, lease_until > now() AS running FROM providers ORDER BY name
