"""The only writer: what the rest of the catalog decided becomes rows."""
