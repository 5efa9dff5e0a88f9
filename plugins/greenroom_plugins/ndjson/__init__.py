"""Entities from a file with one JSON document a line."""
