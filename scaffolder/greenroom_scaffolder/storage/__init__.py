"""Tasks, events and files in Postgres: the only writer."""
