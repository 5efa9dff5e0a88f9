-- name: list_locations
-- All registered locations.
SELECT id, type, target, entity_ref FROM locations

-- name: get_location
-- One registered location.
SELECT id, type, target, entity_ref FROM locations WHERE id = $1

-- name: find_location
-- The registered location of a type and target, if there is one.
SELECT id, type, target, entity_ref FROM locations WHERE type = $1 AND target = $2

-- name: create_location
-- Register a location; nothing is returned when it is registered already.
INSERT INTO locations (type, target, entity_ref) VALUES ($1, $2, $3) ON CONFLICT (type, target) DO NOTHING
RETURNING id, type, target, entity_ref

-- name: delete_location
-- Unregister a location.
DELETE FROM locations WHERE id = $1 RETURNING id, type, target, entity_ref
