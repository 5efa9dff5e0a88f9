"""The backend's own API, as an entity of the catalog."""
