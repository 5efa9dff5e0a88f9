-- Entities for which somebody waits: refreshed, registered, or changed with few others. They are processed and stitched before all that
-- is due since earlier; each is forgotten once it is served as it now is.
CREATE TABLE urgent (
    id bigint PRIMARY KEY REFERENCES refresh_state ON DELETE CASCADE
);
