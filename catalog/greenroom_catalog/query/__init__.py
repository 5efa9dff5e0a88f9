"""The catalog, read: requests -> conditions -> SQL -> documents as they are served. Nothing here writes."""
