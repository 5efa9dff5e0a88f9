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

-- name: update_location
-- Point a location elsewhere, unless another one points there.
UPDATE locations SET type = $2, target = $3
WHERE id = $1 AND NOT EXISTS (SELECT FROM locations AS other WHERE other.type = $2 AND other.target = $3 AND other.id <> $1)
RETURNING id, type, target, entity_ref

-- name: delete_location
-- Unregister a location.
DELETE FROM locations WHERE id = $1 RETURNING id, type, target, entity_ref

-- name: origin_of_entity
-- Where the chain of locations that led to an entity begins; null when it is not served. No row: there is no such entity.
SELECT f.final_entity #>> '{metadata,annotations,backstage.io/managed-by-origin-location}' AS origin
FROM refresh_state AS r LEFT JOIN final_entities AS f USING (id) WHERE r.entity_ref = $1
