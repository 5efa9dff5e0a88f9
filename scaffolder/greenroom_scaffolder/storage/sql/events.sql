-- name: following
-- Of a task that somebody begins to follow: whether its template lets it begin anew, its first and its last event.
SELECT t.strategy, t.began, coalesce((SELECT max(e.id) FROM task_events e WHERE e.task_id = t.id), 0) AS last FROM tasks t WHERE t.id = $1

-- name: events_after
-- The events of a task past an id, in their order.
SELECT id, type, body, created_at FROM task_events WHERE task_id = $1 AND id > $2 ORDER BY id LIMIT $3

-- name: completion_until
-- Its completion, up to an id.
SELECT id, type, body, created_at FROM task_events WHERE task_id = $1 AND id <= $2 AND type = 'completion' ORDER BY id

-- name: news
-- The events of several tasks, of each those past an id.
SELECT e.task_id, e.id, e.type, e.body, e.created_at
FROM unnest($1::uuid[], $2::bigint[]) AS w (task_id, last)
CROSS JOIN LATERAL (SELECT * FROM task_events o WHERE o.task_id = w.task_id AND o.id > w.last ORDER BY o.id LIMIT $3) e
ORDER BY e.id
