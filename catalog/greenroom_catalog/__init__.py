"""The catalog: a repository file becomes a searchable entity."""
